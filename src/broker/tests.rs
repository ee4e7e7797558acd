//! A broker on a real directory: started, written to, stopped or dropped, and started again.

mod compaction;
mod controller;
mod directories;
mod leaving;
mod moves;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use super::delete_records::Deletion;
use super::replica::{Appended, DeleteUpTo, Replica};
use super::waiter::Waiter;
use super::*;
use bytes::{Bytes, BytesMut};

use crate::config::{Durability, Inputs, load};
use crate::controller::{Assignment, Heartbeat};
use crate::io::clock::SystemClock;
use crate::io::disk::SystemDisk;
use crate::io::threads::wait;
use crate::log::{Origin, ReadRequest};
use crate::metadata::{Partition, Record};
use crate::model::{LeaderEpoch, Offset};
use crate::partition::RequiredAcks;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    ResponseMessage, decode_request,
};
use crate::protocol::record_batch::BatchIter;
use crate::protocol::records::RecordBatchBuilder;

pub(super) const NODE: BrokerId = BrokerId(1);

pub(super) fn start(dir: &Path, more: &[&str]) -> Result<Arc<Broker>, StartError> {
    start_on(Arc::new(SystemDisk), dir, more)
}

fn start_on(disk: Arc<dyn Disk>, dir: &Path, more: &[&str]) -> Result<Arc<Broker>, StartError> {
    start_in(disk, &dir.display().to_string(), more)
}

/// With these directories, separated by commas.
fn start_in(disk: Arc<dyn Disk>, dirs: &str, more: &[&str]) -> Result<Arc<Broker>, StartError> {
    let pairs = more.iter().filter_map(|pair| pair.split_once('=')).chain([("log.dirs", dirs)]);
    let flags = pairs.map(|(key, value)| ("--set".into(), key.to_owned(), value.to_owned())).collect();
    let settings = load(&Inputs { flags, ..Inputs::default() }).expect("settings").settings;
    let started = wait(Broker::start(StartOptions {
        settings: Arc::new(settings),
        clock: Arc::new(SystemClock::new()),
        disk,
        endpoints: Vec::new(),
        controller_endpoint: Endpoint {
            listener: "CONTROLLER".into(),
            host: "localhost".into(),
            port: 0,
            security_protocol: 0,
        },
    }))?;
    started.set_dispatch(dispatch);
    Ok(started)
}

/// Carries out what a broker tells the controller that it is itself of its directories: the room above knows how for all requests.
fn dispatch(broker: Arc<Broker>, key: ApiKey, version: i16, body: Bytes) -> Answering {
    Box::pin(async move {
        let mut out = BytesMut::new();
        match key {
            ApiKey::AssignReplicasToDirs => {
                let request: AssignReplicasToDirsRequest = decode_request(version, body).ok()?;
                let assignments = request.directories.iter().flat_map(|directory| {
                    directory.topics.iter().flat_map(|topic| {
                        topic.partitions.iter().map(|partition| Assignment {
                            directory: directory.id,
                            topic_id: TopicId(topic.topic_id),
                            partition: PartitionIndex(partition.partition_index),
                        })
                    })
                });
                let assignments = assignments.collect();
                broker.assign_replicas_to_dirs(NODE, request.broker_epoch, assignments).await.ok()?;
                AssignReplicasToDirsResponse::default().write(&mut out, version).ok()?;
            }
            ApiKey::BrokerHeartbeat => {
                let request: BrokerHeartbeatRequest = decode_request(version, body).ok()?;
                let heartbeat = Heartbeat {
                    broker_id: NODE,
                    broker_epoch: request.broker_epoch,
                    metadata_offset: Offset(request.current_metadata_offset),
                    wants_fence: request.want_fence,
                    wants_shutdown: request.want_shut_down,
                    offline_directories: request.offline_log_dirs,
                    cordoned_directories: None,
                };
                broker.broker_heartbeat(heartbeat).await.ok()?;
                BrokerHeartbeatResponse::default().write(&mut out, version).ok()?;
            }
            _ => return None,
        }
        Some(out.freeze())
    })
}

type Answering = std::pin::Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

fn create_topic(broker: &Broker, name: &str, partitions: usize) -> TopicId {
    let id = TopicId(uuid::Uuid::new_v4());
    let partitions = vec![Partition::created([NODE].as_slice().into()); partitions];
    submit(broker, Record::TopicCreated { name: name.to_owned(), id, partitions });
    id
}

