//! What a broker's coming and going means for the partitions it has.
//!
//! Follows `ReplicationControlManager.handleBrokerFenced`, `handleBrokerUnfenced`, `handleBrokerInControlledShutdown`,
//! `handleBrokerShutdown` and `generateLeaderAndIsrUpdates`. Kafka excludes from the ELR every replica of a broker that did not
//! stop cleanly, since it may have lost what it had not flushed. We do so where the page cache counts; where only flushed
//! records count, what such a replica had reported is still on its disk, and it stays eligible. A broker that comes without
//! its only old directory has lost its logs either way; of several, those in the missing one wait for it.

use super::Options;
use super::partition_change::{Departure, Election, PartitionChange};
use super::rules::TopicRules;
use crate::config::Durability;
use crate::metadata::{Broker, Image, Partition, Record, Topic};
use crate::model::{BrokerId, PartitionIndex};
use uuid::Uuid;

/// How a broker left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It was fenced, or stops, or has come back after a clean stop.
    Clean,
    /// It has come back, and the stop before was no clean one.
    Unclean,
    /// It has come back without its directory, or is given up for good.
    WithItsLogs,
}

/// Takes a broker out of every ISR and out of leadership; out of the ELR too, where what it has is in doubt.
pub fn without_broker(image: &Image, options: &Options, id: BrokerId, leaving: Leaving) -> Vec<Record> {
    without_replicas(image, options, id, |_| Some(leaving))
}

/// As [`without_broker`], for the partitions that its failed directories hold. They come back with the directories, which keep
/// what was flushed.
pub fn without_directories(image: &Image, options: &Options, broker: &Broker, failed: &[Uuid]) -> Vec<Record> {
    without_replicas(image, options, broker.id, |partition| {
        let is_there = broker.directory_of(partition).is_some_and(|directory| failed.contains(&directory));
        is_there.then_some(Leaving::Unclean)
    })
}

/// As [`without_broker`], where `leaving` says how the broker left a partition, if it has.
pub fn without_replicas(
    image: &Image,
    options: &Options,
    id: BrokerId,
    leaving: impl Fn(&Partition) -> Option<Leaving>,
) -> Vec<Record> {
    change_each(image, options, |partition, rules| depart(image, partition, rules, id, leaving(partition)?))
}

/// The state of one partition when a broker has left it; `None` when it is the same.
pub fn without_replica(
    image: &Image,
    options: &Options,
    topic: &Topic,
    partition: &Partition,
    id: BrokerId,
    leaving: Leaving,
) -> Option<Partition> {
    depart(image, partition, &|| TopicRules::of(image, options, &topic.name), id, leaving)
}

fn depart(
    image: &Image,
    partition: &Partition,
    rules: &dyn Fn() -> TopicRules,
    id: BrokerId,
    leaving: Leaving,
) -> Option<Partition> {
    let departure = match leaving {
        Leaving::Clean => Departure::KeepsItsLog,
        Leaving::Unclean if rules().durability == Durability::Flushed => Departure::KeepsItsLog,
        Leaving::Unclean => Departure::LostItsEnd,
        Leaving::WithItsLogs => Departure::LostItsLog,
    };
    let is_affected = partition.isr.contains(&id)
        || (departure != Departure::KeepsItsLog && partition.elr.contains(&id))
        || (departure == Departure::LostItsLog && partition.last_known_elr.contains(&id));
    if !is_affected {
        return None;
    }
    let rules = rules();
    let is_acceptable = |other: BrokerId| other != id && image.is_active_for(other, partition);
    let mut change = PartitionChange::new(partition, rules.min_isr, &is_acceptable);
    change.isr.retain(|replica| *replica != id);
    change.departed = Some((id, departure));
    change.election = online_or_unclean(rules);
    change.build()
}

/// Gives partitions without a leader to a broker that is let in with these directories, where it may lead them.
pub fn with_broker(image: &Image, options: &Options, id: BrokerId, directories: &[Uuid]) -> Vec<Record> {
    elect_where_leaderless(image, options, &|other, partition| match other == id {
        true => partition.directory_of(id).is_none_or(|directory| directories.contains(&directory)),
        false => image.is_active_for(other, partition),
    })
}

/// Elects wherever nobody leads and somebody may: also out of order, where that is configured.
pub fn elect_leaderless(image: &Image, options: &Options) -> Vec<Record> {
    elect_where_leaderless(image, options, &|id, partition| image.is_active_for(id, partition))
}

/// Empties every ELR whose partition's high watermark may move without it, min ISR having become smaller.
///
/// Kafka empties all ELRs of a topic whose min ISR changes (`maybeGenerateElrSafetyRecords`), also where the ISR is too small for
/// either number and nothing could move; such a partition would then need an unclean election for nothing.
pub fn without_unsafe_elr(image: &Image, options: &Options) -> Vec<Record> {
    change_each(image, options, |partition, rules| {
        let is_acceptable = |id: BrokerId| image.is_active_for(id, partition);
        if partition.elr.is_empty() || partition.isr.is_empty() {
            return None;
        }
        PartitionChange::new(partition, rules().min_isr, &is_acceptable).build()
    })
}

/// The state of one partition with a leader, when it has none and somebody may lead it.
pub fn elect_if_leaderless(
    image: &Image,
    options: &Options,
    topic: &Topic,
    partition: &Partition,
) -> Option<Partition> {
    if partition.has_leader() {
        return None;
    }
    let rules = TopicRules::of(image, options, &topic.name);
    let is_acceptable = |id: BrokerId| image.is_active_for(id, partition);
    let mut change = PartitionChange::new(partition, rules.min_isr, &is_acceptable);
    change.election = online_or_unclean(rules);
    change.build()
}

fn elect_where_leaderless(
    image: &Image,
    options: &Options,
    may_lead: &dyn Fn(BrokerId, &Partition) -> bool,
) -> Vec<Record> {
    change_each(image, options, |partition, rules| {
        if partition.has_leader() {
            return None;
        }
        let rules = rules();
        let is_acceptable = |id: BrokerId| may_lead(id, partition);
        let mut change = PartitionChange::new(partition, rules.min_isr, &is_acceptable);
        change.election = online_or_unclean(rules);
        change.build()
    })
}

pub fn online_or_unclean(rules: TopicRules) -> Election {
    match rules.unclean_election {
        true => Election::Unclean,
        false => Election::Online,
    }
}

/// The record of a partition's new state.
pub fn changed(topic: &Topic, partition: PartitionIndex, state: Partition) -> Record {
    Record::PartitionChanged { topic_id: topic.id, partition, state }
}

/// Looks at every partition; `change` asks for the topic's rules when it needs them.
fn change_each(
    image: &Image,
    options: &Options,
    change: impl Fn(&Partition, &dyn Fn() -> TopicRules) -> Option<Partition>,
) -> Vec<Record> {
    let mut records = Vec::new();
    for topic in image.topics() {
        let known = std::cell::OnceCell::new();
        let rules = || *known.get_or_init(|| TopicRules::of(image, options, &topic.name));
        for (index, partition) in (0..).zip(&topic.partitions) {
            if let Some(state) = change(partition, &rules) {
                records.push(changed(topic, PartitionIndex(index), state));
            }
        }
    }
    records
}
