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
        .effective("Whether leadership returns to preferred replicas by itself."),
    key("broker.heartbeat.interval.ms", Int, Some("200"), Medium).at_least(1).instead_of(Some("2000"))
        .effective("Time between two heartbeats of a broker to the controller, in ms."),
    key("broker.id", Int, Some("1"), High).instead_of(Some("-1"))
        .stored("Old name of node.id."),
    key("broker.rack", String, None, Medium)
        .effective("Rack of this broker, for placement of replicas and fetching from near ones."),
    key("broker.session.timeout.ms", Int, Some("1500"), Medium).at_least(1).instead_of(Some("9000"))
        .effective("Silence after which the controller fences a broker, in ms."),
    key("controlled.shutdown.enable", Boolean, Some("true"), Medium)
        .effective("Whether a stopping broker hands its leaderships over first."),
    key("controller.listener.names", List, Some("CONTROLLER"), High).non_empty_list().instead_of(None)
        .effective("Names of the listeners for controllers; when no listener has one of them, controllers use that of the brokers."),
    key("controller.performance.always.log.threshold.ms", Long, Some("2000"), Medium).at_least(0).internal()
        .stored("Duration from which a slow controller event is logged, in ms."),
    key("controller.performance.sample.period.ms", Long, Some("60000"), Medium).at_least(100).internal()
        .stored("Time between two performance lines of the controller, in ms."),
    key("controller.quorum.append.linger.ms", Int, Some("25"), Medium).at_least(0)
        .stored("Time the quorum's leader gathers writes before it flushes them, in ms."),
    key("controller.quorum.auto.join.enable", Boolean, Some("false"), Low)
        .effective("Whether a controller adds itself to the voters."),
    key("controller.quorum.bootstrap.servers", List, Some(""), High)
        .effective("Addresses at which the metadata quorum is found, as host:port. A fresh node whose own is the first forms it alone."),
    key("controller.quorum.election.backoff.max.ms", Int, Some("1000"), High).at_least(0)
        .stored("Longest pause before a failed election is tried again, in ms."),
    key("controller.quorum.election.timeout.ms", Int, Some("500"), High).at_least(0).instead_of(Some("1000"))
        .effective("Time after which an election that nobody has won begins anew, in ms."),
    key("controller.quorum.fetch.max.bytes", Int, Some("1048576"), Low).at_least(1)
        .stored("Most bytes of the metadata log one fetch returns."),
    key("controller.quorum.fetch.snapshot.max.bytes", Int, Some("1048576"), Low).at_least(1)
        .stored("Most bytes of a metadata snapshot one fetch returns."),
    key("controller.quorum.fetch.timeout.ms", Int, Some("1500"), High).at_least(0).instead_of(Some("2000"))
        .effective("Time after which voters that hear no leader elect one, and a leader that hears no majority resigns, in ms."),
    key("controller.quorum.request.timeout.ms", Int, Some("500"), Medium).at_least(0).instead_of(Some("2000"))
        .effective("Time a request between controllers may take, in ms."),
    key("controller.quorum.retry.backoff.ms", Int, Some("20"), Low).at_least(0)
        .stored("Pause before a failed request between controllers is tried again, in ms."),
    key("controller.quorum.voters", List, Some(""), High)
        .effective("The fixed voters of the metadata quorum, as id@host:port."),
    key("controller.quota.window.num", Int, Some("11"), Low).at_least(1)
        .effective("Samples kept for the quota on changes to topics: what may be changed at once is so many samples' worth."),
    key("controller.quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .effective("Length of one sample of the quota on changes to topics, in seconds."),
    key("controller.socket.timeout.ms", Int, Some("30000"), Medium)
        .stored("Socket timeout between controller and brokers, in ms."),
    key("initial.broker.registration.timeout.ms", Int, Some("60000"), Medium)
        .effective("Time a starting broker may take to register, in ms."),
    key("internal.metadata.delete.delay.millis", Long, Some("60000"), Low).internal()
        .stored("Time before deleted metadata files are removed, in ms."),
    key("internal.metadata.log.segment.bytes", Int, None, Low).internal()
        .stored("Segment size of the metadata log, for tests, in bytes."),
    key("internal.metadata.max.batch.size.in.bytes", Int, Some("8388608"), Low).internal()
        .stored("Largest batch of the metadata log, in bytes."),
    key("leader.imbalance.check.interval.seconds", Long, Some("300"), High).at_least(1)
        .effective("Time between two checks for leadership away from preferred replicas, in seconds."),
    key("metadata.log.dir", String, None, High)
        .effective("Directory of the metadata log, when not the first of log.dirs."),
    key("metadata.log.max.record.bytes.between.snapshots", Long, Some("20971520"), High).at_least(1)
        .stored("Bytes of metadata records after which a snapshot is taken."),
    key("metadata.log.max.snapshot.interval.ms", Long, Some("3600000"), High).at_least(0)
        .stored("Time after which a metadata snapshot is taken, in ms."),
    key("metadata.log.segment.bytes", Int, Some("1073741824"), High).at_least(8388608)
        .stored("Segment size of the metadata log, in bytes."),
    key("metadata.log.segment.ms", Long, Some("604800000"), High)
        .stored("Age at which a segment of the metadata log is closed, in ms."),
    key("metadata.max.idle.interval.ms", Int, Some("500"), Low).at_least(0)
        .stored("Silence after which an empty record is written to the metadata log, in ms."),
    key("metadata.max.retention.bytes", Long, Some("104857600"), High)
        .stored("Size from which old metadata segments and snapshots are deleted, in bytes."),
    key("metadata.max.retention.ms", Long, Some("604800000"), High)
        .stored("Time metadata segments and snapshots are kept, in ms."),
    key("node.id", Int, Some("1"), High).at_least(0).instead_of(None)
        .effective("This node's id, unique in its cluster."),
    key("process.roles", List, Some("broker,controller"), High).list_of(&["broker", "controller"]).instead_of(None)
        .effective("What this process is: broker,controller is both in one, broker alone never votes, controller alone serves no clients."),
    key("server.max.startup.time.ms", Long, Some("9223372036854775807"), Medium).at_least(0).internal()
        .stored("Time a start may take, in ms."),
    key("unclean.leader.election.interval.ms", Long, Some("300000"), Medium).at_least(1).internal()
        .effective("Time between two searches for partitions to elect so, in ms."),
    key("unstable.api.versions.enable", Boolean, Some("false"), High).internal()
        .stored("Whether API versions under development are offered."),
    key("unstable.feature.versions.enable", Boolean, Some("false"), High).internal()
        .stored("Whether feature versions under development are offered."),
];
