//! Ottla: a server that speaks Apache Kafka's wire protocol. The map of the rooms is in `ARCHITECTURE.md` beside this file.

pub mod api;
pub mod broker;
pub mod cli;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod io;
pub mod log;
pub mod metadata;
pub mod metrics;
pub mod model;
pub mod partition;
pub mod peer;
pub mod protocol;
pub mod quorum;
pub mod quota;
pub mod security;
pub mod server;
#[cfg(any(feature = "sim", test))]
pub mod sim;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tidy;
