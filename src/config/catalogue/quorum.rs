//! Nodes, roles, the controller quorum and the metadata log.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::{High, Low, Medium};
use super::ValueType::{Boolean, Int, List, Long, String};
use super::{Key, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const QUORUM: &[Key] = &[
    key("auto.leader.rebalance.enable", Boolean, Some("true"), High)
        .stored(""),
    key("broker.heartbeat.interval.ms", Int, Some("2000"), Medium)
        .stored(""),
    key("broker.id", Int, Some("-1"), High)
        .stored(""),
    key("broker.rack", String, None, Medium)
        .effective(""),
    key("broker.session.timeout.ms", Int, Some("9000"), Medium)
        .stored(""),
    key("controlled.shutdown.enable", Boolean, Some("true"), Medium)
        .stored(""),
    key("controller.listener.names", List, Some("CONTROLLER"), High).non_empty_list().instead_of(None)
        .effective(""),
    key("controller.performance.always.log.threshold.ms", Long, Some("2000"), Medium).at_least(0).internal()
        .stored(""),
    key("controller.performance.sample.period.ms", Long, Some("60000"), Medium).at_least(100).internal()
        .stored(""),
    key("controller.quorum.append.linger.ms", Int, Some("25"), Medium).at_least(0)
        .stored(""),
    key("controller.quorum.auto.join.enable", Boolean, Some("false"), Low)
        .stored(""),
    key("controller.quorum.bootstrap.servers", List, Some(""), High)
        .stored(""),
    key("controller.quorum.election.backoff.max.ms", Int, Some("1000"), High).at_least(0)
        .stored(""),
    key("controller.quorum.election.timeout.ms", Int, Some("1000"), High).at_least(0)
        .stored(""),
    key("controller.quorum.fetch.max.bytes", Int, Some("1048576"), Low).at_least(1)
        .stored(""),
    key("controller.quorum.fetch.snapshot.max.bytes", Int, Some("1048576"), Low).at_least(1)
        .stored(""),
    key("controller.quorum.fetch.timeout.ms", Int, Some("2000"), High).at_least(0)
        .stored(""),
    key("controller.quorum.request.timeout.ms", Int, Some("2000"), Medium).at_least(0)
        .stored(""),
    key("controller.quorum.retry.backoff.ms", Int, Some("20"), Low).at_least(0)
        .stored(""),
    key("controller.quorum.voters", List, Some(""), High)
        .effective(""),
    key("controller.quota.window.num", Int, Some("11"), Low).at_least(1)
        .stored(""),
    key("controller.quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .stored(""),
    key("controller.socket.timeout.ms", Int, Some("30000"), Medium)
        .stored(""),
    key("initial.broker.registration.timeout.ms", Int, Some("60000"), Medium)
        .stored(""),
    key("internal.metadata.delete.delay.millis", Long, Some("60000"), Low).internal()
        .stored(""),
    key("internal.metadata.log.segment.bytes", Int, None, Low).internal()
        .stored(""),
    key("internal.metadata.max.batch.size.in.bytes", Int, Some("8388608"), Low).internal()
        .stored(""),
    key("leader.imbalance.check.interval.seconds", Long, Some("300"), High).at_least(1)
        .stored(""),
    key("metadata.log.dir", String, None, High)
        .stored(""),
    key("metadata.log.max.record.bytes.between.snapshots", Long, Some("20971520"), High).at_least(1)
        .stored(""),
    key("metadata.log.max.snapshot.interval.ms", Long, Some("3600000"), High).at_least(0)
        .stored(""),
    key("metadata.log.segment.bytes", Int, Some("1073741824"), High).at_least(8388608)
        .stored(""),
    key("metadata.log.segment.ms", Long, Some("604800000"), High)
        .stored(""),
    key("metadata.max.idle.interval.ms", Int, Some("500"), Low).at_least(0)
        .stored(""),
    key("metadata.max.retention.bytes", Long, Some("104857600"), High)
        .stored(""),
    key("metadata.max.retention.ms", Long, Some("604800000"), High)
        .stored(""),
    key("node.id", Int, Some("1"), High).at_least(0).instead_of(None)
        .effective(""),
    key("process.roles", List, Some("broker,controller"), High).list_of(&["broker", "controller"]).instead_of(None)
        .effective(""),
    key("server.max.startup.time.ms", Long, Some("9223372036854775807"), Medium).at_least(0).internal()
        .stored(""),
    key("unclean.leader.election.interval.ms", Long, Some("300000"), Medium).at_least(1).internal()
        .stored(""),
    key("unstable.api.versions.enable", Boolean, Some("false"), High).internal()
        .stored(""),
    key("unstable.feature.versions.enable", Boolean, Some("false"), High).internal()
        .stored(""),
];
