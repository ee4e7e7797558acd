//! Creating and deleting topics. Checks come in Kafka's order, since a request with two faults is told of the first.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::placement::place;
use super::{BATCH_PARTITIONS_MAX, Decision, Mutations, Options, Refusal};
use crate::config::{self, Overrides};
use crate::metadata::{ConfigResource, Image, Partition, Record, Replicas, Topic};
use crate::model::{BrokerId, ErrorCode, TopicId, check_topic_name};

/// A topic to create, as a client asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopic {
    pub name: String,
    /// -1 leaves it to the broker, and must be with a manual assignment.
    pub partitions: i32,
    /// -1 leaves it to the broker, and must be with a manual assignment.
    pub replication_factor: i16,
    /// Partition and brokers, the leader first; empty lets the controller choose.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    pub configs: Vec<(String, Option<String>)>,
    /// Takes as many replicas as there are brokers when that is fewer than asked for: for the broker's own topics.
    pub take_what_there_is: bool,
}

/// A topic that will exist when the records are committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
    /// The settings the topic was given.
    pub configs: Overrides,
}

impl CreatedTopic {
    fn partition_count(&self) -> usize {
        usize::try_from(self.partitions).expect("a topic has no negative number of partitions")
    }
}

/// The topic of Kafka's own quorum, which nobody may create.
const METADATA_TOPIC: &str = "__cluster_metadata";

pub(super) const EXCESSIVE_BATCH: &str = "Unable to perform excessively large batch operation.";

/// The answer to one topic: those that were looked at in the order of the request, then those that were not.
pub type Created = (String, Result<CreatedTopic, Refusal>);

/// Decides on a CreateTopics request. `seed` chooses topic ids and places; it must be new for every request.
pub fn create_topics(
    image: &Image,
    options: &Options,
    seed: Uuid,
    topics: &[CreateTopic],
    mutations: &mut Mutations,
) -> Decision<Vec<Created>> {
    let mut answer: Vec<Created> = Vec::new();
    let mut records = Vec::new();
    let duplicates = duplicate_names(topics);
    let wanted: Vec<&CreateTopic> = topics.iter().filter(|topic| !duplicates.contains(topic.name.as_str())).collect();
    if let Err(refusal) = check_partition_total(options, &wanted) {
        return refuse_all(topics, &refusal);
    }
    for (index, topic) in topics.iter().enumerate() {
        if !duplicates.contains(topic.name.as_str()) && topic.name != METADATA_TOPIC {
            let before = records.len();
            let created = create_topic(image, options, topic_seed(seed, index), topic, &mut records);
            let created = created.and_then(|created| match mutations.charge(created.partition_count()) {
                Ok(()) => Ok(created),
                Err(refusal) => {
                    records.truncate(before);
                    Err(refusal)
                }
            });
            answer.push((topic.name.clone(), created));
        }
    }
    for name in duplicates {
        let refusal = Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
        answer.push((name.to_owned(), Err(refusal)));
    }
    if topics.iter().any(|topic| topic.name == METADATA_TOPIC) {
        let message = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
        answer.push((METADATA_TOPIC.to_owned(), Err(Refusal::new(ErrorCode::InvalidRequest, message))));
    }
    if kafka_record_count(&records) > BATCH_PARTITIONS_MAX {
        return refuse_all(topics, &Refusal::new(ErrorCode::PolicyViolation, EXCESSIVE_BATCH));
    }
    Decision { records, answer }
}

fn duplicate_names(topics: &[CreateTopic]) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    let names = topics.iter().map(|topic| topic.name.as_str()).filter(|name| *name != METADATA_TOPIC);
    names.filter(|name| !seen.insert(*name)).collect()
}

fn refuse_all(topics: &[CreateTopic], refusal: &Refusal) -> Decision<Vec<Created>> {
    let mut named = BTreeSet::new();
    let once = topics.iter().filter(|topic| named.insert(topic.name.as_str()));
    let answer = once.map(|topic| (topic.name.clone(), Err(refusal.clone()))).collect();
    Decision { records: Vec::new(), answer }
}

/// Records as Kafka counts them: one for a topic, one for each partition, one for each setting.
fn kafka_record_count(records: &[Record]) -> usize {
    let count = |record: &Record| match record {
        Record::TopicCreated { partitions, .. } => 1 + partitions.len(),
        _ => 1,
    };
    records.iter().map(count).sum()
}

