//! Records between append and commit: what they changed, what they will answer, and how to take both back.
//!
//! Invariants: `committed <= appended`; at most one event's records are staged, and only until the very next call.

use std::collections::VecDeque;
use std::sync::Arc;

use super::classic::Group;
use super::join::StaticRejoin;
use super::messages::{JoinReply, Reply, SyncReply};
use super::sync::PendingAssignment;
use super::{Coordinator, Outcome, append_error_to_response_error};
use crate::model::{ErrorCode, Now, Offset};

/// One change of the speculative state, by what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Group(Arc<str>),
    Offset { group_id: Arc<str>, topic: Arc<str>, partition: i32 },
}

/// What happens once records are committed, or cannot be.
#[derive(Debug)]
pub(super) enum Action<T> {
    Reply { token: T, reply: Reply },
    Assign(PendingAssignment),
    StaticRejoined(Box<StaticRejoin>),
}

#[derive(Debug)]
struct Staged<T> {
    changes: Vec<Change>,
    action: Option<Action<T>>,
}

#[derive(Debug)]
struct Held<T> {
    until: Offset,
    deadline_ms: u64,
    action: Action<T>,
}

#[derive(Debug)]
pub(super) struct Writes<T> {
    /// The end of the log as far as this coordinator wrote it.
    appended: Offset,
    /// The high watermark.
    committed: Offset,
    staged: Option<Staged<T>>,
    /// Changes by the end offset of their records, in log order.
    changes: VecDeque<(Offset, Vec<Change>)>,
    held: VecDeque<Held<T>>,
}

impl<T> Default for Writes<T> {
    fn default() -> Writes<T> {
        Writes {
            appended: Offset::ZERO,
            committed: Offset::ZERO,
            staged: None,
            changes: VecDeque::new(),
            held: VecDeque::new(),
        }
    }
}

impl<T> Writes<T> {
    pub(super) fn invariants(&self) {
        assert!(self.committed <= self.appended, "nothing is committed that was not appended");
    }

    pub(super) fn start_at(&mut self, end: Offset) {
        self.appended = end;
        self.committed = end;
    }

    pub(super) fn nothing_pending(&self) -> bool {
        self.committed == self.appended
    }

    pub(super) fn stage(&mut self, changes: Vec<Change>, action: Option<Action<T>>) {
        assert!(self.staged.is_none(), "each event's records are appended before the next event");
        self.staged = Some(Staged { changes, action });
    }

    /// Lets an answer wait until all that was appended so far is committed.
    pub(super) fn hold(&mut self, deadline_ms: u64, action: Action<T>) {
        self.held.push_back(Held { until: self.appended, deadline_ms, action });
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.held.front().map(|held| held.deadline_ms)
    }

    pub(super) fn held_count(&self) -> usize {
        self.held.len()
    }

    pub(super) fn held_until(&self) -> Option<Offset> {
        self.held.back().map(|held| held.until)
    }

    /// Takes the first answer that has waited too long.
    pub(super) fn pop_overdue(&mut self, monotonic_ms: u64) -> Option<Action<T>> {
        let overdue = self.held.front().is_some_and(|held| held.deadline_ms <= monotonic_ms);
        overdue.then(|| self.held.pop_front().map(|held| held.action)).flatten()
    }
}

impl<T> Coordinator<T> {
    /// Up to where the log is committed, as far as this coordinator was told.
    pub fn writes_committed(&self) -> Offset {
        self.writes.committed
    }

    /// Up to where this coordinator has written the log.
    pub fn writes_appended(&self) -> Offset {
        self.writes.appended
    }

    /// The records of the last outcome are in the log, which now ends at `end`.
    pub fn appended(&mut self, now: Now, end: Offset) {
        let staged = self.writes.staged.take().expect("records were given to append");
        assert!(self.writes.appended < end, "records make the log longer");
        self.writes.appended = end;
        if !staged.changes.is_empty() {
            self.writes.changes.push_back((end, staged.changes));
        }
        if let Some(action) = staged.action {
            self.writes.hold(now.monotonic_ms + self.options.commit_timeout_ms, action);
        }
        self.writes.invariants();
    }

    /// The records of the last outcome could not be appended: what they changed is taken back. Returns what is to be
    /// answered now.
    pub fn append_failed(&mut self, now: Now, error: ErrorCode) -> Vec<(T, Reply)> {
        let staged = self.writes.staged.take().expect("records were given to append");
        let error = append_error_to_response_error(error);
        let mut replies = Vec::new();
        for change in staged.changes.into_iter().rev() {
            self.revert(change, error, &mut replies);
        }
        if let Some(action) = staged.action {
            replies.extend(self.fail(now, action, error));
        }
        replies
    }

