//! DescribeQuorum (55), v0–2: who votes in the metadata quorum, who observes it, and how far they are (KIP-595).
//! v1 last_fetch_timestamp, last_caught_up_timestamp (KIP-836) · v2 directory ids, endpoints of the voters (KIP-853)
//!
//! Source: `KafkaRaftClient.handleDescribeQuorumRequest`. The metadata log has Kafka's name for it here, and nowhere else.

use std::ops::RangeInclusive;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::model::{ErrorCode, Now};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use crate::protocol::message::{DescribeQuorumRequest, DescribeQuorumResponse, StrBytes, TopicName, WireBrokerId};
use crate::quorum::{self, Description};
use crate::security::{Access, Operation};

/// Kafka's name for the metadata log, which has one partition.
const TOPIC: &str = "__cluster_metadata";
/// Kafka's text of UNKNOWN_TOPIC_OR_PARTITION.
const UNKNOWN_PARTITION: &str = "This server does not host this topic-partition.";

const NOT_LEADER: &str = "For requests intended only for the leader, this error indicates that the broker is not the current leader. For \
                          requests intended for any replica, this error indicates that the broker is not a replica of the topic \
                          partition.";

/// See the head of this file.
pub struct DescribeQuorum;

impl Api for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    type Response = DescribeQuorumResponse;
    const KEY: ApiKey = ApiKey::DescribeQuorum;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<DescribeQuorumRequest> = Access::Cluster(Operation::Describe);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(cx: &Context<'_>, request: DescribeQuorumRequest) -> Reply<DescribeQuorumResponse> {
        if !asks_for_the_quorum(&request) {
            return Reply::Now(unknown_partitions(&request));
        }
        Reply::Now(match cx.broker.quorum().describe() {
            Ok(description) => describe(&description, cx.now, cx.version),
            Err(_) => partition(
                PartitionData::default()
                    .with_error_code(ErrorCode::NotLeaderOrFollower.code())
                    .with_error_message(Some(StrBytes::from_static_str(NOT_LEADER))),
            ),
        })
    }

    fn refuse(_request: &DescribeQuorumRequest, code: ErrorCode) -> DescribeQuorumResponse {
        DescribeQuorumResponse::default().with_error_code(code.code())
    }

    fn not_controller(
        cx: &Context<'_>,
        request: DescribeQuorumRequest,
        _words: String,
    ) -> Reply<DescribeQuorumResponse> {
        // It is no leader of the quorum either, and says that.
        Self::handle(cx, request)
    }
}

/// `RaftUtil.hasValidTopicPartition`: one topic with one partition, that of the metadata.
fn asks_for_the_quorum(request: &DescribeQuorumRequest) -> bool {
    let [topic] = request.topics.as_slice() else { return false };
    let [partition] = topic.partitions.as_slice() else { return false };
    **topic.topic_name == *TOPIC && partition.partition_index == 0
}

fn unknown_partitions(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(unknown)
                .with_error_message(Some(StrBytes::from_static_str(UNKNOWN_PARTITION)))
        });
        TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_topics(topics.collect())
}

fn partition(data: PartitionData) -> DescribeQuorumResponse {
    let name = TopicName(StrBytes::from_static_str(TOPIC));
    let topic = TopicData::default().with_topic_name(name).with_partitions(vec![data]);
    DescribeQuorumResponse::default().with_topics(vec![topic])
}

/// What is set must be part of the version.
pub(super) fn describe(description: &Description, now: Now, version: i16) -> DescribeQuorumResponse {
    let states =
        |replicas: &[quorum::ReplicaState]| replicas.iter().map(|state| replica(state, now, version)).collect();
    let data = PartitionData::default()
        .with_leader_id(WireBrokerId(description.leader_id.0))
        .with_leader_epoch(i32::try_from(description.leader_epoch).unwrap_or(i32::MAX))
        .with_high_watermark(description.high_watermark.0)
        .with_current_voters(states(&description.voters))
        .with_observers(states(&description.observers));
    let nodes = description.nodes.iter().map(|(id, endpoint)| {
        let listener = Listener::default()
            .with_name(StrBytes::from_string(endpoint.listener.clone()))
            .with_host(StrBytes::from_string(endpoint.address.host.clone()))
            .with_port(endpoint.address.port);
        Node::default().with_node_id(WireBrokerId(id.0)).with_listeners(vec![listener])
    });
    let nodes = nodes.filter(|_| version >= 2);
    partition(data).with_nodes(nodes.collect())
}

fn replica(state: &quorum::ReplicaState, now: Now, version: i16) -> ReplicaState {
    let at = |ago: Option<std::time::Duration>| match ago {
        Some(ago) => now.wall_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)),
        None => -1,
    };
    let mut replica = ReplicaState::default()
        .with_replica_id(WireBrokerId(state.replica.node_id.0))
        .with_log_end_offset(state.log_end_offset.0);
    if version >= 1 {
        replica.last_fetch_timestamp = at(state.last_fetch);
        replica.last_caught_up_timestamp = at(state.last_caught_up);
    }
    if version >= 2 {
        replica.replica_directory_id = state.replica.directory_id;
    }
    replica
}
