//! OffsetFetch (9), v1–10: how far groups have read.
//! v2 null for all topics, top-level error · v5 leader epoch (KIP-320) · v6 flexible · v7 require_stable (KIP-447) ·
//! v8 several groups (KIP-709) · v9 member id and epoch (KIP-848) · v10 topic ids
//!
//! Offsets of topics that are gone are still answered by name; with ids only what the cluster still knows.
//! Source: `KafkaApis.handleOffsetFetchRequest`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{received, text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::{FetchRequest, FetchTopic, FetchedPartition, FetchedTopic, Reply as GroupReply};
use crate::metadata::Image;
use crate::model::{ErrorCode, TopicId};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::offset_fetch_request::OffsetFetchRequestGroup;
use crate::protocol::message::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use crate::protocol::message::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};
use crate::security::{Access, Operation, ResourceType};

const FIRST_VERSION_WITH_TOP_LEVEL_ERROR: i16 = 2;
const FIRST_VERSION_WITH_GROUPS: i16 = 8;
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 10;

pub struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    type Response = OffsetFetchResponse;
    const KEY: ApiKey = ApiKey::OffsetFetch;
    const VERSIONS: RangeInclusive<i16> = 1..=10;
    const ACCESS: Access<OffsetFetchRequest> =
        Access::Each(&[(Operation::Describe, ResourceType::Group), (Operation::Describe, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: OffsetFetchRequest) -> Reply<OffsetFetchResponse> {
        let version = cx.version;
        let image = cx.broker.image();
        let asked = asked(&request, version, &image);
        let fetches: Vec<Fetch> = asked.into_iter().map(|asked| start(cx, asked, request.require_stable)).collect();
        if fetches.iter().all(|fetch| matches!(fetch.state, FetchState::Done(_))) {
            let groups = fetches.into_iter().map(|fetch| match fetch.state {
                FetchState::Done(result) => fetch.asked.finish(result, version, &image),
                FetchState::Waiting(_) => unreachable!("all are done"),
            });
            return Reply::Now(respond(groups.collect(), version));
        }
        Reply::later(async move {
            let mut groups = Vec::new();
            for Fetch { asked, state } in fetches {
                let result = match state {
                    FetchState::Done(result) => result,
                    FetchState::Waiting(receiver) => fetched(received(receiver).await),
                };
                groups.push(asked.finish(result, version, &image));
            }
            respond(groups, version)
        })
    }

    fn refuse(request: &OffsetFetchRequest, code: ErrorCode) -> OffsetFetchResponse {
        let is_batched = !request.groups.is_empty();
        let version = if is_batched { FIRST_VERSION_WITH_GROUPS } else { FIRST_VERSION_WITH_TOP_LEVEL_ERROR };
        let asked = asked(request, version, &Arc::new(Image::default()));
        let refused = asked.into_iter().map(|asked| asked.finish(Err(code), version, &Image::default()));
        respond(refused.collect(), version)
    }
}

/// One group of a request.
struct Asked {
    request: FetchRequest,
    /// Topics whose ids nobody knows.
    unknown: Vec<FetchedTopic>,
}

struct Fetch {
    asked: Asked,
    state: FetchState,
}

enum FetchState {
    Done(Result<Vec<FetchedTopic>, ErrorCode>),
    Waiting(oneshot::Receiver<GroupReply>),
}

/// A group's part of the answer.
struct Answered {
    group_id: String,
    error: ErrorCode,
    topics: Vec<(FetchedTopic, ErrorCode)>,
}

fn start(cx: &Context<'_>, asked: Asked, require_stable: bool) -> Fetch {
    let (groups, request, now) = (cx.broker.groups(), &asked.request, cx.now);
    let state = if !cx.broker.holds_leadership(now) {
        // Positions of the past would have a group read again what it has committed since. Kafka's answers them.
        FetchState::Done(Err(ErrorCode::NotCoordinator))
    } else if require_stable {
        let called = groups.call(cx.broker, now, &request.group_id, |machine, token| {
            machine.fetch_stable_offsets(now, request, token)
        });
        match called {
            Ok(mut receiver) => match receiver.try_recv() {
                Ok(reply) => FetchState::Done(fetched(Ok(reply))),
                Err(_) => FetchState::Waiting(receiver),
            },
            Err(error) => FetchState::Done(Err(error)),
        }
    } else {
        FetchState::Done(groups.read(cx.broker, now, &request.group_id, |machine| machine.fetch_offsets(request)))
    };
    Fetch { asked, state }
}

fn fetched(reply: Result<GroupReply, ErrorCode>) -> Result<Vec<FetchedTopic>, ErrorCode> {
    match reply? {
        GroupReply::OffsetFetch { error: ErrorCode::None, topics } => Ok(topics),
        // Consumers before 3.9 do not know the other code here (`GroupCoordinatorService.handleOffsetFetchException`).
        GroupReply::OffsetFetch { error: ErrorCode::CoordinatorNotAvailable, .. } => Err(ErrorCode::NotCoordinator),
        GroupReply::OffsetFetch { error, .. } => Err(error),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

fn asked(request: &OffsetFetchRequest, version: i16, image: &Image) -> Vec<Asked> {
    if version >= FIRST_VERSION_WITH_GROUPS {
        return request.groups.iter().map(|group| asked_group(group, version, image)).collect();
    }
    let topics = request.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|topic| FetchTopic {
            name: text(&topic.name),
            topic_id: TopicId::ZERO,
            partitions: topic.partition_indexes.clone(),
        });
        topics.collect()
    });
    vec![Asked { request: FetchRequest { group_id: text(&request.group_id), topics }, unknown: Vec::new() }]
}

