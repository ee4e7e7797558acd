//! The cluster as of one offset of the metadata log.
//!
//! Copies share what they have in common ([`SharedMap`]), so that one changed topic among 10,000 costs microseconds.
//!
//! Invariant: `topics` and `topic_names` hold the same topics; every topic has at least one partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::delta::Delta;
use super::record::{ConfigResource, Endpoint, Partition, Record};
use super::shared_map::SharedMap;
use crate::model::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};
use crate::quota::{self, Amount, Entity};

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: BrokerId,
    pub incarnation: Uuid,
    /// Rises with every registration in the cluster (KIP-841).
    pub epoch: i64,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    /// Not alive, or not caught up yet: leads nothing and is in no ISR that grows (KIP-841).
    pub fenced: bool,
    /// Wants to stop: leaders move away from it, and it joins no ISR.
    pub in_controlled_shutdown: bool,
    /// The ids of its log directories that work; empty when it was registered by a version that did not tell.
    pub directories: Vec<Uuid>,
    /// Those of its directories that are to get nothing new (KIP-1066), sorted.
    pub cordoned: Vec<Uuid>,
}

impl Broker {
    /// Whether it may be given leadership and be let into an ISR.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether it can take new replicas: one of its directories is not cordoned, or it has told of none.
    pub fn has_uncordoned_directory(&self) -> bool {
        self.directories.is_empty() || self.directories.iter().any(|directory| !self.cordoned.contains(directory))
    }

    /// Whether the directory works in which it has its replica of a partition, as far as that is known (KIP-858).
    pub fn has_replica_online(&self, partition: &Partition) -> bool {
        partition.directory_of(self.id).is_none_or(|directory| self.directories.contains(&directory))
    }

    /// The directory in which it has its replica of a partition: the one it has told, or its only one.
    pub fn directory_of(&self, partition: &Partition) -> Option<Uuid> {
        let only = match self.directories[..] {
            [only] => Some(only),
            _ => None,
        };
        partition.directory_of(self.id).or(only)
    }
}

/// A topic and its partitions; the index in `partitions` is the partition's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: TopicId,
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// The partition, if the topic has it.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index.0).ok()?)
    }
}

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    cluster_id: Arc<str>,
    controller_id: BrokerId,
    last_applied: Offset,
    features: Arc<BTreeMap<String, i16>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    topics: SharedMap<Arc<str>, Arc<Topic>>,
    topic_names: SharedMap<TopicId, Arc<str>>,
    configs: SharedMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    quotas: Arc<Quotas>,
    next_producer_id: ProducerId,
    last_broker_epoch: i64,
}

/// Quotas by whom they are for.
pub type Quotas = BTreeMap<Entity, BTreeMap<quota::Key, Amount>>;

static NO_CONFIGS: BTreeMap<String, String> = BTreeMap::new();

impl Default for Image {
    fn default() -> Image {
        Image {
            cluster_id: "".into(),
            controller_id: Partition::NO_LEADER,
            last_applied: Offset::NONE,
            features: Arc::default(),
            brokers: Arc::default(),
            topics: SharedMap::default(),
            topic_names: SharedMap::default(),
            configs: SharedMap::default(),
            quotas: Arc::default(),
            next_producer_id: ProducerId(0),
            last_broker_epoch: 0,
        }
    }
}

impl Image {
    /// The cluster's id; empty before the first record.
    pub fn cluster_id(&self) -> &Arc<str> {
        &self.cluster_id
    }

    /// The leader of the quorum as this node knows it; -1 when it knows none. No record says it: the quorum sets it.
    pub fn controller_id(&self) -> BrokerId {
        self.controller_id
    }

    /// See [`Image::controller_id`].
    pub fn set_controller_id(&mut self, id: BrokerId) {
        self.controller_id = id;
    }

    /// The offset in the metadata log of the last record that is part of this image; -1 when there is none.
    pub fn last_applied(&self) -> Offset {
        self.last_applied
    }

    /// See [`Image::last_applied`]; set by the quorum when a batch is applied.
    pub fn set_last_applied(&mut self, offset: Offset) {
        self.last_applied = offset;
    }

