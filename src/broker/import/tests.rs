//! Directories as Kafka leaves them, made by hand, imported, and started on.

use std::path::Path;

use super::*;
use crate::broker::tests::{NODE, readable, start};
use crate::config::{Inputs, load};
use crate::io::clock::SystemClock;
use crate::io::disk::SystemDisk;
use crate::io::threads::wait;
use crate::log::IMPORT_MARKER;
use crate::metadata::ConfigResource;
use crate::model::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::protocol::records::RecordBatchBuilder;

const TOPIC_ID: Uuid = Uuid::from_u128(0x77);
const DIRECTORY_ID: Uuid = Uuid::from_u128(0xd1);

/// The value of a metadata record: kind, version, fields.
fn frame(kind: u8, version: u8, fields: &[&[u8]]) -> Vec<u8> {
    [&[1, kind, version][..], &fields.concat()].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len() + 1).unwrap()], text.as_bytes()].concat()
}

fn ids(ids: &[i32]) -> Vec<u8> {
    let bytes = ids.iter().flat_map(|id| id.to_be_bytes());
    [u8::try_from(ids.len() + 1).unwrap()].into_iter().chain(bytes).collect()
}

fn registration(broker: i32, directory: Uuid) -> Vec<u8> {
    let epoch = 40i64.to_be_bytes();
    let directories: &[u8] = &[&[1, 0, 17, 2], &directory.as_bytes()[..]].concat();
    // No migration, an incarnation, no endpoints, no features, no rack, fenced, not shutting down.
    frame(0, 4, &[&broker.to_be_bytes(), &[0], &[9; 16], &epoch, &[1], &[1], &[0], &[1], &[0], directories])
}

fn topic(name: &str) -> Vec<u8> {
    frame(2, 0, &[&text(name), TOPIC_ID.as_bytes(), &[0]])
}

/// A partition of topic 0x77, with leader epoch 7.
fn partition(index: i32, isr: &[i32]) -> Vec<u8> {
    let none: &[u8] = &[1];
    let epochs = [7i32.to_be_bytes(), 9i32.to_be_bytes()].concat();
    let leader = isr.first().copied().unwrap_or(-1).to_be_bytes();
    let fields: &[&[u8]] = &[&index.to_be_bytes(), TOPIC_ID.as_bytes(), &ids(&[1]), &ids(isr), none, none];
    frame(3, 2, &[fields, &[&leader, &epochs, none, &[0]]].concat())
}

fn config(name: &str, value: &str) -> Vec<u8> {
    frame(4, 0, &[&[2], &text("t"), &text(name), &text(value), &[0]])
}

/// One batch of metadata records that begins at an offset.
fn batch(offset: i64, values: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(3), 1000);
    values.iter().for_each(|value| builder.append(1000, None, Some(value)));
    let mut bytes = builder.build().to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes
}

fn cluster() -> Vec<Vec<u8>> {
    vec![
        frame(12, 0, &[&text("metadata.version"), &[0, 30], &[0]]),
        registration(1, DIRECTORY_ID),
        topic("t"),
        partition(0, &[1]),
        config("retention.ms", "12345"),
        config("no.such.setting", "x"),
        frame(15, 0, &[&[0; 4], &[0; 8], &5000i64.to_be_bytes(), &[0]]),
    ]
}

/// A stopped Kafka with one log of two batches.
struct KafkaDir {
    folder: tempfile::TempDir,
}

