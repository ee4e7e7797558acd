//! Outgoing links to other brokers.
//!
//! A [`Link`] is one connection to one peer for one purpose: heavy fetches never hold up the votes of the quorum. It connects
//! when it is first used, again after it was lost, and never faster than its backoff allows. It knows frames and numbers of
//! requests; what a request means is its caller's business.
//!
//! Invariants:
//! - Requests leave in the order they were made; each gets its own answer or an error, once.
//! - Requests in flight, their bytes, and the bytes of one answer are bounded.
//! - A request that has run out of time takes its connection with it: what comes later on it could only be late, and a network
//!   that has healed carries a new connection at once, but an old one only when the system's retransmission timer fires.

mod address;
mod connection;
mod link;
mod probe;

pub use address::{Address, BadAddress};
pub use link::{Link, LinkError, LinkOptions};
pub use probe::{Probe, probe};

#[cfg(test)]
mod tests;
