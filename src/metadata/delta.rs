//! What a batch of records changed: orders for the shell, which looks the new state up in the new image.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::image::Topic;
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
}

impl Delta {
    pub fn is_empty(&self) -> bool {
        *self == Delta::default()
    }
}
