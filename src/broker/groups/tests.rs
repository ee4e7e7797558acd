//! Coordinators over real logs in a directory: killed, reloaded, broken, deleted under them.

use std::path::Path;

use tokio::sync::oneshot::Receiver;
use uuid::Uuid;

use super::*;
use crate::broker::StartOptions;
use crate::config::{Inputs, load};
use crate::coordinator::group::{
    Assignment, CommitPartition, CommitRequest, CommitTopic, FetchRequest, JoinReply, JoinRequest, MemberIdentity,
    Protocol, SyncRequest,
};
use crate::io::clock::SystemClock;
use crate::io::disk::SystemDisk;
use crate::io::threads::wait;
use crate::log::{Origin, ReadRequest};
use crate::metadata::{Partition, Record};
use crate::model::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId};
use crate::partition::RequiredAcks;
use crate::protocol::record_batch::BatchIter;
use crate::protocol::records::RecordBatchBuilder;

fn start(dir: &Path) -> Arc<Broker> {
    start_with(dir, &[])
}

fn start_with(dir: &Path, more: &[(&str, &str)]) -> Arc<Broker> {
    let dir = dir.display().to_string();
    let pairs =
        [("log.dirs", dir.as_str()), ("group.initial.rebalance.delay.ms", "0"), ("group.min.session.timeout.ms", "20")];
    let flags =
        pairs.iter().chain(more).map(|(key, value)| ("--set".into(), (*key).to_owned(), (*value).to_owned())).collect();
    let settings = load(&Inputs { flags, ..Inputs::default() }).expect("settings").settings;
    let options = StartOptions {
        settings: Arc::new(settings),
        clock: Arc::new(SystemClock::new()),
        disk: Arc::new(SystemDisk),
        endpoints: Vec::new(),
        controller_endpoint: crate::metadata::Endpoint {
            listener: "CONTROLLER".into(),
            host: "localhost".into(),
            port: 0,
            security_protocol: 0,
        },
    };
    wait(Broker::start(options)).expect("a broker")
}

fn submit(broker: &Broker, record: Record) {
    wait(broker.quorum().submit(vec![record])).expect("a quorum of one");
}

fn create(broker: &Broker, name: &str) -> TopicId {
    let id = TopicId(Uuid::new_v4());
    let partitions = vec![Partition::created([BrokerId(1)].as_slice().into()); 3];
    submit(broker, Record::TopicCreated { name: name.to_owned(), id, partitions });
    id
}

/// The reply of the coordinator of `group`, once it has loaded.
fn ask(
    broker: &Broker,
    group: &str,
    event: impl Fn(&mut Coordinator<Token>, Token) -> Outcome<Token>,
) -> Result<Reply, ErrorCode> {
    loop {
        match broker.groups().call(broker, broker.now(), group, &event) {
            Err(ErrorCode::CoordinatorLoadInProgress) => std::thread::yield_now(),
            Err(error) => return Err(error),
            Ok(receiver) => return Ok(receiver.blocking_recv().expect("a reply")),
        }
    }
}

fn join_request(version: i16, member_id: &str) -> JoinRequest {
    JoinRequest {
        version,
        client_id: "c".into(),
        client_host: "/h".into(),
        new_member_uuid: Uuid::new_v4(),
        group_id: "g".into(),
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: bytes::Bytes::from_static(b"\0\0\0\0\0\0") }],
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
    }
}

/// A group of one member in generation 1; returns the member's id.
fn form_group(broker: &Broker) -> String {
    let now = broker.now();
    let joined = ask(broker, "g", |machine, token| machine.join(now, &join_request(3, ""), token));
    let Ok(Reply::Join(JoinReply { error: ErrorCode::None, generation_id: 1, member_id, .. })) = joined else {
        panic!("{joined:?}");
    };
    let assignment = Assignment { member_id: member_id.clone(), assignment: bytes::Bytes::from_static(b"mine") };
    let request = SyncRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: member_id.clone(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![assignment],
    };
    let synced = ask(broker, "g", |machine, token| machine.sync(now, &request, token));
    assert!(matches!(synced, Ok(Reply::Sync(reply)) if reply.assignment == "mine"));
    member_id
}

fn commit(
    broker: &Broker,
    group: &str,
    topic_id: TopicId,
    member: (&str, i32),
    offset: i64,
) -> Result<Reply, ErrorCode> {
    ask(broker, group, |machine, token| {
        machine.commit_offsets(broker.now(), commit_request(group, topic_id, member, offset), token)
    })
}

fn commit_request(group: &str, topic_id: TopicId, member: (&str, i32), offset: i64) -> CommitRequest {
    let partition = CommitPartition { partition: 0, offset, leader_epoch: -1, metadata: None };
    let topic = CommitTopic { name: "t".into(), topic_id, partitions: vec![partition] };
    CommitRequest {
        version: 9,
        group_id: group.into(),
        member_id: member.0.into(),
        group_instance_id: None,
        generation_id: member.1,
        retention_time_ms: -1,
        topics: vec![topic],
    }
}

