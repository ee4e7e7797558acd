//! What quotas and settings keep clients from: reading faster than they may, and making topics by asking for them.

use super::live::{ask, create, produce, set_quota};
use super::*;
use crate::model::ErrorCode;
use crate::protocol::message::fetch_request::{FetchPartition, FetchTopic};
use crate::protocol::message::metadata_request::MetadataRequestTopic;
use crate::protocol::message::{FetchRequest, MetadataRequest, StrBytes, TopicName, WireBrokerId};

/// How many bytes of records come, and for how long the client is to wait.
fn fetch(fixture: &Fixture) -> (usize, i32) {
    let partition = FetchPartition::default().with_partition(0).with_fetch_offset(0).with_partition_max_bytes(1 << 20);
    let topic =
        FetchTopic::default().with_topic(TopicName(StrBytes::from_static_str("t"))).with_partitions(vec![partition]);
    let request =
        FetchRequest::default().with_replica_id(WireBrokerId(-1)).with_max_bytes(1 << 20).with_topics(vec![topic]);
    let answered = ask(&mut fixture.connect(), 11, &request);
    let records =
        answered.responses.iter().flat_map(|topic| &topic.partitions).filter_map(|part| part.records.as_ref());
    (records.map(|records| records.len()).sum(), answered.throttle_time_ms)
}

#[test]
fn a_consumer_beyond_its_rate_gets_nothing_until_it_has_waited() {
    let fixture = Fixture::start(&[]);
    create(&mut fixture.connect(), 7, "t", 1);
    let produced = produce(&mut fixture.connect(), "t", 8_000);
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    set_quota(&fixture, "client-id", "c", "consumer_byte_rate", Some(1_000.0));
    let (bytes, throttle_ms) = fetch(&fixture);
    assert!(bytes > 8_000 && throttle_ms == 0, "ten seconds' worth may come at once: {bytes} B, {throttle_ms} ms");
    let (bytes, throttle_ms) = fetch(&fixture);
    assert!(bytes == 0 && throttle_ms > 1_000, "{bytes} B, {throttle_ms} ms");
    set_quota(&fixture, "client-id", "c", "consumer_byte_rate", None);
    let (bytes, throttle_ms) = fetch(&fixture);
    assert!(bytes > 8_000 && throttle_ms == 0, "{bytes} B, {throttle_ms} ms");
}

#[test]
fn who_asks_for_a_topic_makes_it_only_where_both_sides_allow_it() {
    for (is_enabled, is_allowed) in [(false, true), (true, false), (true, true)] {
        let fixture = Fixture::start(&[("auto.create.topics.enable", if is_enabled { "true" } else { "false" })]);
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_static_str("t"))));
        let request =
            MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(is_allowed);
        let answered = ErrorCode::from(ask(&mut fixture.connect(), 12, &request).topics[0].error_code);
        let is_there = fixture.running().broker().image().topic("t").is_some();
        let expected = match is_enabled && is_allowed {
            true => (ErrorCode::None, true),
            false => (ErrorCode::UnknownTopicOrPartition, false),
        };
        assert_eq!((answered, is_there), expected, "enabled {is_enabled}, allowed {is_allowed}");
    }
}
