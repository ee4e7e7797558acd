//! Metadata (3), v0–13: brokers, and topics with their leaders; creates topics that clients ask for by name.
//! v1 null for all topics, controller, rack, internal · v2 cluster id · v4 allow_auto_topic_creation · v5 offline replicas ·
//! v7 leader epoch · v8–10 cluster operations, v8 topic operations (KIP-430) · v10 topic ids · v12 lookup by id (KIP-516) ·
//! v13 top-level error (KIP-1102)
//!
//! A topic that is auto-created has leaders in the answer that created it; Kafka answers UNKNOWN_TOPIC_OR_PARTITION and lets
//! the client ask again. Source: `KafkaApis.handleTopicMetadataRequest`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::view::{View, wire, wire_all};
use crate::api::{Api, ConnectionInfo, Context, Reply};
use crate::broker::Broker;
use crate::metadata::{Image, Partition, Topic};
use crate::model::{ErrorCode, TopicId, check_topic_name, is_internal_topic};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::protocol::message::{MetadataRequest, MetadataResponse, StrBytes, TopicName};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;
    type Response = MetadataResponse;
    const KEY: ApiKey = ApiKey::Metadata;
    const VERSIONS: RangeInclusive<i16> = 0..=13;
    const ACCESS: Access<MetadataRequest> =
        Access::Each(&[(Operation::Describe, ResourceType::Topic), (Operation::Create, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: MetadataRequest) -> Reply<MetadataResponse> {
        let asked = match Asked::of(&request, cx.version) {
            Ok(asked) => asked,
            Err(code) => return Reply::Now(Metadata::refuse(&request, code)),
        };
        let image = cx.broker.image();
        let missing = asked.missing(cx.broker, &image, &request);
        if missing.is_empty() {
            let answer = Answering { image: &image, broker: cx.broker, connection: cx.connection, version: cx.version };
            return Reply::Now(answer.response(&request, &asked));
        }
        let (broker, connection, version) = (Arc::clone(cx.broker), cx.connection.clone(), cx.version);
        Reply::later(async move {
            for (topic, result) in broker.auto_create(&missing).await {
                if let Err(refusal) = result {
                    tracing::debug!(topic, code = %refusal.code, message = refusal.message, "topic is not auto-created");
                }
            }
            let image = broker.image();
            let answer = Answering { image: &image, broker: &broker, connection: &connection, version };
            answer.response(&request, &asked)
        })
    }

    fn refuse(request: &MetadataRequest, code: ErrorCode) -> MetadataResponse {
        let topics = request.topics.iter().flatten().map(|topic| {
            let name = topic.name.clone().unwrap_or_default();
            MetadataResponseTopic::default()
                .with_name(Some(name))
                .with_topic_id(topic.topic_id)
                .with_error_code(code.code())
        });
        MetadataResponse::default().with_topics(topics.collect()).with_error_code(code.code())
    }
}

/// What a client wants to know of.
enum Asked {
    All,
    Named(Vec<StrBytes>),
    /// Names beside ids are ignored, as by Kafka.
    ById(Vec<TopicId>),
}

impl Asked {
    fn of(request: &MetadataRequest, version: i16) -> Result<Asked, ErrorCode> {
        let Some(topics) = &request.topics else { return Ok(Asked::All) };
        if version == 0 && topics.is_empty() {
            return Ok(Asked::All);
        }
        if version < 12 && topics.iter().any(|topic| topic.name.is_none() || !topic.topic_id.is_nil()) {
            return Err(ErrorCode::InvalidRequest);
        }
        let ids: BTreeSet<TopicId> = topics.iter().map(|topic| TopicId(topic.topic_id)).collect();
        let ids: Vec<TopicId> = ids.into_iter().filter(|id| *id != TopicId::ZERO).collect();
        if !ids.is_empty() {
            return Ok(Asked::ById(ids));
        }
        let mut seen = BTreeSet::new();
        let mut names = Vec::new();
        for topic in topics {
            // Neither name nor id: Kafka runs into a null there, and so its clients see this code.
            let name = topic.name.as_ref().ok_or(ErrorCode::UnknownServerError)?;
            if seen.insert(name.as_str()) {
                names.push(name.0.clone());
            }
        }
        Ok(Asked::Named(names))
    }

    /// The topics that this request creates.
    fn missing(&self, broker: &Broker, image: &Image, request: &MetadataRequest) -> Vec<String> {
        let Asked::Named(names) = self else { return Vec::new() };
        if !request.allow_auto_topic_creation || !broker.settings().get_bool("auto.create.topics.enable") {
            return Vec::new();
        }
        let is_missing = |name: &&StrBytes| check_topic_name(name).is_ok() && image.topic(name).is_none();
        names.iter().filter(is_missing).map(|name| name.to_string()).collect()
    }
}

/// What an answer is made from.
struct Answering<'a> {
    image: &'a Image,
    broker: &'a Broker,
    connection: &'a ConnectionInfo,
    version: i16,
}