fn heartbeat(broker: &Broker, member_id: &str) -> Result<Reply, ErrorCode> {
    ask(broker, "g", |machine, token| {
        let identity = MemberIdentity { member_id, group_instance_id: None, generation_id: 1 };
        machine.heartbeat(broker.now(), "g", identity, token)
    })
}

/// The committed offset of partition 0 of topic t; -1 for none.
fn fetch(broker: &Broker, group: &str) -> i64 {
    let request = FetchRequest { group_id: group.into(), topics: None };
    loop {
        match broker.groups().read(broker, broker.now(), group, |machine| machine.fetch_offsets(&request)) {
            Err(ErrorCode::CoordinatorLoadInProgress) => std::thread::yield_now(),
            result => {
                let topics = result.expect("a coordinator");
                return topics.first().map_or(-1, |topic| topic.partitions[0].offset);
            }
        }
    }
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a directory");
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to.path()).status();
    assert!(status.expect("cp").success());
    to
}

#[test]
fn members_and_offsets_are_there_after_a_kill_and_after_a_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    create(&broker, OFFSETS_TOPIC);
    let topic_id = create(&broker, "t");
    let member_id = form_group(&broker);
    for offset in 1..=50 {
        assert!(matches!(commit(&broker, "g", topic_id, (&member_id, 1), offset), Ok(Reply::OffsetCommit(_))));
    }
    // The directory as a killed process leaves it: it was answered, so it is there.
    let killed = copy(dir.path());
    wait(broker.close());
    drop(broker);
    for dir in [&killed, &dir] {
        let broker = start(dir.path());
        assert_eq!(fetch(&broker, "g"), 50);
        assert_eq!(heartbeat(&broker, &member_id), Ok(Reply::Heartbeat(ErrorCode::None)));
        assert_eq!(heartbeat(&broker, "other"), Ok(Reply::Heartbeat(ErrorCode::UnknownMemberId)));
        wait(broker.close());
    }
}

#[test]
fn members_and_offsets_are_there_after_the_log_was_compacted() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = [
        ("log.cleanup.policy", "compact"),
        ("log.cleaner.backoff.ms", "5"),
        ("log.cleaner.min.cleanable.ratio", "0.01"),
    ];
    let broker = start_with(dir.path(), &settings);
    create(&broker, OFFSETS_TOPIC);
    let topic_id = create(&broker, "t");
    let member_id = form_group(&broker);
    for round in 1..=3 {
        for offset in 1..=20 {
            let committed = commit(&broker, "g", topic_id, (&member_id, 1), 100 * round + offset);
            assert!(matches!(committed, Ok(Reply::OffsetCommit(_))));
            assert!(matches!(commit(&broker, "h", topic_id, ("", -1), offset), Ok(Reply::OffsetCommit(_))));
        }
        let before = broker.cleaner().metrics().passes.get();
        for replica in broker.replicas().all() {
            replica.with_log(|log, _| log.roll(broker.now())).expect("a new segment");
            replica.flush().expect("a flush");
        }
        broker.write_checkpoints();
        while broker.cleaner().metrics().passes.get() == before {
            std::thread::yield_now();
        }
    }
    assert!(broker.cleaner().metrics().bytes_saved.get() > 0);
    // A copy takes longer than a moment, and the files of a pass come and go.
    wait(broker.cleaner().close());
    let killed = copy(dir.path());
    wait(broker.close());
    drop(broker);
    for dir in [&killed, &dir] {
        let broker = start(dir.path());
        assert_eq!((fetch(&broker, "g"), fetch(&broker, "h")), (320, 20));
        assert_eq!(heartbeat(&broker, &member_id), Ok(Reply::Heartbeat(ErrorCode::None)));
        wait(broker.close());
    }
}

