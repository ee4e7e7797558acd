//! A leader asks for another ISR (KIP-497, KIP-841, KIP-903).
//!
//! Follows `ReplicationControlManager.alterPartition` and `validateAlterPartitionData`, check by check. A replica may come into
//! the ISR only if it is alive, stays, and is the same start of the broker that the leader saw catching up: a broker that was
//! restarted meanwhile may have less than it had.

use super::leadership::{changed, online_or_unclean};
use super::liveness::check_broker_epoch;
use super::partition_change::PartitionChange;
use super::rules::TopicRules;
use super::{Decision, Options, Refusal};
use crate::metadata::{Image, LeaderRecoveryState, Partition, Topic};
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId};

/// A member of the ISR that a leader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrMember {
    pub broker_id: BrokerId,
    /// The broker epoch in which the leader saw it in sync; -1 when that is not said (before v3).
    pub broker_epoch: i64,
}

/// The ISR that a leader wants for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    pub topic_id: TopicId,
    pub partition: PartitionIndex,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    pub isr: Vec<IsrMember>,
    /// [`LeaderRecoveryState`] by its number. Our leaders have recovered when they begin to lead.
    pub leader_recovery_state: i8,
}

/// Decides on the partitions of one request, one by one. Answers the new state of each, or why it stays as it is. Error for the
/// whole request: STALE_BROKER_EPOCH.
pub fn alter_partition(
    image: &Image,
    options: &Options,
    broker_id: BrokerId,
    broker_epoch: i64,
    requests: &[AlterPartition],
) -> Result<Decision<Vec<Result<Partition, ErrorCode>>>, Refusal> {
    check_broker_epoch(image, broker_id, broker_epoch)?;
    let mut records = Vec::new();
    let mut answer = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for request in requests {
        // Decisions read the image, which does not know the first of two changes of one partition.
        if !seen.insert((request.topic_id, request.partition)) {
            answer.push(Err(ErrorCode::InvalidUpdateVersion));
            continue;
        }
        answer.push(alter_one(image, options, broker_id, request).and_then(|(topic, partition, state)| {
            let Some(state) = state else { return Ok(partition.clone()) };
            records.push(changed(topic, request.partition, state.clone()));
            // The leader changes when the change completes a reassignment that takes the leader away: the record is written all
            // the same, and the old leader is told to look at the metadata.
            if state.leader == broker_id { Ok(state) } else { Err(ErrorCode::NewLeaderElected) }
        }));
    }
    Ok(Decision { records, answer })
}

/// The partition, and its new state if it changes.
type Altered<'a> = (&'a Topic, &'a Partition, Option<Partition>);

fn alter_one<'a>(
    image: &'a Image,
    options: &Options,
    broker_id: BrokerId,
    request: &AlterPartition,
) -> Result<Altered<'a>, ErrorCode> {
    let topic = image.topic_by_id(request.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partition(request.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_epochs(partition, broker_id, request)?;
    check_isr(image, partition, request)?;
    let leader_recovery_state = recovery_state(partition, request)?;
    let rules = TopicRules::of(image, options, &topic.name);
    let is_acceptable = |id| image.is_active_for(id, partition);
    let mut change = PartitionChange::new(partition, rules.min_isr, &is_acceptable);
    change.isr = request.isr.iter().map(|member| member.broker_id).collect();
    change.election = online_or_unclean(rules);
    change.leader_recovery_state = leader_recovery_state;
    let state = change.build();
    Ok((topic, partition, state))
}

fn check_epochs(partition: &Partition, broker_id: BrokerId, request: &AlterPartition) -> Result<(), ErrorCode> {
    // A leader that knows more than this image: we are no longer the controller, and do not know it yet.
    if request.leader_epoch > partition.leader_epoch || request.partition_epoch > partition.partition_epoch {
        return Err(ErrorCode::NotController);
    }
    if request.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if partition.leader != broker_id {
        return Err(ErrorCode::InvalidRequest);
    }
    if request.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    Ok(())
}

fn check_isr(image: &Image, partition: &Partition, request: &AlterPartition) -> Result<(), ErrorCode> {
    let mut ids: Vec<BrokerId> = request.isr.iter().map(|member| member.broker_id).collect();
    ids.sort_unstable();
    let is_twice = ids.windows(2).any(|pair| pair[0] == pair[1]);
    if is_twice || ids.iter().any(|id| !partition.replicas.contains(id)) || !ids.contains(&partition.leader) {
        return Err(ErrorCode::InvalidRequest);
    }
    if request.isr.iter().any(|member| !is_eligible(image, partition, member)) {
        return Err(ErrorCode::IneligibleReplica);
    }
    Ok(())
}

/// What the leader says of its recovery. One that is recovering has nobody else in sync, and one that has recovered stays so.
fn recovery_state(partition: &Partition, request: &AlterPartition) -> Result<LeaderRecoveryState, ErrorCode> {
    let state = LeaderRecoveryState::of(request.leader_recovery_state).ok_or(ErrorCode::InvalidRequest)?;
    let had_recovered = partition.leader_recovery_state == LeaderRecoveryState::Recovered;
    if state == LeaderRecoveryState::Recovering && (had_recovered || request.isr.len() > 1) {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(state)
}

/// Alive, not on its way out, with the replica's directory, and the same start of the broker that the leader means.
fn is_eligible(image: &Image, partition: &Partition, member: &IsrMember) -> bool {
    let is_active = image.is_active_for(member.broker_id, partition);
    let broker = image.broker(member.broker_id).filter(|_| is_active);
    broker.is_some_and(|broker| member.broker_epoch == -1 || member.broker_epoch == broker.epoch)
}
