//! A member of a consumer group (the classic protocol): joins, reads what it is given, commits, and joins again whenever the
//! group or its coordinator changes. Now and then it leaves, or tries to commit for a generation that is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};

use super::poller::Poller;
use super::{ANSWER_LIMIT, Ended, Patience, Run, TOPIC};
use crate::cluster::admin::LIMIT;
use crate::cluster::history::{Fact, Observation};
use crate::connection::{Connection, text, topic_name};
use crate::random::Random;

const SESSION_TIMEOUT_MS: i32 = 6_000;
/// A join waits for the other members, at most so long and a little more.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
const HEARTBEAT_EVERY: Duration = Duration::from_millis(500);
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// A member leaves once in so many rounds of fetches.
const LEAVE_ONE_IN: u64 = 400;
const UNKNOWN_MEMBER_ID: i16 = 25;
const MEMBER_ID_REQUIRED: i16 = 79;
const PROTOCOL: &str = "campaign";

pub struct Member<'a> {
    run: &'a Run,
    group: u32,
    /// Its number in the run; the coordinator calls it by `id`.
    number: u32,
    random: Random,
    id: String,
    generation: i32,
    poller: Poller<'a>,
    positions: BTreeMap<i32, i64>,
    committed: BTreeMap<i32, i64>,
    observations: Vec<Observation>,
}

