//! What imshare is about, as pure functions and types: no I/O, no clock but one that is passed in.
//!
//! It must not know AWS, Lambda or HTTP: an error has a kind, not a status code; a message has
//! fields, not a queue. Everything here can be tested without a store.
//!
//! | module | what it knows |
//! |---|---|
//! | [`id`], [`time`], [`number`], [`secret`] | values that are parsed once and cannot be misused after that |
//! | [`error`], [`ims_code`] | what went wrong, and the words for the caller |
//! | [`actor`] | who makes a change |
//! | [`visibility`], [`member`], [`image`], [`facts`], [`share`] | the records, what is known of one image at a time, and a membership with its image |
//! | [`policy`], [`roles`] | who may do what: one function, one golden file |
//! | [`json_schema`] | the schemas that clients validate against, and Glance's sentences for what does not match |
//! | [`task`], [`entries`], [`batch`], [`message`] | batches: what is asked, of which entries, in which messages |
//! | [`bodies`] | what requests about members and batches say, and the sentences for what they must not say |
//! | [`change`], [`outcome`], [`job`] | what an entry does to a membership, its outcome, and the state of a job |
//! | [`limits`] | what one project may have at once |
//! | [`trust`] | rules by which a project answers in advance for what some owners share with it |
//! | [`cache`] | a bounded cache whose entries expire |

pub mod actor;
pub mod batch;
pub mod bodies;
pub mod cache;
pub mod change;
pub mod entries;
pub mod error;
pub mod facts;
pub mod id;
pub mod image;
pub mod ims_code;
pub mod job;
pub mod json_schema;
pub mod limits;
pub mod member;
pub mod message;
pub mod number;
#[cfg(feature = "openapi")]
mod openapi;
pub mod outcome;
pub mod policy;
pub mod roles;
pub mod secret;
pub mod share;
pub mod task;
pub mod time;
pub mod trust;
pub mod visibility;
