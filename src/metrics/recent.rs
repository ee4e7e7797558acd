//! Percentiles of lately, as Kafka shows them: an older duration weighs less, at the pace of its histograms
//! (`ExponentiallyDecayingSample`, which is what a biased one keeps), so that they speak of about the last five minutes.
//!
//! They are worked out when somebody looks: what has come since the last look counts as of now, and between looks nothing is spent.
//! While nothing comes they stay, as Kafka's do.

use std::time::Duration;

use super::handles::{Distribution, FINE_US};

/// What is shown, and how the label says so: as the rules of the JMX exporter write Kafka's `50thPercentile` to `999thPercentile`.
pub const QUANTILES: [(f64, &str); 6] =
    [(0.5, "0.50"), (0.75, "0.75"), (0.95, "0.95"), (0.98, "0.98"), (0.99, "0.99"), (0.999, "0.999")];

/// By how much a duration's weight falls in a second: `ALPHA` in Kafka's library of metrics.
const DECAY_PER_SECOND: f64 = 0.015;

/// The weights of one histogram's buckets.
#[derive(Clone, Debug)]
pub struct Recent {
    seen: Distribution,
    /// When there last was something new, on the clock of who looks.
    at: Duration,
    weights: [f64; FINE_US.len() + 1],
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { seen: Distribution::default(), at: Duration::ZERO, weights: [0.0; FINE_US.len() + 1] }
    }
}

impl Recent {
    /// Takes in what has come since the last look. `now` never goes back.
    pub fn look(&mut self, now: Duration, distribution: &Distribution) {
        if distribution == &self.seen {
            return;
        }
        let kept = (-DECAY_PER_SECOND * now.saturating_sub(self.at).as_secs_f64()).exp();
        let counts = distribution.counts().iter().zip(self.seen.counts());
        for (weight, (count, before)) in self.weights.iter_mut().zip(counts) {
            *weight = *weight * kept + to_weight(count.saturating_sub(*before));
        }
        self.at = now;
        self.seen = distribution.clone();
    }

    /// The duration that this part of them did not exceed, in ms, as far as buckets tell; 0 when there are none.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let all: f64 = self.weights.iter().sum();
        let mut missing = quantile * all;
        let mut lower = 0.0;
        for (weight, upper) in self.weights.iter().zip(FINE_US) {
            let upper = to_weight(upper) / 1000.0;
            if *weight > 0.0 && missing <= *weight {
                return lower + (upper - lower) * missing / weight;
            }
            missing -= weight;
            lower = upper;
        }
        // Above the last bound: nothing says how far.
        if all > 0.0 { lower } else { 0.0 }
    }
}

fn to_weight(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "of 2^53 durations one more or less is not missed")]
    let weight = count as f64;
    weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Histogram;

    fn observe(histogram: &Histogram, us: u64, count: usize) {
        (0..count).for_each(|_| histogram.observe_us(us));
    }

    fn check(recent: &Recent, quantile: f64, expected_ms: std::ops::RangeInclusive<f64>) {
        let ms = recent.quantile_ms(quantile);
        assert!(expected_ms.contains(&ms), "{quantile}: {ms} ms, not {expected_ms:?}");
    }

    #[test]
    fn percentiles_lie_in_the_bucket_of_their_duration() {
        let (histogram, mut recent) = (Histogram::default(), Recent::default());
        recent.look(Duration::from_secs(1), &histogram.distribution());
        check(&recent, 0.5, 0.0..=0.0);
        observe(&histogram, 90, 90);
        observe(&histogram, 4_500, 9);
        observe(&histogram, 60_000_000, 1);
        recent.look(Duration::from_secs(2), &histogram.distribution());
        check(&recent, 0.5, 0.075..=0.1);
        check(&recent, 0.95, 4.0..=5.0);
        check(&recent, 0.99, 4.0..=5.0);
        check(&recent, 0.999, 30_000.0..=30_000.0);
    }

    #[test]
    fn what_is_old_weighs_less_and_silence_changes_nothing() {
        let (histogram, mut recent) = (Histogram::default(), Recent::default());
        observe(&histogram, 900_000, 1_000);
        recent.look(Duration::from_secs(10), &histogram.distribution());
        recent.look(Duration::from_secs(1_000_000), &histogram.distribution());
        check(&recent, 0.5, 750.0..=1_000.0);
        // After six minutes of short ones, one in a minute and two hundred each, the long ones are not the half any more.
        for minute in 1..=6 {
            observe(&histogram, 900, 200);
            recent.look(Duration::from_secs(10 + 60 * minute), &histogram.distribution());
        }
        check(&recent, 0.5, 0.75..=1.0);
        check(&recent, 0.999, 750.0..=1_000.0);
        observe(&histogram, 900, 200);
        recent.look(Duration::from_secs(3_600), &histogram.distribution());
        check(&recent, 0.999, 0.75..=1.0);
    }
}
