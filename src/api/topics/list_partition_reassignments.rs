//! ListPartitionReassignments (46), v0: the partitions that are moving between brokers (KIP-455).
//!
//! Source: `ControllerApis.handleListPartitionReassignments`.

use std::ops::RangeInclusive;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::Reassigning;
use crate::metadata::Replicas;
use crate::model::{ErrorCode, PartitionIndex};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use crate::protocol::message::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, StrBytes, TopicName, WireBrokerId,
};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    type Response = ListPartitionReassignmentsResponse;
    const KEY: ApiKey = ApiKey::ListPartitionReassignments;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<ListPartitionReassignmentsRequest> = Access::Cluster(Operation::Describe);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn timeout_ms(request: &ListPartitionReassignmentsRequest) -> Option<i32> {
        Some(request.timeout_ms)
    }

    fn handle(
        cx: &Context<'_>,
        request: ListPartitionReassignmentsRequest,
    ) -> Reply<ListPartitionReassignmentsResponse> {
        let topics: Option<Vec<(String, Vec<PartitionIndex>)>> = request.topics.as_ref().map(|topics| {
            let indexes = |indexes: &[i32]| indexes.iter().copied().map(PartitionIndex).collect();
            topics.iter().map(|topic| (topic.name.to_string(), indexes(&topic.partition_indexes))).collect()
        });
        let listed = cx.broker.list_partition_reassignments(topics.as_deref());
        let topics = listed.into_iter().map(|(name, partitions)| {
            OngoingTopicReassignment::default()
                .with_name(TopicName(StrBytes::from_string(name)))
                .with_partitions(partitions.into_iter().map(ongoing).collect())
        });
        Reply::Now(ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics.collect()))
    }

    fn refuse(_request: &ListPartitionReassignmentsRequest, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default().with_error_code(code.code()).with_error_message(None)
    }

    fn not_controller(
        cx: &Context<'_>,
        request: ListPartitionReassignmentsRequest,
        _words: String,
    ) -> Reply<ListPartitionReassignmentsResponse> {
        // Kafka's controllers all answer from what they know.
        Self::handle(cx, request)
    }
}

fn ongoing(partition: Reassigning) -> OngoingPartitionReassignment {
    let ids = |replicas: &Replicas| replicas.iter().map(|id| WireBrokerId(id.0)).collect();
    OngoingPartitionReassignment::default()
        .with_partition_index(partition.partition.0)
        .with_replicas(ids(&partition.replicas))
        .with_adding_replicas(ids(&partition.adding_replicas))
        .with_removing_replicas(ids(&partition.removing_replicas))
}
