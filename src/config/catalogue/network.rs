//! Sockets, listeners, threads, quotas and metrics of the server itself.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::{High, Low, Medium};
use super::ValueType::{Class, Int, List, Long, String};
use super::{Key, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const NETWORK: &[Key] = &[
    key("advertised.listeners", List, None, High).non_empty_list()
        .effective("Addresses clients are told to connect to, one a listener; without a host, the one a client came by; unset: the listeners themselves."),
    key("alter.log.dirs.replication.quota.window.num", Int, Some("11"), Low).at_least(1)
        .stored("Samples kept for the quota on moves between directories."),
    key("alter.log.dirs.replication.quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .stored("Length of one such sample, in seconds."),
    key("background.threads", Int, Some("10"), High).at_least(1).cluster_wide()
        .stored("Threads for work beside requests."),
    key("client.quota.callback.class", Class, None, Low)
        .stored("Class that computes client quotas."),
    key("connections.max.idle.ms", Long, Some("600000"), Medium)
        .effective("Silence after which a connection is closed, in ms."),
    key("fetch.max.bytes", Int, Some("57671680"), Medium).at_least(1024)
        .effective("Most bytes one fetch answer carries, whatever the client asks for."),
    key("fetch.purgatory.purge.interval.requests", Int, Some("1000"), Medium)
        .stored("Requests after which finished fetches are removed from the waiting room."),
    key("inter.broker.listener.name", String, None, Medium)
        .effective("Name of the listener for traffic between brokers."),
    key("kafka.metrics.polling.interval.secs", Int, Some("10"), Low).at_least(1)
        .stored("Time between two polls of metrics reporters, in seconds."),
    key("kafka.metrics.reporters", List, Some(""), Low).list()
        .stored("Classes that report metrics."),
    key("listener.security.protocol.map", String, Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"), Low).per_broker()
        .effective("What each listener name speaks, as NAME:PROTOCOL pairs."),
    key("listeners", List, Some("PLAINTEXT://localhost:9092"), High).non_empty_list().instead_of(Some("PLAINTEXT://:9092")).per_broker()
        .effective("Addresses to listen on, NAME://host:port. localhost is both IP families, an empty host all."),
    key("max.connection.creation.rate", Int, Some("2147483647"), Medium).at_least(0).cluster_wide()
        .effective("New connections a second over all listeners; those beyond it wait in the system's queue."),
    key("max.connections", Int, Some("12000"), Medium).at_least(0).instead_of(Some("2147483647")).cluster_wide()
        .effective("Connections this broker holds at a time."),
    key("max.connections.per.ip", Int, Some("1000"), Medium).at_least(0).instead_of(Some("2147483647")).cluster_wide()
        .effective("Connections one address may have; loopback addresses are not counted."),
    key("max.connections.per.ip.overrides", String, Some(""), Medium).cluster_wide()
        .effective("Other limits for single addresses, as address:count pairs, loopback too; names are not looked up."),
    key("max.incremental.fetch.session.cache.slots", Int, Some("1000"), Medium).at_least(0)
        .effective("Fetch sessions the broker remembers."),
    key("max.request.partition.size.limit", Int, Some("2000"), Medium).at_least(1)
        .effective("Partitions one DescribeTopicPartitions answer holds."),
    key("metric.reporters", List, Some("org.apache.kafka.common.metrics.JmxReporter"), Low).list().cluster_wide()
        .stored("Classes that report metrics."),
    key("metrics.num.samples", Int, Some("2"), Low).at_least(1)
        .stored("Samples kept for each metric."),
    key("metrics.recording.level", String, Some("INFO"), Low)
        .stored("Least level of metrics that are recorded."),
    key("metrics.sample.window.ms", Long, Some("30000"), Low).at_least(1)
        .stored("Length of one sample of a metric, in ms."),
    key("num.io.threads", Int, Some("8"), High).at_least(1).cluster_wide()
        .stored("Threads that handle requests, disk included."),
    key("num.network.threads", Int, Some("3"), High).at_least(1).cluster_wide()
        .stored("Threads that serve the network."),
    key("producer.purgatory.purge.interval.requests", Int, Some("1000"), Medium)
        .stored("Requests after which finished produces are removed from the waiting room."),
    key("queued.max.request.bytes", Long, Some("-1"), Medium)
        .stored("Bytes of waiting requests from which the network is not read; -1 without limit."),
    key("queued.max.requests", Int, Some("500"), High).at_least(1)
        .stored("Waiting requests from which the network is not read."),
    key("quota.window.num", Int, Some("11"), Low).at_least(1)
        .effective("Samples kept for client quotas."),
    key("quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .effective("Length of one sample of client quotas, in seconds."),
    key("request.timeout.ms", Int, Some("30000"), High)
        .effective("Time a client's request that names none waits for the active controller, in ms."),
    key("socket.connection.setup.timeout.max.ms", Long, Some("30000"), Medium)
        .stored("Longest time to connect to another broker, in ms."),
    key("socket.connection.setup.timeout.ms", Long, Some("10000"), Medium)
        .stored("First time allowed to connect to another broker, in ms."),
    key("socket.listen.backlog.size", Int, Some("1024"), Medium).at_least(1).instead_of(Some("50"))
        .effective("Connections the system holds until they are accepted."),
    key("socket.receive.buffer.bytes", Int, Some("102400"), High)
        .stored("Socket receive buffer, in bytes; -1 is the system's."),
    key("socket.request.max.bytes", Int, Some("104857600"), High).at_least(1)
        .effective("Largest request, in bytes; a longer one closes its connection."),
    key("socket.send.buffer.bytes", Int, Some("102400"), High)
        .stored("Socket send buffer, in bytes; -1 is the system's."),
    key("telemetry.max.bytes", Int, Some("1048576"), Low).at_least(1)
        .stored("Largest batch of client metrics a client may push, in bytes."),
];
