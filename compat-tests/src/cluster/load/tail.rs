//! A reader of one partition without a group, always at its end: no rebalance is between it and what was acknowledged, so that
//! its lag is the cluster's.

use std::time::Duration;

use anyhow::{Context, Result};

use super::poller::Poller;
use super::{Patience, Run};
use crate::cluster::history::{NO_GROUP, Observation};

/// Short, so that a connection that a fault broke is left soon after the fault is healed.
const ANSWER_LIMIT: Duration = Duration::from_millis(1_500);

pub struct Tail<'a> {
    run: &'a Run,
    partition: i32,
    poller: Poller<'a>,
}

impl<'a> Tail<'a> {
    /// `number` is its own among all readers.
    pub fn new(run: &'a Run, partition: i32, number: u32) -> Tail<'a> {
        Tail { run, partition, poller: Poller::new(run, NO_GROUP, number, ANSWER_LIMIT) }
    }

    /// Reads from the first offset until all is read that shall be.
    pub fn read(mut self) -> Result<Vec<Observation>> {
        let mut patience = Patience::new();
        let mut position = 0;
        while !self.run.has_finished(NO_GROUP) {
            let polled = self.poller.poll(self.partition, position, &mut patience);
            position = polled.with_context(|| format!("the reader of partition {}", self.partition))?;
        }
        Ok(self.poller.observations)
    }
}
