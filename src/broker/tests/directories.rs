//! One log directory and several: what is told of them, where logs go, and what becomes of them when one fails.

use crate::broker::directory_report::{DirectoryContent, DirectoryReport, LogReport};
use crate::log::{LOG_START_OFFSET_CHECKPOINT, RECOVERY_POINT_CHECKPOINT};
use crate::metadata::ConfigResource;

use super::*;

/// Two directories that may be made anew any time.
pub(super) struct Two {
    folder: tempfile::TempDir,
}

impl Two {
    pub fn new() -> Two {
        Two { folder: tempfile::tempdir().expect("a directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn start(&self) -> Arc<Broker> {
        let dirs = format!("{},{}", self.path("a").display(), self.path("b").display());
        start_in(Arc::new(SystemDisk), &dirs, &[]).expect("a start")
    }

    fn meta(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name).join("meta.properties")).expect("an identity")
    }
}

/// The image, when it is as wanted.
pub(super) fn image_with(broker: &Broker, is_wanted: impl Fn(&Image) -> bool) -> Arc<Image> {
    let mut images = broker.quorum().images();
    let wanted = wait(async { images.wait_for(|image| is_wanted(image)).await.map(|image| Arc::clone(&image)) });
    wanted.expect("the quorum lives")
}

fn states(image: &Image) -> &[Partition] {
    &image.topic("t").expect("it was created").partitions
}

/// Creates `t`, writes one record to each partition, and returns when the cluster knows where each lies: the directory's name.
pub(super) fn spread(broker: &Broker, partitions: usize) -> Vec<String> {
    create_topic(broker, "t", partitions);
    let mut places = Vec::new();
    for index in (0..).map(PartitionIndex).take(partitions) {
        let replica = broker.replica("t", index).expect("its leader");
        commit(&replica, append(broker, &replica, "x").required);
        places.push(place(&replica));
    }
    image_with(broker, |image| states(image).iter().all(|state| state.directory_of(NODE).is_some()));
    places
}

pub(super) fn place(replica: &Replica) -> String {
    replica.directory().path().file_name().expect("a name").to_string_lossy().into_owned()
}

fn broken() -> std::io::Error {
    std::io::ErrorKind::Other.into()
}

#[test]
fn new_logs_go_where_the_fewest_are_and_stay_there_over_a_restart() {
    let two = Two::new();
    let broker = two.start();
    let mut places = spread(&broker, 4);
    let first = places.clone();
    places.sort();
    assert_eq!(places, ["a", "a", "b", "b"]);
    wait(broker.close());
    drop(broker);
    let (own, other) = (two.meta("a"), two.meta("b"));
    let line = |meta: &str, key: &str| meta.lines().find(|line| line.starts_with(key)).expect(key).to_owned();
    assert_eq!(line(&own, "cluster.id="), line(&other, "cluster.id="));
    assert_ne!(line(&own, "directory.id="), line(&other, "directory.id="));
    for name in ["a", "b"] {
        assert!(two.path(name).join(".kafka_cleanshutdown").exists(), "{name}");
    }

    let broker = two.start();
    let replicas = (0..4).map(|index| broker.replica("t", PartitionIndex(index)).expect("its leader"));
    assert_eq!(replicas.map(|replica| place(&replica)).collect::<Vec<_>>(), first);
    wait(broker.close());
}

#[test]
fn a_directory_that_fails_takes_its_own_partitions_with_it_and_no_others() {
    let two = Two::new();
    let broker = two.start();
    let places = spread(&broker, 2);
    let of = |name: &str| PartitionIndex(places.iter().position(|place| place == name).expect("one each") as i32);
    let (kept, lost) = (of("a"), of("b"));
    let replica = broker.replica("t", lost).expect("its leader");
    let id = replica.directory().id().expect("it is named");
    replica.directory().poison(&two.path("b"), &broken());

    let image = image_with(&broker, |image| image.broker(NODE).is_some_and(|broker| broker.directories.len() == 1));
    let state =
        |partition: PartitionIndex| image.topic("t").and_then(|topic| topic.partition(partition)).expect("there");
    assert!(!image.broker(NODE).expect("registered").directories.contains(&id));
    assert_eq!((state(lost).leader, state(kept).leader), (Partition::NO_LEADER, NODE));
    assert_eq!(state(lost).elr[..], [NODE], "it comes back with its directory");
    assert_eq!(replica.check_readable(LeaderEpoch(-1)), Err(ErrorCode::KafkaStorageError));
    let other = broker.replica("t", kept).expect("its leader");
    commit(&other, append(&broker, &other, "y").required);
    // New logs go where there is one that works.
    create_topic(&broker, "u", 2);
    for index in [0, 1] {
        assert_eq!(place(&broker.replica("u", PartitionIndex(index)).expect("its leader")), "a");
    }
    let reports = broker.describe_directories();
    assert!(reports[0].content.is_ok());
    assert_eq!(reports[1].content, Err(ErrorCode::KafkaStorageError));
    wait(broker.close());
    drop((broker, replica, other));
    assert!(!two.path("b").join(".kafka_cleanshutdown").exists(), "it was not left in order");

    // What was acknowledged is there when the directory works again.
    let broker = two.start();
    image_with(&broker, |image| states(image).iter().all(Partition::has_leader));
    assert_eq!(readable(&broker.replica("t", lost).expect("its leader")).len(), 1);
    wait(broker.close());
}

