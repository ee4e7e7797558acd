//! `ottla health`: one ApiVersions round trip to the first listener, answered by the exit code.

use std::time::Duration;

use super::Failure;
use crate::config::Settings;
use crate::io::round_trip::round_trip;

/// A server that takes longer to say hello is not ready.
const TIMEOUT: Duration = Duration::from_secs(1);

/// ApiVersions (18) v0, correlation id 1, no client id, no body: the one request that every version of Kafka answers.
const REQUEST: [u8; 10] = [0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Succeeds when the server answers. Errors: it does not, in time or at all.
pub(super) fn check(settings: &Settings) -> Result<(), Failure> {
    let listeners = settings.listeners();
    let listener = listeners.first().expect("settings without a listener do not load");
    let hosts = match listener.is_wildcard() {
        true => vec!["127.0.0.1", "::1"],
        false => listener.bind_hosts(),
    };
    let answer = round_trip(&hosts, listener.port, &REQUEST, TIMEOUT)
        .map_err(|error| Failure::Runtime(format!("not ready: {listener}: {error}")))?;
    if !is_success(&answer) {
        return Err(Failure::Runtime(format!("not ready: {listener}: it does not speak Kafka's protocol")));
    }
    Ok(())
}

/// Correlation id 1, then error code 0.
fn is_success(answer: &[u8]) -> bool {
    answer.starts_with(&[0, 0, 0, 1, 0, 0])
}
