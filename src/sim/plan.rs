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
    /// Its disk is gone, and another one, empty, in its place.
    Empty {
        node: i32,
    },
    /// The next flush of records fails.
    FailFlush {
        node: i32,
    },
    /// What is sent to other nodes and from them waits until it goes on, as when a process is stopped for a while.
    Stall {
        node: i32,
    },
    GoOn {
        node: i32,
    },
    /// Messages of the partition's leader take up to so many ms: its followers lag, each in its own way.
    SlowLeader {
        partition: usize,
        max_ms: u64,
    },
    /// The process of the partition's leader dies.
    CrashLeader {
        partition: usize,
    },
    /// The process of a member of the partition's ISR dies that does not lead.
    CrashFollower {
        partition: usize,
    },
    /// The disk of the follower that died last is gone, and an empty one in its place.
    EmptyFollower,
    /// Every node that is down comes up, but for the leader that died last.
    StartFollowers,
    /// All links are as fast as they are when they are well.
    LinksWell,
    /// Every node that is down comes up.
    StartDown,
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
    /// The plan of a seed. `may_empty`: one node may lose its disk. It is one in a run, since another one could have been the last
    /// to hold something before the first is in sync again.
    pub fn draw(seed: u64, node_count: i32, may_empty: bool) -> Plan {
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
        if may_empty && node_count > 1 && random.next_u64().is_multiple_of(2) {
            loss_of_a_disk(&mut random, node_count, &mut actions);
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

/// Some node loses its disk; or, where there are enough nodes to decide on it, the one that is eligible to lead beside the last
/// that is in sync, which dies too (KIP-966).
fn loss_of_a_disk(random: &mut SimRandom, node_count: i32, actions: &mut Vec<(u64, Action)>) {
    let at_ms = below(random, FAULTS_MS / 2);
    if node_count < 5 {
        let node = node(random, node_count);
        actions.push((at_ms, Action::Empty { node }));
        actions.push((at_ms + 200 + below(random, 4_000), Action::Start { node }));
        return;
    }
    let partition = usize::try_from(below(random, 2)).expect("0 or 1");
    actions.push((at_ms, Action::CrashFollower { partition }));
    actions.push((at_ms + 900, Action::CrashFollower { partition }));
    actions.push((at_ms + 1_800, Action::EmptyFollower));
    actions.push((at_ms + 1_850, Action::CrashLeader { partition }));
    actions.push((at_ms + 1_900, Action::StartFollowers));
    actions.push((at_ms + 5_000 + below(random, 2_000), Action::StartDown));
}

/// One fault and its end.
fn fault(random: &mut SimRandom, node_count: i32, at_ms: u64, actions: &mut Vec<(u64, Action)>) {
    let node = node(random, node_count);
    let end_ms = at_ms + 200 + below(random, 4_000);
    let mut then = |at_ms, action| actions.push((at_ms, action));
    match below(random, if node_count > 1 { 16 } else { 7 }) {
        0 | 1 => {
            then(at_ms, Action::Crash { node, loses_power: random.next_u64().is_multiple_of(2) });
            then(end_ms, Action::Start { node });
        }
        2 => {
            then(at_ms, Action::Stop { node });
            then(end_ms, Action::Start { node });
        }
        3 => {
            then(at_ms, Action::Disk { node, max_ms: 20 + below(random, 400) });
            then(end_ms, Action::Disk { node, max_ms: DISK_MS });
        }
        4 => {
            let offset_ms = i64::try_from(below(random, 7_200_000)).expect("two hours") - 3_600_000;
            then(at_ms, Action::Wall { node, offset_ms });
        }
        5 => {
            // A clean stop, and what comes soon after the next start.
            then(at_ms, Action::Stop { node });
            then(at_ms + 1_500, Action::Start { node });
            then(at_ms + 1_700, Action::Disk { node, max_ms: 20 + below(random, 200) });
            then(at_ms + 1_900 + below(random, 2_000), Action::Crash { node, loses_power: true });
            then(at_ms + 4_000, Action::Disk { node, max_ms: DISK_MS });
            then(at_ms + 4_000, Action::Start { node });
        }
        6 => {
            // A machine whose disk has failed is booted anew.
            then(at_ms, Action::FailFlush { node });
            then(end_ms, Action::Crash { node, loses_power: true });
            then(end_ms + 300, Action::Start { node });
        }
        7 => {
            // Everything dies at once.
            for node in 1..=node_count {
                then(at_ms, Action::Crash { node, loses_power: true });
                then(end_ms + below(random, 500), Action::Start { node });
            }
        }
        8 => {
            let between = (node, other(random, node, node_count));
            then(at_ms, Action::Link { between, max_ms: 20 + below(random, 300) });
            then(end_ms, Action::Link { between, max_ms: LINK_MS });
        }
        9 | 10 => {
            then(at_ms, Action::Stall { node });
            then(end_ms, Action::GoOn { node });
        }
        11 | 12 => {
            // A leader dies that had much to itself, and comes back when others have led.
            let partition = usize::try_from(below(random, 2)).expect("0 or 1");
            then(at_ms, Action::SlowLeader { partition, max_ms: 50 + below(random, 200) });
            then(at_ms + 300, Action::CrashLeader { partition });
            then(at_ms + 400, Action::LinksWell);
            then(at_ms + 1_500 + below(random, 2_500), Action::StartDown);
        }
        kind => {
            for (from, to) in cuts(random, kind, node, node_count) {
                then(at_ms, Action::Cut { from, to });
                then(end_ms, Action::Mend { from, to });
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
        13 => others.flat_map(|node| [(node_a, node), (node, node_a)]).collect(),
        14 => {
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
                let may_empty = seed % 2 == 0;
                let plan = Plan::draw(seed, node_count, may_empty);
                assert_eq!(plan, Plan::draw(seed, node_count, may_empty));
                assert!(plan.actions.is_sorted_by_key(|(at_ms, _)| *at_ms));
                let count =
                    |matches: fn(&Action) -> bool| plan.actions.iter().filter(|(_, action)| matches(action)).count();
                let cut = count(|action| matches!(action, Action::Cut { .. }));
                assert_eq!(cut, count(|action| matches!(action, Action::Mend { .. })));
                let stalled = count(|action| matches!(action, Action::Stall { .. }));
                assert_eq!(stalled, count(|action| matches!(action, Action::GoOn { .. })));
                let felled = count(|action| matches!(action, Action::CrashLeader { .. }));
                assert_eq!(felled, count(|action| matches!(action, Action::StartDown)));
                let emptied = count(|action| matches!(action, Action::Empty { .. }));
                let chosen = count(|action| matches!(action, Action::EmptyFollower));
                assert!(emptied + chosen <= usize::from(may_empty && node_count > 1));
                let down = emptied + count(|action| matches!(action, Action::Crash { .. } | Action::Stop { .. }));
                assert_eq!(down, count(|action| matches!(action, Action::Start { .. })));
            }
        }
    }
}
