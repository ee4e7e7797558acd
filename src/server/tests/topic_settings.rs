//! Settings of a topic act at once: on the very next request, or on the next pass of what is done by the clock.

use std::path::Path;

use super::live::{ask, create, set_of_all_brokers, set_of_topic};
use super::*;
use crate::model::ErrorCode;
use crate::protocol::message::fetch_request::{FetchPartition, FetchTopic};
use crate::protocol::message::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::protocol::message::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::message::produce_response::PartitionProduceResponse;
use crate::protocol::message::{FetchRequest, ListOffsetsRequest, ProduceRequest, StrBytes, TopicName, WireBrokerId};
use crate::protocol::record_batch::BatchView;

const TOPIC: &str = "t";
/// 2023-11-14, long before any test runs.
const LONG_AGO_MS: i64 = 1_700_000_000_000;

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

/// Produces one record with acks=all; what its partition answers.
fn produce(fixture: &Fixture, time_ms: i64, key: Option<&[u8]>, bytes: usize) -> PartitionProduceResponse {
    produce_to(fixture, TOPIC, time_ms, key, bytes)
}

fn produce_to(
    fixture: &Fixture,
    topic: &'static str,
    time_ms: i64,
    key: Option<&[u8]>,
    bytes: usize,
) -> PartitionProduceResponse {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), time_ms);
    builder.append(time_ms, key, Some(&vec![b'x'; bytes]));
    let partition = PartitionProduceData::default().with_index(0).with_records(Some(builder.build()));
    let name = TopicName(StrBytes::from_static_str(topic));
    let topic = TopicProduceData::default().with_name(name).with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    ask(&mut fixture.connect(), 9, &request).responses.remove(0).partition_responses.remove(0)
}

fn code(fixture: &Fixture, time_ms: i64, key: Option<&[u8]>) -> ErrorCode {
    ErrorCode::from(produce(fixture, time_ms, key, 10).error_code)
}

fn earliest(fixture: &Fixture) -> i64 {
    let partition = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(-2);
    let topic = ListOffsetsTopic::default().with_name(name()).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id(WireBrokerId(-1)).with_topics(vec![topic]);
    ask(&mut fixture.connect(), 7, &request).topics[0].partitions[0].offset
}

fn segments(fixture: &Fixture) -> usize {
    let folder = fixture.running().broker().settings().log_dirs().remove(0).join(format!("{TOPIC}-0"));
    let is_segment = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
    std::fs::read_dir(folder).expect("its folder").flatten().filter(|entry| is_segment(&entry.path())).count()
}

#[test]
fn what_a_record_may_be_is_asked_of_the_newest_settings() {
    let fixture = Fixture::start(&[]);
    create(&mut fixture.connect(), 7, TOPIC, 1);
    assert_eq!(code(&fixture, LONG_AGO_MS, None), ErrorCode::None);
    set_of_topic(&fixture, TOPIC, "message.timestamp.before.max.ms", "1000");
    assert_eq!(code(&fixture, LONG_AGO_MS, None), ErrorCode::InvalidTimestamp);
    // Of log append time only the broker's own counts.
    set_of_topic(&fixture, TOPIC, "message.timestamp.type", "LogAppendTime");
    let stamped = produce(&fixture, LONG_AGO_MS, None, 10);
    assert!(stamped.error_code == 0 && stamped.log_append_time_ms > LONG_AGO_MS, "{stamped:?}");
    set_of_topic(&fixture, TOPIC, "cleanup.policy", "compact");
    assert_eq!(code(&fixture, LONG_AGO_MS, None), ErrorCode::InvalidRecord, "what has no key cannot be compacted");
    assert_eq!(code(&fixture, LONG_AGO_MS, Some(b"k")), ErrorCode::None);
    // As in Kafka, no more in-sync replicas are asked for than there are replicas.
    set_of_topic(&fixture, TOPIC, "min.insync.replicas", "2");
    assert_eq!(code(&fixture, LONG_AGO_MS, Some(b"k")), ErrorCode::None);
}

