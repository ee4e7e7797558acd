//! What a replica does for the others of its partition: as their leader it hears how far they are, as a follower it takes what
//! the leader has and cuts what the leader has not.
//!
//! Every call from another broker names a leader epoch, and is checked against the replica's under the mutex: an answer or a
//! fetch that was on its way while the leader changed does nothing (a delayed one has cut logs elsewhere).

use std::sync::Arc;

use super::{Held, Replica, min_in_sync};
use crate::config::Durability;
use crate::io::bugs::{self, Bug};
use crate::log::{AppendError, LogError, ReplicatedBatches};
use crate::metadata;
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Now, Offset};
use crate::partition::{
    BelowHighWatermark, Event, FollowerFetch, InSync, Leadership, Loss, Proposal, ReadCandidate, RequiredAcks,
};

/// What a leader says of itself beside records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderTold {
    pub high_watermark: Offset,
    pub log_start: Offset,
}

/// Where a follower goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchPosition {
    /// At the log's end, all of which counts as held; with the epoch of the last record, -1 when the log knows none.
    At { offset: Offset, last_fetched_epoch: LeaderEpoch },
    /// Nowhere before the log is flushed: a fetch says that everything below its offset is on stable storage.
    MustFlush,
    /// It does not follow at that epoch.
    None,
}

/// What a follower must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendFetched {
    /// Where to fetch from when everything is flushed.
    pub log_end: Offset,
    /// Whether there is something to flush first.
    pub must_flush: bool,
}

/// What DeleteRecords deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteUpTo {
    /// Everything that is committed.
    HighWatermark,
    /// What lies below an offset.
    Offset(Offset),
}

/// Why a follower did not do what its leader's answer asks for.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The replica follows no more, or another leader, or has moved: the answer is for nobody.
    #[error("the answer is of an earlier assignment")]
    Stale,
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Log(#[from] LogError),
    /// The replica has stopped, and keeps what it has as evidence.
    #[error(transparent)]
    Promised(#[from] BelowHighWatermark),
    #[error("the partition is offline")]
    Offline,
}

/// Where a follower's log is cut or begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub offset: Offset,
    /// Whether nothing is kept: the leader's log begins behind ours.
    pub begins_anew: bool,
}

impl Replica {
    /// Makes this broker the leader, or tells it of a newer state of its leadership.
    pub fn lead(&self, state: &metadata::Partition, now: Now) {
        let leadership = Leadership {
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            isr: state.isr.to_vec(),
            replicas: state.replicas.to_vec(),
            min_in_sync: min_in_sync(&self.settings.load().topic),
            now,
        };
        let mut held = self.held.lock();
        let is_new_epoch = state.leader_epoch > held.machine.leader_epoch();
        if is_new_epoch {
            held.log.begin_epoch(state.leader_epoch);
        }
        self.step(&mut held, Event::BecomeLeader(leadership));
        self.finish(held);
        if is_new_epoch {
            self.wake_fetches();
        }
        // There may be fewer replicas to wait for.
        self.low_watermark_watchers.wake_all();
        self.run_completions();
    }

    /// Makes this broker a follower, or tells it of a newer state. Waiters are told at once.
    pub fn follow(&self, state: &metadata::Partition, loss: Loss) {
        let (leader_epoch, partition_epoch) = (state.leader_epoch, state.partition_epoch);
        let mut held = self.held.lock();
        let is_new_epoch = leader_epoch > held.machine.leader_epoch();
        if is_new_epoch {
            (held.leader_log_start, held.leader_high_watermark) = (Offset::ZERO, Offset::ZERO);
        }
        self.step(&mut held, Event::BecomeFollower { leader_epoch, partition_epoch, loss });
        if is_new_epoch && bugs::is_back(Bug::Kip101) {
            let (offset, now) = (held.machine.high_watermark(), bugs::NO_TIME);
            let _ = self.cut_held(&mut held, now, Cut { offset, begins_anew: false });
        }
        self.finish(held);
        if is_new_epoch {
            self.wake_fetches();
        }
        self.run_completions();
    }

    /// A follower has fetched, in our epoch and without divergence: it holds what lies below its offset.
    pub fn follower_fetched(self: &Arc<Replica>, leader_epoch: LeaderEpoch, fetch: FollowerFetch) {
        let mut held = self.held.lock();
        if held.machine.leader_epoch() != leader_epoch {
            return;
        }
        self.step(&mut held, Event::FollowerFetched(fetch));
        self.hand_on_proposal(&mut held);
        self.finish(held);
        self.low_watermark_watchers.wake_all();
        self.run_completions();
    }

    /// Looks who has fallen behind for too long.
    pub fn check_lag(self: &Arc<Replica>, now: Now) {
        let mut held = self.held.lock();
        self.step(&mut held, Event::Tick { now });
        self.hand_on_proposal(&mut held);
        self.finish(held);
        self.run_completions();
    }

