//! Compaction as a running broker does it.

use std::collections::BTreeMap;

use super::*;
use crate::log::CLEANER_OFFSET_CHECKPOINT;
use crate::model::TopicPartition;
use crate::protocol::records::RecordIter;

const SETTINGS: &[&str] =
    &["log.cleanup.policy=compact", "log.cleaner.backoff.ms=5", "log.cleaner.min.cleanable.ratio=0.01"];

fn put(broker: &Broker, replica: &Arc<Replica>, key: &str, value: Option<&str>) {
    let now = broker.now();
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(0), now.wall_ms);
    builder.append(now.wall_ms, Some(key.as_bytes()), value.map(str::as_bytes));
    let batches = replica.validate(now, builder.build(), Origin::Client).expect("a good batch");
    let appended = replica.append(now, &batches, RequiredAcks::All).expect("an append");
    commit(replica, appended.required);
}

/// Ends the segment, so that it may be cleaned once the recovery point is behind it.
fn end_segment(broker: &Broker, replica: &Replica) {
    replica.with_log(|log, _| log.roll(broker.now())).expect("a new segment");
    replica.flush().expect("a flush");
    broker.write_checkpoints();
}

fn stored(replica: &Replica) -> Vec<(i64, String, String)> {
    let published = replica.published();
    let (mut found, mut offset) = (Vec::new(), published.log_start);
    while offset < published.log_end {
        let request = ReadRequest { offset, max_bytes: 1 << 20, upper_bound: published.log_end, min_one: true };
        let region = replica.reader().read(request).expect("a read").expect("records up to the end");
        for batch in BatchIter::new(&region.read().expect("bytes")) {
            let batch = batch.expect("a whole batch");
            for record in RecordIter::new(batch.header, batch.records()) {
                let record = record.expect("a record");
                let text = |part: Option<&[u8]>| String::from_utf8_lossy(part.unwrap_or(b"-")).into_owned();
                found.push((record.offset.0, text(record.key), text(record.value)));
            }
            offset = batch.header.next_offset();
        }
    }
    found
}

fn await_passes(broker: &Broker, count: u64) {
    while broker.cleaner().metrics().passes.get() < count {
        std::thread::yield_now();
    }
}

#[test]
fn a_compacted_log_is_cleaned_by_itself_and_a_start_knows_how_far() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), SETTINGS).expect("a first start");
    create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    for (key, value) in [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("b", None), ("c", Some("1"))] {
        put(&broker, &replica, key, value);
    }
    end_segment(&broker, &replica);
    put(&broker, &replica, "c", Some("2"));
    await_passes(&broker, 1);
    let entry = |offset, key: &str, value: &str| (offset, key.to_owned(), value.to_owned());
    let expected = [entry(2, "a", "2"), entry(3, "b", "-"), entry(4, "c", "1"), entry(5, "c", "2")];
    assert_eq!(stored(&replica), expected);
    assert!(broker.cleaner().metrics().bytes_saved.get() > 0);
    assert!(broker.cleaner().set_aside().is_empty());
    drop(replica);
    wait(broker.close());
    drop(broker);

    let broker = start(dir.path(), &[]).expect("a second start");
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(stored(&replica), expected);
    let known = replica.directory().read_offsets(CLEANER_OFFSET_CHECKPOINT).expect("a checkpoint");
    assert_eq!(known, BTreeMap::from([(TopicPartition::new("t", PartitionIndex(0)), Offset(5))]));
    assert_eq!(replica.with_log(|log, _| log.cleaned_to()), Offset(5));
    wait(broker.close());
}

#[test]
fn a_broken_log_is_set_aside_and_the_others_are_cleaned() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), SETTINGS).expect("a start");
    let broken_id = create_topic(&broker, "broken", 1);
    create_topic(&broker, "whole", 1);
    let replicas = ["broken", "whole"].map(|name| broker.replica(name, PartitionIndex(0)).expect("its leader"));
    for replica in &replicas {
        (0..5).for_each(|number| put(&broker, replica, "a", Some(&format!("{number}"))));
    }
    let path = dir.path().join("broken-0").join("00000000000000000000.log");
    let mut bytes = std::fs::read(&path).expect("the log");
    // Inside the first record.
    bytes[65] ^= 0xff;
    std::fs::write(&path, bytes).expect("written");
    replicas.iter().for_each(|replica| end_segment(&broker, replica));
    await_passes(&broker, 1);
    while broker.cleaner().set_aside().is_empty() {
        std::thread::yield_now();
    }
    let set_aside = broker.cleaner().set_aside();
    assert_eq!((set_aside[0].0, set_aside[0].1, set_aside.len()), (broken_id, PartitionIndex(0), 1));
    assert!(set_aside[0].2.contains("CRC"), "{}", set_aside[0].2);
    assert_eq!(broker.cleaner().metrics().failures.get(), 1);
    assert_eq!(stored(&replicas[1]), [(4, "a".to_owned(), "4".to_owned())]);
    wait(broker.close());
}

#[test]
fn nothing_is_cleaned_when_it_is_switched_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = [SETTINGS, &["log.cleaner.enable=false"]].concat();
    let broker = start(dir.path(), &settings).expect("a start");
    create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    (0..3).for_each(|number| put(&broker, &replica, "a", Some(&format!("{number}"))));
    end_segment(&broker, &replica);
    wait(broker.close());
    assert_eq!((stored(&replica).len(), broker.cleaner().looked_ms()), (3, 0));
}
