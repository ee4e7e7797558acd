//! What only a leader keeps: how far each follower has come, and who counts as in sync.
//!
//! Follows `Partition.scala` and `Replica.scala` of Apache Kafka 4.3.1, KIP-497, KIP-841 and KIP-903.
//!
//! **Two in-sync sets.** The *committed* one is what the controller has written; it alone decides whether there are enough
//! replicas. The *maximal* one also holds a follower whose joining was proposed and not answered: the controller may already
//! have written it, so that it may be elected, so that it must hold everything we promise. A shrink counts only once it is
//! committed: the one that leaves may be elected until then.
//!
//! Invariant: at most one proposal is open, and it was made against the partition epoch that is known.

use crate::model::{BrokerId, LeaderEpoch, Now, Offset};

/// A fetch of a follower that names our leader epoch, in a log that does not diverge from ours. Broker epochs are the
/// controller's numbers of registrations; -1 is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    pub follower: BrokerId,
    pub broker_epoch: i64,
    /// Whether the controller would let it join: registered under this broker epoch, neither fenced nor shutting down
    /// (`Partition.isReplicaIsrEligible`).
    pub is_eligible: bool,
    /// It has flushed (or, with the page cache, written) everything below.
    pub offset: Offset,
    pub log_start: Offset,
    pub now: Now,
}

/// A change of the in-sync set that the controller is asked for (AlterPartition).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    /// The wanted set with the broker epoch of each; -1 where we have not heard it. Our own is filled in by the sender.
    pub isr: Vec<(BrokerId, i64)>,
}

#[derive(Clone, Debug)]
struct Follower {
    id: BrokerId,
    /// What it has told us it holds; [`Offset::NONE`] until its first fetch in our epoch.
    reached: Offset,
    log_start: Offset,
    broker_epoch: i64,
    is_eligible: bool,
    /// Our log's end at its last fetch, and when that was: a fetch that reaches it shows that it was caught up then.
    last_fetch_log_end: Offset,
    last_fetch_ms: u64,
    /// When it last held all of our log, by the monotonic clock.
    caught_up_ms: u64,
    /// Outside the in-sync set but caught up lately: the high watermark waits, or it could never be reached.
    is_joining: bool,
}

impl Follower {
    fn new(id: BrokerId, is_in_sync: bool, now: Now, log_end: Offset) -> Follower {
        Follower {
            id,
            reached: Offset::NONE,
            log_start: Offset::NONE,
            broker_epoch: -1,
            is_eligible: false,
            last_fetch_log_end: log_end,
            last_fetch_ms: now.monotonic_ms,
            caught_up_ms: if is_in_sync { now.monotonic_ms } else { 0 },
            is_joining: false,
        }
    }

    /// `ReplicaState.isCaughtUp`.
    fn is_caught_up(&self, log_end: Offset, now: Now, lag_max_ms: u64) -> bool {
        self.reached == log_end || now.monotonic_ms.saturating_sub(self.caught_up_ms) <= lag_max_ms
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Leader {
    id: BrokerId,
    /// The other replicas, in the order of the assignment.
    followers: Vec<Follower>,
    committed: Vec<BrokerId>,
    proposal: Option<Proposal>,
    /// Our log's end when this epoch began: who has not reached it may lack records of an earlier leader.
    epoch_start: Offset,
}

/// The in-sync state of one leader, for those who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InSync {
    pub committed: Vec<BrokerId>,
    pub maximal: Vec<BrokerId>,
}

/// A follower that consumers may be sent to (KIP-392).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCandidate {
    pub id: BrokerId,
    pub reached: Offset,
    /// When it was last seen with all of the log, by the monotonic clock.
    pub caught_up_ms: u64,
}

impl Leader {
    pub fn new(id: BrokerId, isr: Vec<BrokerId>, replicas: &[BrokerId], now: Now, log_end: Offset) -> Leader {
        let mut leader = Leader { id, followers: Vec::new(), committed: isr, proposal: None, epoch_start: log_end };
        leader.assign(replicas, now, log_end);
        leader
    }

