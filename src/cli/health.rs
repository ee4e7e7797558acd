//! `ottla health`: one round trip to the first listener, answered by the exit code.
//!
//! A broker is asked for ApiVersions: its clients' listener is open when it is ready. That of a controller is open before, since
//! others may need it to elect: it is ready when it knows which controller is active.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Failure;
use crate::config::Settings;
use crate::io::round_trip::round_trip;
use crate::protocol::message::{self, DescribeClusterRequest, DescribeClusterResponse};

/// A server that takes longer to say hello is not ready.
const TIMEOUT: Duration = Duration::from_secs(1);

/// ApiVersions (18) v0, correlation id 1, no client id, no body: the one request that every version of Kafka answers.
const REQUEST: [u8; 10] = [0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Succeeds when the server answers. Errors: it does not, in time or at all.
pub(super) fn check(settings: &Settings) -> Result<(), Failure> {
    let listeners = settings.own_listeners();
    let listener = listeners.first().expect("settings without a listener do not load");
    let hosts = match listener.is_wildcard() {
        true => vec!["127.0.0.1", "::1"],
        false => listener.bind_hosts(),
    };
    let not_ready = |reason: &str| Failure::Runtime(format!("not ready: {listener}: {reason}"));
    let ask = |request: &[u8]| round_trip(&hosts, listener.port, request, TIMEOUT);
    let answer = ask(&REQUEST).map_err(|error| not_ready(&error.to_string()))?;
    if !is_success(&answer) {
        return Err(not_ready("it does not speak Kafka's protocol"));
    }
    if !settings.is_broker() {
        let answer = ask(&which_controller()).map_err(|error| not_ready(&error.to_string()))?;
        if active_controller(&answer).is_none_or(|id| id < 0) {
            return Err(not_ready("it knows no active controller"));
        }
    }
    Ok(())
}

/// The version of DescribeCluster that tells whose addresses are wanted.
const DESCRIBE_CLUSTER_VERSION: i16 = 1;

/// DescribeCluster of the controllers, without the length in front.
fn which_controller() -> BytesMut {
    const CONTROLLERS: i8 = 2;
    let request = DescribeClusterRequest::default().with_endpoint_type(CONTROLLERS);
    let mut frame = BytesMut::new();
    message::encode_request(1, None, &request, DESCRIBE_CLUSTER_VERSION, &mut frame)
        .expect("a request of fields that this version has");
    frame.split_off(size_of::<i32>())
}

/// Whom an answer to [`which_controller`] names: -1 is nobody, `None` no answer of that kind.
fn active_controller(answer: &[u8]) -> Option<i32> {
    // Correlation id, no tagged fields.
    let body = Bytes::copy_from_slice(answer.strip_prefix(&[0, 0, 0, 1, 0])?);
    let response: DescribeClusterResponse = message::decode_response(DESCRIBE_CLUSTER_VERSION, body).ok()?;
    (response.error_code == 0).then_some(response.controller_id.0)
}

/// Correlation id 1, then error code 0.
fn is_success(answer: &[u8]) -> bool {
    answer.starts_with(&[0, 0, 0, 1, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::WireBrokerId;

    #[test]
    fn an_answer_about_controllers_names_the_active_one() {
        for controller in [-1, 3] {
            let response = DescribeClusterResponse::default().with_controller_id(WireBrokerId(controller));
            let mut frame = BytesMut::new();
            message::encode_response(1, &response, DESCRIBE_CLUSTER_VERSION, &mut frame).expect("it can be written");
            let answer = frame.split_off(4);
            assert_eq!(active_controller(&answer), Some(controller));
            for length in 0..answer.len() {
                assert_eq!(active_controller(&answer[..length]), None, "{length}");
            }
        }
        assert_eq!(&which_controller()[..4], [0, 60, 0, 1]);
    }
}