impl KafkaDir {
    fn new(metadata: &[Vec<u8>]) -> KafkaDir {
        let dir = KafkaDir { folder: tempfile::tempdir().unwrap() };
        let id = TopicId(DIRECTORY_ID);
        dir.write("meta.properties", format!("version=1\ncluster.id=c\nnode.id=1\ndirectory.id={id}\n").as_bytes());
        dir.write(".kafka_cleanshutdown", b"{\"version\":0,\"brokerEpoch\":40}");
        dir.write(".lock", b"");
        dir.write("__cluster_metadata-0/00000000000000000000.log", &batch(0, metadata));
        dir.write("t-0/00000000000000000000.log", &[records(0, false), records(1, false)].concat());
        dir.write("t-0/partition.metadata", format!("version: 0\ntopic_id: {}", TopicId(TOPIC_ID)).as_bytes());
        dir
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn import(&self, into: &[&Path], change: impl FnOnce(&mut ImportOptions)) -> Result<Summary, ImportError> {
        let dirs = into.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(",");
        let flags = vec![("--data".to_owned(), "log.dirs".to_owned(), dirs)];
        let mut options = ImportOptions {
            settings: load(&Inputs { flags, ..Inputs::default() }).expect("settings").settings,
            disk: Arc::new(SystemDisk),
            clock: Arc::new(SystemClock::new()),
            from: vec![self.folder.path().to_owned()],
            link: false,
            allow_transactions: false,
        };
        change(&mut options);
        wait(import(options, &mut |done, total| assert!(done <= total)))
    }

    /// The words in which an import of it is refused. Nothing is left in the target.
    fn refused(&self) -> String {
        let into = tempfile::tempdir().unwrap();
        let words = self.import(&[into.path()], |_| ()).expect_err("it is refused").to_string();
        let left: Vec<_> = std::fs::read_dir(into.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| name == ".lock"), "{words}: {left:?}");
        words
    }
}

/// A batch of one record, of a transaction if asked for.
fn records(offset: i64, is_transactional: bool) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(7), 1000);
    if is_transactional {
        builder = builder.producer(ProducerId(4), ProducerEpoch(0), Sequence(0)).transactional();
    }
    builder.append(1000, Some(b"k"), Some(b"v"));
    let mut bytes = builder.build().to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    // The builder's CRC does not cover the base offset.
    bytes
}

#[test]
fn what_lies_in_remote_storage_is_said_to_stay_there() {
    let with = |value: &str| KafkaDir::new(&[cluster(), vec![config("remote.storage.enable", value)]].concat());
    for (value, expected) in [("true", true), ("false", false)] {
        let into = tempfile::tempdir().unwrap();
        let summary = with(value).import(&[into.path()], |_| ()).expect("an import");
        let is_told = summary.left_out.iter().any(|what| what.contains("remote storage") && what.contains("topic t:"));
        assert_eq!(is_told, expected, "{:?}", summary.left_out);
    }
}

#[test]
fn what_kafka_had_is_there_and_what_has_no_place_is_named() {
    let kafka = KafkaDir::new(&cluster());
    kafka.write("t-9/00000000000000000000.log", b"");
    let into = tempfile::tempdir().unwrap();
    let summary = kafka.import(&[into.path()], |_| ()).expect("an import");
    assert_eq!((summary.topics, summary.partitions, summary.offsets), (1, 1, 2));
    assert_eq!((&*summary.cluster_id, summary.node_id, summary.cut_bytes), ("c", 1, 0));
    let left_out = summary.left_out.join("\n");
    assert!(left_out.contains("t-9") && left_out.contains("no.such.setting"), "{left_out}");
    assert_eq!(summary.left_out.len(), 2, "{left_out}");
    let broker = start(into.path(), &[]).expect("a start on it");
    let image = broker.image();
    let topic = image.topic("t").expect("the topic");
    assert_eq!((topic.id, &**image.cluster_id()), (TopicId(TOPIC_ID), "c"));
    assert_eq!(topic.partitions[0].leader_epoch, LeaderEpoch(8), "past Kafka's, so that both's batches are told apart");
    assert_eq!(image.configs(&ConfigResource::Topic("t".into()))["retention.ms"], "12345");
    assert_eq!(image.next_producer_id(), ProducerId(5000));
    assert!(broker.broker_epoch() > 40, "past Kafka's");
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(readable(&replica), [(Offset(0), LeaderEpoch(7)), (Offset(1), LeaderEpoch(7))]);
    wait(broker.close());
}

