//! What a server counts, as handles, and how it is shown: there are no globals.
//!
//! - [`handles`]: a number is a relaxed atomic that its owner keeps; counting takes no lock, no look-up and no memory.
//! - [`broker`], [`core`]: the handles of a broker and of one core. What can be read when somebody asks is not counted at all.
//! - [`catalogue`]: every name that is shown, with its labels and meaning; `catalogue.md` is that table for people.
//! - [`recent`]: percentiles of lately, as Kafka has them.
//! - [`exposition`]: the numbers as text, in the formats of OpenMetrics and Prometheus.
//!
//! Names are Kafka's where Kafka has the number, as Prometheus' JMX exporter writes them (lower case, `PerSec` as `_total`), so
//! that existing dashboards go on; [`catalogue`] says by which rules.

pub mod broker;
pub mod catalogue;
pub mod core;
pub mod exposition;
pub mod handles;
pub mod recent;

pub use broker::{BrokerMetrics, TopicMetrics, TopicsMetrics};
pub use catalogue::{Family, Kind};
pub use core::{CoreMetrics, RequestMetrics, RequestTimes};
pub use exposition::{Exposition, Format, Samples, Writer};
pub use handles::{Counter, Distribution, Histogram};
pub use recent::Recent;

/// What compaction counts.
#[derive(Debug, Default)]
pub struct CleanerMetrics {
    /// Passes over a log that came to their end.
    pub passes: Counter,
    /// Bytes read and written.
    pub bytes: Counter,
    /// Bytes by which logs have become smaller.
    pub bytes_saved: Counter,
    /// Passes that failed; each has set its log aside.
    pub failures: Counter,
}

/// What all cores of a server count together, on no hot path.
#[derive(Debug, Default)]
pub struct ServerMetrics {
    pub connections_accepted: Counter,
    pub connections_refused: Counter,
}
