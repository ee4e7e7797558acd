//! What clients were told, and what that forbids. Every new fact is held against the earlier ones at once.
//!
//! - An offset has one record for good: what was acknowledged there is what everyone reads there.
//! - A record of an idempotent producer is in the log once.
//! - What a producer sent to one partition is read in the order in which it was sent.
//! - A committed offset of a group that was acknowledged is never taken back.
//! - In one generation of a group a partition has one owner, and a generation that was followed by another commits no more.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::invariant::{Broken, Invariant};

/// A partition as clients name it.
pub type Partition = (&'static str, i32);

/// Producers from this number on wait for the leader only (acks=1) and send nothing twice: what they send may be lost, and one
/// that gave up on a record may see it come behind the next.
pub const HASTY_PRODUCERS: u32 = 100;

/// One record: who sent it, and the how-manieth it is of those that this producer sent to the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub producer: u32,
    pub number: u64,
}

impl Sent {
    /// The record's value on the wire.
    pub fn value(self) -> String {
        format!("{}:{}", self.producer, self.number)
    }

    /// The same, at some length: so that a write that is torn can leave the head of a batch without the rest.
    pub fn long_value(self, bytes: usize) -> String {
        format!("{}:{}:{}", self.producer, self.number, "x".repeat(bytes))
    }

    /// Reads a value back; `None` when nobody has sent it.
    pub fn parse(value: &[u8]) -> Option<Sent> {
        let mut parts = std::str::from_utf8(value).ok()?.split(':');
        let (producer, number) = (parts.next()?, parts.next()?);
        Some(Sent { producer: producer.parse().ok()?, number: number.parse().ok()? })
    }
}

