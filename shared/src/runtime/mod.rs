//! What Lambda runs: the only room that reads the environment, and the loops around handlers.
//!
//! It knows every other room; no other room knows it. The local server uses the same loops.
//!
//! | module | what it knows |
//! |---|---|
//! | [`app`] | everything that a handler needs, put together once |
//! | [`config`] | the environment: the one reader of it |
//! | [`clients`] | clients of DynamoDB and SQS, their time-outs and retries |
//! | [`projects`] | which projects exist, for those who ask |
//! | [`keystone`] | whom a token stands for, and whether a project exists |
//! | [`log`], [`metrics`] | one JSON object a line; what a piece of work asked of the store |
//! | [`metric`] | the metrics: their names and units, for CloudWatch and for Prometheus |
//! | [`precedence`] | short work goes before long work in one process |
//! | [`api`] | functions behind the gateway: a request in, an answer out |
//! | [`messages`], [`schedule`] | functions that take messages, and those that run on a schedule |
//! | `invocation` | the time that an invocation has left |
//! | [`thread`], [`join`] | the one thread of a function; the results of tasks on it |

pub mod api;
pub mod app;
pub mod clients;
pub mod config;
mod invocation;
pub mod join;
pub mod keystone;
pub mod log;
pub mod messages;
pub mod metric;
pub mod metrics;
pub mod precedence;
pub mod projects;
pub mod schedule;
pub mod thread;
