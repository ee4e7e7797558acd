//! What changes while the server runs, on real sockets: quotas that hold clients back, and limits of connections.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::{Fixture, answer};
use crate::model::{ErrorCode, LeaderEpoch};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::alter_client_quotas_request::{EntityData, EntryData, OpData};
use crate::protocol::message::create_topics_request::CreatableTopic;
use crate::protocol::message::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::protocol::message::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::message::{
    self, AlterClientQuotasRequest, CreateTopicsRequest, CreateTopicsResponse, HeartbeatRequest,
    IncrementalAlterConfigsRequest, ProduceRequest, ProduceResponse, RequestMessage, StrBytes, TopicName,
};
use crate::protocol::records::RecordBatchBuilder;
use crate::protocol::throttle;

/// Asks on a connection, as client `c`; the body of the answer.
pub(super) fn ask<R: RequestMessage>(stream: &mut TcpStream, version: i16, request: &R) -> R::Response {
    let frame = ask_raw(stream, version, request);
    let header_bytes = if R::KEY.response_header_version(version) >= 1 { 5 } else { 4 };
    message::decode_response(version, frame.slice(header_bytes..)).expect("an answer that can be read")
}

/// As [`ask`]; the answer from its header on.
fn ask_raw<R: RequestMessage>(stream: &mut TcpStream, version: i16, request: &R) -> bytes::Bytes {
    let mut frame = BytesMut::new();
    let client_id = Some(StrBytes::from_static_str("c"));
    message::encode_request(1, client_id, request, version, &mut frame).expect("a request");
    stream.write_all(&frame).expect("it is sent");
    answer(stream).expect("an answer").into()
}

pub(super) fn set_quota(
    fixture: &Fixture,
    entity_type: &'static str,
    name: &'static str,
    key: &'static str,
    value: Option<f64>,
) {
    let entity = EntityData::default()
        .with_entity_type(StrBytes::from_static_str(entity_type))
        .with_entity_name(Some(StrBytes::from_static_str(name)));
    let op = OpData::default()
        .with_key(StrBytes::from_static_str(key))
        .with_value(value.unwrap_or(0.0))
        .with_remove(value.is_none());
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let answered = ask(&mut fixture.connect(), 1, &request);
    assert_eq!(answered.entries[0].error_code, 0, "{:?}", answered.entries[0].error_message);
}

pub(super) fn set_of_all_brokers(fixture: &Fixture, name: &'static str, value: &'static str) {
    set(fixture, (4, ""), name, value);
}

pub(super) fn set_of_topic(fixture: &Fixture, topic: &'static str, name: &'static str, value: &'static str) {
    set(fixture, (2, topic), name, value);
}

fn set(fixture: &Fixture, resource: (i8, &'static str), name: &'static str, value: &'static str) {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_static_str(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(resource.0)
        .with_resource_name(StrBytes::from_static_str(resource.1))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answered = ask(&mut fixture.connect(), 1, &request);
    assert_eq!(answered.responses[0].error_code, 0, "{:?}", answered.responses[0].error_message);
}

pub(super) fn create(stream: &mut TcpStream, version: i16, name: &str, partitions: i32) -> CreateTopicsResponse {
    let topic = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_string(name.to_owned())))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    ask(stream, version, &request)
}

#[test]
fn who_has_changed_too_much_is_refused_or_told_to_wait() {
    let fixture = Fixture::start(&[]);
    set_quota(&fixture, "client-id", "c", "controller_mutation_rate", Some(1.0));
    let mut stream = fixture.connect();
    let first = create(&mut stream, 7, "first", 30);
    assert_eq!(
        (first.topics[0].error_code, first.throttle_time_ms),
        (0, 0),
        "a burst of what comes in 11 s may end over it"
    );
    let second = create(&mut fixture.connect(), 7, "second", 1);
    assert_eq!(second.topics[0].error_code, ErrorCode::ThrottlingQuotaExceeded.code());
    assert!(second.throttle_time_ms > 10_000, "{second:?}");
    let older = create(&mut fixture.connect(), 5, "older", 1);
    assert_eq!(older.topics[0].error_code, 0);
    assert!(older.throttle_time_ms > 10_000, "{older:?}");
    set_quota(&fixture, "client-id", "c", "controller_mutation_rate", None);
    assert_eq!(create(&mut fixture.connect(), 7, "third", 1).topics[0].error_code, 0);
}

