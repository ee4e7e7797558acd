//! The service that compacts: looks for the dirtiest log, carries one pass over it out, and looks again.
//!
//! Follows `LogCleaner` and `LogCleanerManager.grabFilthiestCompactedLog` of Apache Kafka 4.3.1. A log whose bytes are broken is set
//! aside with a reason until the next start, and the others are cleaned (KAFKA-3894, KAFKA-8764): a cleaner that has ended shows
//! only when the disk is full. A pass that is overtaken, by a new leader that cuts the log or by retention, is given up and begun
//! anew. Memory is what `log.cleaner.dedupe.buffer.size` says, at most, and no more than the log's dirty part can need.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Broker;
use super::replica::Replica;
use super::throttle::Throttle;
use crate::io::random;
use crate::io::threads::{self, Service};
use crate::log::{Cleanable, CompactionError, CompactionLag, Pass, PassOptions, PassOutcome, Step};
use crate::metadata::ConfigResource;
use crate::metrics::CleanerMetrics;
use crate::model::{LeaderEpoch, Now, PartitionIndex, TopicId};

/// How long is waited before it is asked again whether the limit on bytes allows more.
const THROTTLE_PAUSE: Duration = Duration::from_millis(20);
/// A start has better things to do.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The least that is read at once, whatever the buffers are set to.
const IO_BUFFER_BYTES_MIN: usize = 64 * 1024;

type Key = (TopicId, PartitionIndex);

/// See the head of this file.
#[derive(Default)]
pub struct Cleaner {
    state: Mutex<State>,
    throttle: Throttle,
    metrics: CleanerMetrics,
    /// When a thread has looked for work last, by the monotonic clock, in ms.
    looked_ms: AtomicU64,
    is_closing: AtomicBool,
    wake: Notify,
    services: Mutex<Vec<Service>>,
}

#[derive(Default)]
struct State {
    /// Logs that a thread is at.
    busy: BTreeSet<Key>,
    /// Logs that are not cleaned any more, and why.
    set_aside: BTreeMap<Key, String>,
}

/// Why a pass has ended before its end.
enum Ended {
    /// The log is no longer what it was, or serves no more; nothing is wrong with it.
    Overtaken,
    Closing,
    /// There was no room for a new segment.
    DiskFull,
    Failed(String),
}

impl Cleaner {
    pub fn metrics(&self) -> &CleanerMetrics {
        &self.metrics
    }

    /// Logs that are not cleaned any more because something is wrong with them, with what it is.
    pub fn set_aside(&self) -> Vec<(TopicId, PartitionIndex, String)> {
        let state = self.state.lock();
        state.set_aside.iter().map(|((id, partition), reason)| (*id, *partition, reason.clone())).collect()
    }

    /// When a thread has looked for work last, by the monotonic clock, in ms; it does so after each pass and each pause.
    pub fn looked_ms(&self) -> u64 {
        self.looked_ms.load(Ordering::Relaxed)
    }

    /// Has a look taken now.
    pub fn look_now(&self) {
        self.wake.notify_waiters();
    }

    /// Starts as many threads as are wanted and not there.
    fn start_missing(self: &Arc<Cleaner>, broker: &Weak<Broker>, wanted: usize) -> std::io::Result<()> {
        let mut services = self.services.lock();
        while services.len() < wanted && !self.is_closing.load(Ordering::Acquire) {
            let (cleaner, broker, number) = (Arc::clone(self), broker.clone(), services.len());
            let run = async move { cleaner.run(broker, number).await };
            services.push(threads::service(&format!("cleaner-{number}"), || run)?);
        }
        Ok(())
    }