    /// Finalised features and their levels.
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// The epoch that ApiVersions gives with the finalised features: as in Kafka, the offset of the image.
    pub fn features_epoch(&self) -> i64 {
        self.last_applied.0
    }

    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values().map(|broker| &**broker)
    }

    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id).map(|broker| &**broker)
    }

    /// Brokers that are not fenced: those that clients are told of.
    pub fn unfenced_brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers().filter(|broker| !broker.fenced)
    }

    /// Brokers that may lead and be let into an ISR.
    pub fn active_brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers().filter(|broker| broker.is_active())
    }

    /// See [`Image::active_brokers`].
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(Broker::is_active)
    }

    /// Whether the broker may lead the partition or be let into its ISR: it is active, and so is the directory of its replica.
    pub fn is_active_for(&self, id: BrokerId, partition: &Partition) -> bool {
        self.broker(id).is_some_and(|broker| broker.is_active() && broker.has_replica_online(partition))
    }

    pub fn is_unfenced(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced)
    }

    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name).map(|topic| &**topic)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Topic> {
        self.topic(self.topic_names.get(&id)?)
    }

    /// All topics, by rising name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().map(|(_, topic)| &**topic)
    }

    /// The topics whose name is not below this one, by rising name.
    pub fn topics_from<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Topic> {
        self.topics.range_from(name).map(|(_, topic)| &**topic)
    }

    /// Every partition with its topic and number. A walk over 10,000 partitions takes less than a millisecond, so that fencing
    /// and its like need no index.
    pub fn partitions(&self) -> impl Iterator<Item = (&Topic, PartitionIndex, &Partition)> {
        self.topics().flat_map(|topic| {
            (0..).zip(&topic.partitions).map(move |(index, partition)| (topic, PartitionIndex(index), partition))
        })
    }

    /// The partition of a topic's id.
    pub fn partition(&self, id: TopicId, index: PartitionIndex) -> Option<&Partition> {
        self.topic_by_id(id)?.partition(index)
    }

    pub fn partitions_led_by(&self, id: BrokerId) -> impl Iterator<Item = (&Topic, PartitionIndex, &Partition)> {
        self.partitions().filter(move |(_, _, partition)| partition.leader == id)
    }

    pub fn partitions_in_sync_on(&self, id: BrokerId) -> impl Iterator<Item = (&Topic, PartitionIndex, &Partition)> {
        self.partitions().filter(move |(_, _, partition)| partition.isr.contains(&id))
    }

    pub fn partitions_on(&self, id: BrokerId) -> impl Iterator<Item = (&Topic, PartitionIndex, &Partition)> {
        self.partitions().filter(move |(_, _, partition)| partition.replicas.contains(&id))
    }

    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The settings that were given to a resource itself; empty when there are none.
    pub fn configs(&self, resource: &ConfigResource) -> &BTreeMap<String, String> {
        self.configs.get(resource).map_or(&NO_CONFIGS, |configs| &**configs)
    }

    /// Every resource that has settings of its own.
    pub fn configured(&self) -> impl Iterator<Item = (&ConfigResource, &BTreeMap<String, String>)> {
        self.configs.iter().map(|(resource, configs)| (resource, &**configs))
    }

    /// Every quota.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The first producer id that no broker was given.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// The highest broker epoch ever given; the next registration must take a higher one.
    pub fn last_broker_epoch(&self) -> i64 {
        self.last_broker_epoch
    }

    /// Replays one record and notes in `delta` what it changed. Total: a record about something that is not there changes
    /// nothing, so that no committed record can stop a node.
    pub fn apply(&mut self, record: &Record, delta: &mut Delta) {
        match record {
            Record::ClusterCreated { cluster_id } => self.cluster_id = cluster_id.as_str().into(),
            Record::FeatureFinalized { name, level } => self.finalize_feature(name, *level),
            Record::BrokerRegistered { broker_id, incarnation, broker_epoch, endpoints, rack, fenced, directories } => {
                let broker = Broker {
                    id: *broker_id,
                    incarnation: *incarnation,
                    epoch: *broker_epoch,
                    endpoints: endpoints.clone(),
                    rack: rack.clone(),
                    fenced: *fenced,
                    in_controlled_shutdown: false,
                    directories: directories.clone(),
                    cordoned: Vec::new(),
                };
                self.register_broker(broker, delta);
            }
            Record::BrokerChanged { broker_id, broker_epoch, fenced, in_controlled_shutdown, directories } => {
                self.change_broker(*broker_id, *broker_epoch, delta, |broker| {
                    broker.fenced = *fenced;
                    broker.in_controlled_shutdown = *in_controlled_shutdown;
                    if let Some(directories) = directories {
                        broker.directories.clone_from(directories);
                    }
                });
            }
            Record::BrokerCordoned { broker_id, broker_epoch, directories } => {
                self.change_broker(*broker_id, *broker_epoch, delta, |broker| broker.cordoned.clone_from(directories));
            }
            Record::BrokerUnregistered { broker_id, broker_epoch } => {
                self.unregister_broker(*broker_id, *broker_epoch, delta);
            }
            Record::PartitionsAdded { topic_id, partitions } => self.add_partitions(*topic_id, partitions, delta),
            Record::TopicCreated { name, id, partitions } => self.create_topic(name, *id, partitions, delta),
            Record::TopicDeleted { id } => self.delete_topic(*id, delta),
            Record::PartitionChanged { topic_id, partition, state } => {
                self.change_partition(*topic_id, *partition, state, delta);
            }
            Record::ConfigChanged { resource, name, value } => {
                self.change_config(resource, name, value.as_deref());
                delta.configs_changed.insert(resource.clone());
            }
            Record::ProducerIdsAllocated { next_producer_id, .. } => self.next_producer_id = *next_producer_id,
            Record::QuotaChanged { entity, key, value } => {
                self.change_quota(entity, *key, *value);
                delta.quotas_changed = true;
            }
        }
    }

    /// Records that replay to this image (but for controller and offset, which no record carries): a snapshot.
    pub fn to_records(&self) -> Vec<Record> {
        let mut records = vec![Record::ClusterCreated { cluster_id: self.cluster_id.to_string() }];
        for (name, level) in &*self.features {
            records.push(Record::FeatureFinalized { name: name.clone(), level: *level });
        }
        // Brokers come before topics, since a registration raises the epochs of the topics that are there.
        let mut brokers: Vec<&Arc<Broker>> = self.brokers.values().collect();
        brokers.sort_by_key(|broker| broker.epoch);
        for broker in brokers {
            records.push(Record::BrokerRegistered {
                broker_id: broker.id,
                incarnation: broker.incarnation,
                broker_epoch: broker.epoch,
                endpoints: broker.endpoints.clone(),
                rack: broker.rack.clone(),
                fenced: broker.fenced,
                directories: broker.directories.clone(),
            });
            if broker.in_controlled_shutdown {
                records.push(Record::BrokerChanged {
                    broker_id: broker.id,
                    broker_epoch: broker.epoch,
                    fenced: broker.fenced,
                    in_controlled_shutdown: true,
                    directories: None,
                });
            }
        }
        for broker in self.brokers.values().filter(|broker| !broker.cordoned.is_empty()) {
            let (broker_id, broker_epoch) = (broker.id, broker.epoch);
            records.push(Record::BrokerCordoned { broker_id, broker_epoch, directories: broker.cordoned.clone() });
        }
        // The broker with the highest epoch may have been unregistered, and its epoch must still never be given again.
        records
            .push(Record::BrokerUnregistered { broker_id: Partition::NO_LEADER, broker_epoch: self.last_broker_epoch });
        for topic in self.topics() {
            let (name, partitions) = (topic.name.to_string(), topic.partitions.clone());
            records.push(Record::TopicCreated { name, id: topic.id, partitions });
        }
        for (resource, configs) in self.configured() {
            for (name, value) in configs {
                let (name, value) = (name.clone(), Some(value.clone()));
                records.push(Record::ConfigChanged { resource: resource.clone(), name, value });
            }
        }
        for (entity, quotas) in &*self.quotas {
            let changed = |(key, value): (&quota::Key, &Amount)| Record::QuotaChanged {
                entity: entity.clone(),
                key: *key,
                value: Some(*value),
            };
            records.extend(quotas.iter().map(changed));
        }
        records.push(Record::ProducerIdsAllocated {
            broker_id: Partition::NO_LEADER,
            next_producer_id: self.next_producer_id,
        });
        records
    }

    fn finalize_feature(&mut self, name: &str, level: i16) {
        let features = Arc::make_mut(&mut self.features);
        if level == 0 {
            features.remove(name);
            return;
        }
        features.insert(name.to_owned(), level);
    }

    fn register_broker(&mut self, mut broker: Broker, delta: &mut Delta) {
        let id = broker.id;
        let amended = self.broker(id).filter(|known| known.epoch == broker.epoch);
        let is_start = amended.is_none();
        broker.in_controlled_shutdown = amended.is_some_and(|known| known.in_controlled_shutdown);
        self.last_broker_epoch = self.last_broker_epoch.max(broker.epoch);
        Arc::make_mut(&mut self.brokers).insert(id, Arc::new(broker));
        delta.brokers_changed.insert(id);
        if !is_start {
            return;
        }
        let led: Vec<Arc<str>> = self
            .topics()
            .filter(|topic| topic.partitions.iter().any(|partition| partition.leader == id))
            .map(|topic| Arc::clone(&topic.name))
            .collect();
        for name in led {
            let topic = Arc::make_mut(self.topics.get_mut(&name).expect("a topic of the list above"));
            for (index, partition) in topic.partitions.iter_mut().enumerate() {
                if partition.leader == id {
                    partition.leader_epoch = LeaderEpoch(partition.leader_epoch.0 + 1);
                    partition.partition_epoch += 1;
                    note_partition(delta, topic.id, index);
                }
            }
        }
    }

    fn change_broker(&mut self, id: BrokerId, epoch: i64, delta: &mut Delta, change: impl FnOnce(&mut Broker)) {
        if self.broker(id).is_none_or(|broker| broker.epoch != epoch) {
            return;
        }
        let broker = Arc::make_mut(&mut self.brokers).get_mut(&id).expect("looked up above");
        change(Arc::make_mut(broker));
        delta.brokers_changed.insert(id);
    }

    fn unregister_broker(&mut self, id: BrokerId, epoch: i64, delta: &mut Delta) {
        self.last_broker_epoch = self.last_broker_epoch.max(epoch);
        if self.broker(id).is_none_or(|broker| broker.epoch != epoch) {
            return;
        }
        Arc::make_mut(&mut self.brokers).remove(&id);
        delta.brokers_changed.insert(id);
    }

    fn create_topic(&mut self, name: &str, id: TopicId, partitions: &[Partition], delta: &mut Delta) {
        // A name or id is never given twice by the controller; replay of a broken log must still not leave half a topic.
        if self.topics.get(name).is_some() || self.topic_names.get(&id).is_some() {
            return;
        }
        let name: Arc<str> = name.into();
        self.topic_names.insert(id, Arc::clone(&name));
        let topic = Topic { name: Arc::clone(&name), id, partitions: partitions.to_vec() };
        self.topics.insert(name, Arc::new(topic));
        delta.topics_created.insert(id);
    }

    fn delete_topic(&mut self, id: TopicId, delta: &mut Delta) {
        let Some(name) = self.topic_names.remove(&id) else { return };
        let topic = self.topics.remove(&*name).expect("both maps hold the same topics");
        let resource = ConfigResource::Topic(name.to_string());
        if self.configs.remove(&resource).is_some() {
            delta.configs_changed.insert(resource);
        }
        if !delta.topics_created.remove(&id) {
            delta.topics_deleted.push(topic);
        }
    }

    fn change_partition(&mut self, id: TopicId, partition: PartitionIndex, state: &Partition, delta: &mut Delta) {
        let Ok(index) = usize::try_from(partition.0) else { return };
        if self.partition(id, partition).is_none() {
            return;
        }
        self.topic_mut(id).expect("it has the partition").partitions[index] = state.clone();
        note_partition(delta, id, index);
    }

    fn add_partitions(&mut self, id: TopicId, partitions: &[Partition], delta: &mut Delta) {
        let Some(topic) = self.topic_mut(id) else { return };
        let first = topic.partitions.len();
        topic.partitions.extend_from_slice(partitions);
        (first..first + partitions.len()).for_each(|index| note_partition(delta, id, index));
    }

    /// The topic, copied only if an earlier image holds it too: a batch that changes all its partitions copies it once.
    fn topic_mut(&mut self, id: TopicId) -> Option<&mut Topic> {
        Some(Arc::make_mut(self.topics.get_mut(self.topic_names.get(&id)?)?))
    }

    fn change_quota(&mut self, entity: &Entity, key: quota::Key, value: Option<Amount>) {
        let quotas = Arc::make_mut(&mut self.quotas);
        match value {
            Some(value) => _ = quotas.entry(entity.clone()).or_default().insert(key, value),
            None => {
                let Some(of_entity) = quotas.get_mut(entity) else { return };
                of_entity.remove(&key);
                if of_entity.is_empty() {
                    quotas.remove(entity);
                }
            }
        }
    }

    fn change_config(&mut self, resource: &ConfigResource, name: &str, value: Option<&str>) {
        let mut configs = self.configs(resource).clone();
        match value {
            Some(value) => configs.insert(name.to_owned(), value.to_owned()),
            None => configs.remove(name),
        };
        if configs.is_empty() {
            self.configs.remove(resource);
            return;
        }
        self.configs.insert(resource.clone(), Arc::new(configs));
    }
}

fn note_partition(delta: &mut Delta, id: TopicId, index: usize) {
    if !delta.topics_created.contains(&id) {
        let index = i32::try_from(index).expect("partitions are numbered by i32");
        delta.partitions_changed.insert((id, PartitionIndex(index)));
    }
}

#[cfg(test)]
mod tests;
