//! The limits of the server, taken from the settings once.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Settings;
use crate::io::threads;

/// New connections from one address in one second. Kafka has no limit by address; a client that needs more is a storm.
const NEW_PER_SECOND_PER_IP_MAX: u32 = 200;
/// How long a peer may take no byte of its answers.
const WRITE_STALL: Duration = Duration::from_secs(60);
/// Answers that wait to be taken by the peer, per connection; past it the connection is not read.
const QUEUED_ANSWER_BYTES_MAX: usize = 4 << 20;
/// What a begun request must bring in every progress window, unless it ends in it: a large one on a slow line may take its
/// time, one byte a second may not.
const PROGRESS_BYTES_MIN: usize = 1024;
/// How long a stopping server waits for requests that change something.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Limits of connections, requests and memory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The names of the listeners.
    pub listeners: Vec<Arc<str>>,
    pub threads: NonZeroUsize,
    pub backlog: i32,
    pub new_per_second_per_ip_max: u32,
    /// A connection without a request for so long is closed.
    pub idle_ms: u64,
    pub request_bytes_max: usize,
    /// What decoding one request may allocate.
    pub decode_bytes_max: usize,
    /// A begun request must end, or bring [`Options::progress_bytes_min`], in each window of this length.
    pub progress_ms: u64,
    pub progress_bytes_min: usize,
    pub write_stall_ms: u64,
    pub queued_answer_bytes_max: usize,
    /// Requests of one connection that wait for their answers.
    pub requests_in_flight_max: usize,
    pub memory_bytes_max: usize,
    pub connection_memory_bytes_max: usize,
    pub stop_grace_ms: u64,
}

impl Options {
    pub fn from_settings(settings: &Settings) -> Options {
        let threads = NonZeroUsize::new(settings.get_usize("server.threads"));
        let idle_ms = settings.get_i64("connections.max.idle.ms");
        Options {
            listeners: settings.all_listeners().into_iter().map(|listener| listener.name.into()).collect(),
            threads: threads.or(NonZeroUsize::new(threads::core_count())).unwrap_or(NonZeroUsize::MIN),
            backlog: settings.get_i32("socket.listen.backlog.size"),
            new_per_second_per_ip_max: NEW_PER_SECOND_PER_IP_MAX,
            // Kafka reads a negative number as "never".
            idle_ms: u64::try_from(idle_ms).unwrap_or(u64::MAX),
            request_bytes_max: settings.get_usize("socket.request.max.bytes"),
            decode_bytes_max: settings.get_usize("request.decode.max.bytes"),
            progress_ms: settings.get_u64("request.progress.timeout.ms"),
            progress_bytes_min: PROGRESS_BYTES_MIN,
            write_stall_ms: millis(WRITE_STALL),
            queued_answer_bytes_max: QUEUED_ANSWER_BYTES_MAX,
            requests_in_flight_max: settings.get_usize("connection.requests.max"),
            memory_bytes_max: settings.get_usize("request.memory.max.bytes"),
            connection_memory_bytes_max: settings.get_usize("connection.memory.max.bytes"),
            stop_grace_ms: millis(STOP_GRACE),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
