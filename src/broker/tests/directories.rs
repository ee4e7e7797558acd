//! What is told of the log directories.

use crate::broker::directory_report::{DirectoryContent, DirectoryReport, LogReport};
use crate::metadata::ConfigResource;

use super::*;

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

    replica.directory().poison(dir.path(), &std::io::ErrorKind::Other.into());
    assert_eq!(described(), DirectoryReport { path, content: Err(ErrorCode::KafkaStorageError) });
}
