//! The machine itself: [`Partition::step`] takes an event and says what follows from it.

use std::collections::VecDeque;

use crate::config::Durability;
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Offset};
use crate::partition::Waiters;

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

/// What happened to the replica.
#[derive(Debug)]
pub enum Event<W> {
    /// The metadata log made us the leader; `in_sync` is the committed in-sync set, us among them.
    BecomeLeader { leader_epoch: LeaderEpoch, in_sync: Vec<BrokerId>, min_in_sync: usize },
    /// The topic's settings changed.
    Configure { durability: Durability, min_in_sync: usize },
    /// The log now ends at `log_end`, and is `bytes` longer than before.
    Appended { log_end: Offset, bytes: u64 },
    /// A flush ended: everything below `durable_end` is on stable storage.
    Flushed { durable_end: Offset },
    /// Retention or a delete moved the start of the log.
    LogStartMoved { log_start: Offset },
    /// The first offset of a transaction that is still open, if there is one.
    FirstUnstable { offset: Option<Offset> },
    /// A follower fetched from `offset`: it has flushed (or, with the page cache, written) everything below it.
    FollowerFetched { follower: BrokerId, offset: Offset },
    /// Someone needs to know when everything below `required` is committed.
    Await { required: Offset, waiter: W },
    /// The replica can serve nobody any more: its disk failed, it is deleted, or another leads.
    Fence { code: ErrorCode },
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
}

impl<W> Default for Effects<W> {
    fn default() -> Effects<W> {
        Effects { completed: Vec::new(), advanced: None }
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

#[derive(Debug)]
struct Follower {
    id: BrokerId,
    /// What it has told us it holds; [`Offset::NONE`] until its first fetch in our epoch.
    reached: Offset,
}

/// One replica. `W` is whatever the shell needs to find the one who waits.
pub struct Partition<W> {
    id: BrokerId,
    leader_epoch: LeaderEpoch,
    /// The other members of the maximal in-sync set: each of them holds the high watermark back.
    followers: Vec<Follower>,
    min_in_sync: usize,
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

impl<W> Partition<W> {
    /// A replica whose log was just opened, and flushed by its recovery: it ends at `log_end` on stable storage.
    pub fn new(id: BrokerId, durability: Durability, log_start: Offset, log_end: Offset) -> Partition<W> {
        Partition {
            id,
            leader_epoch: LeaderEpoch(-1),
            followers: Vec::new(),
            min_in_sync: 1,
            durability,
            log_start,
            log_end,
            durable_end: log_end,
            high_watermark: log_start,
            first_unstable: None,
            uncommitted: VecDeque::new(),
            waiters: Waiters::new(),
            fence: Some(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// Takes one event. After a panic here the caller must drop the effects and call [`Partition::fence_after_breach`].
    pub fn step(&mut self, event: Event<W>, effects: &mut Effects<W>) {
        match event {
            Event::BecomeLeader { leader_epoch, in_sync, min_in_sync } => {
                self.on_become_leader(leader_epoch, &in_sync, min_in_sync);
            }
            Event::Configure { durability, min_in_sync } => {
                self.durability = durability;
                self.min_in_sync = min_in_sync;
            }
            Event::Appended { log_end, bytes } => self.on_appended(log_end, bytes),
            Event::Flushed { durable_end } => self.on_flushed(durable_end),
            Event::LogStartMoved { log_start } => self.on_log_start_moved(log_start),
            Event::FirstUnstable { offset } => self.first_unstable = offset,
            Event::FollowerFetched { follower, offset } => self.on_follower_fetched(follower, offset),
            Event::Await { required, waiter } => self.waiters.insert(required, waiter),
            Event::Fence { code } => self.fence = Some(code),
        }
        match self.fence {
            Some(code) => self.refuse_waiters(code, effects),
            None => {
                self.advance_high_watermark(effects);
                self.complete_waiters(effects);
            }
        }
        self.invariants();
    }

    /// Whether an append with these acks is allowed now. Errors: NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR,
    /// NOT_ENOUGH_REPLICAS (only for acks=all, as in `Partition.appendRecordsToLeader`).
    pub fn admit(&self, acks: RequiredAcks) -> Result<(), ErrorCode> {
        if let Some(code) = self.fence {
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

    pub fn fence(&self) -> Option<ErrorCode> {
        self.fence
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
        self.refuse_waiters(ErrorCode::KafkaStorageError, effects);
    }

    fn on_become_leader(&mut self, leader_epoch: LeaderEpoch, in_sync: &[BrokerId], min_in_sync: usize) {
        // A storage error outlives elections: the directory is not believed again before a restart.
        if self.fence == Some(ErrorCode::KafkaStorageError) {
            return;
        }
        assert!(leader_epoch >= self.leader_epoch, "a leader epoch never goes back");
        let id = self.id;
        let others = in_sync.iter().copied().filter(|member| *member != id);
        self.followers = others.map(|id| Follower { id, reached: Offset::NONE }).collect();
        self.leader_epoch = leader_epoch;
        self.min_in_sync = min_in_sync;
        self.fence = None;
    }

    fn on_appended(&mut self, log_end: Offset, bytes: u64) {
        assert!(log_end >= self.log_end, "an append never shortens the log");
        self.log_end = log_end;
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

    fn on_log_start_moved(&mut self, log_start: Offset) {
        assert!(log_start <= self.high_watermark, "only committed records are ever deleted");
        self.log_start = self.log_start.max(log_start);
    }

    fn on_follower_fetched(&mut self, follower: BrokerId, offset: Offset) {
        if let Some(known) = self.followers.iter_mut().find(|known| known.id == follower) {
            known.reached = known.reached.max(offset);
        }
    }

    fn has_enough_in_sync(&self) -> bool {
        self.followers.len() + 1 >= self.min_in_sync
    }

    /// What every member of the in-sync set holds.
    fn replicated_end(&self) -> Offset {
        let own = match self.durability {
            Durability::Flushed => self.durable_end,
            Durability::PageCache => self.log_end,
        };
        self.followers.iter().fold(own, |end, follower| end.min(follower.reached))
    }

    fn advance_high_watermark(&mut self, effects: &mut Effects<W>) {
        let end = self.replicated_end();
        // Under the minimum nothing new is promised, whatever the acks (KIP-966).
        if end <= self.high_watermark || !self.has_enough_in_sync() {
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
        if self.fence.is_none() {
            assert!(self.waiters.is_served(self.high_watermark), "a waiter was left behind");
        }
    }
}