    /// Ends all threads between two steps, and waits for them.
    pub(super) async fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.wake.notify_waiters();
        let services = std::mem::take(&mut *self.services.lock());
        for service in services {
            service.ended().await;
        }
    }

    async fn run(self: Arc<Cleaner>, broker: Weak<Broker>, number: usize) {
        let mut pause = FIRST_PAUSE;
        while self.rest(pause).await {
            let Some(broker_of_now) = broker.upgrade() else { return };
            let limits = Limits::of(&broker_of_now);
            // One thread minds the others: more may be wanted while the broker runs.
            if number == 0
                && let Err(error) = self.start_missing(&broker, limits.thread_count)
            {
                tracing::error!(%error, "no more threads for compaction");
            }
            self.looked_ms.store(broker_of_now.now().monotonic_ms, Ordering::Relaxed);
            let has_worked = number < limits.thread_count && self.clean_dirtiest(&broker_of_now, &limits).await;
            pause = if has_worked { Duration::ZERO } else { limits.backoff };
        }
    }

    /// Waits until it is time for another look; false when the cleaner closes. The broker is not held meanwhile.
    async fn rest(&self, pause: Duration) -> bool {
        // Begun before the look at `is_closing`, so that an end is not missed.
        let woken = self.wake.notified();
        if !pause.is_zero() && !self.is_closing.load(Ordering::Acquire) {
            let _ = tokio::time::timeout(pause, woken).await;
        }
        !self.is_closing.load(Ordering::Acquire)
    }

    /// Cleans one log; false when there was none to clean, or nothing came of it.
    async fn clean_dirtiest(&self, broker: &Arc<Broker>, limits: &Limits) -> bool {
        let now = broker.now();
        let Some((replica, plan)) = self.pick(broker, now) else { return false };
        let key = key_of(&replica);
        let ended = self.clean(broker, &replica, plan, limits, now).await;
        let mut state = self.state.lock();
        state.busy.remove(&key);
        let partition = replica.topic_partition();
        match ended {
            Ok(outcome) => {
                self.metrics.passes.add(1);
                tracing::info!(%partition, ?outcome, "log compacted");
                return true;
            }
            Err(Ended::Overtaken | Ended::Closing) => {}
            Err(Ended::DiskFull) => tracing::warn!(%partition, "no room to compact the log"),
            Err(Ended::Failed(reason)) => {
                self.metrics.failures.add(1);
                tracing::error!(%partition, reason, "log cannot be compacted, and is set aside until the next start");
                state.set_aside.insert(key, reason);
            }
        }
        false
    }

    /// The dirtiest log of those that are due, taken for the caller.
    fn pick(&self, broker: &Broker, now: Now) -> Option<(Arc<Replica>, Cleanable)> {
        let mut best: Option<(f64, Arc<Replica>, Cleanable)> = None;
        let mut state = self.state.lock();
        for replica in broker.replicas().all() {
            let settings = replica.settings();
            let key = key_of(&replica);
            let is_free = !state.busy.contains(&key) && !state.set_aside.contains_key(&key);
            if !settings.log.cleanup_compact || !is_free || replica.check_readable(LeaderEpoch(-1)).is_err() {
                continue;
            }
            let lag = CompactionLag {
                min_ms: settings.topic.min_compaction_lag_ms,
                max_ms: settings.topic.max_compaction_lag_ms,
            };
            let plan = replica.with_log(|log, published| log.cleanable(now, lag, published.last_stable));
            let Some(plan) = plan else { continue };
            let ratio = plan.dirty_ratio();
            let is_due =
                ratio > settings.topic.min_cleanable_dirty_ratio || plan.is_overdue(now, lag).unwrap_or_default();
            if is_due && best.as_ref().is_none_or(|best| ratio > best.0) {
                best = Some((ratio, replica, plan));
            }
        }
        let (_, replica, plan) = best?;
        state.busy.insert(key_of(&replica));
        Some((replica, plan))
    }

    async fn clean(
        &self,
        broker: &Broker,
        replica: &Arc<Replica>,
        plan: Cleanable,
        limits: &Limits,
        now: Now,
    ) -> Result<PassOutcome, Ended> {
        let options = PassOptions {
            now,
            delete_retention_ms: replica.settings().topic.delete_retention_ms,
            map_bytes: limits.map_bytes,
            load_factor: limits.load_factor,
            io_buffer_bytes: limits.io_buffer_bytes,
            seed: random::seed(),
        };
        let mut pass = Pass::new(plan, options);
        self.throttle.set(Some(&limits.bytes_per_second.to_string()));
        let outcome = self.drive(broker, replica, &mut pass).await;
        if outcome.is_err() {
            pass.give_up();
        }
        outcome
    }

    async fn drive(&self, broker: &Broker, replica: &Arc<Replica>, pass: &mut Pass) -> Result<PassOutcome, Ended> {
        let cleaned_log = replica.reader();
        loop {
            if self.is_closing.load(Ordering::Acquire) {
                return Err(Ended::Closing);
            }
            if replica.check_readable(LeaderEpoch(-1)).is_err() || !replica.settings().log.cleanup_compact {
                return Err(Ended::Overtaken);
            }
            let step = catch_unwind(AssertUnwindSafe(|| pass.step()));
            match step.map_err(|_| Ended::Failed("the cleaner panicked".to_owned()))? {
                Ok(Step::Worked { bytes }) => {
                    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                    self.metrics.bytes.add(bytes);
                    self.throttle.charge(broker.now(), bytes);
                }
                Ok(Step::Ready(cleaned)) => {
                    let (before, after) = cleaned.sizes_bytes();
                    match replica.exchange(&cleaned) {
                        Ok(true) => {
                            let saved = usize::try_from(before.saturating_sub(after)).unwrap_or(usize::MAX);
                            self.metrics.bytes_saved.add(saved);
                        }
                        Ok(false) => return Err(Ended::Overtaken),
                        Err(error) => return Err(judge(broker, replica, error.into())),
                    }
                }
                Ok(Step::Done(outcome)) => {
                    // A copy that has taken the log's place meanwhile was made of what was not cleaned yet.
                    if !Arc::ptr_eq(&cleaned_log, &replica.reader()) {
                        return Err(Ended::Overtaken);
                    }
                    replica.with_log(|log, _| log.cleaned_up_to(outcome.cleaned_to));
                    return Ok(outcome);
                }
                Err(error) => return Err(judge(broker, replica, error)),
            }
            // Others on this thread's runtime have their turn, and so has the limit on bytes.
            tokio::task::yield_now().await;
            while self.throttle.is_exceeded(broker.now()) && !self.is_closing.load(Ordering::Acquire) {
                tokio::time::sleep(THROTTLE_PAUSE).await;
            }
        }
    }
}

