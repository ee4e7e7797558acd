//! SyncGroup: the leader's assignment is written down and then given to everyone
//! (`GroupMetadataManager.classicGroupSyncToClassicGroup`); and Heartbeat.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::classic::State;
use super::messages::{MemberIdentity, Reply, SyncReply, SyncRequest};
use super::turn::Turn;
use super::writes::Action;
use super::{Coordinator, Outcome};
use crate::model::{ErrorCode, Now};

/// An assignment whose record is on its way.
#[derive(Debug)]
pub(super) struct PendingAssignment {
    pub(super) group_id: Arc<str>,
    generation_id: i32,
    assignments: BTreeMap<String, Bytes>,
}

impl<T> Coordinator<T> {
    /// Answers when the leader's assignment is committed. Errors: INVALID_GROUP_ID, UNKNOWN_MEMBER_ID,
    /// FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, REBALANCE_IN_PROGRESS.
    pub fn sync(&mut self, now: Now, request: &SyncRequest, token: T) -> Outcome<T> {
        let group_id = request.group_id.as_str();
        if group_id.is_empty() {
            return Outcome::reply(token, Reply::Sync(SyncReply::error(ErrorCode::InvalidGroupId)));
        }
        let mut outcome = Outcome::new();
        match self.turn(now, group_id, &mut outcome) {
            Some(mut turn) if turn.group.state != State::Empty => turn.sync(request, token),
            _ => return Outcome::reply(token, Reply::Sync(SyncReply::error(ErrorCode::UnknownMemberId))),
        }
        self.invariants(group_id);
        self.finish(now, outcome)
    }

    /// Errors: INVALID_GROUP_ID, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    /// Source: `GroupMetadataManager.classicGroupHeartbeat`.
    pub fn heartbeat(&mut self, now: Now, group_id: &str, member: MemberIdentity<'_>, token: T) -> Outcome<T> {
        if group_id.is_empty() {
            return Outcome::reply(token, Reply::Heartbeat(ErrorCode::InvalidGroupId));
        }
        let mut outcome = Outcome::new();
        let error = match self.turn(now, group_id, &mut outcome) {
            Some(mut turn) => turn.heartbeat(member).err().unwrap_or(ErrorCode::None),
            None => ErrorCode::UnknownMemberId,
        };
        if error.is_error() && error != ErrorCode::RebalanceInProgress {
            return Outcome::reply(token, Reply::Heartbeat(error));
        }
        outcome.action = Some(Action::Reply { token, reply: Reply::Heartbeat(error) });
        self.finish(now, outcome)
    }
}

impl<T> Turn<'_, T> {
    fn heartbeat(&mut self, member: MemberIdentity<'_>) -> Result<(), ErrorCode> {
        self.group.validate_member(member.member_id, member.group_instance_id)?;
        if member.generation_id != self.group.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.renew_session(member.member_id);
        match self.group.state {
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::Empty | State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        let inconsistent = |asked: &Option<String>, chosen: &Option<String>| matches!((asked, chosen), (Some(asked), Some(chosen)) if asked != chosen);
        self.group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.group.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        if inconsistent(&request.protocol_type, &self.group.protocol_type)
            || inconsistent(&request.protocol_name, &self.group.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if self.group.state == State::PreparingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    fn sync(&mut self, request: &SyncRequest, token: T) {
        if let Err(error) = self.validate_sync(request) {
            return self.reply(token, Reply::Sync(SyncReply::error(error)));
        }
        self.remove_pending_sync_member(&request.member_id);
        if self.group.state == State::Stable {
            let reply = self.sync_reply(&request.member_id);
            return self.reply(token, Reply::Sync(reply));
        }
        let superseded = self.group.members[request.member_id.as_str()].awaiting_sync.replace(token);
        self.reply_superseded_sync(superseded);
        // Kafka writes the assignment again when the leader sends it again, and were the second empty, a restart would
        // find that one; here the first stands.
        if !self.group.is_leader(&request.member_id) || self.group.assignment_pending {
            return;
        }
        self.group.assignment_pending = true;
        let given = request.assignments.iter();
        let assignments: BTreeMap<String, Bytes> =
            given.map(|given| (given.member_id.clone(), given.assignment.clone())).collect();
        // A member that the leader forgot gets an empty assignment; one that it made up gets nothing.
        let record = self.group.to_record(|member| assignments.get(&*member.member_id).cloned().unwrap_or_default());
        self.outcome.records.push(record);
        let (group_id, generation_id) = (self.group.id.clone(), self.group.generation_id);
        self.outcome.action = Some(Action::Assign(PendingAssignment { group_id, generation_id, assignments }));
    }

    fn remove_pending_sync_member(&mut self, member_id: &str) {
        self.group.pending_sync_members.remove(member_id);
        if self.group.pending_sync_members.is_empty() {
            self.timers.cancel(&self.sync_key());
        }
    }

    fn sync_reply(&self, member_id: &str) -> SyncReply {
        SyncReply {
            error: ErrorCode::None,
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol_name.clone(),
            assignment: self.group.members[member_id].assignment.clone(),
        }
    }

    fn still_waits_for(&self, pending: &PendingAssignment) -> bool {
        self.group.state == State::CompletingRebalance && self.group.generation_id == pending.generation_id
    }

    /// The assignment is committed. A rebalance that began meanwhile has made it worthless.
    pub(super) fn assignment_committed(&mut self, pending: &PendingAssignment) {
        if !self.still_waits_for(pending) {
            return;
        }
        for member in self.group.members.values_mut() {
            member.assignment = pending.assignments.get(&*member.member_id).cloned().unwrap_or_default();
        }
        self.group.transition_to(State::Stable, self.now.wall_ms);
        let member_ids: Vec<_> = self.group.members.keys().cloned().collect();
        for member_id in member_ids {
            let reply = self.sync_reply(&member_id);
            self.answer_sync(&member_id, reply);
        }
    }

    /// The assignment could not be written: all who wait are told, and the group begins again.
    pub(super) fn assignment_failed(&mut self, pending: &PendingAssignment, error: ErrorCode) {
        if self.still_waits_for(pending) {
            self.reset_and_propagate_assignment_with_error(error);
            self.prepare_rebalance();
        }
    }

    pub(super) fn reset_and_propagate_assignment_with_error(&mut self, error: ErrorCode) {
        let member_ids: Vec<_> = self.group.members.keys().cloned().collect();
        for member_id in member_ids {
            self.group.members[&member_id].assignment = Bytes::new();
            self.answer_sync(&member_id, SyncReply::error(error));
        }
    }

    /// Answers the SyncGroup that a member waits with, if any. Its session begins anew: while it waited, the end of
    /// its session was passed over and not set again.
    fn answer_sync(&mut self, member_id: &Arc<str>, reply: SyncReply) {
        if let Some(token) = self.group.members[member_id].awaiting_sync.take() {
            self.reply(token, Reply::Sync(reply));
            self.renew_session(member_id);
        }
    }
}
