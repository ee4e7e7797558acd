//! How long readers went without what was acknowledged.
//!
//! While a fault is on, nobody owes them anything. From its healing to the next fault time counts: for a record that was
//! acknowledged before from the healing, for any other from its acknowledgement, until the first poll that holds it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Anomaly, acknowledged_at, polls};
use crate::cluster::history::{Fact, History, NO_GROUP};
use crate::kill::history::{Value, values};

/// How long an acknowledged record may be unseen while no fault is on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// By readers without a group.
    pub alone: Duration,
    /// By groups, whose rebalances take time too.
    pub groups: Duration,
}

/// The longest that one group went without a record that was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// From the acknowledgement on, over faults too.
    pub ever: Duration,
    /// While no fault was on.
    pub calm: Duration,
}

/// A record that was acknowledged, and how long one group went without it.
struct Wait {
    group: u32,
    partition: i32,
    value: Value,
    offset: i64,
    ever_ns: u64,
    calm_ns: u64,
}

pub(super) fn check(history: &History, limits: &Limits, anomalies: &mut Vec<Anomaly>) {
    for wait in waits(history) {
        let limit = if wait.group == NO_GROUP { limits.alone } else { limits.groups };
        let waited = Duration::from_nanos(wait.calm_ns);
        if waited > limit {
            let waited_ms = u64::try_from(waited.as_millis()).expect("a run lasts less than ages");
            let Wait { group, partition, value, offset, .. } = wait;
            anomalies.push(Anomaly::Stale { group, partition, value, offset, waited_ms });
        }
    }
}

/// The worst of each group.
pub fn worst(history: &History) -> BTreeMap<u32, Worst> {
    let mut worst: BTreeMap<u32, Worst> = BTreeMap::new();
    for wait in waits(history) {
        let of_group = worst.entry(wait.group).or_default();
        of_group.ever = of_group.ever.max(Duration::from_nanos(wait.ever_ns));
        of_group.calm = of_group.calm.max(Duration::from_nanos(wait.calm_ns));
    }
    worst
}

/// One for each acknowledged batch and group, of its last record.
fn waits(history: &History) -> Vec<Wait> {
    let mut seen: BTreeMap<u32, HashMap<(i32, Value), u64>> = BTreeMap::new();
    for (observation, poll) in polls(history) {
        let seen = seen.entry(poll.group).or_default();
        for (_, value) in poll.batches.iter().flat_map(|(base_offset, batch)| values(*base_offset, batch)) {
            let first = seen.entry((poll.partition, value)).or_insert(observation.completed);
            *first = (*first).min(observation.completed);
        }
    }
    // A record that was never seen was not seen until the run's end, at least.
    let end = history.observations.iter().map(|observation| observation.completed).max().unwrap_or(0);
    let calm = calm(history);
    let mut waits = Vec::new();
    for (acknowledged, base_offset, batch) in acknowledged_at(history) {
        let Some((offset, value)) = values(base_offset, &batch).last() else { continue };
        let partition = batch.partition;
        for (group, seen) in &seen {
            let seen = seen.get(&(partition, value)).copied().unwrap_or(end);
            let ever_ns = seen.saturating_sub(acknowledged);
            let calm_ns = longest_within(&calm, acknowledged, seen);
            waits.push(Wait { group: *group, partition, value, offset, ever_ns, calm_ns });
        }
    }
    waits
}

/// The times without a fault, in their order: from one fault's healing to the next one's beginning.
fn calm(history: &History) -> Vec<(u64, u64)> {
    let is_fault = |fact: &Fact| matches!(fact, Fact::Fault { .. });
    let faults = history.observations.iter().filter(|observation| is_fault(&observation.fact));
    let mut faults: Vec<(u64, u64)> = faults.map(|fault| (fault.invoked, fault.completed)).collect();
    faults.sort_unstable();
    let mut calm = Vec::new();
    let mut healed = 0;
    for (began, completed) in faults {
        if healed < began {
            calm.push((healed, began));
        }
        healed = healed.max(completed);
    }
    calm.push((healed, u64::MAX));
    calm
}

/// The longest part of `from` to `to` that lies within one of these times.
fn longest_within(calm: &[(u64, u64)], from: u64, to: u64) -> u64 {
    let first = calm.partition_point(|(_, end)| *end <= from);
    let overlapping = calm[first..].iter().take_while(|(start, _)| *start < to);
    overlapping.map(|(start, end)| (*end).min(to).saturating_sub((*start).max(from))).max().unwrap_or(0)
}
