//! An idempotent producer: up to five requests under way, and after every break the unanswered ones again, in their order and
//! with their sequences.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anyhow::{Context, Result};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use crate::connection::{Connection, topic_name};
use crate::kill::batch::{Batch, Producer};
use crate::kill::history::{Fact, Observation};
use crate::kill::load::{Ended, RETRIABLE, Run, TOPIC, over_restarts};
use crate::random::Random;

const VERSION: i16 = 9;
/// As many as an idempotent producer may have: the server remembers as many batches of each.
const UNDER_WAY_MAX: usize = 5;
const RECORDS_MAX: u64 = 12;
const PAUSE_MAX_US: u64 = 4_000;
/// The client itself drops its connection once in so many answers.
const DROP_ONE_IN: u64 = 200;

pub struct Sender<'a> {
    run: &'a Run,
    producer: Producer,
    random: Random,
    next: BTreeMap<i32, u64>,
    pending: VecDeque<Vec<Batch>>,
    observations: Vec<Observation>,
    /// Requests that were sent once more.
    resent: u64,
}

/// What a producer did and saw.
pub struct Sent {
    pub observations: Vec<Observation>,
    /// Records sent, by producer and partition.
    pub counts: BTreeMap<(u32, i32), u64>,
    pub resent: u64,
}

impl<'a> Sender<'a> {
    pub fn new(run: &'a Run, producer: Producer, seed: u64) -> Sender<'a> {
        let random = Random::new(seed);
        Sender {
            run,
            producer,
            random,
            next: BTreeMap::new(),
            pending: VecDeque::new(),
            observations: vec![],
            resent: 0,
        }
    }

    /// Produces until the run stops and all that was sent is answered.
    pub fn produce(mut self) -> Result<Sent> {
        let run = self.run;
        over_restarts(run, |connection, progress| self.session(connection, progress))
            .with_context(|| format!("producer {}", self.producer.index))?;
        let counts = self.next.iter().map(|(partition, count)| ((self.producer.index, *partition), *count)).collect();
        Ok(Sent { observations: self.observations, counts, resent: self.resent })
    }

    fn session(&mut self, connection: &mut Connection, progress: &mut u64) -> Result<(), Ended> {
        for batches in &self.pending {
            connection.send(VERSION, &self.request(batches))?;
            self.resent += 1;
        }
        loop {
            let under_way = 1 + self.random.index(UNDER_WAY_MAX);
            while self.pending.len() < under_way && !self.run.is_stopping() {
                let batches = self.make_batches();
                let request = self.request(&batches);
                // Kept before it is sent: a send that fails half-way may have been carried out.
                self.pending.push_back(batches);
                connection.send(VERSION, &request)?;
            }
            if self.pending.is_empty() {
                return Ok(());
            }
            let answer = connection.receive::<ProduceRequest>(VERSION)?;
            self.on_answer(&answer)?;
            *progress += 1;
            if self.random.one_in(DROP_ONE_IN) {
                return Err(Ended::Broken(anyhow::anyhow!("dropped on purpose")));
            }
            std::thread::sleep(Duration::from_micros(self.random.below(PAUSE_MAX_US)));
        }
    }

    /// A batch for each of some partitions.
    fn make_batches(&mut self) -> Vec<Batch> {
        let first = self.random.below(u64::from(self.run.partitions.unsigned_abs()));
        let count = 1 + self.random.below(3).min(u64::from(self.run.partitions.unsigned_abs()) - 1);
        let mut batches = Vec::new();
        for place in first..first + count {
            let partition = i32::try_from(place).expect("few") % self.run.partitions;
            let next = self.next.entry(partition).or_default();
            let count = u32::try_from(1 + self.random.below(RECORDS_MAX)).expect("few");
            let batch = Batch { producer: self.producer.index, partition, first: *next, count };
            *next = batch.end();
            batches.push(batch);
        }
        batches
    }

    fn request(&self, batches: &[Batch]) -> ProduceRequest {
        let data = |batch: &Batch| {
            let records = batch.encode(&self.producer);
            PartitionProduceData::default().with_index(batch.partition).with_records(Some(records))
        };
        let topic = TopicProduceData::default()
            .with_name(topic_name(TOPIC))
            .with_partition_data(batches.iter().map(data).collect());
        ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic])
    }

    /// Takes the oldest request off the list when every partition was written; else the connection ends and it is sent again.
    fn on_answer(&mut self, answer: &ProduceResponse) -> Result<(), Ended> {
        let wrong = |what: &str| Ended::Wrong(anyhow::anyhow!("{what}: {answer:?}"));
        let batches = self.pending.front().expect("an answer has its request");
        let partitions = &answer.responses.first().ok_or(wrong("no topic"))?.partition_responses;
        if partitions.len() != batches.len() {
            return Err(wrong("not one answer a partition"));
        }
        let mut failed = None;
        for batch in batches {
            let answer = partitions.iter().find(|answer| answer.index == batch.partition);
            let answer = answer.ok_or(wrong("a partition is missing"))?;
            let fact = match answer.error_code {
                0 => Fact::Acknowledged { batch: *batch, base_offset: answer.base_offset },
                error if RETRIABLE.contains(&error) => {
                    failed = Some(error);
                    continue;
                }
                error => Fact::Refused { batch: *batch, error },
            };
            self.observations.push(self.run.observe(0, fact));
        }
        if let Some(error) = failed {
            return Err(Ended::Broken(anyhow::anyhow!("Produce answers error {error}")));
        }
        self.pending.pop_front();
        Ok(())
    }
}
