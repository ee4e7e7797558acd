//! Asks one node again and again what it knows: leaders, the metadata quorum, and the ends of what it leads. What it says is
//! how all other clients of the run find their leaders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest};

use super::{Run, TOPIC};
use crate::cluster::admin::{self, LIMIT};
use crate::cluster::history::{Fact, Observation};
use crate::connection::{Connection, topic_name};

const LIST_OFFSETS_VERSION: i16 = 7;
const LATEST: i64 = -1;
const PAUSE: Duration = Duration::from_millis(100);

pub struct Watcher<'a> {
    run: &'a Run,
    address: String,
    /// What was seen already is not entered again.
    known: BTreeSet<(i32, i32, i32)>,
    observations: Vec<Observation>,
}

impl<'a> Watcher<'a> {
    pub fn new(run: &'a Run, address: &str) -> Watcher<'a> {
        Watcher { run, address: address.to_string(), known: BTreeSet::new(), observations: Vec::new() }
    }

    /// Watches until `is_over`.
    pub fn watch(mut self, is_over: impl Fn() -> bool) -> Result<Vec<Observation>> {
        while !is_over() {
            // A node that is away is what this is about: the next round asks again.
            let _ = self.session(&is_over);
            std::thread::sleep(PAUSE);
        }
        Ok(self.observations)
    }

    fn session(&mut self, is_over: &impl Fn() -> bool) -> Result<()> {
        let mut connection = Connection::open_within(&self.address, LIMIT)?;
        while !is_over() {
            self.look(&mut connection)?;
            self.look_at_quorum()?;
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn look(&mut self, connection: &mut Connection) -> Result<()> {
        let invoked = self.run.now();
        let view = admin::look_on(connection, Some(TOPIC))?;
        let is_mine = |leader: i32| view.brokers.get(&leader) == Some(&self.address);
        let led = view.partitions.iter().filter(|(_, seen)| is_mine(seen.leader));
        let mine: Vec<(i32, i32)> = led.map(|(index, seen)| (*index, seen.leader_epoch)).collect();
        for (index, seen) in &view.partitions {
            if self.known.insert((*index, seen.leader, seen.leader_epoch)) {
                let (leader, leader_epoch) = (seen.leader, seen.leader_epoch);
                let fact = Fact::Leader { partition: *index, leader, leader_epoch };
                self.observations.push(self.run.observe(invoked, fact));
            }
        }
        self.run.learn(view);
        let invoked = self.run.now();
        for (partition, leader_epoch, offset) in ends(connection, &mine)? {
            self.observations.push(self.run.observe(invoked, Fact::End { partition, leader_epoch, offset }));
        }
        Ok(())
    }

    fn look_at_quorum(&mut self) -> Result<()> {
        let invoked = self.run.now();
        let (leader, epoch) = admin::quorum(&self.address)?;
        if self.known.insert((-1, leader, epoch)) {
            self.observations.push(self.run.observe(invoked, Fact::Controller { leader, epoch }));
        }
        Ok(())
    }
}

/// Partition, epoch and end for consumers, of those partitions that the node answers for in that epoch.
fn ends(connection: &mut Connection, partitions: &[(i32, i32)]) -> Result<Vec<(i32, i32, i64)>> {
    let partition = |(index, leader_epoch): &(i32, i32)| {
        let partition = ListOffsetsPartition::default().with_partition_index(*index);
        partition.with_current_leader_epoch(*leader_epoch).with_timestamp(LATEST)
    };
    let topic = ListOffsetsTopic::default().with_name(topic_name(TOPIC));
    let topic = topic.with_partitions(partitions.iter().map(partition).collect());
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    let answer = connection.ask(LIST_OFFSETS_VERSION, &request)?;
    let answers = answer.topics.iter().flat_map(|topic| &topic.partitions).filter(|answer| answer.error_code == 0);
    let ends: BTreeMap<i32, i64> = answers.map(|answer| (answer.partition_index, answer.offset)).collect();
    let end = |(index, leader_epoch): &(i32, i32)| Some((*index, *leader_epoch, *ends.get(index)?));
    Ok(partitions.iter().filter_map(end).collect())
}

/// The end of every partition, each from its leader; one that does not answer is an error.
pub fn high_watermarks(run: &Run) -> Result<Vec<i64>> {
    let mut offsets = Vec::new();
    for partition in 0..run.partitions {
        let leader = run.leader(partition).with_context(|| format!("partition {partition} has no leader"))?;
        let (_, address, leader_epoch) = leader;
        let found = ends(&mut Connection::open_within(&address, LIMIT)?, &[(partition, leader_epoch)])?;
        ensure!(found.len() == 1, "{address} does not answer for partition {partition}");
        offsets.push(found[0].2);
    }
    Ok(offsets)
}