#[test]
fn a_connection_is_not_read_while_its_client_is_held_back() {
    let fixture = Fixture::start(&[]);
    // Whatever a request takes is too much; a second is the longest that one is held back.
    set_quota(&fixture, "client-id", "c", "request_percentage", Some(1e-9));
    let mut stream = fixture.connect();
    let begun = Instant::now();
    let throttle_ms = |stream: &mut TcpStream| {
        let answered = ask_raw(stream, 4, &HeartbeatRequest::default());
        throttle::read(ApiKey::Heartbeat, 4, &[&[0; 4], &*answered].concat())
    };
    assert_eq!(throttle_ms(&mut stream), 1_000);
    assert!(begun.elapsed() < Duration::from_millis(900), "the answer itself comes at once (KIP-219)");
    throttle_ms(&mut stream);
    assert!(begun.elapsed() >= Duration::from_millis(900), "the next request waits");
    set_quota(&fixture, "client-id", "c", "request_percentage", None);
    assert_eq!(throttle_ms(&mut fixture.connect()), 0);
}

#[test]
fn a_produce_says_how_long_its_client_is_held_back_whatever_it_waits_for() {
    let fixture = Fixture::start(&[]);
    create(&mut fixture.connect(), 7, "t", 1);
    set_quota(&fixture, "client-id", "c", "request_percentage", Some(1e-9));
    for acks in [1, -1] {
        let answered = produce_with(&mut fixture.connect(), "t", 100, acks);
        let error = answered.responses[0].partition_responses[0].error_code;
        assert_eq!((error, answered.throttle_time_ms), (0, 1_000), "acks={acks}");
    }
}

/// Whether an ApiVersions is answered.
fn is_served(stream: &mut TcpStream) -> bool {
    // A connection that was turned away may not even take it.
    let _ = stream.write_all(&super::frame(&super::API_VERSIONS_V0));
    answer(stream).is_some()
}

#[test]
fn limits_of_connections_act_at_once() {
    let fixture = Fixture::start(&[]);
    let mut first = fixture.connect();
    assert!(is_served(&mut first));
    set_of_all_brokers(&fixture, "max.connections.per.ip.overrides", "127.0.0.1:1");
    fixture.eventually("only the first is left", |running| running.connections() == 1);
    assert!(!is_served(&mut fixture.connect()));
    drop(first);
    fixture.eventually("none is left", |running| running.connections() == 0);
    set_of_all_brokers(&fixture, "max.connections.per.ip.overrides", "");
    let mut two = [fixture.connect(), fixture.connect()];
    assert!(two.iter_mut().all(is_served));
}

#[test]
fn a_limit_of_all_connections_acts_at_once() {
    let fixture = Fixture::start(&[]);
    let mut two = [fixture.connect(), fixture.connect()];
    assert!(two.iter_mut().all(is_served));
    set_of_all_brokers(&fixture, "max.connections", "2");
    fixture.eventually("the two are left", |running| running.connections() == 2);
    assert!(!is_served(&mut fixture.connect()));
    assert!(two.iter_mut().all(is_served), "who is there stays");
    drop(two);
    fixture.eventually("none is left", |running| running.connections() == 0);
    set_of_all_brokers(&fixture, "max.connections", "3");
    // Loopback is not counted by its address: everything on the machine shares it.
    set_of_all_brokers(&fixture, "max.connections.per.ip", "1");
    fixture.eventually("none is left", |running| running.connections() == 0);
    let mut three = [fixture.connect(), fixture.connect(), fixture.connect()];
    assert!(three.iter_mut().all(is_served));
    assert!(!is_served(&mut fixture.connect()));
}

