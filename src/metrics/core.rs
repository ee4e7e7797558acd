//! What one core counts. It alone writes its numbers, so that no other core's counting slows it down; a reader adds them up.

use std::sync::OnceLock;
use std::time::Duration;

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
    /// There once one was answered: of most APIs none ever is.
    times: OnceLock<Box<RequestTimes>>,
}

/// How long the requests of one API took.
#[derive(Debug, Default)]
pub struct RequestTimes {
    /// From the moment a request was read until its answer was handed to the socket.
    pub total: Histogram,
    /// The part of it until its handler had done what can be done at once.
    pub local: Histogram,
    /// The rest: waiting for stable storage, other brokers, records, members.
    pub remote: Histogram,
}

impl RequestMetrics {
    /// Counts requests of a version that are carried out. One that is not served is counted as the first: it is answered so.
    pub fn start(&self, version: i16, count: usize) {
        let place = usize::try_from(version).ok().filter(|place| *place < self.started.len());
        if let Some(counter) = self.started.get(place.unwrap_or(0)) {
            counter.add(count);
        }
    }

    /// Notes how long one took, and how long its handler, when that had to leave something to wait for. The core's own thread alone
    /// does so.
    pub fn finish(&self, total: Duration, local: Option<Duration>) {
        let times = self.times.get_or_init(Box::default);
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let local = local.map_or(total, |local| local.min(total));
        times.total.observe_us_alone(us(total));
        times.local.observe_us_alone(us(local));
        times.remote.observe_us_alone(us(total - local));
    }

    /// `None` when none was answered yet.
    pub fn times(&self) -> Option<&RequestTimes> {
        self.times.get().map(|times| &**times)
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
        let requests =
            version_counts.map(|count| RequestMetrics { started: counters(count), times: OnceLock::new() }).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_its_handlers_and_the_rest() {
        let metrics = CoreMetrics::new([4].into_iter());
        let request = metrics.request(0);
        assert!(request.times().is_none());
        let ms = Duration::from_millis;
        request.finish(ms(7), None);
        request.finish(ms(7), Some(ms(2)));
        // Clocks that are looked at one after the other may stand still.
        request.finish(ms(7), Some(ms(8)));
        let times = request.times().expect("three were answered");
        let sums = [&times.total, &times.local, &times.remote].map(|times| times.distribution().sum_us());
        assert_eq!(sums, [21_000, 16_000, 5_000]);
        assert_eq!(times.remote.distribution().count(), 3);
    }

    #[test]
    fn requests_are_counted_by_version() {
        let metrics = CoreMetrics::new([4].into_iter());
        let request = metrics.request(0);
        request.start(3, 2);
        request.start(0, 1);
        request.start(4, 5);
        request.start(-1, 1);
        assert_eq!(request.started().collect::<Vec<_>>(), [7, 0, 0, 2]);
        assert_eq!(metrics.started(), 9);
    }
}
