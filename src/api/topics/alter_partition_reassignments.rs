//! AlterPartitionReassignments (45), v0–1: moves partitions to other brokers, or takes that back (KIP-455).
//! v1 whether the number of replicas may change (KIP-860)
//!
//! Source: `ControllerApis.handleAlterPartitionReassignments`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{ReassignedTopic, Refusal, Target};
use crate::model::{BrokerId, ErrorCode, PartitionIndex};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::alter_partition_reassignments_request::ReassignableTopic;
use crate::protocol::message::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::protocol::message::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, StrBytes, TopicName,
};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct AlterPartitionReassignments;

impl Api for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    type Response = AlterPartitionReassignmentsResponse;
    const KEY: ApiKey = ApiKey::AlterPartitionReassignments;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const ACCESS: Access<AlterPartitionReassignmentsRequest> = Access::Cluster(Operation::Alter);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn timeout_ms(request: &AlterPartitionReassignmentsRequest) -> Option<i32> {
        Some(request.timeout_ms)
    }

    fn handle(
        cx: &Context<'_>,
        request: AlterPartitionReassignmentsRequest,
    ) -> Reply<AlterPartitionReassignmentsResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            let targets = request.topics.iter().map(targets).collect();
            let may_change_factor = request.allow_replication_factor_change;
            let done = broker.alter_partition_reassignments(may_change_factor, targets, request.timeout_ms).await;
            match done {
                Ok(topics) => AlterPartitionReassignmentsResponse::default()
                    .with_allow_replication_factor_change(may_change_factor)
                    .with_error_message(None)
                    .with_responses(topics.into_iter().map(answer).collect()),
                Err(refusal) => refused(&request, &refusal),
            }
        })
    }

    fn refuse(request: &AlterPartitionReassignmentsRequest, code: ErrorCode) -> AlterPartitionReassignmentsResponse {
        refused(request, &Refusal { code, message: None })
    }

    fn not_controller(
        _cx: &Context<'_>,
        request: AlterPartitionReassignmentsRequest,
        words: String,
    ) -> Reply<AlterPartitionReassignmentsResponse> {
        Reply::Now(refused(&request, &Refusal::new(ErrorCode::NotController, words)))
    }
}

fn targets(topic: &ReassignableTopic) -> (String, Vec<Target>) {
    let targets = topic.partitions.iter().map(|partition| {
        let replicas = partition.replicas.as_ref().map(|ids| ids.iter().map(|id| BrokerId(id.0)).collect());
        (PartitionIndex(partition.partition_index), replicas)
    });
    (topic.name.to_string(), targets.collect())
}

fn answer((name, partitions): ReassignedTopic) -> ReassignableTopicResponse {
    let answer = |(partition, result): (PartitionIndex, Result<(), Refusal>)| {
        let answer =
            ReassignablePartitionResponse::default().with_partition_index(partition.0).with_error_message(None);
        match result {
            Ok(()) => answer,
            Err(refusal) => answer
                .with_error_code(refusal.code.code())
                .with_error_message(refusal.message.map(StrBytes::from_string)),
        }
    };
    ReassignableTopicResponse::default()
        .with_name(TopicName(StrBytes::from_string(name)))
        .with_partitions(partitions.into_iter().map(answer).collect())
}

/// The whole request and each of its partitions (`AlterPartitionReassignmentsRequest.getErrorResponse`).
fn refused(request: &AlterPartitionReassignmentsRequest, refusal: &Refusal) -> AlterPartitionReassignmentsResponse {
    let topics = request.topics.iter().map(targets).map(|(name, targets)| {
        let partitions = targets.into_iter().map(|(partition, _)| (partition, Err(refusal.clone())));
        answer((name, partitions.collect()))
    });
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message.clone().map(StrBytes::from_string))
        .with_responses(topics.collect())
}
