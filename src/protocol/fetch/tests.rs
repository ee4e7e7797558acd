use super::super::message::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic as WireForgotten, ReplicaState,
};
use super::super::message::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint as WireEndpoint, PartitionData, SnapshotId,
};
use super::super::message::{RequestMessage, StrBytes, encode_response};
use super::*;
use crate::model::TopicId;

const ID: uuid::Uuid = uuid::Uuid::from_u128(7);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn partition(version: i16, index: i32) -> FetchPartition {
    let mut partition =
        FetchPartition::default().with_partition(index).with_fetch_offset(100).with_partition_max_bytes(1 << 20);
    if version >= 5 {
        partition = partition.with_log_start_offset(3);
    }
    if version >= 9 {
        partition = partition.with_current_leader_epoch(5);
    }
    if version >= 12 {
        partition = partition.with_last_fetched_epoch(4);
    }
    if version >= 17 {
        partition = partition.with_replica_directory_id(ID);
    }
    if version >= 18 {
        partition = partition.with_high_watermark(90);
    }
    partition
}

fn request(version: i16) -> FetchRequest {
    let mut request =
        FetchRequest::default().with_max_wait_ms(500).with_min_bytes(1).with_max_bytes(1 << 25).with_isolation_level(1);
    let mut topic = FetchTopic::default().with_partitions(vec![partition(version, 0), partition(version, 9)]);
    let mut forgotten = WireForgotten::default().with_partitions(vec![1, 2, 3]);
    if version >= TOPIC_ID_FROM {
        topic = topic.with_topic_id(ID);
        forgotten = forgotten.with_topic_id(ID);
    } else {
        topic = topic.with_topic(text("t").into());
        forgotten = forgotten.with_topic(text("gone").into());
    }
    if version >= 7 {
        request = request.with_session_id(11).with_session_epoch(2).with_forgotten_topics_data(vec![forgotten]);
    }
    if version >= 11 {
        request = request.with_rack_id(text("rack"));
    }
    if version >= 12 {
        request = request.with_cluster_id(Some(text("cluster")));
    }
    if version >= 15 {
        let state = ReplicaState::default().with_replica_id(2.into()).with_replica_epoch(8);
        return request.with_topics(vec![topic]).with_replica_state(state);
    }
    request.with_topics(vec![topic]).with_replica_id(2.into())
}

fn body(version: i16, request: &FetchRequest) -> Bytes {
    let mut out = BytesMut::new();
    request.write(&mut out, version).expect("a request of this version");
    out.freeze()
}

/// What the borrowing reader sees, as the crate's struct.
fn seen(request: &Request) -> FetchRequest {
    let topics = request.topics().map(|topic| {
        let partitions = topic.partitions().map(|partition| {
            FetchPartition::default()
                .with_partition(partition.partition)
                .with_current_leader_epoch(partition.current_leader_epoch)
                .with_fetch_offset(partition.fetch_offset)
                .with_last_fetched_epoch(partition.last_fetched_epoch)
                .with_log_start_offset(partition.log_start_offset)
                .with_partition_max_bytes(partition.partition_max_bytes)
                .with_replica_directory_id(partition.replica_directory_id)
                .with_high_watermark(partition.high_watermark)
        });
        let data = FetchTopic::default().with_partitions(partitions.collect());
        match topic.topic {
            TopicRef::Name(name) => data.with_topic(text(name).into()),
            TopicRef::Id(id) => data.with_topic_id(id.0),
        }
    });
    let forgotten = request.forgotten_topics().map(|topic| {
        let data = WireForgotten::default().with_partitions(topic.partitions().collect());
        match topic.topic {
            TopicRef::Name(name) => data.with_topic(text(name).into()),
            TopicRef::Id(id) => data.with_topic_id(id.0),
        }
    });
    let whole = FetchRequest::default()
        .with_cluster_id(request.cluster_id().map(text))
        .with_max_wait_ms(request.max_wait_ms)
        .with_min_bytes(request.min_bytes)
        .with_max_bytes(request.max_bytes)
        .with_isolation_level(request.isolation_level)
        .with_session_id(request.session_id)
        .with_session_epoch(request.session_epoch)
        .with_topics(topics.collect())
        .with_forgotten_topics_data(forgotten.collect())
        .with_rack_id(text(request.rack_id()));
    if request.version() >= 15 {
        let state = ReplicaState::default()
            .with_replica_id(request.replica_id.into())
            .with_replica_epoch(request.replica_epoch);
        return whole.with_replica_state(state);
    }
    whole.with_replica_id(request.replica_id.into())
}

