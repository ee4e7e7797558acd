//! A row says everything about an API that more than one place needs to know, and how to call it.

use std::future::Future;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::config::Roles;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::{self, RequestMessage};
use crate::security::AccessSummary;

use super::answer::Answer;
use super::context::{BurstContext, Context};
use super::{Api, BurstApi, Joined, Order, RawApi, RawReply, RawRequest, Reply, Split};

/// One API that is offered.
pub struct Row {
    pub key: ApiKey,
    /// Versions that are served.
    pub versions: RangeInclusive<i16>,
    /// Versions that ApiVersions names.
    pub advertised: RangeInclusive<i16>,
    pub access: AccessSummary,
    /// The listeners it is served on.
    pub listeners: Roles,
    /// Whether a node that does not lead the controllers hands it to the one that does.
    pub is_forwarded: bool,
    pub order: Order,
    pub handler: Handler,
}

impl Row {
    /// How many versions there are up to the last that is served, from 0 on.
    pub fn version_count(&self) -> usize {
        usize::try_from(self.versions.end() + 1).unwrap_or(0)
    }
}

/// How an API is called.
pub enum Handler {
    /// With a body that the guard has walked.
    Decoded(fn(&Context<'_>, Bytes) -> RawReply),
    /// With a body as it was sent.
    Raw(fn(&Context<'_>, Bytes) -> RawReply),
    /// With all consecutive requests that have been read.
    Burst(fn(&BurstContext<'_>, &mut Vec<RawRequest>, &mut Vec<RawReply>)),
}

/// The row of an API whose messages the codec reads.
pub const fn row<A: Api>() -> Row {
    Row {
        key: A::KEY,
        versions: A::VERSIONS,
        advertised: A::ADVERTISED,
        access: A::ACCESS.summary(),
        listeners: A::LISTENERS,
        is_forwarded: A::FORWARDED,
        order: A::ORDER,
        handler: Handler::Decoded(handle::<A>),
    }
}

/// The row of an API that reads its own body.
pub const fn raw_row<A: RawApi>() -> Row {
    Row {
        key: A::KEY,
        versions: A::VERSIONS,
        advertised: A::ADVERTISED,
        access: A::ACCESS.summary(),
        listeners: A::LISTENERS,
        is_forwarded: false,
        order: A::ORDER,
        handler: Handler::Raw(A::handle),
    }
}

/// The row of an API that takes its requests in bursts.
pub const fn burst_row<A: BurstApi>() -> Row {
    Row {
        key: A::KEY,
        versions: A::VERSIONS,
        advertised: A::ADVERTISED,
        access: A::ACCESS.summary(),
        listeners: A::LISTENERS,
        is_forwarded: false,
        order: A::ORDER,
        handler: Handler::Burst(A::handle_burst),
    }
}

/// Decodes, calls, encodes. A panic of the handler is the answer UNKNOWN_SERVER_ERROR, as Kafka's `handleError` gives.
fn handle<A: Api>(cx: &Context<'_>, body: Bytes) -> RawReply {
    let (version, correlation_id) = (cx.version, cx.correlation_id);
    let request: A::Request = match message::decode_request(version, body.clone()) {
        Ok(request) => request,
        Err(error) => return RawReply::Close(error.to_string().into()),
    };
    // What another broker has handed on was split by it.
    if !A::FORWARDED || cx.connection.asked.is_some() {
        return call::<A>(cx, request, body, None);
    }
    match A::split(cx, request) {
        Split::Done(response) => now_or_close(Answer::encode(&response, version, correlation_id)),
        Split::Whole(request) => call::<A>(cx, request, body, None),
        Split::Part(request, joined) => {
            let mut part = BytesMut::new();
            match request.write(&mut part, version) {
                Ok(()) => call::<A>(cx, request, part.freeze(), Some(joined)),
                Err(error) => RawReply::Close(error.to_string().into()),
            }
        }
    }
}

/// Has the request carried out, here or by the active controller.
fn call<A: Api>(cx: &Context<'_>, request: A::Request, body: Bytes, joined: Option<Joined<A::Response>>) -> RawReply {
    let (version, correlation_id) = (cx.version, cx.correlation_id);
    let whole = |response, joined: Option<Joined<A::Response>>| match joined {
        Some(joined) => joined(response),
        None => response,
    };
    let is_elsewhere = A::FORWARDED && !cx.broker.is_active_controller();
    if is_elsewhere && cx.connection.roles.meet(Roles::CLIENT) {
        let default = Duration::from_millis(cx.broker.settings().get_u64("request.timeout.ms"));
        let patience = forward_patience(A::timeout_ms(&request), default);
        return forward::<A>(cx, body, patience, joined);
    }
    // Whoever asks a controller looks for the active one himself (`ControllerApis`).
    let reply =
        || if is_elsewhere { A::not_controller(cx, request, active_controller(cx)) } else { A::handle(cx, request) };
    match catch_unwind(AssertUnwindSafe(reply)) {
        Ok(Reply::Now(response)) => now_or_close(Answer::encode(&whole(response, joined), version, correlation_id)),
        Ok(Reply::Later(future)) => muting::<A>(
            cx,
            Box::pin(async move {
                let response = match Contained(future).await {
                    Some(response) => Answer::encode(&whole(response, joined), version, correlation_id),
                    None => refuse::<A>(version, correlation_id, body, ErrorCode::UnknownServerError),
                };
                // An empty answer closes the connection: the order of answers must not lose one silently.
                response.unwrap_or_default()
            }),
        ),
        Ok(Reply::None) => RawReply::None,
        Err(_) => {
            tracing::error!(api = %A::KEY, version, "a handler panicked");
            now_or_close(refuse::<A>(version, correlation_id, body, ErrorCode::UnknownServerError))
        }
    }
}

/// An answer that may say that its client has used up its quota: the connection is not read for as long.
fn muting<A: Api>(cx: &Context<'_>, answer: Pin<Box<dyn Future<Output = Answer> + Send>>) -> RawReply {
    let (version, slots, clock) = (cx.version, Arc::clone(cx.slots), Arc::clone(cx.broker.clock()));
    RawReply::Later(Box::pin(async move {
        let answer = answer.await;
        slots.mute(clock.now().monotonic_ms, answer.throttle_ms(A::KEY, version));
        answer
    }))
}

/// `ControllerExceptions.newWrongControllerException`.
fn active_controller(cx: &Context<'_>) -> String {
    match &cx.broker.quorum().leadership().borrow().leader {
        Some(node) => format!("The active controller appears to be node {}.", node.id),
        None => "No controller appears to be active.".to_owned(),
    }
}

fn now_or_close(answer: Option<Answer>) -> RawReply {
    match answer {
        Some(answer) => RawReply::Now(answer),
        None => RawReply::Close("an answer could not be written".into()),
    }
}

/// No controller is looked for longer, whatever a client says: Kafka's brokers give a forwarded request up after so long.
const FORWARD_MAX: Duration = Duration::from_secs(60);
/// A client that waits for less gets the controller's own answer to that, when there is one.
const FORWARD_MIN: Duration = Duration::from_millis(500);
/// The answer leaves so much before the client stops to wait for it, or a tenth of its time when that is less.
const FORWARD_MARGIN: Duration = Duration::from_secs(1);

/// How long the active controller may take, and be looked for, until the client is answered REQUEST_TIMED_OUT. Kafka's brokers
/// wait for a minute, by which time their clients have given up and know nothing.
fn forward_patience(asked_ms: Option<i32>, default: Duration) -> Duration {
    let asked = asked_ms.map_or(default, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    let asked = asked.min(FORWARD_MAX);
    (asked - (asked / 10).min(FORWARD_MARGIN)).max(FORWARD_MIN)
}

/// Has the active controller carry a request out, in its client's name; its answer is the client's.
fn forward<A: Api>(cx: &Context<'_>, body: Bytes, patience: Duration, joined: Option<Joined<A::Response>>) -> RawReply {
    let (api_version, correlation_id) = (cx.version, cx.correlation_id);
    let mut request = BytesMut::new();
    RequestHeader { api_key: A::KEY, api_version, correlation_id, client_id: cx.client_id.cloned() }
        .write(&mut request);
    request.extend_from_slice(&body);
    let (broker, principal, client) = (Arc::clone(cx.broker), cx.connection.principal.clone(), cx.connection.peer.ip());
    muting::<A>(
        cx,
        Box::pin(async move {
            let answer = match broker.forward(request.freeze(), &principal, client, patience).await {
                Ok(answer) => match joined {
                    None => framed(&answer),
                    Some(joined) => read::<A>(&answer, api_version)
                        .and_then(|response| Answer::encode(&joined(response), api_version, correlation_id)),
                },
                Err(code) => refuse::<A>(api_version, correlation_id, body, code),
            };
            answer.unwrap_or_default()
        }),
    )
}

/// The message of an answer that begins with its header.
fn read<A: Api>(answer: &Bytes, version: i16) -> Option<A::Response> {
    let header_bytes = if A::KEY.response_header_version(version) >= 1 { 5 } else { 4 };
    message::decode_response(version, (answer.len() >= header_bytes).then(|| answer.slice(header_bytes..))?).ok()
}

/// A whole frame of an answer that begins with its header; `None` when it is too long for one.
fn framed(answer: &[u8]) -> Option<Answer> {
    let length = i32::try_from(answer.len()).ok()?;
    Some(Answer::of_frame([&length.to_be_bytes(), answer].concat().into()))
}

fn refuse<A: Api>(version: i16, correlation_id: i32, body: Bytes, code: ErrorCode) -> Option<Answer> {
    let request = <A::Request as RequestMessage>::read(&mut body.clone(), version).ok()?;
    let response = catch_unwind(AssertUnwindSafe(|| A::refuse(&request, code))).ok()?;
    Answer::encode(&response, version, correlation_id)
}

/// A future whose panic is `None` instead of the end of its thread.
struct Contained<R>(Pin<Box<dyn Future<Output = R> + Send>>);

impl<R> Future for Contained<R> {
    type Output = Option<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<R>> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => {
                tracing::error!("a handler panicked while it waited");
                Poll::Ready(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hears_of_a_missing_controller_before_it_gives_up() {
        let cases = [
            (None, 29_000),
            (Some(30_000), 29_000),
            (Some(5_000), 4_500),
            (Some(600), 540),
            (Some(10), 500),
            (Some(0), 500),
            (Some(-1), 500),
            (Some(60_000), 59_000),
            (Some(i32::MAX), 59_000),
        ];
        for (asked_ms, expected_ms) in cases {
            let patience = forward_patience(asked_ms, Duration::from_secs(30));
            assert_eq!(patience.as_millis(), expected_ms, "{asked_ms:?}");
        }
    }
}
