//! Replication held back, so that moving partitions does not starve clients (KIP-73).
//!
//! A rate in bytes a second for what a broker sends as leader, and one for what it takes in as follower. They hold for the replicas
//! that the topic names, and only while the follower is not in sync: nobody who waits for `acks=all` is held back by them.
//! Source: `ReplicationQuotaManager`; where Kafka averages over eleven seconds, this is a bucket of one.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::model::{BrokerId, Now, PartitionIndex};

/// The bytes that may go at once after a silence, as a time of the rate in ms.
const BURST_MS: i64 = 1000;
const UNLIMITED: u64 = u64::MAX;

/// The replicas of a topic that are held back: `leader.replication.throttled.replicas`, and its like for followers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Throttled {
    #[default]
    None,
    All,
    Some(Vec<(PartitionIndex, BrokerId)>),
}

impl Throttled {
    /// Reads `*` or `partition:broker` pairs. What is neither was refused when it was set.
    pub fn of(text: &str) -> Throttled {
        if text.trim() == "*" {
            return Throttled::All;
        }
        let pair = |pair: &str| {
            let (partition, broker) = pair.trim().split_once(':')?;
            Some((PartitionIndex(partition.parse().ok()?), BrokerId(broker.parse().ok()?)))
        };
        let pairs: Vec<_> = text.split(',').filter_map(pair).collect();
        if pairs.is_empty() { Throttled::None } else { Throttled::Some(pairs) }
    }

    pub fn covers(&self, partition: PartitionIndex, broker: BrokerId) -> bool {
        match self {
            Throttled::None => false,
            Throttled::All => true,
            Throttled::Some(pairs) => pairs.contains(&(partition, broker)),
        }
    }
}

/// One rate and what was used of it.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: AtomicU64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Bytes that may go; below zero when more went than was allowed.
    left: i64,
    filled_ms: u64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle { bytes_per_second: AtomicU64::new(UNLIMITED), bucket: Mutex::default() }
    }
}

impl Throttle {
    /// Sets the rate; `None` lifts it. A text that is no number does too.
    pub fn set(&self, bytes_per_second: Option<&str>) {
        let rate = bytes_per_second.and_then(|text| text.trim().parse().ok()).unwrap_or(UNLIMITED);
        self.bytes_per_second.store(rate, Ordering::Relaxed);
    }

    /// Whether what is held back must wait now.
    pub fn is_exceeded(&self, now: Now) -> bool {
        self.rate().is_some_and(|rate| self.bucket.lock().fill(rate, now) <= 0)
    }

    /// Notes bytes that went.
    pub fn charge(&self, now: Now, bytes: usize) {
        if let Some(rate) = self.rate() {
            let mut bucket = self.bucket.lock();
            bucket.fill(rate, now);
            bucket.left = bucket.left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    fn rate(&self) -> Option<i64> {
        let rate = self.bytes_per_second.load(Ordering::Relaxed);
        i64::try_from(rate).ok().filter(|rate| *rate < i64::MAX)
    }
}

impl Bucket {
    fn fill(&mut self, rate: i64, now: Now) -> i64 {
        let passed_ms = i64::try_from(now.monotonic_ms.saturating_sub(self.filled_ms)).unwrap_or(i64::MAX);
        let allowed = |ms: i64| rate.saturating_mul(ms) / 1000;
        // Rests below a byte are not lost: time is taken only when it gives something.
        if allowed(passed_ms) > 0 {
            self.left = self.left.saturating_add(allowed(passed_ms)).min(allowed(BURST_MS).max(1));
            self.filled_ms = now.monotonic_ms;
        }
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic_ms: u64) -> Now {
        Now { wall_ms: 0, monotonic_ms }
    }

    #[test]
    fn what_went_too_fast_is_waited_for() {
        let throttle = Throttle::default();
        throttle.charge(at(0), usize::MAX);
        assert!(!throttle.is_exceeded(at(0)), "without a rate nothing is counted");
        throttle.set(Some("1000"));
        assert!(!throttle.is_exceeded(at(5000)));
        throttle.charge(at(5000), 3000);
        assert!(throttle.is_exceeded(at(5000)));
        assert!(throttle.is_exceeded(at(7000)));
        assert!(!throttle.is_exceeded(at(7001)));
        // A silence does not save up more than a second's worth.
        throttle.charge(at(60_000), 1000);
        assert!(throttle.is_exceeded(at(60_000)));
        throttle.set(None);
        assert!(!throttle.is_exceeded(at(60_000)));
    }

    #[test]
    fn a_list_names_replicas() {
        let check = |text, expected: [bool; 2]| {
            let throttled = Throttled::of(text);
            let covers = |partition, broker| throttled.covers(PartitionIndex(partition), BrokerId(broker));
            assert_eq!([covers(0, 1), covers(3, 2)], expected, "{text}");
        };
        check("", [false, false]);
        check("*", [true, true]);
        check("0:1", [true, false]);
        check("0:1, 3:2", [true, true]);
        check("1:0", [false, false]);
    }
}
