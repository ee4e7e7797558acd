//! In which of its directories a broker has its replicas: told by the broker, kept in the partition's state (KIP-858).
//!
//! Follows `ReplicationControlManager.handleAssignReplicasToDirs`. Where we are stricter than Kafka: a replica that was told to
//! lie in a directory that the broker does not have any more, and is now told to lie in another, is a new log. It is eligible
//! for nothing.

use uuid::Uuid;

use super::leadership::{self, Leaving, changed};
use super::liveness::check_broker_epoch;
use super::{Decision, Options, Refusal};
use crate::metadata::{Broker, Image, Partition, Record, Topic};
use crate::model::{BrokerId, ErrorCode, PartitionIndex, TopicId};

/// Where one replica lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub directory: Uuid,
    pub topic_id: TopicId,
    pub partition: PartitionIndex,
}

/// Notes where a broker's replicas lie; one answer for each, in their order. Errors: STALE_BROKER_EPOCH for the whole;
/// UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER where the broker has no replica.
pub fn assign_replicas_to_dirs(
    image: &Image,
    options: &Options,
    broker_id: BrokerId,
    broker_epoch: i64,
    assignments: &[Assignment],
) -> Result<Decision<Vec<Result<(), ErrorCode>>>, Refusal> {
    let broker = check_broker_epoch(image, broker_id, broker_epoch)?;
    let mut records: Vec<Record> = Vec::new();
    let assigned = |assignment: &Assignment| {
        let (topic, partition) = find(image, broker_id, assignment)?;
        records.extend(assign(image, options, broker, topic, partition, assignment));
        Ok(())
    };
    let answer = assignments.iter().map(assigned).collect();
    Ok(Decision { records, answer })
}

fn find<'a>(
    image: &'a Image,
    broker_id: BrokerId,
    assignment: &Assignment,
) -> Result<(&'a Topic, &'a Partition), ErrorCode> {
    let topic = image.topic_by_id(assignment.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partition(assignment.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    match partition.replicas.contains(&broker_id) {
        true => Ok((topic, partition)),
        false => Err(ErrorCode::NotLeaderOrFollower),
    }
}

fn assign(
    image: &Image,
    options: &Options,
    broker: &Broker,
    topic: &Topic,
    partition: &Partition,
    assignment: &Assignment,
) -> Option<Record> {
    let is_online = broker.directories.contains(&assignment.directory);
    let leaving = match (is_online, broker.has_replica_online(partition)) {
        (true, true) => None,
        (true, false) => Some(Leaving::WithItsLogs),
        // It failed before it was told.
        (false, _) => Some(Leaving::Unclean),
    };
    let left =
        leaving.and_then(|leaving| leadership::without_replica(image, options, topic, partition, broker.id, leaving));
    let mut state = match left {
        Some(left) => left,
        None if partition.directory_of(broker.id) == Some(assignment.directory) => return None,
        None => Partition { partition_epoch: partition.partition_epoch + 1, ..partition.clone() },
    };
    state.set_directory(broker.id, assignment.directory);
    let state = leadership::elect_if_leaderless(image, options, topic, &state).unwrap_or(state);
    Some(changed(topic, assignment.partition, state))
}
