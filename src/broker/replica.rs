//! A replica in the shell: its log and its machine under one short mutex, and what may be read without it.
//!
//! Nothing blocks under the mutex but the write to the page cache. What the machine decides is published to atomics there, and
//! carried out after the mutex is released: waiting fetches are credited, waiters are told from a queue ([`Completions`]).
//!
//! Invariant: a panic in the machine or the log fences this replica before the mutex is released; the process and all others
//! go on.
//! Lock order: a coordinator's lock, then this one; never two replicas. Waiters run with neither.
//! What a replica does for other replicas of its partition, as their leader or after one, is in `replication`; how its log moves to
//! another directory, in `moving`.

mod moving;
mod replication;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use crate::broker::flusher::{FlushState, Flusher};
use crate::broker::offsets::{PublishedOffsets, PublishedRole};
use crate::broker::outbox::Outbox;
use crate::broker::purgatory::Watchers;
use crate::broker::throttle::Throttled;
use crate::broker::waiter::{Completions, Waiter};
use crate::config::{Durability, TopicConfig};
use crate::io::clock;
use crate::log::{
    AppendError, AppendInfo, CleanedSegment, FlushOutcome, FlushTicket, Log, LogDir, LogError, LogOptions, LogReader,
    Origin, ReadError, ReadRequest, Region, ValidatedBatches, validate,
};
use crate::metrics::{BrokerMetrics, TopicMetrics};
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Now, Offset, TopicId, TopicPartition};
use crate::partition::{Effects, Event, OpenedLog, Partition, Published, RequiredAcks};

pub use moving::{COPY_BYTES, MoveError, MoveNames};
pub use replication::{AppendFetched, Cut, DeleteUpTo, FetchPosition, FollowError, LeaderTold};

/// The answer of a partition that was taken offline by what it was asked to do.
const OFFLINE: AppendRefused = AppendRefused::Replica(ErrorCode::KafkaStorageError);

/// A replica of this broker. Cheap to share; every method may be called from any thread.
pub struct Replica {
    topic_partition: TopicPartition,
    topic_id: TopicId,
    directory: ArcSwap<LogDir>,
    reader: ArcSwap<LogReader>,
    settings: ArcSwap<ReplicaSettings>,
    offsets: PublishedOffsets,
    held: Mutex<Held>,
    completions: Completions,
    watchers: Watchers,
    /// Followers' fetches that wait for the log's end.
    log_end_watchers: Watchers,
    /// DeleteRecords that wait for other replicas.
    low_watermark_watchers: Watchers,
    pub(super) flush_state: FlushState,
    flusher: Arc<Flusher>,
    proposals: Arc<Outbox>,
    metrics: Arc<BrokerMetrics>,
    /// Its topic's, of all partitions here.
    traffic: Arc<TopicMetrics>,
    /// Held while flushing, one flush at a time, and while files of the log are exchanged or removed; true when the log's directory
    /// is no longer in its place.
    flushing: Mutex<bool>,
}

struct Held {
    log: Log,
    machine: Partition<Waiter>,
    effects: Effects<Waiter>,
    /// The log start of the leader that is followed; ours goes there as far as the high watermark lets it.
    leader_log_start: Offset,
    /// What was committed there when it answered last.
    leader_high_watermark: Offset,
    /// How often the log was cut.
    cut_count: u64,
    /// Of the last burst; kept for its capacity.
    outcomes: Vec<Result<AppendInfo, AppendError>>,
}

/// A topic's settings, as the machine and as the log take them.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    pub topic: TopicConfig,
    pub log: Arc<LogOptions>,
    /// `replica.lag.time.max.ms`.
    pub lag_max_ms: u64,
    /// The leaders of the topic that send slowly to followers that are not in sync.
    pub leader_throttled: Throttled,
    /// The followers that take in slowly while they are not in sync.
    pub follower_throttled: Throttled,
}

