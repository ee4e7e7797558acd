//! The clients of a run: each is a thread that goes on over every restart and hands back what it saw.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::batch::Producer;
use super::history::{Fact, Observation};
use crate::connection::Connection;

mod committer;
mod producer;
mod reader;

pub use committer::Committer;
pub use producer::{Sender, Sent};
pub use reader::{Reader, high_watermarks};

pub const TOPIC: &str = "killed";
/// Errors of a server that is about to be ready, or that lost what it had under way: a client tries again.
const RETRIABLE: &[i16] = &[5, 6, 7, 14, 15, 16, 19, 20];
/// How long a client goes without an answer before the run is broken off.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
const RECONNECT_PAUSE: Duration = Duration::from_millis(2);

/// What all clients of a run share.
pub struct Run {
    pub address: String,
    pub partitions: i32,
    pub producers: Vec<Producer>,
    stamps: AtomicU64,
    stopping: AtomicBool,
}

impl Run {
    pub fn new(address: &str, partitions: i32, producers: Vec<Producer>) -> Run {
        let (stamps, stopping) = (AtomicU64::new(0), AtomicBool::new(false));
        Run { address: address.to_string(), partitions, producers, stamps, stopping }
    }

    /// A number greater than all before it, over all threads.
    pub fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::SeqCst)
    }

    /// Clients finish what they have under way and end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Something just answered that was asked at `invoked`.
    pub fn observe(&self, invoked: u64, fact: Fact) -> Observation {
        Observation { invoked, completed: self.stamp(), fact }
    }
}

/// Why a client gives up its connection.
enum Ended {
    /// The server went away, or answered an error that goes away by itself.
    Broken(anyhow::Error),
    /// An answer that no correct server gives: the run is over.
    Wrong(anyhow::Error),
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Ended {
        Ended::Broken(error)
    }
}

/// 0 goes on; an error that passes breaks the connection; any other breaks off the run.
fn judge(what: &str, error: i16) -> Result<(), Ended> {
    let problem = || anyhow::anyhow!("{what} answers error {error}");
    match error {
        0 => Ok(()),
        _ if RETRIABLE.contains(&error) => Err(Ended::Broken(problem())),
        _ => Err(Ended::Wrong(problem())),
    }
}

/// Runs `session` on a new connection until one ends well. `session` raises the counter whenever it gets on.
fn over_restarts(run: &Run, mut session: impl FnMut(&mut Connection, &mut u64) -> Result<(), Ended>) -> Result<()> {
    let mut progress = 0;
    let mut known = 0;
    let mut silent_since = Instant::now();
    loop {
        let ended = match Connection::open(&run.address) {
            Ok(mut connection) => session(&mut connection, &mut progress),
            Err(error) => Err(Ended::Broken(error)),
        };
        match ended {
            Ok(()) => return Ok(()),
            Err(Ended::Wrong(error)) => return Err(error),
            Err(Ended::Broken(error)) if progress == known && silent_since.elapsed() > SILENCE_LIMIT => {
                return Err(error).with_context(|| format!("no progress in {} s", SILENCE_LIMIT.as_secs()));
            }
            Err(Ended::Broken(_)) => {}
        }
        if progress > known {
            known = progress;
            silent_since = Instant::now();
        }
        std::thread::sleep(RECONNECT_PAUSE);
    }
}
