//! Cluster decisions as a pure machine: an image and a request in, records and an answer out.
//!
//! What is decided here becomes true only when its records are committed; the shell in `broker` brings the two together, one
//! decision after the other. Behaviour and messages follow Kafka's `ReplicationControlManager`, `ConfigurationControlManager`,
//! `ControllerApis` and `ConfigAdminManager`.
//!
//! Invariant: a decision reads nothing but its arguments. The same image, seed and request give the same records.

mod alter_partition;
mod client_quotas;
mod configs;
mod directories;
mod elections;
mod features;
mod leadership;
mod liveness;
mod mutations;
mod partition_change;
mod partitions;
mod placement;
mod reassignment;
mod registration;
mod rules;
mod sessions;
mod topics;

use crate::config::{Durability, GroupLimits, StartSettings};
use crate::metadata::Record;
use crate::model::ErrorCode;

pub use alter_partition::{AlterPartition, IsrMember, alter_partition};
pub use client_quotas::{AlterQuotas, AlteredQuotas, EntityParts, alter_client_quotas};
pub use configs::{
    AlterConfigs, Asked, ConfigOp, ResourceName, ResourceType, alter_configs, incremental_alter_configs,
};
pub use directories::{Assignment, assign_replicas_to_dirs};
pub use elections::{ElectedTopic, ElectionType, balance, elect_leaders};
pub use features::{FeatureUpdate, SupportedLevels, UpgradeType, update_features};
pub use leadership::elect_leaderless;
pub use liveness::{Heartbeat, HeartbeatAnswer, broker_heartbeat, check_broker_epoch, fence_broker};
pub use mutations::Mutations;
pub use partitions::{CreatePartitions, create_partitions};
pub use reassignment::{
    ReassignedTopic, Reassigning, Target, alter_partition_reassignments, list_partition_reassignments,
};
pub use registration::{
    Registration, SupportedFeature, allocate_producer_ids, first_records, register_broker, unregister_broker,
};
pub use sessions::{Due, Probe, SessionOptions, Sessions};
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
    /// `min.insync.replicas`, for topics that do not say.
    pub min_isr: usize,
    /// `unclean.leader.election.enable`, for the same.
    pub unclean_election: bool,
    /// `acks.durability`, for the same.
    pub durability: Durability,
    /// Brokers that the configuration speaks of, registered or not.
    pub brokers_expected: usize,
    /// What groups may set.
    pub group_limits: GroupLimits,
    /// What brokers are started with, as far as it decides what they may be told later.
    pub start_settings: StartSettings,
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
