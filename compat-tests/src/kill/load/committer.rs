//! A consumer of several groups that commits by itself, without membership: each commit is one offset further on.

use anyhow::{Context, Result};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetFetchRequest};

use crate::connection::{Connection, text, topic_name};
use crate::kill::history::{Fact, Observation};
use crate::kill::load::{Ended, Run, TOPIC, judge, over_restarts};
use crate::random::Random;

const COMMIT_VERSION: i16 = 8;
const FETCH_VERSION: i16 = 7;
const FIND_VERSION: i16 = 3;
pub const GROUPS: u32 = 3;
/// Commits between two looks at what is committed, on average.
const FETCH_ONE_IN: u64 = 20;

pub struct Committer<'a> {
    run: &'a Run,
    random: Random,
    /// The last offset sent, for all partitions of all groups.
    sent: i64,
    observations: Vec<Observation>,
}

impl<'a> Committer<'a> {
    pub fn new(run: &'a Run, seed: u64) -> Committer<'a> {
        Committer { run, random: Random::new(seed), sent: 0, observations: Vec::new() }
    }

    /// Commits until the run stops; looks at all groups after each new connection, and once more at the end.
    pub fn commit(mut self) -> Result<Vec<Observation>> {
        let run = self.run;
        over_restarts(run, |connection, progress| {
            loop {
                let stopping = run.is_stopping();
                for group in 0..GROUPS {
                    self.find_coordinator(connection, group)?;
                    self.fetch(connection, group)?;
                }
                *progress += 1;
                if stopping {
                    return Ok(());
                }
                while !run.is_stopping() && !self.random.one_in(FETCH_ONE_IN) {
                    let group = u32::try_from(self.random.below(u64::from(GROUPS))).expect("few");
                    self.commit_next(connection, group)?;
                }
            }
        })
        .context("committer")?;
        Ok(self.observations)
    }

    fn find_coordinator(&self, connection: &mut Connection, group: u32) -> Result<(), Ended> {
        let request = FindCoordinatorRequest::default().with_key(text(&name(group)));
        let answer = connection.ask(FIND_VERSION, &request)?;
        judge("FindCoordinator", answer.error_code)
    }

    fn commit_next(&mut self, connection: &mut Connection, group: u32) -> Result<(), Ended> {
        self.sent += 1;
        let offset = self.sent;
        let partition = |index| {
            let partition = OffsetCommitRequestPartition::default().with_partition_index(index);
            partition.with_committed_offset(offset).with_committed_leader_epoch(-1)
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(TOPIC))
            .with_partitions((0..self.run.partitions).map(partition).collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(&name(group))))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let invoked = self.run.stamp();
        for partition in 0..self.run.partitions {
            self.observations.push(self.run.observe(invoked, Fact::CommitSent { group, partition, offset }));
        }
        let answer = connection.ask(COMMIT_VERSION, &request)?;
        for answer in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            judge("OffsetCommit", answer.error_code)?;
            let fact = Fact::Committed { group, partition: answer.partition_index, offset };
            self.observations.push(self.run.observe(invoked, fact));
        }
        Ok(())
    }

    fn fetch(&mut self, connection: &mut Connection, group: u32) -> Result<(), Ended> {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic_name(TOPIC))
            .with_partition_indexes((0..self.run.partitions).collect());
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(&name(group))))
            .with_topics(Some(vec![topic]))
            .with_require_stable(true);
        let invoked = self.run.stamp();
        let answer = connection.ask(FETCH_VERSION, &request)?;
        judge("OffsetFetch", answer.error_code)?;
        for answer in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            judge("OffsetFetch", answer.error_code)?;
            let (partition, offset) = (answer.partition_index, answer.committed_offset);
            let fact = Fact::OffsetFetched { group, partition, offset };
            self.observations.push(self.run.observe(invoked, fact));
        }
        Ok(())
    }
}

fn name(group: u32) -> String {
    format!("killed-{group}")
}