#[test]
fn whoever_asks_a_coordinator_that_loads_is_told_to_wait() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    let offsets = create(&broker, OFFSETS_TOPIC);
    let topic_id = create(&broker, "t");
    assert!(commit(&broker, "g", topic_id, ("", -1), 7).is_ok());
    let partition = broker.groups().partition_for(&broker.image(), "g");
    let elect = |leader_epoch, partition_epoch, isr: &[i32]| {
        let isr: Vec<BrokerId> = isr.iter().copied().map(BrokerId).collect();
        let state = Partition {
            leader_epoch: LeaderEpoch(leader_epoch),
            partition_epoch,
            isr: isr.as_slice().into(),
            ..Partition::created([BrokerId(1), BrokerId(2)].as_slice().into())
        };
        submit(&broker, Record::PartitionChanged { topic_id: offsets, partition, state });
    };
    // Another one is in sync and never fetches: what is written now is not committed.
    elect(5, 5, &[1, 2]);
    assert_eq!(fetch(&broker, "g"), 7);
    let now = broker.now();
    let request = || commit_request("g", topic_id, ("", -1), 8);
    let unanswered =
        broker.groups().call(&broker, now, "g", |machine, token| machine.commit_offsets(now, request(), token));
    // Leading anew, it waits until all that it has loaded is committed.
    elect(6, 6, &[1, 2]);
    for _ in 0..100 {
        assert_eq!(broker.groups().read(&broker, now, "g", |_| ()), Err(ErrorCode::CoordinatorLoadInProgress));
    }
    let told = unanswered.expect("a coordinator").blocking_recv().expect("a reply");
    assert!(matches!(told, Reply::OffsetCommit(_)), "{told:?}");
    elect(6, 7, &[1]);
    assert_eq!(fetch(&broker, "g"), 8);
    wait(broker.close());
}

#[test]
fn a_broken_machine_is_read_anew_from_its_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    create(&broker, OFFSETS_TOPIC);
    let topic_id = create(&broker, "t");
    assert!(commit(&broker, "g", topic_id, ("", -1), 7).is_ok());
    let broken = broker.groups().call(&broker, broker.now(), "g", |_, _| panic!("a test of what follows a panic"));
    assert_eq!(broken.err(), Some(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(fetch(&broker, "g"), 7);
    assert!(commit(&broker, "g", topic_id, ("", -1), 8).is_ok());
    assert_eq!(fetch(&broker, "g"), 8);
    wait(broker.close());
}

#[test]
fn batches_of_a_coordinator_have_the_sequence_of_kafkas() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    create(&broker, OFFSETS_TOPIC);
    assert!(commit(&broker, "g", TopicId::ZERO, ("", -1), 7).is_ok());
    let partition = broker.groups().partition_for(&broker.image(), "g");
    let replica = broker.replica(OFFSETS_TOPIC, partition).expect("its leader");
    let request = ReadRequest { offset: Offset(0), max_bytes: 1 << 20, upper_bound: Offset(1), min_one: true };
    let bytes = replica.reader().read(request).expect("a read").expect("a batch").read().expect("its bytes");
    let header = BatchIter::new(&bytes).next().expect("a batch").expect("a whole one").header;
    // As kafka-dump-log shows them of Apache Kafka 4.3.1: no producer, and the sequence of a first batch.
    assert_eq!((header.producer_id, header.producer_epoch.0, header.base_sequence.0), (ProducerId::NONE, -1, 0));
    wait(broker.close());
}

/// Writes a record that no coordinator can decode into a group's partition.
fn spoil(broker: &Broker, group: &str) {
    let partition = broker.groups().partition_for(&broker.image(), group);
    let replica = broker.replica(OFFSETS_TOPIC, partition).expect("its leader");
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(0), 0);
    // The key of an offset, cut off.
    builder.append(0, Some(&[0, 1, 0, 9]), Some(b"v"));
    builder.append(0, Some(&[0, 1, 0, 9]), Some(b"v"));
    let now = broker.now();
    let batch = replica.validate(now, builder.build(), Origin::Coordinator).expect("a good batch");
    replica.append(now, &batch, RequiredAcks::All).expect("an append");
}

/// What a request is answered once nothing is being loaded.
fn loaded(broker: &Broker, now: Now) -> Option<ErrorCode> {
    loop {
        match broker.groups().read(broker, now, "g", |_| ()) {
            Err(ErrorCode::CoordinatorLoadInProgress) => std::thread::yield_now(),
            result => return result.err(),
        }
    }
}

#[test]
fn a_log_that_cannot_be_read_is_tried_again_but_not_by_every_request() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    create(&broker, OFFSETS_TOPIC);
    spoil(&broker, "g");
    let now = broker.now();
    let at = |more_ms: u64| Now { monotonic_ms: now.monotonic_ms + more_ms, ..now };
    let shard = || broker.groups().shards().pop().expect("a shard");
    assert_eq!(loaded(&broker, now), Some(ErrorCode::NotCoordinator));
    for failed_loads in 1..=3 {
        let failed = shard();
        assert_eq!(failed.failed_loads(), failed_loads);
        // Asked at a time that lies before the failure.
        assert_eq!(loaded(&broker, now), Some(ErrorCode::NotCoordinator));
        assert!(Arc::ptr_eq(&failed, &shard()), "nobody has tried again");
        // Later is later: this one has it loaded again, in the background.
        assert!(broker.groups().read(&broker, at(1_000_000), "g", |_| ()).is_err());
        assert_eq!(loaded(&broker, now), Some(ErrorCode::NotCoordinator));
        assert!(!Arc::ptr_eq(&failed, &shard()), "somebody has");
    }
    for (failed_loads, wait_ms) in [(0, 1000), (1, 2000), (5, 32_000), (6, 60_000), (u32::MAX, 60_000)] {
        let failed = broker.groups().new_shard(shard().replica(), failed_loads);
        failed.fail(now);
        assert!(failed.is_current(at(wait_ms - 1)) && !failed.is_current(at(wait_ms)), "{failed_loads}");
    }
    wait(broker.close());
}

