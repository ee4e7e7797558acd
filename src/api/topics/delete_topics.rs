//! DeleteTopics (20), v1–6: ends topics, with all their records and settings.
//! v3 TOPIC_DELETION_DISABLED · v5 error messages (KIP-599) · v6 by id (KIP-516)
//!
//! Kafka shuffles its answers; ours come in the order of the request. Source: `ControllerApis.deleteTopics`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::answer::throttle_time;
use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{DeletedTopic, Refusal, TopicSelector};
use crate::model::{ErrorCode, TopicId};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::delete_topics_response::DeletableTopicResult;
use crate::protocol::message::{DeleteTopicsRequest, DeleteTopicsResponse, StrBytes, TopicName};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    type Response = DeleteTopicsResponse;
    const KEY: ApiKey = ApiKey::DeleteTopics;
    const VERSIONS: RangeInclusive<i16> = 1..=6;
    const ACCESS: Access<DeleteTopicsRequest> = Access::Each(&[(Operation::Delete, ResourceType::Topic)]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn timeout_ms(request: &DeleteTopicsRequest) -> Option<i32> {
        Some(request.timeout_ms)
    }

    fn handle(cx: &Context<'_>, request: DeleteTopicsRequest) -> Reply<DeleteTopicsResponse> {
        let (broker, version, client) = (Arc::clone(cx.broker), cx.version, cx.quota_client(5));
        Reply::later(async move {
            let (deleted, throttle_ms) = broker
                .delete_topics(client, selectors(&request), request.timeout_ms)
                .await
                .unwrap_or_else(|refusal| (refuse_all(&request, &refusal), 0));
            let responses = deleted.into_iter().map(|topic| answer(topic, version));
            DeleteTopicsResponse::default()
                .with_responses(responses.collect())
                .with_throttle_time_ms(throttle_time(throttle_ms))
        })
    }

    fn refuse(request: &DeleteTopicsRequest, code: ErrorCode) -> DeleteTopicsResponse {
        let refused = refuse_all(request, &Refusal { code, message: None });
        let newest = *DeleteTopics::VERSIONS.end();
        DeleteTopicsResponse::default().with_responses(refused.into_iter().map(|topic| answer(topic, newest)).collect())
    }

    fn not_controller(cx: &Context<'_>, request: DeleteTopicsRequest, _words: String) -> Reply<DeleteTopicsResponse> {
        // Kafka's controllers look for the topics first, and each knows those that there are not.
        Reply::Now(match cx.broker.deletes_nothing(&selectors(&request)) {
            Some(refused) => {
                let responses = refused.into_iter().map(|topic| answer(topic, cx.version));
                DeleteTopicsResponse::default().with_responses(responses.collect())
            }
            None => Self::refuse(&request, ErrorCode::NotController),
        })
    }
}

fn selectors(request: &DeleteTopicsRequest) -> Vec<TopicSelector> {
    let named =
        request.topic_names.iter().map(|name| TopicSelector { name: Some(name.to_string()), id: TopicId::ZERO });
    let either = request.topics.iter().map(|topic| TopicSelector {
        name: topic.name.as_ref().map(|name| name.to_string()),
        id: TopicId(topic.topic_id),
    });
    named.chain(either).collect()
}

fn refuse_all(request: &DeleteTopicsRequest, refusal: &Refusal) -> Vec<DeletedTopic> {
    let refused = |topic: TopicSelector| DeletedTopic { name: topic.name, id: topic.id, result: Err(refusal.clone()) };
    selectors(request).into_iter().map(refused).collect()
}

fn answer(topic: DeletedTopic, version: i16) -> DeletableTopicResult {
    let response = DeletableTopicResult::default()
        .with_name(topic.name.map(|name| TopicName(StrBytes::from_string(name))))
        .with_topic_id(topic.id.0);
    let Err(refusal) = topic.result else { return response };
    let code = match refusal.code {
        // Clients before v3 do not know the code.
        ErrorCode::TopicDeletionDisabled if version < 3 => ErrorCode::InvalidRequest,
        code => code,
    };
    response.with_error_code(code.code()).with_error_message(refusal.message.map(StrBytes::from_string))
}