#[test]
fn a_start_goes_on_without_a_directory_that_cannot_be_used() {
    let two = Two::new();
    let broker = two.start();
    let places = spread(&broker, 2);
    let lost = PartitionIndex(i32::from(places[0] == "a"));
    wait(broker.close());
    drop(broker);
    std::fs::rename(two.path("b"), two.path("away")).expect("a rename");
    std::fs::write(two.path("b"), "no directory").expect("a file");

    let broker = two.start();
    assert_eq!(broker.replica("t", lost).err(), Some(ErrorCode::KafkaStorageError));
    let image = image_with(&broker, |image| image.broker(NODE).is_some_and(|broker| !broker.fenced));
    assert!(!image.topic("t").and_then(|topic| topic.partition(lost)).expect("there").has_leader());
    assert_eq!(broker.describe_directories()[1].content, Err(ErrorCode::KafkaStorageError));
    wait(broker.close());
    drop(broker);

    std::fs::remove_file(two.path("b")).expect("the file");
    std::fs::rename(two.path("away"), two.path("b")).expect("a rename");
    let broker = two.start();
    image_with(&broker, |image| states(image).iter().all(Partition::has_leader));
    assert_eq!(readable(&broker.replica("t", lost).expect("its leader")).len(), 1);
    wait(broker.close());
}

#[test]
fn of_two_logs_of_one_partition_the_one_counts_that_was_told() {
    let two = Two::new();
    let broker = two.start();
    let places = spread(&broker, 2);
    wait(broker.close());
    drop(broker);
    let other = if places[0] == "a" { "b" } else { "a" };
    copy_dir(&two.path(&places[0]).join("t-0"), &two.path(other).join("t-0"));

    let broker = two.start();
    assert_eq!(place(&broker.replica("t", PartitionIndex(0)).expect("its leader")), places[0]);
    wait(broker.close());
    let names = std::fs::read_dir(two.path(other)).expect("a directory").flatten().map(|entry| entry.file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().ends_with("-stray")));
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a directory");
    copy(from, to);
}

#[test]
fn a_directory_tells_its_logs_in_order_its_room_and_whether_it_still_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    create_topic(&broker, "t", 2);
    create_topic(&broker, "a", 1);
    let replica = broker.replica("t", PartitionIndex(1)).expect("its leader");
    let appended = append(&broker, &replica, "x");
    commit(&replica, appended.required);
    broker.replica("a", PartitionIndex(0)).expect("its leader");
    let log = |topic: &str, partition: i32, size_bytes| LogReport {
        topic_partition: crate::model::TopicPartition::new(topic, PartitionIndex(partition)),
        size_bytes,
        offset_lag: 0,
        is_future: false,
    };
    let batch_bytes = replica.with_log(|log, _| log.size_bytes());
    assert!(batch_bytes > 0);
    let described = || {
        let mut reports = broker.describe_directories();
        assert_eq!(reports.len(), 1);
        reports.remove(0)
    };
    let DirectoryReport { path, content: Ok(DirectoryContent { space, is_cordoned, logs }) } = described() else {
        panic!("the directory works");
    };
    assert_eq!((path.as_path(), is_cordoned), (dir.path(), false));
    assert!(0 < space.usable_bytes && space.usable_bytes <= space.total_bytes);
    // The other partition's log is opened in the background.
    let logs: Vec<_> = logs.into_iter().filter(|log| log.topic_partition.to_string() != "t-0").collect();
    assert_eq!(logs, [log("a", 0, 0), log("t", 1, batch_bytes)]);

    let (name, value) = ("cordoned.log.dirs".to_owned(), Some(dir.path().display().to_string()));
    submit(&broker, Record::ConfigChanged { resource: ConfigResource::Broker(NODE), name, value });
    assert!(described().content.expect("it works").is_cordoned);
    let own = || broker.image().broker(NODE).expect("it is registered").cordoned.clone();
    assert_eq!(broker.cordoned_untold(&broker.image()), Some(replica.directory().id().into_iter().collect()));
    let cordoned = broker.cordoned_untold(&broker.image()).expect("the controller is to hear of it");
    let broker_epoch = broker.image().broker(NODE).expect("it is registered").epoch;
    submit(&broker, Record::BrokerCordoned { broker_id: NODE, broker_epoch, directories: cordoned.clone() });
    assert_eq!((own(), broker.cordoned_untold(&broker.image())), (cordoned, None));

    replica.directory().poison(dir.path(), &std::io::ErrorKind::Other.into());
    assert_eq!(described(), DirectoryReport { path, content: Err(ErrorCode::KafkaStorageError) });
}

#[test]
fn the_checkpoints_forget_a_log_that_is_set_aside_before_another_can_be_made_under_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    wait(start(dir.path(), &[]).expect("a first start").close());
    std::fs::create_dir(dir.path().join("ghost-0")).expect("a log of no topic");
    let files = [RECOVERY_POINT_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT].map(|name| dir.path().join(name));
    for file in &files {
        std::fs::write(file, "0\n1\nghost 0 5\n").expect("a checkpoint");
    }
    let broker = start(dir.path(), &[]).expect("a start");
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a checkpoint");
        assert!(!text.contains("ghost"), "{}: {text}", file.display());
    }
    wait(broker.close());
}

#[test]
fn a_start_after_a_stop_leaves_the_checkpoints_as_they_are() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    create_topic(&broker, "t", 2);
    let replica = broker.replica("t", PartitionIndex(1)).expect("its leader");
    commit(&replica, append(&broker, &replica, "x").required);
    wait(broker.close());
    // A file that is written takes the old one's place, and has another number.
    let number = || std::fs::metadata(dir.path().join(RECOVERY_POINT_CHECKPOINT)).expect("a checkpoint").ino();
    let before = number();
    let broker = start(dir.path(), &[]).expect("a start");
    assert_eq!(number(), before);
    wait(broker.close());
}