#[test]
fn a_partition_is_told_in_which_of_several_directories_it_lies() {
    let kafka = KafkaDir::new(&cluster());
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    kafka.import(&[one.path(), other.path()], |_| ()).expect("an import");
    assert!(one.path().join("t-0").exists() && other.path().join("meta.properties").exists());
    let both = format!("log.dirs={},{}", one.path().display(), other.path().display());
    let broker = start(Path::new(&both["log.dirs=".len()..]), &[]).expect("a start on both");
    assert_eq!(readable(&broker.replica("t", PartitionIndex(0)).expect("its leader")).len(), 2);
    assert_eq!(broker.node_id(), NODE);
    wait(broker.close());
}

#[test]
fn a_torn_tail_of_either_log_is_left_out_and_told() {
    let kafka = KafkaDir::new(&cluster());
    let torn = &batch(7, &[topic("later")])[..50];
    kafka.write("__cluster_metadata-0/00000000000000000000.log", &[&batch(0, &cluster()), torn].concat());
    std::fs::remove_file(kafka.folder.path().join(".kafka_cleanshutdown")).unwrap();
    kafka.write("t-0/00000000000000000000.log", &[&records(0, false)[..], &records(1, false)[..40]].concat());
    let into = tempfile::tempdir().unwrap();
    let summary = kafka.import(&[into.path()], |options| options.link = true).expect("an import");
    assert_eq!((summary.offsets, summary.cut_bytes, summary.linked_bytes), (1, 40, 0));
    assert!(summary.left_out[0].starts_with("50 torn bytes"), "{:?}", summary.left_out);
    let left = std::fs::read(kafka.folder.path().join("t-0/00000000000000000000.log")).unwrap();
    assert_eq!(left.len(), records(0, false).len() + 40, "the source is as it was");
}

#[test]
fn metadata_is_the_newest_snapshot_and_what_follows_it() {
    let log = |kafka: &KafkaDir| metadata_log::read(&SystemDisk, &kafka.folder.path().join(metadata_log::DIRECTORY));
    let kafka = KafkaDir::new(&[topic("old")]);
    kafka.write("__cluster_metadata-0/00000000000000000020-0000000003.checkpoint", &batch(0, &cluster()));
    kafka.write("__cluster_metadata-0/00000000000000000010-0000000003.checkpoint", &batch(0, &[topic("older")]));
    assert_eq!(log(&kafka).unwrap().0.topic_ids().into_keys().collect::<Vec<_>>(), ["t"]);
    // A segment that begins before the snapshot's end, and what of it lies behind: a transaction that ends, and one that does not.
    let other = |name: &str, id: u128| frame(2, 0, &[&text(name), Uuid::from_u128(id).as_bytes(), &[0]]);
    let (begin, end, abort) = (frame(23, 0, &[&[0]]), frame(24, 0, &[&[0]]), frame(25, 0, &[&[0]]));
    let before = batch(18, &[other("before", 1), topic("t")]);
    let behind = batch(20, &[begin.clone(), other("kept", 2), end, begin.clone(), other("aborted", 3), abort]);
    let open = batch(26, &[begin, other("open", 4)]);
    kafka.write("__cluster_metadata-0/00000000000000000018.log", &[before, behind, open].concat());
    assert_eq!(log(&kafka).unwrap().0.topic_ids().into_keys().collect::<Vec<_>>(), ["kept", "t"]);
    // With a hole between them nobody knows what was in it.
    for name in ["00000000000000000000.log", "00000000000000000018.log"] {
        std::fs::remove_file(kafka.folder.path().join("__cluster_metadata-0").join(name)).unwrap();
    }
    kafka.write("__cluster_metadata-0/00000000000000000021.log", &batch(21, &[topic("t")]));
    let error = log(&kafka).expect_err("a hole").to_string();
    assert!(error.contains("begins at offset 21"), "{error}");
}

