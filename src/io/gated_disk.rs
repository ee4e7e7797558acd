//! A disk for tests of what waits for a flush, and of what does not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::disk::SystemDisk;
use super::watched_disk::{Watch, WatchedDisk};

/// Longer than anything here takes; a test that reaches it fails.
const LIMIT: Duration = Duration::from_secs(20);

/// The operating system's files, where flushes of one directory's files wait until the gate is opened.
pub type GatedDisk = WatchedDisk<SystemDisk, Gate>;

impl GatedDisk {
    /// The gate, closed, before the files of every directory of this name.
    pub fn new(directory: &'static str) -> GatedDisk {
        let (state, moved) = Default::default();
        WatchedDisk { disk: SystemDisk, watch: Arc::new(Gate { directory, state, moved }) }
    }

    /// Returns when a flush waits at the gate.
    pub fn await_one(&self) {
        self.watch.moved.wait_while_for(&mut self.watch.state.lock(), |state| state.waiting_count == 0, LIMIT);
    }

    pub fn is_waited_for(&self) -> bool {
        self.watch.state.lock().waiting_count > 0
    }

    /// Lets everything pass from now on.
    pub fn open_gate(&self) {
        self.watch.state.lock().is_open = true;
        self.watch.moved.notify_all();
    }
}

pub struct Gate {
    directory: &'static str,
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    is_open: bool,
    waiting_count: usize,
}

impl Watch for Gate {
    fn flushes(&self, path: &Path) {
        if !path.parent().is_some_and(|parent| parent.ends_with(self.directory)) {
            return;
        }
        let mut state = self.state.lock();
        state.waiting_count += 1;
        self.moved.notify_all();
        self.moved.wait_while_for(&mut state, |state| !state.is_open, LIMIT);
        state.waiting_count -= 1;
    }
}
