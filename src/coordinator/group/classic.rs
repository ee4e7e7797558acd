//! A classic group: its state, members and votes (`ClassicGroup`). Decides nothing about time, records or answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use super::member::Member;
use super::messages::{DescribedGroup, JoinMember, JoinRequest, ListedGroup};
use super::subscription::subscribed_topics;
use crate::model::ErrorCode;
use crate::protocol::extra::consumer_offsets::{GroupMetadata, Record};

/// The protocol type of Kafka's consumers (`ConsumerProtocol.PROTOCOL_TYPE`).
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Where a group is in its life (`ClassicGroupState`). Kafka's fifth, Dead, is a group that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No members; perhaps committed offsets.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// All have joined; the leader assigns.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl State {
    /// Kafka's name, as in DescribeGroups.
    pub const fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    fn may_become(self, next: State) -> bool {
        match next {
            State::Empty | State::CompletingRebalance => self == State::PreparingRebalance,
            State::PreparingRebalance => self != State::PreparingRebalance,
            State::Stable => self == State::CompletingRebalance,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug)]
pub(super) struct Group<T> {
    pub(super) id: Arc<str>,
    pub(super) state: State,
    /// Whether the rebalance being prepared is the first of an empty group.
    pub(super) is_initial_rebalance: bool,
    /// Wall time of the last change of state; `None` for groups read from records that do not tell.
    pub(super) state_timestamp_ms: Option<i64>,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) generation_id: i32,
    pub(super) leader_id: Option<Arc<str>>,
    /// In the order in which they came, which is also the order of succession of the leader.
    pub(super) members: IndexMap<Arc<str>, Member<T>>,
    /// Instance id to member id.
    pub(super) static_members: BTreeMap<String, Arc<str>>,
    /// Ids given out with MEMBER_ID_REQUIRED whose members have not come back yet (KIP-394).
    pub(super) pending_join_members: BTreeSet<Arc<str>>,
    pub(super) awaiting_join_count: usize,
    /// Members that have had this generation's JoinGroup answer and not yet sent SyncGroup.
    pub(super) pending_sync_members: BTreeSet<Arc<str>>,
    /// `None` when unknown: not a group of consumers, or metadata that cannot be read.
    pub(super) subscribed_topics: Option<BTreeSet<String>>,
    pub(super) new_member_added: bool,
    /// The leader has sent this generation's assignment, and its record is on its way.
    pub(super) assignment_pending: bool,
}

impl<T> Group<T> {
    pub(super) fn new(id: Arc<str>, wall_ms: i64) -> Group<T> {
        Group {
            id,
            state: State::Empty,
            is_initial_rebalance: false,
            state_timestamp_ms: Some(wall_ms),
            protocol_type: None,
            protocol_name: None,
            generation_id: 0,
            leader_id: None,
            members: IndexMap::new(),
            static_members: BTreeMap::new(),
            pending_join_members: BTreeSet::new(),
            awaiting_join_count: 0,
            pending_sync_members: BTreeSet::new(),
            subscribed_topics: None,
            new_member_added: false,
            assignment_pending: false,
        }
    }

