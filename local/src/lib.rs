//! The whole service on one machine, in one process.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | DynamoDB: an embedded engine, handed the SDK's requests without a socket |
//! | [`table`] | its table, made as the template makes it |
//! | [`queue`] | SQS: a durable queue with visibility timeouts and dead letters, likewise |
//! | [`aws`] | both of them on ports of this machine, for other processes |
//! | [`storage`], [`contents`] | the data directory: its lock, its faults, what it holds |
//! | [`worker`] | the event sources: receives messages and runs the functions that take them |
//! | [`outage`] | a remote DynamoDB or SQS that does not answer |
//! | [`identity`] | a development stand-in for Keystone: the identity file, logins, tokens |
//! | [`access_keys`] | the table of access keys, filled from the identity file |
//! | [`authority`] | the authorizer: the identity file, or a Keystone |
//! | [`connection`], [`body`] | HTTP connections and bodies, and what they may take up |
//! | [`front`] | the gateway: the route table, the authorizer's context |
//! | [`docs`] | the OpenAPI document and the page that shows it |
//! | [`seed`] | the records that `events/` are written for |
//! | [`server`] | all of them together, started and stopped |

pub mod access_keys;
pub mod authority;
pub mod aws;
pub mod body;
pub mod connection;
pub mod contents;
pub mod docs;
pub mod engine;
pub mod front;
pub mod identity;
pub mod outage;
pub mod queue;
pub mod seed;
pub mod server;
pub mod storage;
pub mod table;
pub mod transport;
pub mod worker;
