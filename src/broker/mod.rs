//! The shell: owns the partitions, carries out what their machines decide, and keeps the disk's promises.

pub mod fetch_sessions;
pub mod purgatory;
pub mod waiter;

use std::sync::Arc;

use crate::io::clock::Clock;

/// One broker: several fit in one process.
pub struct Broker {
    clock: Arc<dyn Clock>,
}

impl Broker {
    /// The clock that this broker lives by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}
