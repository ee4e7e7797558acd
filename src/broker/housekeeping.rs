//! What is due by the clock, and what need not be done by the one who asked: one service that sleeps in between.
//!
//! | what | how often |
//! |---|---|
//! | logs of new topics are opened | when told |
//! | produces whose time is up | [`delayed_produce::SWEEP_MS`](super::delayed_produce::SWEEP_MS), while any waits |
//! | directories of deleted topics are moved away | when told |
//! | recovery points, log starts, high watermarks | [`CHECKPOINT_MS`], when they moved |
//! | index entries that wait in memory are written, so that a start after a kill need not look for them | with those |
//! | what was written is flushed, so that its files can be closed for others | every second, while too many are open |
//! | directories out of use are removed | when their delay is over |
//! | who has fallen behind | half of `replica.lag.time.max.ms` |
//! | retention | `log.retention.check.interval.ms` |
//! | deleted segments are removed | when their delay is over |
//! | silent producers are forgotten | `producer.id.expiration.check.interval.ms` |

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use indexmap::IndexSet;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Broker;
use super::delayed_produce::SWEEP_MS;
use super::replica::Replica;
use crate::io::threads::{self, Service};
use crate::log::DeletedSegments;
use crate::model::{LeaderEpoch, Now, TopicId};

/// How often is asked whether anything but a produce is due, so that a server at rest hardly wakes.
const SLOW_MS: u64 = 1000;

/// How often checkpoints are written. After a crash, at most what was flushed in this time and the page cache is scanned.
pub const CHECKPOINT_MS: u64 = 5000;

/// The service, and what it was told.
pub struct Housekeeper {
    told: Arc<Told>,
    service: Mutex<Option<Service>>,
}

#[derive(Default)]
struct Told {
    /// Each topic once: of a thousand partitions that change, each asks for its topic.
    open: Mutex<IndexSet<TopicId>>,
    is_closing: AtomicBool,
    wake: Arc<Notify>,
}

impl Housekeeper {
    /// One that does not run yet; what it is told waits for it.
    pub fn new() -> Housekeeper {
        Housekeeper { told: Arc::default(), service: Mutex::new(None) }
    }

    /// Has the logs of a new topic opened.
    pub fn open_soon(&self, id: TopicId) {
        self.told.open.lock().insert(id);
        self.told.wake.notify_one();
    }

    /// What wakes the service: there is something to do.
    pub fn wake(&self) -> &Arc<Notify> {
        &self.told.wake
    }

    /// Starts the service. It lives until [`Housekeeper::close`], or until the broker is dropped.
    pub fn start(&self, broker: Weak<Broker>) -> std::io::Result<()> {
        let told = Arc::clone(&self.told);
        let run = async move {
            let mut due = Due::default();
            let mut rest_ms = SWEEP_MS;
            while let Some(open) = told.next(rest_ms).await {
                let Some(broker) = broker.upgrade() else { return };
                for id in open {
                    broker.open_topic(id);
                }
                due.run(&broker, broker.now());
                rest_ms = if broker.delayed_produces().may_rest() { SLOW_MS } else { SWEEP_MS };
            }
        };
        *self.service.lock() = Some(threads::service("housekeeper", || run)?);
        Ok(())
    }

    /// Ends the service and waits for it.
    pub async fn close(&self) {
        self.told.is_closing.store(true, Ordering::Release);
        self.told.wake.notify_one();
        let service = self.service.lock().take();
        if let Some(service) = service {
            service.ended().await;
        }
    }
}

impl Told {
    /// Waits until something may be due, or there is something to do at once; `None` when it closes.
    async fn next(&self, rest_ms: u64) -> Option<IndexSet<TopicId>> {
        // What was told before stands as a permit, so that nothing is missed between the look and the sleep.
        let _ = tokio::time::timeout(Duration::from_millis(rest_ms), self.wake.notified()).await;
        let is_closing = self.is_closing.load(Ordering::Acquire);
        (!is_closing).then(|| std::mem::take(&mut *self.open.lock()))
    }
}

/// When things were done last, by the monotonic clock; nothing is done at once after the start.
#[derive(Default)]
struct Due {
    slow: Timer,
    checkpoint: Timer,
    retention: Timer,
    producers: Timer,
    lag: Timer,
}

#[derive(Default)]
struct Timer {
    last_ms: Option<u64>,
}

impl Timer {
    fn is_due(&mut self, now: Now, every_ms: u64) -> bool {
        let last_ms = *self.last_ms.get_or_insert(now.monotonic_ms);
        let is_due = now.monotonic_ms.saturating_sub(last_ms) >= every_ms;
        if is_due {
            self.last_ms = Some(now.monotonic_ms);
        }
        is_due
    }
}

