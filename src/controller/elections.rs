//! Elections that somebody asks for (KIP-460), and the ones that give leadership back to the first replicas.
//!
//! Follows `ReplicationControlManager.electLeaders` and `maybeBalancePartitionLeaders`.

use super::leadership::changed;
use super::partition_change::{Election, PartitionChange};
use super::rules::TopicRules;
use super::{Decision, Options, Refusal};
use crate::metadata::{Image, Partition, Record, Topic};
use crate::model::{BrokerId, ErrorCode, PartitionIndex};

/// `ElectionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    Preferred,
    Unclean,
}

impl ElectionType {
    /// The number on the wire. Error: INVALID_REQUEST.
    pub fn of(number: i8) -> Result<ElectionType, Refusal> {
        match number {
            0 => Ok(ElectionType::Preferred),
            1 => Ok(ElectionType::Unclean),
            _ => Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown election type {number}"))),
        }
    }
}

const NOT_NEEDED: &str = "Leader election not needed for topic partition.";

/// What became of the partitions of one topic.
pub type ElectedTopic = (String, Vec<(PartitionIndex, Result<(), Refusal>)>);

/// Decides on an ElectLeaders request; `None` means all partitions, of which those that need no election are not answered.
pub fn elect_leaders(
    image: &Image,
    options: &Options,
    election_type: ElectionType,
    topics: Option<&[(String, Vec<PartitionIndex>)]>,
) -> Decision<Vec<ElectedTopic>> {
    let mut records = Vec::new();
    let mut elected = std::collections::BTreeSet::new();
    let mut elect = |name: &str, index: PartitionIndex| {
        if elected.contains(&(name.to_owned(), index)) {
            return Err(Refusal::new(ErrorCode::ElectionNotNeeded, NOT_NEEDED));
        }
        let record = elect_one(image, options, election_type, name, index)?;
        elected.insert((name.to_owned(), index));
        records.push(record);
        Ok(())
    };
    let answer = match topics {
        Some(topics) => topics
            .iter()
            .map(|(name, indexes)| (name.clone(), indexes.iter().map(|index| (*index, elect(name, *index))).collect()))
            .collect(),
        None => image
            .topics()
            .map(|topic| {
                let all = (0..).map(PartitionIndex).take(topic.partitions.len());
                let answers = all.map(|index| (index, elect(&topic.name, index))).filter(|(_, result)| {
                    result.as_ref().err().is_none_or(|refusal| refusal.code != ErrorCode::ElectionNotNeeded)
                });
                (topic.name.to_string(), answers.collect())
            })
            .collect(),
    };
    Decision { records, answer }
}

fn elect_one(
    image: &Image,
    options: &Options,
    election_type: ElectionType,
    name: &str,
    index: PartitionIndex,
) -> Result<Record, Refusal> {
    let unknown = |what: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, what);
    let topic = image.topic(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
    let partition = topic.partition(index).ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
    let (election, is_needed, unavailable) = match election_type {
        ElectionType::Preferred => (
            Election::Preferred,
            !has_preferred_leader(partition),
            Refusal::new(ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available."),
        ),
        ElectionType::Unclean => (
            Election::Unclean,
            !partition.has_leader(),
            Refusal::new(ErrorCode::EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."),
        ),
    };
    if !is_needed {
        return Err(Refusal::new(ErrorCode::ElectionNotNeeded, NOT_NEEDED));
    }
    let state = elect(image, options, topic, partition, election).ok_or(unavailable)?;
    Ok(changed(topic, index, state))
}

fn elect(
    image: &Image,
    options: &Options,
    topic: &Topic,
    partition: &Partition,
    election: Election,
) -> Option<Partition> {
    let is_acceptable = |id| image.is_active_for(id, partition);
    let rules = TopicRules::of(image, options, &topic.name);
    let mut change = PartitionChange::new(partition, rules.min_isr, &is_acceptable);
    change.election = election;
    change.build()
}

fn has_preferred_leader(partition: &Partition) -> bool {
    partition.replicas.first() == Some(&partition.leader)
}

/// Elections of one pass: Kafka's `ReplicationControlManager.MAX_ELECTIONS_PER_IMBALANCE`.
pub const ELECTIONS_PER_PASS_MAX: usize = 1000;

/// Gives leadership back to first replicas that are in sync. The answer says whether there may be more to do.
///
/// As Kafka's controller, wherever it can: `leader.imbalance.per.broker.percentage` belonged to the older controllers.
pub fn balance(image: &Image, options: &Options) -> Decision<bool> {
    let mut records = Vec::new();
    for (topic, index, partition) in image.partitions() {
        let is_wanted = partition.replicas.first().is_some_and(|first| may_take_over(image, partition, *first));
        if has_preferred_leader(partition) || !is_wanted {
            continue;
        }
        if records.len() >= ELECTIONS_PER_PASS_MAX {
            return Decision { records, answer: true };
        }
        if let Some(state) = elect(image, options, topic, partition, Election::Preferred) {
            records.push(changed(topic, index, state));
        }
    }
    Decision { records, answer: false }
}

fn may_take_over(image: &Image, partition: &Partition, id: BrokerId) -> bool {
    partition.isr.contains(&id) && image.is_active_for(id, partition)
}
