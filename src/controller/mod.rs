//! Cluster decisions as a pure machine: an image and a request in, records and an answer out.
//!
//! What is decided here becomes true only when its records are committed; the shell in `broker` brings the two together, one
//! decision after the other. Behaviour and messages follow Kafka's `ReplicationControlManager`, `ConfigurationControlManager`,
//! `ControllerApis` and `ConfigAdminManager`.
//!
//! Invariant: a decision reads nothing but its arguments. The same image, seed and request give the same records.

mod configs;
mod placement;
mod registration;
mod topics;

use crate::metadata::Record;
use crate::model::ErrorCode;

pub use configs::{AlterConfigs, ConfigOp, ResourceName, ResourceType, alter_configs, incremental_alter_configs};
pub use registration::{Registration, allocate_producer_ids, register_broker};
pub use topics::{CreateTopic, Created, CreatedTopic, DeletedTopic, TopicSelector, create_topics, delete_topics};

/// What the controller goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `num.partitions`, for requests that leave it to the broker.
    pub default_partitions: i32,
    /// `default.replication.factor`, for the same.
    pub default_replication_factor: i16,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
}

/// A decision: what to commit, and what to answer when it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<T> {
    pub records: Vec<Record>,
    pub answer: T,
}

/// Why something is not done. `message` is Kafka's text, `None` where Kafka gives none but the code's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: Option<String>,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: Some(message.into()) }
    }
}

/// Partitions that one request may create, and records that one decision may have: Kafka's
/// `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH` and `QuorumController.MAX_RECORDS_PER_USER_OP`.
pub const BATCH_PARTITIONS_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
