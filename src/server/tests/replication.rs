//! Three servers that follow each other over real sockets. Each has metadata of its own, to which the test tells the same facts, so
//! that it can tell one of them late what the others know: what a network does to a cluster.

use std::sync::Arc;

use bytes::Bytes;

use super::{Fixture, LIMIT};
use crate::broker::replica::Replica;
use crate::broker::waiter::Waiter;
use crate::io::threads::wait;
use crate::log::{Origin, ReadRequest};
use crate::metadata::{Endpoint, Partition, Record};
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use crate::partition::RequiredAcks;
use crate::peer::{Address, Link, LinkOptions};
use crate::protocol::message::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::protocol::message::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use crate::protocol::message::fetch_response::{self, PartitionData};
use crate::protocol::message::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::message::produce_response;
use crate::protocol::message::{DeleteRecordsRequest, FetchRequest, ProduceRequest, StrBytes, TopicName, WireBrokerId};
use crate::protocol::record_batch::BatchIter;
use crate::protocol::records::{RecordBatchBuilder, RecordIter};

const P0: PartitionIndex = PartitionIndex(0);

pub(super) struct Trio {
    pub(super) nodes: Vec<Fixture>,
    topic: TopicId,
}

/// Of one node's partition: a leader, or nobody, at an epoch.
pub(super) fn state(leader: i32, epoch: i32, isr: &[i32]) -> Partition {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>().as_slice().into();
    Partition {
        leader: BrokerId(leader),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: epoch,
        isr: ids(isr),
        ..Partition::created(ids(&[1, 2, 3]))
    }
}

impl Trio {
    pub(super) fn start(more: &[(&str, &str)]) -> Trio {
        let ids = ["1", "2", "3"];
        let start = |id: &&str| {
            let rack = format!("r{id}");
            let own = [("node.id", *id), ("broker.rack", &rack), ("broker.session.timeout.ms", "3600000")];
            Fixture::start(&[&own, more].concat())
        };
        let trio = Trio { nodes: ids.iter().map(start).collect(), topic: TopicId(uuid::Uuid::from_u128(7)) };
        let registered: Vec<Record> = (1..).zip(&trio.nodes).map(|(id, node)| registration(id, node)).collect();
        for (at, node) in trio.nodes.iter().enumerate() {
            let others = registered.iter().enumerate().filter(|(of, _)| *of != at);
            submit(node, others.map(|(_, record)| record.clone()).collect());
        }
        trio
    }

    /// Creates the topic `t` with one partition, nobody leading it yet.
    pub(super) fn create(self) -> Trio {
        let partitions = vec![state(-1, 0, &[1, 2, 3])];
        self.tell(&[1, 2, 3], Record::TopicCreated { name: "t".into(), id: self.topic, partitions });
        self
    }

    pub(super) fn tell(&self, nodes: &[usize], record: Record) {
        nodes.iter().for_each(|node| submit(&self.nodes[node - 1], vec![record.clone()]));
    }

    /// Tells some nodes a new state of the partition.
    pub(super) fn elect(&self, nodes: &[usize], state: Partition) {
        self.tell(nodes, Record::PartitionChanged { topic_id: self.topic, partition: P0, state });
    }

    pub(super) fn topic(&self) -> TopicId {
        self.topic
    }

    /// From now on it is this topic that is asked about.
    pub(super) fn turn_to(&mut self, topic: TopicId) {
        self.topic = topic;
    }

    /// Creates one more topic on every node, with one partition in this state, and turns to it.
    pub(super) fn create_another(&mut self, name: &str, id: u128, partition: Partition) {
        self.topic = TopicId(uuid::Uuid::from_u128(id));
        let partitions = vec![partition];
        self.tell(&[1, 2, 3], Record::TopicCreated { name: name.into(), id: self.topic, partitions });
        for node in [1, 2, 3] {
            let broker = self.nodes[node - 1].running().broker();
            self.eventually(node, "its log is opened", |trio| broker.replica_by_id(trio.topic, P0).is_ok());
        }
    }

    pub(super) fn replica(&self, node: usize) -> Arc<Replica> {
        let broker = self.nodes[node - 1].running().broker();
        broker.replica_by_id(self.topic, P0).expect("a replica")
    }

    pub(super) fn append(&self, node: usize, value: &str, acks: RequiredAcks) -> Offset {
        self.try_append(node, value, acks).expect("an append")
    }

