//! LeaveGroup: members go, at their own wish or an administrator's (`GroupMetadataManager.classicGroupLeave`).

use super::classic::State;
use super::messages::{LeaveReply, LeavingMember, Reply};
use super::turn::Turn;
use super::writes::Action;
use super::{Coordinator, Outcome};
use crate::model::{ErrorCode, Now};

impl<T> Coordinator<T> {
    /// Removes the members named, each with an answer of its own. Errors: INVALID_GROUP_ID; a member: UNKNOWN_MEMBER_ID,
    /// FENCED_INSTANCE_ID.
    pub fn leave(&mut self, now: Now, group_id: &str, members: Vec<LeavingMember>, token: T) -> Outcome<T> {
        if group_id.is_empty() {
            let reply = LeaveReply { error: ErrorCode::InvalidGroupId, members: Vec::new() };
            return Outcome::reply(token, Reply::Leave(reply));
        }
        let mut outcome = Outcome::new();
        let answers = match self.turn(now, group_id, &mut outcome) {
            Some(mut turn) => turn.leave(members),
            None => members.into_iter().map(|member| (member, ErrorCode::UnknownMemberId)).collect(),
        };
        let reply = Reply::Leave(LeaveReply { error: ErrorCode::None, members: answers });
        outcome.action = Some(Action::Reply { token, reply });
        self.invariants(group_id);
        self.finish(now, outcome)
    }
}

impl<T> Turn<'_, T> {
    fn leave(&mut self, members: Vec<LeavingMember>) -> Vec<(LeavingMember, ErrorCode)> {
        let mut answers = Vec::new();
        for member in members {
            let error = self.leave_one(&member).err().unwrap_or(ErrorCode::None);
            answers.push((member, error));
        }
        if answers.iter().all(|(_, error)| error.is_error()) {
            return answers;
        }
        match self.group.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(),
            State::PreparingRebalance => self.maybe_complete_join_phase(),
            State::Empty => {}
        }
        answers
    }

    fn leave_one(&mut self, member: &LeavingMember) -> Result<(), ErrorCode> {
        let instance_id = member.group_instance_id.as_deref();
        if member.member_id.is_empty() {
            // An administrator removes a static member by its instance id, without knowing the member id.
            let by_instance = instance_id.and_then(|instance_id| self.group.static_members.get(instance_id));
            let member_id = by_instance.cloned().ok_or(ErrorCode::UnknownMemberId)?;
            self.remove_member(&member_id);
            return Ok(());
        }
        if !self.group.pending_join_members.contains(member.member_id.as_str()) {
            self.group.validate_member(&member.member_id, instance_id)?;
        }
        self.remove_member(&member.member_id);
        Ok(())
    }

    fn remove_member(&mut self, member_id: &str) {
        self.end_session(member_id);
        let removed = self.group.remove(member_id);
        self.reply_removed(removed);
    }
}
