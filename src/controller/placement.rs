//! Which brokers get the replicas of new partitions: spread over racks, then over the brokers of each rack, in turns.
//!
//! The rules of Kafka's `StripedReplicaPlacer`: leaders go round the racks, and round the brokers of a rack; the other replicas
//! go to the racks behind; a fenced broker is taken only when its rack has nobody else left, and never for the leader. Brokers on their
//! way out are not considered, nor those whose directories are all cordoned (KIP-1066). Every so many partitions as there are live brokers the order is shuffled, so that the same sets
//! of brokers do not repeat.
//!
//! Chance comes in as a seed. Invariant: no broker twice in one partition; the first replica is alive.

use std::collections::BTreeMap;

use crate::metadata::{Broker, Image, Partition, Replicas};
use crate::model::BrokerId;

/// Replicas for so many new partitions behind the existing ones. Error: Kafka's text for INVALID_REPLICATION_FACTOR.
pub fn place(
    image: &Image,
    existing: &[Partition],
    partitions: usize,
    replication_factor: usize,
    seed: u64,
) -> Result<Vec<Replicas>, String> {
    let mut racks = Racks::new(image, existing, seed);
    if racks.live_count == 0 {
        return Err("All brokers are currently fenced, or have all their log directories cordoned.".into());
    }
    if replication_factor > racks.total_count {
        return Err(format!(
            "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are \
             registered or some brokers have all their log directories cordoned.",
            racks.total_count
        ));
    }
    Ok((0..partitions).map(|_| racks.next_partition(replication_factor)).collect())
}

/// Brokers that are handed out in turns; each partition starts one further on.
#[derive(Default)]
struct Turns {
    brokers: Vec<BrokerId>,
    offset: usize,
    taken: usize,
    epoch: usize,
}

impl Turns {
    fn next(&mut self, epoch: usize) -> Option<BrokerId> {
        if self.brokers.is_empty() {
            return None;
        }
        if self.epoch != epoch {
            (self.epoch, self.taken) = (epoch, 0);
            self.offset = (self.offset + 1) % self.brokers.len();
        }
        if self.taken == self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.offset + self.taken) % self.brokers.len()];
        self.taken += 1;
        Some(broker)
    }
}

#[derive(Default)]
struct Rack {
    live: Turns,
    fenced: Turns,
}

struct Racks {
    racks: Vec<Rack>,
    live_count: usize,
    total_count: usize,
    offset: usize,
    epoch: usize,
    random: Random,
}

impl Racks {
    fn new(image: &Image, existing: &[Partition], seed: u64) -> Racks {
        let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let (mut live_count, mut total_count) = (0, 0);
        let is_usable =
            |broker: &Broker| (broker.fenced || !broker.in_controlled_shutdown) && broker.has_uncordoned_directory();
        for broker in image.brokers().filter(|broker| is_usable(broker)) {
            let rack = by_name.entry(broker.rack.as_deref()).or_default();
            total_count += 1;
            if broker.fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                live_count += 1;
                rack.live.brokers.push(broker.id);
            }
        }
        let mut random = Random(seed);
        for (name, rack) in &mut by_name {
            rack.fenced.offset = random.below(rack.fenced.brokers.len());
            let random_offset = random.below(rack.live.brokers.len());
            rack.live.offset = match last_of_rack(image, existing, *name, &rack.live.brokers) {
                Some(index) => (index + 1) % rack.live.brokers.len(),
                None => random_offset,
            };
        }
        let last_leader = existing.last().and_then(|partition| image.broker(*partition.replicas.first()?));
        let last_rack = last_leader.and_then(|broker| by_name.keys().position(|name| *name == broker.rack.as_deref()));
        let offset = match last_rack {
            Some(index) => (index + 1) % by_name.len(),
            None => random.below(by_name.len()),
        };
        Racks { racks: by_name.into_values().collect(), live_count, total_count, offset, epoch: 0, random }
    }

    fn next_partition(&mut self, replication_factor: usize) -> Replicas {
        if self.epoch == self.live_count && self.live_count > 1 {
            self.shuffle();
            self.epoch = 0;
        }
        let count = self.racks.len();
        self.offset %= count;
        let (epoch, offset) = (self.epoch, self.offset);
        let around = (offset..offset + count).map(|index| index % count);
        let mut replicas = Replicas::new();
        // The rack of the leader is passed over once, when its turn comes.
        let mut passed_over = None;
        for index in around {
            if let Some(leader) = self.racks[index].live.next(epoch) {
                replicas.push(leader);
                passed_over = Some(index);
                break;
            }
        }
        let mut turn = offset;
        while replicas.len() < replication_factor {
            let index = turn % count;
            turn += 1;
            if passed_over == Some(index) {
                passed_over = None;
                continue;
            }
            let rack = &mut self.racks[index];
            replicas.extend(rack.live.next(epoch).or_else(|| rack.fenced.next(epoch)));
        }
        self.epoch += 1;
        self.offset += 1;
        replicas
    }

    fn shuffle(&mut self) {
        self.random.shuffle(&mut self.racks);
        for rack in &mut self.racks {
            self.random.shuffle(&mut rack.live.brokers);
            self.random.shuffle(&mut rack.fenced.brokers);
        }
    }
}

/// Where, among the live brokers of a rack, the last replica lies that an existing partition has there.
fn last_of_rack(image: &Image, existing: &[Partition], rack: Option<&str>, live: &[BrokerId]) -> Option<usize> {
    let is_here = |id: &&BrokerId| image.broker(**id).is_some_and(|broker| broker.rack.as_deref() == rack);
    let last = existing.iter().rev().find_map(|partition| partition.replicas.iter().find(is_here))?;
    live.iter().position(|id| id == last)
}

/// A sequence of numbers that looks like chance (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below the bound; 0 when there is none.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a count in memory");
        let number = if bound == 0 { 0 } else { self.next() % bound };
        usize::try_from(number).expect("below a count in memory")
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
