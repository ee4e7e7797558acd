//! The cluster that Kafka's metadata log describes, and what of it becomes ours.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::ImportError;
use crate::broker::start::SUPPORTED_LEVELS;
use crate::config::{Overrides, validate_broker_configs, validate_topic_config};
use crate::metadata::{ConfigResource, Partition, Record};
use crate::model::{BrokerId, LeaderEpoch, PartitionIndex, ProducerId, TopicId};
use crate::protocol::extra::cluster_metadata::{ClusterRecord, PartitionState};
use crate::quota::{Amount, Entity, EntityName, Key};

/// What was replayed.
#[derive(Clone, Debug, Default)]
pub(super) struct KafkaCluster {
    brokers: BTreeMap<i32, Vec<Uuid>>,
    last_broker_epoch: i64,
    topics: BTreeMap<TopicId, Topic>,
    configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
    features: BTreeMap<String, i16>,
    quotas: BTreeMap<EntityParts, BTreeMap<String, f64>>,
    next_producer_id: i64,
    access_control_entries: BTreeSet<Uuid>,
    scram_credentials: BTreeSet<(String, i8)>,
    delegation_tokens: BTreeSet<String>,
    /// As the newest record of the voters says; `None` where they are fixed by configuration.
    pub voter_count: Option<usize>,
}

/// Who a quota is for: types and names.
type EntityParts = Vec<(String, Option<String>)>;

#[derive(Clone, Debug, Default)]
struct Topic {
    name: String,
    partitions: BTreeMap<i32, PartitionState>,
}

/// Kafka's `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

impl KafkaCluster {
    /// Replays one record, as Kafka's `MetadataDelta` does.
    pub fn apply(&mut self, record: ClusterRecord) {
        match record {
            ClusterRecord::RegisterBroker { broker_id, broker_epoch, log_dirs } => {
                self.last_broker_epoch = self.last_broker_epoch.max(broker_epoch);
                self.brokers.insert(broker_id, log_dirs);
            }
            ClusterRecord::UnregisterBroker { broker_id } => _ = self.brokers.remove(&broker_id),
            ClusterRecord::BrokerRegistrationChange { broker_id, log_dirs } => {
                if let Some(known) = self.brokers.get_mut(&broker_id).filter(|_| !log_dirs.is_empty()) {
                    *known = log_dirs;
                }
            }
            ClusterRecord::Topic { name, id } => _ = self.topics.insert(id, Topic { name, ..Topic::default() }),
            ClusterRecord::RemoveTopic { id } => {
                if let Some(topic) = self.topics.remove(&id) {
                    self.configs.remove(&(TOPIC, topic.name));
                }
            }
            ClusterRecord::Partition { topic_id, partition, state } => {
                if let Some(topic) = self.topics.get_mut(&topic_id) {
                    topic.partitions.insert(partition, state);
                }
            }
            ClusterRecord::PartitionChange { topic_id, partition, change } => {
                let topic = self.topics.get_mut(&topic_id);
                if let Some(state) = topic.and_then(|topic| topic.partitions.get_mut(&partition)) {
                    state.merge(change);
                }
            }
            ClusterRecord::Config { resource_type, resource_name, name, value } => {
                change(&mut self.configs, (resource_type, resource_name), name, value);
            }
            ClusterRecord::FeatureLevel { name, level: 0 } => _ = self.features.remove(&name),
            ClusterRecord::FeatureLevel { name, level } => _ = self.features.insert(name, level),
            ClusterRecord::ClientQuota { entity, key, value } => change(&mut self.quotas, entity, key, value),
            ClusterRecord::ProducerIds { next_producer_id } => self.next_producer_id = next_producer_id,
            ClusterRecord::AccessControlEntry { id, is_there } => keep(&mut self.access_control_entries, id, is_there),
            ClusterRecord::UserScramCredential { user, mechanism, is_there } => {
                keep(&mut self.scram_credentials, (user, mechanism), is_there);
            }
            ClusterRecord::DelegationToken { id, is_there } => keep(&mut self.delegation_tokens, id, is_there),
            ClusterRecord::BeginTransaction | ClusterRecord::EndTransaction | ClusterRecord::AbortTransaction => {
                unreachable!("the reader of the log resolves transactions")
            }
            ClusterRecord::Other { .. } => {}
        }
    }

    /// The brokers that are registered.
    pub fn broker_ids(&self) -> Vec<BrokerId> {
        self.brokers.keys().copied().map(BrokerId).collect()
    }

