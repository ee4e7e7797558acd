//! More partitions for topics that are there (KIP-195).
//!
//! Follows `ControllerApis.createPartitions` and `ReplicationControlManager.createPartitions`.

use std::collections::BTreeMap;

use super::placement::place;
use super::topics::{check_assignment, in_sync};
use super::{BATCH_PARTITIONS_MAX, Decision, Mutations, Refusal};
use crate::metadata::{Image, Partition, Record, Replicas, Topic};
use crate::model::{BrokerId, ErrorCode};

/// How many partitions a topic is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePartitions {
    pub name: String,
    /// In all, with those that are there.
    pub count: i32,
    /// The brokers of each new partition, the leader first; `None` lets the controller choose.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Decides on a CreatePartitions request. A topic that is named twice is refused once, before the others. `seed` chooses places.
pub fn create_partitions(
    image: &Image,
    seed: u64,
    topics: &[CreatePartitions],
    mutations: &mut Mutations,
) -> Decision<Vec<(String, Result<(), Refusal>)>> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
    let mut records = Vec::new();
    let mut answer = Vec::new();
    for (name, _) in times.iter().filter(|(_, times)| **times > 1) {
        let refusal = Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
        answer.push(((*name).to_owned(), Err(refusal)));
    }
    if topics.len() > BATCH_PARTITIONS_MAX {
        let refusal = Refusal::new(ErrorCode::PolicyViolation, super::topics::EXCESSIVE_BATCH);
        let answer = topics.iter().map(|topic| (topic.name.clone(), Err(refusal.clone())));
        return Decision { records, answer: answer.collect() };
    }
    let mut added_count = 0;
    for topic in topics.iter().filter(|topic| times[topic.name.as_str()] == 1) {
        let added = add_partitions(image, seed, topic, BATCH_PARTITIONS_MAX - added_count);
        let added = added.and_then(|added| mutations.charge(added.1.len()).map(|()| added));
        answer.push((
            topic.name.clone(),
            added.map(|(topic_id, partitions)| {
                added_count += partitions.len();
                records.push(Record::PartitionsAdded { topic_id, partitions });
            }),
        ));
    }
    Decision { records, answer }
}

fn add_partitions(
    image: &Image,
    seed: u64,
    wanted: &CreatePartitions,
    room: usize,
) -> Result<(crate::model::TopicId, Vec<Partition>), Refusal> {
    let refuse = |code, message: String| Err(Refusal::new(code, message));
    let Some(topic) = image.topic(&wanted.name) else {
        return Err(Refusal { code: ErrorCode::UnknownTopicOrPartition, message: None });
    };
    let old_count = topic.partitions.len();
    let new_count = usize::try_from(wanted.count).unwrap_or(0);
    if new_count == old_count {
        let message = format!("Topic already has {old_count} partition(s).");
        return refuse(ErrorCode::InvalidPartitions, message);
    }
    if new_count < old_count {
        let message = format!(
            "The topic {} currently has {old_count} partition(s); {} would not be an increase.",
            wanted.name, wanted.count
        );
        return refuse(ErrorCode::InvalidPartitions, message);
    }
    let additional = new_count - old_count;
    if let Some(assignments) = &wanted.assignments
        && assignments.len() != additional
    {
        let message = format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        );
        return refuse(ErrorCode::InvalidReplicaAssignment, message);
    }
    if additional > room {
        return refuse(ErrorCode::PolicyViolation, super::topics::EXCESSIVE_BATCH.into());
    }
    let factor = topic.partitions.first().expect("every topic has a partition").replicas.len();
    let partitions = match &wanted.assignments {
        Some(assignments) => assigned(image, topic, factor, assignments)?,
        None => placed(image, topic, factor, additional, seed)?,
    };
    Ok((topic.id, partitions))
}

fn assigned(
    image: &Image,
    topic: &Topic,
    factor: usize,
    assignments: &[Vec<BrokerId>],
) -> Result<Vec<Partition>, Refusal> {
    let refuse = |message: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, message);
    let first = topic.partitions.len();
    (first..)
        .zip(assignments)
        .map(|(index, brokers)| {
            check_assignment(image, brokers, Some(factor)).map_err(refuse)?;
            let replicas: Replicas = brokers.iter().copied().collect();
            in_sync(image, replicas).ok_or_else(|| refuse(super::topics::all_fenced(index)))
        })
        .collect()
}

fn placed(
    image: &Image,
    topic: &Topic,
    factor: usize,
    additional: usize,
    seed: u64,
) -> Result<Vec<Partition>, Refusal> {
    let refuse = |message: String| Refusal::new(ErrorCode::InvalidReplicationFactor, message);
    let placed = place(image, &topic.partitions, additional, factor, seed).map_err(refuse)?;
    Ok(placed.into_iter().map(|replicas| in_sync(image, replicas).expect("the first replica is alive")).collect())
}