/// Why nothing was appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefused {
    /// NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS or KAFKA_STORAGE_ERROR.
    #[error("{0}")]
    Replica(ErrorCode),
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl AppendRefused {
    pub const fn code(&self) -> ErrorCode {
        match self {
            AppendRefused::Replica(code) => *code,
            AppendRefused::Log(error) => error.code(),
        }
    }
}

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub info: AppendInfo,
    /// What the high watermark must reach for the records to be committed; for a duplicate, the end of the original.
    pub required: Offset,
    /// Whether it has reached it already.
    pub is_committed: bool,
}

/// What a replica is made of.
pub struct ReplicaParts {
    pub broker_id: BrokerId,
    pub topic_partition: TopicPartition,
    pub topic_id: TopicId,
    pub directory: Arc<LogDir>,
    pub settings: Arc<ReplicaSettings>,
    pub flusher: Arc<Flusher>,
    /// Where changes of the in-sync set are handed to.
    pub proposals: Arc<Outbox>,
    pub metrics: Arc<BrokerMetrics>,
    /// What the checkpoint says; [`Offset::ZERO`] when it says nothing.
    pub high_watermark: Offset,
}

impl Replica {
    /// A replica over a log that was just opened. It serves nobody before [`Replica::lead`].
    pub fn new(parts: ReplicaParts, log: Log) -> Arc<Replica> {
        let ReplicaParts { broker_id, topic_partition, topic_id, directory, settings, flusher, .. } = parts;
        let (log_start, log_end) = (log.log_start_offset(), log.log_end_offset());
        let opened = OpenedLog { log_start, log_end, high_watermark: parts.high_watermark };
        let mut machine = Partition::new(broker_id, settings.topic.acks_durability, opened);
        let mut effects = Effects::default();
        machine.step(configured(&settings), &mut effects);
        let offsets = PublishedOffsets::new(machine.published());
        let (leader_log_start, leader_high_watermark) = (Offset::ZERO, Offset::ZERO);
        let traffic = parts.metrics.topics.of(&topic_partition.topic);
        Arc::new(Replica {
            topic_partition,
            topic_id,
            directory: ArcSwap::new(directory),
            reader: ArcSwap::new(log.reader()),
            settings: ArcSwap::new(settings),
            offsets,
            held: Mutex::new(Held {
                log,
                machine,
                effects,
                leader_log_start,
                leader_high_watermark,
                cut_count: 0,
                outcomes: Vec::new(),
            }),
            completions: Completions::default(),
            watchers: Watchers::default(),
            log_end_watchers: Watchers::default(),
            low_watermark_watchers: Watchers::default(),
            flush_state: FlushState::default(),
            flusher,
            proposals: parts.proposals,
            metrics: parts.metrics,
            traffic,
            flushing: Mutex::new(false),
        })
    }

    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// Where its log lies now.
    pub fn directory(&self) -> Arc<LogDir> {
        self.directory.load_full()
    }

    /// Whether its log lies in this directory now.
    pub fn lies_in(&self, directory: &Arc<LogDir>) -> bool {
        Arc::ptr_eq(&self.directory.load(), directory)
    }

    /// Where its topic's traffic is counted.
    pub fn traffic(&self) -> &TopicMetrics {
        &self.traffic
    }

    pub fn settings(&self) -> Arc<ReplicaSettings> {
        self.settings.load_full()
    }

    /// Reads without the mutex. Callers bound themselves by [`Replica::published`].
    pub fn reader(&self) -> Arc<LogReader> {
        self.reader.load_full()
    }

    /// As [`LogReader::read`]; goes on in the copy when the log has moved to another directory meanwhile.
    pub fn read(&self, request: ReadRequest) -> Result<Option<Region>, ReadError> {
        let reader = self.reader();
        let outcome = reader.read(request);
        match outcome {
            Err(ReadError::Io(_)) if !Arc::ptr_eq(&reader, &self.reader.load()) => self.reader().read(request),
            outcome => outcome,
        }
    }