impl Answering<'_> {
    fn response(&self, request: &MetadataRequest, asked: &Asked) -> MetadataResponse {
        let view = View::new(self.broker, self.image, self.connection);
        let brokers = view.nodes().into_iter().map(|node| {
            MetadataResponseBroker::default()
                .with_node_id(node.id)
                .with_host(node.host)
                .with_port(node.port)
                .with_rack(node.rack)
        });
        let mut response = MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_cluster_id(Some(StrBytes::from_string(self.image.cluster_id().to_string())))
            .with_controller_id(view.controller())
            .with_topics(self.topics(view, request, asked));
        if (8..=10).contains(&self.version) && request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = ResourceType::Cluster.every_operation();
        }
        response
    }

    fn topics(&self, view: View<'_>, request: &MetadataRequest, asked: &Asked) -> Vec<MetadataResponseTopic> {
        let mut topics: Vec<MetadataResponseTopic> = match asked {
            Asked::All => self.image.topics().map(|topic| self.topic(view, topic)).collect(),
            Asked::Named(names) => names
                .iter()
                .map(|name| match self.image.topic(name) {
                    Some(topic) => self.topic(view, topic),
                    None => absent(name),
                })
                .collect(),
            Asked::ById(ids) => {
                ids.iter().filter_map(|id| Some(self.topic(view, self.image.topic_by_id(*id)?))).collect()
            }
        };
        if self.version >= 8 && request.include_topic_authorized_operations {
            for topic in &mut topics {
                topic.topic_authorized_operations = ResourceType::Topic.every_operation();
            }
        }
        if let Asked::ById(ids) = asked {
            let unknown = ids.iter().filter(|id| self.image.topic_by_id(**id).is_none()).map(|id| {
                MetadataResponseTopic::default()
                    .with_error_code(ErrorCode::UnknownTopicId.code())
                    .with_name(None)
                    .with_topic_id(id.0)
            });
            topics.splice(0..0, unknown);
        }
        topics
    }

    fn topic(&self, view: View<'_>, topic: &Topic) -> MetadataResponseTopic {
        let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| self.partition(view, index, partition));
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
            .with_topic_id(topic.id.0)
            .with_is_internal(is_internal_topic(&topic.name))
            .with_partitions(partitions.collect())
    }

    fn partition(&self, view: View<'_>, index: i32, partition: &Partition) -> MetadataResponsePartition {
        let leadership = view.leadership(partition, self.version >= 6);
        let offline = view.offline(partition);
        let mut response = MetadataResponsePartition::default()
            .with_error_code(leadership.error.code())
            .with_partition_index(index)
            .with_leader_id(wire(leadership.leader))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(wire_all(&partition.replicas))
            .with_isr_nodes(wire_all(&partition.isr));
        if self.version == 0 {
            // v0 clients were told only of replicas they can reach, and that some are missing.
            response.replica_nodes.retain(|id| !offline.contains(id));
            response.isr_nodes.retain(|id| !offline.contains(id));
            if !offline.is_empty() && leadership.error == ErrorCode::None {
                response.error_code = ErrorCode::ReplicaNotAvailable.code();
            }
        }
        response.with_offline_replicas(offline)
    }
}

fn absent(name: &StrBytes) -> MetadataResponseTopic {
    let code = match check_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    MetadataResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(TopicName(name.clone())))
        .with_is_internal(is_internal_topic(name))
}
