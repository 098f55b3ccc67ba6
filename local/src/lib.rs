//! The whole service on one machine, in one process.
//!
//! | module | what it stands for |
//! |---|---|
//! | [`engine`] | DynamoDB: an embedded engine, handed the SDK's requests without a socket |
//! | [`table`] | its table, made as the template makes it |
//! | [`queue`] | SQS: a durable queue with visibility timeouts and dead letters, likewise |
//! | [`worker`] | the event sources: receives messages and runs the functions that take them |
//! | [`identity`] | Keystone's stand-in: the identity file, logins, tokens |
//! | [`access_keys`] | the table of access keys, filled from the identity file |
//! | [`authority`] | the authorizer: the identity file, or a Keystone |
//! | [`front`] | the gateway: HTTP, the route table, the authorizer's context |
//! | [`docs`] | the OpenAPI document and the page that shows it |
//! | [`server`] | all of them together, started and stopped |

pub mod access_keys;
pub mod authority;
pub mod docs;
pub mod engine;
pub mod front;
pub mod identity;
pub mod queue;
pub mod server;
pub mod table;
pub mod transport;
pub mod worker;