    /// The ids of the directories that a broker has told of; empty when it has not.
    pub fn directories_of(&self, broker: BrokerId) -> &[Uuid] {
        self.brokers.get(&broker.0).map_or(&[], Vec::as_slice)
    }

    /// The topic of an id, and how many partitions it has.
    pub fn topic(&self, id: TopicId) -> Option<(&str, usize)> {
        self.topics.get(&id).map(|topic| (topic.name.as_str(), topic.partitions.len()))
    }

    /// The id of each topic by its name.
    pub fn topic_ids(&self) -> BTreeMap<&str, TopicId> {
        self.topics.iter().map(|(id, topic)| (topic.name.as_str(), *id)).collect()
    }

    /// What the cluster is in our own records, for one node that has all of it; and what is left out, in words. `place` says in
    /// which directory a partition lies when there are several.
    pub fn to_records(
        &self,
        node_id: BrokerId,
        cluster_id: &str,
        place: impl Fn(TopicId, PartitionIndex) -> Option<Uuid>,
    ) -> Result<(Vec<Record>, Vec<String>), ImportError> {
        let mut left_out = Vec::new();
        let mut records = vec![Record::ClusterCreated { cluster_id: cluster_id.to_owned() }];
        self.add_features(&mut records, &mut left_out)?;
        // No broker of ours is to have an epoch that one of Kafka's had.
        let broker_epoch = self.last_broker_epoch;
        records.push(Record::BrokerUnregistered { broker_id: Partition::NO_LEADER, broker_epoch });
        for (id, topic) in &self.topics {
            records.push(topic.to_record(*id, node_id, &place)?);
        }
        self.add_configs(node_id, &mut records, &mut left_out);
        self.name_remote(&mut left_out);
        self.add_quotas(&mut records, &mut left_out);
        let next_producer_id = ProducerId(self.next_producer_id);
        records.push(Record::ProducerIdsAllocated { broker_id: Partition::NO_LEADER, next_producer_id });
        self.name_security(&mut left_out);
        Ok((records, left_out))
    }

    fn add_features(&self, records: &mut Vec<Record>, left_out: &mut Vec<String>) -> Result<(), ImportError> {
        let mut unknown = Vec::new();
        for (name, level) in &self.features {
            let Some((_, first, last)) = SUPPORTED_LEVELS.iter().find(|(known, ..)| known == name) else {
                unknown.push(format!("{name} {level}"));
                continue;
            };
            if !(first..=last).contains(&level) {
                let (name, level, first, last) = (name.clone(), *level, *first, *last);
                return Err(ImportError::Feature { name, level, first, last });
            }
            records.push(Record::FeatureFinalized { name: name.clone(), level: *level });
        }
        if !unknown.is_empty() {
            left_out.push(format!("features that do not work here: {}", unknown.join(", ")));
        }
        Ok(())
    }

    fn add_configs(&self, node_id: BrokerId, records: &mut Vec<Record>, left_out: &mut Vec<String>) {
        for ((resource_type, resource_name), configs) in &self.configs {
            let resource = match (*resource_type, resource_name.parse()) {
                (TOPIC, _) => ConfigResource::Topic(resource_name.clone()),
                (BROKER, _) if resource_name.is_empty() => ConfigResource::BrokerDefault,
                (BROKER, Ok(id)) if BrokerId(id) == node_id => ConfigResource::Broker(node_id),
                (GROUP, _) => ConfigResource::Group(resource_name.clone()),
                (CLIENT_METRICS, _) => ConfigResource::ClientMetrics(resource_name.clone()),
                _ => {
                    left_out.push(format!(
                        "settings of resource {resource_name} of type {resource_type}, which is not here"
                    ));
                    continue;
                }
            };
            for (name, value) in configs {
                if let Some(reason) = objection(&resource, name, value) {
                    left_out.push(format!("setting {name}={value} of {}: {reason}", shown(&resource)));
                    continue;
                }
                let (name, value) = (name.clone(), Some(value.clone()));
                records.push(Record::ConfigChanged { resource: resource.clone(), name, value });
            }
        }
    }