/// `ReplicationControlManager.validateTotalNumberOfPartitions`, before anything is allocated for them.
fn check_partition_total(options: &Options, topics: &[&CreateTopic]) -> Result<(), Refusal> {
    let count = |topic: &&CreateTopic| match (topic.assignments.len(), topic.partitions) {
        (0, -1) => i64::from(options.default_partitions),
        (0, partitions) => i64::from(partitions),
        (assigned, _) => i64::try_from(assigned).unwrap_or(i64::MAX),
    };
    let total = topics.iter().map(count).fold(0, i64::saturating_add);
    if usize::try_from(total).is_ok_and(|total| total > BATCH_PARTITIONS_MAX) {
        let message = "Excessively large number of partitions per request.";
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    Ok(())
}

/// A seed of its own for each topic of a request; it becomes the topic's id, so version and variant are kept.
fn topic_seed(seed: Uuid, index: usize) -> Uuid {
    let index = u64::try_from(index).expect("fewer topics than 2^64");
    // The low 62 bits of a version 4 UUID are free.
    let low = u64::from_be_bytes(seed.as_bytes()[8..].try_into().expect("eight of sixteen bytes"));
    let free = (1 << 62) - 1;
    let low = (low & !free) | (low.wrapping_add(index) & free);
    let mut bytes = seed.into_bytes();
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    Uuid::from_bytes(bytes)
}

fn create_topic(
    image: &Image,
    options: &Options,
    seed: Uuid,
    topic: &CreateTopic,
    records: &mut Vec<Record>,
) -> Result<CreatedTopic, Refusal> {
    check_name(image, &topic.name)?;
    let configs = check_configs(topic)?;
    let partitions = match topic.assignments.is_empty() {
        true => automatic(image, options, seed, topic)?,
        false => manual(image, topic)?,
    };
    let created = CreatedTopic {
        id: TopicId(seed),
        partitions: i32::try_from(partitions.len()).expect("bounded by the limit of a request"),
        replication_factor: i16::try_from(partitions[0].replicas.len()).expect("bounded by the number of brokers"),
        configs,
    };
    records.push(Record::TopicCreated { name: topic.name.clone(), id: created.id, partitions });
    for (name, value) in &created.configs {
        let resource = ConfigResource::Topic(topic.name.clone());
        records.push(Record::ConfigChanged { resource, name: name.clone(), value: Some(value.clone()) });
    }
    Ok(created)
}

/// The name, whether it is taken, and whether it looks like one that is.
fn check_name(image: &Image, name: &str) -> Result<(), Refusal> {
    check_topic_name(name)
        .map_err(|reason| Refusal::new(ErrorCode::InvalidTopicException, format!("Topic name is invalid: {reason}")))?;
    if image.topic(name).is_some() {
        return Err(Refusal::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    if let Some(existing) = colliding(image, name) {
        let message = format!("Topic '{name}' collides with existing topic: {existing}");
        return Err(Refusal::new(ErrorCode::InvalidTopicException, message));
    }
    Ok(())
}

/// Another topic whose name differs only in `.` and `_`, which metrics cannot tell apart (`Topic.hasCollision`). Like Kafka
/// this looks at topics that exist, not at others of the same request.
fn colliding<'a>(image: &'a Image, name: &'a str) -> Option<&'a str> {
    // Names that collide agree up to the first `.` or `_`, so only that part of the image need be looked at.
    let stem = &name[..name.find(['.', '_'])?];
    let wanted = name.replace('.', "_");
    let same_stem = image.topics_from(stem).map(|topic| &*topic.name).take_while(|other| other.starts_with(stem));
    same_stem.into_iter().find(|other| other.replace('.', "_") == wanted)
}

fn check_configs(topic: &CreateTopic) -> Result<Overrides, Refusal> {
    let mut configs = BTreeMap::new();
    let mut without_value = Vec::new();
    for (name, value) in &topic.configs {
        match value {
            Some(value) => _ = configs.insert(name.clone(), value.clone()),
            None => without_value.push(name.as_str()),
        }
    }
    if !without_value.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", without_value.join(","));
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    }
    config::validate_topic_configs(&configs).map_err(|error| Refusal::new(error.code(), error.to_string()))?;
    Ok(configs)
}

/// A new partition of which the active replicas are in sync, led by the first of them; `None` when there is none.
pub(super) fn in_sync(image: &Image, replicas: Replicas) -> Option<Partition> {
    let isr: Replicas = replicas.iter().copied().filter(|id| image.is_active(*id)).collect();
    (!isr.is_empty()).then(|| Partition::created_in_sync(replicas, isr))
}

pub(super) fn all_fenced(partition: usize) -> String {
    format!(
        "All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled \
         shutdown."
    )
}

fn automatic(image: &Image, options: &Options, seed: Uuid, topic: &CreateTopic) -> Result<Vec<Partition>, Refusal> {
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
    }
    if topic.partitions < -1 || topic.partitions == 0 {
        let message = "Number of partitions was set to an invalid non-positive value.";
        return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    }
    let partitions = if topic.partitions == -1 { options.default_partitions } else { topic.partitions };
    let wanted = match topic.replication_factor {
        -1 => options.default_replication_factor,
        factor => factor,
    };
    let mut factor = usize::try_from(wanted).expect("checked to be positive, as the setting is");
    if topic.take_what_there_is {
        // Brokers that are still to come count: a topic for ever on the first of three would not survive it.
        factor = factor.min(image.brokers().count().max(options.brokers_expected));
    }
    let partitions = usize::try_from(partitions).expect("checked to be positive, as the setting is");
    let seed = u64::from_be_bytes(seed.as_bytes()[..8].try_into().expect("eight of sixteen bytes"));
    let placed = place(image, &[], partitions, factor, seed).map_err(|reason| {
        let message = format!("Unable to replicate the partition {factor} time(s): {reason}");
        Refusal::new(ErrorCode::InvalidReplicationFactor, message)
    })?;
    Ok(placed.into_iter().map(|replicas| in_sync(image, replicas).expect("the first replica is alive")).collect())
}

fn manual(image: &Image, topic: &CreateTopic) -> Result<Vec<Partition>, Refusal> {
    if topic.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but replication factor was not set to -1.";
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    if topic.partitions != -1 {
        let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let refuse = |message: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, message);
    let mut replication_factor = None;
    let mut assigned = BTreeMap::new();
    for (partition, replicas) in &topic.assignments {
        if assigned.contains_key(partition) {
            return Err(refuse(format!("Found multiple manual partition assignments for partition {partition}")));
        }
        check_assignment(image, replicas, replication_factor).map_err(refuse)?;
        replication_factor = Some(replicas.len());
        assigned.insert(*partition, replicas.iter().copied().collect::<Replicas>());
    }
    if assigned.keys().zip(0..).any(|(partition, expected)| *partition != expected) {
        return Err(refuse("partitions should be a consecutive 0-based integer sequence".into()));
    }
    let partitions = assigned.into_values().enumerate();
    partitions.map(|(index, replicas)| in_sync(image, replicas).ok_or_else(|| refuse(all_fenced(index)))).collect()
}

/// `ReplicationControlManager.validateManualPartitionAssignment`.
pub(super) fn check_assignment(
    image: &Image,
    replicas: &[BrokerId],
    replication_factor: Option<usize>,
) -> Result<(), String> {
    if replicas.is_empty() {
        return Err("The manual partition assignment includes an empty replica list.".into());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for broker in &sorted {
        if image.broker(*broker).is_none() {
            return Err(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if previous == Some(broker) {
            return Err(format!("The manual partition assignment includes the broker {broker} more than once."));
        }
        previous = Some(broker);
    }
    match replication_factor {
        Some(factor) if factor != replicas.len() => Err(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {factor} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// A topic as DeleteTopics names it; v1–5 by name, v6 by either.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicSelector {
    pub name: Option<String>,
    /// Zero when the topic is named.
    pub id: TopicId,
}

/// The answer to one selector. The id is zero, and the name `None`, where Kafka does not tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: Option<String>,
    pub id: TopicId,
    pub result: Result<(), Refusal>,
}

/// Decides on a DeleteTopics request. What is named twice is answered once, and not deleted. Source: `ControllerApis`.
pub fn delete_topics(
    image: &Image,
    options: &Options,
    topics: &[TopicSelector],
    mutations: &mut Mutations,
) -> Decision<Vec<DeletedTopic>> {
    let mut records = Vec::new();
    let mut answer: Vec<DeletedTopic> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut times: BTreeMap<&TopicSelector, usize> = BTreeMap::new();
    topics.iter().for_each(|selector| *times.entry(selector).or_default() += 1);
    let mut answered = BTreeSet::new();
    for selector in topics {
        let is_first = answered.insert(selector);
        if !is_first && *selector != TopicSelector::default() {
            continue;
        }
        let is_repeated = times[selector] > 1;
        let found = match options.delete_topic_enable {
            true => find_to_delete(image, selector, is_repeated),
            false => Err(Refusal { code: ErrorCode::TopicDeletionDisabled, message: None }),
        };
        let (name, id, result) = match found {
            Ok(topic) if ids.insert(topic.id) => {
                let charged = mutations.charge(topic.partitions.len());
                records.extend(charged.is_ok().then_some(Record::TopicDeleted { id: topic.id }));
                (Some(topic.name.to_string()), topic.id, charged)
            }
            Ok(topic) => {
                let message = "The provided topic name maps to an ID that was already supplied.";
                let refusal = Refusal::new(ErrorCode::InvalidRequest, message);
                (Some(topic.name.to_string()), topic.id, Err(refusal))
            }
            Err(refusal) => (selector.name.clone(), selector.id, Err(refusal)),
        };
        answer.push(DeletedTopic { name, id, result });
    }
    if records.len() > BATCH_PARTITIONS_MAX {
        let refusal = Refusal::new(ErrorCode::PolicyViolation, EXCESSIVE_BATCH);
        answer.iter_mut().for_each(|topic| topic.result = Err(refusal.clone()));
        records.clear();
    }
    Decision { records, answer }
}

fn find_to_delete<'a>(image: &'a Image, selector: &TopicSelector, is_repeated: bool) -> Result<&'a Topic, Refusal> {
    let refuse = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    match &selector.name {
        Some(_) if selector.id != TopicId::ZERO => refuse("You may not specify both topic name and topic id."),
        None if selector.id == TopicId::ZERO => refuse("Neither topic name nor id were specified."),
        Some(_) if is_repeated => refuse("Duplicate topic name."),
        None if is_repeated => refuse("Duplicate topic id."),
        Some(name) => image.topic(name).ok_or_else(|| {
            Refusal::new(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.")
        }),
        None => image
            .topic_by_id(selector.id)
            .ok_or_else(|| Refusal::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")),
    }
}
