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
        .effective(""),
    key("alter.log.dirs.replication.quota.window.num", Int, Some("11"), Low).at_least(1)
        .stored(""),
    key("alter.log.dirs.replication.quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .stored(""),
    key("background.threads", Int, Some("10"), High).at_least(1).cluster_wide()
        .stored(""),
    key("client.quota.callback.class", Class, None, Low)
        .stored(""),
    key("connections.max.idle.ms", Long, Some("600000"), Medium)
        .effective(""),
    key("fetch.max.bytes", Int, Some("57671680"), Medium).at_least(1024)
        .effective(""),
    key("fetch.purgatory.purge.interval.requests", Int, Some("1000"), Medium)
        .stored(""),
    key("inter.broker.listener.name", String, None, Medium)
        .stored(""),
    key("kafka.metrics.polling.interval.secs", Int, Some("10"), Low).at_least(1)
        .stored(""),
    key("kafka.metrics.reporters", List, Some(""), Low).list()
        .stored(""),
    key("listener.security.protocol.map", String, Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"), Low).per_broker()
        .effective(""),
    key("listeners", List, Some("PLAINTEXT://localhost:9092"), High).non_empty_list().instead_of(Some("PLAINTEXT://:9092")).per_broker()
        .effective(""),
    key("max.connection.creation.rate", Int, Some("2147483647"), Medium).at_least(0).cluster_wide()
        .stored(""),
    key("max.connections", Int, Some("12000"), Medium).at_least(0).instead_of(Some("2147483647")).cluster_wide()
        .effective(""),
    key("max.connections.per.ip", Int, Some("1000"), Medium).at_least(0).instead_of(Some("2147483647")).cluster_wide()
        .effective(""),
    key("max.connections.per.ip.overrides", String, Some(""), Medium).cluster_wide()
        .stored(""),
    key("max.incremental.fetch.session.cache.slots", Int, Some("1000"), Medium).at_least(0)
        .effective(""),
    key("max.request.partition.size.limit", Int, Some("2000"), Medium).at_least(1)
        .effective(""),
    key("metric.reporters", List, Some("org.apache.kafka.common.metrics.JmxReporter"), Low).list().cluster_wide()
        .stored(""),
    key("metrics.num.samples", Int, Some("2"), Low).at_least(1)
        .stored(""),
    key("metrics.recording.level", String, Some("INFO"), Low)
        .stored(""),
    key("metrics.sample.window.ms", Long, Some("30000"), Low).at_least(1)
        .stored(""),
    key("num.io.threads", Int, Some("8"), High).at_least(1).cluster_wide()
        .stored(""),
    key("num.network.threads", Int, Some("3"), High).at_least(1).cluster_wide()
        .stored(""),
    key("producer.purgatory.purge.interval.requests", Int, Some("1000"), Medium)
        .stored(""),
    key("queued.max.request.bytes", Long, Some("-1"), Medium)
        .stored(""),
    key("queued.max.requests", Int, Some("500"), High).at_least(1)
        .stored(""),
    key("quota.window.num", Int, Some("11"), Low).at_least(1)
        .stored(""),
    key("quota.window.size.seconds", Int, Some("1"), Low).at_least(1)
        .stored(""),
    key("request.timeout.ms", Int, Some("30000"), High)
        .stored(""),
    key("socket.connection.setup.timeout.max.ms", Long, Some("30000"), Medium)
        .stored(""),
    key("socket.connection.setup.timeout.ms", Long, Some("10000"), Medium)
        .stored(""),
    key("socket.listen.backlog.size", Int, Some("1024"), Medium).at_least(1).instead_of(Some("50"))
        .effective(""),
    key("socket.receive.buffer.bytes", Int, Some("102400"), High)
        .stored(""),
    key("socket.request.max.bytes", Int, Some("104857600"), High).at_least(1)
        .effective(""),
    key("socket.send.buffer.bytes", Int, Some("102400"), High)
        .stored(""),
    key("telemetry.max.bytes", Int, Some("1048576"), Low).at_least(1)
        .stored(""),
];
