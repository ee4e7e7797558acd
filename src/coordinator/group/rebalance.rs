//! A rebalance from its start to the answers of its join phase, and the timers that push it on.

use super::classic::State;
use super::messages::Reply;
use super::timers::Due;
use super::turn::Turn;
use crate::model::ErrorCode;

impl<T> Turn<'_, T> {
    /// `GroupMetadataManager.maybePrepareRebalanceOrCompleteJoin`.
    pub(super) fn maybe_prepare_rebalance_or_complete_join(&mut self) {
        match self.group.state {
            State::PreparingRebalance => self.maybe_complete_join_phase(),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(),
        }
    }

    /// Opens a join phase: every member has to come back with JoinGroup (`GroupMetadataManager.prepareRebalance`).
    pub(super) fn prepare_rebalance(&mut self) {
        if self.group.state == State::CompletingRebalance {
            self.reset_and_propagate_assignment_with_error(ErrorCode::RebalanceInProgress);
        }
        self.group.pending_sync_members.clear();
        self.timers.cancel(&self.sync_key());
        if self.group.state == State::Empty {
            // The group is new: its first members get time to arrive together.
            let delay_ms = self.options.initial_rebalance_delay_ms;
            let remaining_ms = self.group.rebalance_timeout_ms().saturating_sub(delay_ms);
            self.schedule(self.join_key(), delay_ms, Due::InitialJoin { delay_ms, remaining_ms });
            self.group.transition_to(State::PreparingRebalance, self.now.wall_ms);
            return;
        }
        self.group.transition_to(State::PreparingRebalance, self.now.wall_ms);
        if self.group.has_all_members_joined() {
            return self.complete_join();
        }
        self.schedule(self.join_key(), self.group.rebalance_timeout_ms(), Due::Plain);
    }

    /// `GroupMetadataManager.maybeCompleteJoinPhase`: an initial rebalance always waits for its timer.
    pub(super) fn maybe_complete_join_phase(&mut self) {
        let preparing = self.group.state == State::PreparingRebalance;
        if preparing && !self.group.is_initial_rebalance && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    /// The wait of a first rebalance is over; a member that came meanwhile prolongs it, within the rebalance timeout
    /// (`GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule`).
    pub(super) fn on_initial_join_due(&mut self, delay_ms: u64, remaining_ms: u64) {
        if !self.group.new_member_added || remaining_ms == 0 {
            return self.complete_join();
        }
        self.group.new_member_added = false;
        let next = Due::InitialJoin {
            delay_ms: self.options.initial_rebalance_delay_ms.min(remaining_ms),
            remaining_ms: remaining_ms.saturating_sub(delay_ms),
        };
        self.schedule(self.join_key(), self.options.initial_rebalance_delay_ms.min(remaining_ms), next);
    }

    /// Ends the join phase: dynamic members that did not come back are out, the generation rises, all who came are
    /// answered (`GroupMetadataManager.completeClassicGroupJoin`).
    pub(super) fn complete_join(&mut self) {
        self.timers.cancel(&self.join_key());
        if self.group.state != State::PreparingRebalance {
            return;
        }
        self.remove_members_not_rejoined();
        if !self.group.members.is_empty() && !self.elect_joined_leader() {
            // Only static members are left and none has come: the group waits for one, or for their sessions to end.
            self.schedule(self.join_key(), self.group.rebalance_timeout_ms(), Due::Plain);
            return;
        }
        self.group.init_next_generation(self.now.wall_ms);
        let (group, generation_id) = (&self.group.id, self.group.generation_id);
        tracing::info!(?group, generation_id, members = self.group.members.len(), "group rebalanced");
        if self.group.state == State::Empty {
            let record = self.group.to_record(|member| member.assignment.clone());
            self.outcome.records.push(record);
            return;
        }
        self.answer_joined_members();
        let due = Due::Sync { generation_id: self.group.generation_id };
        self.schedule(self.sync_key(), self.group.rebalance_timeout_ms(), due);
    }

    fn remove_members_not_rejoined(&mut self) {
        let absent = |member: &&super::member::Member<T>| member.awaiting_join.is_none() && !member.is_static();
        let gone: Vec<_> = self.group.members.values().filter(absent).map(|member| member.member_id.clone()).collect();
        for member_id in gone {
            let removed = self.group.remove(&member_id);
            self.reply_removed(removed);
            self.end_session(&member_id);
        }
    }

    /// Whether the group has a leader that takes part in this rebalance (`ClassicGroup.maybeElectNewJoinedLeader`).
    fn elect_joined_leader(&mut self) -> bool {
        let group = &mut *self.group;
        let leader = group.leader_id.as_ref().and_then(|leader| group.members.get(leader));
        if leader.is_some_and(|leader| leader.awaiting_join.is_some()) {
            return true;
        }
        let joined = group.members.values().find(|member| member.awaiting_join.is_some());
        let Some(member) = joined else { return false };
        group.leader_id = Some(member.member_id.clone());
        true
    }

    fn answer_joined_members(&mut self) {
        let member_ids: Vec<_> = self.group.members.keys().cloned().collect();
        for member_id in member_ids {
            let reply = self.join_reply(&member_id);
            if let Some(token) = self.group.take_awaiting_join(&member_id) {
                self.reply(token, Reply::Join(reply));
            }
            self.renew_session(&member_id);
            self.group.members[&member_id].is_new = false;
            self.group.pending_sync_members.insert(member_id);
        }
    }

    /// Members that joined and then sent no SyncGroup in time are out (`GroupMetadataManager.expirePendingSync`).
    pub(super) fn on_sync_due(&mut self, generation_id: i32) {
        let assigning = matches!(self.group.state, State::CompletingRebalance | State::Stable);
        if generation_id != self.group.generation_id || !assigning || self.group.pending_sync_members.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.group.pending_sync_members) {
            let removed = self.group.remove(&member_id);
            self.reply_removed(removed);
            self.end_session(&member_id);
        }
        self.prepare_rebalance();
    }

    /// A member's session ended, or an id that was given out was not used
    /// (`GroupMetadataManager.expireClassicGroupMemberHeartbeat`).
    pub(super) fn on_heartbeat_due(&mut self, member_id: &str) {
        if self.group.pending_join_members.contains(member_id) {
            self.group.remove(member_id);
            return self.maybe_complete_join_after_removal();
        }
        let Some(member) = self.group.members.get(member_id) else { return };
        if member.has_satisfied_heartbeat() {
            return;
        }
        tracing::info!(group = ?self.group.id, member = ?member_id, "the session of a member ended");
        let removed = self.group.remove(member_id);
        self.reply_removed(removed);
        match self.group.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(),
            State::PreparingRebalance => self.maybe_complete_join_after_removal(),
            State::Empty => {}
        }
    }

    /// Unlike `maybe_complete_join_phase`, also for an initial rebalance: Kafka's `removePendingMemberAndUpdateClassicGroup`
    /// and `removeMemberAndUpdateClassicGroup` do not ask.
    fn maybe_complete_join_after_removal(&mut self) {
        if self.group.state == State::PreparingRebalance && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }
}
