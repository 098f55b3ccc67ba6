//! The one table. Every write is one conditional request that says what happened.
//!
//! It knows DynamoDB and the domain. It must not know requests, responses or who may do what: a
//! caller is here only for the conditions that hold at the moment of a write.
//!
//! | module | what it keeps |
//! |---|---|
//! | [`keys`] | the names of all keys, indexes and attributes |
//! | `client` | [`Client`]: the SDK's, or a short way to an engine in this process |
//! | `table` | [`Store`]: the client, and what an instance remembers of images |
//! | [`requests`] | counts the requests of a unit of work |
//! | `item`, `reader` | records to items and back |
//! | `expression` | the placeholders of expressions |
//! | `write`, [`sdk_error`] | sending a write: what is retried, for how long; errors of the SDK |
//! | [`change_log`] | the log of changes: one line for each, once it is applied |
//! | [`images`], `deletion` | images: create, show, change, delete |
//! | `freshness`, `marks` | when a list relies on the indexes, and when it reads the table |
//! | [`list`] | sorted streams of index rows, from which lists of images are merged |
//! | `shown` | what lists show of these rows |
//! | [`members`] | memberships: add, answer, remove, list, reconcile with their image |
//! | [`shares`] | memberships with their images, as lists of a project's shares and invitations show them |
//! | `trust` | trusted owners: the rules by which projects answer in advance |
//! | `all_members` | the memberships of the whole table, for an operator |
//! | [`upgrade`] | the records of earlier releases |
//! | [`due`] | records with work that is still to be done for them |
//! | [`jobs`], [`job_list`], [`results`] | jobs: create, show, list, idempotency; results of their entries |
//! | [`usage`], `quotas` | how much of its quotas a project uses, and the counts that keep it within its limits |
//! | [`check`] | whether the records of a table agree with each other |
//! | [`access_keys`] | keys of signed requests, in a table of their own |
//! | [`key_management`] | creates, lists and disables them, for an operator |

pub mod access_keys;
mod all_members;
pub mod change_log;
pub mod check;
mod client;
mod deletion;
pub mod due;
pub mod expression;
mod freshness;
pub mod images;
mod item;
pub mod job_list;
pub mod jobs;
pub mod key_management;
pub mod keys;
pub mod list;
mod marks;
pub mod members;
mod quotas;
mod reader;
pub mod requests;
pub mod results;
pub mod sdk_error;
pub mod shares;
mod shown;
mod table;
mod trust;
pub mod upgrade;
pub mod usage;
mod write;

pub use client::{Answer, Client, Engine};
pub use freshness::Indexes;
pub use table::Store;
