//! AlterPartition (56), v2–3: the leader of partitions asks the active controller for other in-sync replicas (KIP-497).
//! v2 topic ids · v3 broker epochs of the replicas (KIP-903)
//!
//! Source: `ControllerApis.handleAlterPartitionRequest`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{self, IsrMember};
use crate::metadata::Partition;
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::alter_partition_request as asked;
use crate::protocol::message::alter_partition_response as answered;
use crate::protocol::message::{AlterPartitionRequest, AlterPartitionResponse, WireBrokerId};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct AlterPartition;

impl Api for AlterPartition {
    type Request = AlterPartitionRequest;
    type Response = AlterPartitionResponse;
    const KEY: ApiKey = ApiKey::AlterPartition;
    const VERSIONS: RangeInclusive<i16> = 2..=3;
    const ACCESS: Access<AlterPartitionRequest> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;

    fn handle(cx: &Context<'_>, request: AlterPartitionRequest) -> Reply<AlterPartitionResponse> {
        let (broker, version) = (Arc::clone(cx.broker), cx.version);
        Reply::later(async move {
            let of_topic = |topic: &asked::TopicData| {
                let id = TopicId(topic.topic_id);
                topic.partitions.iter().map(|partition| wanted(id, partition, version)).collect::<Vec<_>>()
            };
            let requests = request.topics.iter().flat_map(of_topic).collect();
            let leader = BrokerId(request.broker_id.0);
            match broker.alter_partition(leader, request.broker_epoch, requests).await {
                Ok(results) => answer(&request, results),
                Err(refusal) => Self::refuse(&request, refusal.code),
            }
        })
    }

    fn refuse(_: &AlterPartitionRequest, code: ErrorCode) -> AlterPartitionResponse {
        AlterPartitionResponse::default().with_error_code(code.code())
    }
}

fn wanted(topic_id: TopicId, partition: &asked::PartitionData, version: i16) -> controller::AlterPartition {
    let isr = match version {
        2 => partition.new_isr.iter().map(|id| IsrMember { broker_id: BrokerId(id.0), broker_epoch: -1 }).collect(),
        _ => partition
            .new_isr_with_epochs
            .iter()
            .map(|member| IsrMember { broker_id: BrokerId(member.broker_id.0), broker_epoch: member.broker_epoch })
            .collect(),
    };
    controller::AlterPartition {
        topic_id,
        partition: PartitionIndex(partition.partition_index),
        leader_epoch: LeaderEpoch(partition.leader_epoch),
        partition_epoch: partition.partition_epoch,
        isr,
        leader_recovery_state: partition.leader_recovery_state,
    }
}

/// Results come in the order of the request's partitions.
fn answer(request: &AlterPartitionRequest, results: Vec<Result<Partition, ErrorCode>>) -> AlterPartitionResponse {
    let mut results = results.into_iter();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut results).map(|(partition, result)| {
            let answer = answered::PartitionData::default().with_partition_index(partition.partition_index);
            match result {
                Ok(state) => answer
                    .with_leader_id(WireBrokerId(state.leader.0))
                    .with_leader_epoch(state.leader_epoch.0)
                    .with_isr(state.isr.iter().map(|id| WireBrokerId(id.0)).collect())
                    .with_partition_epoch(state.partition_epoch)
                    .with_leader_recovery_state(state.leader_recovery_state as i8),
                Err(code) => answer.with_error_code(code.code()),
            }
        });
        answered::TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
    });
    AlterPartitionResponse::default().with_topics(topics.collect())
}
