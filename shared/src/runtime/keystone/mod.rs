//! Keystone: whom a token stands for, and whether a project exists.
//!
//! | module | what it knows |
//! |---|---|
//! | `config`, [`service_user`] | which Keystone, and as whom to ask it: from the environment, or from a secret in Secrets Manager |
//! | `login` | this service's own login |
//! | `validate` | [`Keystone`]: asks it |
//! | `document`, `error` | what it says, and why it says nothing |
//! | `projects` | whether projects exist, cached: [`Projects`](super::projects::Projects) |
//! | [`client`] | HTTP over kept connections |

pub mod client;
mod config;
mod document;
mod error;
mod login;
mod projects;
pub mod service_user;
mod validate;

pub use config::KeystoneConfig;
pub use error::AuthError;
pub use validate::{Keystone, sendable};
