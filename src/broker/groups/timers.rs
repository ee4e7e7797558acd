//! The timers of all coordinators, in one service: sleeps until the earliest deadline, then lets that shard do what is due.
//!
//! A shard publishes its machine's next deadline after every event. Heartbeats only move deadlines back, which wakes nobody:
//! the service finds out when it gets there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::GroupCoordinators;
use crate::io::clock::Clock;
use crate::io::threads::{self, Service};
use crate::model::Now;

pub(super) struct Timers {
    clock: Arc<dyn Clock>,
    /// When the service will look again, by the monotonic clock.
    sleeps_until_ms: AtomicU64,
    is_closing: AtomicBool,
    wake: Notify,
    service: Mutex<Option<Service>>,
}

impl Timers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Timers {
        Timers {
            clock,
            sleeps_until_ms: AtomicU64::new(u64::MAX),
            is_closing: AtomicBool::new(false),
            wake: Notify::new(),
            service: Mutex::default(),
        }
    }

    /// Starts the service. It lives until [`Timers::close`], or until the coordinators are dropped.
    pub(super) fn start(self: &Arc<Timers>, groups: Weak<GroupCoordinators>) -> std::io::Result<()> {
        let timers = Arc::clone(self);
        let run = async move {
            while let Some(deadline_ms) = groups.upgrade().map(|groups| expire(&groups, &*timers.clock)) {
                if !timers.sleep(deadline_ms).await {
                    return;
                }
            }
        };
        *self.service.lock() = Some(threads::service("group-timers", || run)?);
        Ok(())
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// A shard has something to do at `deadline_ms`: wakes the service if it means to sleep longer.
    pub(super) fn wake_for(&self, deadline_ms: u64) {
        if deadline_ms < self.sleeps_until_ms.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Ends the service and waits for it.
    pub(super) async fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        self.wake.notify_one();
        let service = self.service.lock().take();
        if let Some(service) = service {
            service.ended().await;
        }
    }

    /// Returns whether to go on.
    async fn sleep(&self, deadline_ms: u64) -> bool {
        // A shard that looked before this has left a permit in `wake`, or was seen by `expire`.
        self.sleeps_until_ms.store(deadline_ms, Ordering::SeqCst);
        let wait_ms = deadline_ms.saturating_sub(self.now().monotonic_ms);
        match deadline_ms {
            u64::MAX => self.wake.notified().await,
            _ => {
                let _ = tokio::time::timeout(Duration::from_millis(wait_ms), self.wake.notified()).await;
            }
        }
        !self.is_closing.load(Ordering::SeqCst)
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