/// See the head of this file.
#[derive(Default)]
pub struct History {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Acknowledged since the last [`History::take_fresh`].
    fresh: Vec<(Partition, i64)>,
    partitions: BTreeMap<Partition, Facts>,
    /// Group and partition, to what was acknowledged and what was tried.
    commits: BTreeMap<(&'static str, Partition), (i64, i64)>,
    /// Group and partition, to who owns it in each generation.
    owners: BTreeMap<(&'static str, i32, i32), String>,
    /// The newest generation that gave partitions to somebody.
    generations: BTreeMap<&'static str, i32>,
    last_member_commit_ms: u64,
    violation: Option<Broken>,
    now_ms: u64,
}

#[derive(Default)]
struct Facts {
    acked: BTreeMap<i64, Sent>,
    seen: BTreeMap<i64, Sent>,
    offset_of: BTreeMap<Sent, i64>,
    last_acked_ms: u64,
    read_count: u64,
}

impl History {
    pub fn set_now_ms(&self, now_ms: u64) {
        self.state.lock().now_ms = now_ms;
    }

    /// Notes a broken promise; the first one is kept.
    pub fn violate(&self, invariant: Invariant, what: String) {
        self.state.lock().violate(invariant, what);
    }

    pub fn violation(&self) -> Option<Broken> {
        self.state.lock().violation.clone()
    }

    /// A producer was told that a record is at an offset.
    pub fn acked(&self, partition: Partition, offset: i64, sent: Sent) {
        let mut state = self.state.lock();
        let now_ms = state.now_ms;
        state.fresh.push((partition, offset));
        let facts = state.partitions.entry(partition).or_default();
        facts.last_acked_ms = now_ms;
        facts.acked.insert(offset, sent);
        let broken = facts.place(offset, sent);
        state.note(partition, broken);
    }

    /// What was acknowledged since the last call.
    pub fn take_fresh(&self) -> Vec<(Partition, i64)> {
        std::mem::take(&mut self.state.lock().fresh)
    }

    /// A producer was told that a record had come before; nobody said where it is.
    pub fn acked_somewhere(&self, partition: Partition) {
        let mut state = self.state.lock();
        let now_ms = state.now_ms;
        state.partitions.entry(partition).or_default().last_acked_ms = now_ms;
    }

    /// A consumer was given a record.
    pub fn read(&self, partition: Partition, offset: i64, sent: Sent) {
        let mut state = self.state.lock();
        let facts = state.partitions.entry(partition).or_default();
        facts.read_count += 1;
        let broken = facts.place(offset, sent);
        state.note(partition, broken);
    }

    /// A consumer of a whole partition has passed over an offset: nothing can have been acknowledged there.
    pub fn passed_over(&self, partition: Partition, offset: i64) {
        let mut state = self.state.lock();
        let acked = state.partitions.entry(partition).or_default().acked.get(&offset).copied();
        let broken =
            acked.map(|sent| format!("offset {offset} has no record any more, {sent:?} was acknowledged there"));
        state.note(partition, broken);
    }

    /// A group tries to commit an offset.
    pub fn committing(&self, group: &'static str, partition: Partition, offset: i64) {
        let mut state = self.state.lock();
        let commit = state.commits.entry((group, partition)).or_insert((-1, -1));
        commit.1 = commit.1.max(offset);
    }

    /// The commit was acknowledged.
    pub fn committed(&self, group: &'static str, partition: Partition, offset: i64) {
        let mut state = self.state.lock();
        let commit = state.commits.entry((group, partition)).or_insert((-1, -1));
        commit.0 = commit.0.max(offset);
    }

    /// When a commit of a member was last acknowledged, in ms.
    pub fn last_member_commit_ms(&self) -> u64 {
        self.state.lock().last_member_commit_ms
    }

    /// A member was given a partition in a generation.
    pub fn owns(&self, group: &'static str, generation: i32, member: &str, partition: i32) {
        let mut state = self.state.lock();
        let newest = state.generations.entry(group).or_insert(generation);
        *newest = generation.max(*newest);
        let owner = state.owners.entry((group, generation, partition)).or_insert_with(|| member.to_owned()).clone();
        if owner != member {
            let what = format!("{group}: partition {partition} is {owner}'s and {member}'s in generation {generation}");
            state.violate(Invariant::GroupOwner, what);
        }
    }

    /// The newest generation that gave partitions to somebody, or -1.
    pub fn generation(&self, group: &'static str) -> i32 {
        self.state.lock().generations.get(group).copied().unwrap_or(-1)
    }

    /// A commit of a generation was acknowledged; `newest` is [`History::generation`] from before it was asked for.
    pub fn committed_in(&self, group: &'static str, generation: i32, newest: i32) {
        let mut state = self.state.lock();
        state.last_member_commit_ms = state.now_ms;
        if generation < newest {
            let what = format!("{group}: generation {generation} commits after generation {newest} has begun");
            state.violate(Invariant::GroupOwner, what);
        }
    }

    /// A group was told what it has committed; `acknowledged` is [`History::acknowledged_commit`] from before it asked.
    pub fn fetched_commit(&self, group: &'static str, partition: Partition, acknowledged: i64, offset: i64) {
        let mut state = self.state.lock();
        let tried = state.commits.get(&(group, partition)).map_or(-1, |commit| commit.1);
        let broken = (offset < acknowledged || offset > tried).then(|| {
            format!("group {group} is told {offset}; it has committed {acknowledged} and tried no more than {tried}")
        });
        state.note(partition, broken);
    }

    /// The highest offset whose commit was acknowledged, or -1.
    pub fn acknowledged_commit(&self, group: &'static str, partition: Partition) -> i64 {
        self.state.lock().commits.get(&(group, partition)).map_or(-1, |commit| commit.0)
    }

    /// When the last record of the partition was acknowledged, in ms.
    pub fn last_acked_ms(&self, partition: Partition) -> u64 {
        self.state.lock().partitions.get(&partition).map_or(0, |facts| facts.last_acked_ms)
    }

    /// The offset behind the last acknowledged record.
    pub fn acked_end(&self, partition: Partition) -> i64 {
        let state = self.state.lock();
        let last = state.partitions.get(&partition).and_then(|facts| facts.acked.last_key_value());
        last.map_or(0, |(offset, _)| offset + 1)
    }

    /// How many records were acknowledged, and how often one was read.
    pub fn counts(&self) -> (usize, u64) {
        let state = self.state.lock();
        let acked = state.partitions.values().map(|facts| facts.acked.len()).sum();
        (acked, state.partitions.values().map(|facts| facts.read_count).sum())
    }
}

impl State {
    fn violate(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Broken { invariant, what });
    }

    fn note(&mut self, (topic, index): Partition, broken: Option<String>) {
        if let Some(broken) = broken {
            self.violate(Invariant::ClientsAgree, format!("{topic}-{index}: {broken}"));
        }
    }
}

impl Facts {
    /// Holds a record at an offset against all that is known; says what does not fit.
    fn place(&mut self, offset: i64, sent: Sent) -> Option<String> {
        if let Some(other) = self.seen.insert(offset, sent).filter(|other| *other != sent) {
            return Some(format!("offset {offset} held {other:?} and now holds {sent:?}"));
        }
        if let Some(other) = self.offset_of.insert(sent, offset).filter(|other| *other != offset) {
            return Some(format!("{sent:?} is at offsets {other} and {offset}"));
        }
        if sent.producer >= HASTY_PRODUCERS {
            return None;
        }
        // Neighbours of the same producer: the order of numbers is the order of offsets.
        let of_producer = |number| Sent { number, ..sent };
        let before = self.offset_of.range(of_producer(0)..sent).next_back();
        let after = self.offset_of.range(of_producer(sent.number + 1)..=of_producer(u64::MAX)).next();
        let is_ordered = before.is_none_or(|(_, at)| *at < offset) && after.is_none_or(|(_, at)| *at > offset);
        (!is_ordered)
            .then(|| format!("{sent:?} at offset {offset} is out of order: {before:?} before, {after:?} after it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = ("t", 0);

    fn sent(producer: u32, number: u64) -> Sent {
        Sent { producer, number }
    }

    fn violation(tell: impl FnOnce(&History)) -> Option<Broken> {
        let history = History::default();
        tell(&history);
        history.violation()
    }

    #[test]
    fn a_good_history_breaks_nothing() {
        let good = violation(|history| {
            history.acked(P, 0, sent(1, 0));
            history.read(P, 0, sent(1, 0));
            history.read(P, 1, sent(2, 0));
            history.acked(P, 1, sent(2, 0));
            history.acked(P, 2, sent(1, 1));
            history.passed_over(P, 3);
            history.committing("g", P, 2);
            history.committed("g", P, 2);
            history.committing("g", P, 3);
            history.fetched_commit("g", P, 2, 3);
            history.owns("g", 1, "a", 0);
            history.owns("g", 1, "b", 1);
            history.owns("g", 2, "b", 0);
            history.committed_in("g", 2, history.generation("g"));
            history.read(P, 8, sent(HASTY_PRODUCERS, 1));
            history.read(P, 9, sent(HASTY_PRODUCERS, 0));
        });
        assert_eq!(good, None);
    }

    #[test]
    fn each_bad_history_is_seen() {
        type Deeds = fn(&History);
        let bad: [(&str, Deeds); 8] = [
            ("another record", |history| {
                history.acked(P, 0, sent(1, 0));
                history.read(P, 0, sent(2, 0));
            }),
            ("a lost record", |history| {
                history.acked(P, 0, sent(1, 0));
                history.passed_over(P, 0);
            }),
            ("a record twice", |history| {
                history.acked(P, 0, sent(1, 0));
                history.read(P, 4, sent(1, 0));
            }),
            ("records out of order", |history| {
                history.read(P, 1, sent(1, 0));
                history.read(P, 0, sent(1, 1));
            }),
            ("a commit taken back", |history| {
                history.committing("g", P, 5);
                history.committed("g", P, 5);
                history.fetched_commit("g", P, 5, 4);
            }),
            ("a commit out of nowhere", |history| history.fetched_commit("g", P, -1, 0)),
            ("two owners", |history| {
                history.owns("g", 3, "a", 0);
                history.owns("g", 3, "b", 0);
            }),
            ("a commit of the past", |history| {
                history.owns("g", 3, "a", 0);
                history.owns("g", 4, "b", 0);
                history.committed_in("g", 3, history.generation("g"));
            }),
        ];
        for (what, tell) in bad {
            assert!(violation(tell).is_some(), "{what}");
        }
    }

    #[test]
    fn values_are_read_back() {
        assert_eq!(Sent::parse(sent(3, 14).value().as_bytes()), Some(sent(3, 14)));
        assert_eq!(Sent::parse(sent(3, 14).long_value(700).as_bytes()), Some(sent(3, 14)));
        assert_eq!(Sent::parse(b"3:x"), None);
    }
}
