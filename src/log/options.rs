//! What a log may be told: Kafka's topic settings that reach the disk. Upper floors fill it from the catalogue.

use crate::protocol::compression::Compression;
use crate::protocol::record_batch::TimestampType;

/// Settings of one partition's log. Defaults are Kafka 4.3.1's.
///
/// `segment.jitter.ms` has no effect; when to flush is not the log's to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// `segment.bytes`: a segment is rolled before it would grow beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when its first batch is older than this.
    pub segment_ms: i64,
    /// `segment.index.bytes`: a segment is rolled when one of its indexes has no room.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: at least this many bytes lie between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`; negative is for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; negative is without bound.
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` holds `delete`; without it only the log start offset removes segments.
    pub cleanup_delete: bool,
    /// Whether `cleanup.policy` holds `compact`: every record must have a key.
    pub cleanup_compact: bool,
    /// `max.message.bytes`: the largest batch, header included.
    pub max_message_bytes: u32,
    /// `records.validation` is `full`: every record is read before it is stored, for which it is decompressed.
    pub records_validation_full: bool,
    /// `compression.type`, with the level of its codec: what producers' batches are stored in. `None` is `producer`: as they come.
    pub compression: Option<Compression>,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a record's time may lie behind the broker's.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a record's time may lie ahead of the broker's.
    pub message_timestamp_after_max_ms: i64,
    /// `file.delete.delay.ms`: a deleted segment's files are removed this much later.
    pub file_delete_delay_ms: u64,
    /// `producer.id.expiration.ms`: an idempotent producer that has written nothing for so long is forgotten.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            retention_bytes: -1,
            cleanup_delete: true,
            cleanup_compact: false,
            max_message_bytes: 1_048_588,
            records_validation_full: false,
            compression: None,
            message_timestamp_type: TimestampType::CreateTime,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 60 * 60 * 1000,
            file_delete_delay_ms: 60 * 1000,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
        }
    }
}