    /// Consumers' fetches that wait for this partition.
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Followers' fetches that wait for this partition.
    pub fn log_end_watchers(&self) -> &Watchers {
        &self.log_end_watchers
    }

    /// Those who wait for [`Replica::low_watermark`] to move, or for the leadership to end.
    pub fn low_watermark_watchers(&self) -> &Watchers {
        &self.low_watermark_watchers
    }

    /// The offsets as of now, without the mutex.
    pub fn published(&self) -> Published {
        self.offsets.load()
    }

    /// The answer that everybody gets, when it serves nobody any more.
    pub fn fence_code(&self) -> Option<ErrorCode> {
        self.offsets.fenced()
    }

    /// Whether it leads, and at this leader epoch; -1 asks for no check of the epoch. Errors: NOT_LEADER_OR_FOLLOWER,
    /// KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, in the order of `Partition.getLocalLog`.
    pub fn check_serving(&self, claimed: LeaderEpoch) -> Result<(), ErrorCode> {
        match self.check_readable(claimed)? {
            PublishedRole::Leader => Ok(()),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// As [`Replica::check_serving`], but a follower may be read too.
    pub fn check_readable(&self, claimed: LeaderEpoch) -> Result<PublishedRole, ErrorCode> {
        if let Some(code) = self.offsets.fenced() {
            return Err(code);
        }
        let role = self.offsets.role();
        if role == PublishedRole::None {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Partition::<Waiter>::check_leader_epoch(self.offsets.leader_epoch(), claimed)?;
        Ok(role)
    }

    pub fn is_follower(&self) -> bool {
        self.offsets.role() == PublishedRole::Follower
    }

    /// Puts new settings into effect.
    pub fn configure(&self, settings: Arc<ReplicaSettings>) {
        let event = configured(&settings);
        let options = Arc::clone(&settings.log);
        self.settings.store(settings);
        let mut held = self.held.lock();
        held.log.set_options(options);
        self.step(&mut held, event);
        self.finish(held);
        self.run_completions();
    }

    /// Checks batches that lie one behind the other, without the mutex.
    pub fn validate(&self, now: Now, batches: Bytes, origin: Origin) -> Result<ValidatedBatches, AppendError> {
        validate(batches, origin, &self.settings.load().log, now)
    }

    /// Appends a client's batches; waiters that are done by it are told before this returns.
    pub fn append(
        self: &Arc<Replica>,
        now: Now,
        batches: &ValidatedBatches,
        acks: RequiredAcks,
    ) -> Result<Appended, AppendRefused> {
        let appended = self.append_quietly(now, batches, acks);
        self.run_completions();
        appended
    }

    /// As [`Replica::append`], but tells nobody: waiters may need a lock that the caller holds, such as a coordinator's. The
    /// caller calls [`Replica::run_completions`] when it has let go of it.
    pub fn append_quietly(
        self: &Arc<Replica>,
        now: Now,
        batches: &ValidatedBatches,
        acks: RequiredAcks,
    ) -> Result<Appended, AppendRefused> {
        let mut held = self.held.lock();
        let appended = self.contained(&mut held, |held| self.append_held(held, now, batches, acks));
        self.finish(held);
        appended.unwrap_or(Err(OFFLINE))
    }

    /// Appends several requests' batches in one turn of the mutex and, as a rule, one write. Each is judged by itself; its
    /// outcome is told in the order of the requests, under the mutex.
    pub fn append_many(
        self: &Arc<Replica>,
        now: Now,
        requests: &[ValidatedBatches],
        acks: &[RequiredAcks],
        mut each: impl FnMut(Result<Appended, AppendRefused>),
    ) {
        assert_eq!(requests.len(), acks.len(), "each request has its acks");
        let mut told_count = 0;
        let mut tell = |outcome| {
            told_count += 1;
            each(outcome);
        };
        let mut held = self.held.lock();
        self.contained(&mut held, |held| {
            if held.machine.admit(RequiredAcks::All).is_ok() {
                return self.append_admitted(held, now, requests, tell);
            }
            for (request, acks) in requests.iter().zip(acks) {
                tell(self.append_held(held, now, request, *acks));
            }
        });
        self.finish(held);
        // What a panic cut off is not known to be in the log.
        for _ in told_count..requests.len() {
            each(Err(OFFLINE));
        }
        self.run_completions();
    }

    fn append_admitted(
        self: &Arc<Replica>,
        held: &mut Held,
        now: Now,
        requests: &[ValidatedBatches],
        mut each: impl FnMut(Result<Appended, AppendRefused>),
    ) {
        let mut outcomes = std::mem::take(&mut held.outcomes);
        let leader_epoch = held.machine.leader_epoch();
        held.log.append_many(now, leader_epoch, requests, &mut outcomes);
        let (mut records, mut bytes) = (0, 0);
        for (request, outcome) in requests.iter().zip(&outcomes) {
            if let Some(record_count) = new_records(outcome) {
                records += record_count;
                bytes += request.size_bytes();
            }
        }
        self.appended(held, records, bytes);
        for outcome in outcomes.drain(..) {
            each(outcome.map(|info| describe(held, info)).map_err(AppendRefused::from));
        }
        held.outcomes = outcomes;
    }

    fn append_held(
        self: &Arc<Replica>,
        held: &mut Held,
        now: Now,
        batches: &ValidatedBatches,
        acks: RequiredAcks,
    ) -> Result<Appended, AppendRefused> {
        held.machine.admit(acks).map_err(AppendRefused::Replica)?;
        let leader_epoch = held.machine.leader_epoch();
        let outcome = held.log.append_as_leader(now, leader_epoch, batches);
        match new_records(&outcome) {
            Some(records) => self.appended(held, records, batches.size_bytes()),
            None => self.appended(held, 0, 0),
        }
        Ok(describe(held, outcome?))
    }

    /// Tells the machine and the flusher what the log took.
    fn appended(self: &Arc<Replica>, held: &mut Held, records: u64, bytes: usize) {
        if self.directory.load().is_poisoned() {
            self.step(held, Event::Fence { code: ErrorCode::KafkaStorageError });
            return;
        }
        if bytes == 0 {
            return;
        }
        let (log_end, bytes) = (held.log.log_end_offset(), u64::try_from(bytes).unwrap_or(u64::MAX));
        self.traffic.messages_in.add_u64(records);
        self.traffic.bytes_in.add_u64(bytes);
        self.step(held, Event::Appended { log_end, bytes });
        let unflushed = || held.log.log_end_offset() - held.log.durable_end().offset();
        let is_flushed = held.machine.durability() == Durability::Flushed;
        if is_flushed || unflushed() >= self.settings.load().topic.flush_messages {
            self.flusher.submit(self);
        }
    }

    /// Has `waiter` told when everything below `required` is committed, or that it will not be. Never tells it itself, even
    /// if it is done: [`Replica::run_completions`] does, called without locks.
    pub fn when_committed(&self, required: Offset, waiter: Waiter) {
        let mut held = self.held.lock();
        self.step(&mut held, Event::Await { required, waiter });
        self.finish(held);
    }

    /// Tells waiters that are done. Called with no lock held.
    pub fn run_completions(&self) {
        self.completions.run();
    }

    /// Puts what was written on stable storage, without the mutex, and moves the high watermark. Blocks for the disk.
    pub fn flush(&self) -> Result<(), LogError> {
        let is_retired = self.flushing.lock();
        let flushed = self.run_flush(*is_retired).map_or(Ok(()), |outcome| self.take_in_flush(outcome));
        drop(is_retired);
        self.run_completions();
        flushed
    }

    /// The first half of [`Replica::flush`], for a simulation that lets appends and cuts come between the halves.
    #[cfg(feature = "sim")]
    pub fn begin_flush(&self) -> Option<FlushOutcome> {
        self.run_flush(*self.flushing.lock())
    }

    /// The second half.
    #[cfg(feature = "sim")]
    pub fn end_flush(&self, outcome: FlushOutcome) -> Result<(), LogError> {
        let flushed = self.take_in_flush(outcome);
        self.run_completions();
        flushed
    }

    fn run_flush(&self, is_retired: bool) -> Option<FlushOutcome> {
        if is_retired {
            return None;
        }
        let mut held = self.held.lock();
        let ticket = self.contained(&mut held, |held| held.log.flush_ticket());
        self.finish(held);
        ticket.map(|ticket| self.timed(ticket))
    }

    fn take_in_flush(&self, outcome: FlushOutcome) -> Result<(), LogError> {
        let mut held = self.held.lock();
        let flushed = self.contained(&mut held, |held| {
            let durable_end = held.log.flushed(outcome)?;
            self.step(held, Event::Flushed { durable_end: durable_end.offset() });
            self.follow_log_start(held);
            Ok(())
        });
        self.finish(held);
        let flushed = flushed.unwrap_or(Ok(()));
        if flushed.is_err() {
            self.metrics.flush_failures.add(1);
        }
        flushed
    }

    fn timed(&self, ticket: FlushTicket) -> FlushOutcome {
        let start = clock::instant();
        let outcome = ticket.run();
        let time = clock::instant().saturating_duration_since(start);
        self.metrics.flush_time.observe_us(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        outcome
    }

    /// Ends all service, and leaves the log as a clean stop should. Blocks for the disk.
    pub fn close(&self) -> Result<(), LogError> {
        if self.offsets.fenced() == Some(ErrorCode::KafkaStorageError) {
            return Ok(());
        }
        // What waits is told before the door is closed.
        self.flush()?;
        self.fence(ErrorCode::NotLeaderOrFollower);
        let _flushing = self.flushing.lock();
        self.held.lock().log.close()?;
        Ok(())
    }

    /// Ends all service for good, and every flush, and lets no file be opened any more: afterwards the log's directory may be
    /// moved away. Blocks while a flush is running.
    pub fn retire(&self, code: ErrorCode) {
        self.fence(code);
        *self.flushing.lock() = true;
        self.held.lock().log.leave_place();
    }

    /// Ends all service with this answer, and tells everyone who waits.
    pub fn fence(&self, code: ErrorCode) {
        let mut held = self.held.lock();
        self.step(&mut held, Event::Fence { code });
        self.finish(held);
        self.wake_fetches();
        self.run_completions();
    }

    fn wake_fetches(&self) {
        self.watchers.wake_all();
        self.log_end_watchers.wake_all();
        self.low_watermark_watchers.wake_all();
    }

    /// Works on the log under the mutex, for what is rare and short: retention, expiry, queries about producers and epochs.
    /// A log start that moved is published.
    pub fn with_log<R>(&self, work: impl FnOnce(&mut Log, Published) -> R) -> R {
        let mut held = self.held.lock();
        let published = held.machine.published();
        let result = work(&mut held.log, published);
        let log_start = held.log.log_start_offset();
        if log_start > published.log_start {
            self.step(&mut held, Event::LogStartMoved { log_start });
        }
        self.finish(held);
        self.run_completions();
        result
    }

    /// As [`Replica::with_log`], for work that renames or removes files of the log: nothing else does so meanwhile. Waits for a
    /// flush that is running.
    pub fn with_files<R>(&self, work: impl FnOnce(&mut Log, Published) -> R) -> R {
        let _flushing = self.flushing.lock();
        self.with_log(work)
    }

    /// Puts a new segment in the place of those that it was made from; false when the log has changed meanwhile, or serves no
    /// more. Blocks for the disk, without the mutex: readers and producers go on.
    pub fn exchange(&self, cleaned: &CleanedSegment) -> Result<bool, LogError> {
        let is_retired = self.flushing.lock();
        let serves = !*is_retired && self.offsets.fenced().is_none();
        if !serves || !self.held.lock().log.can_exchange(cleaned) {
            cleaned.discard();
            return Ok(false);
        }
        if let Err(error) = cleaned.commit() {
            cleaned.discard();
            return Err(error);
        }
        let mut held = self.held.lock();
        let exchanged = self.contained(&mut held, |held| held.log.exchange(cleaned));
        self.finish(held);
        Ok(exchanged.is_some())
    }

    /// Whether what the log holds beyond its last flush is to be flushed although nobody waits for it. Where flushed records count, a
    /// flush that found no room is tried again. Otherwise, as in Kafka, finished segments are flushed, so that the recovery
    /// point follows, and the rest when `flush.ms` is over.
    pub fn must_flush_by_now(&self, log: &mut Log, now: Now) -> bool {
        let settings = self.settings.load();
        match settings.topic.acks_durability {
            Durability::Flushed => true,
            Durability::PageCache => log.has_unflushed_segment() || log.is_flush_due(now, settings.topic.flush_ms),
        }
    }

    /// Runs work under the mutex. A panic in it takes the partition offline and is answered by `None`: the log may hold half of
    /// a change, and stays as evidence.
    fn contained<R>(&self, held: &mut Held, work: impl FnOnce(&mut Held) -> R) -> Option<R> {
        let result = catch_unwind(AssertUnwindSafe(|| work(held)));
        if result.is_err() {
            tracing::error!(partition = %self.topic_partition, "the log broke a rule of its own: the partition is offline");
            held.machine.fence_after_breach(&mut held.effects);
            self.offsets.fence(held.machine.fence());
        }
        result.ok()
    }

    fn step(&self, held: &mut Held, event: Event<Waiter>) {
        let Held { machine, effects, .. } = held;
        if catch_unwind(AssertUnwindSafe(|| machine.step(event, effects))).is_err() {
            tracing::error!(partition = %self.topic_partition, "an invariant broke: the partition is offline");
            machine.fence_after_breach(effects);
        }
        self.offsets.store(machine.published());
        self.offsets.fence(machine.fence());
        self.offsets.publish_role(match (machine.is_leader(), machine.is_follower()) {
            (true, _) => PublishedRole::Leader,
            (_, true) => PublishedRole::Follower,
            _ => PublishedRole::None,
        });
    }

    /// Carries out what was decided under the mutex, which it releases.
    fn finish(&self, mut held: MutexGuard<'_, Held>) {
        self.completions.push(&mut held.effects.completed);
        let advanced = held.effects.advanced.take();
        let appended_bytes = std::mem::take(&mut held.effects.appended_bytes);
        drop(held);
        if appended_bytes > 0 {
            self.log_end_watchers.credit(appended_bytes);
        }
        if let Some(advance) = advanced {
            self.watchers.credit(advance.bytes);
        }
    }
}

/// How many records an append has brought; `None` when it has brought none, being refused or a duplicate.
fn new_records(outcome: &Result<AppendInfo, AppendError>) -> Option<u64> {
    let info = outcome.as_ref().ok().filter(|info| !info.duplicate)?;
    u64::try_from(info.last_offset.0 - info.first_offset.0 + 1).ok()
}

fn describe(held: &Held, info: AppendInfo) -> Appended {
    let required = info.last_offset + 1;
    Appended { info, required, is_committed: held.machine.high_watermark() >= required }
}

fn configured<W>(settings: &ReplicaSettings) -> Event<W> {
    let (durability, lag_max_ms) = (settings.topic.acks_durability, settings.lag_max_ms);
    Event::Configure { durability, min_in_sync: min_in_sync(&settings.topic), lag_max_ms }
}

fn min_in_sync(config: &TopicConfig) -> usize {
    usize::try_from(config.min_insync_replicas).unwrap_or(1).max(1)
}