    /// The controller has written a newer state of our epoch. An open proposal was made against an older one: it is part of
    /// this one, or can never come true.
    pub fn update(&mut self, isr: Vec<BrokerId>, replicas: &[BrokerId], now: Now, log_end: Offset) {
        self.committed = isr;
        self.proposal = None;
        self.assign(replicas, now, log_end);
    }

    fn assign(&mut self, replicas: &[BrokerId], now: Now, log_end: Offset) {
        // A member of the in-sync set that is in no list would otherwise hold nothing back.
        let extra = self.committed.iter().filter(|member| !replicas.contains(member));
        let wanted = replicas.iter().chain(extra).copied().filter(|id| *id != self.id);
        let followers = wanted.map(|id| {
            let known = self.followers.iter().find(|known| known.id == id).cloned();
            let is_in_sync = self.committed.contains(&id);
            let mut follower = known.unwrap_or_else(|| Follower::new(id, is_in_sync, now, log_end));
            follower.is_joining &= !is_in_sync;
            follower
        });
        self.followers = followers.collect();
    }

    pub fn replica_count(&self) -> usize {
        self.followers.len() + 1
    }

    /// Every replica of the assignment, us among them.
    pub fn in_assignment(&self) -> Vec<BrokerId> {
        std::iter::once(self.id).chain(self.followers.iter().map(|follower| follower.id)).collect()
    }

    pub fn committed(&self) -> &[BrokerId] {
        &self.committed
    }

    pub fn proposal(&self) -> Option<&Proposal> {
        self.proposal.as_ref()
    }

    fn is_maximal(&self, id: BrokerId) -> bool {
        let is_proposed = |proposal: &Proposal| proposal.isr.iter().any(|(member, _)| *member == id);
        self.committed.contains(&id) || self.proposal.as_ref().is_some_and(is_proposed)
    }

    pub fn in_sync(&self) -> InSync {
        let others = self.followers.iter().map(|follower| follower.id);
        let maximal = std::iter::once(self.id).chain(others).filter(|id| self.is_maximal(*id)).collect();
        InSync { committed: self.committed.clone(), maximal }
    }

    /// Followers in sync that hold what lies behind an offset: one that lags would keep a consumer behind with it.
    pub fn read_candidates(&self, offset: Offset) -> Vec<ReadCandidate> {
        let holds = |follower: &&Follower| {
            self.committed.contains(&follower.id) && follower.reached >= offset && follower.log_start <= offset
        };
        let describe = |follower: &Follower| ReadCandidate {
            id: follower.id,
            reached: follower.reached,
            caught_up_ms: follower.caught_up_ms,
        };
        self.followers.iter().filter(holds).map(describe).collect()
    }

    /// Whether all that was there when our epoch began is committed.
    pub fn has_committed_start(&self, high_watermark: Offset) -> bool {
        high_watermark >= self.epoch_start
    }

    /// What our log's end and every member of the maximal set hold.
    pub fn replicated_end(&self, own: Offset) -> Offset {
        let counts = |follower: &&Follower| follower.is_joining || self.is_maximal(follower.id);
        self.followers.iter().filter(counts).fold(own, |end, follower| end.min(follower.reached))
    }

    /// The least log start of this replica and the followers that are alive: below it, no one holds a record any more
    /// (`Partition.lowWatermarkIfLeader`).
    pub fn low_watermark(&self, own: Offset, is_alive: impl Fn(BrokerId) -> bool) -> Offset {
        let alive = self.followers.iter().filter(|follower| is_alive(follower.id));
        alive.fold(own, |low, follower| low.min(follower.log_start))
    }

