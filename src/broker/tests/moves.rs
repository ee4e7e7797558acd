//! Logs that move between directories: while they are written to, while power goes, and back again.

use super::directories::{Two, image_with, place, spread};
use super::*;
use crate::io::sim_disk::SimDisk;
use crate::metadata::ConfigResource;
use crate::model::TopicPartition;

fn partition() -> TopicPartition {
    TopicPartition::new("t", PartitionIndex(0))
}

fn other(place: &str) -> &'static str {
    if place == "a" { "b" } else { "a" }
}

fn move_to(broker: &Arc<Broker>, path: &Path) -> Result<(), ErrorCode> {
    broker.alter_replica_log_dir(&partition(), &path.display().to_string())
}

/// Names in a directory that begin with the partition's.
fn names(disk: &dyn Disk, dir: &Path) -> Vec<String> {
    let entries = disk.read_dir(dir).expect("a directory");
    entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with("t-0")).collect()
}

#[test]
fn a_log_moves_with_all_that_it_holds_and_its_replica_goes_on() {
    let two = Two::new();
    let broker = two.start();
    let from = spread(&broker, 1).remove(0);
    let to = other(&from);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    for value in ["b", "c"] {
        commit(&replica, append(&broker, &replica, value).required);
    }
    // Who waits for the log waits on.
    let (told, committed) = mpsc::channel();
    replica.when_committed(Offset(4), Waiter::Once(Box::new(move |result| told.send(result).expect("a listener"))));
    move_to(&broker, &two.path(to)).expect("a move");
    wait(broker.moves.idle());
    assert_eq!(place(&replica), to);
    assert!(committed.try_recv().is_err(), "nobody was sent away");
    commit(&replica, append(&broker, &replica, "d").required);
    assert_eq!(committed.recv().expect("an answer"), Ok(()));
    assert_eq!(readable(&replica).len(), 4);
    assert_eq!(names(&SystemDisk, &two.path(to)), ["t-0"]);
    let left = names(&SystemDisk, &two.path(&from));
    assert!(left.iter().all(|name| name.ends_with("-delete")), "{left:?}");
    let id = replica.directory().id();
    image_with(&broker, |image| image.topic("t").expect("there").partitions[0].directory_of(NODE) == id);
    wait(broker.close());
    drop((broker, replica));

    let broker = two.start();
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!((place(&replica), readable(&replica).len()), (to.to_owned(), 4));
    // And back, where its old log may still wait for its removal.
    move_to(&broker, &two.path(&from)).expect("a move");
    wait(broker.moves.idle());
    assert_eq!((place(&replica), readable(&replica).len()), (from, 4));
    wait(broker.close());
}

/// A rate that lets one piece through and then nothing for long.
fn hold_back(broker: &Broker) {
    let name = "replica.alter.log.dirs.io.max.bytes.per.second".to_owned();
    submit(broker, Record::ConfigChanged { resource: ConfigResource::Broker(NODE), name, value: Some("1".into()) });
}

#[test]
fn a_move_that_is_held_back_is_shown_taken_back_and_begun_anew_by_the_next_start() {
    let two = Two::new();
    let broker = two.start();
    let from = spread(&broker, 1).remove(0);
    let (here, there) = (two.path(&from), two.path(other(&from)));
    hold_back(&broker);
    broker.throttles().directories.charge(broker.now(), 1 << 20);
    move_to(&broker, &there).expect("a move");
    let future = |path: &Path| {
        let report = broker.describe_directories().into_iter().find(|report| report.path == path).expect("described");
        report.content.expect("it works").logs.into_iter().find(|log| log.is_future).map(|log| log.offset_lag)
    };
    assert_eq!((future(&here), future(&there)), (None, Some(1)));
    // Asked again, it goes on; asked to stay where it is, it ends.
    move_to(&broker, &there).expect("a move");
    assert_eq!(names(&SystemDisk, &there).len(), 1);
    move_to(&broker, &here).expect("no move");
    wait(broker.moves.idle());
    assert_eq!(future(&there), None);
    assert_eq!(names(&SystemDisk, &there), Vec::<String>::new());

    move_to(&broker, &there).expect("a move");
    wait(broker.close());
    drop(broker);
    assert!(names(&SystemDisk, &there)[0].ends_with("-future"));
    let broker = two.start();
    wait(broker.moves.idle());
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!((place(&replica).as_str(), readable(&replica).len()), (other(&from), 1));
    wait(broker.close());
}

