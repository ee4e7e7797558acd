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
    pub started: Counter,
    /// From the moment a request was read until its answer was handed to the socket.
    pub time: Histogram,
}

impl CoreMetrics {
    /// Numbers for APIs from 0 to below `api_count`.
    pub fn new(api_count: usize) -> CoreMetrics {
        let requests = (0..api_count).map(|_| RequestMetrics::default()).collect();
        CoreMetrics { requests, bytes_in: Counter::default(), bytes_out: Counter::default() }
    }

    /// The API's numbers, by the place it was given below the count.
    pub fn request(&self, api: usize) -> &RequestMetrics {
        &self.requests[api]
    }

    /// Requests of all APIs that were started.
    pub fn started(&self) -> u64 {
        self.requests.iter().map(|request| request.started.get()).sum()
    }
}
