//! The tests of the whole service: one module a subject, each against the embedded engine in this
//! process, over real HTTP.

mod authorizer;
mod batch;
mod budget;
mod chance;
mod contract;
mod corrupt;
mod credentials;
mod faults;
mod fixtures;
mod fuzz;
mod identity;
mod keystone;
mod lambda;
mod members;
mod model;
mod observed;
mod openapi;
mod permissions;
mod property;
mod queue;
mod races;
mod restart;
mod routes;
mod secrets;
mod signed;
mod standing;
mod template;
mod tokens;
mod world;
