//! Requests, connections, and bytes by topic.

use std::fmt;
use std::sync::Arc;

use crate::api;
use crate::metrics::catalogue as shown;
use crate::metrics::{Counter, Distribution, Family, TopicMetrics, TopicsMetrics, Writer};
use crate::server::core::Core;
use crate::server::shared::Shared;

/// A family of counters by topic, and which of a topic's counters it shows.
type ByTopic = (&'static Family, fn(&TopicMetrics) -> &Counter);

static BY_TOPIC: &[ByTopic] = &[
    (&shown::MESSAGES_IN, |topic| &topic.messages_in),
    (&shown::BYTES_IN, |topic| &topic.bytes_in),
    (&shown::BYTES_OUT, |topic| &topic.bytes_out),
    (&shown::BYTES_REJECTED, |topic| &topic.bytes_rejected),
    (&shown::PRODUCE_REQUESTS, |topic| &topic.produce_requests),
    (&shown::PRODUCE_FAILURES, |topic| &topic.produce_failures),
    (&shown::FETCH_REQUESTS, |topic| &topic.fetch_requests),
    (&shown::FETCH_FAILURES, |topic| &topic.fetch_failures),
];

pub fn write(writer: &mut Writer<'_>, shared: &Shared, cores: &[Arc<Core>]) -> fmt::Result {
    let metrics = shared.broker.metrics();
    by_topic(writer, &metrics.topics)?;
    writer.count(&shown::REPLICATION_BYTES_IN, metrics.replication_bytes_in.get())?;
    writer.count(&shown::REPLICATION_BYTES_OUT, metrics.replication_bytes_out.get())?;
    requests(writer, cores)?;
    let sum = |pick: fn(&Core) -> &Counter| cores.iter().map(|core| pick(core).get()).sum();
    writer.count(&shown::NETWORK_BYTES_IN, sum(|core| &core.metrics.bytes_in))?;
    writer.count(&shown::NETWORK_BYTES_OUT, sum(|core| &core.metrics.bytes_out))?;
    let mut connections = writer.family(&shown::CONNECTION_COUNT)?;
    for (listener, count) in shared.connections_by_listener() {
        connections.level_of(&[&listener], count)?;
    }
    writer.count(&shown::CONNECTIONS_ACCEPTED, shared.metrics.connections_accepted.get())?;
    writer.count(&shown::CONNECTIONS_REFUSED, shared.metrics.connections_refused.get())?;
    let used_bytes = shared.budget.used_bytes();
    writer.level_of(&shown::MEMORY_USED, used_bytes)?;
    writer.level_of(&shown::MEMORY_AVAILABLE, shared.budget.limit_bytes().saturating_sub(used_bytes))
}

fn by_topic(writer: &mut Writer<'_>, topics: &TopicsMetrics) -> fmt::Result {
    let all = topics.all();
    for (family, counter) in BY_TOPIC {
        let mut samples = writer.family(family)?;
        let of_topics: u64 = all.iter().map(|(_, topic)| counter(topic).get()).sum();
        samples.count(&[], of_topics + counter(topics.elsewhere()).get())?;
        for (name, topic) in &all {
            samples.count(&[name], counter(topic).get())?;
        }
    }
    Ok(())
}

fn requests(writer: &mut Writer<'_>, cores: &[Arc<Core>]) -> fmt::Result {
    let mut started = writer.family(&shown::REQUESTS)?;
    for row in api::rows() {
        let count = |core: &Arc<Core>| core.metrics.request(api::place(row.key)).started.get();
        started.count(&[row.key.name()], cores.iter().map(count).sum())?;
    }
    let mut times = writer.family(&shown::REQUEST_TIME)?;
    for row in api::rows() {
        let mut durations = Distribution::default();
        cores.iter().for_each(|core| durations.add(&core.metrics.request(api::place(row.key)).time));
        if durations.count() > 0 {
            times.durations(&[row.key.name()], &durations)?;
        }
    }
    Ok(())
}
