//! What all readers do: fetch one partition from whoever leads it, and write down what came.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest};

use super::{Patience, Run, TOPIC};
use crate::cluster::history::{Fact, Observation, Poll};
use crate::connection::{Connection, topic_name};

const VERSION: i16 = 12;
const WAIT_MS: i32 = 50;
const BYTES_MAX: i32 = 1 << 18;
const OFFSET_OUT_OF_RANGE: i16 = 1;

pub struct Poller<'a> {
    run: &'a Run,
    group: u32,
    number: u32,
    assignment: u32,
    answer_limit: Duration,
    connections: HashMap<String, Connection>,
    pub observations: Vec<Observation>,
}

impl<'a> Poller<'a> {
    /// Reader `number` of the run; an answer may take it `answer_limit`.
    pub fn new(run: &'a Run, group: u32, number: u32, answer_limit: Duration) -> Poller<'a> {
        let (connections, observations) = (HashMap::new(), Vec::new());
        Poller { run, group, number, assignment: 0, answer_limit, connections, observations }
    }

    /// From here on positions begin anew.
    pub fn begin_assignment(&mut self) {
        self.assignment += 1;
    }

    /// Fetches one partition once, from its leader; the position after what came. Trouble with the leader is none of the
    /// reader: the next round asks whoever leads then.
    pub fn poll(&mut self, partition: i32, position: i64, patience: &mut Patience) -> Result<i64> {
        let Some((_, address, leader_epoch)) = self.run.leader(partition) else {
            return patience.after(anyhow!("no leader")).map(|()| position);
        };
        if !self.connections.contains_key(&address) {
            match Connection::open_within(&address, self.answer_limit) {
                Ok(connection) => drop(self.connections.insert(address.clone(), connection)),
                Err(error) => return patience.after(error).map(|()| position),
            }
        }
        let connection = self.connections.get_mut(&address).expect("it is there now");
        let invoked = self.run.now();
        let answer = match connection.ask(VERSION, &fetch(partition, position, leader_epoch)) {
            Ok(answer) => answer,
            Err(error) => {
                self.connections.remove(&address);
                return patience.after(error).map(|()| position);
            }
        };
        let found = answer.responses.first().and_then(|topic| topic.partitions.first());
        let Some(found) = found.filter(|_| answer.error_code == 0) else {
            return patience.after(anyhow!("Fetch answers error {}", answer.error_code)).map(|()| position);
        };
        if found.error_code == OFFSET_OUT_OF_RANGE {
            let fact = Fact::OutOfRange { member: self.number, partition, position };
            self.observations.push(self.run.observe(invoked, fact));
        }
        if found.error_code != 0 {
            let error = anyhow!("Fetch of partition {partition} answers error {}", found.error_code);
            return patience.after(error).map(|()| position);
        }
        let batches = self.run.decode(found.records.as_deref().unwrap_or_default(), partition)?;
        let next = batches.last().map_or(position, |(base_offset, batch)| base_offset + i64::from(batch.count));
        patience.renew();
        let poll = Poll {
            group: self.group,
            member: self.number,
            assignment: self.assignment,
            partition,
            leader_epoch,
            position,
            batches,
            log_start_offset: found.log_start_offset,
            last_stable_offset: found.last_stable_offset,
            high_watermark: found.high_watermark,
        };
        self.observations.push(self.run.observe(invoked, Fact::Polled(poll)));
        self.run.has_read(self.group, partition, next);
        Ok(next)
    }
}

/// A Fetch of one partition, as a consumer without a session sends it.
pub fn fetch(partition: i32, position: i64, leader_epoch: i32) -> FetchRequest {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(leader_epoch)
        .with_fetch_offset(position)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(BYTES_MAX);
    let topic = FetchTopic::default().with_topic(topic_name(TOPIC)).with_partitions(vec![wanted]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(WAIT_MS)
        .with_min_bytes(1)
        .with_max_bytes(i32::MAX)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}
