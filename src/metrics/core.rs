//! What one core counts. It alone writes its numbers, so that no other core's counting slows it down; a reader adds them up.

use super::handles::{Counter, Histogram};

/// See the head of this file.
#[derive(Debug, Default)]
pub struct CoreMetrics {
    requests: Box<[RequestMetrics]>,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
}

/// The requests of one API.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    started: Box<[Counter]>,
    /// From the moment a request was read until its answer was handed to the socket.
    pub time: Histogram,
}

impl RequestMetrics {
    /// Counts requests of a version that are carried out. One that is not served is counted as the first: it is answered so.
    pub fn start(&self, version: i16, count: usize) {
        let place = usize::try_from(version).ok().filter(|place| *place < self.started.len());
        if let Some(counter) = self.started.get(place.unwrap_or(0)) {
            counter.add(count);
        }
    }

    /// How many were started, by version from 0 on.
    pub fn started(&self) -> impl Iterator<Item = u64> {
        self.started.iter().map(Counter::get)
    }
}

impl CoreMetrics {
    /// Numbers for APIs, of each of which so many versions are served, from 0 on.
    pub fn new(version_counts: impl Iterator<Item = usize>) -> CoreMetrics {
        let counters = |count| (0..count).map(|_| Counter::default()).collect();
        let requests = version_counts
            .map(|count| RequestMetrics { started: counters(count), time: Histogram::default() })
            .collect();
        CoreMetrics { requests, bytes_in: Counter::default(), bytes_out: Counter::default() }
    }

    /// The API's numbers, by the place it was given when they were made.
    pub fn request(&self, api: usize) -> &RequestMetrics {
        &self.requests[api]
    }

    /// Requests of all APIs that were started.
    pub fn started(&self) -> u64 {
        self.requests.iter().flat_map(RequestMetrics::started).sum()
    }
}