impl<'a> Member<'a> {
    pub fn new(run: &'a Run, group: u32, number: u32, seed: u64) -> Member<'a> {
        Member {
            run,
            group,
            number,
            random: Random::new(seed),
            id: String::new(),
            generation: -1,
            poller: Poller::new(run, group, number, ANSWER_LIMIT),
            positions: BTreeMap::new(),
            committed: BTreeMap::new(),
            observations: Vec::new(),
        }
    }

    /// Reads until the group has read all that it shall.
    pub fn read(mut self) -> Result<Vec<Observation>> {
        let mut patience = Patience::new();
        while !self.run.has_finished(self.group) {
            let name = format!("member {} of group {}", self.number, self.group);
            match self.session(&mut patience) {
                Ok(()) => {}
                Err(Ended::Broken(error)) => patience.after(error).context(name)?,
                Err(Ended::Wrong(error)) => return Err(error.context(name)),
            }
        }
        self.observations.extend(self.poller.observations);
        Ok(self.observations)
    }

    /// From one join to the next.
    fn session(&mut self, patience: &mut Patience) -> Result<(), Ended> {
        let address = self.find_coordinator()?;
        let mut coordinator = Connection::open_within(&address, JOIN_LIMIT)?;
        let before = self.generation;
        let joined = self.join(&mut coordinator)?;
        let partitions = self.sync(&mut coordinator, &joined)?;
        if before >= 0 && before != self.generation && !partitions.is_empty() {
            self.commit_as_zombie(&mut coordinator, before, partitions[0])?;
        }
        self.resume(&mut coordinator, &partitions)?;
        patience.renew();
        let (mut heartbeat_at, mut commit_at) = (Instant::now(), Instant::now() + COMMIT_EVERY);
        while !self.run.has_finished(self.group) {
            for partition in &partitions {
                if Instant::now() >= heartbeat_at {
                    self.heartbeat(&mut coordinator)?;
                    heartbeat_at = Instant::now() + HEARTBEAT_EVERY;
                }
                let position = self.positions.get_mut(partition).expect("it was resumed");
                *position = self.poller.poll(*partition, *position, patience).map_err(Ended::Wrong)?;
            }
            if partitions.is_empty() {
                std::thread::sleep(HEARTBEAT_EVERY);
                self.heartbeat(&mut coordinator)?;
                patience.renew();
            }
            if Instant::now() >= commit_at {
                self.commit(&mut coordinator)?;
                commit_at = Instant::now() + COMMIT_EVERY;
            }
            if self.random.one_in(LEAVE_ONE_IN) {
                self.commit(&mut coordinator)?;
                return self.leave(&mut coordinator);
            }
        }
        self.commit(&mut coordinator)
    }

    fn group_id(&self) -> GroupId {
        GroupId(text(&format!("campaign-{}", self.group)))
    }

    /// 0 goes on; everything else ends the session, and a member that the coordinator does not know forgets its id.
    fn judge(&mut self, what: &str, error: i16) -> Result<(), Ended> {
        if error == 0 {
            return Ok(());
        }
        if error == UNKNOWN_MEMBER_ID {
            self.id.clear();
            self.generation = -1;
        }
        Err(Ended::Broken(anyhow!("{what} answers error {error}")))
    }

    fn find_coordinator(&mut self) -> Result<String, Ended> {
        let address = &self.run.addresses[self.random.index(self.run.addresses.len())];
        let request = FindCoordinatorRequest::default().with_key(self.group_id().0);
        let answer = Connection::open_within(address, LIMIT)?.ask(3, &request)?;
        self.judge("FindCoordinator", answer.error_code)?;
        Ok(format!("{}:{}", answer.host.as_str(), answer.port))
    }

    fn join(&mut self, coordinator: &mut Connection) -> Result<JoinGroupResponse, Ended> {
        let protocol = JoinGroupRequestProtocol::default().with_name(text(PROTOCOL)).with_metadata(subscription());
        let request = JoinGroupRequest::default()
            .with_group_id(self.group_id())
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(SESSION_TIMEOUT_MS)
            .with_group_instance_id(None)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let mut answer = coordinator.ask(5, &request.clone().with_member_id(text(&self.id)))?;
        if answer.error_code == MEMBER_ID_REQUIRED {
            self.id = answer.member_id.to_string();
            answer = coordinator.ask(5, &request.with_member_id(text(&self.id)))?;
        }
        self.judge("JoinGroup", answer.error_code)?;
        self.id = answer.member_id.to_string();
        self.generation = answer.generation_id;
        Ok(answer)
    }

    /// The leader of the group deals out partitions in turn.
    fn sync(&mut self, coordinator: &mut Connection, joined: &JoinGroupResponse) -> Result<Vec<i32>, Ended> {
        let mut members: Vec<String> = joined.members.iter().map(|member| member.member_id.to_string()).collect();
        members.sort();
        let share = |(place, member): (usize, &String)| {
            let mine =
                (0..self.run.partitions).filter(|at| usize::try_from(*at).is_ok_and(|at| at % members.len() == place));
            let assignment = assignment(&mine.collect::<Vec<i32>>());
            SyncGroupRequestAssignment::default().with_member_id(text(member)).with_assignment(assignment)
        };
        let request = SyncGroupRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(None)
            .with_assignments(members.iter().enumerate().map(share).collect());
        let invoked = self.run.now();
        let answer = coordinator.ask(3, &request)?;
        self.judge("SyncGroup", answer.error_code)?;
        let partitions = partitions(answer.assignment).map_err(Ended::Wrong)?;
        let (group, member, generation) = (self.group, self.number, self.generation);
        let fact = Fact::Assigned { group, member, generation, partitions: partitions.clone() };
        self.observations.push(self.run.observe(invoked, fact));
        Ok(partitions)
    }

    /// Positions are what is committed.
    fn resume(&mut self, coordinator: &mut Connection, partitions: &[i32]) -> Result<(), Ended> {
        self.poller.begin_assignment();
        self.positions.clear();
        self.committed.clear();
        let topic =
            OffsetFetchRequestTopic::default().with_name(topic_name(TOPIC)).with_partition_indexes(partitions.to_vec());
        let request = OffsetFetchRequest::default().with_group_id(self.group_id());
        let invoked = self.run.now();
        let answer = coordinator.ask(7, &request.with_topics(Some(vec![topic])).with_require_stable(true))?;
        self.judge("OffsetFetch", answer.error_code)?;
        for answer in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            self.judge("OffsetFetch", answer.error_code)?;
            let (partition, offset) = (answer.partition_index, answer.committed_offset);
            let fact = Fact::OffsetFetched { group: self.group, partition, offset };
            self.observations.push(self.run.observe(invoked, fact));
            self.positions.insert(partition, offset.max(0));
            self.committed.insert(partition, offset.max(0));
            self.run.has_read(self.group, partition, offset.max(0));
        }
        Ok(())
    }

