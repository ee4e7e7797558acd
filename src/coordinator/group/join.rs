//! JoinGroup: who is admitted, under which id, and whether a rebalance follows
//! (`GroupMetadataManager.classicGroupJoinToClassicGroup` and what it calls).

use std::sync::Arc;

use super::classic::State;
use super::member::Member;
use super::messages::{JoinReply, JoinRequest, Protocol, Reply, SyncReply};
use super::timers::Due;
use super::turn::Turn;
use super::writes::Action;
use super::{Coordinator, Outcome};
use crate::model::{ErrorCode, Now};

/// The first version whose members must come back with the id they are given (KIP-394).
const FIRST_VERSION_WITH_KNOWN_MEMBER_ID: i16 = 4;
/// The first version whose leaders can be told not to assign (KIP-814).
const FIRST_VERSION_SKIPPING_ASSIGNMENT: i16 = 9;

/// A static member that came back under a new id while nothing else changed: what its answer needs once the record is
/// committed, and what it was before, should the record fail.
#[derive(Debug)]
pub(super) struct StaticRejoin {
    pub(super) group_id: Arc<str>,
    pub(super) old_member_id: Arc<str>,
    pub(super) new_member_id: Arc<str>,
    version: i16,
    leader_before: String,
    protocols_before: Vec<Protocol>,
    rebalance_timeout_before_ms: i32,
    session_timeout_before_ms: i32,
}

impl<T> Coordinator<T> {
    /// Answers when the rebalance that the join takes part in has ended. Errors: INVALID_GROUP_ID,
    /// INVALID_SESSION_TIMEOUT, UNKNOWN_MEMBER_ID, MEMBER_ID_REQUIRED, FENCED_INSTANCE_ID, INCONSISTENT_GROUP_PROTOCOL,
    /// GROUP_MAX_SIZE_REACHED. Source: `GroupCoordinatorService.joinGroup`.
    pub fn join(&mut self, now: Now, request: &JoinRequest, token: T) -> Outcome<T> {
        let group_id = request.group_id.as_str();
        let refusal = if group_id.is_empty() {
            Some(ErrorCode::InvalidGroupId)
        } else if !self.options.session_timeout_ms.contains(&request.session_timeout_ms) {
            Some(ErrorCode::InvalidSessionTimeout)
        } else if self.group(group_id).is_none() && !request.member_id.is_empty() {
            Some(ErrorCode::UnknownMemberId)
        } else {
            None
        };
        if let Some(error) = refusal {
            return Outcome::reply(token, Reply::Join(JoinReply::error(error, &request.member_id)));
        }
        let mut outcome = Outcome::new();
        let is_new_group = self.group(group_id).is_none();
        if is_new_group {
            self.create_group(now, group_id, &mut outcome);
        }
        let mut turn = self.turn(now, group_id, &mut outcome).expect("the group was there or was created");
        turn.join(request, token);
        if is_new_group {
            let record = turn.group.to_empty_record();
            turn.outcome.records.push(record);
        }
        self.invariants(group_id);
        self.finish(now, outcome)
    }
}

