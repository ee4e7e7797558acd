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
        .effective(""),
    key("compression.gzip.level", Int, Some("-1"), Medium).rule(Rule::GzipLevel)
        .synonyms(&[("compression.gzip.level", 1)])
        .stored(""),
    key("compression.lz4.level", Int, Some("9"), Medium).between(1, 17)
        .synonyms(&[("compression.lz4.level", 1)])
        .stored(""),
    key("compression.type", String, Some("producer"), Medium).one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])
        .synonyms(&[("compression.type", 1)])
        .effective(""),
    key("compression.zstd.level", Int, Some("3"), Medium).between(-131072, 22)
        .synonyms(&[("compression.zstd.level", 1)])
        .stored(""),
    key("delete.retention.ms", Long, Some("86400000"), Medium).at_least(0)
        .synonyms(&[("log.cleaner.delete.retention.ms", 1)])
        .stored(""),
    key("file.delete.delay.ms", Long, Some("60000"), Medium).at_least(0)
        .synonyms(&[("log.segment.delete.delay.ms", 1)])
        .effective(""),
    key("flush.messages", Long, Some("9223372036854775807"), Medium).at_least(1)
        .synonyms(&[("log.flush.interval.messages", 1)])
        .stored(""),
    key("flush.ms", Long, Some("9223372036854775807"), Medium).at_least(0)
        .synonyms(&[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)])
        .stored(""),
    key("follower.replication.throttled.replicas", List, Some(""), Medium).rule(Rule::ThrottledReplicas)
        .stored(""),
    key("index.interval.bytes", Int, Some("4096"), Medium).at_least(0)
        .synonyms(&[("log.index.interval.bytes", 1)])
        .effective(""),
    key("internal.segment.bytes", Int, None, Medium).internal()
        .stored(""),
    key("leader.replication.throttled.replicas", List, Some(""), Medium).rule(Rule::ThrottledReplicas)
        .stored(""),
    key("local.retention.bytes", Long, Some("-2"), Medium).at_least(-2)
        .synonyms(&[("log.local.retention.bytes", 1)])
        .stored(""),
    key("local.retention.ms", Long, Some("-2"), Medium).at_least(-2)
        .synonyms(&[("log.local.retention.ms", 1)])
        .stored(""),
    key("max.compaction.lag.ms", Long, Some("9223372036854775807"), Medium).at_least(1)
        .synonyms(&[("log.cleaner.max.compaction.lag.ms", 1)])
        .stored(""),
    key("max.message.bytes", Int, Some("1048588"), Medium).at_least(0)
        .synonyms(&[("message.max.bytes", 1)])
        .effective(""),
    key("message.timestamp.after.max.ms", Long, Some("3600000"), Medium).at_least(0)
        .synonyms(&[("log.message.timestamp.after.max.ms", 1)])
        .effective(""),
    key("message.timestamp.before.max.ms", Long, Some("9223372036854775807"), Medium).at_least(0)
        .synonyms(&[("log.message.timestamp.before.max.ms", 1)])
        .effective(""),
    key("message.timestamp.type", String, Some("CreateTime"), Medium).one_of(&["CreateTime", "LogAppendTime"])
        .synonyms(&[("log.message.timestamp.type", 1)])
        .effective(""),
    key("min.cleanable.dirty.ratio", Double, Some("0.5"), Medium).between_ratio(0.0, 1.0)
        .synonyms(&[("log.cleaner.min.cleanable.ratio", 1)])
        .stored(""),
    key("min.compaction.lag.ms", Long, Some("0"), Medium).at_least(0)
        .synonyms(&[("log.cleaner.min.compaction.lag.ms", 1)])
        .stored(""),
    key("min.insync.replicas", Int, Some("1"), Medium).at_least(1)
        .synonyms(&[("min.insync.replicas", 1)])
        .effective(""),
    key("preallocate", Boolean, Some("false"), Medium)
        .synonyms(&[("log.preallocate", 1)])
        .stored(""),
    key("remote.log.copy.disable", Boolean, Some("false"), Medium)
        .stored(""),
    key("remote.log.delete.on.disable", Boolean, Some("false"), Medium)
        .stored(""),
    key("remote.storage.enable", Boolean, Some("false"), Medium)
        .stored(""),
    key("retention.bytes", Long, Some("-1"), Medium)
        .synonyms(&[("log.retention.bytes", 1)])
        .effective(""),
    key("retention.ms", Long, Some("604800000"), Medium).at_least(-1)
        .synonyms(&[("log.retention.ms", 1), ("log.retention.minutes", 60000), ("log.retention.hours", 3600000)])
        .effective(""),
    key("segment.bytes", Int, Some("1073741824"), Medium).at_least(1048576)
        .synonyms(&[("log.segment.bytes", 1)])
        .effective(""),
    key("segment.index.bytes", Int, Some("10485760"), Medium).at_least(4)
        .synonyms(&[("log.index.size.max.bytes", 1)])
        .effective(""),
    key("segment.jitter.ms", Long, Some("0"), Medium).at_least(0)
        .synonyms(&[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3600000)])
        .effective(""),
    key("segment.ms", Long, Some("604800000"), Medium).at_least(1)
        .synonyms(&[("log.roll.ms", 1), ("log.roll.hours", 3600000)])
        .effective(""),
    key("unclean.leader.election.enable", Boolean, Some("false"), Medium)
        .synonyms(&[("unclean.leader.election.enable", 1)])
        .stored(""),
];
