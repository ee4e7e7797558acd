//! A moment, as an argument: machines never read a clock.

/// The two clocks at one moment, read together by the shell and passed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds since the Unix epoch; may jump. For timestamps in records only.
    pub wall_ms: i64,
    /// Milliseconds since an arbitrary start; never goes back. For every timeout and deadline.
    pub monotonic_ms: u64,
}

impl Now {
    /// The moment `duration_ms` later on both clocks.
    pub fn plus_ms(self, duration_ms: u64) -> Now {
        Now {
            wall_ms: self.wall_ms.saturating_add(i64::try_from(duration_ms).unwrap_or(i64::MAX)),
            monotonic_ms: self.monotonic_ms.saturating_add(duration_ms),
        }
    }
}
