//! What is done to a cluster while clients work: one fault at a time, healed before the next, in an order that a seed makes.
//!
//! A campaign ends with its time, but not before every one of its faults was on once. Each fault is looked at while it is on: one
//! that does not bite is an error, and no proof.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::history::{Fact, Observation};
use super::load::{Run, TOPIC};
use super::nodes::Cluster;
use super::{admin, load};
use crate::random::Random;
use crate::server::Against;

/// A fault, and whom it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    KillLeader,
    KillController,
    KillAny,
    /// A power cut, as far as a process can tell: the page cache survives.
    KillAll,
    PauseLeader,
    PauseController,
    PauseAny,
    /// A leader is cut off from the other nodes, and clients reach it still.
    CutLeader,
    CutController,
    /// Nothing reaches a node or leaves it.
    Unplug,
    /// What one node sends to another is lost; the other way is open.
    CutOneWay,
    /// One link is cut: each node reaches the next, as in a ring.
    CutRing,
    FillDisk,
    /// Each node is stopped in good order and started again.
    Roll,
}

impl Fault {
    /// With whom it hit, for a history.
    pub fn named(self, nodes: &[usize]) -> String {
        format!("{self:?} {nodes:?}")
    }
}

pub const FAULTS: &[Fault] = &[
    Fault::KillLeader,
    Fault::PauseLeader,
    Fault::CutLeader,
    Fault::KillController,
    Fault::Unplug,
    Fault::KillAll,
    Fault::CutOneWay,
    Fault::PauseController,
    Fault::FillDisk,
    Fault::CutRing,
    Fault::KillAny,
    Fault::CutController,
    Fault::Roll,
    Fault::PauseAny,
];

/// Time under load before a fault.
const LOAD_MAX_MS: u64 = 2_000;
const KILLED_MAX_MS: u64 = 3_000;
const PAUSED_MIN_MS: u64 = 1_000;
const PAUSED_MAX_MS: u64 = 20_000;
const CUT_MIN_MS: u64 = 1_000;
const CUT_MAX_MS: u64 = 12_000;
const FULL_MIN_MS: u64 = 1_000;
const FULL_MAX_MS: u64 = 5_000;
/// How long nothing must get through a cut, and how long it may take over a link that is whole.
const CUT_SEEN: Duration = Duration::from_millis(500);
const WHOLE_SEEN: Duration = Duration::from_secs(10);
/// After healing, a write is acknowledged by every partition, and all replicas are in sync.
const WRITE_LIMIT: Duration = Duration::from_secs(15);
/// Apache Kafka's session timeout is 9 s, and a start takes it some more.
const KAFKA_WRITE_LIMIT: Duration = Duration::from_secs(90);
const IN_SYNC_LIMIT: Duration = Duration::from_secs(60);
/// Longer than readers may lag: the next fault leaves them the time to break their limit.
const SEEN_LIMIT: Duration = Duration::from_secs(8);

pub struct Nemesis<'a> {
    cluster: &'a mut Cluster,
    run: &'a Run,
    random: Random,
    faults: Vec<Fault>,
    start: Instant,
    /// When each fault was on.
    pub observations: Vec<Observation>,
}

/// How long it took after a fault was healed.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    pub fault: Fault,
    /// Until every partition had acknowledged another write.
    pub to_write: Duration,
    /// Until all replicas were in sync.
    pub to_whole: Duration,
    /// Until readers without a group had seen all that was acknowledged before all were in sync.
    pub to_seen: Duration,
}

