//! Requests, connections, and bytes by topic.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::api;
use crate::metrics::catalogue as shown;
use crate::metrics::{
    Counter, Distribution, Family, Histogram, Recent, RequestTimes, TopicMetrics, TopicsMetrics, Writer,
};
use crate::protocol::api_key::ApiKey;
use crate::server::core::Core;
use crate::server::requests::FOLLOWER_FETCH;
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

pub fn write(writer: &mut Writer<'_>, shared: &Shared, cores: &[Arc<Core>], times: &Times) -> fmt::Result {
    let metrics = shared.broker.metrics();
    by_topic(writer, &metrics.topics)?;
    writer.count(&shown::REPLICATION_BYTES_IN, metrics.replication_bytes_in.get())?;
    writer.count(&shown::REPLICATION_BYTES_OUT, metrics.replication_bytes_out.get())?;
    times.requests(writer, cores, shared.clock.now().monotonic_ms)?;
    let sum = |pick: fn(&Core) -> &Counter| cores.iter().map(|core| pick(core).get()).sum();
    writer.count(&shown::NETWORK_BYTES_IN, sum(|core| &core.metrics.bytes_in))?;
    writer.count(&shown::NETWORK_BYTES_OUT, sum(|core| &core.metrics.bytes_out))?;
    let mut connections = writer.family(&shown::CONNECTION_COUNT)?;
    for ((listener, core), count) in shared.connections() {
        connections.level_of(&[&listener, &core.to_string()], count)?;
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

/// Whose requests are shown together: a name, and where they are counted. A fetch is shown once more as one of a consumer or of a
/// follower (`RequestChannel.updateRequestMetrics`).
fn asked() -> impl Iterator<Item = (&'static str, Vec<usize>)> {
    let fetch = api::place(ApiKey::Fetch);
    let places = move |key| if key == ApiKey::Fetch { vec![fetch, FOLLOWER_FETCH] } else { vec![api::place(key)] };
    let fetches = [("FetchConsumer", vec![fetch]), ("FetchFollower", vec![FOLLOWER_FETCH])];
    api::rows().map(move |row| (row.key.name(), places(row.key))).chain(fetches)
}

/// Percentiles of one part of the time that requests took, how many there were, and which part it is.
type OfTime = (&'static Family, &'static Family, fn(&RequestTimes) -> &Histogram);

static TIMES: [OfTime; 3] = [
    (&shown::REQUEST_TIME, &shown::REQUEST_COUNT, |times| &times.total),
    (&shown::REQUEST_LOCAL, &shown::REQUEST_LOCAL_COUNT, |times| &times.local),
    (&shown::REQUEST_REMOTE, &shown::REQUEST_REMOTE_COUNT, |times| &times.remote),
];

/// How long requests took lately, by family and name.
#[derive(Default)]
pub struct Times(Mutex<BTreeMap<(&'static str, &'static str), Recent>>);

impl Times {
    fn requests(&self, writer: &mut Writer<'_>, cores: &[Arc<Core>], now_ms: u64) -> fmt::Result {
        started(writer, cores)?;
        let now = Duration::from_millis(now_ms);
        let mut all_recent = self.0.lock();
        for (family, count, part) in &TIMES {
            let answered = answered(cores, *part);
            let mut lately = writer.family(family)?;
            for (name, durations) in &answered {
                let recent = all_recent.entry((family.name, name)).or_default();
                recent.look(now, durations);
                lately.quantiles(&[name], recent)?;
            }
            let mut counts = writer.family(count)?;
            for (name, durations) in &answered {
                counts.count(&[name], durations.count())?;
            }
        }
        let mut times = writer.family(&shown::REQUEST_TIMES)?;
        for (name, durations) in answered(cores, |times| &times.total) {
            times.durations(&[name], &durations)?;
        }
        Ok(())
    }
}

/// One part of the time of the requests that were answered at least once.
fn answered(cores: &[Arc<Core>], part: fn(&RequestTimes) -> &Histogram) -> Vec<(&'static str, Distribution)> {
    let mut answered = Vec::new();
    for (name, places) in asked() {
        let mut durations = Distribution::default();
        for place in places {
            let times = cores.iter().filter_map(|core| core.metrics.request(place).times());
            times.for_each(|times| durations.add(part(times)));
        }
        if durations.count() > 0 {
            answered.push((name, durations));
        }
    }
    answered
}

/// As in Kafka, a version that nobody has asked with is not shown.
fn started(writer: &mut Writer<'_>, cores: &[Arc<Core>]) -> fmt::Result {
    let mut started = writer.family(&shown::REQUESTS)?;
    for (name, places) in asked() {
        let mut by_version: Vec<u64> = Vec::new();
        for (core, place) in cores.iter().flat_map(|core| places.iter().map(move |place| (core, *place))) {
            for (version, count) in core.metrics.request(place).started().enumerate() {
                by_version.resize(by_version.len().max(version + 1), 0);
                by_version[version] += count;
            }
        }
        for (version, count) in by_version.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            started.count(&[name, &version.to_string()], count)?;
        }
    }
    Ok(())
}
