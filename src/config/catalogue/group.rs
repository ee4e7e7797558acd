//! What a group may override, each with the broker setting that its default comes from. Nothing here has effect in this version.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::Medium;
use super::ValueType::{Boolean, Int, String};
use super::{Key, Rule, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const GROUP: &[Key] = &[
    key("consumer.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0)
        .synonyms(&[("group.consumer.assignment.interval.ms", 1)])
        .stored("Least time between two assignments of a consumer group, in ms."),
    key("consumer.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .synonyms(&[("group.consumer.heartbeat.interval.ms", 1)])
        .stored("Time between two heartbeats of a consumer group's member, in ms."),
    key("consumer.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .synonyms(&[("group.consumer.session.timeout.ms", 1)])
        .stored("Silence after which a consumer group's member is removed, in ms."),
    key("share.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0)
        .synonyms(&[("group.share.assignment.interval.ms", 1)])
        .stored("Least time between two assignments of a share group, in ms."),
    key("share.auto.offset.reset", String, Some("latest"), Medium).rule(Rule::ShareAutoOffsetReset)
        .stored("Where a share group begins that has no offset: latest, earliest or a duration ago."),
    key("share.delivery.count.limit", Int, Some("5"), Medium).at_least(2)
        .synonyms(&[("group.share.delivery.count.limit", 1)])
        .stored("Times a record is handed to the share group before it is given up."),
    key("share.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .synonyms(&[("group.share.heartbeat.interval.ms", 1)])
        .stored("Time between two heartbeats of a share group's member, in ms."),
    key("share.isolation.level", String, Some("read_uncommitted"), Medium).one_of(&["read_committed", "read_uncommitted"])
        .stored("Whether a share group sees records of open transactions."),
    key("share.partition.max.record.locks", Int, Some("2000"), Medium).at_least(100)
        .synonyms(&[("group.share.partition.max.record.locks", 1)])
        .stored("Records of one partition the share group may have locked at a time."),
    key("share.record.lock.duration.ms", Int, Some("30000"), Medium).at_least(1000)
        .synonyms(&[("group.share.record.lock.duration.ms", 1)])
        .stored("Time a share group's member may hold a record, in ms."),
    key("share.renew.acknowledge.enable", Boolean, Some("true"), Medium)
        .stored("Whether members may prolong their hold on a record."),
    key("share.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .synonyms(&[("group.share.session.timeout.ms", 1)])
        .stored("Silence after which a share group's member is removed, in ms."),
    key("streams.assignment.interval.ms", Int, Some("1000"), Medium).at_least(0)
        .synonyms(&[("group.streams.assignment.interval.ms", 1)])
        .stored("Least time between two assignments of a streams group, in ms."),
    key("streams.heartbeat.interval.ms", Int, Some("5000"), Medium).at_least(1)
        .synonyms(&[("group.streams.heartbeat.interval.ms", 1)])
        .stored("Time between two heartbeats of a streams group's member, in ms."),
    key("streams.initial.rebalance.delay.ms", Int, Some("3000"), Medium).at_least(0)
        .synonyms(&[("group.streams.initial.rebalance.delay.ms", 1)])
        .stored("Time an empty streams group waits for more members before its first rebalance, in ms."),
    key("streams.num.standby.replicas", Int, Some("0"), Medium).at_least(0)
        .synonyms(&[("group.streams.num.standby.replicas", 1)])
        .stored("Standby replicas of each stateful task."),
    key("streams.session.timeout.ms", Int, Some("45000"), Medium).at_least(1)
        .synonyms(&[("group.streams.session.timeout.ms", 1)])
        .stored("Silence after which a streams group's member is removed, in ms."),
];