    /// A broker was fenced or is shutting down.
    pub fn broker_ineligible(&self, broker: BrokerId) {
        let mut held = self.held.lock();
        self.step(&mut held, Event::BrokerIneligible { broker });
        self.finish(held);
        self.low_watermark_watchers.wake_all();
        self.run_completions();
    }

    /// The change of the in-sync set that waits for the controller.
    pub fn proposal(&self) -> Option<Proposal> {
        self.held.lock().machine.proposal().cloned()
    }

    /// The in-sync sets, when this replica leads.
    pub fn in_sync(&self) -> Option<InSync> {
        self.held.lock().machine.in_sync()
    }

    /// See [`crate::partition::Partition::read_candidates`].
    pub fn read_candidates(&self, offset: Offset) -> Vec<ReadCandidate> {
        self.held.lock().machine.read_candidates(offset)
    }

    /// See [`crate::partition::Partition::has_committed_start`].
    pub fn has_committed_start(&self) -> bool {
        self.held.lock().machine.has_committed_start()
    }

    /// See [`crate::partition::Partition::low_watermark`].
    pub fn low_watermark(&self, is_alive: impl Fn(BrokerId) -> bool) -> Option<Offset> {
        self.held.lock().machine.low_watermark(is_alive)
    }

    /// Moves the log start up to an offset, or to the high watermark; answers where to. The records go at once for everyone who
    /// reads here, their segments with the next pass of retention. Errors: NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR,
    /// POLICY_VIOLATION where records are kept by key alone, OFFSET_OUT_OF_RANGE (`Partition.deleteRecordsOnLeader`).
    pub fn delete_records(&self, up_to: DeleteUpTo) -> Result<Offset, ErrorCode> {
        let mut held = self.held.lock();
        held.machine.admit(RequiredAcks::Leader)?;
        let options = held.log.options();
        if options.cleanup_compact && !options.cleanup_delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let high_watermark = held.machine.high_watermark();
        let offset = match up_to {
            DeleteUpTo::HighWatermark => high_watermark,
            DeleteUpTo::Offset(offset) => offset,
        };
        if offset < Offset::ZERO || offset > high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let log_start = held.log.advance_log_start_offset(offset, high_watermark);
        self.step(&mut held, Event::LogStartMoved { log_start });
        self.finish(held);
        // Followers are to hear it now, and not when their wait is over.
        self.log_end_watchers.wake_all();
        self.run_completions();
        Ok(offset)
    }

    /// The controller has written the state that a proposal led to.
    pub fn proposal_accepted(&self, leader_epoch: LeaderEpoch, partition_epoch: i32, isr: Vec<BrokerId>, now: Now) {
        let mut held = self.held.lock();
        self.step(&mut held, Event::ProposalAccepted { leader_epoch, partition_epoch, isr, now });
        self.finish(held);
        self.run_completions();
    }

    /// The controller has refused a proposal.
    pub fn proposal_refused(&self, partition_epoch: i32, code: ErrorCode) {
        let mut held = self.held.lock();
        self.step(&mut held, Event::ProposalRefused { partition_epoch, code });
        self.finish(held);
        self.run_completions();
    }

    fn hand_on_proposal(self: &Arc<Replica>, held: &mut Held) {
        if std::mem::take(&mut held.effects.proposes) {
            self.proposals.submit(self);
        }
    }

    /// Where a follower of an epoch's leader goes on.
    pub fn fetch_position(&self, leader_epoch: LeaderEpoch) -> FetchPosition {
        let held = self.held.lock();
        if !follows(&held, leader_epoch) {
            return FetchPosition::None;
        }
        let offset = held.log.log_end_offset();
        if held.machine.durability() == Durability::Flushed && held.log.durable_end().offset() < offset {
            return FetchPosition::MustFlush;
        }
        let last_fetched_epoch = match bugs::is_back(Bug::Kip101) {
            true => LeaderEpoch(-1),
            false => held.log.last_fetched_epoch(),
        };
        FetchPosition::At { offset, last_fetched_epoch }
    }

    /// Appends what the leader of an epoch has sent for `fetch_offset`, and learns what it says of itself: it does so only of an
    /// answer without divergence (KAFKA-14704).
    pub fn append_fetched(
        &self,
        now: Now,
        leader_epoch: LeaderEpoch,
        fetch_offset: Offset,
        batches: &ReplicatedBatches,
        told: LeaderTold,
    ) -> Result<AppendFetched, FollowError> {
        let mut held = self.held.lock();
        let appended = self.contained(&mut held, |held| {
            let mut leader_epoch = leader_epoch;
            if bugs::is_back(Bug::Redpanda17957) && held.machine.is_follower() {
                leader_epoch = held.machine.leader_epoch();
                let _ = self.cut_held(held, now, Cut { offset: fetch_offset, begins_anew: false });
            } else if !follows(held, leader_epoch) || held.log.log_end_offset() != fetch_offset {
                return Err(FollowError::Stale);
            }
            let before = held.log.log_end_offset();
            let appended = held.log.append_as_follower(now, leader_epoch, batches);
            // Also after an error: batches before it may be in the log.
            let log_end = held.log.log_end_offset();
            if log_end > before {
                let bytes = u64::try_from(batches.size_bytes()).unwrap_or(u64::MAX);
                self.step(held, Event::Appended { log_end, bytes });
            }
            if self.directory.load().is_poisoned() {
                self.step(held, Event::Fence { code: ErrorCode::KafkaStorageError });
            }
            appended?;
            self.step(held, Event::LeaderAnswered { leader_epoch, high_watermark: told.high_watermark });
            held.leader_log_start = held.leader_log_start.max(told.log_start);
            held.leader_high_watermark = told.high_watermark;
            self.follow_log_start(held);
            let must_flush = held.machine.durability() == Durability::Flushed && held.log.needs_flush();
            Ok(AppendFetched { log_end, must_flush })
        });
        self.finish(held);
        appended.unwrap_or(Err(FollowError::Offline))
    }

