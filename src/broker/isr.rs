//! Changes of in-sync sets on their way to the controller (AlterPartition, KIP-497).
//!
//! A leader's machine makes a proposal and keeps it until it is answered; here are only the replicas that have one. What is sent
//! is read from the machine at the moment of sending, so that a proposal that was overtaken by the metadata log is never sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::replica::Replica;
use crate::model::{PartitionIndex, TopicId};

/// The replicas whose proposals are to be sent, in the order of their ids.
#[derive(Default)]
pub struct Proposals {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

type Waiting = BTreeMap<(TopicId, PartitionIndex), Arc<Replica>>;

impl Proposals {
    /// Has the replica's proposal sent soon. Takes no replica's lock.
    pub fn submit(&self, replica: &Arc<Replica>) {
        let key = (replica.topic_id(), replica.topic_partition().partition);
        self.waiting.lock().insert(key, Arc::clone(replica));
        self.wake.notify_one();
    }

    /// Waits until there is something to send.
    pub async fn next(&self) -> Vec<Arc<Replica>> {
        loop {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            if !waiting.is_empty() {
                return waiting.into_values().collect();
            }
            self.wake.notified().await;
        }
    }
}
