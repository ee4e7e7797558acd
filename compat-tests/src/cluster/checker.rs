//! What must be true of a history: a pure function to the list of its anomalies.
//!
//! What one server must keep too (lost, twice, moved, disordered, committed offsets) is judged by [`crate::kill::history`]; here
//! is what only several nodes can get wrong, or what only members of groups see.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::history::{Fact, History, Manner, Observation, Outcome, Poll};
use crate::kill::batch::Batch;
use crate::kill::history::{self as single, Value, values};

mod lag;
#[cfg(test)]
mod tests;

pub use lag::{Limits, worst};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// One that a single server can break too.
    Single(single::Anomaly),
    /// A poll skipped records, or went back.
    PollGap { member: u32, partition: i32, expected: i64, found: i64 },
    /// A position that a member had reached is outside of the log.
    OutOfRange { member: u32, partition: i32, position: i64 },
    /// A group never saw an acknowledged record.
    Unseen { group: u32, partition: i32, value: Value, offset: i64 },
    /// While no fault was on, a group (or those in none) went without an acknowledged record for so long.
    Stale { group: u32, partition: i32, value: Value, offset: i64, waited_ms: u64 },
    /// A producer's later batch has a lower offset.
    SentBackwards { partition: i32, producer: u32, earlier: i64, later: i64 },
    /// An end of a partition is under one seen before.
    EndWentBack { partition: i32, what: &'static str, seen: i64, then: i64 },
    /// Log start, last stable offset and high watermark are not in this order.
    EndsCrossed { partition: i32, log_start_offset: i64, last_stable_offset: i64, high_watermark: i64 },
    /// Two members of one generation own one partition.
    TwoOwners { group: u32, generation: i32, partition: i32 },
    /// A commit of a generation that is over was taken.
    ZombieCommit { group: u32, generation: i32 },
    /// A batch with a replaced producer epoch was acknowledged.
    ZombieWrite { batch: Batch },
    /// A batch was refused with an error that says it was not written, and is in the log.
    RefusedAndStored { partition: i32, value: Value, error: i16, offset: i64 },
    /// Two nodes were named leader of one partition in one epoch.
    TwoLeaders { partition: i32, leader_epoch: i32, leaders: [i32; 2] },
    /// Two nodes were named leader of the metadata quorum in one epoch.
    TwoControllers { epoch: i32, leaders: [i32; 2] },
    /// Two topics were created with one id.
    TopicIdReused { id: String },
    /// A topic that was deleted exists.
    TopicResurrected { node: usize, name: String, id: String },
}

/// Every broken promise, each named once.
pub fn check(history: &History, limits: &Limits) -> Vec<Anomaly> {
    let mut anomalies: Vec<Anomaly> = single::check(&for_single(history)).into_iter().map(Anomaly::Single).collect();
    check_polls(history, &mut anomalies);
    check_unseen(history, &mut anomalies);
    lag::check(history, limits, &mut anomalies);
    check_sends(history, &mut anomalies);
    check_refused(history, &mut anomalies);
    check_ends(history, &mut anomalies);
    check_owners(history, &mut anomalies);
    check_leaders(history, &mut anomalies);
    check_topics(history, &mut anomalies);
    anomalies.sort_unstable();
    anomalies.dedup();
    anomalies
}