#[test]
fn every_version_reads_what_the_codec_reads() {
    for version in VERSIONS {
        let expected = request(version);
        let parsed = Request::parse(version, body(version, &expected)).expect("a whole body");
        assert_eq!(seen(&parsed), expected, "v{version}");
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
fn a_tag_of_a_later_version_is_refused_as_by_kafka() {
    let mut frame = body(12, &FetchRequest::default()).to_vec();
    assert_eq!(frame.pop(), Some(0));
    frame.extend_from_slice(&[1, 1, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    let error = Request::parse(12, frame.into()).expect_err("replica state is v15");
    assert_eq!(error, WireError::UnexpectedTag { tag: 1 });
}

fn codec_response(version: i16, records: Option<Bytes>) -> FetchResponse {
    let mut full = PartitionData::default()
        .with_partition_index(0)
        .with_high_watermark(10)
        .with_last_stable_offset(9)
        .with_aborted_transactions(Some(vec![
            AbortedTransaction::default().with_producer_id(5.into()).with_first_offset(6),
        ]))
        .with_records(records);
    let mut failed = PartitionData::default()
        .with_partition_index(1)
        .with_error_code(6)
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_aborted_transactions(None)
        .with_records(None);
    if version >= 5 {
        full = full.with_log_start_offset(2);
    }
    if version >= 11 {
        full = full.with_preferred_read_replica(3.into());
    }
    if version >= 12 {
        failed = failed
            .with_diverging_epoch(EpochEndOffset::default().with_epoch(3).with_end_offset(44))
            .with_current_leader(LeaderIdAndEpoch::default().with_leader_id(2.into()).with_leader_epoch(8))
            .with_snapshot_id(SnapshotId::default().with_end_offset(12).with_epoch(1));
    }
    let topic = FetchableTopicResponse::default().with_partitions(vec![full, failed]);
    let topic = if version >= TOPIC_ID_FROM { topic.with_topic_id(ID) } else { topic.with_topic(text("t").into()) };
    let mut response = FetchResponse::default().with_throttle_time_ms(1).with_responses(vec![topic]);
    if version >= 7 {
        response = response.with_session_id(21);
    }
    if version >= 16 {
        let endpoint = WireEndpoint::default().with_node_id(2.into()).with_host(text("h")).with_port(9092);
        response = response.with_node_endpoints(vec![endpoint]);
    }
    response
}

fn written(version: i16, records: Option<Bytes>) -> Vec<Chunk<Bytes>> {
    let head = ResponseHead { correlation_id: 77, throttle_time_ms: 1, error_code: 0, session_id: 21, topic_count: 1 };
    let mut writer = ResponseWriter::new(version, head, BytesMut::new());
    let topic = if version >= TOPIC_ID_FROM { TopicRef::Id(TopicId(ID)) } else { TopicRef::Name("t") };
    writer.topic(topic, 2);
    let full = PartitionResponse {
        partition_index: 0,
        error_code: 0,
        high_watermark: 10,
        last_stable_offset: 9,
        log_start_offset: 2,
        diverging_epoch: None,
        current_leader: CurrentLeader::NONE,
        snapshot_id: None,
        aborted_transactions: Some(&[(5, 6)]),
        preferred_read_replica: 3,
    };
    let failed = PartitionResponse {
        partition_index: 1,
        error_code: 6,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        diverging_epoch: Some((3, 44)),
        current_leader: CurrentLeader { leader_id: 2, leader_epoch: 8 },
        snapshot_id: Some((12, 1)),
        aborted_transactions: None,
        preferred_read_replica: -1,
    };
    writer.partition(&full, records);
    writer.partition(&failed, None);
    writer.finish(&[NodeEndpoint { node_id: 2, host: "h".to_owned(), port: 9092, rack: None }])
}

fn joined(chunks: &[Chunk<Bytes>]) -> Vec<u8> {
    let pieces = chunks.iter().map(|chunk| match chunk {
        Chunk::Bytes(bytes) | Chunk::Records(bytes) => &bytes[..],
    });
    pieces.collect::<Vec<_>>().concat()
}

#[test]
fn answers_of_every_version_equal_the_codec() {
    let cases = [Some(Bytes::from_static(b"records")), Some(Bytes::new()), None];
    for version in VERSIONS {
        for records in &cases {
            let mut expected = BytesMut::new();
            let response = codec_response(version, records.clone());
            encode_response(77, &response, version, &mut expected).expect("a response of this version");
            assert_eq!(joined(&written(version, records.clone())), expected, "v{version} {records:?}");
        }
    }
}

#[test]
fn records_are_a_chunk_of_their_own() {
    let records = Bytes::from(vec![7; 300]);
    let chunks = written(18, Some(records.clone()));
    assert!(matches!(&chunks[..], [Chunk::Bytes(_), Chunk::Records(_), Chunk::Bytes(_)]), "{chunks:?}");
    assert_eq!(chunks[1], Chunk::Records(records));
}
