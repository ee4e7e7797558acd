//! Settings: the catalogue of Kafka's and our keys, the layers they come from, and typed views of them.
//!
//! Kafka's names are kept: what a `server.properties` says means the same here. Every value is checked when it is loaded, so
//! that the getters of [`Settings`] cannot fail. Invariant: this room reads no file and no environment; it is handed text.

mod broker;
mod catalogue;
mod cluster;
mod consistency;
mod describe;
mod group;
mod initial;
mod layers;
mod listeners;
mod loggers;
mod nodes;
mod properties;
mod settings;
mod topic;
mod value;
mod yaml;

pub use broker::{BrokerLayers, StartSettings, check_broker_change, check_listener_prefix, validate_broker_configs};
pub use catalogue::{
    EMBEDDED, GROUP_KEYS, Importance, Key, TOPIC_KEYS, UpdateMode, ValueType, broker_keys, find_broker_key,
    find_group_key, find_topic_key,
};
pub use cluster::{ClusterConfig, LivenessConfig, PassesConfig, ReplicationConfig};
pub use describe::{ConfigSource, Described, Dynamic, Overrides, Synonym};
pub use group::{GroupLimits, validate_client_metrics_configs, validate_group_configs};
pub use initial::{Initial, InitialSetting, InitialTopic};
pub use layers::{BOOTSTRAP_SERVER_VARIABLE, Inputs, LoadError, Loaded, Problem, load};
pub use listeners::{Listener, Roles, SecurityProtocol};
pub use loggers::{LoggerError, LoggerOp, Loggers};
pub use nodes::{HostPort, Voter};
pub use settings::{Origin, Settings};
pub use topic::{Durability, TimestampType, TopicConfig, validate_topic_config, validate_topic_configs};
pub use value::{ConfigError, parse_list};
