//! Moving partitions to other brokers (KIP-455): begun here, ended by the AlterPartition that brings the last replica in.
//!
//! Follows `ReplicationControlManager.alterPartitionReassignments` and `PartitionReassignmentRevert`. While it lasts, a
//! partition's replicas are the wanted ones, in their order, and behind them those that will go.

use std::collections::BTreeSet;

use super::leadership::{changed, online_or_unclean};
use super::partition_change::PartitionChange;
use super::rules::TopicRules;
use super::topics::check_assignment;
use super::{Decision, Options, Refusal};
use crate::metadata::{Image, Partition, Record, Replicas, Topic};
use crate::model::{BrokerId, ErrorCode, PartitionIndex};

/// Where one partition is to go; `None` takes a reassignment back.
pub type Target = (PartitionIndex, Option<Vec<BrokerId>>);

/// What became of the partitions of one topic.
pub type ReassignedTopic = (String, Vec<(PartitionIndex, Result<(), Refusal>)>);

/// Decides on an AlterPartitionReassignments request. `may_change_factor`: whether a partition may get more or fewer replicas
/// than it has (v1).
pub fn alter_partition_reassignments(
    image: &Image,
    options: &Options,
    may_change_factor: bool,
    topics: &[(String, Vec<Target>)],
) -> Decision<Vec<ReassignedTopic>> {
    let mut records = Vec::new();
    let mut seen = BTreeSet::new();
    let mut reassign = |name: &str, (index, target): &Target| {
        let state = reassign_one(image, options, may_change_factor, name, *index, target.as_deref())?;
        // Decisions read the image, which does not know the first of two changes of one partition.
        if !seen.insert((name.to_owned(), *index)) {
            return Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate partition in request."));
        }
        records.extend(state);
        Ok(())
    };
    let answer = topics
        .iter()
        .map(|(name, targets)| {
            (name.clone(), targets.iter().map(|target| (target.0, reassign(name, target))).collect())
        })
        .collect();
    Decision { records, answer }
}

fn reassign_one(
    image: &Image,
    options: &Options,
    may_change_factor: bool,
    name: &str,
    index: PartitionIndex,
    target: Option<&[BrokerId]>,
) -> Result<Option<Record>, Refusal> {
    let unknown = |message: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, message);
    let topic = image.topic(name).ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition =
        topic.partition(index).ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
    let rules = TopicRules::of(image, options, name);
    let state = match target {
        None => cancel(image, rules, topic, index, partition)?,
        Some(target) => begin(image, rules, may_change_factor, partition, target)?,
    };
    Ok(state.map(|state| changed(topic, index, state)))
}

fn begin(
    image: &Image,
    rules: TopicRules,
    may_change_factor: bool,
    partition: &Partition,
    target: &[BrokerId],
) -> Result<Option<Partition>, Refusal> {
    check_assignment(image, target, None)
        .map_err(|message| Refusal::new(ErrorCode::InvalidReplicaAssignment, message))?;
    // Where it was going before, if it was (`validatePartitionReplicationFactorUnchanged`).
    let factor = partition.replicas.iter().filter(|id| !partition.removing_replicas.contains(id)).count();
    if !may_change_factor && target.len() != factor {
        let message = format!("The replication factor is changed from {factor} to {}", target.len());
        return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
    }
    let mut removing: Replicas = partition.replicas.iter().copied().filter(|id| !target.contains(id)).collect();
    removing.sort_unstable();
    // A replica that an earlier reassignment was bringing in is still being brought in.
    let is_new = |id: &BrokerId| !partition.replicas.contains(id) || partition.adding_replicas.contains(id);
    let mut adding: Replicas = target.iter().copied().filter(is_new).collect();
    adding.sort_unstable();
    let is_acceptable = |id| image.is_active_for(id, partition);
    let mut change = PartitionChange::new(partition, rules.min_isr, &is_acceptable);
    change.replicas = target.iter().chain(&removing).copied().collect();
    change.adding_replicas = adding;
    change.removing_replicas = removing;
    Ok(change.build())
}

fn cancel(
    image: &Image,
    rules: TopicRules,
    topic: &Topic,
    index: PartitionIndex,
    partition: &Partition,
) -> Result<Option<Partition>, Refusal> {
    if !partition.is_reassigning() {
        return Err(Refusal { code: ErrorCode::NoReassignmentInProgress, message: None });
    }
    let original = |replicas: &Replicas| -> Replicas {
        replicas.iter().copied().filter(|id| !partition.adding_replicas.contains(id)).collect()
    };
    let (replicas, mut isr) = (original(&partition.replicas), original(&partition.isr));
    if isr.is_empty() {
        if !rules.unclean_election {
            let message = format!(
                "Unable to revert partition assignment for {}:{index} because it would require an unclean leader election.",
                topic.name
            );
            return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        isr.extend(replicas.first().copied());
    }
    let is_acceptable = |id| image.is_active_for(id, partition);
    let mut change = PartitionChange::new(partition, rules.min_isr, &is_acceptable);
    change.replicas = replicas;
    change.isr = isr;
    change.adding_replicas = Replicas::new();
    change.removing_replicas = Replicas::new();
    change.election = online_or_unclean(rules);
    Ok(change.build())
}

/// A partition that is being moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassigning {
    pub partition: PartitionIndex,
    pub replicas: Replicas,
    pub adding_replicas: Replicas,
    pub removing_replicas: Replicas,
}

/// The partitions that are being moved: of these topics, or of all.
pub fn list_partition_reassignments(
    image: &Image,
    topics: Option<&[(String, Vec<PartitionIndex>)]>,
) -> Vec<(String, Vec<Reassigning>)> {
    let of = |topic: &Topic, index: PartitionIndex| {
        let partition = topic.partition(index).filter(|partition| partition.is_reassigning())?;
        Some(Reassigning {
            partition: index,
            replicas: partition.replicas.clone(),
            adding_replicas: partition.adding_replicas.clone(),
            removing_replicas: partition.removing_replicas.clone(),
        })
    };
    let listed = match topics {
        Some(topics) => topics
            .iter()
            .filter_map(|(name, indexes)| {
                let topic = image.topic(name)?;
                Some((name.clone(), indexes.iter().filter_map(|index| of(topic, *index)).collect::<Vec<_>>()))
            })
            .collect::<Vec<_>>(),
        None => image
            .topics()
            .map(|topic| {
                let all = (0..).map(PartitionIndex).take(topic.partitions.len());
                (topic.name.to_string(), all.filter_map(|index| of(topic, index)).collect())
            })
            .collect(),
    };
    listed.into_iter().filter(|(_, partitions)| !partitions.is_empty()).collect()
}