/// The part of a history that the checks of one server understand.
fn for_single(history: &History) -> single::History {
    let mut single = single::History::default();
    for observation in &history.observations {
        let mut add = |fact| {
            let (invoked, completed) = (observation.invoked, observation.completed);
            single.observations.push(single::Observation { invoked, completed, fact });
        };
        match observation.fact {
            Fact::Sent { batch, manner, outcome } => {
                let sent = single.sent.entry((batch.producer, batch.partition)).or_default();
                *sent = (*sent).max(batch.end());
                match outcome {
                    Outcome::Acknowledged { base_offset } => add(single::Fact::Acknowledged { batch, base_offset }),
                    Outcome::Refused { error } if manner == Manner::Idempotent => {
                        add(single::Fact::Refused { batch, error });
                    }
                    Outcome::Refused { .. } | Outcome::Unknown => {}
                }
            }
            Fact::Polled(ref poll) => {
                poll.batches.iter().for_each(|(base_offset, batch)| {
                    add(single::Fact::Read { batch: *batch, base_offset: *base_offset });
                });
            }
            Fact::CommitSent { group, partition, offset } => add(single::Fact::CommitSent { group, partition, offset }),
            Fact::Committed { group, partition, offset } => add(single::Fact::Committed { group, partition, offset }),
            Fact::OffsetFetched { group, partition, offset } => {
                add(single::Fact::OffsetFetched { group, partition, offset });
            }
            Fact::Stored { batch, base_offset } => {
                single.log.entry(batch.partition).or_default().push((base_offset, batch));
            }
            _ => {}
        }
    }
    single
}

fn polls(history: &History) -> impl Iterator<Item = (&Observation, &Poll)> {
    history.observations.iter().filter_map(|observation| match &observation.fact {
        Fact::Polled(poll) => Some((observation, poll)),
        _ => None,
    })
}

/// Within one assignment a member reads on where it stopped, and every answer is without gaps.
fn check_polls(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut in_order: Vec<(&Observation, &Poll)> = polls(history).collect();
    in_order.sort_by_key(|(observation, _)| observation.invoked);
    let mut reached: HashMap<(u32, u32, u32, i32), i64> = HashMap::new();
    for (_, poll) in in_order {
        let (member, partition) = (poll.member, poll.partition);
        let reader = (poll.group, member, poll.assignment, partition);
        if let Some(&expected) = reached.get(&reader)
            && expected != poll.position
        {
            anomalies.push(Anomaly::PollGap { member, partition, expected, found: poll.position });
        }
        let mut expected = poll.position;
        for (place, (base_offset, batch)) in poll.batches.iter().enumerate() {
            let end = base_offset + i64::from(batch.count);
            // A batch is never cut: the first one may begin before the position.
            let follows =
                if place == 0 { *base_offset <= expected && expected < end } else { *base_offset == expected };
            if !follows {
                anomalies.push(Anomaly::PollGap { member, partition, expected, found: *base_offset });
            }
            expected = end;
        }
        reached.insert(reader, expected);
    }
    for observation in &history.observations {
        if let Fact::OutOfRange { member, partition, position } = observation.fact {
            anomalies.push(Anomaly::OutOfRange { member, partition, position });
        }
    }
}

/// In the end every group has seen every acknowledged record.
fn check_unseen(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut seen: BTreeMap<u32, HashSet<(i32, Value)>> = BTreeMap::new();
    for observation in &history.observations {
        // A group that saw nothing at all must not be overlooked.
        if let Fact::Assigned { group, .. } = observation.fact {
            seen.entry(group).or_default();
        }
    }
    for (_, poll) in polls(history) {
        let seen = seen.entry(poll.group).or_default();
        let read = poll.batches.iter().flat_map(|(base_offset, batch)| values(*base_offset, batch));
        seen.extend(read.map(|(_, value)| (poll.partition, value)));
    }
    for (base_offset, batch) in acknowledged(history) {
        for (offset, value) in values(base_offset, &batch) {
            let partition = batch.partition;
            for (group, _) in seen.iter().filter(|(_, seen)| !seen.contains(&(partition, value))) {
                anomalies.push(Anomaly::Unseen { group: *group, partition, value, offset });
            }
        }
    }
}

fn acknowledged(history: &History) -> impl Iterator<Item = (i64, Batch)> {
    acknowledged_at(history).map(|(_, base_offset, batch)| (base_offset, batch))
}

