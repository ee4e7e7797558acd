//! One producer that writes to one partition of three replicas, and knows what must be there.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};

use crate::cluster::admin::{self, LIMIT};
use crate::cluster::drain;
use crate::cluster::history::Fact;
use crate::cluster::load::{Run, TOPIC, high_watermarks, receive, request};
use crate::cluster::nodes::Cluster;
use crate::connection::Connection;
use crate::kill::batch::{Batch, Producer};

const VERSION: i16 = 9;
const RECORDS: u32 = 3;
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub struct Writer {
    run: Run,
    producer: Producer,
    next: u64,
}

impl Writer {
    /// Makes the topic.
    pub fn new(cluster: &Cluster) -> Result<Writer> {
        let addresses = cluster.addresses();
        let created = admin::create_topic(&addresses[0], TOPIC, 1, 3, &[])?;
        created.map_err(|error| anyhow!("CreateTopics answers error {error}"))?;
        admin::await_in_sync(&addresses, TOPIC, SETTLE_LIMIT)?;
        let start_ms = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?;
        let (id, epoch) = admin::producer_id(&addresses)?;
        let run = Run::new(addresses, 1, 0, start_ms);
        let producer = run.add_producer(id, epoch, 0);
        Ok(Writer { run, producer, next: 0 })
    }

    /// Writes so many batches, each acknowledged by all replicas in sync.
    pub fn write(&mut self, batches: usize) -> Result<()> {
        for _ in 0..batches {
            let batch = Batch { producer: self.producer.index, partition: 0, first: self.next, count: RECORDS };
            let until = Instant::now() + SETTLE_LIMIT;
            // The producer is idempotent: what is sent again is there once.
            while let Err(error) = self.send(&batch) {
                ensure!(Instant::now() < until, "{error:#}");
                std::thread::sleep(LOOK_AGAIN);
            }
            self.next = batch.end();
        }
        Ok(())
    }

    fn send(&self, batch: &Batch) -> Result<()> {
        let mut connection = Connection::open_within(&self.leader()?, LIMIT)?;
        connection.send(VERSION, &request(batch, &self.producer))?;
        let answer = receive(&mut connection)?;
        ensure!(answer.error_code == 0, "Produce answers error {}", answer.error_code);
        Ok(())
    }

    /// Moves leadership to the node with this id.
    pub fn lead_by(&self, id: i32) -> Result<()> {
        let others = (1..=3).filter(|other| *other != id);
        let replicas: Vec<i32> = [id].into_iter().chain(others).collect();
        let until = Instant::now() + SETTLE_LIMIT;
        while self.leader_id()? != id {
            ensure!(Instant::now() < until, "node {id} does not lead after {} s", SETTLE_LIMIT.as_secs());
            // Until it leads these are asked again: a node that has just come may not be electable yet.
            admin::reassign(&self.run.addresses[0], TOPIC, 0, &replicas)?;
            admin::elect_preferred(&self.run.addresses[0], TOPIC, 0)?;
            std::thread::sleep(LOOK_AGAIN);
        }
        admin::await_in_sync(&self.run.addresses, TOPIC, SETTLE_LIMIT)
    }

    /// Everything that was acknowledged is there, once and in its place.
    pub fn check(&self) -> Result<()> {
        self.leader()?;
        let ends = high_watermarks(&self.run)?;
        let mut next = 0;
        for observation in drain::stored(&self.run, &ends)? {
            let Fact::Stored { batch, base_offset } = observation.fact else { continue };
            let is_next = batch.first == next && u64::try_from(base_offset) == Ok(next);
            ensure!(is_next, "{batch:?} is at {base_offset}, where record {next} should be");
            next = batch.end();
        }
        ensure!(next == self.next, "{next} of {} acknowledged records are there", self.next);
        Ok(())
    }

    /// Ids of the nodes that hold the partition.
    pub fn replicas(&self) -> Result<Vec<i32>> {
        let view = admin::look_anywhere(&self.run.addresses, Some(TOPIC))?;
        Ok(view.partitions.get(&0).context("no partition")?.replicas.clone())
    }

    fn leader_id(&self) -> Result<i32> {
        self.run.learn(admin::look_anywhere(&self.run.addresses, Some(TOPIC))?);
        Ok(self.run.leader(0).context("no leader")?.0)
    }

    fn leader(&self) -> Result<String> {
        self.leader_id()?;
        Ok(self.run.leader(0).context("no leader")?.1)
    }
}
