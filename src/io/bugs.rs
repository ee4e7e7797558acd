//! Bugs that lost data in Kafka and its relatives, and that can be put back: so it is seen that the simulation finds them.
//!
//! The doors exist with the feature `sim` only, and one bug at a time is behind them (`cargo sim --bug kip-101`). In a server
//! [`is_back`] is the constant `false`: what it guards is not compiled in. What each bug breaks, and which invariant must say so,
//! is in `sim::bank`.

use crate::model::Now;

/// A bug, named after where it was found. What is said is what goes wrong while it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// KIP-101, KAFKA-1211: a follower cuts its log at its own high watermark, which lags, and compares no epochs.
    Kip101 = 1,
    /// KAFKA-6361, KIP-279: a follower cuts once, where its leader's latest common epoch ends, and does not ask again.
    Kip279,
    /// KAFKA-14704: a follower takes over the high watermark of an answer that says that its log diverges.
    Kafka14704,
    /// KAFKA-12460: a new leader names its own, lagging high watermark as the end, and followers cut below theirs.
    Kafka12460,
    /// KIP-966, KIP-858: a broker that comes back without its logs stays in sync and eligible.
    Kip966,
    /// Redpanda #17957: a late answer of an earlier leader counts, and cuts what was appended since.
    Redpanda17957,
    /// robustmq #2039, tikv #1610: entries and votes of the quorum are acknowledged from the page cache.
    Robustmq2039,
    /// fsyncgate, rostam #94: a flush that has failed is tried again, and believed.
    Fsyncgate,
    /// KAFKA-10471: the marker of a clean stop outlives the next start, so that a crash looks clean.
    Kafka10471,
    /// KAFKA-14238: the metadata log is purged though no snapshot holds what goes.
    Kafka14238,
}

/// Every bug with its name, for people.
pub const ALL: [(Bug, &str); 10] = [
    (Bug::Kip101, "kip-101"),
    (Bug::Kip279, "kip-279"),
    (Bug::Kafka14704, "kafka-14704"),
    (Bug::Kafka12460, "kafka-12460"),
    (Bug::Kip966, "kip-966"),
    (Bug::Redpanda17957, "redpanda-17957"),
    (Bug::Robustmq2039, "robustmq-2039"),
    (Bug::Fsyncgate, "fsyncgate"),
    (Bug::Kafka10471, "kafka-10471"),
    (Bug::Kafka14238, "kafka-14238"),
];

/// For a bug that does not know the time.
pub const NO_TIME: Now = Now { wall_ms: 0, monotonic_ms: 0 };

/// Whether the bug is back.
#[cfg(not(feature = "sim"))]
pub const fn is_back(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "sim")]
pub use doors::{is_back, put_back};

#[cfg(feature = "sim")]
mod doors {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Bug;

    static BACK: AtomicU8 = AtomicU8::new(0);

    /// Whether the bug is back.
    pub fn is_back(bug: Bug) -> bool {
        BACK.load(Ordering::Relaxed) == bug as u8
    }

    /// Puts a bug back, for as long as the process lives.
    pub fn put_back(bug: Bug) {
        BACK.store(bug as u8, Ordering::Relaxed);
    }
}
