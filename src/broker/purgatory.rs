//! Fetches that wait for bytes (Kafka's `DelayedFetch`), woken exactly: by the advance that satisfies them, and by no other.
//! Others wait for a partition with the same means, and are woken to look again.
//!
//! A [`Watch`] belongs to one waiting fetch and counts the bytes it still needs. It stands in the [`Watchers`] of each partition
//! it reads. An advance of the high watermark with no watcher there costs one atomic load.
//!
//! No wake-up is lost: a watcher first adds itself and then looks at the high watermark once more, an advance first
//! publishes it and then looks for watchers, both sequentially consistent: one of the two sees the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One waiting fetch.
pub struct Watch {
    /// Bytes still missing before the answer is worth sending.
    missing_bytes: AtomicI64,
    done: AtomicBool,
    notify: Notify,
}

impl Watch {
    /// Waits for this many bytes, at least one.
    pub fn new(missing_bytes: i64) -> Arc<Watch> {
        Arc::new(Watch {
            missing_bytes: AtomicI64::new(missing_bytes.max(1)),
            done: AtomicBool::new(false),
            notify: Notify::new(),
        })
    }

    /// Returns when enough bytes came, or something happened that the client must hear of.
    pub async fn satisfied(&self) {
        self.notify.notified().await;
    }

    fn credit(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let before = self.missing_bytes.fetch_sub(bytes, Ordering::AcqRel);
        if before.saturating_sub(bytes) <= 0 {
            self.wake();
        }
    }

    /// Has the fetch answered with what there is.
    pub fn wake(&self) {
        if !self.done.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }
}

/// Those who wait for one partition.
#[derive(Default)]
pub struct Watchers {
    count: AtomicUsize,
    list: Mutex<Vec<Arc<Watch>>>,
}

impl Watchers {
    /// Adds a watch. The caller looks at the high watermark after it.
    pub fn add(&self, watch: &Arc<Watch>) {
        let mut list = self.list.lock();
        list.push(Arc::clone(watch));
        self.count.store(list.len(), Ordering::SeqCst);
    }

    /// Takes a watch out again, if it is still there.
    pub fn remove(&self, watch: &Arc<Watch>) {
        let mut list = self.list.lock();
        list.retain(|other| !Arc::ptr_eq(other, watch));
        self.count.store(list.len(), Ordering::SeqCst);
    }

    /// Bytes became readable. Called after the high watermark was published, with no lock held.
    pub fn credit(&self, bytes: u64) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        for watch in self.list.lock().iter() {
            watch.credit(bytes);
        }
    }

    /// Something other than bytes that a waiting fetch must answer: an error, a new leader.
    pub fn wake_all(&self) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        for watch in self.list.lock().iter() {
            watch.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_done_by_the_credit_that_satisfies_it() {
        let (watchers, others) = (Watchers::default(), Watchers::default());
        let watch = Watch::new(100);
        watchers.add(&watch);
        others.add(&watch);
        watchers.credit(60);
        others.credit(39);
        assert!(!watch.done.load(Ordering::Relaxed));
        others.credit(1);
        assert!(watch.done.load(Ordering::Relaxed));
    }

    #[test]
    fn a_watch_that_left_is_not_credited() {
        let watchers = Watchers::default();
        let watch = Watch::new(1);
        watchers.add(&watch);
        watchers.remove(&watch);
        watchers.credit(10);
        watchers.wake_all();
        assert!(!watch.done.load(Ordering::Relaxed));
        assert_eq!(watchers.count.load(Ordering::Relaxed), 0);
    }
}