/// When each batch was acknowledged, and at which offset.
fn acknowledged_at(history: &History) -> impl Iterator<Item = (u64, i64, Batch)> {
    history.observations.iter().filter_map(|observation| match observation.fact {
        Fact::Sent { batch, outcome: Outcome::Acknowledged { base_offset }, .. } => {
            Some((observation.completed, base_offset, batch))
        }
        _ => None,
    })
}

/// A producer's acknowledged batches of a partition stand in its order.
fn check_sends(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut sends: BTreeMap<(i32, u32), BTreeMap<u64, i64>> = BTreeMap::new();
    for (base_offset, batch) in acknowledged(history) {
        sends.entry((batch.partition, batch.producer)).or_default().insert(batch.first, base_offset);
    }
    for ((partition, producer), offsets) in sends {
        let offsets: Vec<i64> = offsets.into_values().collect();
        for pair in offsets.windows(2).filter(|pair| pair[0] >= pair[1]) {
            anomalies.push(Anomaly::SentBackwards { partition, producer, earlier: pair[0], later: pair[1] });
        }
    }
}

/// An error that says "not written" must be true, and a replaced epoch must get one.
fn check_refused(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut refused: HashMap<(i32, Value), i16> = HashMap::new();
    for observation in &history.observations {
        let Fact::Sent { batch, manner, outcome } = observation.fact else { continue };
        if let Outcome::Refused { error } = outcome {
            refused.extend(values(0, &batch).map(|(_, value)| ((batch.partition, value), error)));
        }
        if manner == Manner::Fenced && matches!(outcome, Outcome::Acknowledged { .. }) {
            anomalies.push(Anomaly::ZombieWrite { batch });
        }
    }
    for observation in &history.observations {
        let Fact::Stored { batch, base_offset } = observation.fact else { continue };
        let partition = batch.partition;
        for (offset, value) in values(base_offset, &batch) {
            if let Some(&error) = refused.get(&(partition, value)) {
                anomalies.push(Anomaly::RefusedAndStored { partition, value, error, offset });
            }
        }
    }
}

/// An end that may only grow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum End {
    HighWatermark,
    LastStable,
    LogStart,
    Listed,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::HighWatermark => "high watermark",
            End::LastStable => "last stable offset",
            End::LogStart => "log start offset",
            End::Listed => "end of ListOffsets",
        }
    }

    /// Whether a leader knows at least what the leaders of earlier epochs told. Of the high watermark it may know less at first,
    /// and says so in Fetch; to ListOffsets it answers OFFSET_NOT_AVAILABLE meanwhile (KIP-207). An old leader that has not heard
    /// of a new epoch yet knows nothing of it.
    fn is_inherited(self) -> bool {
        matches!(self, End::LogStart | End::Listed)
    }
}

/// An end of a partition in an epoch.
type Line = (End, i32, i32);

/// The highest that was told of a line, over earlier epochs too where those count.
fn bound(reached: &BTreeMap<Line, i64>, (end, partition, leader_epoch): Line) -> i64 {
    let first = if end.is_inherited() { i32::MIN } else { leader_epoch };
    let told = reached.range((end, partition, first)..=(end, partition, leader_epoch));
    told.map(|(_, offset)| *offset).max().unwrap_or(i64::MIN)
}