impl<T> Turn<'_, T> {
    fn join(&mut self, request: &JoinRequest, token: T) {
        if !self.accepts_joining_member(&request.member_id) {
            let removed = self.group.remove(&request.member_id);
            self.reply_removed(removed);
            return self.reply_join_error(token, ErrorCode::GroupMaxSizeReached, "");
        }
        if !self.group.supports_protocols(request) {
            return self.reply_join_error(token, ErrorCode::InconsistentGroupProtocol, &request.member_id);
        }
        if request.member_id.is_empty() {
            self.join_new_member(request, token);
        } else if self.group.pending_join_members.contains(request.member_id.as_str()) {
            self.join_pending_member(request, token);
        } else {
            self.join_existing_member(request, token);
        }
    }

    /// `GroupMetadataManager.acceptJoiningMember`: while a rebalance is prepared those who wait count, so that the last
    /// to come back are the ones to go when the limit was lowered; afterwards all members count.
    fn accepts_joining_member(&self, member_id: &str) -> bool {
        let group = &*self.group;
        let member = group.members.get(member_id);
        let size_max = self.options.group_max_size;
        match group.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some()) || group.awaiting_join_count < size_max
            }
            State::CompletingRebalance | State::Stable => member.is_some() || group.members.len() < size_max,
        }
    }

    fn join_new_member(&mut self, request: &JoinRequest, token: T) {
        let prefix = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
        let member_id: Arc<str> = format!("{prefix}-{}", request.new_member_uuid).into();
        if let Some(instance_id) = &request.group_instance_id {
            return match self.group.static_members.get(instance_id).cloned() {
                Some(existing) => self.replace_static_member(request, &existing, member_id, token),
                None => self.add_member(request, member_id, token),
            };
        }
        if request.version < FIRST_VERSION_WITH_KNOWN_MEMBER_ID {
            return self.add_member(request, member_id, token);
        }
        self.group.pending_join_members.insert(member_id.clone());
        let timeout_ms = u64::try_from(request.session_timeout_ms).unwrap_or(0);
        self.schedule(self.heartbeat_key(&member_id), timeout_ms, Due::Plain);
        self.reply_join_error(token, ErrorCode::MemberIdRequired, &member_id);
    }

    /// A member comes back with the id it was given.
    fn join_pending_member(&mut self, request: &JoinRequest, token: T) {
        if request.group_instance_id.is_some() {
            // Ids are only pending for dynamic members. Kafka throws here, and answers what follows from that.
            return self.reply_join_error(token, ErrorCode::UnknownServerError, "");
        }
        self.add_member(request, request.member_id.as_str().into(), token);
    }

    fn join_existing_member(&mut self, request: &JoinRequest, token: T) {
        let member_id = request.member_id.as_str();
        if let Err(error) = self.group.validate_member(member_id, request.group_instance_id.as_deref()) {
            return self.reply_join_error(token, error, member_id);
        }
        let matches = self.group.members[member_id].protocols == request.protocols;
        match self.group.state {
            State::PreparingRebalance => self.update_member(request, token),
            // The member did not get our answer, or wants nothing new: it gets the answer of this generation.
            State::CompletingRebalance if matches => {
                let reply = self.join_reply(member_id);
                self.reply(token, Reply::Join(reply));
            }
            // A leader that joins wants to assign anew, since partitions changed or its own state did.
            State::Stable if matches && !self.group.is_leader(member_id) => {
                let reply = self.join_reply(member_id);
                self.reply(token, Reply::Join(reply));
            }
            State::CompletingRebalance | State::Stable => self.update_member(request, token),
            State::Empty => self.reply_join_error(token, ErrorCode::UnknownMemberId, member_id),
        }
    }

    fn update_member(&mut self, request: &JoinRequest, token: T) {
        let superseded = self.group.update_member(&request.member_id, request, token);
        self.reply_superseded_join(superseded, &request.member_id);
        self.maybe_prepare_rebalance_or_complete_join();
    }

    /// `GroupMetadataManager.addMemberThenRebalanceOrCompleteJoin`.
    fn add_member(&mut self, request: &JoinRequest, member_id: Arc<str>, token: T) {
        let mut member = Member::joining(member_id.clone(), request);
        member.awaiting_join = Some(token);
        if self.group.state == State::PreparingRebalance && self.group.is_initial_rebalance {
            self.group.new_member_added = true;
        }
        self.group.add(member, &request.protocol_type);
        // A member without an answer sends no heartbeats, and its connection is silent while it waits: without a limit
        // of our own, each retry of a client that went away would leave a dead member behind.
        self.schedule(self.heartbeat_key(&member_id), self.options.new_member_join_timeout_ms, Due::Plain);
        self.maybe_prepare_rebalance_or_complete_join();
    }

    /// A static member without an id takes over from the one that has its instance id
    /// (`updateStaticMemberThenRebalanceOrCompleteJoin`).
    fn replace_static_member(&mut self, request: &JoinRequest, old_member_id: &Arc<str>, new: Arc<str>, token: T) {
        let leader_before = self.group.leader();
        self.end_session(old_member_id);
        self.fence(old_member_id);
        self.group.rename_static_member(old_member_id, &new);
        self.renew_session(&new);
        let member = &self.group.members[&new];
        let rejoin = StaticRejoin {
            group_id: self.group.id.clone(),
            old_member_id: old_member_id.clone(),
            new_member_id: new.clone(),
            version: request.version,
            leader_before,
            protocols_before: member.protocols.clone(),
            rebalance_timeout_before_ms: member.rebalance_timeout_ms,
            session_timeout_before_ms: member.session_timeout_ms,
        };
        let superseded = self.group.update_member(&new, request, token);
        assert!(superseded.is_none(), "the requests of the old id were just fenced");
        match self.group.state {
            State::Stable if self.group.protocol_name.as_ref() == Some(&self.group.select_protocol()) => {
                let record = self.group.to_record(|member| member.assignment.clone());
                self.outcome.records.push(record);
                self.outcome.action = Some(Action::StaticRejoined(Box::new(rejoin)));
            }
            // The leader may be assigning to the old id right now: the new one would get nothing.
            State::CompletingRebalance | State::Stable => self.prepare_rebalance(),
            State::PreparingRebalance => self.maybe_complete_join_phase(),
            State::Empty => unreachable!("a group with a static member is not empty"),
        }
    }

    /// Whoever still waits under the old id of a static member learns that another instance has taken over.
    fn fence(&mut self, member_id: &str) {
        if let Some(token) = self.group.take_awaiting_join(member_id) {
            self.reply_join_error(token, ErrorCode::FencedInstanceId, member_id);
        }
        let member = self.group.members.get_mut(member_id);
        if let Some(token) = member.and_then(|member| member.awaiting_sync.take()) {
            self.reply(token, Reply::Sync(SyncReply::error(ErrorCode::FencedInstanceId)));
        }
    }

    /// The record of a returning static member is committed: it is answered without a rebalance.
    pub(super) fn static_rejoin_committed(&mut self, rejoin: &StaticRejoin) {
        let member_id = &*rejoin.new_member_id;
        if self.group.state != State::Stable {
            // A rebalance has begun meanwhile, and its end answers the member.
            return;
        }
        let Some(token) = self.group.take_awaiting_join(member_id) else { return };
        let mut reply = self.join_reply(member_id);
        if rejoin.version >= FIRST_VERSION_SKIPPING_ASSIGNMENT {
            reply.skip_assignment = self.group.is_leader(member_id);
        } else {
            // Old clients that see themselves as leader would assign; under the old leader's id they do not.
            reply.leader.clone_from(&rejoin.leader_before);
            reply.members.clear();
        }
        self.reply(token, Reply::Join(reply));
    }

    /// The record of a returning static member could not be written: it is who it was.
    pub(super) fn static_rejoin_failed(&mut self, rejoin: &StaticRejoin, error: ErrorCode) {
        if self.group.state != State::Stable || !self.group.members.contains_key(&rejoin.new_member_id) {
            return;
        }
        if let Some(token) = self.group.take_awaiting_join(&rejoin.new_member_id) {
            let reply = JoinReply {
                error,
                leader: rejoin.leader_before.clone(),
                member_id: String::new(),
                members: Vec::new(),
                ..self.join_reply(&rejoin.new_member_id)
            };
            self.reply(token, Reply::Join(reply));
        }
        self.end_session(&rejoin.new_member_id);
        let member = self.group.members.get_mut(&rejoin.new_member_id).expect("checked above");
        member.protocols.clone_from(&rejoin.protocols_before);
        member.rebalance_timeout_ms = rejoin.rebalance_timeout_before_ms;
        member.session_timeout_ms = rejoin.session_timeout_before_ms;
        self.group.rename_static_member(&rejoin.new_member_id, &rejoin.old_member_id);
        self.renew_session(&rejoin.old_member_id);
    }
}
