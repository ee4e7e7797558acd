//! What was used: a rate over the last samples, or tokens that come back with time.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples of so many ms, and how many of them count. Source: `MetricConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub samples: usize,
    pub sample_ms: u64,
}

impl Window {
    fn total_ms(self) -> u64 {
        self.sample_ms.saturating_mul(u64::try_from(self.samples).unwrap_or(u64::MAX))
    }
}

/// A rate in units a second, averaged over the samples of a window (`Rate`, `SampledStat`).
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// When each began, and what it holds; the oldest first.
    samples: VecDeque<(u64, f64)>,
}

impl Rate {
    pub fn record(&mut self, window: Window, amount: f64, now_ms: u64) {
        self.forget(window, now_ms);
        match self.samples.back_mut() {
            Some((begun_ms, sum)) if now_ms.saturating_sub(*begun_ms) < window.sample_ms => *sum += amount,
            _ => self.samples.push_back((now_ms, amount)),
        }
        while self.samples.len() > window.samples {
            self.samples.pop_front();
        }
    }

    /// Units a second.
    pub fn measure(&mut self, window: Window, now_ms: u64) -> f64 {
        self.forget(window, now_ms);
        let total: f64 = self.samples.iter().map(|(_, sum)| sum).sum();
        total * 1_000.0 / as_f64(self.window_ms(window, now_ms))
    }

    /// The time over which the rate is taken, in ms: what has passed since the oldest sample began, and at least all full
    /// samples but the current one (`Rate.windowSize`).
    pub fn window_ms(&self, window: Window, now_ms: u64) -> u64 {
        let elapsed_ms = self.samples.front().map_or(0, |(begun_ms, _)| now_ms.saturating_sub(*begun_ms));
        let full = elapsed_ms / window.sample_ms;
        let full_min = u64::try_from(window.samples.saturating_sub(1)).unwrap_or(u64::MAX);
        elapsed_ms.saturating_add(full_min.saturating_sub(full).saturating_mul(window.sample_ms)).max(1)
    }

    fn forget(&mut self, window: Window, now_ms: u64) {
        while self.samples.front().is_some_and(|(begun_ms, _)| now_ms.saturating_sub(*begun_ms) >= window.total_ms()) {
            self.samples.pop_front();
        }
    }

    /// Whether nothing of it counts any more.
    pub fn is_spent(&mut self, window: Window, now_ms: u64) -> bool {
        self.forget(window, now_ms);
        self.samples.is_empty()
    }
}

/// Tokens that come back at a rate, up to a burst; using more than there are leaves a debt (`TokenBucket`).
#[derive(Clone, Debug)]
pub struct Bucket {
    tokens: f64,
    refilled_ms: u64,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: f64, window: Window, now_ms: u64) -> Bucket {
        Bucket { tokens: burst(rate, window), refilled_ms: now_ms }
    }

    /// Takes tokens, whether they are there or not.
    pub fn take(&mut self, rate: f64, window: Window, count: f64, now_ms: u64) {
        self.refill(rate, window, now_ms);
        self.tokens -= count;
    }

    /// How long until there is no debt, in ms; 0 without one.
    pub fn debt_ms(&mut self, rate: f64, window: Window, now_ms: u64) -> u64 {
        self.refill(rate, window, now_ms);
        if self.tokens >= 0.0 { 0 } else { round_ms(-self.tokens / rate * 1_000.0).max(1) }
    }

    /// The tokens that are there; below 0 a debt.
    pub fn left(&mut self, rate: f64, window: Window, now_ms: u64) -> f64 {
        self.refill(rate, window, now_ms);
        self.tokens
    }

    fn refill(&mut self, rate: f64, window: Window, now_ms: u64) {
        let elapsed_s = as_f64(now_ms.saturating_sub(self.refilled_ms)) / 1_000.0;
        self.tokens = (self.tokens + elapsed_s * rate).min(burst(rate, window));
        self.refilled_ms = now_ms;
    }

    /// Whether it is as full as a new one.
    pub fn is_full(&mut self, rate: f64, window: Window, now_ms: u64) -> bool {
        self.refill(rate, window, now_ms);
        self.tokens >= burst(rate, window)
    }
}

fn burst(rate: f64, window: Window) -> f64 {
    rate * as_f64(window.total_ms()) / 1_000.0
}

/// The longest that anybody is held back, in ms: a day. Kafka has no bound.
const THROTTLE_MAX_MS: f64 = 86_400_000.0;

/// A time to wait as whole ms.
pub fn round_ms(time_ms: f64) -> u64 {
    let bounded = time_ms.round().clamp(0.0, THROTTLE_MAX_MS);
    // A clamped number of ms fits; the standard library has no other conversion.
    Duration::from_secs_f64(bounded / 1_000.0).as_millis().try_into().unwrap_or(u64::MAX)
}

/// A number of units, rounded down; the most there is for what does not fit.
pub fn whole(amount: f64) -> u64 {
    if amount < 1.0 {
        return 0;
    }
    // Beyond this the division below would be told to hold more than it can.
    let bounded = amount.min(1e18);
    Duration::try_from_secs_f64(bounded).map_or(u64::MAX, |units| units.as_secs())
}

fn as_f64(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64() * 1_000.0
}
