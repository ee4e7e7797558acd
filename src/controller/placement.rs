//! Which brokers get the replicas of a new partition.

use crate::metadata::{Image, Replicas};
use crate::model::BrokerId;

/// Replicas for `partitions` new partitions, each on `replication_factor` brokers: leaders go round the brokers from a place
/// that the seed chooses, followers to the brokers behind the leader. Needs as many brokers as replicas.
pub fn place(image: &Image, partitions: usize, replication_factor: usize, seed: u64) -> Vec<Replicas> {
    let brokers: Vec<BrokerId> = image.brokers().map(|broker| broker.id).collect();
    assert!(replication_factor <= brokers.len(), "the caller has compared replicas with brokers");
    let count = u64::try_from(brokers.len()).expect("few brokers");
    let first = usize::try_from(seed % count).expect("below the number of brokers");
    let replicas_of = |partition: usize| {
        let leader = first + partition;
        (leader..leader + replication_factor).map(|index| brokers[index % brokers.len()]).collect()
    };
    (0..partitions).map(replicas_of).collect()
}
