//! The tests of the whole service: one module a subject, each against the embedded engine in this
//! process, over real HTTP.

mod batch;
mod budget;
mod contract;
mod corrupt;
mod faults;
mod fixtures;
mod identity;
mod lambda;
mod members;
mod model;
mod permissions;
mod property;
mod races;
mod restart;
mod secrets;
mod template;
mod world;
