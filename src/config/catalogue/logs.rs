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
        .effective("Whether asking for an unknown topic creates it."),
    key("compression.gzip.level", Int, Some("-1"), Medium).rule(Rule::GzipLevel).cluster_wide()
        .effective("Level of gzip when the broker itself compresses."),
    key("compression.lz4.level", Int, Some("9"), Medium).between(1, 17).cluster_wide()
        .effective("Level of lz4 when the broker itself compresses; 9 is the fast encoder, any other the slower one."),
    key("compression.type", String, Some("producer"), High).one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]).cluster_wide()
        .effective("Codec that topics are stored in; producer keeps what the producer chose."),
    key("compression.zstd.level", Int, Some("3"), Medium).between(-131072, 22).cluster_wide()
        .effective("Level of zstd when the broker itself compresses."),
    key("cordoned.log.dirs", List, Some(""), Medium).list().per_broker()
        .effective("Directories of log.dirs that get no new partitions; * for all of them."),
    key("default.replication.factor", Int, Some("1"), Medium)
        .effective("Replicas of a topic whose creator does not say."),
    key("delete.records.purgatory.purge.interval.requests", Int, Some("1"), Medium)
        .stored("Requests after which finished record deletions are removed from the waiting room."),
    key("delete.topic.enable", Boolean, Some("true"), High)
        .effective("Whether topics may be deleted."),
    key("log.cleaner.backoff.ms", Long, Some("15000"), Medium).at_least(0).cluster_wide()
        .effective("Pause of the cleaner when there is nothing to compact, in ms."),
    key("log.cleaner.dedupe.buffer.size", Long, Some("134217728"), Medium).cluster_wide()
        .effective("Memory for deduplication over all cleaner threads, in bytes."),
    key("log.cleaner.delete.retention.ms", Long, Some("86400000"), Medium).at_least(0).cluster_wide()
        .effective("Time a tombstone stays in a compacted topic, in ms."),
    key("log.cleaner.enable", Boolean, Some("true"), Medium)
        .effective("Whether compaction runs."),
    key("log.cleaner.io.buffer.load.factor", Double, Some("0.9"), Medium).cluster_wide()
        .effective("How full the deduplication buffer may get, from 0 to 1."),
    key("log.cleaner.io.buffer.size", Int, Some("524288"), Medium).at_least(0).cluster_wide()
        .effective("Memory for the cleaner's reads and writes, in bytes."),
    key("log.cleaner.io.max.bytes.per.second", Double, Some("1.7976931348623157E308"), Medium).cluster_wide()
        .effective("Limit on the cleaner's reads and writes, in bytes a second."),
    key("log.cleaner.max.compaction.lag.ms", Long, Some("9223372036854775807"), Medium).at_least(1).cluster_wide()
        .effective("Longest time a record may stay uncompacted, in ms."),
    key("log.cleaner.min.cleanable.ratio", Double, Some("0.5"), Medium).between_ratio(0.0, 1.0).cluster_wide()
        .effective("Share of uncompacted bytes from which a log is compacted."),
    key("log.cleaner.min.compaction.lag.ms", Long, Some("0"), Medium).at_least(0).cluster_wide()
        .effective("Shortest time a record stays uncompacted, in ms."),
    key("log.cleaner.threads", Int, Some("1"), Medium).at_least(0).cluster_wide()
        .effective("Threads that compact."),
    key("log.cleanup.policy", List, Some("delete"), Medium).list_of_or_empty(&["compact", "delete"]).cluster_wide()
        .effective("What happens to old segments: delete, compact, or both."),
    key("log.dir", List, None, High).non_empty_list().instead_of(Some("/tmp/kafka-logs"))
        .effective("The directory that holds partitions, when log.dirs does not say."),
    key("log.dir.failure.timeout.ms", Long, Some("30000"), Low).at_least(1)
        .stored("Time after which a broker that cannot report a failed directory stops, in ms."),
    key("log.dirs", List, Some("./data"), High).non_empty_list().instead_of(None)
        .effective("The directories that hold partitions, separated by commas; the first of them holds the metadata too."),
    key("log.flush.interval.messages", Long, Some("9223372036854775807"), High).at_least(1).cluster_wide()
        .effective("Records after which a partition is flushed when acks.durability does not ask for it."),
    key("log.flush.interval.ms", Long, None, High).cluster_wide()
        .effective("Time after which a partition is flushed when acks.durability does not ask for it, in ms."),
    key("log.flush.offset.checkpoint.interval.ms", Int, Some("60000"), High).at_least(0)
        .stored("Time between two writes of the recovery checkpoint, in ms."),
    key("log.flush.scheduler.interval.ms", Long, Some("9223372036854775807"), High)
        .stored("Time between two looks for partitions to flush, in ms."),
    key("log.flush.start.offset.checkpoint.interval.ms", Int, Some("60000"), High).at_least(0)
        .stored("Time between two writes of the log start checkpoint, in ms."),
    key("log.index.interval.bytes", Int, Some("4096"), Medium).at_least(0).cluster_wide()
        .effective("Bytes of a segment between two index entries."),
    key("log.index.size.max.bytes", Int, Some("10485760"), Medium).at_least(4).cluster_wide()
        .effective("Largest offset index of a segment, in bytes."),
    key("log.initial.task.delay.ms", Long, Some("30000"), Low).at_least(0).internal()
        .stored("Time before background work on logs begins, in ms."),
    key("log.message.timestamp.after.max.ms", Long, Some("3600000"), Medium).at_least(0).cluster_wide()
        .effective("How far a record's time may lie in the future, in ms."),
    key("log.message.timestamp.before.max.ms", Long, Some("9223372036854775807"), Medium).at_least(0).cluster_wide()
        .effective("How far a record's time may lie in the past, in ms."),
    key("log.message.timestamp.type", String, Some("CreateTime"), Medium).one_of(&["CreateTime", "LogAppendTime"]).cluster_wide()
        .effective("Whose time a record carries: CreateTime is the producer's, LogAppendTime the broker's."),
    key("log.preallocate", Boolean, Some("false"), Medium).cluster_wide()
        .stored("Whether a new segment takes its full size at once."),
    key("log.retention.bytes", Long, Some("-1"), High).cluster_wide()
        .effective("Size of a partition from which old segments are deleted, in bytes; -1 without limit."),
    key("log.retention.check.interval.ms", Long, Some("300000"), Medium).at_least(1)
        .effective("Time between two searches for segments to delete, in ms."),
    key("log.retention.hours", Int, Some("168"), High)
        .effective("Time segments are kept, in hours, when neither minutes nor ms are set."),
    key("log.retention.minutes", Int, None, High)
        .effective("Time segments are kept, in minutes, when ms is not set."),
    key("log.retention.ms", Long, None, High).cluster_wide()
        .effective("Time segments are kept, in ms; -1 without limit."),
    key("log.roll.hours", Int, Some("168"), High).at_least(1)
        .effective("Age at which a segment is closed, in hours, when ms is not set."),
    key("log.roll.jitter.hours", Int, Some("0"), High).at_least(0)
        .stored("Largest random cut from log.roll.hours."),
    key("log.roll.jitter.ms", Long, None, High).cluster_wide()
        .stored("Largest random cut from log.roll.ms, in ms."),
    key("log.roll.ms", Long, None, High).cluster_wide()
        .effective("Age at which a segment is closed and a new one begun, in ms."),
    key("log.segment.bytes", Int, Some("1073741824"), High).at_least(1048576).cluster_wide()
        .effective("Size at which a segment is closed and a new one begun, in bytes."),
    key("log.segment.delete.delay.ms", Long, Some("60000"), High).at_least(0).cluster_wide()
        .effective("Time between the removal of a file from the log and from the disk, in ms."),
    key("message.max.bytes", Int, Some("1048588"), High).at_least(0).cluster_wide()
        .effective("Largest record batch a topic takes, in bytes."),
    key("min.insync.replicas", Int, Some("1"), High).at_least(1).cluster_wide()
        .effective("In-sync replicas that a write with acks=all needs."),
    key("num.partitions", Int, Some("1"), Medium).at_least(1)
        .effective("Partitions of a topic whose creator does not say."),
    key("num.recovery.threads.per.data.dir", Int, Some("2"), High).at_least(1).cluster_wide()
        .stored("Threads that recover and flush logs, for each directory."),
    key("num.replica.alter.log.dirs.threads", Int, None, High)
        .stored("Threads that move replicas between directories."),
    key("num.replica.fetchers", Int, Some("1"), High).at_least(1).cluster_wide()
        .effective("Threads that fetch from each other broker."),
    key("replica.fetch.backoff.ms", Int, Some("1000"), Medium).at_least(0)
        .effective("Pause of a follower after a failed fetch, in ms."),
    key("replica.fetch.max.bytes", Int, Some("1048576"), Medium).at_least(0)
        .effective("Bytes of each partition a follower fetches at a time."),
    key("replica.fetch.min.bytes", Int, Some("1"), High)
        .effective("Least bytes a follower's fetch waits for."),
    key("replica.fetch.response.max.bytes", Int, Some("10485760"), Medium).at_least(0)
        .effective("Most bytes one answer to a follower carries."),
    key("replica.fetch.wait.max.ms", Int, Some("500"), High)
        .effective("Longest time a follower's fetch waits, in ms."),
    key("replica.high.watermark.checkpoint.interval.ms", Long, Some("5000"), High)
        .stored("Time between two writes of the high watermarks to disk, in ms."),
    key("replica.lag.time.max.ms", Long, Some("30000"), High)
        .effective("Time a follower may lag before it leaves the in-sync set, in ms."),
    key("replica.selector.class", String, None, Medium)
        .effective("Class that picks the replica a consumer reads from."),
    key("replica.socket.receive.buffer.bytes", Int, Some("65536"), High)
        .stored("Socket receive buffer of followers, in bytes."),
    key("replica.socket.timeout.ms", Int, Some("30000"), High)
        .effective("Socket timeout of followers, in ms."),
    key("replication.quota.window.num", Int, Some("11"), Low).at_least(1)
        .stored("Samples kept for replication quotas."),
    key("replication.quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .stored("Length of one such sample, in seconds."),
    key("unclean.leader.election.enable", Boolean, Some("false"), High).cluster_wide()
        .effective("Whether a replica that is not in sync may lead when no other is left. It can lose data."),
];
