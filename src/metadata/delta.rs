//! What a batch of records changed: orders for the shell, which looks the new state up in the new image.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::image::{Image, Topic};
use super::record::ConfigResource;
use crate::model::{BrokerId, PartitionIndex, TopicId};

/// Filled while records are replayed, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Topics that did not exist before the batch and do after it.
    pub topics_created: BTreeSet<TopicId>,
    /// Topics that existed before the batch and do not after it, as they were last.
    pub topics_deleted: Vec<Arc<Topic>>,
    /// Partitions of older topics whose leader, epoch, replicas or ISR changed, or that were added. May name one of a topic
    /// deleted later in the same batch.
    pub partitions_changed: BTreeSet<(TopicId, PartitionIndex)>,
    pub configs_changed: BTreeSet<ConfigResource>,
    /// Brokers that registered, were fenced or let in, want to stop, or are gone.
    pub brokers_changed: BTreeSet<BrokerId>,
    /// Whether any quota did.
    pub quotas_changed: bool,
}

impl Delta {
    /// What differs between two images, when the second did not come from the first record by record: from a snapshot.
    pub fn between(old: &Image, new: &Image) -> Delta {
        let mut delta = Delta { quotas_changed: old.quotas() != new.quotas(), ..Delta::default() };
        for topic in old.topics().filter(|topic| new.topic_by_id(topic.id).is_none()) {
            delta.topics_deleted.push(Arc::new(topic.clone()));
        }
        for topic in new.topics() {
            let Some(before) = old.topic_by_id(topic.id) else {
                delta.topics_created.insert(topic.id);
                continue;
            };
            for (index, state) in (0..).map(PartitionIndex).zip(&topic.partitions) {
                if before.partition(index) != Some(state) {
                    delta.partitions_changed.insert((topic.id, index));
                }
            }
        }
        for (one, other) in [(old, new), (new, old)] {
            let configured = one.configured().filter(|(resource, configs)| other.configs(resource) != *configs);
            delta.configs_changed.extend(configured.map(|(resource, _)| resource.clone()));
            let brokers = one.brokers().filter(|broker| other.broker(broker.id) != Some(*broker));
            delta.brokers_changed.extend(brokers.map(|broker| broker.id));
        }
        delta
    }

    pub fn is_empty(&self) -> bool {
        *self == Delta::default()
    }
}