#[test]
fn what_is_not_the_whole_of_a_cluster_of_one_is_refused() {
    let with = |more: &[Vec<u8>]| KafkaDir::new(&[cluster(), more.to_vec()].concat());
    let check = |kafka: &KafkaDir, words: &[&str]| {
        let refused = kafka.refused();
        assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
    };
    check(&with(&[registration(2, Uuid::from_u128(0xd2))]), &["brokers [BrokerId(1), BrokerId(2)]", "unregister"]);
    check(&with(&[registration(1, Uuid::from_u128(0xd2))]), &["directories that were not given", "--from"]);
    check(&with(&[partition(0, &[])]), &["not in sync on t-0"]);
    check(&with(&[partition(1, &[1])]), &["no log of t-1"]);
    check(&with(&[frame(12, 0, &[&text("metadata.version"), &[0, 31], &[0]])]), &["metadata.version", "31", "to 30"]);
    check(&with(&[frame(99, 0, &[])]), &["unknown kind 99", "__cluster_metadata-0/00000000000000000000.log"]);
    let voters = with(&[]);
    voters.write("__cluster_metadata-0/quorum-state", br#"{"currentVoters":[{"voterId":1},{"voterId":2}]}"#);
    check(&voters, &["2 voters"]);
    let damaged = with(&[]);
    damaged.write("recovery-point-offset-checkpoint", b"0\n1\nt 0 2\n");
    std::fs::remove_file(damaged.folder.path().join(".kafka_cleanshutdown")).unwrap();
    damaged.write("t-0/00000000000000000000.log", &records(0, false));
    check(&damaged, &["t-0", "start and stop Kafka once"]);
    let zookeeper = with(&[]);
    zookeeper.write("meta.properties", b"version=0\nbroker.id=1\ncluster.id=c\n");
    check(&zookeeper, &["ZooKeeper", "KRaft"]);
    let ours = with(&[]);
    ours.write("__ottla_metadata/journal", b"");
    check(&ours, &["--data"]);
    let other = with(&[]);
    std::fs::rename(other.folder.path().join("__cluster_metadata-0"), other.folder.path().join("away")).unwrap();
    check(&other, &["__cluster_metadata-0", "metadata.log.dir"]);
}

#[test]
fn transactions_without_a_commit_are_taken_only_on_request() {
    let kafka = KafkaDir::new(&cluster());
    let check = |expected: bool| {
        let into = tempfile::tempdir().unwrap();
        let refused = kafka.import(&[into.path()], |_| ()).is_err_and(|error| error.to_string().contains("t-0"));
        assert_eq!(refused, expected);
        let again = tempfile::tempdir().unwrap();
        let allowed = kafka.import(&[again.path()], |options| options.allow_transactions = true).expect("on request");
        assert_eq!(allowed.left_out.iter().any(|what| what.contains("transactions in t-0")), expected);
    };
    let marker = |offset: i64, control_type: u8| {
        let builder = RecordBatchBuilder::new(LeaderEpoch(7), 1000);
        let mut builder = builder.producer(ProducerId(4), ProducerEpoch(0), Sequence(-1)).transactional().control();
        builder.append(1000, Some(&[0, 0, 0, control_type]), Some(&[0; 6]));
        let mut bytes = builder.build().to_vec();
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        bytes
    };
    let path = "t-0/00000000000000000000.log";
    kafka.write(path, &records(0, true));
    check(true);
    kafka.write(path, &[records(0, true), marker(1, 1)].concat());
    check(false);
    kafka.write(path, &[records(0, true), marker(1, 0)].concat());
    check(true);
    // Aborted long ago, as the index says.
    kafka.write(path, &records(0, false));
    kafka.write("t-0/00000000000000000000.txnindex", &[0; 34]);
    check(true);
}

#[test]
fn an_import_that_did_not_end_is_begun_anew() {
    let kafka = KafkaDir::new(&cluster());
    let into = tempfile::tempdir().unwrap();
    let left = into.path().join("other-0");
    std::fs::create_dir(&left).unwrap();
    assert!(
        matches!(kafka.import(&[into.path()], |_| ()), Err(ImportError::NotEmpty { found, .. }) if found == "other-0")
    );
    std::fs::write(into.path().join(IMPORT_MARKER), b"").unwrap();
    let refused = start(into.path(), &[]).err().expect("nobody starts on it").to_string();
    assert!(refused.contains("run `ottla import`"), "{refused}");
    kafka.import(&[into.path()], |_| ()).expect("an import");
    assert!(!left.exists() && !into.path().join(IMPORT_MARKER).exists());
    wait(start(into.path(), &[]).expect("a start on it").close());
}
