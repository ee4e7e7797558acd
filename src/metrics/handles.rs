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

/// Upper bounds of the buckets that are shown, in µs; one more holds what is above.
pub const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Steps of a power of ten, in tenths: near enough to tell a percentile by, where the shown buckets are not.
const STEPS: [u64; 10] = [100, 125, 150, 200, 250, 300, 400, 500, 600, 750];
const FINE_COUNT: usize = 66;

/// Upper bounds of the buckets that are kept, from 10 µs to 30 s; [`BOUNDS_US`] are among them.
pub const FINE_US: [u64; FINE_COUNT] = {
    let mut bounds = [0; FINE_COUNT];
    let (mut place, mut power) = (0, 1);
    while place < FINE_COUNT {
        bounds[place] = STEPS[place % STEPS.len()] * power / 10;
        place += 1;
        if place % STEPS.len() == 0 {
            power *= 10;
        }
    }
    bounds
};

/// How many durations fell into each bucket that is kept, and above the last.
pub type Counts = [u64; FINE_COUNT + 1];

/// Durations in buckets.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; FINE_COUNT + 1],
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Notes one duration, in µs.
    pub fn observe_us(&self, us: u64) {
        let index = FINE_US.partition_point(|bound| *bound < us);
        self.buckets[index].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// As [`Histogram::observe_us`], where one thread alone notes: it need not keep others out.
    pub fn observe_us_alone(&self, us: u64) {
        let raise = |number: &AtomicU64, by: u64| {
            number.store(number.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        };
        raise(&self.buckets[FINE_US.partition_point(|bound| *bound < us)], 1);
        raise(&self.sum_us, us);
    }

    pub fn distribution(&self) -> Distribution {
        let mut distribution = Distribution::default();
        distribution.add(self);
        distribution
    }
}

/// What histograms held when they were read, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    counts: Counts,
    sum_us: u64,
}

impl Default for Distribution {
    fn default() -> Distribution {
        Distribution { counts: [0; FINE_COUNT + 1], sum_us: 0 }
    }
}

impl Distribution {
    pub fn add(&mut self, histogram: &Histogram) {
        for (count, bucket) in self.counts.iter_mut().zip(&histogram.buckets) {
            *count += bucket.load(Ordering::Relaxed);
        }
        self.sum_us = self.sum_us.wrapping_add(histogram.sum_us.load(Ordering::Relaxed));
    }

    /// Adds what another has read.
    pub fn merge(&mut self, other: &Distribution) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// As they are kept, in the order of [`FINE_US`].
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Each shown bucket's upper bound in µs, `None` for the last one, and how many fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let mut begin = 0;
        BOUNDS_US.iter().map(|bound| Some(*bound)).chain([None]).map(move |bound| {
            let below = |bound: u64| FINE_US.partition_point(|fine| *fine <= bound);
            let end = bound.map_or(self.counts.len(), below);
            let count = self.counts[begin..end].iter().sum();
            begin = end;
            (bound, count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [0, 50, 51] {
            histogram.observe_us(us);
        }
        for us in [30_000_000, 30_000_001, 1_000] {
            histogram.observe_us_alone(us);
        }
        let mut sum = histogram.distribution();
        let filled: Vec<_> = sum.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(Some(50), 2), (Some(100), 1), (Some(1_000), 1), (Some(30_000_000), 1), (None, 1)]);
        assert_eq!((sum.count(), sum.sum_us()), (6, 60_001_102));
        sum.add(&histogram);
        assert_eq!((sum.count(), sum.sum_us()), (12, 120_002_204));
        sum.merge(&histogram.distribution());
        assert_eq!((sum.count(), sum.sum_us()), (18, 180_003_306));
    }

    #[test]
    fn kept_bounds_rise_and_hold_the_shown_ones() {
        assert!(FINE_US.is_sorted_by(|lower, upper| lower < upper), "{FINE_US:?}");
        assert_eq!((FINE_US[0], FINE_US[FINE_COUNT - 1]), (10, BOUNDS_US[BOUNDS_US.len() - 1]));
        assert!(BOUNDS_US.iter().all(|bound| FINE_US.contains(bound)), "{FINE_US:?}");
    }
}
