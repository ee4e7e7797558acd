//! An idempotent producer of one partition: up to five requests under way to the leader, and after every break the unanswered
//! ones again, in their order and with their sequences, to whoever leads then.
//!
//! Now and then it goes on under the next epoch of its producer id, and then shows that the old epoch is fenced.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;

use super::{ANSWER_LIMIT, Ended, Patience, RECORDS_MAX, Run, TOPIC};
use crate::cluster::history::{Fact, Manner, Observation, Outcome};
use crate::connection::{Connection, topic_name};
use crate::kill::batch::{Batch, Producer};
use crate::random::Random;

const VERSION: i16 = 9;
/// As many as an idempotent producer may have: the server remembers as many batches of each.
const UNDER_WAY_MAX: usize = 5;
const PAUSE_MAX_US: u64 = 60_000;
/// The client itself drops its connection once in so many answers.
const DROP_ONE_IN: u64 = 200;
/// The producer takes its next epoch once in so many answers.
const EPOCH_ONE_IN: u64 = 300;
/// Errors after which an idempotent producer tries again: of a node that does not lead (any more), that waits for others, that
/// is short of replicas or room, or whose metadata are old.
const RETRIABLE: &[i16] = &[3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 56, 74, 75];

pub struct Sender<'a> {
    run: &'a Run,
    partition: i32,
    producer: Producer,
    random: Random,
    next: u64,
    pending: VecDeque<(u64, Batch)>,
    /// The producer before the last change of epoch, with the number of its next record, until it was shown to be fenced.
    fenced: Option<(Producer, u64)>,
    /// A change of epoch waits until nothing is pending.
    wants_epoch: bool,
    observations: Vec<Observation>,
}

