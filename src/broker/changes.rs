//! What a change of the cluster's image means for this broker's partitions.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Broker;
use super::replica::Replica;
use super::topic_settings;
use crate::metadata::{ConfigResource, Image, Partition};
use crate::model::{PartitionIndex, TopicId};
use crate::partition::Loss;
use crate::quorum::Change;

impl Broker {
    /// Called on the quorum's thread, after the new image is published and before its writer is answered: what was deleted
    /// is out of service when the deletion is answered.
    pub(super) fn on_change(&self, change: Change<'_>) {
        let _opening = self.opening.lock();
        let (image, delta) = (change.new, change.delta);
        for topic in &delta.topics_deleted {
            self.retire_topic(topic.id);
        }
        self.groups.on_topics_deleted(self.now(), &delta.topics_deleted);
        for id in &delta.topics_created {
            self.housekeeper.open_soon(*id);
        }
        for (id, partition) in &delta.partitions_changed {
            let Some(topic) = image.topic_by_id(*id) else { continue };
            let Some(state) = topic.partition(*partition) else { continue };
            match self.replicas.get_by_id(*id, *partition) {
                Some(replica) if self.hosts(state) => {
                    self.take_role(&replica, state);
                    self.groups.on_moved(self, &replica);
                }
                Some(replica) => self.give_up(&replica),
                None if self.hosts(state) => self.housekeeper.open_soon(*id),
                None => {}
            }
        }
        for broker in delta.brokers_changed.iter().filter(|broker| !image.is_active(**broker)) {
            self.replicas.all().iter().for_each(|replica| replica.broker_ineligible(*broker));
        }
        if !delta.configs_changed.is_empty() {
            self.reconfigure(image, &delta.configs_changed);
        }
    }

    /// Leads or follows, as the partition's state says.
    pub(super) fn take_role(&self, replica: &Replica, state: &Partition) {
        if self.leads(state) {
            replica.lead(state, self.now());
        } else {
            replica.follow(state, self.loss(replica, state));
        }
    }

    /// A follower that the controller counts as in sync, or as eligible, holds what its leader holds. One that it does not count
    /// may have to follow an unclean leader, where the topic allows those.
    fn loss(&self, replica: &Replica, state: &Partition) -> Loss {
        let counts = state.isr.contains(&self.node_id) || state.elr.contains(&self.node_id);
        let is_allowed = replica.settings().topic.unclean_leader_election_enable;
        if is_allowed && !counts { Loss::Accepted } else { Loss::Refused }
    }

    /// A partition that has moved away: its log goes.
    fn give_up(&self, replica: &Arc<Replica>) {
        self.replicas.remove_partition(replica.topic_id(), replica.topic_partition().partition);
        self.retire_replica(replica);
        self.groups.on_moved(self, replica);
    }

    fn reconfigure(&self, image: &Image, changed: &BTreeSet<ConfigResource>) {
        let is_general = |resource: &ConfigResource| match resource {
            ConfigResource::BrokerDefault => true,
            ConfigResource::Broker(id) => *id == self.node_id,
            _ => false,
        };
        let all = changed.iter().any(is_general);
        for replica in self.replicas.all() {
            let topic = &replica.topic_partition().topic;
            if all || changed.contains(&ConfigResource::Topic(topic.to_string())) {
                replica.configure(topic_settings::resolve(&self.settings, image, self.node_id, topic));
            }
        }
    }

    /// Opens the logs of a new topic that nobody has asked for yet.
    pub(super) fn open_topic(&self, id: TopicId) {
        let image = self.image();
        let Some(topic) = image.topic_by_id(id).cloned() else { return };
        for (index, state) in (0..).zip(&topic.partitions) {
            let partition = PartitionIndex(index);
            if self.hosts(state) && self.replicas.get_by_id(id, partition).is_none() {
                // An error is logged where it happens; a client that asks for the partition gets it again.
                let _ = self.open_replica(id, partition);
            }
        }
    }
}