    fn heartbeat(&mut self, coordinator: &mut Connection) -> Result<(), Ended> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(None);
        let answer = coordinator.ask(3, &request)?;
        self.judge("Heartbeat", answer.error_code)
    }

    fn leave(&mut self, coordinator: &mut Connection) -> Result<(), Ended> {
        let me = MemberIdentity::default().with_member_id(text(&self.id)).with_group_instance_id(None);
        let request = LeaveGroupRequest::default().with_group_id(self.group_id()).with_members(vec![me]);
        self.id.clear();
        self.generation = -1;
        let answer = coordinator.ask(3, &request)?;
        self.judge("LeaveGroup", answer.error_code)
    }

    /// Commits what was read since the last commit.
    fn commit(&mut self, coordinator: &mut Connection) -> Result<(), Ended> {
        let moved = |(partition, position): (&i32, &i64)| {
            let is_new = self.committed.get(partition) != Some(position);
            is_new.then_some((*partition, *position))
        };
        let offsets: Vec<(i32, i64)> = self.positions.iter().filter_map(moved).collect();
        if offsets.is_empty() {
            return Ok(());
        }
        let (group, invoked) = (self.group, self.run.now());
        for (partition, offset) in &offsets {
            let fact = Fact::CommitSent { group, partition: *partition, offset: *offset };
            self.observations.push(self.run.observe(invoked, fact));
        }
        let answer = coordinator.ask(7, &self.commit_request(self.generation, &offsets))?;
        for answer in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            self.judge("OffsetCommit", answer.error_code)?;
        }
        for (partition, offset) in offsets {
            self.committed.insert(partition, offset);
            self.observations.push(self.run.observe(invoked, Fact::Committed { group, partition, offset }));
        }
        Ok(())
    }

    /// What a member may do that slept through a rebalance: commit for the generation before. Offset 0 would show.
    fn commit_as_zombie(&mut self, coordinator: &mut Connection, before: i32, partition: i32) -> Result<(), Ended> {
        let (group, invoked) = (self.group, self.run.now());
        let answer = coordinator.ask(7, &self.commit_request(before, &[(partition, 0)]))?;
        let answer = answer.topics.first().and_then(|topic| topic.partitions.first()).context("an empty answer")?;
        let fact = match answer.error_code {
            0 => Fact::ZombieCommitted { group, generation: before },
            error => Fact::ZombieRefused { group, generation: before, error },
        };
        self.observations.push(self.run.observe(invoked, fact));
        Ok(())
    }

    fn commit_request(&self, generation: i32, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
        let partition = |(index, offset): &(i32, i64)| {
            let partition = OffsetCommitRequestPartition::default().with_partition_index(*index);
            partition.with_committed_offset(*offset).with_committed_leader_epoch(-1)
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(TOPIC))
            .with_partitions(offsets.iter().map(partition).collect());
        OffsetCommitRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(None)
            .with_topics(vec![topic])
    }
}

/// A ConsumerProtocolSubscription: version 0, one topic, no user data.
fn subscription() -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    put_name(&mut bytes);
    bytes.put_i32(-1);
    bytes.freeze()
}

/// A ConsumerProtocolAssignment: version 0, one topic with its partitions, no user data.
fn assignment(partitions: &[i32]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    put_name(&mut bytes);
    bytes.put_i32(i32::try_from(partitions.len()).expect("few"));
    partitions.iter().for_each(|partition| bytes.put_i32(*partition));
    bytes.put_i32(-1);
    bytes.freeze()
}

fn put_name(bytes: &mut BytesMut) {
    bytes.put_i16(i16::try_from(TOPIC.len()).expect("short"));
    bytes.put_slice(TOPIC.as_bytes());
}

/// The partitions in an [`assignment`].
fn partitions(mut bytes: Bytes) -> Result<Vec<i32>> {
    // A member that joined while others synchronised gets nothing.
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let head = assignment(&[]);
    let before_count = head.len() - 8;
    ensure!(bytes.len() > before_count && bytes[..before_count] == head[..before_count], "an assignment of others");
    bytes.advance(before_count);
    let count = bytes.try_get_i32()?;
    (0..count).map(|_| bytes.try_get_i32().context("an assignment cut off")).collect()
}

#[cfg(test)]
mod tests {
    use super::{assignment, partitions};

    #[test]
    fn an_assignment_is_read_as_it_was_written() {
        for dealt in [vec![], vec![0], vec![5, 1, 3]] {
            assert_eq!(partitions(assignment(&dealt)).unwrap(), dealt);
        }
        assert!(partitions(assignment(&[1, 2]).slice(..assignment(&[1]).len() - 4)).is_err());
    }
}