    /// The partition's high watermark rose to `offset`. Returns what is to be answered now.
    pub fn committed(&mut self, now: Now, offset: Offset) -> Vec<(T, Reply)> {
        let offset = offset.min(self.writes.appended);
        if offset <= self.writes.committed {
            return Vec::new();
        }
        self.writes.committed = offset;
        while self.writes.changes.front().is_some_and(|(end, _)| *end <= offset) {
            let (_, changes) = self.writes.changes.pop_front().expect("looked at just now");
            changes.into_iter().for_each(|change| self.commit(&change));
        }
        let mut replies = Vec::new();
        while self.writes.held.front().is_some_and(|held| held.until <= offset) {
            let held = self.writes.held.pop_front().expect("looked at just now");
            replies.extend(self.carry_out(now, held.action));
        }
        self.writes.invariants();
        replies
    }

    /// This broker no longer leads the partition: everyone who waits is told to look for the coordinator elsewhere
    /// (`GroupMetadataManager.onUnloaded`, `CoordinatorContext.unload`).
    pub fn unload(self) -> Vec<(T, Reply)> {
        let error = ErrorCode::NotCoordinator;
        let mut replies = Vec::new();
        for held in self.writes.held {
            if let Action::Reply { token, reply } = held.action {
                replies.push((token, reply.failed(error)));
            }
        }
        for group in self.groups.into_values().flat_map(super::slot::Slot::into_values) {
            dismiss(group, error, |member_id| member_id, &mut replies);
        }
        replies
    }

    fn commit(&mut self, change: &Change) {
        match change {
            Change::Group(group_id) => {
                let slot = self.groups.get_mut(group_id).expect("a pending change keeps its slot");
                slot.commit();
                if slot.is_gone() {
                    self.groups.remove(group_id);
                }
            }
            Change::Offset { group_id, topic, partition } => self.offsets.commit(group_id, topic, *partition),
        }
    }

    fn revert(&mut self, change: Change, error: ErrorCode, replies: &mut Vec<(T, Reply)>) {
        match change {
            Change::Group(group_id) => {
                let slot = self.groups.get_mut(&group_id).expect("a pending change keeps its slot");
                if let Some(group) = slot.revert() {
                    dismiss(group, error, |_| "", replies);
                }
                if slot.is_gone() {
                    self.groups.remove(&group_id);
                }
            }
            Change::Offset { group_id, topic, partition } => self.offsets.revert(&group_id, &topic, partition),
        }
    }

    fn carry_out(&mut self, now: Now, action: Action<T>) -> Vec<(T, Reply)> {
        let mut outcome = Outcome::new();
        match action {
            Action::Reply { token, reply } => return vec![(token, reply)],
            Action::Assign(pending) => {
                if let Some(mut turn) = self.turn(now, &pending.group_id, &mut outcome) {
                    turn.assignment_committed(&pending);
                }
                self.invariants(&pending.group_id);
            }
            Action::StaticRejoined(rejoin) => {
                if let Some(mut turn) = self.turn(now, &rejoin.group_id, &mut outcome) {
                    turn.static_rejoin_committed(&rejoin);
                }
                self.invariants(&rejoin.group_id);
            }
        }
        assert!(outcome.records.is_empty(), "a committed record leads to no other");
        outcome.replies
    }

    /// Tells those who wait for a record that it could not be written in time, or at all.
    pub(super) fn fail(&mut self, now: Now, action: Action<T>, error: ErrorCode) -> Vec<(T, Reply)> {
        let mut outcome = Outcome::new();
        match action {
            Action::Reply { token, reply } => return vec![(token, reply.failed(error))],
            Action::Assign(pending) => {
                if let Some(mut turn) = self.turn(now, &pending.group_id, &mut outcome) {
                    turn.assignment_failed(&pending, error);
                }
                self.invariants(&pending.group_id);
            }
            Action::StaticRejoined(rejoin) => {
                if let Some(mut turn) = self.turn(now, &rejoin.group_id, &mut outcome) {
                    turn.static_rejoin_failed(&rejoin, error);
                }
                self.invariants(&rejoin.group_id);
            }
        }
        assert!(outcome.records.is_empty(), "no member has joined again yet, so no rebalance is complete");
        outcome.replies
    }
}

/// Answers everyone who waits in a group that is no more.
fn dismiss<T>(group: Group<T>, error: ErrorCode, named: fn(&str) -> &str, replies: &mut Vec<(T, Reply)>) {
    for member in group.members.into_values() {
        if let Some(token) = member.awaiting_join {
            replies.push((token, Reply::Join(JoinReply::error(error, named(&member.member_id)))));
        }
        if let Some(token) = member.awaiting_sync {
            replies.push((token, Reply::Sync(SyncReply::error(error))));
        }
    }
}
