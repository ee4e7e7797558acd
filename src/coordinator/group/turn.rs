//! One event on one group: what the steps of a rebalance need at hand, and what they lead to.

use std::sync::Arc;

use super::classic::Group;
use super::member::Member;
use super::messages::{JoinReply, Reply, SyncReply};
use super::timers::{Due, TimerKey, Timers};
use super::{Coordinator, Options, Outcome};
use crate::model::{ErrorCode, Now};

pub(super) struct Turn<'a, T> {
    pub(super) now: Now,
    pub(super) options: &'a Options,
    pub(super) group: &'a mut Group<T>,
    pub(super) timers: &'a mut Timers,
    pub(super) outcome: &'a mut Outcome<T>,
}

impl<T> Coordinator<T> {
    /// A turn on a group of the speculative state; `None` when there is none of that name.
    pub(super) fn turn<'a>(&'a mut self, now: Now, group_id: &str, outcome: &'a mut Outcome<T>) -> Option<Turn<'a, T>> {
        let group = self.groups.get_mut(group_id)?.latest_mut()?;
        Some(Turn { now, options: &self.options, group, timers: &mut self.timers, outcome })
    }
}

impl<T> Turn<'_, T> {
    pub(super) fn reply(&mut self, token: T, reply: Reply) {
        self.outcome.replies.push((token, reply));
    }

    pub(super) fn reply_join_error(&mut self, token: T, error: ErrorCode, member_id: &str) {
        self.reply(token, Reply::Join(JoinReply::error(error, member_id)));
    }

    /// The group as a member is to see it at the end of a join phase.
    pub(super) fn join_reply(&self, member_id: &str) -> JoinReply {
        let group = &*self.group;
        JoinReply {
            error: ErrorCode::None,
            generation_id: group.generation_id,
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol_name.clone(),
            leader: group.leader(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: if group.is_leader(member_id) { group.join_members() } else { Vec::new() },
        }
    }

    /// A request was sent again while its first copy still waits. Kafka forgets the first; we answer it, since its
    /// connection would stay blocked, and with an error after which every client asks again.
    pub(super) fn reply_superseded_join(&mut self, superseded: Option<T>, member_id: &str) {
        if let Some(token) = superseded {
            self.reply_join_error(token, ErrorCode::CoordinatorNotAvailable, member_id);
        }
    }

    pub(super) fn reply_superseded_sync(&mut self, superseded: Option<T>) {
        if let Some(token) = superseded {
            self.reply(token, Reply::Sync(SyncReply::error(ErrorCode::CoordinatorNotAvailable)));
        }
    }

    /// Answers the requests of a member that is no longer one. Kafka answers its JoinGroup only
    /// (`removeMemberAndUpdateClassicGroup`) and leaves a SyncGroup to the client's timeout.
    pub(super) fn reply_removed(&mut self, removed: Option<Member<T>>) {
        let Some(member) = removed else { return };
        if let Some(token) = member.awaiting_join {
            self.reply_join_error(token, ErrorCode::UnknownMemberId, "");
        }
        if let Some(token) = member.awaiting_sync {
            self.reply(token, Reply::Sync(SyncReply::error(ErrorCode::UnknownMemberId)));
        }
    }

    pub(super) fn heartbeat_key(&self, member_id: &Arc<str>) -> TimerKey {
        TimerKey::Heartbeat { group: self.group.id.clone(), member: member_id.clone() }
    }

    pub(super) fn join_key(&self) -> TimerKey {
        TimerKey::Join { group: self.group.id.clone() }
    }

    pub(super) fn sync_key(&self) -> TimerKey {
        TimerKey::Sync { group: self.group.id.clone() }
    }

    pub(super) fn schedule(&mut self, key: TimerKey, delay_ms: u64, due: Due) {
        self.timers.schedule(key, self.now.monotonic_ms.saturating_add(delay_ms), due);
    }

    /// The member has just been heard of: its session begins anew.
    pub(super) fn renew_session(&mut self, member_id: &str) {
        let Some(member) = self.group.members.get(member_id) else { return };
        let (member_id, timeout_ms) = (member.member_id.clone(), member.session_timeout());
        self.schedule(self.heartbeat_key(&member_id), timeout_ms, Due::Plain);
    }

    pub(super) fn end_session(&mut self, member_id: &str) {
        self.timers.cancel(&self.heartbeat_key(&Arc::from(member_id)));
    }
}