impl<'a> Sender<'a> {
    pub fn new(run: &'a Run, partition: i32, producer: Producer, seed: u64) -> Sender<'a> {
        let random = Random::new(seed);
        Sender {
            run,
            partition,
            producer,
            random,
            next: 0,
            pending: VecDeque::new(),
            fenced: None,
            wants_epoch: false,
            observations: vec![],
        }
    }

    /// Produces until the run stops and all that was sent is acknowledged.
    pub fn produce(mut self) -> Result<Vec<Observation>> {
        let mut patience = Patience::new();
        while !self.run.is_stopping() || !self.pending.is_empty() {
            let ended = match self.run.leader(self.partition) {
                Some((_, address, _)) => self.session(&address, &mut patience),
                None => Err(Ended::Broken(anyhow!("partition {} has no leader", self.partition))),
            };
            match ended {
                Ok(()) => {}
                Err(Ended::Broken(error)) => patience.after(error).with_context(|| self.name())?,
                Err(Ended::Wrong(error)) => return Err(error.context(self.name())),
            }
        }
        Ok(self.observations)
    }

    fn name(&self) -> String {
        format!("producer {} of partition {}", self.producer.index, self.partition)
    }

    fn session(&mut self, address: &str, patience: &mut Patience) -> Result<(), Ended> {
        let mut connection = Connection::open_within(address, ANSWER_LIMIT)?;
        for (_, batch) in &self.pending {
            connection.send(VERSION, &request(batch, &self.producer))?;
        }
        loop {
            if self.wants_epoch && self.pending.is_empty() {
                self.take_next_epoch();
            }
            let under_way = 1 + self.random.index(UNDER_WAY_MAX);
            while self.pending.len() < under_way && !self.wants_epoch && !self.run.is_stopping() {
                let batch = self.make_batch();
                // Kept before it is sent: a send that fails half-way may have been carried out.
                self.pending.push_back((self.run.now(), batch));
                connection.send(VERSION, &request(&batch, &self.producer))?;
            }
            if self.pending.is_empty() {
                return Ok(());
            }
            let answer = receive(&mut connection)?;
            self.on_answer(&answer)?;
            patience.renew();
            if self.fenced.is_some() && self.pending.is_empty() {
                self.try_fenced(&mut connection)?;
            }
            if self.random.one_in(DROP_ONE_IN) {
                return Err(Ended::Broken(anyhow!("dropped on purpose")));
            }
            self.wants_epoch |= self.fenced.is_none() && self.random.one_in(EPOCH_ONE_IN);
            std::thread::sleep(Duration::from_micros(self.random.below(PAUSE_MAX_US)));
        }
    }

    fn make_batch(&mut self) -> Batch {
        let count = u32::try_from(1 + self.random.below(RECORDS_MAX)).expect("few");
        let batch = Batch { producer: self.producer.index, partition: self.partition, first: self.next, count };
        self.next = batch.end();
        batch
    }

    /// As clients do by themselves: the same id, the epoch after this one, and sequences from 0. Source: KIP-360.
    fn take_next_epoch(&mut self) {
        self.fenced = Some((self.producer, self.next));
        self.producer = self.run.add_producer(self.producer.id, self.producer.epoch + 1, 0);
        self.next = 0;
        self.wants_epoch = false;
    }

    /// A batch of the old epoch, now that the partition has seen the new one.
    fn try_fenced(&mut self, connection: &mut Connection) -> Result<(), Ended> {
        let Some((producer, first)) = self.fenced.take() else { return Ok(()) };
        let batch = Batch { producer: producer.index, partition: self.partition, first, count: 1 };
        let invoked = self.run.now();
        // Entered first: without an answer its fate is unknown.
        let unknown = Fact::Sent { batch, manner: Manner::Fenced, outcome: Outcome::Unknown };
        self.observations.push(self.run.observe(invoked, unknown));
        connection.send(VERSION, &request(&batch, &producer))?;
        let answer = receive(connection)?;
        let outcome = match answer.error_code {
            0 => Outcome::Acknowledged { base_offset: answer.base_offset },
            error if RETRIABLE.contains(&error) => return Err(Ended::Broken(anyhow!("Produce answers error {error}"))),
            error => Outcome::Refused { error },
        };
        let fact = Fact::Sent { batch, manner: Manner::Fenced, outcome };
        self.observations.push(self.run.observe(invoked, fact));
        Ok(())
    }

    /// Takes the oldest request off the list when it was written; else the connection ends and it is sent again.
    fn on_answer(&mut self, answer: &PartitionProduceResponse) -> Result<(), Ended> {
        let (invoked, batch) = *self.pending.front().expect("an answer has its request");
        let outcome = match answer.error_code {
            0 => Outcome::Acknowledged { base_offset: answer.base_offset },
            error if RETRIABLE.contains(&error) => return Err(Ended::Broken(anyhow!("Produce answers error {error}"))),
            error => Outcome::Refused { error },
        };
        let fact = Fact::Sent { batch, manner: Manner::Idempotent, outcome };
        self.observations.push(self.run.observe(invoked, fact));
        if let Outcome::Refused { error } = outcome {
            return Err(Ended::Wrong(anyhow!("Produce answers error {error} to {batch:?}")));
        }
        self.run.acknowledged(self.partition, answer.base_offset + i64::from(batch.count));
        self.pending.pop_front();
        Ok(())
    }
}

/// A Produce of one batch with acks=all.
pub fn request(batch: &Batch, producer: &Producer) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(batch.partition);
    let data = data.with_records(Some(batch.encode(producer)));
    let topic = TopicProduceData::default().with_name(topic_name(TOPIC)).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_transactional_id(None).with_acks(-1);
    request.with_timeout_ms(10_000).with_topic_data(vec![topic])
}

/// The answer to the oldest Produce of one batch.
pub fn receive(connection: &mut Connection) -> Result<PartitionProduceResponse> {
    let answer = connection.receive::<ProduceRequest>(VERSION)?;
    let topic = answer.responses.into_iter().next().context("no topic in the answer")?;
    topic.partition_responses.into_iter().next().context("no partition in the answer")
}
