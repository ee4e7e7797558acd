//! The classic group coordinator of one partition of `__consumer_offsets`: membership, rebalances, committed offsets.
//!
//! It follows Kafka 4.3.1's `GroupMetadataManager` (classic groups), `ClassicGroup` and `OffsetMetadataManager`; comments
//! name the method where a rule is not obvious. KIP-62, 211, 345, 394, 429, 496, 814, 848 (records and errors only).
//!
//! How it is driven, always by one caller at a time:
//! 1. an event (`join`, `commit_offsets`, `expire`, …) returns an [`Outcome`]: replies to give at once and records to
//!    append, all or none of them;
//! 2. if there are records, `appended` or `append_failed` must be the very next call: the machine has already changed
//!    its own state (the speculative one), and takes the change back if the append failed;
//! 3. `committed` tells the partition's high watermark and returns the replies that waited for it.
//!
//! Which state is read by whom: requests that write see the speculative state. ListGroups, DescribeGroups and
//! OffsetFetch see committed offsets and committed groups; but what happens inside a group (members, state, generation)
//! is seen at once by all, since Kafka keeps it in memory only and writes it when a rebalance is complete.
//!
//! What is written when: an empty record when a group is first named by JoinGroup, so that the group exists for others;
//! the whole group when the leader's SyncGroup brings the assignment, when a static member comes back under a new id
//! without a rebalance, and when the last member is gone. Not written: joins, heartbeats, leaves; they end in one of
//! the above.
//!
//! Invariants, checked after every event on the group it touched: members awaiting a join are members; an empty group
//! has no members and a stable one a protocol; the committed offset never passes the last one appended.

mod classic;
mod join;
mod leave;
mod load;
mod member;
mod messages;
mod offsets;
mod queries;
mod rebalance;
mod slot;
mod subscription;
mod sync;
mod timers;
mod turn;
mod writes;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::model::{ErrorCode, Now, Offset, TopicId};
use crate::protocol::extra::consumer_offsets::Record;

pub use classic::State;
pub use messages::{
    Assignment, CommitPartition, CommitRequest, CommitTopic, CommitTopicReply, DeleteTopic, DescribedGroup,
    DescribedMember, FetchRequest, FetchTopic, FetchedPartition, FetchedTopic, JoinMember, JoinReply, JoinRequest,
    LeaveReply, LeavingMember, ListedGroup, MemberIdentity, PartitionError, Protocol, Reply, SyncReply, SyncRequest,
    TopicErrors,
};
pub use queries::GroupNumbers;
pub use subscription::subscribed_topics;
pub use timers::TimerKey;

use classic::Group;
use offsets::Offsets;
use slot::Slot;
use timers::Timers;
use writes::{Action, Change, Writes};

/// What the coordinator is told to allow. Times in ms.
#[derive(Clone, Debug)]
pub struct Options {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members before its first rebalance.
    pub initial_rebalance_delay_ms: u64,
    /// How long a new member may wait for its first answer (`CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
    pub new_member_join_timeout_ms: u64,
    /// `group.min.session.timeout.ms`, `group.max.session.timeout.ms`.
    pub session_timeout_ms: std::ops::RangeInclusive<i32>,
    /// `group.max.size`.
    pub group_max_size: usize,
    /// `offset.metadata.max.bytes`; Kafka counts UTF-16 units, and so do we.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in ms.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: u64,
    /// `offsets.commit.timeout.ms`: how long a reply waits for its record to be committed.
    pub commit_timeout_ms: u64,
}

impl Default for Options {
    /// Kafka's defaults (`GroupCoordinatorConfig`).
    fn default() -> Options {
        Options {
            initial_rebalance_delay_ms: 3000,
            new_member_join_timeout_ms: 300_000,
            session_timeout_ms: 6000..=1_800_000,
            group_max_size: usize::try_from(i32::MAX).expect("at least 32 bits"),
            offset_metadata_max_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
            commit_timeout_ms: 5000,
        }
    }
}