#[test]
fn a_node_whose_directories_are_cordoned_gets_nothing_new() {
    let fixture = Fixture::start(&[("node.id", "1")]);
    let mut made = 0;
    let mut code = || {
        made += 1;
        create(&mut fixture.connect(), 7, &format!("t{made}"), 1).topics[0].error_code
    };
    assert_eq!(code(), 0);
    // The controller hears of it with the node's next heartbeat, which a node alone sends for nothing else.
    set(&fixture, (4, "1"), "cordoned.log.dirs", "*");
    fixture.eventually("nothing is placed here", |_| code() == ErrorCode::InvalidReplicationFactor.code());
    set(&fixture, (4, "1"), "cordoned.log.dirs", "");
    fixture.eventually("something is placed here again", |_| code() == 0);
}

#[test]
fn an_address_has_a_quota_of_new_connections() {
    let fixture = Fixture::start(&[]);
    set_quota(&fixture, "ip", "127.0.0.1", "connection_creation_rate", Some(1.0));
    let served = (0..20).filter(|_| {
        let mut stream = fixture.connect();
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
        let _ = stream.write_all(&super::frame(&super::API_VERSIONS_V0));
        let mut byte = [0; 1];
        matches!(std::io::Read::read(&mut stream, &mut byte), Ok(1))
    });
    let served = served.count();
    assert!((5..=13).contains(&served), "{served} of 20, where ten seconds' worth may come at once");
}

/// Produces one record with a value of so many bytes to partition 0 of a topic.
pub(super) fn produce(stream: &mut TcpStream, name: &str, bytes: usize) -> ProduceResponse {
    produce_with(stream, name, bytes, -1)
}

fn produce_with(stream: &mut TcpStream, name: &str, bytes: usize, acks: i16) -> ProduceResponse {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), 1_700_000_000_000);
    builder.append(1_700_000_000_000, None, Some(&vec![b'x'; bytes]));
    let records = Some(bytes::Bytes::from(builder.build().to_vec()));
    let partition = PartitionProduceData::default().with_index(0).with_records(records);
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(name.to_owned())))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    ask(stream, 9, &request)
}

#[test]
fn a_producer_beyond_its_rate_is_told_to_wait_and_its_records_are_kept() {
    let fixture = Fixture::start(&[]);
    create(&mut fixture.connect(), 7, "t", 1);
    set_quota(&fixture, "client-id", "c", "producer_byte_rate", Some(1_000.0));
    let mut stream = fixture.connect();
    let within = produce(&mut stream, "t", 100);
    assert_eq!((within.responses[0].partition_responses[0].error_code, within.throttle_time_ms), (0, 0));
    let beyond = produce(&mut stream, "t", 20_000);
    let partition = &beyond.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (0, 1));
    assert!(beyond.throttle_time_ms > 5_000, "{}", beyond.throttle_time_ms);
}

#[test]
fn a_limit_of_all_brokers_acts_on_topics_without_one_of_their_own() {
    let fixture = Fixture::start(&[]);
    for name in ["plain", "own"] {
        create(&mut fixture.connect(), 7, name, 1);
    }
    let mut stream = fixture.connect();
    let mut code = |name: &str| produce(&mut stream, name, 5_000).responses[0].partition_responses[0].error_code;
    assert_eq!((code("plain"), code("own")), (0, 0));
    set_of_topic(&fixture, "own", "max.message.bytes", "9000");
    set_of_all_brokers(&fixture, "message.max.bytes", "1000");
    assert_eq!((code("plain"), code("own")), (ErrorCode::MessageTooLarge.code(), 0));
    set_of_topic(&fixture, "own", "max.message.bytes", "1000");
    set_of_all_brokers(&fixture, "message.max.bytes", "9000");
    assert_eq!((code("plain"), code("own")), (0, ErrorCode::MessageTooLarge.code()));
    set_of_topic(&fixture, "plain", "min.insync.replicas", "2");
    assert_eq!(code("plain"), 0, "only acks=all asks for more than one replica");
}
