//! CreatePartitions (37), v0–3: gives topics more partitions (KIP-195).
//! v2 flexible · v3 THROTTLING_QUOTA_EXCEEDED (KIP-599)
//!
//! Source: `ControllerApis.createPartitions`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::answer::throttle_time;
use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{self, Refusal};
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::create_partitions_request::CreatePartitionsTopic;
use crate::protocol::message::create_partitions_response::CreatePartitionsTopicResult;
use crate::protocol::message::{CreatePartitionsRequest, CreatePartitionsResponse, StrBytes, TopicName};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    type Response = CreatePartitionsResponse;
    const KEY: ApiKey = ApiKey::CreatePartitions;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const ACCESS: Access<CreatePartitionsRequest> = Access::Each(&[(Operation::Alter, ResourceType::Topic)]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn timeout_ms(request: &CreatePartitionsRequest) -> Option<i32> {
        Some(request.timeout_ms)
    }

    fn handle(cx: &Context<'_>, request: CreatePartitionsRequest) -> Reply<CreatePartitionsResponse> {
        let (broker, client) = (Arc::clone(cx.broker), cx.quota_client(3));
        Reply::later(async move {
            let topics = request.topics.iter().map(wanted).collect();
            match broker.create_partitions(client, topics, request.validate_only, request.timeout_ms).await {
                Ok((results, throttle_ms)) => CreatePartitionsResponse::default()
                    .with_results(results.into_iter().map(|(name, result)| answer(name, result)).collect())
                    .with_throttle_time_ms(throttle_time(throttle_ms)),
                Err(refusal) => refused(&request, &refusal),
            }
        })
    }

    fn refuse(request: &CreatePartitionsRequest, code: ErrorCode) -> CreatePartitionsResponse {
        refused(request, &Refusal { code, message: None })
    }

    fn not_controller(
        _cx: &Context<'_>,
        request: CreatePartitionsRequest,
        words: String,
    ) -> Reply<CreatePartitionsResponse> {
        Reply::Now(refused(&request, &Refusal::new(ErrorCode::NotController, words)))
    }
}

fn wanted(topic: &CreatePartitionsTopic) -> controller::CreatePartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        let brokers = |ids: &[crate::protocol::message::WireBrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect();
        assignments.iter().map(|assignment| brokers(&assignment.broker_ids)).collect()
    });
    controller::CreatePartitions { name: topic.name.to_string(), count: topic.count, assignments }
}

fn answer(name: String, result: Result<(), Refusal>) -> CreatePartitionsTopicResult {
    let answer = CreatePartitionsTopicResult::default()
        .with_name(TopicName(StrBytes::from_string(name)))
        .with_error_message(None);
    match result {
        Ok(()) => answer,
        Err(refusal) => {
            answer.with_error_code(refusal.code.code()).with_error_message(refusal.message.map(StrBytes::from_string))
        }
    }
}

fn refused(request: &CreatePartitionsRequest, refusal: &Refusal) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| answer(topic.name.to_string(), Err(refusal.clone())));
    CreatePartitionsResponse::default().with_results(results.collect())
}