    /// The answer is the offset that the high watermark must reach.
    pub(super) fn try_append(&self, node: usize, value: &str, acks: RequiredAcks) -> Result<Offset, ErrorCode> {
        let replica = self.replica(node);
        let now = self.nodes[node - 1].running().broker().now();
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), now.wall_ms);
        builder.append(now.wall_ms, None, Some(value.as_bytes()));
        let batches = replica.validate(now, builder.build(), Origin::Client).expect("a good batch");
        replica.append(now, &batches, acks).map(|appended| appended.required).map_err(|refused| refused.code())
    }

    /// Waits for what an `acks=all` producer waits for.
    pub(super) fn acknowledged(&self, node: usize, required: Offset) -> Result<(), ErrorCode> {
        let (told, outcome) = std::sync::mpsc::channel();
        let replica = self.replica(node);
        replica.when_committed(required, Waiter::Once(Box::new(move |result| told.send(result).expect("a listener"))));
        replica.run_completions();
        outcome.recv_timeout(LIMIT).expect("an outcome in time")
    }

    /// One Fetch of the partition from its start, over the listener of that number: the partition's answer.
    fn fetch(&self, node: usize, listener: usize, request: FetchRequest) -> PartitionData {
        let partition = FetchPartition::default()
            .with_current_leader_epoch(self.replica(node).published().leader_epoch.0)
            .with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic_id(self.topic.0).with_partitions(vec![partition]);
        let request = request.with_max_bytes(1 << 20).with_session_epoch(-1).with_topics(vec![topic]);
        let address = self.nodes[node - 1].running().addresses()[listener];
        let address = Address { host: address.ip().to_string(), port: address.port() };
        let answered = wait(async move {
            let link = Link::new(LinkOptions::new(address, "a test"));
            link.call(&request, 17, LIMIT).await
        });
        let mut topics = answered.expect("an answer").responses;
        topics.pop().and_then(|mut topic| topic.partitions.pop()).expect("the partition")
    }

    /// One DeleteRecords of the partition, sent to a node: low watermark and error.
    fn delete_records(&self, node: usize, offset: i64, timeout_ms: i32) -> (i64, ErrorCode) {
        let partition = DeleteRecordsPartition::default().with_partition_index(P0.0).with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_timeout_ms(timeout_ms).with_topics(vec![topic]);
        let address = self.nodes[node - 1].running().addresses()[0];
        let address = Address { host: address.ip().to_string(), port: address.port() };
        let answered = wait(async move {
            let link = Link::new(LinkOptions::new(address, "a test"));
            link.call(&request, 2, LIMIT).await
        });
        let result = &answered.expect("an answer").topics[0].partitions[0];
        (result.low_watermark, ErrorCode::from(result.error_code))
    }

    pub(super) fn eventually(&self, node: usize, what: &str, holds: impl Fn(&Trio) -> bool) {
        self.nodes[node - 1].eventually(what, |_| holds(self));
    }

    /// The records that a node has on stable storage: value and leader epoch of each.
    pub(super) fn stored(&self, node: usize) -> Vec<String> {
        let replica = self.replica(node);
        let upper_bound = replica.durable_end();
        let offset = replica.published().log_start;
        let request = ReadRequest { offset, max_bytes: 1 << 20, upper_bound, min_one: true };
        // A log that is being begun anew may have moved between the two looks.
        let Ok(Some(region)) = replica.reader().read(request) else { return Vec::new() };
        let bytes = region.read().expect("bytes");
        let mut stored = Vec::new();
        for batch in BatchIter::new(&bytes) {
            let batch = batch.expect("a whole batch");
            for record in RecordIter::new(batch.header, batch.records()) {
                let value = record.expect("a record").value.unwrap_or_default();
                let value = String::from_utf8_lossy(value);
                stored.push(format!("{value}@{}", batch.header.partition_leader_epoch));
            }
        }
        stored
    }
}

fn submit(node: &Fixture, records: Vec<Record>) {
    wait(node.running().broker().quorum().submit(records)).expect("a quorum of one");
}

/// What a node knows of itself, as the others are told it.
fn registration(id: i32, node: &Fixture) -> Record {
    let image = node.running().broker().image();
    let broker = image.broker(BrokerId(id)).expect("it has registered");
    let address = node.running().addresses()[0];
    Record::BrokerRegistered {
        broker_id: broker.id,
        incarnation: broker.incarnation,
        broker_epoch: broker.epoch,
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".into(),
            host: address.ip().to_string(),
            port: address.port(),
            security_protocol: 0,
        }],
        rack: broker.rack.clone(),
        fenced: false,
        directories: broker.directories.clone(),
    }
}

