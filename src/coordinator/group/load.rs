//! From the log to a coordinator that serves: replay, and the timers that follow from it; then time itself.

use std::sync::Arc;

use super::classic::{Group, State};
use super::timers::{Due, TimerKey};
use super::{Coordinator, Outcome, append_error_to_response_error};
use crate::model::{ErrorCode, Now, Offset};
use crate::protocol::extra::consumer_offsets::Record;

impl<T> Coordinator<T> {
    /// Takes in one record of the log, in order. Groups and offsets are replayed each for themselves, so that any legal
    /// compaction of the log leads to the same state.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Group { group_id, value } => {
                let id: Arc<str> = group_id.into();
                match value {
                    Some(value) => self.groups.entry(id.clone()).or_default().load(Some(Group::loaded(id, value))),
                    None => drop(self.groups.remove(&id)),
                }
            }
            Record::Offset { key, value } => {
                self.offsets.slot_mut(&key.group_id, &key.topic, key.partition).load(value);
                self.offsets.clean(&key.group_id, &key.topic, key.partition);
            }
        }
    }

    /// The log is read to `end` and all of it is committed: from now on the coordinator serves
    /// (`GroupMetadataManager.onLoaded`). Members get a new session each, since nobody was there to hear of them.
    pub fn loaded(&mut self, now: Now, end: Offset) {
        self.writes.start_at(end);
        let without_group: Vec<Arc<str>> =
            self.offsets.group_ids().filter(|group_id| !self.groups.contains_key(*group_id)).cloned().collect();
        for group_id in without_group {
            self.groups.entry(group_id.clone()).or_default().load(Some(Group::new(group_id, now.wall_ms)));
        }
        let group_ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for group_id in group_ids {
            let size_max = self.options.group_max_size;
            let mut outcome = Outcome::new();
            let mut turn = self.turn(now, &group_id, &mut outcome).expect("a loaded group is there");
            let member_ids: Vec<_> = turn.group.members.keys().cloned().collect();
            for member_id in member_ids {
                turn.renew_session(&member_id);
            }
            if turn.group.members.len() > size_max && turn.group.state == State::Stable {
                // The limit was lowered: a rebalance lets members commit before the last of them are refused.
                turn.prepare_rebalance();
            }
            assert!(outcome.records.is_empty(), "nobody has joined yet");
            self.invariants(&group_id);
        }
        self.schedule_expiration(now);
    }

    /// Does one of the things that are due; `None` when nothing is. Call again until then.
    pub fn expire(&mut self, now: Now) -> Option<Outcome<T>> {
        if let Some(action) = self.writes.pop_overdue(now.monotonic_ms) {
            let error = append_error_to_response_error(ErrorCode::RequestTimedOut);
            let replies = self.fail(now, action, error);
            return Some(Outcome { replies, ..Outcome::new() });
        }
        let (key, due) = self.timers.pop_due(now.monotonic_ms)?;
        let group = match &key {
            TimerKey::Expiration => return Some(self.on_expiration_due(now)),
            TimerKey::TopicDeletion => return Some(self.on_topic_deletion_due(now)),
            TimerKey::Heartbeat { group, .. } | TimerKey::Join { group } | TimerKey::Sync { group } => group.clone(),
        };
        let mut outcome = Outcome::new();
        // A timer may outlive its group, which Kafka leaves to this look-up too.
        if let Some(mut turn) = self.turn(now, &group, &mut outcome) {
            match (&key, due) {
                (TimerKey::Heartbeat { member, .. }, _) => turn.on_heartbeat_due(member),
                (TimerKey::Sync { .. }, Due::Sync { generation_id }) => turn.on_sync_due(generation_id),
                (_, Due::InitialJoin { delay_ms, remaining_ms }) => turn.on_initial_join_due(delay_ms, remaining_ms),
                _ => turn.complete_join(),
            }
        }
        self.invariants(&group);
        Some(self.finish(now, outcome))
    }
}
