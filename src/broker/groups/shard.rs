//! One partition's coordinator in the shell: the machine under one mutex, its records to the replica, its replies to who asked.
//!
//! The mutex is held while an event runs and its records are written to the page cache, so that records lie in the log in the
//! order of the events. Replies are sent after it is released. One waiter at a time asks the replica to be told of the high
//! watermark: it fires, and the next is set, as long as something is not committed.
//!
//! Invariant: a panic in the machine ends this shard before the mutex is released; the log is whole, and a new shard reads it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Token;
use super::timers::Timers;
use crate::broker::replica::Replica;
use crate::broker::waiter::Waiter;
use crate::coordinator::group::{Coordinator, Options, Outcome, Reply};
use crate::log::Origin;
use crate::model::{ErrorCode, LeaderEpoch, Now, Offset, ProducerEpoch, ProducerId, Sequence, TopicId};
use crate::partition::RequiredAcks;
use crate::protocol::extra::consumer_offsets::Record;
use crate::protocol::records::RecordBatchBuilder;

/// How many due timers one event may set off under the mutex; the timers' thread does the rest.
const TIMERS_AN_EVENT_MAX: usize = 8;

/// When a load that failed is tried again; twice as late after each further failure.
const LOAD_RETRY_MS: u64 = 1000;
const LOAD_RETRY_MAX_MS: u64 = 60_000;

pub(super) struct Shard {
    replica: Arc<Replica>,
    /// Of the replica when the shard was made; a later one needs a new shard.
    leader_epoch: LeaderEpoch,
    pub(super) options: Options,
    state: Mutex<State>,
    /// How many loads have failed one after the other before this one.
    failed_loads: u32,
    /// When the machine wants to be called again, by the monotonic clock; `u64::MAX` for never.
    deadline_ms: AtomicU64,
    timers: Arc<Timers>,
}

enum State {
    /// With the topics that were deleted meanwhile.
    Loading(Vec<(String, TopicId)>),
    Active(Box<Active>),
    /// Its log could not be read; nobody tries again before this, by the monotonic clock.
    Failed {
        retry_ms: u64,
    },
    Ended,
}

struct Active {
    machine: Coordinator<Token>,
    /// Whether the replica was asked to tell of the high watermark.
    is_waiting: bool,
}

impl Shard {
    pub(super) fn new(replica: Arc<Replica>, options: Options, timers: Arc<Timers>, failed_loads: u32) -> Arc<Shard> {
        let leader_epoch = replica.published().leader_epoch;
        let state = Mutex::new(State::Loading(Vec::new()));
        let deadline_ms = AtomicU64::new(u64::MAX);
        Arc::new(Shard { replica, leader_epoch, options, state, failed_loads, deadline_ms, timers })
    }

