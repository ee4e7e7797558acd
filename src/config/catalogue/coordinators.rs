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
        .stored("Longest time the broker retries AddPartitionsToTxn against another transaction's end, in ms."),
    key("add.partitions.to.txn.retry.backoff.ms", Int, Some("20"), High).at_least(1)
        .stored("Pause before the broker retries AddPartitionsToTxn, in ms."),
    key("group.consumer.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0).cluster_wide()
        .stored("Least time between two assignments of a consumer group, in ms."),
    key("group.consumer.assignors", List, Some("uniform,range"), Medium).non_empty_list()
        .stored("Assignors consumer groups may use; the first is the default."),
    key("group.consumer.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored("Time between two heartbeats of a consumer group's member, in ms."),
    key("group.consumer.max.assignment.interval.ms", Int, Some("15000"), Medium).at_least(0)
        .stored("Largest assignment interval a consumer group may set, in ms."),
    key("group.consumer.max.heartbeat.interval.ms", Int, Some("15000"), Medium).at_least(1)
        .stored("Largest heartbeat interval a consumer group may set, in ms."),
    key("group.consumer.max.session.timeout.ms", Int, Some("60000"), Medium).at_least(1)
        .stored("Largest session timeout a consumer group may set, in ms."),
    key("group.consumer.max.size", Int, Some("2147483647"), Medium).at_least(1)
        .stored("Members one consumer group may have."),
    key("group.consumer.migration.policy", String, Some("bidirectional"), Medium).one_of_any_case(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"])
        .stored("Which way groups may move between the classic and the consumer protocol."),
    key("group.consumer.min.assignment.interval.ms", Int, Some("0"), Medium).at_least(0)
        .stored("Smallest assignment interval a consumer group may set, in ms."),
    key("group.consumer.min.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored("Smallest heartbeat interval a consumer group may set, in ms."),
    key("group.consumer.min.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored("Smallest session timeout a consumer group may set, in ms."),
    key("group.consumer.regex.refresh.interval.ms", Int, Some("600000"), Medium).at_least(10000).internal()
        .stored("Time between two evaluations of a group's subscription patterns, in ms."),
    key("group.consumer.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored("Silence after which a consumer group's member is removed, in ms."),
    key("group.coordinator.append.linger.ms", Int, Some("-1"), Medium).at_least(-1)
        .stored("Time the group coordinator gathers writes before it appends them, in ms; -1 adapts to the load."),
    key("group.coordinator.background.threads", Int, Some("2"), High).at_least(1)
        .stored("Threads for the group coordinator's long computations."),
    key("group.coordinator.cached.buffer.max.bytes", Int, Some("1048588"), Medium).at_least(524288).cluster_wide()
        .stored("Largest write buffer the group coordinator keeps for reuse, in bytes."),
    key("group.coordinator.rebalance.protocols", List, Some("classic,consumer,streams"), Medium).list_of(&["consumer", "classic", "share", "streams"])
        .stored("Group protocols the broker offers."),
    key("group.coordinator.threads", Int, Some("4"), High).at_least(1)
        .stored("Threads of the group coordinator."),
    key("group.initial.rebalance.delay.ms", Int, Some("0"), Medium).instead_of(Some("3000"))
        .effective("Time an empty group waits for more members before its first rebalance, in ms."),
    key("group.max.session.timeout.ms", Int, Some("1800000"), Medium)
        .effective("Largest session timeout a member may ask for, in ms."),
    key("group.max.size", Int, Some("2147483647"), Medium).at_least(1)
        .effective("Members one group may have."),
    key("group.min.session.timeout.ms", Int, Some("6000"), Medium)
        .effective("Smallest session timeout a member may ask for, in ms."),
    key("group.share.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0).cluster_wide()
        .stored("Least time between two assignments of a share group, in ms."),
    key("group.share.assignors", List, Some("simple"), Medium).non_empty_list()
        .stored("Assignors share groups may use; the first is the default."),
    key("group.share.delivery.count.limit", Int, Some("5"), Medium).between(2, 10)
        .stored("Times a record is handed to a share group before it is given up."),
    key("group.share.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored("Time between two heartbeats of a share group's member, in ms."),
    key("group.share.initialize.retry.interval.ms", Int, Some("30000"), Low).at_least(1).internal()
        .stored("Pause before share state that could not be set up is tried again, in ms."),
    key("group.share.max.assignment.interval.ms", Int, Some("15000"), Medium).at_least(0)
        .stored("Largest assignment interval a share group may set, in ms."),
    key("group.share.max.delivery.count.limit", Int, Some("10"), Medium).between(5, 25)
        .stored("Largest delivery count limit a share group may set."),
    key("group.share.max.heartbeat.interval.ms", Int, Some("15000"), Medium).at_least(1)
        .stored("Largest heartbeat interval a share group may set, in ms."),
    key("group.share.max.partition.max.record.locks", Int, Some("4000"), Medium).between(2000, 10000)
        .stored("Largest number of locked records a partition a share group may set."),
    key("group.share.max.record.lock.duration.ms", Int, Some("60000"), Medium).between(30000, 3600000)
        .stored("Longest record lock a share group may set, in ms."),
    key("group.share.max.session.timeout.ms", Int, Some("60000"), Medium).at_least(1)
        .stored("Largest session timeout a share group may set, in ms."),
    key("group.share.max.share.sessions", Int, Some("2000"), Medium).at_least(1)
        .stored("Share sessions one broker holds."),
    key("group.share.max.size", Int, Some("200"), Medium).between(1, 1000)
        .stored("Members one share group may have."),
    key("group.share.min.assignment.interval.ms", Int, Some("0"), Medium).at_least(0)
        .stored("Smallest assignment interval a share group may set, in ms."),
    key("group.share.min.delivery.count.limit", Int, Some("2"), Medium).between(2, 5)
        .stored("Smallest delivery count limit a share group may set."),
    key("group.share.min.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored("Smallest heartbeat interval a share group may set, in ms."),
    key("group.share.min.partition.max.record.locks", Int, Some("100"), Medium).between(100, 2000)
        .stored("Smallest number of locked records a partition a share group may set."),
    key("group.share.min.record.lock.duration.ms", Int, Some("15000"), Medium).between(1000, 30000)
        .stored("Shortest record lock a share group may set, in ms."),
    key("group.share.min.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored("Smallest session timeout a share group may set, in ms."),
    key("group.share.partition.max.record.locks", Int, Some("2000"), Medium).between(100, 10000)
        .stored("Records of one partition a share group may have locked at a time."),
    key("group.share.persister.class.name", String, Some("org.apache.kafka.server.share.persister.DefaultStatePersister"), Medium).internal()
        .stored("Class that stores share group state."),
    key("group.share.record.lock.duration.ms", Int, Some("30000"), Medium).between(1000, 3600000)
        .stored("Time a share group's member may hold a record, in ms."),
    key("group.share.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored("Silence after which a share group's member is removed, in ms."),
    key("group.streams.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0).cluster_wide()
        .stored("Least time between two assignments of a streams group, in ms."),
    key("group.streams.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored("Time between two heartbeats of a streams group's member, in ms."),
    key("group.streams.initial.rebalance.delay.ms", Int, Some("3000"), Medium).at_least(0)
        .stored("Time an empty streams group waits for more members before its first rebalance, in ms."),
    key("group.streams.max.assignment.interval.ms", Int, Some("15000"), Medium).at_least(0)
        .stored("Largest assignment interval a streams group may set, in ms."),
    key("group.streams.max.heartbeat.interval.ms", Int, Some("15000"), Medium).at_least(1)
        .stored("Largest heartbeat interval a streams group may set, in ms."),
    key("group.streams.max.session.timeout.ms", Int, Some("60000"), Medium).at_least(1)
        .stored("Largest session timeout a streams group may set, in ms."),
    key("group.streams.max.size", Int, Some("2147483647"), Medium).at_least(1)
        .stored("Members one streams group may have."),
    key("group.streams.max.standby.replicas", Int, Some("2"), Medium).at_least(0)
        .stored("Most standby replicas a streams group may ask for."),
    key("group.streams.min.assignment.interval.ms", Int, Some("0"), Medium).at_least(0)
        .stored("Smallest assignment interval a streams group may set, in ms."),
    key("group.streams.min.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .stored("Smallest heartbeat interval a streams group may set, in ms."),
    key("group.streams.min.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored("Smallest session timeout a streams group may set, in ms."),
    key("group.streams.num.standby.replicas", Int, Some("0"), Medium).at_least(0)
        .stored("Standby replicas of each stateful task."),
    key("group.streams.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .stored("Silence after which a streams group's member is removed, in ms."),
    key("offset.metadata.max.bytes", Int, Some("4096"), High)
        .effective("Longest metadata text a client may commit with an offset, in bytes."),
    key("offsets.commit.timeout.ms", Int, Some("5000"), High).at_least(1)
        .effective("Time an offset commit may wait to be replicated, in ms."),
    key("offsets.load.buffer.size", Int, Some("5242880"), High).at_least(1)
        .effective("Batch size for reading offsets into memory when a partition is loaded, in bytes."),
    key("offsets.retention.check.interval.ms", Long, Some("600000"), High).at_least(1)
        .effective("Time between two searches for expired offsets, in ms."),
    key("offsets.retention.minutes", Int, Some("10080"), High).at_least(1)
        .effective("Time committed offsets are kept after their group became empty, in minutes."),
    key("offsets.topic.compression.codec", Int, Some("0"), High)
        .stored("Codec of the offsets topic's batches, as a number: 0 is none."),
    key("offsets.topic.num.partitions", Int, Some("50"), High).at_least(1)
        .effective("Partitions of the offsets topic. Do not change it once the topic exists."),
    key("offsets.topic.replication.factor", Short, Some("3"), High).at_least(1)
        .effective("Replicas of the offsets topic; fewer brokers take what there is."),
    key("offsets.topic.segment.bytes", Int, Some("104857600"), High).at_least(1)
        .effective("Segment size of the offsets topic, in bytes."),
    key("producer.id.expiration.check.interval.ms", Int, Some("600000"), Low).at_least(1).internal()
        .effective("Time between two searches for expired producer ids, in ms."),
    key("producer.id.expiration.ms", Int, Some("86400000"), Low).at_least(1).cluster_wide()
        .effective("Time a partition remembers a producer that has stopped writing, in ms."),
    key("share.coordinator.append.linger.ms", Int, Some("-1"), Medium).at_least(-1)
        .stored("Time the share coordinator gathers writes before it appends them, in ms; -1 adapts to the load."),
    key("share.coordinator.cached.buffer.max.bytes", Int, Some("1048588"), Medium).at_least(524288).cluster_wide()
        .stored("Largest write buffer the share coordinator keeps for reuse, in bytes."),
    key("share.coordinator.cold.partition.snapshot.interval.ms", Int, Some("300000"), Low).at_least(1).internal()
        .stored("Time after which an idle share partition's state is written whole, in ms."),
    key("share.coordinator.load.buffer.size", Int, Some("5242880"), High).at_least(1)
        .stored("Batch size for reading share state into memory, in bytes."),
    key("share.coordinator.snapshot.update.records.per.snapshot", Int, Some("500"), Medium).between(0, 500)
        .stored("Updates the share coordinator writes between two whole snapshots."),
    key("share.coordinator.state.topic.compression.codec", Int, Some("0"), High)
        .stored("Codec of the share state topic's batches, as a number: 0 is none."),
    key("share.coordinator.state.topic.min.isr", Short, Some("2"), High).at_least(1)
        .stored("In-sync replicas a write to the share state topic needs."),
    key("share.coordinator.state.topic.num.partitions", Int, Some("50"), High).at_least(1)
        .stored("Partitions of the share state topic. Do not change it once the topic exists."),
    key("share.coordinator.state.topic.prune.interval.ms", Int, Some("300000"), Low).at_least(1).internal()
        .stored("Time between two removals of needless records from the share state topic, in ms."),
    key("share.coordinator.state.topic.replication.factor", Short, Some("3"), High).at_least(1)
        .stored("Replicas of the share state topic."),
    key("share.coordinator.state.topic.segment.bytes", Int, Some("104857600"), High).at_least(1)
        .stored("Segment size of the share state topic, in bytes."),
    key("share.coordinator.threads", Int, Some("1"), Medium).at_least(1)
        .stored("Threads of the share coordinator."),
    key("share.coordinator.write.timeout.ms", Int, Some("5000"), High).at_least(1)
        .stored("Time a write of the share coordinator may take, in ms."),
    key("share.fetch.purgatory.purge.interval.requests", Int, Some("1000"), Medium)
        .stored("Requests after which finished share fetches are removed from the waiting room."),
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Some("10000"), Low).at_least(1)
        .stored("Time between two searches for transactions that have run out of time, in ms."),
    key("transaction.max.timeout.ms", Int, Some("900000"), High).at_least(1)
        .stored("Longest transaction timeout a client may ask for, in ms."),
    key("transaction.partition.verification.enable", Boolean, Some("true"), Low).cluster_wide()
        .stored("Whether a write is checked to belong to a transaction that has begun."),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Int, Some("3600000"), Low).at_least(1)
        .stored("Time between two removals of expired transactional ids, in ms."),
    key("transaction.state.log.load.buffer.size", Int, Some("5242880"), High).at_least(1)
        .stored("Batch size for reading transaction state into memory, in bytes."),
    key("transaction.state.log.min.isr", Int, Some("2"), High).at_least(1)
        .stored("In-sync replicas a write to the transaction topic needs."),
    key("transaction.state.log.num.partitions", Int, Some("50"), High).at_least(1)
        .stored("Partitions of the transaction topic. Do not change it once the topic exists."),
    key("transaction.state.log.replication.factor", Short, Some("3"), High).at_least(1)
        .stored("Replicas of the transaction topic."),
    key("transaction.state.log.segment.bytes", Int, Some("104857600"), High).at_least(1)
        .stored("Segment size of the transaction topic, in bytes."),
    key("transaction.two.phase.commit.enable", Boolean, Some("false"), Low)
        .stored("Whether clients may prepare a transaction and end it later (two-phase commit)."),
    key("transactional.id.expiration.ms", Int, Some("604800000"), High).at_least(1)
        .stored("Time an unused transactional id is remembered, in ms."),
];