    /// `Partition.updateFollowerFetchState`. A fetch of an earlier registration of the broker is none: what it says is of a log
    /// that the broker may have lost since (KIP-903). Whether it counts.
    pub fn on_fetch(&mut self, fetch: FollowerFetch, log_end: Offset, lag_max_ms: u64) -> bool {
        let is_in_sync = self.committed.contains(&fetch.follower);
        let Some(follower) = self.followers.iter_mut().find(|follower| follower.id == fetch.follower) else {
            return false;
        };
        if fetch.broker_epoch < follower.broker_epoch {
            return false;
        }
        let now_ms = fetch.now.monotonic_ms;
        if fetch.offset >= log_end {
            follower.caught_up_ms = follower.caught_up_ms.max(now_ms);
        } else if fetch.offset >= follower.last_fetch_log_end {
            follower.caught_up_ms = follower.caught_up_ms.max(follower.last_fetch_ms);
        }
        follower.reached = fetch.offset;
        follower.log_start = fetch.log_start;
        follower.broker_epoch = fetch.broker_epoch;
        follower.is_eligible = fetch.is_eligible;
        follower.last_fetch_log_end = log_end;
        follower.last_fetch_ms = now_ms;
        let is_near = follower.caught_up_ms > 0 && follower.is_caught_up(log_end, fetch.now, lag_max_ms);
        follower.is_joining = !is_in_sync && follower.is_eligible && is_near;
        true
    }

    /// Proposes that a follower join, if it may: it holds everything below the high watermark and everything that was there
    /// when our epoch began (`Partition.maybeExpandIsr`). Whether there is a new proposal.
    pub fn expand(&mut self, id: BrokerId, state: ProposedAt, high_watermark: Offset) -> bool {
        let Some(follower) = self.followers.iter().find(|follower| follower.id == id) else { return false };
        let holds = follower.reached >= high_watermark && follower.reached >= self.epoch_start;
        if self.proposal.is_some() || self.committed.contains(&id) || !follower.is_eligible || !holds {
            return false;
        }
        let members = self.committed.iter().copied().chain([id]).collect();
        self.propose(members, state);
        true
    }

    /// Proposes that those leave who have not caught up for `lag_max_ms` (`Partition.maybeShrinkIsr`), and no longer waits for
    /// those that do not join. Whether there is a new proposal.
    pub fn shrink(&mut self, state: ProposedAt, log_end: Offset, now: Now, lag_max_ms: u64) -> bool {
        for follower in &mut self.followers {
            follower.is_joining &= follower.is_caught_up(log_end, now, lag_max_ms);
        }
        if self.proposal.is_some() {
            return false;
        }
        let lags = |id: &BrokerId| {
            let follower = self.followers.iter().find(|follower| follower.id == *id);
            follower.is_some_and(|follower| !follower.is_caught_up(log_end, now, lag_max_ms))
        };
        let members: Vec<BrokerId> = self.committed.iter().copied().filter(|id| !lags(id)).collect();
        if members.len() == self.committed.len() {
            return false;
        }
        self.propose(members, state);
        true
    }

    /// A broker is fenced or leaves: it is not waited for and does not join before it fetches anew.
    pub fn on_ineligible(&mut self, broker: BrokerId) {
        for follower in self.followers.iter_mut().filter(|follower| follower.id == broker) {
            (follower.is_eligible, follower.is_joining) = (false, false);
        }
    }

    /// The controller has refused and has written nothing: as if nobody had asked.
    pub fn take_back(&mut self) {
        self.proposal = None;
    }

    /// In rising order, as in-sync sets are told by Kafka's leaders once they have changed.
    fn propose(&mut self, mut members: Vec<BrokerId>, state: ProposedAt) {
        members.sort_unstable();
        let epoch_of = |id: BrokerId| {
            let follower = self.followers.iter().find(|follower| follower.id == id);
            follower.map_or(-1, |follower| follower.broker_epoch)
        };
        let isr = members.into_iter().map(|id| (id, epoch_of(id))).collect();
        let ProposedAt { leader_epoch, partition_epoch } = state;
        self.proposal = Some(Proposal { leader_epoch, partition_epoch, isr });
    }

    pub fn invariants(&self) {
        assert!(
            self.committed.iter().all(|id| self.is_maximal(*id)),
            "the maximal in-sync set lost a committed member"
        );
    }
}

/// The state of the partition that a proposal wants to change.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProposedAt {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
}
