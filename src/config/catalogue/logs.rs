//! Logs on disk and their replication: segments, retention, flushing, cleaning, fetching from leaders.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::{High, Low, Medium};
use super::ValueType::{Boolean, Double, Int, List, Long, String};
use super::{Key, Rule, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const LOGS: &[Key] = &[
    key("auto.create.topics.enable", Boolean, Some("true"), High)
        .effective(""),
    key("compression.gzip.level", Int, Some("-1"), Medium).rule(Rule::GzipLevel).cluster_wide()
        .stored(""),
    key("compression.lz4.level", Int, Some("9"), Medium).between(1, 17).cluster_wide()
        .stored(""),
    key("compression.type", String, Some("producer"), High).one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]).cluster_wide()
        .effective(""),
    key("compression.zstd.level", Int, Some("3"), Medium).between(-131072, 22).cluster_wide()
        .stored(""),
    key("cordoned.log.dirs", List, Some(""), Medium).list().per_broker()
        .stored(""),
    key("default.replication.factor", Int, Some("1"), Medium)
        .effective(""),
    key("delete.records.purgatory.purge.interval.requests", Int, Some("1"), Medium)
        .stored(""),
    key("delete.topic.enable", Boolean, Some("true"), High)
        .effective(""),
    key("log.cleaner.backoff.ms", Long, Some("15000"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("log.cleaner.dedupe.buffer.size", Long, Some("134217728"), Medium).cluster_wide()
        .stored(""),
    key("log.cleaner.delete.retention.ms", Long, Some("86400000"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("log.cleaner.enable", Boolean, Some("true"), Medium)
        .stored(""),
    key("log.cleaner.io.buffer.load.factor", Double, Some("0.9"), Medium).cluster_wide()
        .stored(""),
    key("log.cleaner.io.buffer.size", Int, Some("524288"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("log.cleaner.io.max.bytes.per.second", Double, Some("1.7976931348623157E308"), Medium).cluster_wide()
        .stored(""),
    key("log.cleaner.max.compaction.lag.ms", Long, Some("9223372036854775807"), Medium).at_least(1).cluster_wide()
        .stored(""),
    key("log.cleaner.min.cleanable.ratio", Double, Some("0.5"), Medium).between_ratio(0.0, 1.0).cluster_wide()
        .stored(""),
    key("log.cleaner.min.compaction.lag.ms", Long, Some("0"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("log.cleaner.threads", Int, Some("1"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("log.cleanup.policy", List, Some("delete"), Medium).list_of_or_empty(&["compact", "delete"]).cluster_wide()
        .effective(""),
    key("log.dir", List, Some("/tmp/kafka-logs"), High).non_empty_list()
        .effective(""),
    key("log.dir.failure.timeout.ms", Long, Some("30000"), Low).at_least(1)
        .stored(""),
    key("log.dirs", List, Some("./data"), High).non_empty_list().instead_of(None)
        .effective(""),
    key("log.flush.interval.messages", Long, Some("9223372036854775807"), High).at_least(1).cluster_wide()
        .stored(""),
    key("log.flush.interval.ms", Long, None, High).cluster_wide()
        .stored(""),
    key("log.flush.offset.checkpoint.interval.ms", Int, Some("60000"), High).at_least(0)
        .stored(""),
    key("log.flush.scheduler.interval.ms", Long, Some("9223372036854775807"), High)
        .stored(""),
    key("log.flush.start.offset.checkpoint.interval.ms", Int, Some("60000"), High).at_least(0)
        .stored(""),
    key("log.index.interval.bytes", Int, Some("4096"), Medium).at_least(0).cluster_wide()
        .effective(""),
    key("log.index.size.max.bytes", Int, Some("10485760"), Medium).at_least(4).cluster_wide()
        .effective(""),
    key("log.initial.task.delay.ms", Long, Some("30000"), Low).at_least(0).internal()
        .stored(""),
    key("log.message.timestamp.after.max.ms", Long, Some("3600000"), Medium).at_least(0).cluster_wide()
        .effective(""),
    key("log.message.timestamp.before.max.ms", Long, Some("9223372036854775807"), Medium).at_least(0).cluster_wide()
        .effective(""),
    key("log.message.timestamp.type", String, Some("CreateTime"), Medium).one_of(&["CreateTime", "LogAppendTime"]).cluster_wide()
        .effective(""),
    key("log.preallocate", Boolean, Some("false"), Medium).cluster_wide()
        .stored(""),
    key("log.retention.bytes", Long, Some("-1"), High).cluster_wide()
        .effective(""),
    key("log.retention.check.interval.ms", Long, Some("300000"), Medium).at_least(1)
        .effective(""),
    key("log.retention.hours", Int, Some("168"), High)
        .effective(""),
    key("log.retention.minutes", Int, None, High)
        .effective(""),
    key("log.retention.ms", Long, None, High).cluster_wide()
        .effective(""),
    key("log.roll.hours", Int, Some("168"), High).at_least(1)
        .effective(""),
    key("log.roll.jitter.hours", Int, Some("0"), High).at_least(0)
        .effective(""),
    key("log.roll.jitter.ms", Long, None, High).cluster_wide()
        .effective(""),
    key("log.roll.ms", Long, None, High).cluster_wide()
        .effective(""),
    key("log.segment.bytes", Int, Some("1073741824"), High).at_least(1048576).cluster_wide()
        .effective(""),
    key("log.segment.delete.delay.ms", Long, Some("60000"), High).at_least(0).cluster_wide()
        .effective(""),
    key("message.max.bytes", Int, Some("1048588"), High).at_least(0).cluster_wide()
        .effective(""),
    key("min.insync.replicas", Int, Some("1"), High).at_least(1).cluster_wide()
        .effective(""),
    key("num.partitions", Int, Some("1"), Medium).at_least(1)
        .effective(""),
    key("num.recovery.threads.per.data.dir", Int, Some("2"), High).at_least(1).cluster_wide()
        .effective(""),
    key("num.replica.alter.log.dirs.threads", Int, None, High)
        .stored(""),
    key("num.replica.fetchers", Int, Some("1"), High).at_least(1).cluster_wide()
        .stored(""),
    key("replica.fetch.backoff.ms", Int, Some("1000"), Medium).at_least(0)
        .stored(""),
    key("replica.fetch.max.bytes", Int, Some("1048576"), Medium).at_least(0)
        .stored(""),
    key("replica.fetch.min.bytes", Int, Some("1"), High)
        .stored(""),
    key("replica.fetch.response.max.bytes", Int, Some("10485760"), Medium).at_least(0)
        .stored(""),
    key("replica.fetch.wait.max.ms", Int, Some("500"), High)
        .stored(""),
    key("replica.high.watermark.checkpoint.interval.ms", Long, Some("5000"), High)
        .stored(""),
    key("replica.lag.time.max.ms", Long, Some("30000"), High)
        .stored(""),
    key("replica.selector.class", String, None, Medium)
        .stored(""),
    key("replica.socket.receive.buffer.bytes", Int, Some("65536"), High)
        .stored(""),
    key("replica.socket.timeout.ms", Int, Some("30000"), High)
        .stored(""),
    key("replication.quota.window.num", Int, Some("11"), Low).at_least(1)
        .stored(""),
    key("replication.quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .stored(""),
    key("unclean.leader.election.enable", Boolean, Some("false"), High).cluster_wide()
        .stored(""),
];
