//! CreateTopics (19), v2–7: makes topics, or says whether it would.
//! v4 broker defaults for -1 (KIP-464) · v5 the topic's settings in the answer (KIP-525) · v6 THROTTLING_QUOTA_EXCEEDED
//! (KIP-599) · v7 topic id
//!
//! Source: `ControllerApis.createTopics`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::answer::throttle_time;
use crate::api::{Api, Context, Reply};
use crate::broker::Broker;
use crate::config::{Dynamic, Overrides, Roles};
use crate::controller::{CreateTopic, Created, CreatedTopic, Refusal};
use crate::metadata::ConfigResource;
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::create_topics_request::CreatableTopic;
use crate::protocol::message::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use crate::protocol::message::{CreateTopicsRequest, CreateTopicsResponse, StrBytes, TopicName};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    type Response = CreateTopicsResponse;
    const KEY: ApiKey = ApiKey::CreateTopics;
    const VERSIONS: RangeInclusive<i16> = 2..=7;
    const ACCESS: Access<CreateTopicsRequest> = Access::Each(&[(Operation::Create, ResourceType::Topic)]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn timeout_ms(request: &CreateTopicsRequest) -> Option<i32> {
        Some(request.timeout_ms)
    }

    fn handle(cx: &Context<'_>, request: CreateTopicsRequest) -> Reply<CreateTopicsResponse> {
        let (broker, client) = (Arc::clone(cx.broker), cx.quota_client(6));
        Reply::later(async move {
            let topics = request.topics.iter().map(wanted).collect();
            let created = broker.create_topics(client, topics, request.validate_only, request.timeout_ms).await;
            let (answers, throttle_ms) = match created {
                Ok((created, throttle_ms)) => {
                    (created.into_iter().map(|created| answer(&broker, created)).collect(), throttle_ms)
                }
                Err(refusal) => (request.topics.iter().map(|topic| refused(topic.name.clone(), &refusal)).collect(), 0),
            };
            CreateTopicsResponse::default().with_topics(answers).with_throttle_time_ms(throttle_time(throttle_ms))
        })
    }

    fn refuse(request: &CreateTopicsRequest, code: ErrorCode) -> CreateTopicsResponse {
        let refusal = Refusal { code, message: None };
        let topics = request.topics.iter().map(|topic| refused(topic.name.clone(), &refusal));
        CreateTopicsResponse::default().with_topics(topics.collect())
    }

    fn not_controller(_cx: &Context<'_>, request: CreateTopicsRequest, words: String) -> Reply<CreateTopicsResponse> {
        let refusal = Refusal::new(ErrorCode::NotController, words);
        let topics = request.topics.iter().map(|topic| refused(topic.name.clone(), &refusal));
        Reply::Now(CreateTopicsResponse::default().with_topics(topics.collect()))
    }
}

fn wanted(topic: &CreatableTopic) -> CreateTopic {
    let assignments = topic.assignments.iter().map(|assignment| {
        let brokers = assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect();
        (assignment.partition_index, brokers)
    });
    let configs = topic
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_ref().map(|value| value.to_string())));
    CreateTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
        take_what_there_is: false,
    }
}

fn answer(broker: &Broker, (name, result): Created) -> CreatableTopicResult {
    let name = TopicName(StrBytes::from_string(name));
    match result {
        Ok(created) => granted(broker, name, &created),
        Err(refusal) => refused(name, &refusal),
    }
}

fn granted(broker: &Broker, name: TopicName, created: &CreatedTopic) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name)
        .with_topic_id(created.id.0)
        .with_error_message(None)
        .with_num_partitions(created.partitions)
        .with_replication_factor(created.replication_factor)
        .with_configs(Some(configs(broker, &created.configs)))
}

/// Kafka gives an empty list of settings with an error, not null, and no numbers.
fn refused(name: TopicName, refusal: &Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name)
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message.clone().map(StrBytes::from_string))
        .with_configs(Some(Vec::new()))
}

fn configs(broker: &Broker, overrides: &Overrides) -> Vec<CreatableTopicConfigs> {
    let image = broker.image();
    let dynamic = Dynamic {
        broker: image.configs(&ConfigResource::Broker(broker.node_id())),
        cluster: image.configs(&ConfigResource::BrokerDefault),
    };
    let described = broker.settings().describe_topic(overrides, dynamic);
    let config = |described: crate::config::Described| {
        let is_sensitive = described.is_sensitive();
        CreatableTopicConfigs::default()
            .with_name(described.name.into())
            .with_value(described.value.map(StrBytes::from_string))
            .with_read_only(described.is_read_only)
            .with_config_source(described.source as i8)
            .with_is_sensitive(is_sensitive)
    };
    described.into_iter().map(config).collect()
}