    pub(super) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        self.deadline_ms.load(Ordering::Acquire)
    }

    /// Whether the shard is the one for its partition as it is led now. One that could not be loaded is, for a while: every
    /// attempt reads the whole log.
    pub(super) fn is_current(&self, now: Now) -> bool {
        let is_in_use = match *self.state.lock() {
            State::Loading(_) | State::Active(_) => true,
            State::Failed { retry_ms } => now.monotonic_ms < retry_ms,
            State::Ended => false,
        };
        is_in_use && self.replica.check_serving(self.leader_epoch).is_ok()
    }

    /// How many loads have failed one after the other, this one included.
    pub(super) fn failed_loads(&self) -> u32 {
        let has_failed = matches!(*self.state.lock(), State::Failed { .. });
        if has_failed { self.failed_loads.saturating_add(1) } else { 0 }
    }

    /// The log could not be read: refuses everything, and lets another shard try when some time has passed.
    pub(super) fn fail(&self, now: Now) {
        let wait_ms = LOAD_RETRY_MS.saturating_mul(1 << self.failed_loads.min(31)).min(LOAD_RETRY_MAX_MS);
        let mut state = self.state.lock();
        if matches!(*state, State::Loading(_)) {
            *state = State::Failed { retry_ms: now.monotonic_ms.saturating_add(wait_ms) };
        }
    }

    /// Runs one event. Errors: COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE.
    pub(super) fn run(
        self: &Arc<Shard>,
        now: Now,
        event: impl FnOnce(&mut Coordinator<Token>) -> Outcome<Token>,
    ) -> Result<(), ErrorCode> {
        self.with_active(|shard, active, replies| {
            let outcome = event(&mut active.machine);
            shard.carry_out(active, now, outcome, replies);
            shard.run_due(active, now, replies);
        })
    }

    /// Does what is due by the clock.
    pub(super) fn expire(self: &Arc<Shard>, now: Now) {
        // A shard that has ended has no deadline any more; one that is loading has none yet.
        let _ = self.with_active(|shard, active, replies| shard.run_due(active, now, replies));
    }

    pub(super) fn read<R>(&self, question: impl FnOnce(&Coordinator<Token>) -> R) -> Result<R, ErrorCode> {
        match &*self.state.lock() {
            State::Active(active) => Ok(question(&active.machine)),
            State::Loading(_) => Err(ErrorCode::CoordinatorLoadInProgress),
            // As Kafka's coordinator runtime answers for one whose load has failed.
            State::Failed { .. } | State::Ended => Err(ErrorCode::NotCoordinator),
        }
    }

    pub(super) fn topics_deleted(self: &Arc<Shard>, now: Now, topics: impl Iterator<Item = (String, TopicId)>) {
        if let State::Loading(deleted) = &mut *self.state.lock() {
            return deleted.extend(topics);
        }
        let _ = self.with_active(|_, active, _| active.machine.topics_deleted(now, topics));
    }

    /// The log is read: serves from now on.
    pub(super) fn activate(self: &Arc<Shard>, now: Now, mut machine: Coordinator<Token>, end: Offset) {
        {
            let mut state = self.state.lock();
            let State::Loading(deleted) = &mut *state else { return };
            let deleted = std::mem::take(deleted);
            machine.loaded(now, end);
            machine.topics_deleted(now, deleted);
            self.publish_deadline(&machine);
            *state = State::Active(Box::new(Active { machine, is_waiting: false }));
        }
        self.timers.wake_for(self.deadline_ms());
    }

    /// Ends the shard; everyone who waits is told to look for another coordinator.
    pub(super) fn unload(&self) {
        let ended = std::mem::replace(&mut *self.state.lock(), State::Ended);
        self.deadline_ms.store(u64::MAX, Ordering::Release);
        if let State::Active(active) = ended {
            deliver(active.machine.unload());
        }
    }

    fn with_active(
        self: &Arc<Shard>,
        work: impl FnOnce(&Arc<Shard>, &mut Active, &mut Vec<(Token, Reply)>),
    ) -> Result<(), ErrorCode> {
        let mut replies = Vec::new();
        {
            let mut state = self.state.lock();
            let active = match &mut *state {
                State::Active(active) => active,
                State::Loading(_) => return Err(ErrorCode::CoordinatorLoadInProgress),
                State::Failed { .. } | State::Ended => return Err(ErrorCode::NotCoordinator),
            };
            if catch_unwind(AssertUnwindSafe(|| work(self, active, &mut replies))).is_err() {
                tracing::error!(partition = %self.replica.topic_partition(), "an invariant broke: groups are read anew");
                // The machine is in no state to say goodbye: its tokens are dropped, and so their clients told.
                *state = State::Ended;
                self.deadline_ms.store(u64::MAX, Ordering::Release);
                return Err(ErrorCode::CoordinatorNotAvailable);
            }
            self.publish_deadline(&active.machine);
        }
        deliver(replies);
        self.replica.run_completions();
        self.timers.wake_for(self.deadline_ms());
        Ok(())
    }

    fn publish_deadline(&self, machine: &Coordinator<Token>) {
        self.deadline_ms.store(machine.next_deadline().unwrap_or(u64::MAX), Ordering::Release);
    }

    fn run_due(self: &Arc<Shard>, active: &mut Active, now: Now, replies: &mut Vec<(Token, Reply)>) {
        for _ in 0..TIMERS_AN_EVENT_MAX {
            let Some(outcome) = active.machine.expire(now) else { return };
            self.carry_out(active, now, outcome, replies);
        }
    }

    fn carry_out(
        self: &Arc<Shard>,
        active: &mut Active,
        now: Now,
        outcome: Outcome<Token>,
        replies: &mut Vec<(Token, Reply)>,
    ) {
        let Outcome { records, replies: given, .. } = outcome;
        replies.extend(given);
        if records.is_empty() {
            return;
        }
        match self.append(now, &records) {
            Ok(end) => {
                active.machine.appended(now, end);
                self.observe(active, now, replies);
            }
            Err(error) => {
                let partition = self.replica.topic_partition();
                tracing::warn!(%partition, %error, records = records.len(), "records of groups cannot be written");
                replies.extend(active.machine.append_failed(now, error));
            }
        }
    }

    fn append(&self, now: Now, records: &[Record]) -> Result<Offset, ErrorCode> {
        // Kafka builds its coordinators' batches with sequence 0 and no producer (`CoordinatorRuntime.append`).
        let mut batch = RecordBatchBuilder::new(self.leader_epoch, now.wall_ms).producer(
            ProducerId::NONE,
            ProducerEpoch(-1),
            Sequence(0),
        );
        for record in records {
            batch.append(now.wall_ms, Some(&record.key_bytes()), record.value_bytes().as_deref());
        }
        let batch = self.replica.validate(now, batch.build(), Origin::Coordinator).map_err(|error| error.code())?;
        let appended = self.replica.append_quietly(now, &batch, RequiredAcks::All).map_err(|error| error.code())?;
        Ok(appended.required)
    }

    /// Tells the machine of the high watermark, and sees to it that it will be told of the rest.
    fn observe(self: &Arc<Shard>, active: &mut Active, now: Now, replies: &mut Vec<(Token, Reply)>) {
        replies.extend(active.machine.committed(now, self.replica.published().high_watermark));
        let appended = active.machine.writes_appended();
        if active.is_waiting || active.machine.writes_committed() == appended {
            return;
        }
        active.is_waiting = true;
        let shard = Arc::clone(self);
        let told = move |result| shard.on_committed(result);
        self.replica.when_committed(appended, Waiter::Once(Box::new(told)));
    }

    fn on_committed(self: &Arc<Shard>, result: Result<(), ErrorCode>) {
        // With too few replicas in sync the records are in the log still, and are committed when there are enough again.
        if result.is_err_and(|code| code != ErrorCode::NotEnoughReplicasAfterAppend) {
            return self.unload();
        }
        // A shard that has ended meanwhile has answered all who waited.
        let _ = self.with_active(|shard, active, replies| {
            active.is_waiting = false;
            shard.observe(active, shard.timers.now(), replies);
        });
    }
}

fn deliver(replies: Vec<(Token, Reply)>) {
    for (token, reply) in replies {
        // Nobody may be listening any more: the client has gone.
        let _ = token.send(reply);
    }
}