fn submit(broker: &Broker, record: Record) {
    wait(broker.quorum().submit(vec![record])).expect("a quorum of one");
}

fn append(broker: &Broker, replica: &Arc<Replica>, value: &str) -> Appended {
    let now = broker.now();
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(0), now.wall_ms);
    builder.append(now.wall_ms, None, Some(value.as_bytes()));
    let batches = replica.validate(now, builder.build(), Origin::Client).expect("a good batch");
    replica.append(now, &batches, RequiredAcks::All).expect("an append")
}

/// Waits, on a channel, until everything that was appended is committed.
fn commit(replica: &Replica, required: Offset) {
    let (told, committed) = mpsc::channel();
    replica.when_committed(required, Waiter::Once(Box::new(move |result| told.send(result).expect("a listener"))));
    replica.run_completions();
    committed.recv().expect("an answer").expect("committed");
}

/// Offsets and leader epochs of the batches that a consumer may read.
pub(super) fn readable(replica: &Replica) -> Vec<(Offset, LeaderEpoch)> {
    let upper_bound = replica.published().high_watermark;
    let request = ReadRequest { offset: Offset::ZERO, max_bytes: 1 << 20, upper_bound, min_one: true };
    let Some(region) = replica.reader().read(request).expect("a read") else { return Vec::new() };
    let bytes = region.read().expect("the region's bytes");
    let headers = BatchIter::new(&bytes).map(|batch| batch.expect("a whole batch").header);
    headers.map(|header| (header.base_offset, header.partition_leader_epoch)).collect()
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(status.expect("cp").success());
}

#[test]
fn a_log_start_that_was_told_is_there_after_a_crash() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    for value in ["a", "b", "c"] {
        commit(&replica, append(&broker, &replica, value).required);
    }
    let required = replica.delete_records(DeleteUpTo::Offset(Offset(2))).expect("a leader");
    let mut deletions = [Deletion::new(Arc::clone(&replica), required)];
    wait(broker.await_deletions(&mut deletions, 0));
    assert_eq!(deletions[0].outcome(), (Offset(2), ErrorCode::None));
    let left = tempfile::tempdir().expect("a directory");
    copy(dir.path(), left.path());
    wait(broker.close());

    let broker = start(left.path(), &[]).expect("a start after a crash");
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(replica.published().log_start, Offset(2));
    wait(broker.close());
}

#[test]
fn what_was_committed_is_there_after_a_clean_stop_and_after_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    create_topic(&broker, "t", 2);
    let replica = broker.replica("t", PartitionIndex(1)).expect("its leader");
    let appended = append(&broker, &replica, "a");
    assert!(!appended.is_committed, "nothing is flushed when it is written");
    commit(&replica, appended.required);
    assert_eq!(readable(&replica), [(Offset(0), LeaderEpoch(0))]);
    wait(broker.close());
    drop((replica, broker));

    let broker = start(dir.path(), &[]).expect("a start after a clean stop");
    let replica = broker.replica("t", PartitionIndex(1)).expect("its leader");
    let appended = append(&broker, &replica, "b");
    commit(&replica, appended.required);
    // What a process leaves that is killed now.
    let left = tempfile::tempdir().expect("a directory");
    copy(dir.path(), left.path());
    wait(broker.close());

    let broker = start(left.path(), &[]).expect("a start after a crash");
    let replica = broker.replica("t", PartitionIndex(1)).expect("its leader");
    assert_eq!(readable(&replica), [(Offset(0), LeaderEpoch(0)), (Offset(1), LeaderEpoch(1))]);
    assert_eq!(replica.published().leader_epoch, LeaderEpoch(2));
    wait(broker.close());
}

#[test]
fn with_the_page_cache_an_append_is_committed_when_it_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &["acks.durability=page-cache"]).expect("a start");
    create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(replica.settings().topic.acks_durability, Durability::PageCache);
    assert!(append(&broker, &replica, "a").is_committed);
    wait(broker.close());
}

