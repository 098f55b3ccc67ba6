//! Answers that are as Glance 33 gives them, found by sending it and this service the same requests:
//! what the observed rows of `contract` do not have.

mod discovery;
mod ids;
mod ims;
mod lists;
mod patches;
mod paths;
mod records;
