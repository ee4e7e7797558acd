use super::super::message::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use super::super::message::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint as WireEndpoint, PartitionProduceResponse,
    ProduceResponse, TopicProduceResponse,
};
use super::super::message::{RequestMessage, StrBytes, encode_response};
use super::*;
use crate::model::TopicId;

fn topic_ids() -> [uuid::Uuid; 2] {
    [uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2)]
}

fn request(version: i16) -> ProduceRequest {
    let partition = |index: i32, records: Option<&'static [u8]>| {
        PartitionProduceData::default().with_index(index).with_records(records.map(Bytes::from_static))
    };
    let topic = |name: &'static str, id, partitions| {
        let topic = TopicProduceData::default().with_partition_data(partitions);
        if version >= TOPIC_ID_FROM {
            return topic.with_topic_id(id);
        }
        topic.with_name(StrBytes::from_static_str(name).into())
    };
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1500)
        .with_transactional_id(Some(StrBytes::from_static_str("tx").into()))
        .with_topic_data(vec![
            topic("a", topic_ids()[0], vec![partition(0, Some(b"one")), partition(7, None), partition(8, Some(b""))]),
            topic("b", topic_ids()[1], vec![]),
        ])
}

fn body(version: i16, request: &ProduceRequest) -> Bytes {
    let mut out = BytesMut::new();
    request.write(&mut out, version).expect("a request of this version");
    out.freeze()
}

/// What the borrowing reader sees, as the crate's struct.
fn seen(request: &Request) -> ProduceRequest {
    let topics = request.topics().map(|topic| {
        let partitions = topic.partitions().map(|partition| {
            PartitionProduceData::default().with_index(partition.index).with_records(partition.records)
        });
        let data = TopicProduceData::default().with_partition_data(partitions.collect());
        match topic.topic {
            TopicRef::Name(name) => data.with_name(StrBytes::from_string(name.to_owned()).into()),
            TopicRef::Id(id) => data.with_topic_id(id.0),
        }
    });
    ProduceRequest::default()
        .with_acks(request.acks)
        .with_timeout_ms(request.timeout_ms)
        .with_transactional_id(request.transactional_id().map(|id| StrBytes::from_string(id.to_owned()).into()))
        .with_topic_data(topics.collect())
}

#[test]
fn every_version_reads_what_the_codec_reads() {
    for version in VERSIONS {
        let expected = request(version);
        let parsed = Request::parse(version, body(version, &expected)).expect("a whole body");
        assert_eq!(seen(&parsed), expected, "v{version}");
        assert_eq!(parsed.topic_count(), 2);
    }
}

#[test]
fn a_body_cut_anywhere_is_an_error_in_every_version() {
    for version in VERSIONS {
        let whole = body(version, &request(version));
        for length in 0..whole.len() {
            assert!(Request::parse(version, whole.slice(..length)).is_err(), "v{version} cut to {length}");
        }
    }
}

#[test]
fn records_are_slices_of_the_frame() {
    let frame = body(13, &request(13));
    let parsed = Request::parse(13, frame.clone()).expect("a whole body");
    let records = parsed.topics().next().and_then(|topic| topic.partitions().next()).and_then(|first| first.records);
    let records = records.expect("records");
    assert!(frame.as_ptr_range().contains(&records.as_ptr()));
}

#[test]
fn a_topic_count_of_four_billion_is_refused() {
    let frame = [0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let error = Request::parse(9, Bytes::copy_from_slice(&frame)).expect_err("four billion topics");
    assert!(matches!(error, WireError::CountOverRemaining { .. }), "{error}");
}

#[test]
fn answers_of_every_version_equal_the_codec() {
    for version in VERSIONS {
        let mut expected = BytesMut::new();
        encode_response(77, &codec_response(version), version, &mut expected).expect("a response of this version");
        let mut written = BytesMut::new();
        write_response(version, &mut written);
        assert_eq!(written, expected, "v{version}");
    }
}

fn codec_response(version: i16) -> ProduceResponse {
    let mut refused = PartitionProduceResponse::default().with_index(3).with_error_code(6).with_base_offset(-1);
    if version >= 8 {
        let record_error = BatchIndexAndErrorMessage::default()
            .with_batch_index(2)
            .with_batch_index_error_message(Some(StrBytes::from_static_str("bad")));
        refused = refused
            .with_record_errors(vec![record_error])
            .with_error_message(Some(StrBytes::from_static_str("all bad")));
    }
    let mut response = ProduceResponse::default().with_throttle_time_ms(5);
    if version >= 10 {
        let leader = LeaderIdAndEpoch::default().with_leader_id(4.into()).with_leader_epoch(9);
        refused = refused.with_current_leader(leader);
        let endpoint = WireEndpoint::default()
            .with_node_id(4.into())
            .with_host(StrBytes::from_static_str("h"))
            .with_port(9092)
            .with_rack(Some(StrBytes::from_static_str("r")));
        response = response.with_node_endpoints(vec![endpoint]);
    }
    let fine = PartitionProduceResponse::default().with_index(0).with_base_offset(42).with_log_append_time_ms(-1);
    let fine = if version >= 5 { fine.with_log_start_offset(11) } else { fine };
    let topic = |name: &'static str, id, partitions| {
        let topic = TopicProduceResponse::default().with_partition_responses(partitions);
        if version >= TOPIC_ID_FROM {
            return topic.with_topic_id(id);
        }
        topic.with_name(StrBytes::from_static_str(name).into())
    };
    let [first, second] = topic_ids();
    response.with_responses(vec![topic("a", first, vec![fine, refused]), topic("b", second, vec![])])
}

fn write_response(version: i16, out: &mut BytesMut) {
    let topic = |name: &'static str, id: uuid::Uuid| {
        if version >= TOPIC_ID_FROM { TopicRef::Id(TopicId(id)) } else { TopicRef::Name(name) }
    };
    let fine = PartitionResponse {
        index: 0,
        error_code: 0,
        base_offset: 42,
        log_append_time_ms: -1,
        log_start_offset: 11,
        record_errors: &[],
        error_message: None,
        current_leader: CurrentLeader::NONE,
    };
    let refused = PartitionResponse {
        index: 3,
        error_code: 6,
        base_offset: -1,
        log_start_offset: -1,
        record_errors: &[(2, Some("bad".to_owned()))],
        error_message: Some("all bad"),
        current_leader: CurrentLeader { leader_id: 4, leader_epoch: 9 },
        ..fine.clone()
    };
    let mut writer = ResponseWriter::new(version, 77, 2, out);
    writer.topic(topic("a", topic_ids()[0]), 2);
    writer.partition(&fine);
    writer.partition(&refused);
    writer.topic(topic("b", topic_ids()[1]), 0);
    let endpoint = NodeEndpoint { node_id: 4, host: "h".to_owned(), port: 9092, rack: Some("r".to_owned()) };
    writer.finish(5, &[endpoint]);
}

#[test]
fn versions_zero_to_two_are_written_as_their_schemas_say() {
    let cases: [(i16, &[u8]); 3] = [
        (0, &[0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 0]),
        (1, &[0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 5]),
        (2, &[0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 5]),
    ];
    for (version, expected) in cases {
        let mut out = BytesMut::new();
        ResponseWriter::new(version, 7, 0, &mut out).finish(5, &[]);
        assert_eq!(out, expected, "v{version}");
    }
}
