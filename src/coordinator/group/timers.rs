//! The coordinator's timers: one per key, ordered by deadline and then by the order in which they were set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a timer is for. `Display` is how dialogues and logs name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// A member must be heard of: a heartbeat, a join, a sync, a commit (`classicGroupHeartbeatKey`).
    Heartbeat { group: Arc<str>, member: Arc<str> },
    /// The join phase of a rebalance ends (`classicGroupJoinKey`).
    Join { group: Arc<str> },
    /// The sync phase of a rebalance ends (`classicGroupSyncKey`).
    Sync { group: Arc<str> },
    /// Expired offsets and empty groups are looked for (`GROUP_EXPIRATION_KEY`).
    Expiration,
    /// Offsets of deleted topics are removed.
    TopicDeletion,
}

impl std::fmt::Display for TimerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TimerKey::Heartbeat { group, member } => write!(f, "heartbeat/{group}/{member}"),
            TimerKey::Join { group } => write!(f, "join/{group}"),
            TimerKey::Sync { group } => write!(f, "sync/{group}"),
            TimerKey::Expiration => f.write_str("expiration"),
            TimerKey::TopicDeletion => f.write_str("topic-deletion"),
        }
    }
}

/// What a timer must know when it goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Plain,
    /// The first rebalance of an empty group: how long this wait was, and how much longer it may still be put off.
    InitialJoin {
        delay_ms: u64,
        remaining_ms: u64,
    },
    /// The generation whose members were to send SyncGroup.
    Sync {
        generation_id: i32,
    },
}

#[derive(Debug)]
struct Timer {
    deadline_ms: u64,
    sequence: u64,
    due: Due,
}

/// Invariant: `queue` holds exactly the timers of `by_key`.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_key: BTreeMap<TimerKey, Timer>,
    queue: BTreeSet<(u64, u64, TimerKey)>,
    next_sequence: u64,
}

impl Timers {
    /// Sets the timer, or sets it anew.
    pub(super) fn schedule(&mut self, key: TimerKey, deadline_ms: u64, due: Due) {
        self.cancel(&key);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.queue.insert((deadline_ms, sequence, key.clone()));
        self.by_key.insert(key, Timer { deadline_ms, sequence, due });
    }

    pub(super) fn cancel(&mut self, key: &TimerKey) {
        if let Some((key, timer)) = self.by_key.remove_entry(key) {
            self.queue.remove(&(timer.deadline_ms, timer.sequence, key));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.queue.first().map(|(deadline_ms, _, _)| *deadline_ms)
    }

    /// Takes the first timer that is due.
    pub(super) fn pop_due(&mut self, monotonic_ms: u64) -> Option<(TimerKey, Due)> {
        if self.next_deadline()? > monotonic_ms {
            return None;
        }
        let (_, _, key) = self.queue.pop_first()?;
        let timer = self.by_key.remove(&key).expect("every queued timer is known by its key");
        Some((key, timer.due))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TimerKey, u64)> {
        self.by_key.iter().map(|(key, timer)| (key, timer.deadline_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(group: &str) -> TimerKey {
        TimerKey::Sync { group: group.into() }
    }

    #[test]
    fn timers_go_off_by_deadline_and_then_in_the_order_they_were_set() {
        let mut timers = Timers::default();
        timers.schedule(sync("late"), 20, Due::Plain);
        timers.schedule(sync("b"), 10, Due::Plain);
        timers.schedule(sync("a"), 10, Due::Sync { generation_id: 4 });
        timers.schedule(sync("gone"), 5, Due::Plain);
        timers.cancel(&sync("gone"));
        assert_eq!(timers.next_deadline(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(10), Some((sync("b"), Due::Plain)));
        assert_eq!(timers.pop_due(10), Some((sync("a"), Due::Sync { generation_id: 4 })));
        assert_eq!(timers.pop_due(10), None);
    }

    #[test]
    fn a_timer_that_is_set_anew_forgets_its_old_deadline() {
        let mut timers = Timers::default();
        timers.schedule(sync("a"), 10, Due::Plain);
        timers.schedule(sync("a"), 30, Due::Plain);
        assert_eq!(timers.pop_due(29), None);
        assert_eq!(timers.pop_due(30), Some((sync("a"), Due::Plain)));
        assert_eq!(timers.next_deadline(), None);
    }
}