/// Whose fault an error is. A disk that fails takes its directory offline, as a failed flush does.
fn judge(broker: &Broker, replica: &Replica, error: CompactionError) -> Ended {
    if replica.directory().is_poisoned() {
        super::start::take_offline(broker.replicas(), &replica.directory());
        return Ended::Overtaken;
    }
    if replica.check_readable(LeaderEpoch(-1)).is_err() {
        return Ended::Overtaken;
    }
    if error.is_disk_full() { Ended::DiskFull } else { Ended::Failed(error.to_string()) }
}

fn key_of(replica: &Replica) -> Key {
    (replica.topic_id(), replica.topic_partition().partition)
}

/// The cleaner's settings as of now, of which Kafka lets all but one change while a broker runs.
struct Limits {
    thread_count: usize,
    backoff: Duration,
    map_bytes: usize,
    load_factor: f64,
    io_buffer_bytes: usize,
    bytes_per_second: u64,
}

impl Limits {
    fn of(broker: &Broker) -> Limits {
        let image = broker.image();
        let own = image.configs(&ConfigResource::Broker(broker.node_id()));
        let all = image.configs(&ConfigResource::BrokerDefault);
        let number = |name: &str| -> f64 {
            let dynamic = own.get(name).or(all.get(name)).and_then(|text| text.trim().parse().ok());
            dynamic.unwrap_or_else(|| broker.settings().get_str(name).trim().parse().unwrap_or(0.0))
        };
        // A float beyond the range becomes its end.
        let thread_count = number("log.cleaner.threads") as usize;
        let each = |name: &str| number(name) as usize / thread_count.max(1);
        Limits {
            thread_count,
            backoff: Duration::from_millis(number("log.cleaner.backoff.ms") as u64),
            map_bytes: each("log.cleaner.dedupe.buffer.size"),
            load_factor: number("log.cleaner.io.buffer.load.factor"),
            io_buffer_bytes: (each("log.cleaner.io.buffer.size") / 2).max(IO_BUFFER_BYTES_MIN),
            bytes_per_second: number("log.cleaner.io.max.bytes.per.second") as u64,
        }
    }
}

impl Broker {
    /// What compacts.
    pub fn cleaner(&self) -> &Arc<Cleaner> {
        &self.cleaner
    }

    /// Starts compaction, unless `log.cleaner.enable` says no.
    pub(super) fn start_cleaner(self: &Arc<Broker>) -> std::io::Result<()> {
        if !self.settings.get_bool("log.cleaner.enable") {
            return Ok(());
        }
        // The first is always there: it sees when more are wanted.
        self.cleaner.start_missing(&Arc::downgrade(self), 1)
    }
}