/// Walks the times in their order: what was complete before an observation began is its lower bound.
fn check_ends(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut times: Vec<(u64, bool, usize)> = Vec::new();
    for (index, observation) in history.observations.iter().enumerate() {
        if !lines(&observation.fact).is_empty() {
            times.extend([(observation.invoked, false, index), (observation.completed, true, index)]);
        }
    }
    times.sort_unstable();
    let mut reached: BTreeMap<Line, i64> = BTreeMap::new();
    let mut bounds: HashMap<(usize, Line), i64> = HashMap::new();
    for (_, is_completion, index) in times {
        for (line, then) in lines(&history.observations[index].fact) {
            if !is_completion {
                bounds.insert((index, line), bound(&reached, line));
                continue;
            }
            let seen = bounds.remove(&(index, line)).expect("it began before it was complete");
            if then < seen {
                let (end, partition, _) = line;
                anomalies.push(Anomaly::EndWentBack { partition, what: end.name(), seen, then });
            }
            let at = reached.entry(line).or_insert(then);
            *at = (*at).max(then);
        }
    }
    for (_, poll) in polls(history) {
        let &Poll { partition, log_start_offset, last_stable_offset, high_watermark, .. } = poll;
        if log_start_offset > last_stable_offset || last_stable_offset > high_watermark {
            anomalies.push(Anomaly::EndsCrossed { partition, log_start_offset, last_stable_offset, high_watermark });
        }
    }
}

fn lines(fact: &Fact) -> Vec<(Line, i64)> {
    match *fact {
        Fact::End { partition, leader_epoch, offset } => vec![((End::Listed, partition, leader_epoch), offset)],
        Fact::Polled(Poll {
            partition, leader_epoch, high_watermark, last_stable_offset, log_start_offset, ..
        }) => vec![
            ((End::HighWatermark, partition, leader_epoch), high_watermark),
            ((End::LastStable, partition, leader_epoch), last_stable_offset),
            ((End::LogStart, partition, leader_epoch), log_start_offset),
        ],
        _ => Vec::new(),
    }
}

/// A partition has one owner in a generation, and a generation that is over commits nothing.
fn check_owners(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut owners: HashMap<(u32, i32, i32), u32> = HashMap::new();
    for observation in &history.observations {
        match &observation.fact {
            Fact::Assigned { group, member, generation, partitions } => {
                for partition in partitions {
                    let owner = *owners.entry((*group, *generation, *partition)).or_insert(*member);
                    if owner != *member {
                        let (group, generation, partition) = (*group, *generation, *partition);
                        anomalies.push(Anomaly::TwoOwners { group, generation, partition });
                    }
                }
            }
            Fact::ZombieCommitted { group, generation } => {
                anomalies.push(Anomaly::ZombieCommit { group: *group, generation: *generation });
            }
            _ => {}
        }
    }
}

/// In one epoch there is one leader, whoever says so and whenever.
fn check_leaders(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut leaders: HashMap<(i32, i32), i32> = HashMap::new();
    let mut controllers: HashMap<i32, i32> = HashMap::new();
    for observation in &history.observations {
        match observation.fact {
            Fact::Leader { partition, leader, leader_epoch } if leader >= 0 => {
                let first = *leaders.entry((partition, leader_epoch)).or_insert(leader);
                if first != leader {
                    let leaders = [first.min(leader), first.max(leader)];
                    anomalies.push(Anomaly::TwoLeaders { partition, leader_epoch, leaders });
                }
            }
            Fact::Controller { leader, epoch } if leader >= 0 => {
                let first = *controllers.entry(epoch).or_insert(leader);
                if first != leader {
                    let leaders = [first.min(leader), first.max(leader)];
                    anomalies.push(Anomaly::TwoControllers { epoch, leaders });
                }
            }
            _ => {}
        }
    }
}

/// Ids of topics are used once, and a deleted topic stays deleted.
fn check_topics(history: &History, anomalies: &mut Vec<Anomaly>) {
    let (mut created, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for observation in &history.observations {
        match &observation.fact {
            Fact::Created { id, .. } if !created.insert(id) => {
                anomalies.push(Anomaly::TopicIdReused { id: id.clone() })
            }
            Fact::Deleted { id, .. } => drop(deleted.insert(id)),
            _ => {}
        }
    }
    for observation in &history.observations {
        if let Fact::Exists { node, name, id } = &observation.fact
            && deleted.contains(id)
        {
            anomalies.push(Anomaly::TopicResurrected { node: *node, name: name.clone(), id: id.clone() });
        }
    }
}
