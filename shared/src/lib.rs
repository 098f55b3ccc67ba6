//! Everything that is true of imshare, whichever function asks.
//!
//! | module | what it knows |
//! |---|---|
//! | [`id`] | image, project, job and operation ids: parsed once, impossible to misuse |
//! | [`time`] | instants, the three ways they are written, and the clock |
//! | [`member`], [`image`], [`job`] | the domain: records, their states and how they are shown; pure |
//! | [`batch`] | how a batch becomes chunks, and what an entry's outcome is; pure |
//! | [`task`], [`change`] | what a batch does to its entries, and what a request finds at a membership; pure |
//! | [`auth`] | who calls, and the whole permission policy as one pure function |
//! | [`principal`], [`access_rules`] | the user, project and role that a token authenticates, and the requests that it may make |
//! | [`roles`] | what a deployment calls the roles |
//! | [`signature`], [`signed`] | requests signed with an access key, and who signed one |
//! | [`members_api`] | Glance's words for the policy's decisions about members |
//! | [`schema`] | the JSON schemas that clients check answers against |
//! | [`routes`] | every path of the API and the function that answers it |
//! | [`error`] | one enum: status, code, public words, retryable or not |
//! | [`http`] | parse a request, render an answer, run an API function |
//! | [`number`] | numbers as the arguments of a list may write them |
//! | [`page`] | the paging of the batch API |
//! | [`store`] | the one table: conditional writes that say what happened |
//! | [`queue`] | messages, sending them, and the partial batch response |
//! | [`schedule`] | runs a function that is called on a schedule |
//! | [`sdk`] | errors of the AWS SDK in the words of a log line |
//! | [`secret`] | texts that are compared and sent, and never shown |
//! | [`cache`] | what an instance may remember for a while |
//! | [`app`] | configuration (the only reader of the environment), clients, clock |
//!
//! A function of the service is three sentences: parse the request into types that cannot be
//! wrong, ask the store one question, render what happened.

pub mod access_rules;
pub mod app;
pub mod auth;
pub mod batch;
pub mod cache;
pub mod change;
#[cfg(feature = "dev-identity")]
pub mod dev_identity;
pub mod error;
pub mod http;
pub mod id;
pub mod image;
pub mod job;
pub mod member;
pub mod members_api;
pub mod meter;
pub mod number;
pub mod page;
pub mod principal;
pub mod queue;
pub mod roles;
pub mod routes;
pub mod schedule;
pub mod schema;
pub mod sdk;
pub mod secret;
pub mod signature;
pub mod signed;
pub mod store;
pub mod task;
pub mod time;
