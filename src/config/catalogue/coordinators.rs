//! Groups, offsets, share groups and transactions: what the coordinators go by.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::{High, Low, Medium};
use super::ValueType::{Boolean, Int, List, Long, Short, String};
use super::{Key, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const COORDINATORS: &[Key] = &[
    key("add.partitions.to.txn.retry.backoff.max.ms", Int, Some("100"), High).at_least(0)
        .stored(""),
    key("add.partitions.to.txn.retry.backoff.ms", Int, Some("20"), High).at_least(1)
        .stored(""),
    key("group.consumer.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("group.consumer.assignors", List, Some("uniform,range"), Medium).non_empty_list()
        .stored(""),
    key("group.consumer.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored(""),
    key("group.consumer.max.assignment.interval.ms", Int, Some("15000"), Medium).at_least(0)
        .stored(""),
    key("group.consumer.max.heartbeat.interval.ms", Int, Some("15000"), Medium).at_least(1)
        .stored(""),
    key("group.consumer.max.session.timeout.ms", Int, Some("60000"), Medium).at_least(1)
        .stored(""),
    key("group.consumer.max.size", Int, Some("2147483647"), Medium).at_least(1)
        .stored(""),
    key("group.consumer.migration.policy", String, Some("bidirectional"), Medium).one_of_any_case(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"])
        .stored(""),
    key("group.consumer.min.assignment.interval.ms", Int, Some("0"), Medium).at_least(0)
        .stored(""),
    key("group.consumer.min.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored(""),
    key("group.consumer.min.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored(""),
    key("group.consumer.regex.refresh.interval.ms", Int, Some("600000"), Medium).at_least(10000).internal()
        .stored(""),
    key("group.consumer.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored(""),
    key("group.coordinator.append.linger.ms", Int, Some("-1"), Medium).at_least(-1)
        .stored(""),
    key("group.coordinator.background.threads", Int, Some("2"), High).at_least(1)
        .stored(""),
    key("group.coordinator.cached.buffer.max.bytes", Int, Some("1048588"), Medium).at_least(524288).cluster_wide()
        .stored(""),
    key("group.coordinator.rebalance.protocols", List, Some("classic,consumer,streams"), Medium).list_of(&["consumer", "classic", "share", "streams"])
        .stored(""),
    key("group.coordinator.threads", Int, Some("4"), High).at_least(1)
        .stored(""),
    key("group.initial.rebalance.delay.ms", Int, Some("0"), Medium).instead_of(Some("3000"))
        .effective(""),
    key("group.max.session.timeout.ms", Int, Some("1800000"), Medium)
        .effective(""),
    key("group.max.size", Int, Some("2147483647"), Medium).at_least(1)
        .effective(""),
    key("group.min.session.timeout.ms", Int, Some("6000"), Medium)
        .effective(""),
    key("group.share.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("group.share.assignors", List, Some("simple"), Medium).non_empty_list()
        .stored(""),
    key("group.share.delivery.count.limit", Int, Some("5"), Medium).between(2, 10)
        .stored(""),
    key("group.share.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored(""),
    key("group.share.initialize.retry.interval.ms", Int, Some("30000"), Low).at_least(1).internal()
        .stored(""),
    key("group.share.max.assignment.interval.ms", Int, Some("15000"), Medium).at_least(0)
        .stored(""),
    key("group.share.max.delivery.count.limit", Int, Some("10"), Medium).between(5, 25)
        .stored(""),
    key("group.share.max.heartbeat.interval.ms", Int, Some("15000"), Medium).at_least(1)
        .stored(""),
    key("group.share.max.partition.max.record.locks", Int, Some("4000"), Medium).between(2000, 10000)
        .stored(""),
    key("group.share.max.record.lock.duration.ms", Int, Some("60000"), Medium).between(30000, 3600000)
        .stored(""),
    key("group.share.max.session.timeout.ms", Int, Some("60000"), Medium).at_least(1)
        .stored(""),
    key("group.share.max.share.sessions", Int, Some("2000"), Medium).at_least(1)
        .stored(""),
    key("group.share.max.size", Int, Some("200"), Medium).between(1, 1000)
        .stored(""),
    key("group.share.min.assignment.interval.ms", Int, Some("0"), Medium).at_least(0)
        .stored(""),
    key("group.share.min.delivery.count.limit", Int, Some("2"), Medium).between(2, 5)
        .stored(""),
    key("group.share.min.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored(""),
    key("group.share.min.partition.max.record.locks", Int, Some("100"), Medium).between(100, 2000)
        .stored(""),
    key("group.share.min.record.lock.duration.ms", Int, Some("15000"), Medium).between(1000, 30000)
        .stored(""),
    key("group.share.min.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored(""),
    key("group.share.partition.max.record.locks", Int, Some("2000"), Medium).between(100, 10000)
        .stored(""),
    key("group.share.persister.class.name", String, Some("org.apache.kafka.server.share.persister.DefaultStatePersister"), Medium).internal()
        .stored(""),
    key("group.share.record.lock.duration.ms", Int, Some("30000"), Medium).between(1000, 3600000)
        .stored(""),
    key("group.share.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored(""),
    key("group.streams.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("group.streams.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored(""),
    key("group.streams.initial.rebalance.delay.ms", Int, Some("3000"), Medium).at_least(0)
        .stored(""),
    key("group.streams.max.assignment.interval.ms", Int, Some("15000"), Medium).at_least(0)
        .stored(""),
    key("group.streams.max.heartbeat.interval.ms", Int, Some("15000"), Medium).at_least(1)
        .stored(""),
    key("group.streams.max.session.timeout.ms", Int, Some("60000"), Medium).at_least(1)
        .stored(""),
    key("group.streams.max.size", Int, Some("2147483647"), Medium).at_least(1)
        .stored(""),
    key("group.streams.max.standby.replicas", Int, Some("2"), Medium).at_least(0)
        .stored(""),
    key("group.streams.min.assignment.interval.ms", Int, Some("0"), Medium).at_least(0)
        .stored(""),
    key("group.streams.min.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored(""),
    key("group.streams.min.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored(""),
    key("group.streams.num.standby.replicas", Int, Some("0"), Medium).at_least(0)
        .stored(""),
    key("group.streams.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored(""),
    key("offset.metadata.max.bytes", Int, Some("4096"), High)
        .effective(""),
    key("offsets.commit.timeout.ms", Int, Some("5000"), High).at_least(1)
        .stored(""),
    key("offsets.load.buffer.size", Int, Some("5242880"), High).at_least(1)
        .stored(""),
    key("offsets.retention.check.interval.ms", Long, Some("600000"), High).at_least(1)
        .effective(""),
    key("offsets.retention.minutes", Int, Some("10080"), High).at_least(1)
        .effective(""),
    key("offsets.topic.compression.codec", Int, Some("0"), High)
        .stored(""),
    key("offsets.topic.num.partitions", Int, Some("50"), High).at_least(1)
        .effective(""),
    key("offsets.topic.replication.factor", Short, Some("3"), High).at_least(1)
        .effective(""),
    key("offsets.topic.segment.bytes", Int, Some("104857600"), High).at_least(1)
        .effective(""),
    key("producer.id.expiration.check.interval.ms", Int, Some("600000"), Low).at_least(1).internal()
        .effective(""),
    key("producer.id.expiration.ms", Int, Some("86400000"), Low).at_least(1).cluster_wide()
        .effective(""),
    key("share.coordinator.append.linger.ms", Int, Some("-1"), Medium).at_least(-1)
        .stored(""),
    key("share.coordinator.cached.buffer.max.bytes", Int, Some("1048588"), Medium).at_least(524288).cluster_wide()
        .stored(""),
    key("share.coordinator.cold.partition.snapshot.interval.ms", Int, Some("300000"), Low).at_least(1).internal()
        .stored(""),
    key("share.coordinator.load.buffer.size", Int, Some("5242880"), High).at_least(1)
        .stored(""),
    key("share.coordinator.snapshot.update.records.per.snapshot", Int, Some("500"), Medium).between(0, 500)
        .stored(""),
    key("share.coordinator.state.topic.compression.codec", Int, Some("0"), High)
        .stored(""),
    key("share.coordinator.state.topic.min.isr", Short, Some("2"), High).at_least(1)
        .stored(""),
    key("share.coordinator.state.topic.num.partitions", Int, Some("50"), High).at_least(1)
        .stored(""),
    key("share.coordinator.state.topic.prune.interval.ms", Int, Some("300000"), Low).at_least(1).internal()
        .stored(""),
    key("share.coordinator.state.topic.replication.factor", Short, Some("3"), High).at_least(1)
        .stored(""),
    key("share.coordinator.state.topic.segment.bytes", Int, Some("104857600"), High).at_least(1)
        .stored(""),
    key("share.coordinator.threads", Int, Some("1"), Medium).at_least(1)
        .stored(""),
    key("share.coordinator.write.timeout.ms", Int, Some("5000"), High).at_least(1)
        .stored(""),
    key("share.fetch.purgatory.purge.interval.requests", Int, Some("1000"), Medium)
        .stored(""),
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Some("10000"), Low).at_least(1)
        .stored(""),
    key("transaction.max.timeout.ms", Int, Some("900000"), High).at_least(1)
        .stored(""),
    key("transaction.partition.verification.enable", Boolean, Some("true"), Low).cluster_wide()
        .stored(""),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Int, Some("3600000"), Low).at_least(1)
        .stored(""),
    key("transaction.state.log.load.buffer.size", Int, Some("5242880"), High).at_least(1)
        .stored(""),
    key("transaction.state.log.min.isr", Int, Some("2"), High).at_least(1)
        .stored(""),
    key("transaction.state.log.num.partitions", Int, Some("50"), High).at_least(1)
        .stored(""),
    key("transaction.state.log.replication.factor", Short, Some("3"), High).at_least(1)
        .stored(""),
    key("transaction.state.log.segment.bytes", Int, Some("104857600"), High).at_least(1)
        .stored(""),
    key("transaction.two.phase.commit.enable", Boolean, Some("false"), Low)
        .stored(""),
    key("transactional.id.expiration.ms", Int, Some("604800000"), High).at_least(1)
        .stored(""),
];