impl<'a> Nemesis<'a> {
    pub fn new(cluster: &'a mut Cluster, run: &'a Run, faults: &[Fault], seed: u64) -> Nemesis<'a> {
        let (random, observations) = (Random::new(seed), Vec::new());
        Nemesis { cluster, run, random, faults: faults.to_vec(), start: Instant::now(), observations }
    }

    /// Faults until the time is up and each was on at least once, all healed and recovered from.
    pub fn rage(&mut self, time: Duration) -> Result<Vec<Recovery>> {
        let mut recoveries = Vec::new();
        while recoveries.is_empty() || self.start.elapsed() < time {
            for fault in self.shuffled() {
                if recoveries.len() >= self.faults.len() && self.start.elapsed() >= time {
                    break;
                }
                std::thread::sleep(self.up_to(LOAD_MAX_MS));
                recoveries.push(self.strike(fault).with_context(|| format!("{fault:?}"))?);
            }
        }
        Ok(recoveries)
    }

    fn shuffled(&mut self) -> Vec<Fault> {
        let mut faults = self.faults.clone();
        for at in (1..faults.len()).rev() {
            faults.swap(at, self.random.index(at + 1));
        }
        faults
    }

    fn up_to(&mut self, ms: u64) -> Duration {
        Duration::from_millis(self.random.below(ms.max(1)))
    }

    fn between(&mut self, min_ms: u64, max_ms: u64) -> Duration {
        Duration::from_millis(min_ms) + self.up_to(max_ms - min_ms)
    }

    fn strike(&mut self, fault: Fault) -> Result<Recovery> {
        let at = self.start.elapsed().as_secs_f64();
        let nodes = self.nodes(fault);
        println!("      {at:6.1} s  {fault:?} {:?}", nodes.iter().map(|node| node + 1).collect::<Vec<_>>());
        let began = self.run.now();
        self.hurt(fault, &nodes)?;
        self.heal(fault)?;
        let healed = self.run.now();
        let is_kafka = self.cluster.against() == Against::Kafka;
        // Apache Kafka gives up when its only log directory fails, Ottla goes on when there is room again.
        let has_started_some = self.cluster.restore(is_kafka && fault == Fault::FillDisk)?;
        let completed = if has_started_some { self.run.now() } else { healed };
        let fact = Fact::Fault { name: fault.named(&nodes) };
        self.observations.push(Observation { invoked: began, completed, fact });
        let to_write =
            self.run.await_acknowledgements(healed, if is_kafka { KAFKA_WRITE_LIMIT } else { WRITE_LIMIT })?;
        admin::await_in_sync(&self.cluster.addresses(), TOPIC, IN_SYNC_LIMIT)?;
        let to_whole = Duration::from_nanos(self.run.now() - healed);
        let to_seen = self.run.await_seen(healed, SEEN_LIMIT.max(to_whole));
        println!(
            "                writes again after {:.1} s, whole after {:.1} s, all seen after {:.1} s",
            to_write.as_secs_f64(),
            to_whole.as_secs_f64(),
            to_seen.as_secs_f64()
        );
        Ok(Recovery { fault, to_write, to_whole, to_seen })
    }

    /// Whom this fault hits, the first one first.
    fn nodes(&mut self, fault: Fault) -> Vec<usize> {
        let any = self.random.index(self.cluster.count());
        let partition = i32::try_from(self.random.below(u64::from(self.run.partitions.unsigned_abs()))).expect("few");
        let leader = self.run.leader(partition).and_then(|(id, _, _)| self.cluster.with_id(id)).unwrap_or(any);
        let controller = self.controller().unwrap_or(any);
        let other = (any + 1 + self.random.index(self.cluster.count() - 1)) % self.cluster.count();
        match fault {
            Fault::KillLeader | Fault::PauseLeader | Fault::CutLeader => vec![leader],
            Fault::KillController | Fault::PauseController | Fault::CutController => vec![controller],
            Fault::KillAny | Fault::PauseAny | Fault::Unplug | Fault::FillDisk => vec![any],
            Fault::CutOneWay | Fault::CutRing => vec![any, other],
            Fault::KillAll | Fault::Roll => (0..self.cluster.count()).collect(),
        }
    }

    /// Metadata name any node as the controller in Kafka: the quorum's leader is asked for.
    fn controller(&self) -> Option<usize> {
        let answers = self.run.addresses.iter().filter_map(|address| admin::quorum(address).ok());
        let newest = answers.max_by_key(|(_, epoch)| *epoch)?;
        self.cluster.with_id(newest.0)
    }

    /// Does it, and waits as long as it lasts.
    fn hurt(&mut self, fault: Fault, nodes: &[usize]) -> Result<()> {
        let node = nodes[0];
        match fault {
            Fault::KillLeader | Fault::KillController | Fault::KillAny | Fault::KillAll => {
                self.cluster.kill_at_once(nodes);
                std::thread::sleep(self.up_to(KILLED_MAX_MS));
            }
            Fault::PauseLeader | Fault::PauseController | Fault::PauseAny => {
                self.cluster.pause(node)?;
                // Squared, so that most pauses are short and some are long.
                let share = self.random.below(1_000) * self.random.below(1_000);
                let paused_ms = PAUSED_MIN_MS + (PAUSED_MAX_MS - PAUSED_MIN_MS) * share / 1_000_000;
                std::thread::sleep(Duration::from_millis(paused_ms));
            }
            Fault::CutLeader | Fault::CutController => {
                for other in (0..self.cluster.count()).filter(|other| *other != node) {
                    self.cut(node, other)?;
                    self.cut(other, node)?;
                }
                std::thread::sleep(self.between(CUT_MIN_MS, CUT_MAX_MS));
            }
            Fault::Unplug => {
                self.cluster.network().unplug(node)?;
                self.check_cut(node, (node + 1) % self.cluster.count())?;
                std::thread::sleep(self.between(CUT_MIN_MS, CUT_MAX_MS));
            }
            Fault::CutOneWay => {
                self.cut(node, nodes[1])?;
                std::thread::sleep(self.between(CUT_MIN_MS, CUT_MAX_MS));
            }
            Fault::CutRing => {
                self.cut(node, nodes[1])?;
                self.cut(nodes[1], node)?;
                std::thread::sleep(self.between(CUT_MIN_MS, CUT_MAX_MS));
            }
            Fault::FillDisk => {
                let said = self.cluster.log(node).len();
                self.cluster.fill_disk(node)?;
                std::thread::sleep(self.between(FULL_MIN_MS, FULL_MAX_MS));
                let log = self.cluster.log(node);
                let complains = log.get(said..).is_some_and(|log| log.contains("No space left on device"));
                ensure!(complains, "node {} does not notice that its disk is full", node + 1);
            }
            Fault::Roll => {
                for node in nodes {
                    self.cluster.stop(*node)?;
                    self.cluster.spawn(*node)?;
                    self.cluster.await_ready()?;
                    admin::await_in_sync(&self.cluster.addresses(), load::TOPIC, IN_SYNC_LIMIT)?;
                }
            }
        }
        Ok(())
    }

    fn cut(&self, from: usize, to: usize) -> Result<()> {
        self.cluster.network().cut(from, to)?;
        self.check_cut(from, to)
    }

    fn check_cut(&self, from: usize, to: usize) -> Result<()> {
        let reaches = self.cluster.network().reaches(from, to, CUT_SEEN)?;
        ensure!(!reaches, "node {} reaches node {} though it is cut off", from + 1, to + 1);
        Ok(())
    }

    fn heal(&mut self, fault: Fault) -> Result<()> {
        if fault == Fault::FillDisk {
            self.cluster.empty_disks()?;
        }
        self.cluster.unpause()?;
        self.cluster.network().heal()?;
        for from in 0..self.cluster.count() {
            for to in (0..self.cluster.count()).filter(|to| *to != from) {
                let reaches = self.cluster.network().reaches(from, to, WHOLE_SEEN)?;
                ensure!(reaches, "node {} does not reach node {} after the healing", from + 1, to + 1);
            }
        }
        Ok(())
    }
}