#[test]
fn an_acknowledged_record_is_on_every_disk_and_the_next_leader_has_it() {
    let trio = Trio::start(&[("min.insync.replicas", "2")]).create();
    trio.elect(&[1, 2, 3], state(1, 1, &[1, 2, 3]));
    for value in ["a", "b", "c"] {
        let required = trio.append(1, value, RequiredAcks::All);
        assert_eq!(trio.acknowledged(1, required), Ok(()));
    }
    for node in [1, 2, 3] {
        assert_eq!(trio.stored(node), ["a@1", "b@1", "c@1"], "node {node}");
    }
    trio.elect(&[1, 2, 3], state(2, 2, &[1, 2, 3]));
    let required = trio.append(2, "d", RequiredAcks::All);
    assert_eq!(trio.acknowledged(2, required), Ok(()));
    for node in [1, 2, 3] {
        assert_eq!(trio.stored(node), ["a@1", "b@1", "c@1", "d@2"], "node {node}");
    }
    // Those who follow learn what is committed.
    trio.eventually(1, "the high watermark travels", |trio| trio.replica(3).published().high_watermark == Offset(4));
}

#[test]
fn a_leader_that_was_cut_off_gives_up_what_nobody_else_has() {
    let trio = Trio::start(&[]).create();
    trio.elect(&[1, 2, 3], state(1, 1, &[1, 2, 3]));
    let required = trio.append(1, "a", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
    // The others hear that nobody leads; node 1 does not hear it, and takes more.
    trio.elect(&[2, 3], state(-1, 2, &[1, 2, 3]));
    let lost = trio.append(1, "lost", RequiredAcks::Leader);
    trio.append(1, "lost too", RequiredAcks::Leader);
    let (told, outcome) = std::sync::mpsc::channel();
    trio.replica(1).when_committed(lost, Waiter::Once(Box::new(move |result| told.send(result).expect("a listener"))));
    trio.elect(&[2, 3], state(2, 3, &[2, 3]));
    let required = trio.append(2, "b", RequiredAcks::All);
    assert_eq!(trio.acknowledged(2, required), Ok(()));
    assert_eq!(trio.stored(3), ["a@1", "b@3"]);
    assert_eq!(trio.stored(1), ["a@1", "lost@1", "lost too@1"]);
    // At last it hears who leads: its tail goes, and those who waited for it are told.
    trio.elect(&[1], state(2, 3, &[2, 3]));
    assert_eq!(outcome.recv_timeout(LIMIT), Ok(Err(ErrorCode::NotLeaderOrFollower)));
    trio.eventually(1, "the old leader has what the new one has", |trio| trio.stored(1) == ["a@1", "b@3"]);
}

#[test]
fn another_partition_to_follow_does_not_wait_behind_a_long_poll() {
    let settings = ["replica.fetch.wait.max.ms", "replica.socket.timeout.ms", "replica.lag.time.max.ms"]
        .map(|name| (name, "600000"));
    let mut trio = Trio::start(&settings).create();
    trio.elect(&[1, 2, 3], state(1, 1, &[1, 2, 3]));
    let required = trio.append(1, "a", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
    // Both followers wait for more of the first topic by now, or soon, for ten minutes.
    trio.create_another("u", 8, state(1, 0, &[1, 2, 3]));
    let required = trio.append(1, "b", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
}

#[test]
fn a_producer_hears_that_too_few_are_left() {
    let trio = Trio::start(&[("min.insync.replicas", "2")]).create();
    // Nobody follows: the others do not know who leads.
    trio.elect(&[1], state(1, 1, &[1, 2, 3]));
    let required = trio.append(1, "a", RequiredAcks::All);
    let (told, outcome) = std::sync::mpsc::channel();
    let waiter = Waiter::Once(Box::new(move |result| told.send(result).expect("a listener")));
    trio.replica(1).when_committed(required, waiter);
    trio.elect(&[1], Partition { partition_epoch: 2, ..state(1, 1, &[1]) });
    assert_eq!(outcome.recv_timeout(LIMIT), Ok(Err(ErrorCode::NotEnoughReplicasAfterAppend)));
    assert_eq!(trio.try_append(1, "b", RequiredAcks::All).err(), Some(ErrorCode::NotEnoughReplicas));
    // With acks=1 it is taken, and promised to nobody.
    trio.append(1, "c", RequiredAcks::Leader);
    assert_eq!(trio.replica(1).published().high_watermark, Offset(0));
}

#[test]
fn a_follower_that_was_away_begins_where_the_leaders_log_begins() {
    let trio = Trio::start(&[]).create();
    trio.elect(&[1, 2], state(1, 1, &[1, 2]));
    for value in ["a", "b", "c"] {
        let required = trio.append(1, value, RequiredAcks::All);
        assert_eq!(trio.acknowledged(1, required), Ok(()));
    }
    trio.replica(1).with_log(|log, published| log.advance_log_start_offset(Offset(2), published.high_watermark));
    trio.elect(&[3], state(1, 1, &[1, 2]));
    trio.eventually(3, "what is left is copied", |trio| trio.stored(3) == ["c@1"]);
    assert_eq!(trio.replica(3).published().log_start, Offset(2));
    trio.eventually(2, "a log start travels", |trio| trio.replica(2).published().log_start == Offset(2));
}

#[test]
fn records_are_deleted_when_every_live_replica_has_heard_it() {
    let trio = Trio::start(&[]).create();
    // Node 3 does not hear that there is a leader: it fetches nothing, and is waited for in vain.
    trio.elect(&[1, 2], state(1, 1, &[1, 2]));
    for value in ["a", "b", "c"] {
        let required = trio.append(1, value, RequiredAcks::All);
        assert_eq!(trio.acknowledged(1, required), Ok(()));
    }
    assert_eq!(trio.delete_records(2, 2, 60_000), (-1, ErrorCode::NotLeaderOrFollower));
    assert_eq!(trio.delete_records(1, 4, 60_000), (-1, ErrorCode::OffsetOutOfRange));
    assert_eq!(trio.delete_records(1, -2, 60_000), (-1, ErrorCode::OffsetOutOfRange));
    assert_eq!(trio.replica(1).published().log_start, Offset(0));
    assert_eq!(trio.delete_records(1, 2, 100), (-1, ErrorCode::RequestTimedOut));
    assert_eq!(trio.replica(1).published().log_start, Offset(2), "what is begun is not taken back");
    // It is fenced for the leader: who is not alive holds nothing back.
    submit(&trio.nodes[0], vec![liveness(&trio.nodes[0], 3, true)]);
    assert_eq!(trio.delete_records(1, 2, 60_000), (2, ErrorCode::None));
    assert_eq!(trio.replica(2).published().log_start, Offset(2));
    submit(&trio.nodes[0], vec![liveness(&trio.nodes[0], 3, false)]);
    trio.elect(&[3], state(1, 1, &[1, 2]));
    assert_eq!(trio.delete_records(1, -1, 60_000), (3, ErrorCode::None));
    for node in [1, 2, 3] {
        assert_eq!(trio.replica(node).published().log_start, Offset(3), "node {node}");
    }
}

#[test]
fn whoever_waits_for_a_deletion_hears_that_the_leader_is_another() {
    let trio = Trio::start(&[]).create();
    trio.elect(&[1, 2], state(1, 1, &[1, 2]));
    let required = trio.append(1, "a", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| trio.delete_records(1, 1, 60_000));
        trio.eventually(1, "the log start moves", |trio| trio.replica(1).published().log_start == Offset(1));
        trio.elect(&[1, 2], state(2, 2, &[1, 2]));
        assert_eq!(asked.join().expect("an answer"), (-1, ErrorCode::NotLeaderOrFollower));
    });
}

/// A broker as one node knows it, fenced or not.
fn liveness(node: &Fixture, id: i32, fenced: bool) -> Record {
    let broker_epoch = node.running().broker().image().broker(BrokerId(id)).expect("a broker").epoch;
    Record::BrokerChanged {
        broker_id: BrokerId(id),
        broker_epoch,
        fenced,
        in_controlled_shutdown: false,
        directories: None,
    }
}

#[test]
fn a_consumer_is_sent_to_the_replica_in_its_rack_and_reads_there() {
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let trio = Trio::start(&[("replica.selector.class", selector)]).create();
    trio.elect(&[1, 2, 3], state(1, 1, &[1, 2, 3]));
    let required = trio.append(1, "a", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
    let consumer = |rack: &str| {
        let id = WireBrokerId(-1);
        let state = ReplicaState::default().with_replica_id(id);
        FetchRequest::default().with_replica_state(state).with_rack_id(StrBytes::from_string(rack.to_owned()))
    };
    let sent_to = |rack| {
        let answer = trio.fetch(1, 0, consumer(rack));
        (answer.preferred_read_replica.0, answer.records.is_some_and(|records| !records.is_empty()))
    };
    assert_eq!(sent_to("r2"), (2, false));
    assert_eq!(sent_to("r1"), (-1, true));
    assert_eq!(sent_to("nowhere"), (-1, true));
    assert_eq!(sent_to(""), (-1, true));
    trio.eventually(2, "a follower shows what it knows to be committed", |trio| {
        let answer = trio.fetch(2, 0, consumer("r2"));
        assert_eq!((answer.error_code, answer.preferred_read_replica.0), (0, -1));
        answer.high_watermark == 1 && answer.records.is_some_and(|records| !records.is_empty())
    });
}

#[test]
fn whoever_asks_one_that_does_not_lead_is_told_who_does_and_where() {
    let trio = Trio::start(&[]).create();
    trio.elect(&[1, 2, 3], state(3, 4, &[1, 2, 3]));
    let leads = trio.nodes[2].running().addresses()[0];
    let asked = trio.nodes[1].running().addresses()[0];
    let link = || Link::new(LinkOptions::new(Address { host: asked.ip().to_string(), port: asked.port() }, "a test"));
    let where_it_leads = (3, leads.ip().to_string(), i32::from(leads.port()), Some("r3".to_owned()));
    // A producer, which knows the topic by its name.
    let data = PartitionProduceData::default().with_records(Some(batch_of_one()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_transactional_id(None).with_acks(-1).with_topic_data(vec![topic]);
    for version in [9, 10] {
        let answer = wait(async { link().call(&request, version, LIMIT).await }).expect("an answer");
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(ErrorCode::from(partition.error_code), ErrorCode::NotLeaderOrFollower);
        let told = (partition.current_leader.leader_id.0, partition.current_leader.leader_epoch);
        let named: Vec<_> = answer.node_endpoints.iter().map(endpoint).collect();
        let expected = if version == 9 { ((-1, -1), vec![]) } else { ((3, 4), vec![where_it_leads.clone()]) };
        assert_eq!((told, named), expected, "v{version}");
    }
    // A consumer with an epoch that is over.
    let partition = FetchPartition::default().with_current_leader_epoch(3).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic_id(trio.topic.0).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(1 << 20).with_session_epoch(-1).with_topics(vec![topic]);
    for version in [15, 16] {
        let answer = wait(async { link().call(&request, version, LIMIT).await }).expect("an answer");
        let partition = &answer.responses[0].partitions[0];
        assert_eq!(ErrorCode::from(partition.error_code), ErrorCode::FencedLeaderEpoch);
        let told = (partition.current_leader.leader_id.0, partition.current_leader.leader_epoch);
        let named: Vec<_> = answer.node_endpoints.iter().map(fetch_endpoint).collect();
        let expected = if version == 15 { ((-1, -1), vec![]) } else { ((3, 4), vec![where_it_leads.clone()]) };
        assert_eq!((told, named), expected, "v{version}");
    }
}

/// Id, host, port and rack.
type Place = (i32, String, i32, Option<String>);

fn endpoint(at: &produce_response::NodeEndpoint) -> Place {
    (at.node_id.0, at.host.to_string(), at.port, at.rack.as_ref().map(ToString::to_string))
}

fn fetch_endpoint(at: &fetch_response::NodeEndpoint) -> Place {
    (at.node_id.0, at.host.to_string(), at.port, at.rack.as_ref().map(ToString::to_string))
}

fn batch_of_one() -> Bytes {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), 1_700_000_000_000);
    builder.append(1_700_000_000_000, None, Some(b"v"));
    builder.build()
}

#[test]
fn a_replica_id_is_believed_on_the_listener_of_the_brokers_only() {
    let trio = Trio::start(&[
        ("listeners", "PLAINTEXT://127.0.0.1:0,CLIENT://127.0.0.1:0"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CLIENT:PLAINTEXT"),
    ])
    .create();
    // Only node 1 hears that it leads: nobody follows.
    trio.elect(&[1], state(1, 1, &[1, 2]));
    trio.append(1, "a", RequiredAcks::Leader);
    let replica = |epoch| {
        let state = ReplicaState::default().with_replica_id(WireBrokerId(2)).with_replica_epoch(epoch);
        FetchRequest::default().with_replica_state(state)
    };
    let epoch = trio.nodes[0].running().broker().image().broker(BrokerId(2)).expect("node 2").epoch;
    let refused = trio.fetch(1, 1, replica(epoch));
    assert_eq!(refused.error_code, ErrorCode::NotLeaderOrFollower.code());
    let answer = trio.fetch(1, 0, replica(epoch));
    // The record is not committed, and a follower sees it all the same.
    assert_eq!((answer.error_code, answer.high_watermark), (0, 0));
    assert!(answer.records.is_some_and(|records| !records.is_empty()));
}

#[test]
fn a_partition_that_moves_away_takes_its_log_with_it() {
    let trio = Trio::start(&[]).create();
    trio.elect(&[1, 2, 3], state(1, 1, &[1, 2, 3]));
    let required = trio.append(1, "a", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
    let moved = Partition { replicas: [BrokerId(1), BrokerId(2)].as_slice().into(), ..state(1, 1, &[1, 2]) };
    trio.elect(&[1, 2, 3], Partition { partition_epoch: 2, ..moved });
    let broker = trio.nodes[2].running().broker();
    assert_eq!(broker.replica_by_id(trio.topic, P0).err(), Some(ErrorCode::NotLeaderOrFollower));
    let required = trio.append(1, "b", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
    // It comes back: with nothing of what it had.
    trio.elect(&[1, 2, 3], Partition { partition_epoch: 3, ..state(1, 1, &[1, 2]) });
    trio.eventually(3, "everything is copied anew", |trio| trio.stored(3) == ["a@1", "b@1"]);
}

/// A node alone, and two that have joined it.
fn joined() -> Trio {
    let settings = |id: &'static str| vec![("node.id", id), ("controlled.shutdown.enable", "true")];
    let first = Fixture::start(&settings("1"));
    let address = first.running().addresses()[0].to_string();
    let join = |id| {
        let mut settings = settings(id);
        settings.push(("controller.quorum.bootstrap.servers", &address));
        Fixture::start(&settings)
    };
    let nodes = vec![join("2"), join("3")];
    Trio { nodes: std::iter::once(first).chain(nodes).collect(), topic: TopicId(uuid::Uuid::from_u128(7)) }
}

impl Trio {
    /// The partition as node 1 knows it: leader and in-sync set, sorted.
    fn known(&self) -> (i32, Vec<i32>) {
        let image = self.nodes[0].running().broker().image();
        let state = image.topic_by_id(self.topic).and_then(|topic| topic.partition(P0)).expect("the partition");
        let mut isr: Vec<i32> = state.isr.iter().map(|id| id.0).collect();
        isr.sort_unstable();
        (state.leader.0, isr)
    }
}

#[test]
fn followers_join_the_in_sync_set_and_one_of_them_takes_over() {
    let mut trio = joined();
    let partitions = vec![state(2, 0, &[2])];
    trio.tell(&[1], Record::TopicCreated { name: "t".into(), id: trio.topic, partitions });
    trio.eventually(1, "all are in sync", |trio| trio.known() == (2, vec![1, 2, 3]));
    trio.eventually(2, "the leader has heard it", |trio| {
        trio.replica(2).in_sync().is_some_and(|sets| sets.committed.len() == 3)
    });
    let required = trio.append(2, "a", RequiredAcks::All);
    assert_eq!(trio.acknowledged(2, required), Ok(()));
    for node in [1, 2, 3] {
        assert_eq!(trio.stored(node), ["a@0"], "node {node}");
    }
    // The leader leaves in order: another one of the set leads before it goes.
    drop(trio.nodes.remove(1));
    let (leader, isr) = trio.known();
    assert!([1, 3].contains(&leader) && isr == [1, 3], "{leader} {isr:?}");
    // Node 3 is the second now.
    let place = if leader == 1 { 1 } else { 2 };
    trio.eventually(place, "it has heard that it leads", |trio| {
        trio.replica(place).check_serving(LeaderEpoch(-1)).is_ok()
    });
    let required = trio.append(place, "b", RequiredAcks::All);
    assert_eq!(trio.acknowledged(place, required), Ok(()));
    assert_eq!(trio.stored(1), trio.stored(2));
    assert_eq!(trio.stored(1).len(), 2);
}
