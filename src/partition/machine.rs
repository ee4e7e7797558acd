//! The machine itself: [`Partition::step`] takes an event and says what follows from it.

use std::collections::VecDeque;

use crate::config::Durability;
use crate::io::bugs::{self, Bug};
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Now, Offset};
use crate::partition::Waiters;
use crate::partition::leader::{FollowerFetch, InSync, Leader, Proposal, ProposedAt, ReadCandidate};

/// When a producer wants its answer. Source: ProduceRequest.json `Acks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredAcks {
    /// No answer at all.
    None,
    /// When the leader has written.
    Leader,
    /// When the whole in-sync set has it: the high watermark has passed.
    All,
}

impl RequiredAcks {
    /// Kafka's numbers: 0, 1 and -1; anything else is INVALID_REQUIRED_ACKS.
    pub fn from_wire(acks: i16) -> Result<RequiredAcks, ErrorCode> {
        match acks {
            0 => Ok(RequiredAcks::None),
            1 => Ok(RequiredAcks::Leader),
            -1 => Ok(RequiredAcks::All),
            _ => Err(ErrorCode::InvalidRequiredAcks),
        }
    }
}

/// The state in which the metadata log makes this replica the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change of the partition's state (KIP-497).
    pub partition_epoch: i32,
    /// The committed in-sync set, us among them.
    pub isr: Vec<BrokerId>,
    /// Every replica, us among them.
    pub replicas: Vec<BrokerId>,
    /// `min.insync.replicas`; more than there are replicas counts as all of them.
    pub min_in_sync: usize,
    pub now: Now,
}

/// Whether a leader may lack what this follower knows to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was elected from those that hold everything: a cut below the high watermark would be a fault.
    Refused,
    /// It may have been elected uncleanly, which gives records up on purpose; the follower follows.
    Accepted,
}

/// What happened to the replica.
#[derive(Debug)]
pub enum Event<W> {
    BecomeLeader(Leadership),
    /// The metadata log made another broker the leader, or nobody.
    BecomeFollower {
        leader_epoch: LeaderEpoch,
        partition_epoch: i32,
        loss: Loss,
    },
    /// The settings changed.
    Configure {
        durability: Durability,
        min_in_sync: usize,
        lag_max_ms: u64,
    },
    /// The log now ends at `log_end`, and is `bytes` longer than before.
    Appended {
        log_end: Offset,
        bytes: u64,
    },
    /// A flush ended: everything below `durable_end` is on stable storage.
    Flushed {
        durable_end: Offset,
    },
    /// A follower has cut its log's end where it left the leader's.
    Truncated {
        log_end: Offset,
    },
    /// A follower has emptied its log, which starts and ends here: the leader no longer has what it lacked.
    RestartedAt {
        offset: Offset,
    },
    /// Retention, a delete or the leader moved the start of the log.
    LogStartMoved {
        log_start: Offset,
    },
    /// The first offset of a transaction that is still open, if there is one.
    FirstUnstable {
        offset: Option<Offset>,
    },
    FollowerFetched(FollowerFetch),
    /// The leader of `leader_epoch` has answered a fetch that did not diverge, and what it sent is appended.
    LeaderAnswered {
        leader_epoch: LeaderEpoch,
        high_watermark: Offset,
    },
    /// A broker was fenced, or is shutting down.
    BrokerIneligible {
        broker: BrokerId,
    },
    /// Time for a look at who has fallen behind.
    Tick {
        now: Now,
    },
    /// The controller has written a proposal, or answers the state that it knows.
    ProposalAccepted {
        leader_epoch: LeaderEpoch,
        partition_epoch: i32,
        isr: Vec<BrokerId>,
        now: Now,
    },
    /// The controller has refused the proposal that was made against `partition_epoch`.
    ProposalRefused {
        partition_epoch: i32,
        code: ErrorCode,
    },
    /// Someone needs to know when everything below `required` is committed.
    Await {
        required: Offset,
        waiter: W,
    },
    /// The replica can serve nobody any more: its disk failed, or it is deleted.
    Fence {
        code: ErrorCode,
    },
}

