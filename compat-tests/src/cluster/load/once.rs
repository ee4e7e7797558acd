//! A producer without an id that sends each batch once: what it is told of a batch that failed must be true.

use std::time::Duration;

use anyhow::Result;

use super::sender::{receive, request};
use super::{ANSWER_LIMIT, ONCE_FIRST, PAUSE, RECORDS_MAX, Run};
use crate::cluster::history::{Fact, Manner, Observation, Outcome};
use crate::connection::Connection;
use crate::kill::batch::Batch;
use crate::random::Random;

const VERSION: i16 = 9;
const PAUSE_MAX_MS: u64 = 200;
/// Errors that say that nothing was written: unknown topic or partition, no leader, too large, bad topic, too few replicas to
/// begin with, an epoch that is over, a record that is not valid. After any other the batch may be in the log.
const DEFINITE: &[i16] = &[3, 5, 10, 17, 19, 47, 87];

pub struct Once<'a> {
    run: &'a Run,
    partition: i32,
    random: Random,
    observations: Vec<Observation>,
}

impl<'a> Once<'a> {
    pub fn new(run: &'a Run, partition: i32, seed: u64) -> Once<'a> {
        Once { run, partition, random: Random::new(seed), observations: Vec::new() }
    }

    /// Produces until the run stops.
    pub fn produce(mut self) -> Result<Vec<Observation>> {
        let mut connection = None;
        let mut index = ONCE_FIRST;
        while !self.run.is_stopping() {
            let Some((_, address, _)) = self.run.leader(self.partition) else {
                std::thread::sleep(PAUSE);
                continue;
            };
            if connection.as_ref().is_none_or(|(known, _)| *known != address) {
                connection = Connection::open_within(&address, ANSWER_LIMIT).ok().map(|open| (address, open));
            }
            let Some((_, open)) = &mut connection else {
                std::thread::sleep(PAUSE);
                continue;
            };
            let count = u32::try_from(1 + self.random.below(RECORDS_MAX)).expect("few");
            // Each partition has a thread of its own, so that the numbers of two partitions may be the same.
            let batch = Batch { producer: index, partition: self.partition, first: 0, count };
            index += 1;
            if !self.send(&batch, open) {
                connection = None;
            }
            std::thread::sleep(Duration::from_millis(self.random.below(PAUSE_MAX_MS)));
        }
        Ok(self.observations)
    }

    /// Whether the connection is still good.
    fn send(&mut self, batch: &Batch, connection: &mut Connection) -> bool {
        let producer = self.run.producer(batch.producer).expect("these have no list");
        let invoked = self.run.now();
        let answer = connection.send(VERSION, &request(batch, &producer)).and_then(|()| receive(connection));
        let outcome = match &answer {
            Ok(answer) if answer.error_code == 0 => Outcome::Acknowledged { base_offset: answer.base_offset },
            Ok(answer) if DEFINITE.contains(&answer.error_code) => Outcome::Refused { error: answer.error_code },
            Ok(_) | Err(_) => Outcome::Unknown,
        };
        let fact = Fact::Sent { batch: *batch, manner: Manner::Once, outcome };
        self.observations.push(self.run.observe(invoked, fact));
        matches!(outcome, Outcome::Acknowledged { .. })
    }
}
