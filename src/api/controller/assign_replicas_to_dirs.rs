//! AssignReplicasToDirs (73), v0: a broker with several log directories tells where its replicas lie (KIP-858).
//!
//! Source: `ControllerApis.handleAssignReplicasToDirs`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::Assignment;
use crate::model::{BrokerId, ErrorCode, PartitionIndex, TopicId};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::assign_replicas_to_dirs_response as answered;
use crate::protocol::message::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct AssignReplicasToDirs;

impl Api for AssignReplicasToDirs {
    type Request = AssignReplicasToDirsRequest;
    type Response = AssignReplicasToDirsResponse;
    const KEY: ApiKey = ApiKey::AssignReplicasToDirs;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<AssignReplicasToDirsRequest> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;

    fn handle(cx: &Context<'_>, request: AssignReplicasToDirsRequest) -> Reply<AssignReplicasToDirsResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            let id = BrokerId(request.broker_id.0);
            match broker.assign_replicas_to_dirs(id, request.broker_epoch, assignments(&request)).await {
                Ok(results) => answer(&request, results),
                Err(refusal) => Self::refuse(&request, refusal.code),
            }
        })
    }

    fn refuse(_: &AssignReplicasToDirsRequest, code: ErrorCode) -> AssignReplicasToDirsResponse {
        AssignReplicasToDirsResponse::default().with_error_code(code.code())
    }
}

fn assignments(request: &AssignReplicasToDirsRequest) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for directory in &request.directories {
        for topic in &directory.topics {
            assignments.extend(topic.partitions.iter().map(|partition| Assignment {
                directory: directory.id,
                topic_id: TopicId(topic.topic_id),
                partition: PartitionIndex(partition.partition_index),
            }));
        }
    }
    assignments
}

/// Results come in the order of the request's partitions.
fn answer(request: &AssignReplicasToDirsRequest, results: Vec<Result<(), ErrorCode>>) -> AssignReplicasToDirsResponse {
    let mut codes = results.into_iter().map(|result| result.err().unwrap_or(ErrorCode::None).code());
    let mut directories = Vec::new();
    for directory in &request.directories {
        let mut topics = Vec::new();
        for topic in &directory.topics {
            let partitions = topic.partitions.iter().zip(&mut codes).map(|(partition, code)| {
                answered::PartitionData::default().with_partition_index(partition.partition_index).with_error_code(code)
            });
            topics.push(
                answered::TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect()),
            );
        }
        directories.push(answered::DirectoryData::default().with_id(directory.id).with_topics(topics));
    }
    AssignReplicasToDirsResponse::default().with_directories(directories)
}
