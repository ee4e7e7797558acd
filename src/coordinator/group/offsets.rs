//! Committed offsets: kept, committed, fetched, deleted, expired (`OffsetMetadataManager`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::classic::{Group, State};
use super::messages::{
    CommitPartition, CommitRequest, CommitTopicReply, DeleteTopic, FetchRequest, FetchTopic, FetchedPartition,
    FetchedTopic, PartitionError, Reply, TopicErrors,
};
use super::slot::Slot;
use super::timers::{Due, TimerKey};
use super::writes::{Action, Change};
use super::{Coordinator, Outcome};
use crate::model::{ErrorCode, Now, Offset, PartitionIndex, TopicId};
use crate::protocol::extra::consumer_offsets::{OffsetCommit, OffsetKey, Record};

/// How many tombstones one pass over expired offsets or deleted topics writes before it lets others work: their batch
/// stays far below `max.message.bytes`.
const TOMBSTONES_A_PASS_MAX: usize = 1000;

/// From this version on OffsetCommit names a group that is not there (KIP-848).
const FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND: i16 = 9;

type Partitions = BTreeMap<i32, Slot<OffsetCommit>>;

/// All offsets of all groups. A topic or group is here only while one of its partitions is.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    groups: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Partitions>>,
}

impl Offsets {
    pub(super) fn slot_mut(&mut self, group_id: &str, topic: &str, partition: i32) -> &mut Slot<OffsetCommit> {
        if !self.groups.contains_key(group_id) {
            self.groups.insert(group_id.into(), BTreeMap::new());
        }
        let topics = self.groups.get_mut(group_id).expect("inserted just now");
        if !topics.contains_key(topic) {
            topics.insert(topic.into(), BTreeMap::new());
        }
        topics.get_mut(topic).expect("inserted just now").entry(partition).or_default()
    }

    pub(super) fn committed(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, PartitionIndex, Offset)> {
        let topics =
            self.groups.iter().flat_map(|(group, topics)| topics.iter().map(move |(name, of)| (group, name, of)));
        topics.flat_map(|(group, topic, partitions)| {
            let offsets = partitions.iter().filter_map(|(index, slot)| Some((*index, slot.committed()?.offset)));
            offsets.map(move |(index, offset)| (group, topic, PartitionIndex(index), Offset(offset)))
        })
    }

    pub(super) fn clean(&mut self, group_id: &str, topic: &str, partition: i32) {
        let Some(topics) = self.groups.get_mut(group_id) else { return };
        let Some(partitions) = topics.get_mut(topic) else { return };
        if partitions.get(&partition).is_some_and(Slot::is_gone) {
            partitions.remove(&partition);
        }
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.groups.remove(group_id);
        }
    }

    pub(super) fn commit(&mut self, group_id: &str, topic: &str, partition: i32) {
        self.slot_mut(group_id, topic, partition).commit();
        self.clean(group_id, topic, partition);
    }

    pub(super) fn revert(&mut self, group_id: &str, topic: &str, partition: i32) {
        self.slot_mut(group_id, topic, partition).revert();
        self.clean(group_id, topic, partition);
    }

    /// The groups with offsets, as read from the log.
    pub(super) fn group_ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    /// Every partition of a group in the speculative state.
    fn latest(&self, group_id: &str) -> impl Iterator<Item = (&Arc<str>, i32, &OffsetCommit)> {
        let topics = self.groups.get(group_id).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            partitions.iter().filter_map(move |(partition, slot)| Some((topic, *partition, slot.latest()?)))
        })
    }

    fn topic(&self, group_id: &str, topic: &str) -> Option<&Partitions> {
        self.groups.get(group_id)?.get(topic)
    }
}

/// Which of the two states a reader sees.
#[derive(Clone, Copy)]
enum View {
    Committed,
    Latest,
}

impl View {
    fn of<V>(self, slot: &Slot<V>) -> Option<&V> {
        match self {
            View::Committed => slot.committed(),
            View::Latest => slot.latest(),
        }
    }
}