impl Due {
    fn run(&mut self, broker: &Broker, now: Now) {
        broker.delayed_produces().sweep(now);
        broker.move_leaving(None);
        broker.give_up_failed_directories();
        if !self.slow.is_due(now, SLOW_MS) {
            return;
        }
        broker.remove_what_is_due(now);
        if broker.descriptors.must_flush() {
            broker.flush_for_descriptors();
        }
        if self.checkpoint.is_due(now, CHECKPOINT_MS) {
            broker.write_checkpoints();
        }
        if self.retention.is_due(now, broker.settings.get_u64("log.retention.check.interval.ms")) {
            broker.apply_retention(now);
        }
        // Half of the time, as in Kafka: a follower is found to lag after one and a half of it at the latest.
        if self.lag.is_due(now, broker.cluster.replication.lag_check_interval_ms) {
            broker.check_lag(now);
        }
        if self.producers.is_due(now, broker.settings.get_u64("producer.id.expiration.check.interval.ms")) {
            for replica in broker.replicas.all() {
                replica.with_log(|log, _| log.expire_producers(now));
            }
        }
    }
}

impl Broker {
    /// Brings a log to stable storage now. Blocks. What fails is handled as in the flusher.
    pub(super) fn flush_now(&self, replica: &Replica) {
        let Err(error) = replica.flush() else { return };
        tracing::error!(partition = %replica.topic_partition(), %error, "flush failed");
        if replica.directory().is_poisoned() {
            super::start::take_offline(&self.replicas, &replica.directory());
        }
    }

    /// Ends all service from directories that have failed, wherever that was noticed, and has the controller told.
    fn give_up_failed_directories(&self) {
        if !self.directories.iter().any(|directory| directory.is_poisoned()) {
            return;
        }
        self.fence_failed_directories();
        if self.directories.iter().all(|directory| directory.is_poisoned()) {
            self.end_without_directories();
        } else if self.has_lost_directories(&self.image()) {
            self.wake_heartbeats();
        }
    }

    /// Ends all service from directories that have failed.
    pub(super) fn fence_failed_directories(&self) {
        for directory in self.directories.iter().filter(|directory| directory.is_poisoned()) {
            super::start::take_offline(&self.replicas, directory);
        }
    }

    /// Has everything flushed that is not: a file is closed for another only when it was.
    fn flush_for_descriptors(&self) {
        let (open_files, limit) = (self.descriptors.open_count(), self.descriptors.limit());
        tracing::debug!(open_files, limit, "too many files are open that were written to, flushing");
        for replica in self.replicas.all() {
            if replica.with_log(|log, _| log.needs_flush()) {
                self.flusher.submit(&replica);
            }
        }
    }

    fn check_lag(&self, now: Now) {
        for replica in self.replicas.all() {
            replica.check_lag(now);
        }
    }

    pub(super) fn apply_retention(&self, now: Now) {
        for replica in self.replicas.all() {
            // Asked under the lock: a log that was put out of use has lost its directory's name, perhaps to a new topic.
            let deleted = replica.with_files(|log, published| {
                let is_in_use = replica.check_readable(LeaderEpoch(-1)).is_ok();
                is_in_use.then(|| log.delete_old_segments(now, published.high_watermark))
            });
            let Some(deleted) = deleted else { continue };
            if deleted.as_ref().is_ok_and(|deleted| deleted.waits_for_flush) {
                self.flusher.submit(&replica);
            }
            match deleted {
                Ok(deleted) if deleted.segment_count == 0 => {}
                Ok(deleted) => {
                    let due_ms = now.monotonic_ms.saturating_add(deleted.delay_ms);
                    self.segment_removals.lock().push((due_ms, deleted));
                }
                Err(error) => {
                    tracing::error!(partition = %replica.topic_partition(), %error, "retention failed");
                }
            }
        }
    }

    pub(super) fn remove_what_is_due(&self, now: Now) {
        let segments = take_due(&mut self.segment_removals.lock(), now);
        segments.into_iter().for_each(DeletedSegments::remove);
        for path in take_due(&mut self.removals.lock(), now) {
            if let Err(error) = self.disk.remove_dir_all(&path) {
                tracing::error!(path = %path.display(), %error, "deleted log cannot be removed");
            }
        }
    }
}

/// Takes out what may be removed now.
fn take_due<T>(removals: &mut Vec<(u64, T)>, now: Now) -> Vec<T> {
    removals.extract_if(.., |(due_ms, _)| *due_ms <= now.monotonic_ms).map(|(_, removal)| removal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_whose_partitions_all_change_is_looked_at_once() {
        let housekeeper = Housekeeper::new();
        let id = |number| TopicId(uuid::Uuid::from_u128(number));
        for asked in [2, 1, 2, 2] {
            housekeeper.open_soon(id(asked));
        }
        assert_eq!(housekeeper.told.open.lock().iter().copied().collect::<Vec<_>>(), [id(2), id(1)]);
    }

    #[test]
    fn a_timer_is_due_once_in_each_period_and_not_at_the_start() {
        let mut timer = Timer::default();
        let mut due_at = |monotonic_ms| timer.is_due(Now { wall_ms: 0, monotonic_ms }, 100);
        assert_eq!([50, 149, 150, 151, 249, 250].map(&mut due_at), [false, false, true, false, false, true]);
    }
}
