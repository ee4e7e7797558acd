//! The replicas of this broker, found by topic name or id.
//!
//! Invariant: both maps hold the same topics, and each replica belongs to the topic id it was opened for: a topic that is
//! deleted and created anew under its old name has new replicas (KAFKA-12257).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::broker::replica::Replica;
use crate::metadata::Topic;
use crate::model::{PartitionIndex, TopicId};

/// The replicas of one topic; a place is empty while its log was not opened, or is not ours.
pub struct TopicReplicas {
    pub name: Arc<str>,
    pub id: TopicId,
    places: Box<[OnceLock<Arc<Replica>>]>,
}

impl TopicReplicas {
    fn new(topic: &Topic) -> TopicReplicas {
        let places = topic.partitions.iter().map(|_| OnceLock::new()).collect();
        TopicReplicas { name: Arc::clone(&topic.name), id: topic.id, places }
    }

    /// The replica, if it was opened.
    pub fn get(&self, partition: PartitionIndex) -> Option<&Arc<Replica>> {
        self.place(partition)?.get()
    }

    /// Where the replica is, or will be. `None` when the topic has no such partition.
    pub fn place(&self, partition: PartitionIndex) -> Option<&OnceLock<Arc<Replica>>> {
        self.places.get(usize::try_from(partition.0).ok()?)
    }

    /// One of those that were opened.
    pub fn any(&self) -> Option<&Arc<Replica>> {
        self.opened().next()
    }

    fn opened(&self) -> impl Iterator<Item = &Arc<Replica>> {
        self.places.iter().filter_map(OnceLock::get)
    }
}

/// See the head of this file.
#[derive(Default)]
pub struct Replicas {
    maps: RwLock<Maps>,
}

#[derive(Default)]
struct Maps {
    by_name: HashMap<Arc<str>, Arc<TopicReplicas>>,
    by_id: HashMap<TopicId, Arc<TopicReplicas>>,
}

impl Replicas {
    pub fn topic(&self, name: &str) -> Option<Arc<TopicReplicas>> {
        self.maps.read().by_name.get(name).cloned()
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<TopicReplicas>> {
        self.maps.read().by_id.get(&id).cloned()
    }

    /// The replica, if it was opened.
    pub fn get(&self, topic: &str, partition: PartitionIndex) -> Option<Arc<Replica>> {
        self.maps.read().by_name.get(topic)?.get(partition).cloned()
    }

    /// As [`Replicas::get`].
    pub fn get_by_id(&self, id: TopicId, partition: PartitionIndex) -> Option<Arc<Replica>> {
        self.maps.read().by_id.get(&id)?.get(partition).cloned()
    }

    /// Makes room for a topic's replicas; gives what is there when it is known. Replicas that were opened stay when the topic
    /// got more partitions.
    pub fn admit(&self, topic: &Topic) -> Arc<TopicReplicas> {
        let mut maps = self.maps.write();
        let known = maps.by_id.get(&topic.id);
        if let Some(known) = known.filter(|known| known.places.len() == topic.partitions.len()) {
            return Arc::clone(known);
        }
        let admitted = TopicReplicas::new(topic);
        if let Some(known) = known {
            for (old, new) in known.places.iter().zip(&admitted.places) {
                if let Some(replica) = old.get() {
                    new.get_or_init(|| Arc::clone(replica));
                }
            }
        }
        let admitted = Arc::new(admitted);
        maps.by_name.insert(Arc::clone(&topic.name), Arc::clone(&admitted));
        maps.by_id.insert(topic.id, Arc::clone(&admitted));
        admitted
    }

    /// Takes a topic out; its replicas are for the caller to fence.
    pub fn remove(&self, id: TopicId) -> Vec<Arc<Replica>> {
        let mut maps = self.maps.write();
        let Some(topic) = maps.by_id.remove(&id) else { return Vec::new() };
        // The name may already belong to a topic that was created after this one was deleted.
        if maps.by_name.get(&topic.name).is_some_and(|named| named.id == id) {
            maps.by_name.remove(&topic.name);
        }
        topic.opened().cloned().collect()
    }

    /// Takes one partition's replica out; it is for the caller to fence.
    pub fn remove_partition(&self, id: TopicId, partition: PartitionIndex) {
        let mut maps = self.maps.write();
        let Some(known) = maps.by_id.get(&id).cloned() else { return };
        let places = (0..).map(PartitionIndex).zip(&known.places).map(|(index, place)| match place.get() {
            Some(replica) if index != partition => OnceLock::from(Arc::clone(replica)),
            _ => OnceLock::new(),
        });
        let rest = Arc::new(TopicReplicas { name: Arc::clone(&known.name), id, places: places.collect() });
        if maps.by_name.get(&known.name).is_some_and(|named| named.id == id) {
            maps.by_name.insert(Arc::clone(&known.name), Arc::clone(&rest));
        }
        maps.by_id.insert(id, rest);
    }

    /// The name of each topic, with its replicas that were opened.
    pub fn by_topic(&self) -> Vec<(Arc<str>, Vec<Arc<Replica>>)> {
        let named = |topic: &Arc<TopicReplicas>| (Arc::clone(&topic.name), topic.opened().cloned().collect());
        self.maps.read().by_id.values().map(named).collect()
    }

    /// Every replica that was opened.
    pub fn all(&self) -> Vec<Arc<Replica>> {
        self.maps.read().by_id.values().flat_map(|topic| topic.opened().cloned()).collect()
    }
}