/// A move of the high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    pub high_watermark: Offset,
    /// Bytes that became readable by it.
    pub bytes: u64,
}

/// What follows from an event. The shell keeps one and clears it: no allocation on the steady path.
#[derive(Debug)]
pub struct Effects<W> {
    /// Waiters that are done, in the order of what they waited for.
    pub completed: Vec<(W, Result<(), ErrorCode>)>,
    /// The last move of the high watermark; bytes add up over several steps.
    pub advanced: Option<Advance>,
    /// Bytes that followers may fetch now.
    pub appended_bytes: u64,
    /// There is a new [`Partition::proposal`] to be sent to the controller.
    pub proposes: bool,
}

impl<W> Default for Effects<W> {
    fn default() -> Effects<W> {
        Effects { completed: Vec::new(), advanced: None, appended_bytes: 0, proposes: false }
    }
}

/// The offsets that readers may see without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    pub log_start: Offset,
    pub last_stable: Offset,
    pub high_watermark: Offset,
    pub log_end: Offset,
    pub leader_epoch: LeaderEpoch,
}

/// A cut would remove what was promised: the replica must stop instead (KAFKA-12460, KAFKA-14704).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log would be cut at {offset}, below the high watermark {high_watermark}")]
pub struct BelowHighWatermark {
    pub offset: Offset,
    pub high_watermark: Offset,
}

enum Role {
    /// Nobody has said yet.
    None,
    Leader(Leader),
    /// `leader_high_watermark` is what the leader of this epoch has told; [`Offset::NONE`] before its first answer without
    /// divergence, since an earlier leader's says nothing about what this one keeps.
    Follower {
        leader_high_watermark: Offset,
        loss: Loss,
    },
}

/// One replica. `W` is whatever the shell needs to find the one who waits.
pub struct Partition<W> {
    id: BrokerId,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    role: Role,
    min_in_sync: usize,
    lag_max_ms: u64,
    durability: Durability,
    log_start: Offset,
    log_end: Offset,
    durable_end: Offset,
    high_watermark: Offset,
    first_unstable: Option<Offset>,
    /// Log ends above the high watermark and the bytes each append added, oldest first.
    uncommitted: VecDeque<(Offset, u64)>,
    waiters: Waiters<W>,
    fence: Option<ErrorCode>,
}

/// Appends above this many are counted together: only the byte count of a partial advance gets coarser.
const UNCOMMITTED_APPENDS_MAX: usize = 1024;

/// Kafka's default of `replica.lag.time.max.ms`, until the settings say otherwise.
pub const LAG_MAX_MS: u64 = 30_000;

/// What the log's opening has found.
#[derive(Clone, Copy, Debug)]
pub struct OpenedLog {
    pub log_start: Offset,
    /// On stable storage, flushed by the recovery.
    pub log_end: Offset,
    /// What the checkpoint says; clamped into the log. [`Offset::ZERO`] when it says nothing.
    pub high_watermark: Offset,
}

impl<W> Partition<W> {
    /// A replica whose log was just opened.
    pub fn new(id: BrokerId, durability: Durability, log: OpenedLog) -> Partition<W> {
        let OpenedLog { log_start, log_end, high_watermark } = log;
        Partition {
            id,
            leader_epoch: LeaderEpoch(-1),
            partition_epoch: -1,
            role: Role::None,
            min_in_sync: 1,
            lag_max_ms: LAG_MAX_MS,
            durability,
            log_start,
            log_end,
            durable_end: log_end,
            high_watermark: high_watermark.clamp(log_start, log_end),
            first_unstable: None,
            uncommitted: VecDeque::new(),
            waiters: Waiters::new(),
            fence: None,
        }
    }

