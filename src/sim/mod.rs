//! Whole clusters in simulated time: nodes, network, disks and clients in one thread, and everything that goes wrong drawn from
//! a seed. `cargo sim --seed 7` runs one seed, `cargo sim --seed 0 --count 100` a hundred, each in a process of its own.
//!
//! The server is the one that is shipped; what is swapped are the doors of `io` (feature `sim`). A run fails when an invariant
//! of `watch` breaks at any step, when a client learns something that [`history`] forbids, when anything panics, or when the
//! cluster does not come back after everything is healed. The same seed gives the same trace, whose hash is printed.
//!
//! `--flushes-lie` lets every flush do nothing: then runs must fail, or the simulation proves nothing. So must they with a bug of
//! the bank (`bank`): `cargo sim --bug all --expect-failure --count 200` ends well when each of them is found.

#[cfg(any(feature = "sim", test))]
mod bank;
#[cfg(feature = "sim")]
mod campaign;
#[cfg(feature = "sim")]
mod client;
#[cfg(feature = "sim")]
mod command;
#[cfg(feature = "sim")]
mod commits;
pub mod history;
pub mod invariant;
#[cfg(feature = "sim")]
mod load;
#[cfg(feature = "sim")]
mod members;
#[cfg(feature = "sim")]
mod movers;
#[cfg(feature = "sim")]
mod node;
pub mod plan;
#[cfg(feature = "sim")]
mod run;
#[cfg(feature = "sim")]
mod trace;
#[cfg(feature = "sim")]
mod watch;

#[cfg(feature = "sim")]
pub use command::main;