#[test]
fn groups_whose_log_ends_early_are_not_loaded() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    create(&broker, OFFSETS_TOPIC);
    spoil(&broker, "g");
    assert_eq!(loaded(&broker, broker.now()), Some(ErrorCode::NotCoordinator));
    let shard = broker.groups().shards().pop().expect("a shard");
    let mut machine = Coordinator::new(shard.options.clone());
    // Within the only batch: nothing that is whole lies below it.
    let replayed = shard.replay(&mut machine, Offset(0), Offset(1), 1 << 20);
    assert_eq!(replayed, Err("the log ends early, at offset 0 of 1".to_owned()));
    wait(broker.close());
}

#[test]
fn offsets_go_with_their_topic_and_all_of_them_with_the_coordinators_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    assert_eq!(commit(&broker, "g", TopicId::ZERO, ("", -1), 1), Err(ErrorCode::NotCoordinator));
    let offsets_topic_id = create(&broker, OFFSETS_TOPIC);
    let topic_id = create(&broker, "t");
    let other_id = TopicId(Uuid::new_v4());
    assert!(commit(&broker, "g", topic_id, ("", -1), 7).is_ok());
    assert!(commit(&broker, "h", other_id, ("", -1), 9).is_ok());
    submit(&broker, Record::TopicDeleted { id: topic_id });
    while fetch(&broker, "g") != -1 {
        std::thread::yield_now();
    }
    assert_eq!(fetch(&broker, "h"), 9);
    submit(&broker, Record::TopicDeleted { id: offsets_topic_id });
    assert_eq!(commit(&broker, "h", other_id, ("", -1), 1), Err(ErrorCode::NotCoordinator));
    create(&broker, OFFSETS_TOPIC);
    assert_eq!(fetch(&broker, "h"), -1);
    assert!(commit(&broker, "h", other_id, ("", -1), 2).is_ok());
    assert_eq!(fetch(&broker, "h"), 2);
    wait(broker.close());
}

#[test]
fn timers_go_off_without_requests() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    create(&broker, OFFSETS_TOPIC);
    let member_id = form_group(&broker);
    // Leaves nobody but one that joins and never comes back with its id: only the clock ends its wait.
    let now = broker.now();
    let request = JoinRequest { session_timeout_ms: 20, ..join_request(5, "") };
    let given = ask(&broker, "g", |machine, token| machine.join(now, &request, token));
    assert!(matches!(given, Ok(Reply::Join(JoinReply { error: ErrorCode::MemberIdRequired, .. }))));
    let waiting: Receiver<Reply> = broker
        .groups()
        .call(&broker, now, "g", |machine, token| {
            let protocols = vec![Protocol { name: "range".into(), metadata: "x".into() }];
            let again = JoinRequest { protocols, ..join_request(3, &member_id) };
            machine.join(now, &again, token)
        })
        .expect("a coordinator");
    let reply = waiting.blocking_recv().expect("a reply");
    assert!(matches!(reply, Reply::Join(JoinReply { error: ErrorCode::None, generation_id: 2, .. })));
    wait(broker.close());
}

#[test]
fn whoever_waits_when_the_broker_stops_is_sent_elsewhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path());
    create(&broker, OFFSETS_TOPIC);
    form_group(&broker);
    let now = broker.now();
    let call = broker.groups().call(&broker, now, "g", |machine, token| machine.join(now, &join_request(3, ""), token));
    let waiting = call.expect("a coordinator");
    wait(broker.close());
    let reply = waiting.blocking_recv().expect("a reply");
    assert!(matches!(reply, Reply::Join(JoinReply { error: ErrorCode::NotCoordinator, .. })));
    let late = broker.groups().call(&broker, now, "g", |machine, token| machine.join(now, &join_request(3, ""), token));
    assert_eq!(late.err(), Some(ErrorCode::NotCoordinator));
}

#[test]
fn groups_fall_on_the_partitions_that_java_finds() {
    // Of `Utils.abs(name.hashCode()) % 50`; the last has the hash -2³¹, whose absolute value Kafka takes for 0.
    for (name, partition) in
        [("", 0), ("g", 3), ("my-group", 12), ("console-consumer-1", 24), ("größe", 7), ("polygenelubricants", 0)]
    {
        assert_eq!(partition_of(name, 50), PartitionIndex(partition), "{name}");
    }
}