#[test]
fn a_deleted_topic_is_gone_when_its_deletion_is_answered_and_its_name_is_free() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a start");
    let id = create_topic(&broker, "t", 1);
    let old = broker.replica("t", PartitionIndex(0)).expect("its leader");
    append(&broker, &old, "a");
    submit(&broker, Record::TopicDeleted { id });
    assert_eq!(broker.replica("t", PartitionIndex(0)).err(), Some(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(old.check_serving(LeaderEpoch(-1)), Err(ErrorCode::UnknownTopicOrPartition));
    create_topic(&broker, "t", 1);
    let new = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(append(&broker, &new, "b").info.first_offset, Offset(0));
    assert_eq!(broker.replica_by_id(id, PartitionIndex(0)).err(), Some(ErrorCode::UnknownTopicId));
    wait(broker.close());
}

#[test]
fn a_directory_of_somebody_else_is_refused_with_the_reason() {
    let check = |dir: &Path, more: &[&str], reason: &str| {
        let error = start(dir, more).err().expect("no start").to_string();
        assert!(error.contains(reason), "{error}");
    };
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a start");
    check(dir.path(), &[], "in use by another process");
    wait(broker.close());
    drop(broker);
    check(dir.path(), &["node.id=7"], "belongs to node 1, and this is node 7");
    let foreign = tempfile::tempdir().expect("a directory");
    SystemDisk.write_atomically(&foreign.path().join("letter.txt"), b"dear").expect("a file");
    check(foreign.path(), &[], "is not empty, and holds no data of a broker");
}

#[test]
fn directories_of_another_cluster_than_the_metadata_are_refused_and_left_as_they_were() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    let cluster_id = broker.image().cluster_id().to_string();
    wait(broker.close());
    let epoch = broker.image().broker(NODE).map(|broker| broker.epoch);
    drop(broker);
    let path = dir.path().join("meta.properties");
    let ours = std::fs::read_to_string(&path).expect("an identity");
    std::fs::write(&path, ours.replace(&cluster_id, "another")).expect("a file");
    let error = start(dir.path(), &[]).err().expect("no start");
    let is_expected = |found: &str, expected: &str| *found == cluster_id && expected == "another";
    assert!(
        matches!(&error, StartError::Quorum(crate::quorum::StartError::OtherCluster { found, expected, .. }) if is_expected(found, expected)),
        "{error}"
    );
    assert!(dir.path().join(".kafka_cleanshutdown").exists(), "it was left in order, and still is");
    std::fs::write(&path, ours).expect("a file");
    let broker = start(dir.path(), &[]).expect("a start");
    assert!(broker.image().broker(NODE).map(|broker| broker.epoch) > epoch);
    wait(broker.close());
}

#[test]
fn a_panic_under_a_replicas_lock_takes_that_partition_offline_and_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a start");
    create_topic(&broker, "t", 2);
    let [broken, other] = [0, 1].map(|index| broker.replica("t", PartitionIndex(index)).expect("its leader"));
    let (told, outcome) = mpsc::channel();
    let required = append(&broker, &broken, "a").required + 1;
    broken.when_committed(required, Waiter::Once(Box::new(move |result| told.send(result).expect("a listener"))));
    let now = broker.now();
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(0), now.wall_ms);
    builder.append(now.wall_ms, None, Some(b"b"));
    let batch = broken.validate(now, builder.build(), Origin::Client).expect("a good batch");
    let (requests, acks) = ([batch.clone(), batch], [RequiredAcks::All; 2]);
    let mut outcomes = Vec::new();
    broken.append_many(now, &requests, &acks, |result| {
        outcomes.push(result.map_err(|error| error.code()));
        assert!(outcomes.len() > 1, "a test of what follows a panic");
    });
    // The first was told of its append, and panicked; the second is not known to be in the log.
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[1], Err(ErrorCode::KafkaStorageError));
    assert_eq!(outcome.recv().expect("an answer"), Err(ErrorCode::KafkaStorageError));
    assert_eq!(broken.check_serving(LeaderEpoch(-1)), Err(ErrorCode::KafkaStorageError));
    let refused = broken.append(now, &requests[0], RequiredAcks::All).map_err(|error| error.code());
    assert_eq!(refused, Err(ErrorCode::KafkaStorageError));
    commit(&other, append(&broker, &other, "c").required);
    wait(broker.close());
}

#[test]
fn a_log_that_cannot_be_opened_stays_offline_and_is_never_begun_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    commit(&replica, append(&broker, &replica, "a").required);
    wait(broker.close());
    drop((replica, broker));
    // What was on stable storage is gone, and the stop was none.
    std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).expect("the marker");
    std::fs::write(dir.path().join("t-0/00000000000000000000.log"), [0; 40]).expect("damage");
    for _ in 0..2 {
        let broker = start(dir.path(), &[]).expect("the others are served");
        let refused = broker.replica("t", PartitionIndex(0)).err();
        assert_eq!(refused, Some(ErrorCode::KafkaStorageError));
        wait(broker.close());
    }
}