#[test]
fn how_far_ahead_a_record_may_be_is_asked_of_the_newest_settings() {
    let fixture = Fixture::start(&[]);
    create(&mut fixture.connect(), 7, TOPIC, 1);
    let ahead = |ms: i64| code(&fixture, fixture.running().broker().now().wall_ms + ms, None);
    // An hour by default.
    assert_eq!(ahead(600_000), ErrorCode::None);
    assert_eq!(ahead(7_200_000), ErrorCode::InvalidTimestamp);
    set_of_topic(&fixture, TOPIC, "message.timestamp.after.max.ms", "86400000");
    assert_eq!(ahead(7_200_000), ErrorCode::None);
    set_of_topic(&fixture, TOPIC, "message.timestamp.after.max.ms", "60000");
    assert_eq!(ahead(600_000), ErrorCode::InvalidTimestamp);
    // Of all brokers, for topics without one of their own.
    create(&mut fixture.connect(), 7, "plain", 1);
    let plain = |ms: i64| {
        let time_ms = fixture.running().broker().now().wall_ms + ms;
        ErrorCode::from(produce_to(&fixture, "plain", time_ms, None, 10).error_code)
    };
    assert_eq!(plain(600_000), ErrorCode::None);
    set_of_all_brokers(&fixture, "log.message.timestamp.after.max.ms", "60000");
    assert_eq!(plain(600_000), ErrorCode::InvalidTimestamp);
    set_of_all_brokers(&fixture, "log.message.timestamp.before.max.ms", "60000");
    assert_eq!((plain(-30_000), plain(-600_000)), (ErrorCode::None, ErrorCode::InvalidTimestamp));
    assert_eq!(ahead(-600_000), ErrorCode::InvalidTimestamp, "its own is for the other side only");
}

#[test]
fn a_codec_is_that_of_the_newest_settings() {
    let fixture = Fixture::start(&[]);
    create(&mut fixture.connect(), 7, TOPIC, 1);
    produce(&fixture, LONG_AGO_MS, None, 1000);
    set_of_topic(&fixture, TOPIC, "compression.type", "zstd");
    let offset = produce(&fixture, LONG_AGO_MS, None, 1000).base_offset;
    let partition =
        FetchPartition::default().with_partition(0).with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name()).with_partitions(vec![partition]);
    let request =
        FetchRequest::default().with_replica_id(WireBrokerId(-1)).with_max_bytes(1 << 20).with_topics(vec![topic]);
    let answered = ask(&mut fixture.connect(), 12, &request);
    let records = answered.responses[0].partitions[0].records.clone().expect("records");
    let batch = BatchView::parse(&records).expect("a batch");
    assert_eq!(batch.header.attributes & 7, 4, "zstd");
    assert!(batch.bytes().len() < 200);
}

#[test]
fn segments_end_and_go_by_the_newest_settings() {
    let fixture = Fixture::start(&[("log.retention.check.interval.ms", "50"), ("log.initial.task.delay.ms", "0")]);
    create(&mut fixture.connect(), 7, TOPIC, 1);
    set_of_topic(&fixture, TOPIC, "retention.ms", "-1");
    for _ in 0..4 {
        produce(&fixture, LONG_AGO_MS, None, 600_000);
    }
    assert_eq!(segments(&fixture), 1);
    // The least that Kafka takes: two of these records fill a segment from now on.
    set_of_topic(&fixture, TOPIC, "segment.bytes", "1048576");
    for _ in 0..2 {
        produce(&fixture, LONG_AGO_MS, None, 600_000);
    }
    assert!(segments(&fixture) > 1);
    assert_eq!(earliest(&fixture), 0);
    set_of_topic(&fixture, TOPIC, "retention.bytes", "700000");
    fixture.eventually("the oldest are gone by size", |_| earliest(&fixture) > 0);
    let by_size = earliest(&fixture);
    assert!(by_size < 6, "the newest stay");
    // A broker's limit is none of a topic's that has its own.
    set_of_all_brokers(&fixture, "log.retention.ms", "1000");
    assert_eq!(earliest(&fixture), by_size);
    set_of_topic(&fixture, TOPIC, "retention.ms", "1000");
    fixture.eventually("all are gone by time", |_| earliest(&fixture) == 6);
}