impl<T> Coordinator<T> {
    /// Stores offsets; answered when they are committed. Errors, for all partitions: UNKNOWN_MEMBER_ID,
    /// FENCED_INSTANCE_ID, ILLEGAL_GENERATION, GROUP_ID_NOT_FOUND, REBALANCE_IN_PROGRESS; for one:
    /// OFFSET_METADATA_TOO_LARGE. The empty group id is a group like others here.
    pub fn commit_offsets(&mut self, now: Now, request: CommitRequest, token: T) -> Outcome<T> {
        let mut outcome = Outcome::new();
        if let Err(error) = self.validate_offset_commit(now, &request, &mut outcome) {
            return Outcome::reply(token, Reply::OffsetCommit(errors_for_all(request, error)));
        }
        let expire_timestamp_ms = match request.retention_time_ms {
            -1 => -1,
            retention_ms => now.wall_ms.saturating_add(retention_ms),
        };
        let is_new_group = self.group(&request.group_id).is_none();
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for partition in topic.partitions {
                let index = partition.partition;
                let error = if self.is_metadata_too_large(&partition) {
                    ErrorCode::OffsetMetadataTooLarge
                } else {
                    let key =
                        OffsetKey { group_id: request.group_id.clone(), topic: topic.name.clone(), partition: index };
                    let value = offset_value(partition, now.wall_ms, expire_timestamp_ms, topic.topic_id);
                    self.store(key, Some(value), &mut outcome);
                    ErrorCode::None
                };
                partitions.push(PartitionError { partition: index, error });
            }
            topics.push(CommitTopicReply { name: topic.name, topic_id: topic.topic_id, partitions });
        }
        if is_new_group && !outcome.records.is_empty() {
            // A group of which nothing but offsets is known: Kafka's "simple consumer group".
            self.create_group(now, &request.group_id, &mut outcome);
        }
        outcome.action = Some(Action::Reply { token, reply: Reply::OffsetCommit(topics) });
        self.finish(now, outcome)
    }

    /// `OffsetMetadataManager.validateOffsetCommit`, `ClassicGroup.validateOffsetCommit`.
    fn validate_offset_commit(
        &mut self,
        now: Now,
        request: &CommitRequest,
        outcome: &mut Outcome<T>,
    ) -> Result<(), ErrorCode> {
        let Some(mut turn) = self.turn(now, &request.group_id, outcome) else {
            return match request.generation_id {
                ..0 => Ok(()),
                _ if request.version >= FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND => Err(ErrorCode::GroupIdNotFound),
                _ => Err(ErrorCode::IllegalGeneration),
            };
        };
        let group = &*turn.group;
        if request.generation_id < 0 && group.state == State::Empty {
            // A consumer that assigns partitions to itself.
            return Ok(());
        }
        group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != group.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        if group.state == State::CompletingRebalance {
            // The partitions may belong to another member by now; a consumer that sees this rejoins and commits.
            return Err(ErrorCode::RebalanceInProgress);
        }
        turn.renew_session(&request.member_id);
        Ok(())
    }

    fn is_metadata_too_large(&self, partition: &CommitPartition) -> bool {
        let metadata = partition.metadata.as_deref().unwrap_or_default();
        metadata.encode_utf16().count() > self.options.offset_metadata_max_bytes
    }

    /// Changes an offset in the speculative state, with the record that says so.
    fn store(&mut self, key: OffsetKey, value: Option<OffsetCommit>, outcome: &mut Outcome<T>) {
        self.offsets.slot_mut(&key.group_id, &key.topic, key.partition).set(value.clone());
        let (group_id, topic) = (key.group_id.as_str().into(), key.topic.as_str().into());
        outcome.changes.push(Change::Offset { group_id, topic, partition: key.partition });
        outcome.records.push(Record::Offset { key, value });
    }

    /// Offsets that are committed for sure. Never fails: what is not known has offset -1.
    pub fn fetch_offsets(&self, request: &FetchRequest) -> Vec<FetchedTopic> {
        self.fetch(request, View::Committed)
    }

    /// Offsets as the last commit has them; answered when all that was appended so far is committed, which is what a
    /// client asks for with `require_stable` (`GroupCoordinatorService.fetchOffsets`).
    pub fn fetch_stable_offsets(&mut self, now: Now, request: &FetchRequest, token: T) -> Outcome<T> {
        let topics = self.fetch(request, View::Latest);
        let reply = Reply::OffsetFetch { error: ErrorCode::None, topics };
        self.finish(now, Outcome { action: Some(Action::Reply { token, reply }), ..Outcome::new() })
    }

    fn fetch(&self, request: &FetchRequest, view: View) -> Vec<FetchedTopic> {
        let known = self.groups.get(request.group_id.as_str()).and_then(|slot| view.of(slot)).is_some();
        let Some(asked) = &request.topics else {
            return if known { self.fetch_all(&request.group_id, view) } else { Vec::new() };
        };
        let fetch_one = |topic: &FetchTopic, partition: i32| {
            let partitions = self.offsets.topic(&request.group_id, &topic.name).filter(|_| known)?;
            let commit = view.of(partitions.get(&partition)?)?;
            // An offset of a topic that was deleted and created anew says nothing about the new one.
            let mismatched = commit.topic_id != TopicId::ZERO
                && topic.topic_id != TopicId::ZERO
                && commit.topic_id != topic.topic_id;
            (!mismatched).then_some(commit)
        };
        let fetched = asked.iter().map(|topic| FetchedTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|index| fetched(*index, fetch_one(topic, *index))).collect(),
        });
        fetched.collect()
    }

    fn fetch_all(&self, group_id: &str, view: View) -> Vec<FetchedTopic> {
        let topics = self.offsets.groups.get(group_id).into_iter().flatten();
        let fetched = topics.map(|(topic, partitions)| FetchedTopic {
            name: topic.to_string(),
            topic_id: TopicId::ZERO,
            partitions: partitions
                .iter()
                .filter_map(|(index, slot)| Some(fetched(*index, Some(view.of(slot)?))))
                .collect(),
        });
        fetched.filter(|topic| !topic.partitions.is_empty()).collect()
    }

    /// Forgets offsets (KIP-496). Errors: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP; a partition:
    /// GROUP_SUBSCRIBED_TO_TOPIC.
    pub fn delete_offsets(&mut self, now: Now, group_id: &str, topics: Vec<DeleteTopic>, token: T) -> Outcome<T> {
        let refusal = match self.group(group_id) {
            _ if group_id.is_empty() => Some(ErrorCode::InvalidGroupId),
            None => Some(ErrorCode::GroupIdNotFound),
            // What other protocols than Kafka's consumers subscribed to is unknown.
            Some(group) if group.state != State::Empty && !group.uses_consumer_protocol() => {
                Some(ErrorCode::NonEmptyGroup)
            }
            Some(_) => None,
        };
        if let Some(error) = refusal {
            return Outcome::reply(token, Reply::OffsetDelete { error, topics: Vec::new() });
        }
        let mut outcome = Outcome::new();
        let mut answers = Vec::new();
        for topic in topics {
            let subscribed = self.group(group_id).is_some_and(|group| group.is_subscribed_to(&topic.name));
            let error = if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            for partition in topic.partitions.iter().filter(|_| !subscribed) {
                self.remove_offset(group_id, &topic.name, *partition, &mut outcome);
            }
            let partitions =
                topic.partitions.into_iter().map(|partition| PartitionError { partition, error }).collect();
            answers.push(TopicErrors { name: topic.name, partitions });
        }
        let reply = Reply::OffsetDelete { error: ErrorCode::None, topics: answers };
        outcome.action = Some(Action::Reply { token, reply });
        self.finish(now, outcome)
    }

    /// Writes a tombstone, if there is something to forget.
    fn remove_offset(&mut self, group_id: &str, topic: &str, partition: i32, outcome: &mut Outcome<T>) {
        let known = self.offsets.topic(group_id, topic).and_then(|partitions| partitions.get(&partition)?.latest());
        if known.is_some() {
            let key = OffsetKey { group_id: group_id.to_owned(), topic: topic.to_owned(), partition };
            self.store(key, None, outcome);
        }
    }

    /// Forgets the offsets of a group that match, at most as many as one pass may. Returns whether none was left over.
    fn remove_offsets(
        &mut self,
        group_id: &str,
        outcome: &mut Outcome<T>,
        matches: impl Fn(&str, &OffsetCommit) -> bool,
    ) -> bool {
        let room = TOMBSTONES_A_PASS_MAX.saturating_sub(outcome.records.len());
        let matching = self.offsets.latest(group_id).filter(|(topic, _, commit)| matches(topic, commit));
        let mut found: Vec<_> =
            matching.take(room + 1).map(|(topic, partition, _)| (topic.clone(), partition)).collect();
        let all = found.len() <= room;
        found.truncate(room);
        for (topic, partition) in found {
            self.remove_offset(group_id, &topic, partition, outcome);
        }
        all
    }

    /// Deletes groups with their offsets. Errors, for each: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
    /// Source: `GroupCoordinatorShard.deleteGroups`.
    pub fn delete_groups(&mut self, now: Now, group_ids: Vec<String>, token: T) -> Outcome<T> {
        let mut outcome = Outcome::new();
        let mut answers = Vec::new();
        for group_id in group_ids {
            let error = match self.group(&group_id).map(|group| group.state) {
                None => ErrorCode::GroupIdNotFound,
                Some(State::Empty) => {
                    self.delete_group(&group_id, &mut outcome);
                    ErrorCode::None
                }
                Some(_) => ErrorCode::NonEmptyGroup,
            };
            answers.push((group_id, error));
        }
        outcome.action = Some(Action::Reply { token, reply: Reply::DeleteGroups(answers) });
        self.finish(now, outcome)
    }

    fn delete_group(&mut self, group_id: &str, outcome: &mut Outcome<T>) {
        let offsets: Vec<_> =
            self.offsets.latest(group_id).map(|(topic, partition, _)| (topic.clone(), partition)).collect();
        for (topic, partition) in offsets {
            self.remove_offset(group_id, &topic, partition, outcome);
        }
        self.remove_group(group_id, outcome);
    }

    /// Writes the tombstone of an empty group.
    fn remove_group(&mut self, group_id: &str, outcome: &mut Outcome<T>) {
        let slot = self.groups.get_mut(group_id).expect("only a known group is removed");
        let pending = slot.latest().map(|group| group.pending_join_members.clone()).unwrap_or_default();
        slot.set(None);
        let group: Arc<str> = group_id.into();
        for member in pending {
            self.timers.cancel(&TimerKey::Heartbeat { group: group.clone(), member });
        }
        outcome.changes.push(Change::Group(group));
        outcome.records.push(Record::Group { group_id: group_id.to_owned(), value: None });
    }

    /// Topics were deleted: the offsets committed for them go too, in the passes that `expire` makes
    /// (`OffsetMetadataManager.onTopicsDeleted`). An offset of another topic of the same name stays.
    pub fn topics_deleted(&mut self, now: Now, topics: impl IntoIterator<Item = (String, TopicId)>) {
        self.deleted_topics.extend(topics);
        if !self.deleted_topics.is_empty() {
            self.timers.schedule(TimerKey::TopicDeletion, now.monotonic_ms, Due::Plain);
        }
    }

    pub(super) fn on_topic_deletion_due(&mut self, now: Now) -> Outcome<T> {
        let mut outcome = Outcome::new();
        while let Some((name, topic_id)) = self.deleted_topics.front().cloned() {
            let group_ids: Vec<_> = self.offsets.groups.keys().cloned().collect();
            let all_removed = group_ids.iter().all(|group_id| {
                self.remove_offsets(group_id, &mut outcome, |topic, commit| {
                    topic == name && (commit.topic_id == TopicId::ZERO || commit.topic_id == topic_id)
                })
            });
            if !all_removed {
                self.timers.schedule(TimerKey::TopicDeletion, now.monotonic_ms, Due::Plain);
                break;
            }
            self.deleted_topics.pop_front();
        }
        self.finish(now, outcome)
    }

    pub(super) fn schedule_expiration(&mut self, now: Now) {
        let deadline_ms = now.monotonic_ms.saturating_add(self.options.offsets_retention_check_interval_ms);
        self.timers.schedule(TimerKey::Expiration, deadline_ms, Due::Plain);
    }

    /// Forgets expired offsets, and empty groups that have none left (`GroupCoordinatorShard.cleanupGroupMetadata`).
    pub(super) fn on_expiration_due(&mut self, now: Now) -> Outcome<T> {
        let mut outcome = Outcome::new();
        let from = self.expiry_from.take();
        let group_ids = self.groups.iter().filter(|(_, slot)| slot.latest().is_some()).map(|(group_id, _)| group_id);
        let group_ids: Vec<_> = group_ids.filter(|id| from.as_ref().is_none_or(|from| *id >= from)).cloned().collect();
        for group_id in group_ids {
            if outcome.records.len() >= TOMBSTONES_A_PASS_MAX || !self.expire_group(now, &group_id, &mut outcome) {
                self.expiry_from = Some(group_id);
                self.timers.schedule(TimerKey::Expiration, now.monotonic_ms, Due::Plain);
                return self.finish(now, outcome);
            }
        }
        self.schedule_expiration(now);
        self.finish(now, outcome)
    }

    /// Returns whether the pass had room for all of the group.
    fn expire_group(&mut self, now: Now, group_id: &str, outcome: &mut Outcome<T>) -> bool {
        let group = self.group(group_id).expect("listed just now");
        let Some(condition) = ExpirationCondition::of(group, now.wall_ms, self.options.offsets_retention_ms) else {
            return true;
        };
        let subscribed: Vec<Arc<str>> = {
            let topics = self.offsets.groups.get(group_id).into_iter().flatten().map(|(topic, _)| topic);
            topics.filter(|topic| group.is_subscribed_to(topic)).cloned().collect()
        };
        let is_empty = group.state == State::Empty;
        let all = self.remove_offsets(group_id, outcome, |topic, commit| {
            !subscribed.iter().any(|subscribed| **subscribed == *topic) && condition.is_expired(commit)
        });
        if all && is_empty && self.offsets.latest(group_id).next().is_none() {
            self.remove_group(group_id, outcome);
        }
        all
    }
}

