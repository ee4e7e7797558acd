//! Sockets, the order of answers, limits: everything between a client's bytes and an API's handler.
//!
//! One thread per core, each with a current-thread runtime; a connection lives on one of them, as one task that reads, works
//! and writes in turns (`connection`). The first core also accepts, and hands each connection to the least loaded one.
//! Invariant: a client, whatever it sends or leaves out, costs others no more than its share: every buffer, queue, wait and
//! count has a limit (`options`), and a connection that breaks one is closed with a reason in the log.

mod admission;
mod budget;
mod buffers;
mod connection;
mod core;
mod http;
mod input;
mod listen;
mod options;
mod output;
mod requests;
mod run;
mod serve;
mod shared;

#[cfg(test)]
pub(in crate::server) mod tests;

pub use run::{Ground, Running, Server};
pub use serve::serve;
