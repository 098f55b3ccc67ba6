//! Responses that are compared with those that Glance 33 gave to the same requests, beyond the
//! recorded rows of `contract`.

mod discovery;
mod ids;
mod ims;
mod lists;
mod patches;
mod paths;
mod records;
