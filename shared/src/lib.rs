//! The library that all functions of imshare share.
//!
//! Five rooms and a corridor. Each imports only rooms above it in this table; a test
//! (`tests/all/rooms.rs`) holds that, and that no two files import each other.
//!
//! | room | what it knows |
//! |---|---|
//! | [`domain`] | images, members, batches, jobs, the permission policy: pure, without AWS, Lambda or HTTP |
//! | [`http`] | requests and responses: routes, query strings, error bodies, CORS |
//! | [`store`] | the one DynamoDB table: conditional writes that say what happened |
//! | [`auth`] | who calls: the authorizer's context, access rules, signed requests |
//! | [`queue`] | sending messages to SQS |
//! | [`runtime`] | what Lambda runs: configuration, clients, logs, metrics, the loops around handlers |
//!
//! A function parses a request into typed values, asks the policy, makes a call of the store, and
//! writes the outcome as an answer.

pub mod auth;
pub mod domain;
pub mod http;
pub mod queue;
pub mod runtime;
pub mod store;