/// What an event leads to. `T` says whom a reply is for.
#[derive(Debug)]
#[must_use]
pub struct Outcome<T> {
    /// To append in one batch. When not empty, `appended` or `append_failed` is the next call on the machine.
    pub records: Vec<Record>,
    /// To give now.
    pub replies: Vec<(T, Reply)>,
    /// What the records change in the speculative state, in their order.
    changes: Vec<Change>,
    /// What to do when the records are committed, or cannot be.
    action: Option<Action<T>>,
}

impl<T> Outcome<T> {
    fn new() -> Outcome<T> {
        Outcome { records: Vec::new(), replies: Vec::new(), changes: Vec::new(), action: None }
    }

    fn reply(token: T, reply: Reply) -> Outcome<T> {
        Outcome { replies: vec![(token, reply)], ..Outcome::new() }
    }
}

/// The coordinator of the groups of one partition.
pub struct Coordinator<T> {
    options: Options,
    groups: BTreeMap<Arc<str>, Slot<Group<T>>>,
    offsets: Offsets,
    timers: Timers,
    writes: Writes<T>,
    /// Topics that are gone and whose offsets are still to be removed.
    deleted_topics: VecDeque<(String, TopicId)>,
    /// Where the running pass over expired offsets goes on; `None` between passes.
    expiry_from: Option<Arc<str>>,
}

impl<T> Coordinator<T> {
    /// A coordinator that knows nothing yet: feed it the log with `replay`, then call `loaded`.
    pub fn new(options: Options) -> Coordinator<T> {
        Coordinator {
            options,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            timers: Timers::default(),
            writes: Writes::default(),
            deleted_topics: VecDeque::new(),
            expiry_from: None,
        }
    }

    /// The earliest moment, in monotonic ms, at which `expire` has something to do.
    pub fn next_deadline(&self) -> Option<u64> {
        let held = self.writes.next_deadline();
        let timer = self.timers.next_deadline();
        held.into_iter().chain(timer).min()
    }

    /// Every timer that is set, with its deadline in monotonic ms.
    pub fn timers(&self) -> impl Iterator<Item = (&TimerKey, u64)> {
        self.timers.iter()
    }

    /// The offset to which the high watermark must rise for every held reply to be given, if any is held.
    pub fn held_until(&self) -> Option<Offset> {
        self.writes.held_until()
    }

    /// How many answers wait for a record.
    pub fn held_count(&self) -> usize {
        self.writes.held_count()
    }

    /// The speculative state of a group; `None` when there is none of that name.
    fn group(&self, group_id: &str) -> Option<&Group<T>> {
        self.groups.get(group_id).and_then(Slot::latest)
    }

    /// Brings a group of that name into the speculative state.
    fn create_group(&mut self, now: Now, group_id: &str, outcome: &mut Outcome<T>) {
        let id: Arc<str> = group_id.into();
        let group = Group::new(id.clone(), now.wall_ms);
        self.groups.entry(id.clone()).or_default().set(Some(group));
        outcome.changes.push(Change::Group(id));
    }

    /// Ends an event: what needs no record is answered, or waits for the records before it
    /// (`CoordinatorRuntime.CoordinatorWriteEvent`).
    fn finish(&mut self, now: Now, mut outcome: Outcome<T>) -> Outcome<T> {
        if outcome.records.is_empty() {
            assert!(outcome.changes.is_empty(), "a change of state has a record");
            match outcome.action.take() {
                Some(Action::Reply { token, reply }) if self.writes.nothing_pending() => {
                    outcome.replies.push((token, reply));
                }
                Some(action) => self.writes.hold(now.monotonic_ms + self.options.commit_timeout_ms, action),
                None => {}
            }
            return outcome;
        }
        self.writes.stage(std::mem::take(&mut outcome.changes), outcome.action.take());
        outcome
    }

    /// The group's own invariants; see the room's head. Cheap enough to run in production.
    fn invariants(&self, group_id: &str) {
        if let Some(group) = self.group(group_id) {
            group.invariants();
        }
        self.writes.invariants();
    }
}

/// How Kafka tells a client that its record could not be written
/// (`CoordinatorOperationExceptionHelper.handleOperationException`).
fn append_error_to_response_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}
