//! ElectLeaders (43), v0–2: gives leadership to the first replicas, or to anybody (KIP-183).
//! v1 unclean elections (KIP-460), and a code for the whole request · v2 flexible
//!
//! Source: `ControllerApis.handleElectLeaders`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{ElectedTopic, ElectionType, Refusal};
use crate::model::{ErrorCode, PartitionIndex};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::protocol::message::{ElectLeadersRequest, ElectLeadersResponse, StrBytes, TopicName};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct ElectLeaders;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;
    type Response = ElectLeadersResponse;
    const KEY: ApiKey = ApiKey::ElectLeaders;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<ElectLeadersRequest> = Access::Cluster(Operation::Alter);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn timeout_ms(request: &ElectLeadersRequest) -> Option<i32> {
        Some(request.timeout_ms)
    }

    fn handle(cx: &Context<'_>, request: ElectLeadersRequest) -> Reply<ElectLeadersResponse> {
        let (broker, version) = (Arc::clone(cx.broker), cx.version);
        Reply::later(async move {
            let elected = match ElectionType::of(request.election_type) {
                Ok(election_type) => broker.elect_leaders(election_type, topics(&request), request.timeout_ms).await,
                Err(refusal) => Err(refusal),
            };
            match elected {
                Ok(elected) => ElectLeadersResponse::default().with_replica_election_results(results(elected)),
                Err(refusal) => refused(&request, &refusal, version),
            }
        })
    }

    fn refuse(request: &ElectLeadersRequest, code: ErrorCode) -> ElectLeadersResponse {
        refused(request, &Refusal { code, message: None }, 0)
    }

    fn not_controller(cx: &Context<'_>, request: ElectLeadersRequest, words: String) -> Reply<ElectLeadersResponse> {
        Reply::Now(refused(&request, &Refusal::new(ErrorCode::NotController, words), cx.version))
    }
}

fn topics(request: &ElectLeadersRequest) -> Option<Vec<(String, Vec<PartitionIndex>)>> {
    let topics = request.topic_partitions.as_ref()?.iter();
    Some(
        topics
            .map(|topic| (topic.topic.to_string(), topic.partitions.iter().copied().map(PartitionIndex).collect()))
            .collect(),
    )
}

/// Version 0 has no place for a code of the whole request; the codes of its partitions say the same
/// (`ElectLeadersRequest.getErrorResponse`).
fn refused(request: &ElectLeadersRequest, refusal: &Refusal, version: i16) -> ElectLeadersResponse {
    let each = |(name, partitions): (String, Vec<PartitionIndex>)| {
        (name, partitions.into_iter().map(|partition| (partition, Err(refusal.clone()))).collect())
    };
    let partitions = topics(request).unwrap_or_default().into_iter().map(each).collect();
    let code = if version >= 1 { refusal.code.code() } else { 0 };
    ElectLeadersResponse::default().with_error_code(code).with_replica_election_results(results(partitions))
}

fn results(elected: Vec<ElectedTopic>) -> Vec<ReplicaElectionResult> {
    let result = |(partition, result): (PartitionIndex, Result<(), Refusal>)| {
        let answer = PartitionResult::default().with_partition_id(partition.0).with_error_message(None);
        match result {
            Ok(()) => answer,
            Err(refusal) => answer
                .with_error_code(refusal.code.code())
                .with_error_message(refusal.message.map(StrBytes::from_string)),
        }
    };
    elected
        .into_iter()
        .map(|(name, partitions)| {
            ReplicaElectionResult::default()
                .with_topic(TopicName(StrBytes::from_string(name)))
                .with_partition_result(partitions.into_iter().map(result).collect())
        })
        .collect()
}
