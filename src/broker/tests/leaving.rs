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
