//! What a topic may override, each with the broker settings that its default comes from.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::Medium;
use super::ValueType::{Boolean, Double, Int, List, Long, String};
use super::{Key, Rule, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const TOPIC: &[Key] = &[
    key("cleanup.policy", List, Some("delete"), Medium).list_of_or_empty(&["compact", "delete"])
        .synonyms(&[("log.cleanup.policy", 1)])
        .effective("What happens to old segments: delete, compact, or both."),
    key("compression.gzip.level", Int, Some("-1"), Medium).rule(Rule::GzipLevel)
        .synonyms(&[("compression.gzip.level", 1)])
        .effective("Level of gzip when the broker itself compresses."),
    key("compression.lz4.level", Int, Some("9"), Medium).between(1, 17)
        .synonyms(&[("compression.lz4.level", 1)])
        .effective("Level of lz4 when the broker itself compresses; 9 is the fast encoder, any other the slower one."),
    key("compression.type", String, Some("producer"), Medium).one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])
        .synonyms(&[("compression.type", 1)])
        .effective("Codec the topic is stored in; producer keeps what the producer chose."),
    key("compression.zstd.level", Int, Some("3"), Medium).between(-131072, 22)
        .synonyms(&[("compression.zstd.level", 1)])
        .effective("Level of zstd when the broker itself compresses."),
    key("delete.retention.ms", Long, Some("86400000"), Medium).at_least(0)
        .synonyms(&[("log.cleaner.delete.retention.ms", 1)])
        .effective("Time a tombstone stays after compaction, in ms."),
    key("file.delete.delay.ms", Long, Some("60000"), Medium).at_least(0)
        .synonyms(&[("log.segment.delete.delay.ms", 1)])
        .effective("Time between the removal of a file from the log and from the disk, in ms."),
    key("flush.messages", Long, Some("9223372036854775807"), Medium).at_least(1)
        .synonyms(&[("log.flush.interval.messages", 1)])
        .effective("Records after which a partition is flushed when acks.durability does not ask for it."),
    key("flush.ms", Long, Some("9223372036854775807"), Medium).at_least(0)
        .synonyms(&[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)])
        .effective("Time after which a partition is flushed when acks.durability does not ask for it, in ms."),
    key("follower.replication.throttled.replicas", List, Some(""), Medium).rule(Rule::ThrottledReplicas)
        .effective("Replicas throttled as followers, as partition:broker pairs, or * for all."),
    key("index.interval.bytes", Int, Some("4096"), Medium).at_least(0)
        .synonyms(&[("log.index.interval.bytes", 1)])
        .effective("Bytes of a segment between two index entries."),
    key("internal.segment.bytes", Int, None, Medium).internal()
        .stored("Segment size for tests, in bytes."),
    key("leader.replication.throttled.replicas", List, Some(""), Medium).rule(Rule::ThrottledReplicas)
        .effective("Replicas throttled as leaders, as partition:broker pairs, or * for all."),
    key("local.retention.bytes", Long, Some("-2"), Medium).at_least(-2)
        .synonyms(&[("log.local.retention.bytes", 1)])
        .stored("Bytes of a tiered partition kept locally; -2 follows retention.bytes."),
    key("local.retention.ms", Long, Some("-2"), Medium).at_least(-2)
        .synonyms(&[("log.local.retention.ms", 1)])
        .stored("Time segments of a tiered partition are kept locally, in ms; -2 follows retention.ms."),
    key("max.compaction.lag.ms", Long, Some("9223372036854775807"), Medium).at_least(1)
        .synonyms(&[("log.cleaner.max.compaction.lag.ms", 1)])
        .effective("Longest time a record may stay uncompacted, in ms."),
    key("max.message.bytes", Int, Some("1048588"), Medium).at_least(0)
        .synonyms(&[("message.max.bytes", 1)])
        .effective("Largest record batch, in bytes."),
    key("message.timestamp.after.max.ms", Long, Some("3600000"), Medium).at_least(0)
        .synonyms(&[("log.message.timestamp.after.max.ms", 1)])
        .effective("How far a record's time may lie in the future, in ms."),
    key("message.timestamp.before.max.ms", Long, Some("9223372036854775807"), Medium).at_least(0)
        .synonyms(&[("log.message.timestamp.before.max.ms", 1)])
        .effective("How far a record's time may lie in the past, in ms."),
    key("message.timestamp.type", String, Some("CreateTime"), Medium).one_of(&["CreateTime", "LogAppendTime"])
        .synonyms(&[("log.message.timestamp.type", 1)])
        .effective("Whose time a record carries: CreateTime is the producer's, LogAppendTime the broker's."),
    key("min.cleanable.dirty.ratio", Double, Some("0.5"), Medium).between_ratio(0.0, 1.0)
        .synonyms(&[("log.cleaner.min.cleanable.ratio", 1)])
        .effective("Share of uncompacted bytes from which a log is compacted."),
    key("min.compaction.lag.ms", Long, Some("0"), Medium).at_least(0)
        .synonyms(&[("log.cleaner.min.compaction.lag.ms", 1)])
        .effective("Shortest time a record stays uncompacted, in ms."),
    key("min.insync.replicas", Int, Some("1"), Medium).at_least(1)
        .synonyms(&[("min.insync.replicas", 1)])
        .effective("In-sync replicas that a write with acks=all needs."),
    key("preallocate", Boolean, Some("false"), Medium)
        .synonyms(&[("log.preallocate", 1)])
        .stored("Whether a new segment takes its full size at once."),
    key("remote.log.copy.disable", Boolean, Some("false"), Medium)
        .stored("Whether a tiered topic's segments are no longer copied to the tier."),
    key("remote.log.delete.on.disable", Boolean, Some("false"), Medium)
        .stored("Whether switching tiering off deletes what is in the tier."),
    key("remote.storage.enable", Boolean, Some("false"), Medium)
        .stored("Whether the topic is tiered."),
    key("retention.bytes", Long, Some("-1"), Medium)
        .synonyms(&[("log.retention.bytes", 1)])
        .effective("Size of a partition from which old segments are deleted, in bytes; -1 without limit."),
    key("retention.ms", Long, Some("604800000"), Medium).at_least(-1)
        .synonyms(&[("log.retention.ms", 1), ("log.retention.minutes", 60000), ("log.retention.hours", 3600000)])
        .effective("Time segments are kept, in ms; -1 without limit."),
    key("segment.bytes", Int, Some("1073741824"), Medium).at_least(1048576)
        .synonyms(&[("log.segment.bytes", 1)])
        .effective("Size at which a segment is closed and a new one begun, in bytes."),
    key("segment.index.bytes", Int, Some("10485760"), Medium).at_least(4)
        .synonyms(&[("log.index.size.max.bytes", 1)])
        .effective("Largest offset index of a segment, in bytes."),
    key("segment.jitter.ms", Long, Some("0"), Medium).at_least(0)
        .synonyms(&[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3600000)])
        .stored("Largest random cut from segment.ms, in ms."),
    key("segment.ms", Long, Some("604800000"), Medium).at_least(1)
        .synonyms(&[("log.roll.ms", 1), ("log.roll.hours", 3600000)])
        .effective("Age at which a segment is closed and a new one begun, in ms."),
    key("unclean.leader.election.enable", Boolean, Some("false"), Medium)
        .synonyms(&[("unclean.leader.election.enable", 1)])
        .effective("Whether a replica that is not in sync may lead when no other is left. It can lose data."),
];