    fn add_quotas(&self, records: &mut Vec<Record>, left_out: &mut Vec<String>) {
        for (parts, quotas) in &self.quotas {
            let mut entity = Entity::default();
            let mut is_known = true;
            for (entity_type, name) in parts {
                match entity.part_mut(entity_type) {
                    Some(part) => *part = Some(EntityName::of(name.as_deref())),
                    None => is_known = false,
                }
            }
            for (name, value) in quotas {
                match Key::of(name).filter(|_| is_known) {
                    Some(key) => {
                        let value = Some(Amount::new(*value));
                        records.push(Record::QuotaChanged { entity: entity.clone(), key, value });
                    }
                    None => left_out.push(format!("quota {name}={value} of {parts:?}: not known here")),
                }
            }
        }
    }

    /// Tiered topics (KIP-405) have their older segments elsewhere.
    fn name_remote(&self, left_out: &mut Vec<String>) {
        let is_tiered = |configs: &BTreeMap<String, String>| {
            configs.get("remote.storage.enable").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        for ((_, topic), _) in self.configs.iter().filter(|(key, configs)| key.0 == TOPIC && is_tiered(configs)) {
            left_out.push(format!(
                "segments in remote storage of topic {topic}: its log begins with what this node still has"
            ));
        }
    }

    fn name_security(&self, left_out: &mut Vec<String>) {
        let mut name = |count: usize, what: &str, so: &str| {
            if count > 0 {
                left_out.push(format!("{count} {what}: {so}"));
            }
        };
        let (acls, tokens) = (self.access_control_entries.len(), self.delegation_tokens.len());
        name(acls, "access control entries", "whoever reaches a listener may read and write everything");
        name(self.scram_credentials.len(), "SCRAM credentials", "nobody logs in here");
        name(tokens, "delegation tokens", "nobody logs in here");
    }
}

impl Topic {
    fn to_record(
        &self,
        id: TopicId,
        node_id: BrokerId,
        place: impl Fn(TopicId, PartitionIndex) -> Option<Uuid>,
    ) -> Result<Record, ImportError> {
        let mut partitions = Vec::new();
        for (expected, (index, state)) in (0..).zip(&self.partitions) {
            let is_whole =
                state.isr.contains(&node_id.0) || state.elr.contains(&node_id.0) || state.leader == node_id.0;
            if *index != expected || !is_whole {
                let partition = format!("{}-{index}", self.name);
                let in_sync = state.isr.iter().map(|id| BrokerId(*id)).collect();
                return Err(ImportError::NotInSync { partition, node_id, in_sync });
            }
            let mut partition = Partition::created([node_id].into_iter().collect());
            partition.leader_epoch = LeaderEpoch(state.leader_epoch);
            partition.partition_epoch = state.partition_epoch;
            if let Some(directory) = place(id, PartitionIndex(*index)) {
                partition.set_directory(node_id, directory);
            }
            partitions.push(partition);
        }
        Ok(Record::TopicCreated { name: self.name.clone(), id, partitions })
    }
}

/// Sets a value below a key, or takes it away and with the last one the key too.
fn change<K: Ord, V>(map: &mut BTreeMap<K, BTreeMap<String, V>>, key: K, name: String, value: Option<V>) {
    let Some(value) = value else {
        if let Some(values) = map.get_mut(&key) {
            values.remove(&name);
            if values.is_empty() {
                map.remove(&key);
            }
        }
        return;
    };
    map.entry(key).or_default().insert(name, value);
}

fn keep<T: Ord>(set: &mut BTreeSet<T>, element: T, is_there: bool) {
    if is_there {
        set.insert(element)
    } else {
        set.remove(&element)
    };
}

/// Why a setting would be refused if a client asked for it.
fn objection(resource: &ConfigResource, name: &str, value: &str) -> Option<String> {
    let one = || Overrides::from([(name.to_owned(), value.to_owned())]);
    let checked = match resource {
        ConfigResource::Topic(_) => validate_topic_config(name, value),
        ConfigResource::Broker(_) | ConfigResource::BrokerDefault => validate_broker_configs(&one()),
        // They are shown as they are, and what is not understood has no effect.
        ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => Ok(()),
    };
    checked.err().map(|error| error.to_string())
}

fn shown(resource: &ConfigResource) -> String {
    match resource {
        ConfigResource::Topic(name) => format!("topic {name}"),
        ConfigResource::Broker(id) => format!("broker {id}"),
        ConfigResource::BrokerDefault => "all brokers".to_owned(),
        ConfigResource::Group(name) => format!("group {name}"),
        ConfigResource::ClientMetrics(name) => format!("client metrics {name}"),
    }
}
