//! DescribeTopicPartitions (75), v0: topics by name, page by page, with their eligible leader replicas (KIP-966).
//!
//! Source: `DescribeTopicPartitionsRequestHandler`, `KRaftMetadataCache.describeTopicResponse`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::view::{View, wire, wire_all};
use crate::api::{Api, Context, Reply};
use crate::metadata::{Image, Topic};
use crate::model::{ErrorCode, check_topic_name, is_internal_topic};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use crate::protocol::message::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, StrBytes, TopicName,
    describe_topic_partitions_request,
};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct DescribeTopicPartitions;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    type Response = DescribeTopicPartitionsResponse;
    const KEY: ApiKey = ApiKey::DescribeTopicPartitions;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<DescribeTopicPartitionsRequest> = Access::Each(&[(Operation::Describe, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: DescribeTopicPartitionsRequest) -> Reply<DescribeTopicPartitionsResponse> {
        if let Some(cursor) = &request.cursor {
            let is_listed =
                request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
            if cursor.partition_index < 0 || !is_listed {
                return Reply::Now(DescribeTopicPartitions::refuse(&request, ErrorCode::InvalidRequest));
            }
        }
        let image = cx.broker.image();
        let view = View::new(cx.broker, &image, cx.connection);
        let most = cx.broker.settings().get_i32("max.request.partition.size.limit");
        let limit = usize::try_from(request.response_partition_limit.min(most).max(1)).expect("at least 1");
        Reply::Now(page(view, names(&image, &request), request.cursor.as_ref(), limit))
    }

    fn refuse(request: &DescribeTopicPartitionsRequest, code: ErrorCode) -> DescribeTopicPartitionsResponse {
        let topics = request.topics.iter().map(|topic| {
            DescribeTopicPartitionsResponseTopic::default()
                .with_error_code(code.code())
                .with_name(Some(topic.name.clone()))
        });
        DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
    }
}

/// The topics from the cursor on, by rising name; all that there are when none is named.
fn names<'a>(image: &'a Image, request: &'a DescribeTopicPartitionsRequest) -> Vec<&'a str> {
    let first = request.cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
    if request.topics.is_empty() {
        return image.topics_from(first).map(|topic| &*topic.name).collect();
    }
    let names: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    names.into_iter().filter(|name| *name >= first).collect()
}

fn page(
    view: View<'_>,
    names: Vec<&str>,
    cursor: Option<&describe_topic_partitions_request::Cursor>,
    limit: usize,
) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut remaining = limit;
    for name in names {
        if remaining == 0 {
            return response.with_next_cursor(Some(cursor_at(name, 0)));
        }
        let Some(topic) = view.image.topic(name) else {
            response.topics.push(absent(name));
            continue;
        };
        let start =
            cursor.filter(|cursor| cursor.topic_name.as_str() == name).map_or(0, |cursor| cursor.partition_index);
        let start = usize::try_from(start).expect("checked to be positive").min(topic.partitions.len());
        let end = topic.partitions.len().min(start + remaining);
        response.topics.push(described(view, topic, start..end));
        if end < topic.partitions.len() {
            return response.with_next_cursor(Some(cursor_at(name, end)));
        }
        remaining -= end - start;
    }
    response
}

fn cursor_at(name: &str, partition: usize) -> Cursor {
    let partition = i32::try_from(partition).expect("partitions are numbered by i32");
    Cursor::default().with_topic_name(topic_name(name)).with_partition_index(partition)
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn described(view: View<'_>, topic: &Topic, range: std::ops::Range<usize>) -> DescribeTopicPartitionsResponseTopic {
    let partitions = range.map(|index| {
        let partition = &topic.partitions[index];
        // Without a leader it has no error here, unlike in Metadata (`KRaftMetadataCache.partitionMetadataForDescribeTopicResponse`).
        let leadership = view.leadership(partition, true);
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(i32::try_from(index).expect("partitions are numbered by i32"))
            .with_leader_id(wire(leadership.leader))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(wire_all(&partition.replicas))
            .with_isr_nodes(wire_all(&partition.isr))
            .with_eligible_leader_replicas(Some(wire_all(&partition.elr)))
            .with_last_known_elr(Some(wire_all(&partition.last_known_elr)))
            .with_offline_replicas(view.offline(partition))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id.0)
        .with_is_internal(is_internal_topic(&topic.name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(ResourceType::Topic.every_operation())
}

fn absent(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match check_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(topic_name(name)))
        .with_is_internal(is_internal_topic(name))
        .with_topic_authorized_operations(ResourceType::Topic.every_operation())
}