    /// Committed records of the leader that this follower lacks, by what it told last; 0 for a leader.
    pub fn follower_lag(&self) -> i64 {
        let held = self.held.lock();
        let lag = held.leader_high_watermark - held.log.log_end_offset();
        if held.machine.is_follower() { lag.max(0) } else { 0 }
    }

    /// Moves the log start to the leader's, as far as is committed here.
    pub(super) fn follow_log_start(&self, held: &mut Held) {
        if !held.machine.is_follower() || held.leader_log_start <= held.log.log_start_offset() {
            return;
        }
        let high_watermark = held.machine.high_watermark();
        let log_start = held.log.advance_log_start_offset(held.leader_log_start, high_watermark);
        self.step(held, Event::LogStartMoved { log_start });
    }

    /// Up to where the log is on stable storage.
    pub fn durable_end(&self) -> Offset {
        self.held.lock().log.durable_end().offset()
    }

    /// Where the log must be cut when the leader of an epoch answers that ours leaves its own: see
    /// [`crate::log::Log::truncation_offset`]. Nothing is cut here.
    pub fn divergence(
        &self,
        leader_epoch: LeaderEpoch,
        fetch_offset: Offset,
        of: (LeaderEpoch, Offset),
    ) -> Option<Cut> {
        let held = self.held.lock();
        let is_current = follows(&held, leader_epoch) && held.log.log_end_offset() == fetch_offset;
        let offset = match bugs::is_back(Bug::Kip279) {
            true => of.1.min(held.log.log_end_offset()),
            false => held.log.truncation_offset(of.0, of.1),
        };
        is_current.then_some(Cut { offset, begins_anew: false })
    }

    /// Where the log will end after a cut.
    pub fn end_after(&self, cut: Cut) -> Result<Offset, FollowError> {
        if cut.begins_anew {
            return Ok(cut.offset);
        }
        Ok(self.held.lock().log.end_after_cut(cut.offset)?)
    }

    /// Cuts the log, and flushes the cut. Below the high watermark nothing is cut: the replica stops. Blocks. The caller has
    /// lowered the recovery point, and keeps it from being written meanwhile.
    pub fn cut(&self, now: Now, leader_epoch: LeaderEpoch, cut: Cut) -> Result<(), FollowError> {
        // A flush under way would write the old epochs over the new.
        let is_retired = self.flushing.lock();
        if *is_retired {
            return Err(FollowError::Stale);
        }
        let mut held = self.held.lock();
        let outcome = self.contained(&mut held, |held| {
            if !follows(held, leader_epoch) {
                return Err(FollowError::Stale);
            }
            self.cut_held(held, now, cut)
        });
        self.finish(held);
        let outcome = outcome.unwrap_or(Err(FollowError::Offline));
        if matches!(outcome, Err(FollowError::Log(_) | FollowError::Promised(_))) {
            drop(is_retired);
            self.fence(ErrorCode::KafkaStorageError);
        }
        outcome
    }

    fn cut_held(&self, held: &mut Held, now: Now, cut: Cut) -> Result<(), FollowError> {
        held.machine.check_truncation(cut.offset)?;
        held.cut_count += 1;
        let high_watermark = held.machine.high_watermark();
        if cut.offset < high_watermark {
            let partition = &self.topic_partition;
            tracing::error!(%partition, offset = %cut.offset, %high_watermark, "committed records go: the leader was elected uncleanly");
        }
        if cut.begins_anew {
            held.log.truncate_fully_and_start_at(cut.offset, now)?;
            self.step(held, Event::RestartedAt { offset: cut.offset });
            return Ok(());
        }
        held.log.truncate_to(cut.offset, now)?;
        if bugs::is_back(Bug::Kip279) {
            held.log.begin_epoch(held.machine.leader_epoch());
        }
        let log_end = held.log.log_end_offset();
        self.step(held, Event::Truncated { log_end });
        Ok(())
    }
}

fn follows(held: &Held, leader_epoch: LeaderEpoch) -> bool {
    held.machine.is_follower() && held.machine.leader_epoch() == leader_epoch && held.machine.fence().is_none()
}
