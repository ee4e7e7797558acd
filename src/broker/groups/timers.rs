//! The timers of all coordinators, on one thread: sleeps until the earliest deadline, then lets that shard do what is due.
//!
//! A shard publishes its machine's next deadline after every event. Heartbeats only move deadlines back, which wakes nobody:
//! the thread finds out when it gets there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::GroupCoordinators;
use crate::io::clock::Clock;
use crate::model::Now;

pub(super) struct Timers {
    clock: Arc<dyn Clock>,
    /// When the thread will look again, by the monotonic clock.
    sleeps_until_ms: AtomicU64,
    told: Mutex<Told>,
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Told {
    has_earlier: bool,
    is_closing: bool,
}

impl Timers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Timers {
        Timers {
            clock,
            sleeps_until_ms: AtomicU64::new(u64::MAX),
            told: Mutex::default(),
            wake: Condvar::new(),
            thread: Mutex::default(),
        }
    }

    /// Starts the thread. It lives until [`Timers::close`], or until the coordinators are dropped.
    pub(super) fn start(self: &Arc<Timers>, groups: Weak<GroupCoordinators>) -> std::io::Result<()> {
        let timers = Arc::clone(self);
        let run = move || {
            while let Some(groups) = groups.upgrade() {
                let deadline_ms = expire(&groups, &*timers.clock);
                drop(groups);
                if !timers.sleep(deadline_ms) {
                    return;
                }
            }
        };
        *self.thread.lock() = Some(std::thread::Builder::new().name("group-timers".into()).spawn(run)?);
        Ok(())
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// A shard has something to do at `deadline_ms`: wakes the thread if it means to sleep longer.
    pub(super) fn wake_for(&self, deadline_ms: u64) {
        if deadline_ms < self.sleeps_until_ms.load(Ordering::SeqCst) {
            self.told.lock().has_earlier = true;
            self.wake.notify_one();
        }
    }

    /// Ends the thread and waits for it.
    pub(super) fn close(&self) {
        self.told.lock().is_closing = true;
        self.wake.notify_one();
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the groups' timers panicked");
        }
    }

    /// Returns whether to go on.
    fn sleep(&self, deadline_ms: u64) -> bool {
        let mut told = self.told.lock();
        // Published before the last look at `has_earlier`: a shard either sees it and tells, or was seen by `expire`.
        self.sleeps_until_ms.store(deadline_ms, Ordering::SeqCst);
        let wait_ms = deadline_ms.saturating_sub(self.now().monotonic_ms);
        if !told.has_earlier && !told.is_closing && wait_ms > 0 {
            match deadline_ms {
                u64::MAX => self.wake.wait(&mut told),
                _ => drop(self.wake.wait_for(&mut told, Duration::from_millis(wait_ms))),
            }
        }
        told.has_earlier = false;
        !told.is_closing
    }
}

/// Lets every shard do what is due, and returns the earliest deadline left.
fn expire(groups: &GroupCoordinators, clock: &dyn Clock) -> u64 {
    // A deadline that a shard publishes from here on must wake us: whatever it is, it lies before this.
    groups.timers.sleeps_until_ms.store(u64::MAX, Ordering::SeqCst);
    let mut earliest_ms = u64::MAX;
    for shard in groups.shards() {
        let now = clock.now();
        if shard.deadline_ms() <= now.monotonic_ms {
            shard.expire(now);
        }
        earliest_ms = earliest_ms.min(shard.deadline_ms());
    }
    earliest_ms
}