fn asked_group(group: &OffsetFetchRequestGroup, version: i16, image: &Image) -> Asked {
    let mut unknown = Vec::new();
    let mut by_id = |topic_id: TopicId, partitions: &[i32]| {
        if let Some(topic) = image.topic_by_id(topic_id) {
            return Some(topic.name.to_string());
        }
        let nothing = |partition: &i32| FetchedPartition {
            partition: *partition,
            offset: -1,
            leader_epoch: -1,
            metadata: String::new(),
        };
        let partitions = partitions.iter().map(nothing).collect();
        unknown.push(FetchedTopic { name: String::new(), topic_id, partitions });
        None
    };
    let topics = group.topics.as_ref().map(|topics| {
        let topics = topics.iter().filter_map(|topic| {
            let topic_id = TopicId(topic.topic_id);
            let name = match version >= FIRST_VERSION_WITH_TOPIC_IDS {
                true => by_id(topic_id, &topic.partition_indexes)?,
                false => text(&topic.name),
            };
            Some(FetchTopic { name, topic_id, partitions: topic.partition_indexes.clone() })
        });
        topics.collect()
    });
    Asked { request: FetchRequest { group_id: text(&group.group_id), topics }, unknown }
}

impl Asked {
    fn finish(self, result: Result<Vec<FetchedTopic>, ErrorCode>, version: i16, image: &Image) -> Answered {
        let FetchRequest { group_id, topics } = self.request;
        match result {
            Ok(mut found) => {
                if version >= FIRST_VERSION_WITH_TOPIC_IDS && topics.is_none() {
                    found.retain_mut(|topic| {
                        let known = image.topic(&topic.name);
                        topic.topic_id = known.map_or(TopicId::ZERO, |known| known.id);
                        known.is_some()
                    });
                }
                let unknown = self.unknown.into_iter().map(|topic| (topic, ErrorCode::UnknownTopicId));
                let topics = found.into_iter().map(|topic| (topic, ErrorCode::None)).chain(unknown).collect();
                Answered { group_id, error: ErrorCode::None, topics }
            }
            Err(error) if version >= FIRST_VERSION_WITH_TOP_LEVEL_ERROR => {
                Answered { group_id, error, topics: Vec::new() }
            }
            // v1 has errors of partitions only.
            Err(error) => {
                let nothing = |topic: FetchTopic| FetchedTopic {
                    name: topic.name,
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partitions
                        .into_iter()
                        .map(|partition| FetchedPartition {
                            partition,
                            offset: -1,
                            leader_epoch: -1,
                            metadata: String::new(),
                        })
                        .collect(),
                };
                let topics = topics.into_iter().flatten().map(|topic| (nothing(topic), error)).collect();
                Answered { group_id, error: ErrorCode::None, topics }
            }
        }
    }
}

fn respond(groups: Vec<Answered>, version: i16) -> OffsetFetchResponse {
    if version >= FIRST_VERSION_WITH_GROUPS {
        let groups = groups.into_iter().map(|group| respond_group(group, version));
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let mut response = OffsetFetchResponse::default();
    for group in groups {
        response.error_code = group.error.code();
        response.topics = group.topics.into_iter().map(|(topic, error)| respond_topic(topic, error, version)).collect();
    }
    response
}

fn respond_topic(topic: FetchedTopic, error: ErrorCode, version: i16) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition)
            .with_committed_offset(partition.offset)
            .with_committed_leader_epoch(if version >= 5 { partition.leader_epoch } else { -1 })
            .with_metadata(Some(wire(partition.metadata)))
            .with_error_code(error.code())
    });
    OffsetFetchResponseTopic::default().with_name(TopicName(wire(topic.name))).with_partitions(partitions.collect())
}

fn respond_group(group: Answered, version: i16) -> OffsetFetchResponseGroup {
    let topics = group.topics.into_iter().map(|(topic, error)| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(partition.offset)
                .with_committed_leader_epoch(partition.leader_epoch)
                .with_metadata(Some(wire(partition.metadata)))
                .with_error_code(error.code())
        });
        let response = OffsetFetchResponseTopics::default().with_partitions(partitions.collect());
        match version >= FIRST_VERSION_WITH_TOPIC_IDS {
            true => response.with_topic_id(topic.topic_id.0),
            false => response.with_name(TopicName(wire(topic.name))),
        }
    });
    OffsetFetchResponseGroup::default()
        .with_group_id(GroupId(wire(group.group_id)))
        .with_error_code(group.error.code())
        .with_topics(topics.collect())
}
