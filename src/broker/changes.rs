//! What a change of the cluster's image means for this broker's partitions.

use std::collections::BTreeSet;

use super::Broker;
use super::topic_settings;
use crate::metadata::{ConfigResource, Image};
use crate::model::{ErrorCode, PartitionIndex, TopicId};
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
            let Some(replica) = self.replicas.get_by_id(*id, *partition) else { continue };
            let state = image.topic_by_id(*id).and_then(|topic| topic.partition(*partition));
            match state.filter(|state| self.leads(state)) {
                Some(state) => replica.lead(state.leader_epoch, state.isr.to_vec()),
                None => replica.fence(ErrorCode::NotLeaderOrFollower),
            }
        }
        if !delta.configs_changed.is_empty() {
            self.reconfigure(image, &delta.configs_changed);
        }
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
            if self.leads(state) && self.replicas.get_by_id(id, partition).is_none() {
                // An error is logged where it happens; a client that asks for the partition gets it again.
                let _ = self.open_replica(id, partition);
            }
        }
    }
}