/// From when on an offset has been of no use (`ClassicGroup.offsetExpirationCondition`, KIP-211).
struct ExpirationCondition {
    now_ms: i64,
    retention_ms: i64,
    /// When the group became empty; `None` counts from each commit.
    empty_since_ms: Option<i64>,
}

impl ExpirationCondition {
    /// `None` while nothing of the group may expire.
    fn of<T>(group: &Group<T>, now_ms: i64, retention_ms: i64) -> Option<ExpirationCondition> {
        let empty_since_ms = match group.state {
            _ if group.protocol_type.is_none() => None,
            State::Empty => group.state_timestamp_ms,
            // Topics that nobody in the group reads any more.
            State::Stable if group.subscribed_topics.is_some() => None,
            _ => return None,
        };
        Some(ExpirationCondition { now_ms, retention_ms, empty_since_ms })
    }

    fn is_expired(&self, commit: &OffsetCommit) -> bool {
        if commit.expire_timestamp_ms != -1 {
            return self.now_ms >= commit.expire_timestamp_ms;
        }
        let since_ms = self.empty_since_ms.unwrap_or(commit.commit_timestamp_ms);
        self.now_ms.saturating_sub(since_ms) >= self.retention_ms
    }
}

fn offset_value(partition: CommitPartition, wall_ms: i64, expire_timestamp_ms: i64, topic_id: TopicId) -> OffsetCommit {
    OffsetCommit {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: partition.metadata.unwrap_or_default(),
        commit_timestamp_ms: wall_ms,
        expire_timestamp_ms,
        topic_id,
    }
}

fn errors_for_all(request: CommitRequest, error: ErrorCode) -> Vec<CommitTopicReply> {
    let topics = request.topics.into_iter().map(|topic| CommitTopicReply {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| PartitionError { partition: partition.partition, error })
            .collect(),
    });
    topics.collect()
}

fn fetched(partition: i32, commit: Option<&OffsetCommit>) -> FetchedPartition {
    match commit {
        Some(commit) => FetchedPartition {
            partition,
            offset: commit.offset,
            leader_epoch: commit.leader_epoch,
            metadata: commit.metadata.clone(),
        },
        None => FetchedPartition { partition, offset: -1, leader_epoch: -1, metadata: String::new() },
    }
}
