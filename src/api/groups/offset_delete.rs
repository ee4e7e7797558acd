//! OffsetDelete (47), v0: forgets offsets of a group that does not read their topics (KIP-496).

use std::ops::RangeInclusive;

use super::{answer, text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::{DeleteTopic, PartitionError, Reply as GroupReply, TopicErrors};
use crate::metadata::Image;
use crate::model::{ErrorCode, PartitionIndex};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::offset_delete_request::OffsetDeleteRequestTopic;
use crate::protocol::message::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use crate::protocol::message::{OffsetDeleteRequest, OffsetDeleteResponse, TopicName};
use crate::security::{Access, Operation, ResourceType};

pub struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    type Response = OffsetDeleteResponse;
    const KEY: ApiKey = ApiKey::OffsetDelete;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<OffsetDeleteRequest> =
        Access::Each(&[(Operation::Delete, ResourceType::Group), (Operation::Read, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: OffsetDeleteRequest) -> Reply<OffsetDeleteResponse> {
        let image = cx.broker.image();
        let mut topics = Vec::new();
        let mut refused = Vec::new();
        for topic in &request.topics {
            sort(&image, topic, &mut topics, &mut refused);
        }
        // Also with no topic left: the group itself may be wrong.
        let called = cx.broker.groups().call(cx.broker, cx.now, &request.group_id, |machine, token| {
            machine.delete_offsets(cx.now, &request.group_id, topics, token)
        });
        answer(called, move |reply| match reply {
            Ok(GroupReply::OffsetDelete { error: ErrorCode::None, topics }) => {
                topics.into_iter().for_each(|topic| add(&mut refused, topic));
                respond(refused)
            }
            Ok(GroupReply::OffsetDelete { error, .. }) | Err(error) => refuse(error),
            Ok(_) => refuse(ErrorCode::UnknownServerError),
        })
    }

    fn refuse(_request: &OffsetDeleteRequest, code: ErrorCode) -> OffsetDeleteResponse {
        refuse(code)
    }
}

/// Tells partitions that exist from those that do not.
fn sort(
    image: &Image,
    topic: &OffsetDeleteRequestTopic,
    topics: &mut Vec<DeleteTopic>,
    refused: &mut Vec<TopicErrors>,
) {
    let known = image.topic(&topic.name);
    let exists = |index: &i32| known.is_some_and(|known| known.partition(PartitionIndex(*index)).is_some());
    let asked = topic.partitions.iter().map(|partition| partition.partition_index);
    let (there, missing): (Vec<i32>, Vec<i32>) = asked.partition(exists);
    if !missing.is_empty() || known.is_none() {
        let error = ErrorCode::UnknownTopicOrPartition;
        let partitions = missing.into_iter().map(|partition| PartitionError { partition, error }).collect();
        add(refused, TopicErrors { name: text(&topic.name), partitions });
    }
    if !there.is_empty() {
        topics.push(DeleteTopic { name: text(&topic.name), partitions: there });
    }
}

/// One answer for each topic.
fn add(topics: &mut Vec<TopicErrors>, topic: TopicErrors) {
    match topics.iter_mut().find(|known| known.name == topic.name) {
        Some(known) => known.partitions.extend(topic.partitions),
        None => topics.push(topic),
    }
}

fn refuse(code: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse::default().with_error_code(code.code())
}

fn respond(topics: Vec<TopicErrors>) -> OffsetDeleteResponse {
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition)
                .with_error_code(partition.error.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(TopicName(wire(topic.name)))
            .with_partitions(partitions.collect())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
