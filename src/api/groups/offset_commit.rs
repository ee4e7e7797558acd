//! OffsetCommit (8), v2–10: stores how far a group has read.
//! v2–4 retention_time_ms · v6 leader epoch (KIP-320) · v7 group_instance_id (KIP-345) · v8 flexible ·
//! v9 GROUP_ID_NOT_FOUND, STALE_MEMBER_EPOCH (KIP-848) · v10 topic ids
//!
//! Partitions that do not exist are answered here, before and beside those that the coordinator is asked to store; a
//! request with none left never reaches it (`KafkaApis.handleOffsetCommitRequest`).

use std::ops::RangeInclusive;

use super::{answer, optional_text, text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::{
    CommitPartition, CommitRequest, CommitTopic, CommitTopicReply, PartitionError, Reply as GroupReply,
};
use crate::metadata::Image;
use crate::model::{ErrorCode, PartitionIndex, TopicId};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::protocol::message::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use crate::protocol::message::{OffsetCommitRequest, OffsetCommitResponse, TopicName};
use crate::security::{Access, Operation, ResourceType};

const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 10;

pub struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    type Response = OffsetCommitResponse;
    const KEY: ApiKey = ApiKey::OffsetCommit;
    const VERSIONS: RangeInclusive<i16> = 2..=10;
    const ACCESS: Access<OffsetCommitRequest> =
        Access::Each(&[(Operation::Read, ResourceType::Group), (Operation::Read, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: OffsetCommitRequest) -> Reply<OffsetCommitResponse> {
        let (now, version) = (cx.now, cx.version);
        let image = cx.broker.image();
        let mut topics = Vec::new();
        let mut refused = Vec::new();
        for topic in &request.topics {
            sort(&image, topic, version, &mut topics, &mut refused);
        }
        if topics.is_empty() {
            return Reply::Now(respond(refused, version));
        }
        let request = CommitRequest {
            version,
            group_id: text(&request.group_id),
            member_id: text(&request.member_id),
            group_instance_id: optional_text(request.group_instance_id.as_ref()),
            generation_id: request.generation_id_or_member_epoch,
            retention_time_ms: request.retention_time_ms,
            topics,
        };
        let asked: Vec<CommitTopicReply> = request.topics.iter().map(|topic| all(topic, ErrorCode::None)).collect();
        let group_id = request.group_id.clone();
        let called = cx
            .broker
            .groups()
            .call(cx.broker, now, &group_id, |machine, token| machine.commit_offsets(now, request, token));
        answer(called, move |reply| {
            let stored = match reply {
                Ok(GroupReply::OffsetCommit(topics)) => topics,
                Ok(_) => with_error(asked, ErrorCode::UnknownServerError),
                Err(error) => with_error(asked, error),
            };
            stored.into_iter().for_each(|topic| add(&mut refused, topic));
            respond(refused, version)
        })
    }

    fn refuse(request: &OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse {
        let topics = request.topics.iter().map(|topic| CommitTopicReply {
            name: text(&topic.name),
            topic_id: TopicId(topic.topic_id),
            partitions: errors(&topic.partitions, code),
        });
        respond(topics.collect(), if request.topics.iter().any(|topic| !topic.topic_id.is_nil()) { 10 } else { 9 })
    }
}

/// Tells partitions that exist from those that do not.
fn sort(
    image: &Image,
    topic: &OffsetCommitRequestTopic,
    version: i16,
    topics: &mut Vec<CommitTopic>,
    refused: &mut Vec<CommitTopicReply>,
) {
    let by_id = version >= FIRST_VERSION_WITH_TOPIC_IDS;
    let asked_id = TopicId(topic.topic_id);
    let known = if by_id { image.topic_by_id(asked_id) } else { image.topic(&topic.name) };
    let Some(known) = known else {
        let (topic_id, error) = match by_id {
            true => (asked_id, ErrorCode::UnknownTopicId),
            false => (TopicId::ZERO, ErrorCode::UnknownTopicOrPartition),
        };
        let partitions = errors(&topic.partitions, error);
        return add(refused, CommitTopicReply { name: text(&topic.name), topic_id, partitions });
    };
    let exists =
        |partition: &OffsetCommitRequestPartition| known.partition(PartitionIndex(partition.partition_index)).is_some();
    let (there, missing): (Vec<_>, Vec<_>) = topic.partitions.iter().partition(|partition| exists(partition));
    if !missing.is_empty() {
        let error = ErrorCode::UnknownTopicOrPartition;
        let missing = missing.iter().map(|partition| PartitionError { partition: partition.partition_index, error });
        let (name, topic_id) = (known.name.to_string(), known.id);
        add(refused, CommitTopicReply { name, topic_id, partitions: missing.collect() });
    }
    if !there.is_empty() {
        let partitions = there.into_iter().map(|partition| CommitPartition {
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: optional_text(partition.committed_metadata.as_ref()),
        });
        topics.push(CommitTopic { name: known.name.to_string(), topic_id: known.id, partitions: partitions.collect() });
    }
}

fn errors(partitions: &[OffsetCommitRequestPartition], error: ErrorCode) -> Vec<PartitionError> {
    partitions.iter().map(|partition| PartitionError { partition: partition.partition_index, error }).collect()
}

fn all(topic: &CommitTopic, error: ErrorCode) -> CommitTopicReply {
    let partitions = topic.partitions.iter().map(|partition| PartitionError { partition: partition.partition, error });
    CommitTopicReply { name: topic.name.clone(), topic_id: topic.topic_id, partitions: partitions.collect() }
}

fn with_error(mut topics: Vec<CommitTopicReply>, error: ErrorCode) -> Vec<CommitTopicReply> {
    topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|partition| partition.error = error);
    topics
}

/// One answer for each topic, also when the request names it twice or only some of its partitions exist.
fn add(topics: &mut Vec<CommitTopicReply>, topic: CommitTopicReply) {
    match topics.iter_mut().find(|known| known.name == topic.name && known.topic_id == topic.topic_id) {
        Some(known) => known.partitions.extend(topic.partitions),
        None => topics.push(topic),
    }
}

fn respond(topics: Vec<CommitTopicReply>, version: i16) -> OffsetCommitResponse {
    let by_id = version >= FIRST_VERSION_WITH_TOPIC_IDS;
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition)
                .with_error_code(partition.error.code())
        });
        let response = OffsetCommitResponseTopic::default().with_partitions(partitions.collect());
        match by_id {
            true => response.with_topic_id(topic.topic_id.0),
            false => response.with_name(TopicName(wire(topic.name))),
        }
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