#[test]
fn a_move_that_is_taken_back_while_it_ends_harms_no_directory() {
    let two = Two::new();
    let broker = two.start();
    let from = spread(&broker, 1).remove(0);
    let (here, there) = (two.path(&from), two.path(other(&from)));
    for _ in 0..50 {
        move_to(&broker, &there).expect("a move");
        // Some come before the copy is whole, some while it takes the log's place, some after it.
        move_to(&broker, &here).expect("no move, or one back");
        wait(broker.moves.idle());
    }
    let offline = broker.describe_directories().into_iter().filter(|report| report.content.is_err()).count();
    assert_eq!(offline, 0);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!((place(&replica), readable(&replica).len()), (from, 1));
    wait(broker.close());
}

#[test]
fn what_cannot_be_moved_is_refused_with_the_reason() {
    let two = Two::new();
    let broker = two.start();
    let from = spread(&broker, 1).remove(0);
    let there = two.path(other(&from));
    let asked = |partition: &TopicPartition, path: &Path| {
        broker.alter_replica_log_dir(partition, &path.display().to_string()).expect_err("refused")
    };
    assert_eq!(asked(&partition(), Path::new("/nowhere")), ErrorCode::LogDirNotFound);
    let unknown = TopicPartition::new("nobody", PartitionIndex(0));
    assert_eq!(asked(&unknown, &there), ErrorCode::UnknownTopicOrPartition);
    let long = TopicPartition::new(&"x".repeat(249), PartitionIndex(0));
    assert_eq!(asked(&long, &there), ErrorCode::InvalidTopicException);
    broker.directories.iter().for_each(|directory| {
        if directory.path() == there {
            directory.poison(&there, &std::io::ErrorKind::Other.into());
        }
    });
    assert_eq!(asked(&partition(), &there), ErrorCode::KafkaStorageError);
    wait(broker.close());
}

/// Power goes before each change that a move makes to the disk: the next start has every committed record, in one log.
#[test]
fn a_power_cut_in_the_middle_of_a_move_loses_nothing() {
    let dirs = "/a,/b";
    let disk = SimDisk::new();
    let broker = start_in(Arc::new(disk.clone()), dirs, &[]).expect("a first start");
    let from = spread(&broker, 1).remove(0);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    commit(&replica, append(&broker, &replica, "b").required);
    disk.mark(2);
    disk.take_images(7, 2);
    move_to(&broker, Path::new(if from == "a" { "/b" } else { "/a" })).expect("a move");
    wait(broker.moves.idle());
    commit(&replica, append(&broker, &replica, "c").required);
    disk.mark(3);
    commit(&replica, append(&broker, &replica, "d").required);
    let images = disk.images();
    assert!(images.len() > 10, "{} images", images.len());
    wait(broker.close());
    drop((broker, replica));
    let mut places = std::collections::BTreeSet::new();
    for image in images {
        let disk: Arc<dyn Disk> = Arc::new(image.disk);
        let broker = start_in(Arc::clone(&disk), dirs, &[]).expect("a start after a power cut");
        let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
        places.insert(place(&replica));
        let committed = usize::try_from(image.mark).expect("a few");
        assert!(readable(&replica).len() >= committed);
        // What was interrupted is done anew.
        wait(broker.moves.idle());
        assert!(readable(&replica).len() >= committed);
        wait(broker.close());
        let named: Vec<_> = ["/a", "/b"].map(|dir| names(&*disk, Path::new(dir))).concat();
        assert_eq!(named.iter().filter(|name| *name == "t-0").count(), 1, "{named:?}");
        assert!(!named.iter().any(|name| name.ends_with("-future")), "{named:?}");
    }
    assert_eq!(places.len(), 2, "both the log and its copy were found in use");
}
