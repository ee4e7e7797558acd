//! The doors to the world: clock, disk, network, randomness, threads.
//!
//! Invariant: the only room with `unsafe`, `std::fs`, sockets or `Instant::now`; a simulation swaps what is behind the doors.
#![allow(unsafe_code)]

pub mod bugs;
pub mod clock;
pub mod disk;
pub mod foreign;
#[cfg(test)]
pub mod gated_disk;
#[cfg(test)]
pub mod held_port;
pub mod mailbox;
pub mod net;
pub mod pool;
pub mod process;
pub mod random;
pub mod round_trip;
pub mod sim_disk;
#[cfg(feature = "sim")]
pub mod simulated;
pub mod threads;
#[cfg(test)]
pub mod watched_disk;
