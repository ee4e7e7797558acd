//! Creates and deletes topics all the time, each order through another node, with few names again and again.

use std::time::Duration;

use anyhow::Result;
use uuid::Uuid;

use super::Run;
use crate::cluster::admin;
use crate::cluster::history::{Fact, Observation};
use crate::random::Random;

const NAMES: u64 = 3;
const PAUSE_MAX_MS: u64 = 1_500;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const UNKNOWN_TOPIC_ID: i16 = 100;
const ATTEMPTS: usize = 20;

pub struct Clerk<'a> {
    run: &'a Run,
    random: Random,
    observations: Vec<Observation>,
}

impl<'a> Clerk<'a> {
    pub fn new(run: &'a Run, seed: u64) -> Clerk<'a> {
        Clerk { run, random: Random::new(seed), observations: Vec::new() }
    }

    /// Works until the run stops.
    pub fn work(mut self) -> Result<Vec<Observation>> {
        while !self.run.is_stopping() {
            let name = name(self.random.below(NAMES));
            if let Some(id) = self.create(&name) {
                std::thread::sleep(Duration::from_millis(self.random.below(PAUSE_MAX_MS)));
                self.delete(&name, id);
            }
            std::thread::sleep(Duration::from_millis(self.random.below(PAUSE_MAX_MS)));
        }
        Ok(self.observations)
    }

    fn address(&mut self) -> String {
        self.run.addresses[self.random.index(self.run.addresses.len())].clone()
    }

    /// The id of a topic of this name, made now or found.
    fn create(&mut self, name: &str) -> Option<Uuid> {
        let invoked = self.run.now();
        let replicas = i16::try_from(self.run.addresses.len()).expect("few nodes");
        match admin::create_topic(&self.address(), name, 2, replicas, &[]).ok()? {
            Ok(id) => {
                let fact = Fact::Created { name: name.to_string(), id: id.to_string() };
                self.observations.push(self.run.observe(invoked, fact));
                Some(id)
            }
            Err(TOPIC_ALREADY_EXISTS) => admin::topics(&self.address()).ok()?.get(name).copied(),
            Err(_) => None,
        }
    }

    /// Deletes until a node says that it did, or that the topic is gone after an attempt without an answer.
    fn delete(&mut self, name: &str, id: Uuid) {
        for attempt in 0..ATTEMPTS {
            let invoked = self.run.now();
            let answer = admin::delete_topic(&self.address(), id);
            let is_gone = matches!(answer, Ok(UNKNOWN_TOPIC_ID)) && attempt > 0;
            if matches!(answer, Ok(0)) || is_gone {
                let fact = Fact::Deleted { name: name.to_string(), id: id.to_string() };
                self.observations.push(self.run.observe(invoked, fact));
                return;
            }
            std::thread::sleep(Duration::from_millis(PAUSE_MAX_MS / 3));
        }
    }
}

fn name(number: u64) -> String {
    format!("churn-{number}")
}
