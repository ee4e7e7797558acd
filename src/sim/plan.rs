//! What goes wrong, and when: drawn from the seed before the simulation begins.

use crate::io::sim_disk::SimRandom;

/// One thing that is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process dies; its connections are closed by the system. What was not flushed stays in the page cache.
    Crash {
        node: i32,
        loses_power: bool,
    },
    /// A node that is down comes up.
    Start {
        node: i32,
    },
    /// The server stops in order.
    Stop {
        node: i32,
    },
    /// Nothing gets from one node to another any more.
    Cut {
        from: i32,
        to: i32,
    },
    Mend {
        from: i32,
        to: i32,
    },
    /// Flushes and other blocking work take up to so many ms.
    Disk {
        node: i32,
        max_ms: u64,
    },
    /// Messages between two nodes take up to so many ms.
    Link {
        between: (i32, i32),
        max_ms: u64,
    },
    /// The wall clock of a node is off by so many ms.
    Wall {
        node: i32,
        offset_ms: i64,
    },
}

/// The faults of one run, by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In ms from the moment when the cluster serves, ascending.
    pub actions: Vec<(u64, Action)>,
    /// When everything is healed.
    pub heal_ms: u64,
}

/// Time of faults in a run, in ms.
const FAULTS_MS: u64 = 20_000;
/// What a disk and a link take at most when they are well, in ms.
pub const DISK_MS: u64 = 3;
pub const LINK_MS: u64 = 4;

impl Plan {
    /// The plan of a seed for a cluster of `node_count`.
    pub fn draw(seed: u64, node_count: i32) -> Plan {
        let mut random = SimRandom::new(seed ^ 0x51f1_7e5d_9a3b_c701);
        let mut actions = Vec::new();
        let mut at_ms = 0;
        loop {
            at_ms += 100 + below(&mut random, 2_500);
            if at_ms >= FAULTS_MS {
                break;
            }
            fault(&mut random, node_count, at_ms, &mut actions);
        }
        actions.sort_by_key(|(at_ms, _)| *at_ms);
        Plan { actions, heal_ms: FAULTS_MS }
    }
}

fn below(random: &mut SimRandom, bound: u64) -> u64 {
    random.next_u64() % bound
}

fn node(random: &mut SimRandom, node_count: i32) -> i32 {
    1 + i32::try_from(below(random, u64::from(node_count.unsigned_abs()))).expect("below a count")
}

/// One fault and its end.
fn fault(random: &mut SimRandom, node_count: i32, at_ms: u64, actions: &mut Vec<(u64, Action)>) {
    let node_a = node(random, node_count);
    let end_ms = at_ms + 200 + below(random, 4_000);
    let kinds = if node_count > 1 { 10 } else { 5 };
    match below(random, kinds) {
        0 | 1 => {
            actions.push((at_ms, Action::Crash { node: node_a, loses_power: random.next_u64().is_multiple_of(2) }));
            actions.push((end_ms, Action::Start { node: node_a }));
        }
        2 => {
            actions.push((at_ms, Action::Stop { node: node_a }));
            actions.push((end_ms, Action::Start { node: node_a }));
        }
        3 => {
            let max_ms = 20 + below(random, 400);
            actions.push((at_ms, Action::Disk { node: node_a, max_ms }));
            actions.push((end_ms, Action::Disk { node: node_a, max_ms: DISK_MS }));
        }
        4 => {
            let offset_ms = i64::try_from(below(random, 7_200_000)).expect("two hours") - 3_600_000;
            actions.push((at_ms, Action::Wall { node: node_a, offset_ms }));
        }
        5 => {
            // Everything dies at once.
            for node in 1..=node_count {
                actions.push((at_ms, Action::Crash { node, loses_power: true }));
                actions.push((end_ms + below(random, 500), Action::Start { node }));
            }
        }
        6 => {
            let node_b = other(random, node_a, node_count);
            let max_ms = 20 + below(random, 300);
            actions.push((at_ms, Action::Link { between: (node_a, node_b), max_ms }));
            actions.push((end_ms, Action::Link { between: (node_a, node_b), max_ms: LINK_MS }));
        }
        kind => {
            for (from, to) in cuts(random, kind, node_a, node_count) {
                actions.push((at_ms, Action::Cut { from, to }));
                actions.push((end_ms, Action::Mend { from, to }));
            }
        }
    }
}

fn other(random: &mut SimRandom, node_a: i32, node_count: i32) -> i32 {
    1 + (node_a - 1 + node(random, node_count - 1)) % node_count
}

/// A node alone, one direction of a link, or a ring: each reaches its neighbours only.
fn cuts(random: &mut SimRandom, kind: u64, node_a: i32, node_count: i32) -> Vec<(i32, i32)> {
    let others = (1..=node_count).filter(|node| *node != node_a);
    match kind {
        7 => others.flat_map(|node| [(node_a, node), (node, node_a)]).collect(),
        8 => {
            let node_b = other(random, node_a, node_count);
            vec![(node_a, node_b)]
        }
        _ => {
            let all = (1..=node_count).flat_map(|from| (1..=node_count).map(move |to| (from, to)));
            let distance =
                |(from, to): &(i32, i32)| (from - to).rem_euclid(node_count).min((to - from).rem_euclid(node_count));
            // A ring of three is whole: one link of it is cut.
            let ring: Vec<_> = all.filter(|pair| distance(pair) > 1).collect();
            if ring.is_empty() {
                let node_b = other(random, node_a, node_count);
                return vec![(node_a, node_b), (node_b, node_a)];
            }
            ring
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_plan_and_every_fault_has_its_end() {
        for seed in 0..200 {
            for node_count in [1, 3, 5] {
                let plan = Plan::draw(seed, node_count);
                assert_eq!(plan, Plan::draw(seed, node_count));
                assert!(plan.actions.is_sorted_by_key(|(at_ms, _)| *at_ms));
                let count =
                    |matches: fn(&Action) -> bool| plan.actions.iter().filter(|(_, action)| matches(action)).count();
                let cut = count(|action| matches!(action, Action::Cut { .. }));
                assert_eq!(cut, count(|action| matches!(action, Action::Mend { .. })));
                let down = count(|action| matches!(action, Action::Crash { .. } | Action::Stop { .. }));
                assert_eq!(down, count(|action| matches!(action, Action::Start { .. })));
            }
        }
    }
}
