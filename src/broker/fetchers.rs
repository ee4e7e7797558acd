//! Following: what this broker's replicas fetch from the leaders of their partitions.
//!
//! There is one [`fetcher`] for each leader (`num.replica.fetchers` of them, each with a share of the partitions), a service with
//! a link of its own. It fetches all its partitions in one request within a session (KIP-227), takes the answer in, brings
//! everything to stable storage, and only then fetches again: so the offset that it names is always one that a power cut cannot
//! take back, and the leader may count on it.
//!
//! What is assigned while the leader holds a fetch back for want of records does not wait for it: whatever else is asked on the
//! connection ends the leader's wait. Else each election would cost up to `replica.fetch.wait.max.ms`, as with Kafka.
//!
//! Follows `AbstractFetcherThread`, `ReplicaFetcherThread` and `ReplicaFetcherManager` of Apache Kafka 4.3.1.
//!
//! Invariant: a partition is assigned to one fetcher at most, at the leader epoch that its machine has; what an answer says of an
//! assignment that has changed meanwhile is dropped, and the machine checks the epoch once more.

mod answer;
mod fetcher;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::Broker;
use super::replica::Replica;
use crate::io::threads::{self, Service};
use crate::model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use fetcher::Fetcher;

/// A partition, in the order in which requests name them.
type Key = (TopicId, PartitionIndex);

/// See the head of this room.
#[derive(Default)]
pub struct Fetchers {
    /// Set when the broker is there; what is assigned before waits.
    broker: OnceLock<Weak<Broker>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_leader: BTreeMap<(BrokerId, usize), Arc<Fetcher>>,
    /// Which fetcher has a partition.
    assigned: BTreeMap<Key, (BrokerId, usize)>,
    services: Vec<Service>,
    is_closing: bool,
}

impl Fetchers {
    /// Has fetchers run from now on.
    pub(super) fn start(&self, broker: &Arc<Broker>) {
        let weak = Arc::downgrade(broker);
        if self.broker.set(weak.clone()).is_err() {
            return;
        }
        let mut state = self.state.lock();
        let waiting: Vec<_> = state.by_leader.values().cloned().collect();
        for fetcher in waiting {
            state.run(fetcher, weak.clone());
        }
    }

    /// Has a replica follow the leader of an epoch.
    pub(super) fn assign(
        &self,
        replica: &Arc<Replica>,
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
        share_count: usize,
    ) {
        let key = (replica.topic_id(), replica.topic_partition().partition);
        let place = (leader, share_of(key, share_count));
        let mut state = self.state.lock();
        if state.is_closing {
            return;
        }
        state.release(key, Some(place));
        let known = state.by_leader.get(&place).cloned();
        let fetcher = known.unwrap_or_else(|| {
            let fetcher = Arc::new(Fetcher::new(leader));
            state.by_leader.insert(place, Arc::clone(&fetcher));
            if let Some(broker) = self.broker.get() {
                state.run(Arc::clone(&fetcher), broker.clone());
            }
            fetcher
        });
        state.assigned.insert(key, place);
        fetcher.assign(key, replica, leader_epoch);
    }

    /// The replica follows nobody any more: it leads, or is gone, or there is no leader.
    pub(super) fn release(&self, replica: &Replica) {
        self.state.lock().release((replica.topic_id(), replica.topic_partition().partition), None);
    }

    /// Ends all fetchers and waits for them. What they are taking in is taken in.
    pub(super) async fn close(&self) {
        let services = {
            let mut state = self.state.lock();
            state.is_closing = true;
            state.by_leader.values().for_each(|fetcher| fetcher.close());
            std::mem::take(&mut state.services)
        };
        for service in services {
            service.ended().await;
        }
    }
}

impl State {
    fn run(&mut self, fetcher: Arc<Fetcher>, broker: Weak<Broker>) {
        let name = format!("fetch-from-{}", fetcher.leader());
        match threads::service(&name, move || fetcher::run(fetcher, broker)) {
            Ok(service) => self.services.push(service),
            Err(error) => tracing::error!(%error, "replicas cannot follow without a thread"),
        }
    }

    fn release(&mut self, key: Key, unless: Option<(BrokerId, usize)>) {
        let Some(place) = self.assigned.get(&key).copied().filter(|place| Some(*place) != unless) else { return };
        self.assigned.remove(&key);
        if let Some(fetcher) = self.by_leader.get(&place) {
            fetcher.release(key);
        }
    }
}

/// Spreads the partitions of a topic over the fetchers of a leader (`AbstractFetcherManager.getFetcherId`).
fn share_of((topic, partition): Key, share_count: usize) -> usize {
    let spread = topic.0.as_u128() % 1_000_003 + u128::from(partition.0.unsigned_abs());
    usize::try_from(spread % share_count.max(1) as u128).expect("below the number of shares")
}
