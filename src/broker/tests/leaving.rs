//! Deleted topics: nobody waits for their disks, and their names are free.

use std::path::PathBuf;

use super::*;
use crate::io::gated_disk::GatedDisk;

/// The directories that hold, or have held, a partition.
fn directories_of(dir: &Path, partition: &str) -> Vec<PathBuf> {
    let entries = SystemDisk.read_dir(dir).expect("a directory");
    let names = entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with(partition));
    names.map(|name| dir.join(name)).collect()
}

#[test]
fn deleting_a_topic_waits_for_no_flush_and_its_successor_waits_for_the_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = GatedDisk::new("t-0");
    let broker = start_on(Arc::new(disk.clone()), dir.path(), &[]).expect("a start");
    let id = create_topic(&broker, "t", 1);
    let old = broker.replica("t", PartitionIndex(0)).expect("its leader");
    append(&broker, &old, "a");
    disk.await_one();
    submit(&broker, Record::TopicDeleted { id });
    assert_eq!(old.check_serving(LeaderEpoch(-1)), Err(ErrorCode::UnknownTopicOrPartition));
    // Nor does anything else that the quorum decides.
    create_topic(&broker, "t", 1);
    assert!(disk.is_waited_for(), "the flush is still running");
    let of_thread = Arc::clone(&broker);
    let opener = std::thread::spawn(move || of_thread.replica("t", PartitionIndex(0)));
    disk.open_gate();
    let new = opener.join().expect("no panic").expect("its leader");
    let appended = append(&broker, &new, "b");
    assert_eq!(appended.info.first_offset, Offset(0));
    commit(&new, appended.required);
    let request = ReadRequest { offset: Offset::ZERO, max_bytes: 1, upper_bound: Offset(1), min_one: true };
    assert!(old.reader().read(request).is_ok(), "a fetch that has begun ends as it began");
    let [current, deleted] = &directories_of(dir.path(), "t-0")[..] else { panic!("two directories") };
    assert!(current.ends_with("t-0") && deleted.to_string_lossy().ends_with("-delete"));
    wait(broker.close());
}

#[test]
fn a_topic_can_be_made_anew_when_the_log_of_the_old_one_could_not_be_opened() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    let id = create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    commit(&replica, append(&broker, &replica, "a").required);
    wait(broker.close());
    drop((replica, broker));
    std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).expect("the marker");
    std::fs::write(dir.path().join("t-0/00000000000000000000.log"), [0; 40]).expect("damage");
    let broker = start(dir.path(), &[]).expect("the others are served");
    assert_eq!(broker.replica("t", PartitionIndex(0)).err(), Some(ErrorCode::KafkaStorageError));
    submit(&broker, Record::TopicDeleted { id });
    create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    let appended = append(&broker, &replica, "b");
    assert_eq!(appended.info.first_offset, Offset(0));
    commit(&replica, appended.required);
    assert_eq!(directories_of(dir.path(), "t-0").len(), 2);
    wait(broker.close());
    drop((replica, broker));
    // The damaged log's recovery point is not the new one's.
    let broker = start(dir.path(), &[]).expect("a start");
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(readable(&replica).len(), 1);
    wait(broker.close());
}

#[test]
fn what_was_deleted_stays_on_disk_for_as_long_as_it_is_asked_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = ["log.retention.ms=1000", "log.segment.delete.delay.ms=60000"];
    let broker = start(dir.path(), &settings).expect("a start");
    let ids = ["t", "u"].map(|name| create_topic(&broker, name, 1));
    let replicas = ["t", "u"].map(|name| broker.replica(name, PartitionIndex(0)).expect("its leader"));
    let write = |replica: &Arc<Replica>| commit(replica, append(&broker, replica, "a").required);
    replicas.iter().for_each(write);
    broker.write_checkpoints();
    let later = |ms: u64| {
        let now = broker.now();
        Now { wall_ms: now.wall_ms + i64::try_from(ms).expect("a minute"), monotonic_ms: now.monotonic_ms + ms }
    };
    let old_segments = || {
        let entries = SystemDisk.read_dir(&dir.path().join("t-0")).expect("a directory");
        entries.iter().filter(|entry| entry.name.ends_with(".log.deleted")).count()
    };
    let old_topics = || {
        let paths = directories_of(dir.path(), "u-0");
        paths.iter().filter(|path| path.to_string_lossy().ends_with("-delete")).count()
    };
    assert_eq!((old_segments(), old_topics()), (0, 0));
    let from = later(2_000);
    broker.apply_retention(from);
    // What is deleted waits until the segment that follows is on stable storage.
    write(&replicas[0]);
    broker.apply_retention(from);
    submit(&broker, Record::TopicDeleted { id: ids[1] });
    broker.move_leaving(None);
    broker.remove_what_is_due(Now { monotonic_ms: from.monotonic_ms + 50_000, ..from });
    assert_eq!((old_segments(), old_topics()), (1, 1));
    broker.remove_what_is_due(Now { monotonic_ms: from.monotonic_ms + 90_000, ..from });
    assert_eq!((old_segments(), old_topics()), (0, 0));
    wait(broker.close());
}
