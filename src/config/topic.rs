//! A topic's settings as types, and the checks of what a client wants to set.

use super::catalogue::{self, ValueType};
use super::describe::{Dynamic, Overrides, topic_value};
use super::settings::Settings;
use super::value::{self, ConfigError};

/// What the high watermark counts, and so what an acknowledged record has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Offsets on stable storage.
    Flushed,
    /// Log ends, flushed or not: Kafka's rule.
    PageCache,
}

impl Durability {
    pub(super) fn of(text: &str) -> Durability {
        match text {
            "page-cache" => Durability::PageCache,
            _ => Durability::Flushed,
        }
    }
}

/// Whose time a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// What a topic goes by, resolved over all layers. Times are in ms, sizes in bytes; −1 means without limit where Kafka says so.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub acks_durability: Durability,
    pub cleanup_compact: bool,
    pub cleanup_delete: bool,
    /// `producer` keeps what the producer chose.
    pub compression_type: String,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub index_interval_bytes: i32,
    pub max_compaction_lag_ms: i64,
    pub max_message_bytes: i32,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_type: TimestampType,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
}

impl Settings {
    /// A topic's settings: its own overrides over the brokers' dynamic settings, over this process's, over the defaults.
    pub fn topic_config(&self, overrides: &Overrides, dynamic: Dynamic<'_>) -> TopicConfig {
        let text = |name: &str| topic_value(self, name, overrides, dynamic);
        let long = |name: &str| text(name).trim().parse::<i64>().unwrap_or_else(|_| panic!("{name} holds no number"));
        let int = |name: &str| i32::try_from(long(name)).unwrap_or_else(|_| panic!("{name} does not fit 32 bits"));
        let boolean =
            |name: &str| value::parse_bool(text(name).trim()).unwrap_or_else(|| panic!("{name} is no boolean"));
        let cleanup = text("cleanup.policy");
        let policies = value::parse_list(&cleanup);
        TopicConfig {
            acks_durability: Durability::of(&text("acks.durability")),
            cleanup_compact: policies.contains(&"compact"),
            cleanup_delete: policies.contains(&"delete"),
            compression_type: text("compression.type"),
            delete_retention_ms: long("delete.retention.ms"),
            file_delete_delay_ms: long("file.delete.delay.ms"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            index_interval_bytes: int("index.interval.bytes"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            max_message_bytes: int("max.message.bytes"),
            message_timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            message_timestamp_type: match text("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            min_insync_replicas: int("min.insync.replicas"),
            preallocate: boolean("preallocate"),
            retention_bytes: long("retention.bytes"),
            retention_ms: long("retention.ms"),
            segment_bytes: int("segment.bytes"),
            segment_index_bytes: int("segment.index.bytes"),
            segment_jitter_ms: long("segment.jitter.ms"),
            segment_ms: long("segment.ms"),
            unclean_leader_election_enable: boolean("unclean.leader.election.enable"),
        }
    }
}

/// Checks one topic override by itself. Errors: an unknown name, or a value that its row does not allow.
pub fn validate_topic_config(name: &str, text: &str) -> Result<(), ConfigError> {
    match catalogue::find_topic_key(name) {
        Some(key) => value::check(key, text),
        None => Err(ConfigError::UnknownTopicConfig(name.to_owned())),
    }
}

/// Checks all overrides of a topic together: each by itself, then the pairs that must agree. Source: `LogConfig.validate`.
pub fn validate_topic_configs(overrides: &Overrides) -> Result<(), ConfigError> {
    for name in overrides.keys() {
        if catalogue::find_topic_key(name).is_none() {
            return Err(ConfigError::UnknownTopicConfig(name.clone()));
        }
    }
    for (name, text) in overrides {
        validate_topic_config(name, text)?;
    }
    let long = |name: &str| -> Option<i64> {
        let key = catalogue::find_topic_key(name)?;
        assert!(matches!(key.value_type, ValueType::Long), "{name} is a long");
        overrides.get(name).map(String::as_str).or(key.default)?.trim().parse().ok()
    };
    if let (Some(min), Some(max)) = (long("min.compaction.lag.ms"), long("max.compaction.lag.ms"))
        && min > max
    {
        return Err(ConfigError::Conflict(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )));
    }
    Ok(())
}
