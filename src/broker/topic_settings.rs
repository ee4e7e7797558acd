//! A topic's settings as of an image, in the forms that the machine and the log take.

use std::sync::Arc;

use crate::broker::replica::ReplicaSettings;
use crate::broker::throttle::Throttled;
use crate::config::{Dynamic, Settings, TimestampType, TopicConfig};
use crate::log::LogOptions;
use crate::metadata::{ConfigResource, Image};
use crate::model::BrokerId;
use crate::protocol::compression::Compression;
use crate::protocol::record_batch::{self, Codec};

/// Of `compression.lz4.level`: there Kafka takes the fast encoder, elsewhere the slower one (`Lz4Compression`).
const LZ4_LEVEL_DEFAULT: i32 = 9;

/// Resolves all layers: the topic's own settings, those of this broker and of all brokers, the process's, the defaults.
pub fn resolve(settings: &Settings, image: &Image, broker_id: BrokerId, topic: &str) -> ReplicaSettings {
    let overrides = image.configs(&ConfigResource::Topic(topic.to_owned()));
    let broker = image.configs(&ConfigResource::Broker(broker_id));
    let cluster = image.configs(&ConfigResource::BrokerDefault);
    let throttled = |name: &str| overrides.get(name).map(|text| Throttled::of(text)).unwrap_or_default();
    let leader_throttled = throttled("leader.replication.throttled.replicas");
    let follower_throttled = throttled("follower.replication.throttled.replicas");
    let topic = settings.topic_config(overrides, Dynamic { broker, cluster });
    let producer_expiration_ms = settings.live_i64("producer.id.expiration.ms", Dynamic { broker, cluster });
    let log = Arc::new(log_options(&topic, producer_expiration_ms));
    let lag_max_ms = settings.get_u64("replica.lag.time.max.ms");
    ReplicaSettings { topic, log, lag_max_ms, leader_throttled, follower_throttled }
}

fn log_options(topic: &TopicConfig, producer_id_expiration_ms: i64) -> LogOptions {
    let unsigned = |value: i32| u32::try_from(value).unwrap_or(0);
    LogOptions {
        segment_bytes: unsigned(topic.segment_bytes),
        // A record that must be compacted by some time must leave the active segment before (`LogConfig.maxSegmentMs`).
        segment_ms: if topic.cleanup_compact {
            topic.segment_ms.min(topic.max_compaction_lag_ms)
        } else {
            topic.segment_ms
        },
        segment_index_bytes: unsigned(topic.segment_index_bytes),
        index_interval_bytes: unsigned(topic.index_interval_bytes),
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        cleanup_delete: topic.cleanup_delete,
        cleanup_compact: topic.cleanup_compact,
        max_message_bytes: unsigned(topic.max_message_bytes),
        records_validation_full: topic.records_validation_full,
        compression: compression(topic),
        message_timestamp_type: match topic.message_timestamp_type {
            TimestampType::CreateTime => record_batch::TimestampType::CreateTime,
            TimestampType::LogAppendTime => record_batch::TimestampType::LogAppendTime,
        },
        message_timestamp_before_max_ms: topic.message_timestamp_before_max_ms,
        message_timestamp_after_max_ms: topic.message_timestamp_after_max_ms,
        file_delete_delay_ms: u64::try_from(topic.file_delete_delay_ms).unwrap_or(0),
        producer_id_expiration_ms,
    }
}

fn compression(topic: &TopicConfig) -> Option<Compression> {
    let (codec, level) = match topic.compression_type.as_str() {
        "uncompressed" => (Codec::None, None),
        // Kafka's -1 is the codec's own default.
        "gzip" => (Codec::Gzip, Some(topic.compression_gzip_level).filter(|level| *level > 0)),
        "snappy" => (Codec::Snappy, None),
        "lz4" => (Codec::Lz4, Some(topic.compression_lz4_level).filter(|level| *level != LZ4_LEVEL_DEFAULT)),
        "zstd" => (Codec::Zstd, Some(topic.compression_zstd_level)),
        _ => return None,
    };
    Some(Compression { codec, level })
}