    /// As read from the log (`GroupMetadataManager.replay(GroupMetadataKey, GroupMetadataValue)`).
    pub(super) fn loaded(id: Arc<str>, value: GroupMetadata) -> Group<T> {
        let mut group = Group::new(id, 0);
        group.state_timestamp_ms = Some(value.current_state_timestamp_ms).filter(|timestamp_ms| *timestamp_ms != -1);
        group.state = if value.members.is_empty() { State::Empty } else { State::Stable };
        group.protocol_type = Some(value.protocol_type).filter(|protocol_type| !protocol_type.is_empty());
        group.protocol_name = value.protocol;
        group.generation_id = value.generation;
        group.leader_id = value.leader.map(Arc::from);
        for member in value.members {
            let member = Member::loaded(member, group.protocol_name.as_deref());
            if let Some(instance_id) = member.group_instance_id.clone() {
                group.static_members.insert(instance_id, member.member_id.clone());
            }
            group.members.insert(member.member_id.clone(), member);
        }
        let leader_is_here = group.leader_id.as_ref().is_some_and(|leader| group.members.contains_key(leader));
        if !leader_is_here {
            group.leader_id = group.members.keys().next().cloned();
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    pub(super) fn invariants(&self) {
        let is_empty = self.members.is_empty();
        assert!(self.awaiting_join_count <= self.members.len(), "only members await a join");
        assert!(self.static_members.len() <= self.members.len(), "static members are members");
        assert_eq!(self.leader_id.is_none(), is_empty, "a group with members has a leader");
        match self.state {
            State::Empty => assert!(is_empty, "an empty group has no members"),
            // The last member may have left while others were about to come back with their new id.
            State::PreparingRebalance => {}
            State::CompletingRebalance | State::Stable => {
                assert!(!is_empty, "a group that assigns has members");
                assert!(self.protocol_name.is_some(), "a group that assigns has a protocol");
            }
        }
    }

    pub(super) fn transition_to(&mut self, state: State, wall_ms: i64) {
        assert!(self.state.may_become(state), "group {} goes from {} to {state}", self.id, self.state);
        self.is_initial_rebalance = self.state == State::Empty;
        self.assignment_pending = false;
        self.state = state;
        self.state_timestamp_ms = Some(wall_ms);
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader_id.as_deref() == Some(member_id)
    }

    pub(super) fn leader(&self) -> String {
        self.leader_id.as_deref().unwrap_or_default().to_owned()
    }

    pub(super) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Members must not have committed offsets deleted under them: unknown subscriptions count as all topics
    /// (`ClassicGroup.isSubscribedToTopic`).
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    /// Takes in a member; the caller has checked that its protocols fit.
    pub(super) fn add(&mut self, member: Member<T>, protocol_type: &str) {
        if let Some(instance_id) = member.group_instance_id.clone() {
            let existing = self.static_members.insert(instance_id, member.member_id.clone());
            assert!(existing.is_none(), "an instance id has one member");
        }
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        self.leader_id.get_or_insert_with(|| member.member_id.clone());
        self.awaiting_join_count += usize::from(member.awaiting_join.is_some());
        self.pending_join_members.remove(&member.member_id);
        let existing = self.members.insert(member.member_id.clone(), member);
        assert!(existing.is_none(), "a member id is given once");
    }

    /// Takes a member, or an id that was only given out, from the group; the oldest member left succeeds a leader.
    pub(super) fn remove(&mut self, member_id: &str) -> Option<Member<T>> {
        let removed = self.members.shift_remove(member_id);
        if let Some(member) = &removed {
            self.awaiting_join_count -= usize::from(member.awaiting_join.is_some());
            if let Some(instance_id) = &member.group_instance_id {
                self.static_members.remove(instance_id);
            }
        }
        if self.is_leader(member_id) {
            self.leader_id = self.members.keys().next().cloned();
        }
        self.pending_join_members.remove(member_id);
        self.pending_sync_members.remove(member_id);
        removed
    }

    /// Lets a static member go on under another id; requests that waited under the old one stay with the member.
    pub(super) fn rename_static_member(&mut self, old_member_id: &str, new_member_id: &Arc<str>) {
        let mut old = self.members.shift_remove(old_member_id).expect("a static member is a member");
        let new = old.renamed(new_member_id.clone());
        let instance_id = new.group_instance_id.clone().expect("a static member has an instance id");
        self.static_members.insert(instance_id, new_member_id.clone());
        if self.is_leader(old_member_id) {
            self.leader_id = Some(new_member_id.clone());
        }
        // Kafka leaves the old id here and rebalances when it does not sync; nobody would ever sync under that id.
        if self.pending_sync_members.remove(old_member_id) {
            self.pending_sync_members.insert(new_member_id.clone());
        }
        self.members.insert(new_member_id.clone(), new);
    }

    /// A member's new protocols and timeouts, and the JoinGroup that brings them; returns the JoinGroup it replaces.
    pub(super) fn update_member(&mut self, member_id: &str, request: &JoinRequest, token: T) -> Option<T> {
        let member = self.members.get_mut(member_id).expect("only a member is updated");
        member.protocols.clone_from(&request.protocols);
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_timeout_ms = request.session_timeout_ms;
        let replaced = member.awaiting_join.replace(token);
        self.awaiting_join_count += usize::from(replaced.is_none());
        replaced
    }

    /// Takes the JoinGroup that a member waits with.
    pub(super) fn take_awaiting_join(&mut self, member_id: &str) -> Option<T> {
        let token = self.members.get_mut(member_id)?.awaiting_join.take()?;
        self.awaiting_join_count -= 1;
        Some(token)
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join_count && self.pending_join_members.is_empty()
    }

    pub(super) fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        u64::try_from(longest.unwrap_or(0)).unwrap_or(0)
    }

    /// Whether the request is from whom it says it is (`ClassicGroup.validateMember`).
    pub(super) fn validate_member(&self, member_id: &str, group_instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = group_instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(existing) if &**existing != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Whether a member with these protocols could live with the others (`ClassicGroup.supportsProtocols`).
    pub(super) fn supports_protocols(&self, request: &JoinRequest) -> bool {
        if self.state == State::Empty {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(request.protocol_type.as_str())
            && request.protocols.iter().any(|protocol| self.is_candidate(&protocol.name))
    }

    /// Whether all members know the protocol.
    fn is_candidate(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.protocols.iter().any(|known| known.name == protocol))
    }

    /// The protocol with the most votes: each member gives one to the first it names that all know.
    pub(super) fn select_protocol(&self) -> String {
        let first = self.members.values().next().expect("a group without members selects no protocol");
        let candidates: BTreeSet<&str> =
            first.protocol_names().into_iter().filter(|name| self.is_candidate(name)).collect();
        let mut votes: IndexMap<&str, usize> = IndexMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().find(|protocol| candidates.contains(protocol.name.as_str()));
            *votes.entry(&vote.expect("every join was checked for a common protocol").name).or_default() += 1;
        }
        // Kafka takes the first with the most votes in the order of its HashMap.
        votes.sort_by_key(|name, _| java_hash_bucket(name));
        let most = votes.values().max().copied();
        let winner = votes.iter().find(|(_, count)| Some(**count) == most);
        (*winner.expect("every member voted").0).to_owned()
    }

    /// The topics of all members under the chosen protocol (`ClassicGroup.computeSubscribedTopics`).
    pub(super) fn compute_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol_name = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let metadata = member.metadata(Some(protocol_name));
            topics.extend(subscribed_topics(&metadata)?.into_iter().map(str::to_owned));
        }
        Some(topics)
    }

    /// Opens the next generation once the join phase is over (`ClassicGroup.initNextGeneration`).
    pub(super) fn init_next_generation(&mut self, wall_ms: i64) {
        self.generation_id = self.generation_id.wrapping_add(1).max(0);
        let has_members = !self.members.is_empty();
        self.protocol_name = has_members.then(|| self.select_protocol());
        self.subscribed_topics = self.compute_subscribed_topics();
        self.transition_to(if has_members { State::CompletingRebalance } else { State::Empty }, wall_ms);
        self.pending_sync_members.clear();
    }

    /// The members as the leader gets to know them.
    pub(super) fn join_members(&self) -> Vec<JoinMember> {
        self.members.values().map(|member| member.to_join_member(self.protocol_name.as_deref())).collect()
    }

    /// The record of the group's present state, with each member's assignment as `assignment_of` gives it.
    pub(super) fn to_record(&self, assignment_of: impl Fn(&Member<T>) -> Bytes) -> Record {
        let protocol = self.protocol_name.as_deref();
        let value = GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader_id.as_deref().map(str::to_owned),
            current_state_timestamp_ms: self.state_timestamp_ms.unwrap_or(-1),
            members: self.members.values().map(|member| member.to_record(protocol, assignment_of(member))).collect(),
        };
        Record::Group { group_id: self.id.to_string(), value: Some(value) }
    }

    /// The record that makes a new group known (`GroupCoordinatorRecordHelpers.newEmptyGroupMetadataRecord`).
    pub(super) fn to_empty_record(&self) -> Record {
        let value = GroupMetadata {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp_ms: self.state_timestamp_ms.unwrap_or(-1),
            members: Vec::new(),
        };
        Record::Group { group_id: self.id.to_string(), value: Some(value) }
    }

    pub(super) fn to_listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.to_string(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
        }
    }

    pub(super) fn to_described(&self) -> DescribedGroup {
        let protocol = self.protocol_name.as_deref().filter(|_| self.state == State::Stable);
        DescribedGroup {
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.unwrap_or_default().to_owned(),
            members: self.members.values().map(|member| member.to_described(protocol)).collect(),
        }
    }
}

/// Where Java's `HashMap` of 16 buckets keeps a string.
fn java_hash_bucket(text: &str) -> u32 {
    let hash = java_string_hash(text);
    (hash ^ (hash >> 16)) & 15
}

/// Java's `String.hashCode`.
pub(super) fn java_string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}