    /// Takes one event. After a panic here the caller must drop the effects and call [`Partition::fence_after_breach`].
    pub fn step(&mut self, event: Event<W>, effects: &mut Effects<W>) {
        match event {
            Event::BecomeLeader(leadership) => self.on_become_leader(leadership, effects),
            Event::BecomeFollower { leader_epoch, partition_epoch, loss } => {
                self.on_become_follower(leader_epoch, partition_epoch, loss);
            }
            Event::Configure { durability, min_in_sync, lag_max_ms } => {
                (self.durability, self.min_in_sync, self.lag_max_ms) = (durability, min_in_sync, lag_max_ms);
            }
            Event::Appended { log_end, bytes } => self.on_appended(log_end, bytes, effects),
            Event::Flushed { durable_end } => self.on_flushed(durable_end),
            Event::Truncated { log_end } => self.on_truncated(log_end),
            Event::RestartedAt { offset } => self.on_restarted(offset),
            Event::LogStartMoved { log_start } => self.on_log_start_moved(log_start),
            Event::FirstUnstable { offset } => self.first_unstable = offset,
            Event::FollowerFetched(fetch) => self.on_follower_fetched(fetch, effects),
            Event::LeaderAnswered { leader_epoch, high_watermark } => {
                self.on_leader_answered(leader_epoch, high_watermark);
            }
            Event::BrokerIneligible { broker } => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.on_ineligible(broker);
                }
            }
            Event::Tick { now } => self.on_tick(now, effects),
            Event::ProposalAccepted { leader_epoch, partition_epoch, isr, now } => {
                self.on_proposal_accepted(leader_epoch, partition_epoch, isr, now, effects);
            }
            Event::ProposalRefused { partition_epoch, code } => self.on_proposal_refused(partition_epoch, code),
            Event::Await { required, waiter } => self.waiters.insert(required, waiter),
            Event::Fence { code } => self.fence = Some(code),
        }
        self.advance_high_watermark(effects);
        match self.refusal() {
            Some(code) => self.refuse_waiters(code, effects),
            None => self.complete_waiters(effects),
        }
        self.invariants();
    }

    /// Whether an append with these acks is allowed now. Errors: NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR,
    /// NOT_ENOUGH_REPLICAS (only for acks=all, as in `Partition.appendRecordsToLeader`).
    pub fn admit(&self, acks: RequiredAcks) -> Result<(), ErrorCode> {
        if let Some(code) = self.refusal() {
            return Err(code);
        }
        if acks == RequiredAcks::All && !self.has_enough_in_sync() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        Ok(())
    }

    /// Kafka's three answers to a client that names the leader epoch it knows; -1 asks for no check
    /// (`Partition.checkCurrentLeaderEpoch`). Errors: FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
    pub fn check_leader_epoch(current: LeaderEpoch, claimed: LeaderEpoch) -> Result<(), ErrorCode> {
        if claimed.0 < 0 || claimed == current {
            return Ok(());
        }
        if claimed < current { Err(ErrorCode::FencedLeaderEpoch) } else { Err(ErrorCode::UnknownLeaderEpoch) }
    }

    /// Whether a follower may cut its log's end at `offset`. The caller stops the replica on an error: what it promised is
    /// worth more than its service.
    pub fn check_truncation(&self, offset: Offset) -> Result<(), BelowHighWatermark> {
        let high_watermark = self.high_watermark;
        if offset >= high_watermark || self.accepts_loss() {
            Ok(())
        } else {
            Err(BelowHighWatermark { offset, high_watermark })
        }
    }

    fn accepts_loss(&self) -> bool {
        let is_unguarded = bugs::is_back(Bug::Kafka12460) || bugs::is_back(Bug::Redpanda17957);
        matches!(self.role, Role::Follower { loss: Loss::Accepted, .. }) || is_unguarded
    }

    /// Why nobody is served here, whoever asks: a failed disk, or a deleted topic.
    pub fn fence(&self) -> Option<ErrorCode> {
        self.fence
    }

    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    pub fn is_follower(&self) -> bool {
        matches!(self.role, Role::Follower { .. })
    }

    /// The change of the in-sync set that the controller has not answered.
    pub fn proposal(&self) -> Option<&Proposal> {
        match &self.role {
            Role::Leader(leader) => leader.proposal(),
            _ => None,
        }
    }

    /// The in-sync sets of a leader.
    pub fn in_sync(&self) -> Option<InSync> {
        match &self.role {
            Role::Leader(leader) => Some(leader.in_sync()),
            _ => None,
        }
    }

    /// What DeleteRecords waits for and answers: below it no replica that is alive holds a record
    /// (`Partition.lowWatermarkIfLeader`). `None` when we do not lead.
    pub fn low_watermark(&self, is_alive: impl Fn(BrokerId) -> bool) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => Some(leader.low_watermark(self.log_start, is_alive)),
            _ => None,
        }
    }

    /// The followers that a consumer at an offset may be sent to; none when we do not lead.
    pub fn read_candidates(&self, offset: Offset) -> Vec<ReadCandidate> {
        match &self.role {
            Role::Leader(leader) => leader.read_candidates(offset),
            _ => Vec::new(),
        }
    }

    /// Whether a leader's high watermark has reached what was there when its epoch began. Until then it may be below what the
    /// leader before it has shown (KIP-207).
    pub fn has_committed_start(&self) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.has_committed_start(self.high_watermark),
            _ => false,
        }
    }

    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    pub fn durability(&self) -> Durability {
        self.durability
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    pub fn waiters_count(&self) -> usize {
        self.waiters.len()
    }

    /// The offset below which no transaction is open: the bound of a read_committed reader. The one place that says so.
    pub fn last_stable_offset(&self) -> Offset {
        match self.first_unstable {
            Some(first) => first.min(self.high_watermark).max(self.log_start),
            None => self.high_watermark,
        }
    }

    pub fn published(&self) -> Published {
        Published {
            log_start: self.log_start,
            last_stable: self.last_stable_offset(),
            high_watermark: self.high_watermark,
            log_end: self.log_end,
            leader_epoch: self.leader_epoch,
        }
    }

    /// Stops a replica whose invariants broke: it serves nobody, its memory stays as evidence, and its waiters are told.
    pub fn fence_after_breach(&mut self, effects: &mut Effects<W>) {
        self.fence = Some(ErrorCode::KafkaStorageError);
        effects.advanced = None;
        effects.appended_bytes = 0;
        self.refuse_waiters(ErrorCode::KafkaStorageError, effects);
    }

    /// Whether a state of the metadata log is news; the answer to a proposal may have come before it.
    fn is_news(&self, leader_epoch: LeaderEpoch, partition_epoch: i32) -> bool {
        // A storage error outlives elections: the directory is not believed again before a restart.
        if self.fence == Some(ErrorCode::KafkaStorageError) {
            return false;
        }
        (leader_epoch, partition_epoch) > (self.leader_epoch, self.partition_epoch) || matches!(self.role, Role::None)
    }

    fn on_become_leader(&mut self, leadership: Leadership, effects: &mut Effects<W>) {
        let Leadership { leader_epoch, partition_epoch, isr, replicas, min_in_sync, now } = leadership;
        if !self.is_news(leader_epoch, partition_epoch) {
            return;
        }
        assert!(leader_epoch >= self.leader_epoch, "a leader epoch never goes back");
        let had_enough = self.has_enough_in_sync();
        match &mut self.role {
            Role::Leader(leader) if leader_epoch == self.leader_epoch => {
                leader.update(isr, &replicas, now, self.log_end);
            }
            role => *role = Role::Leader(Leader::new(self.id, isr, &replicas, now, self.log_end)),
        }
        (self.leader_epoch, self.partition_epoch) = (leader_epoch, partition_epoch);
        self.min_in_sync = min_in_sync;
        self.fence = None;
        self.refuse_if_too_few(had_enough, effects);
    }

    fn on_become_follower(&mut self, leader_epoch: LeaderEpoch, partition_epoch: i32, loss: Loss) {
        if !self.is_news(leader_epoch, partition_epoch) {
            return;
        }
        assert!(leader_epoch >= self.leader_epoch, "a leader epoch never goes back");
        let leader_high_watermark = match &self.role {
            Role::Follower { leader_high_watermark, .. } if leader_epoch == self.leader_epoch => *leader_high_watermark,
            _ => Offset::NONE,
        };
        self.role = Role::Follower { leader_high_watermark, loss };
        (self.leader_epoch, self.partition_epoch) = (leader_epoch, partition_epoch);
        self.fence = None;
    }

    fn on_appended(&mut self, log_end: Offset, bytes: u64, effects: &mut Effects<W>) {
        assert!(log_end >= self.log_end, "an append never shortens the log");
        self.log_end = log_end;
        effects.appended_bytes = effects.appended_bytes.saturating_add(bytes);
        if self.uncommitted.len() < UNCOMMITTED_APPENDS_MAX {
            self.uncommitted.push_back((log_end, bytes));
            return;
        }
        if let Some((last_end, last_bytes)) = self.uncommitted.back_mut() {
            *last_end = log_end;
            *last_bytes = last_bytes.saturating_add(bytes);
        }
    }

    fn on_flushed(&mut self, durable_end: Offset) {
        assert!(durable_end <= self.log_end, "a flush cannot cover more than was written");
        // Rounds may end in another order than they began.
        self.durable_end = self.durable_end.max(durable_end);
    }

    fn on_truncated(&mut self, log_end: Offset) {
        assert!(self.is_follower(), "only a follower cuts its log");
        assert!(log_end >= self.high_watermark || self.accepts_loss(), "a cut never removes what was committed");
        self.log_end = self.log_end.min(log_end);
        self.high_watermark = self.high_watermark.min(self.log_end);
        self.log_start = self.log_start.min(self.log_end);
        self.durable_end = self.durable_end.min(self.log_end);
        while self.uncommitted.back().is_some_and(|(end, _)| *end > self.log_end) {
            self.uncommitted.pop_back();
        }
    }

    fn on_restarted(&mut self, offset: Offset) {
        assert!(self.is_follower(), "only a follower begins its log anew");
        assert!(offset >= self.high_watermark, "a log begun anew never lies below what was committed");
        (self.log_start, self.log_end, self.durable_end, self.high_watermark) = (offset, offset, offset, offset);
        self.uncommitted.clear();
    }

    fn on_log_start_moved(&mut self, log_start: Offset) {
        assert!(log_start <= self.high_watermark, "only committed records are ever deleted");
        self.log_start = self.log_start.max(log_start);
    }

    fn on_follower_fetched(&mut self, fetch: FollowerFetch, effects: &mut Effects<W>) {
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.on_fetch(fetch, self.log_end, self.lag_max_ms) {
            return;
        }
        // The high watermark first: what the fetch itself made committed need not be reached once more.
        self.advance_high_watermark(effects);
        let state = self.proposed_at();
        if let Role::Leader(leader) = &mut self.role {
            effects.proposes |= leader.expand(fetch.follower, state, self.high_watermark);
        }
    }

    fn on_leader_answered(&mut self, leader_epoch: LeaderEpoch, high_watermark: Offset) {
        assert!(leader_epoch == self.leader_epoch, "an answer of another leader epoch is dropped before it comes here");
        if let Role::Follower { leader_high_watermark, .. } = &mut self.role {
            *leader_high_watermark = high_watermark.max(*leader_high_watermark);
        }
    }

    fn on_tick(&mut self, now: Now, effects: &mut Effects<W>) {
        let state = self.proposed_at();
        if let Role::Leader(leader) = &mut self.role {
            effects.proposes |= leader.shrink(state, self.log_end, now, self.lag_max_ms);
        }
    }

    /// `Partition.handleAlterPartitionUpdate`: an answer that is older than what the metadata log has told changes nothing.
    fn on_proposal_accepted(
        &mut self,
        leader_epoch: LeaderEpoch,
        partition_epoch: i32,
        isr: Vec<BrokerId>,
        now: Now,
        effects: &mut Effects<W>,
    ) {
        let had_enough = self.has_enough_in_sync();
        let is_news = leader_epoch == self.leader_epoch && partition_epoch >= self.partition_epoch;
        let Role::Leader(leader) = &mut self.role else { return };
        if !is_news || leader.proposal().is_none() {
            return;
        }
        let replicas = leader.in_assignment();
        leader.update(isr, &replicas, now, self.log_end);
        self.partition_epoch = partition_epoch;
        self.refuse_if_too_few(had_enough, effects);
    }

    /// `Partition.handleAlterPartitionError`: only where the controller has certainly written nothing is the proposal taken
    /// back. In all other cases an earlier sending of it may have been written: the one that was to join keeps holding the high
    /// watermark back until the metadata log has told a newer state.
    fn on_proposal_refused(&mut self, partition_epoch: i32, code: ErrorCode) {
        let Role::Leader(leader) = &mut self.role else { return };
        let is_open = leader.proposal().is_some_and(|proposal| proposal.partition_epoch == partition_epoch);
        if is_open && matches!(code, ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted) {
            leader.take_back();
        }
    }

    fn proposed_at(&self) -> ProposedAt {
        ProposedAt { leader_epoch: self.leader_epoch, partition_epoch: self.partition_epoch }
    }

    /// Why clients' appends are refused, and those who wait for them.
    fn refusal(&self) -> Option<ErrorCode> {
        let role = if self.is_leader() { None } else { Some(ErrorCode::NotLeaderOrFollower) };
        self.fence.or(role)
    }

    /// `Partition.effectiveMinIsr`: no more than there are replicas.
    fn has_enough_in_sync(&self) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.committed().len() >= self.min_in_sync.min(leader.replica_count()),
            _ => false,
        }
    }

    /// The in-sync set has become too small: what was appended and not committed may be lost with the ones that remain, and
    /// nobody knows when that ends, so that those who wait are told (`Partition.checkEnoughReplicasReachOffset`).
    fn refuse_if_too_few(&mut self, had_enough: bool, effects: &mut Effects<W>) {
        if had_enough && !self.has_enough_in_sync() {
            self.complete_waiters(effects);
            self.refuse_waiters(ErrorCode::NotEnoughReplicasAfterAppend, effects);
        }
    }

    fn own_end(&self) -> Offset {
        match self.durability {
            Durability::Flushed => self.durable_end,
            Durability::PageCache => self.log_end,
        }
    }

    /// What is committed as far as this replica can know.
    fn committed_end(&self) -> Offset {
        match &self.role {
            // Under the minimum nothing new is promised, whatever the acks (KIP-966).
            Role::Leader(leader) if self.has_enough_in_sync() => leader.replicated_end(self.own_end()),
            Role::Follower { leader_high_watermark, .. } => self.own_end().min(*leader_high_watermark),
            Role::Leader(_) | Role::None => self.high_watermark,
        }
    }

    fn advance_high_watermark(&mut self, effects: &mut Effects<W>) {
        let end = self.committed_end();
        if end <= self.high_watermark || self.fence.is_some() {
            return;
        }
        let mut bytes = effects.advanced.map_or(0, |earlier| earlier.bytes);
        while let Some((append_end, append_bytes)) = self.uncommitted.front().copied() {
            if append_end > end {
                break;
            }
            bytes = bytes.saturating_add(append_bytes);
            self.uncommitted.pop_front();
        }
        self.high_watermark = end;
        effects.advanced = Some(Advance { high_watermark: end, bytes });
    }

    fn complete_waiters(&mut self, effects: &mut Effects<W>) {
        while let Some(waiter) = self.waiters.pop_reached(self.high_watermark) {
            effects.completed.push((waiter, Ok(())));
        }
    }

    fn refuse_waiters(&mut self, code: ErrorCode, effects: &mut Effects<W>) {
        while let Some(waiter) = self.waiters.pop_any() {
            effects.completed.push((waiter, Err(code)));
        }
    }

    fn invariants(&self) {
        assert!(self.log_start <= self.last_stable_offset(), "log start passed the last stable offset");
        assert!(self.last_stable_offset() <= self.high_watermark, "last stable offset passed the high watermark");
        assert!(self.high_watermark <= self.log_end, "high watermark passed the log end");
        assert!(self.durable_end <= self.log_end, "durable end passed the log end");
        if let Role::Leader(leader) = &self.role {
            leader.invariants();
        }
        if self.refusal().is_none() {
            assert!(self.waiters.is_served(self.high_watermark), "a waiter was left behind");
        }
    }
}
