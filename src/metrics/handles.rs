//! The handles: numbers that are counted from any thread and read now and then.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: usize) {
        self.add_u64(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub fn add_u64(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of a histogram's buckets, in µs; one more bucket holds what is above.
pub const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Durations in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Notes one duration, in µs.
    pub fn observe_us(&self, us: u64) {
        // Most durations are short: the first buckets are found first.
        let index = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
        self.buckets[index].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub fn distribution(&self) -> Distribution {
        let mut distribution = Distribution::default();
        distribution.add(self);
        distribution
    }
}

/// What histograms held when they were read, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Distribution {
    pub fn add(&mut self, histogram: &Histogram) {
        for (count, bucket) in self.counts.iter_mut().zip(&histogram.buckets) {
            *count += bucket.load(Ordering::Relaxed);
        }
        self.sum_us = self.sum_us.wrapping_add(histogram.sum_us.load(Ordering::Relaxed));
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// Each bucket's upper bound in µs, `None` for the last one, and how many fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = BOUNDS_US.iter().map(|bound| Some(*bound)).chain([None]);
        bounds.zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [0, 50, 51, 30_000_000, 30_000_001, 1_000] {
            histogram.observe_us(us);
        }
        let mut sum = histogram.distribution();
        let filled: Vec<_> = sum.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(Some(50), 2), (Some(100), 1), (Some(1_000), 1), (Some(30_000_000), 1), (None, 1)]);
        assert_eq!((sum.count(), sum.sum_us()), (6, 60_001_102));
        sum.add(&histogram);
        assert_eq!((sum.count(), sum.sum_us()), (12, 120_002_204));
    }
}
