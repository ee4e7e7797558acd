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
    /// The rule that a setting names; anything else is the stricter one.
    pub fn of(text: &str) -> Durability {
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
    /// −1 is the codec's default.
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
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
    /// Whether every record is read before it is stored: `records.validation` is `full`.
    pub records_validation_full: bool,
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
            compression_gzip_level: int("compression.gzip.level"),
            compression_lz4_level: int("compression.lz4.level"),
            compression_zstd_level: int("compression.zstd.level"),
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
            min_cleanable_dirty_ratio: value::parse_double(&text("min.cleanable.dirty.ratio"))
                .expect("a ratio was checked when it was set"),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            min_insync_replicas: int("min.insync.replicas"),
            preallocate: boolean("preallocate"),
            records_validation_full: text("records.validation") == "full",
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The left side is what a client sends, the right side what Apache Kafka 4.3.1 answers (`LogConfig.validate`).
    #[rstest]
    #[case("foo=1", "Unknown topic config name: foo")]
    #[case("segment.bytes=abc", "Invalid value abc for configuration segment.bytes: Not a number of type INT")]
    #[case("segment.bytes=", "Invalid value  for configuration segment.bytes: Not a number of type INT")]
    #[case(
        "segment.bytes=1048575",
        "Invalid value 1048575 for configuration segment.bytes: Value must be at least 1048576"
    )]
    #[case("segment.bytes=1048576", "")]
    #[case("segment.bytes= +2000000 ", "")]
    #[case(
        "segment.bytes=2147483648",
        "Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT"
    )]
    #[case("retention.ms=-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1")]
    #[case(
        "retention.ms=9223372036854775808",
        "Invalid value 9223372036854775808 for configuration retention.ms: Not a number of type LONG"
    )]
    #[case("cleanup.policy=", "")]
    #[case("cleanup.policy= compact , delete ", "")]
    #[case("cleanup.policy=delete,delete", "")]
    #[case("cleanup.policy=compact,,delete", "Configuration 'cleanup.policy' values must not be empty.")]
    #[case(
        "cleanup.policy=delete,foo",
        "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"
    )]
    #[case(
        "compression.type=foo",
        "Invalid value foo for configuration compression.type: String must be one of: \
         uncompressed, zstd, lz4, snappy, gzip, producer"
    )]
    #[case(
        "compression.gzip.level=0",
        "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"
    )]
    #[case("compression.gzip.level=-1", "")]
    #[case("compression.lz4.level=1", "")]
    #[case("compression.lz4.level=17", "")]
    #[case(
        "compression.lz4.level=0",
        "Invalid value 0 for configuration compression.lz4.level: Value must be at least 1"
    )]
    #[case(
        "compression.lz4.level=18",
        "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17"
    )]
    #[case(
        "compression.zstd.level=23",
        "Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22"
    )]
    #[case(
        "min.cleanable.dirty.ratio=2",
        "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"
    )]
    #[case(
        "min.cleanable.dirty.ratio=x",
        "Invalid value x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"
    )]
    #[case("min.cleanable.dirty.ratio=0.5f", "")]
    #[case("preallocate=TRUE", "")]
    #[case(
        "preallocate=yes",
        "Invalid value yes for configuration preallocate: Expected value to be either true or false"
    )]
    #[case("leader.replication.throttled.replicas=", "")]
    #[case("leader.replication.throttled.replicas=*", "")]
    #[case("leader.replication.throttled.replicas=1:2,3:4", "")]
    #[case(
        "leader.replication.throttled.replicas=*,1:2",
        "Invalid value [*, 1:2] for configuration leader.replication.throttled.replicas: \
         leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    )]
    #[case("local.retention.ms=10;retention.ms=5", "")]
    #[case(
        "min.compaction.lag.ms=10;max.compaction.lag.ms=5",
        "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"
    )]
    #[case("segment.bytes=1;foo=2", "Unknown topic config name: foo")]
    fn a_topic_override_is_judged_as_kafka_judges_it(#[case] written: &str, #[case] answer: &str) {
        let overrides: Overrides = written
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let judged = validate_topic_configs(&overrides).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(judged, answer);
    }

    #[test]
    fn a_topic_without_overrides_has_kafkas_defaults() {
        let config = Settings::default().topic_config(&Overrides::new(), Dynamic::none());
        let expected = TopicConfig {
            acks_durability: Durability::Flushed,
            cleanup_compact: false,
            cleanup_delete: true,
            compression_type: "producer".to_owned(),
            compression_gzip_level: -1,
            compression_lz4_level: 9,
            compression_zstd_level: 3,
            delete_retention_ms: 86_400_000,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            index_interval_bytes: 4096,
            max_compaction_lag_ms: i64::MAX,
            max_message_bytes: 1_048_588,
            message_timestamp_after_max_ms: 3_600_000,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_type: TimestampType::CreateTime,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            min_insync_replicas: 1,
            preallocate: false,
            records_validation_full: false,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            segment_bytes: 1_073_741_824,
            segment_index_bytes: 10_485_760,
            segment_jitter_ms: 0,
            segment_ms: 604_800_000,
            unclean_leader_election_enable: false,
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn the_topic_wins_over_this_broker_over_all_brokers() {
        let map = |pairs: &[(&str, &str)]| -> Overrides {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let cluster = map(&[("log.retention.ms", "3"), ("log.segment.bytes", "3000000"), ("min.insync.replicas", "3")]);
        let broker = map(&[("log.retention.ms", "2"), ("log.segment.bytes", "2000000")]);
        let overrides = map(&[("retention.ms", "1")]);
        let config = Settings::default().topic_config(&overrides, Dynamic { broker: &broker, cluster: &cluster });
        assert_eq!((config.retention_ms, config.segment_bytes, config.min_insync_replicas), (1, 2_000_000, 3));
    }
}
