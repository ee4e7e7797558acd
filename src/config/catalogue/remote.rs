//! Tiered storage. Nothing here has effect in this version.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::{Low, Medium};
use super::ValueType::{Boolean, Double, Int, Long, String};
use super::{Key, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const REMOTE: &[Key] = &[
    key("follower.fetch.last.tiered.offset.enable", Boolean, Some("false"), Medium).cluster_wide()
        .stored("Whether a new follower begins at the last tiered offset."),
    key("log.local.retention.bytes", Long, Some("-2"), Medium).at_least(-2).cluster_wide()
        .stored("Bytes of a tiered partition kept locally; -2 follows log.retention.bytes."),
    key("log.local.retention.ms", Long, Some("-2"), Medium).at_least(-2).cluster_wide()
        .stored("Time segments of a tiered partition are kept locally, in ms; -2 follows log.retention.ms."),
    key("remote.fetch.max.wait.ms", Int, Some("500"), Medium).at_least(1).cluster_wide()
        .stored("Time a fetch waits for tiered data, in ms."),
    key("remote.list.offsets.request.timeout.ms", Long, Some("30000"), Medium).at_least(1).cluster_wide()
        .stored("Time ListOffsets waits for tiered data, in ms."),
    key("remote.log.index.file.cache.total.size.bytes", Long, Some("1073741824"), Low).at_least(1).cluster_wide()
        .stored("Disk space for cached indexes of tiered segments, in bytes."),
    key("remote.log.index.file.cache.ttl.ms", Long, Some("900000"), Low).at_least(-1).internal()
        .stored("Time a cached index of a tiered segment is kept unused, in ms; -1 without limit."),
    key("remote.log.manager.copier.thread.pool.size", Int, Some("10"), Medium).at_least(1).cluster_wide()
        .stored("Threads that copy segments to the tier."),
    key("remote.log.manager.copy.max.bytes.per.second", Long, Some("9223372036854775807"), Medium).at_least(1).cluster_wide()
        .stored("Limit on copying to the tier, in bytes a second."),
    key("remote.log.manager.copy.quota.window.num", Int, Some("11"), Medium).at_least(1)
        .stored("Samples kept for the quota on copying to the tier."),
    key("remote.log.manager.copy.quota.window.size.seconds", Int, Some("1"), Medium).at_least(1)
        .stored("Length of one such sample, in seconds."),
    key("remote.log.manager.expiration.thread.pool.size", Int, Some("10"), Medium).at_least(1).cluster_wide()
        .stored("Threads that delete expired segments from the tier."),
    key("remote.log.manager.fetch.max.bytes.per.second", Long, Some("9223372036854775807"), Medium).at_least(1).cluster_wide()
        .stored("Limit on reading from the tier, in bytes a second."),
    key("remote.log.manager.fetch.quota.window.num", Int, Some("11"), Medium).at_least(1)
        .stored("Samples kept for the quota on reading from the tier."),
    key("remote.log.manager.fetch.quota.window.size.seconds", Int, Some("1"), Medium).at_least(1)
        .stored("Length of one such sample, in seconds."),
    key("remote.log.manager.follower.thread.pool.size", Int, Some("2"), Medium).at_least(1).cluster_wide()
        .stored("Threads that follow tiered partitions."),
    key("remote.log.manager.task.interval.ms", Long, Some("30000"), Low).at_least(1)
        .stored("Time between two rounds of tiering work, in ms."),
    key("remote.log.manager.task.retry.backoff.max.ms", Long, Some("30000"), Low).at_least(1).internal()
        .stored("Longest pause before failed tiering work is tried again, in ms."),
    key("remote.log.manager.task.retry.backoff.ms", Long, Some("500"), Low).at_least(1).internal()
        .stored("First pause before failed tiering work is tried again, in ms."),
    key("remote.log.manager.task.retry.jitter", Double, Some("0.2"), Low).between_ratio(0.0, 0.5).internal()
        .stored("Random share of the pause before a retry."),
    key("remote.log.manager.thread.pool.size", Int, Some("2"), Medium).at_least(1)
        .stored("Threads for tiering work of every kind."),
    key("remote.log.metadata.custom.metadata.max.bytes", Int, Some("128"), Low).at_least(0)
        .stored("Largest custom metadata of a tiered segment, in bytes."),
    key("remote.log.metadata.manager.class.name", String, Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"), Medium).non_empty()
        .stored("Class that stores the metadata of tiered segments."),
    key("remote.log.metadata.manager.class.path", String, None, Medium)
        .stored("Where that class is loaded from."),
    key("remote.log.metadata.manager.impl.prefix", String, Some("rlmm.config."), Medium).non_empty()
        .stored("Prefix of the settings handed to that class."),
    key("remote.log.metadata.manager.listener.name", String, None, Medium).non_empty()
        .stored("Listener that class connects to."),
    key("remote.log.reader.max.pending.tasks", Int, Some("100"), Medium).at_least(1)
        .stored("Reads from the tier that may wait."),
    key("remote.log.reader.threads", Int, Some("10"), Medium).at_least(1).cluster_wide()
        .stored("Threads that read from the tier."),
    key("remote.log.storage.manager.class.name", String, None, Medium).non_empty()
        .stored("Class that talks to the remote storage."),
    key("remote.log.storage.manager.class.path", String, None, Medium)
        .stored("Where that class is loaded from."),
    key("remote.log.storage.manager.impl.prefix", String, Some("rsm.config."), Medium).non_empty()
        .stored("Prefix of the settings handed to that class."),
    key("remote.log.storage.system.enable", Boolean, Some("false"), Medium)
        .stored("Whether tiered storage is on."),
];
