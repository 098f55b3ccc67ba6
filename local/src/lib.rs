//! The whole service on one machine, in one process.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`], `readers` | the embedded DynamoDB, and its connections for reading |
//! | [`in_process`] | answers the SDK's requests by the engine, without a socket |
//! | [`table`] | the service's table, created as the template has it |
//! | [`queue`] | the embedded SQS: a durable queue with visibility timeouts and dead letters, the projects in turn |
//! | [`aws`] | both of them on ports of this machine, for other processes |
//! | [`storage`], [`contents`] | the data directory: its lock, its faults, its contents |
//! | [`schema`] | the schema versions of its files |
//! | [`backup`], [`restore`], [`archive`] | copies it as of one instant, and puts such a copy back |
//! | [`check`] | whether what it holds agrees with itself |
//! | [`watch`] | long work that shows how far it is, and that a signal stops |
//! | `stores` | opens the table and the queue, embedded or remote |
//! | [`worker`] | the event sources: receive messages and run their functions |
//! | [`outage`] | outages of a remote DynamoDB or SQS |
//! | [`identity`] | development identities: the identity file, logins, tokens |
//! | [`access_keys`] | the access keys of the identity file, and the table of the others |
//! | [`authenticator`] | the authenticator: resolves tokens by the identity file or by a Keystone |
//! | [`connection`], [`body`], [`answers`] | HTTP connections, bodies and answers, and their limits |
//! | `host` | whether a request names this machine |
//! | [`gateway`] | the gateway: the route table and the caller's principal |
//! | [`reports`] | the health in detail and the metrics, for an operator |
//! | [`monitor`], [`prometheus`] | what those two say |
//! | [`docs`] | the OpenAPI document and the page that shows it |
//! | [`seed`] | the records that `events/` needs |
//! | [`options`] | what a server is started with |
//! | [`server`] | starts and stops all of them |
//! | [`command`], [`arguments`] | `imshare serve` and its arguments |
//! | [`demo_env`] | `imshare demo-env` |
//! | [`operator`] | the store that an operator's command is about |
//! | [`key_command`] | `imshare access-key` |
//! | [`gone_projects`] | `imshare projects check` |

pub mod access_keys;
pub mod answers;
pub mod archive;
pub mod arguments;
pub mod authenticator;
pub mod aws;
pub mod backup;
pub mod body;
pub mod check;
pub mod command;
pub mod connection;
pub mod contents;
pub mod demo_env;
pub mod docs;
pub mod engine;
pub mod gateway;
pub mod gone_projects;
mod host;
pub mod identity;
pub mod in_process;
pub mod key_command;
pub mod monitor;
pub mod operator;
pub mod options;
pub mod outage;
pub mod prometheus;
pub mod queue;
mod readers;
pub mod reports;
pub mod restore;
pub mod schema;
pub mod seed;
pub mod server;
pub mod storage;
mod stores;
pub mod table;
pub mod transport;
pub mod watch;
pub mod worker;
