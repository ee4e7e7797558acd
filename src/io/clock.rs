//! The clock door.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Now;

/// Now, for deadlines of what runs on a runtime: its timers and this clock agree, also where time is paused or simulated.
pub fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Tells the time. The shell asks it once per event and passes [`Now`] down.
pub trait Clock: Send + Sync {
    fn now(&self) -> Now;
}

/// The operating system's clocks.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            monotonic_ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}
