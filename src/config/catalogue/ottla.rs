//! What is Ottla's own: settings that Kafka does not know, in Kafka's style of names.

use super::Importance::{High, Low, Medium};
use super::ValueType::{Int, List, Long, String};
use super::{Key, key};

const VALIDATION: &[&str] = &["header", "full"];
const DURABILITY: &[&str] = &["flushed", "page-cache"];

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const BROKER: &[Key] = &[
    key("acks.durability", String, Some("flushed"), High).one_of(DURABILITY).cluster_wide().ours()
        .effective("What an acknowledged record has survived: flushed counts stable storage only, page-cache is Kafka's rule."),
    key("records.validation", String, Some("header"), Medium).one_of(VALIDATION).cluster_wide().ours()
        .effective("What a producer's records are checked by: header looks at headers and CRCs only, full reads every record, as Kafka does."),
    key("controller.quorum.formation", String, Some("all"), Medium).one_of(&["all", "majority"]).ours()
        .effective("Who of the listed controllers must be there when a cluster begins: all, or a majority, which says that no earlier quorum of theirs exists."),
    key("create.topics", List, Some(""), Medium).list().ours()
        .effective("Topics that are there before clients are served, as name:partitions:replication.factor:cleanup.policy; all but the name may be left out."),
    key("init.dir", String, None, Medium).ours()
        .effective("Directory of YAML files that describe topics and settings which are there before clients are served."),
    key("server.threads", Int, Some("0"), High).between(0, 1024).ours()
        .effective("Threads that read and answer requests; 0 is one for each core."),
    key("http.listener", String, Some("localhost:9404"), Medium).ours()
        .effective("Address for metrics and health over HTTP, host:port; empty: none. When nobody set it and the port is taken, there is none either."),
    key("request.memory.max.bytes", Long, Some("268435456"), High).at_least(1_048_576).ours()
        .effective("Memory for requests in flight and their answers over all connections, in bytes."),
    key("connection.memory.max.bytes", Long, Some("134217728"), Medium).at_least(65_536).ours()
        .effective("Memory for requests in flight and their answers on one connection, in bytes."),
    key("request.decode.max.bytes", Long, Some("67108864"), Medium).at_least(65_536).ours()
        .effective("What decoding one request may allocate, in bytes; a request that would need more closes its connection."),
    key("request.progress.timeout.ms", Int, Some("5000"), Medium).at_least(100).ours()
        .effective("Time a begun request may make no progress before its connection is closed, in ms."),
    key("connection.requests.max", Int, Some("64"), Low).between(1, 65_536).ours()
        .effective("Requests of one connection that may wait for their answers; past it the connection is not read."),
    key("logging.level", String, Some("info"), Medium).ours()
        .effective("Which log lines are written: error, warn, info, debug, trace, or filters such as ottla::log=debug."),
    key("logging.format", String, Some("text"), Low).one_of(&["text", "json"]).ours()
        .effective("How log lines are written to standard error: text for people, json for machines."),
];

#[rustfmt::skip]
pub(super) const TOPIC: &[Key] = &[
    key("acks.durability", String, Some("flushed"), Medium).one_of(DURABILITY).ours()
        .synonyms(&[("acks.durability", 1)])
        .effective("What an acknowledged record has survived: flushed counts stable storage only, page-cache is Kafka's rule."),
    key("records.validation", String, Some("header"), Low).one_of(VALIDATION).ours()
        .synonyms(&[("records.validation", 1)])
        .effective("What a producer's records are checked by: header looks at headers and CRCs only, full reads every record, as Kafka does."),
];
