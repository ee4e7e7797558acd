//! The caller's side of a link: limits, numbers, backoff.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::address::Address;
use super::connection::{Connection, Outgoing};
use crate::io::{clock, random};
use crate::protocol::api_key::ApiKey;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::{self, EncodeError, MalformedRequest, RequestMessage, StrBytes};

/// After how much silence the system asks whether the peer is still there.
pub const KEEPALIVE: Duration = Duration::from_secs(10);

/// What a link may do.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    pub address: Address,
    /// Who we say we are, for the peer's log.
    pub client_id: String,
    /// Requests without an answer; more wait for their turn.
    pub in_flight_max: usize,
    /// Bytes of requests without an answer; more wait for their turn, and one request alone may not have more.
    pub in_flight_bytes_max: usize,
    /// Bytes of one answer; a longer one closes the connection.
    pub answer_bytes_max: usize,
    /// The pause after the first failure; it doubles with every further one, up to the next limit, and varies by a fifth.
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// The longest time that connecting may take.
    pub connect_timeout: Duration,
}

impl LinkOptions {
    /// Limits for small, urgent requests.
    pub fn new(address: Address, client_id: impl Into<String>) -> LinkOptions {
        LinkOptions {
            address,
            client_id: client_id.into(),
            in_flight_max: 64,
            in_flight_bytes_max: 16 << 20,
            answer_bytes_max: 16 << 20,
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nobody listens there: the process is gone. The request was not sent.
    #[error("{0} refuses connections")]
    Refused(Address),
    /// No connection could be made. The request was not sent.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable { address: Address, reason: String },
    /// The connection ended first. Whether the request was carried out is unknown.
    #[error("the connection to {address} was lost: {reason}")]
    Lost { address: Address, reason: String },
    /// Whether the request was carried out is unknown.
    #[error("{0} has not answered in time")]
    Timeout(Address),
    /// The request has more bytes than the link may have in flight. It was not sent.
    #[error("a request of {bytes} bytes is over the limit of {limit_bytes}")]
    TooLarge { bytes: usize, limit_bytes: usize },
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Malformed(#[from] MalformedRequest),
}

impl LinkError {
    /// Whether the peer has certainly not seen the request.
    pub fn is_unsent(&self) -> bool {
        matches!(
            self,
            LinkError::Refused(_) | LinkError::Unreachable { .. } | LinkError::TooLarge { .. } | LinkError::Encode(_)
        )
    }

    pub(super) fn of_connect(address: &Address, error: &io::Error) -> LinkError {
        let address = address.clone();
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return LinkError::Refused(address);
        }
        LinkError::Unreachable { address, reason: error.to_string() }
    }

    pub(super) fn lost(address: &Address, reason: impl ToString) -> LinkError {
        LinkError::Lost { address: address.clone(), reason: reason.to_string() }
    }
}

/// One outgoing connection; see the head of the room. Runs on whatever runtime first calls it, and on the next caller's when
/// that one has ended. Dropping it closes the connection.
pub struct Link {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    next_correlation_id: AtomicI32,
}

/// What callers and the connection's task both know.
pub(super) struct Shared {
    pub options: LinkOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The way to the task of the connection; its end is the task's.
    current: Option<Current>,
    generation: u64,
    failures: u32,
    /// Until when nothing is tried, and what went wrong.
    resting: Option<(Instant, LinkError)>,
}

struct Current {
    generation: u64,
    calls: mpsc::UnboundedSender<Outgoing>,
}

/// What a caller may do now.
enum Turn {
    Call(u64, mpsc::UnboundedSender<Outgoing>),
    Rest(Instant, LinkError),
}

impl Link {
    pub fn new(options: LinkOptions) -> Link {
        Link {
            slots: Arc::new(Semaphore::new(options.in_flight_max.max(1))),
            bytes: Arc::new(Semaphore::new(options.in_flight_bytes_max)),
            shared: Arc::new(Shared { options, state: Mutex::default() }),
            next_correlation_id: AtomicI32::new(0),
        }
    }

    pub fn address(&self) -> &Address {
        &self.shared.options.address
    }

    /// Sends a request and waits for its answer, both together no longer than `timeout`.
    pub async fn call<R: RequestMessage>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, LinkError> {
        let mut body = BytesMut::new();
        request.write(&mut body, version).map_err(|error| EncodeError {
            what: R::KEY.name(),
            version,
            reason: error.to_string(),
        })?;
        let answer = self.call_raw(R::KEY, version, body.freeze(), timeout).await?;
        Ok(message::decode_response(version, answer)?)
    }

    /// As [`Link::call`], with the body's bytes as they are to be sent, and the answer's as they have come.
    pub async fn call_raw(
        &self,
        api: ApiKey,
        version: i16,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, LinkError> {
        let deadline = clock::instant() + timeout;
        let generation = AtomicU64::new(0);
        match tokio::time::timeout_at(deadline, self.call_by(deadline, api, version, body, &generation)).await {
            Ok(answered) => answered,
            Err(_) => {
                self.shared.abandon(generation.into_inner());
                Err(LinkError::Timeout(self.address().clone()))
            }
        }
    }

    async fn call_by(
        &self,
        deadline: Instant,
        api: ApiKey,
        version: i16,
        body: Bytes,
        generation: &AtomicU64,
    ) -> Result<Bytes, LinkError> {
        let permits = self.admit(body.len()).await?;
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let head = self.head(api, version, correlation_id, body.len());
        let has_tags = api.response_header_version(version) >= 1;
        let (answer, answered) = oneshot::channel();
        let mut call = Outgoing { correlation_id, head, body, has_tags, deadline, answer, permits };
        loop {
            let calls = match self.shared.turn() {
                Turn::Rest(until, error) if until >= deadline => return Err(error),
                Turn::Rest(until, _) => {
                    tokio::time::sleep_until(until).await;
                    continue;
                }
                Turn::Call(number, calls) => {
                    generation.store(number, Ordering::Relaxed);
                    calls
                }
            };
            match calls.send(call) {
                Ok(()) => break,
                // The connection has just ended: the next turn makes another one.
                Err(mpsc::error::SendError(unsent)) => call = unsent,
            }
            self.shared.abandon(generation.load(Ordering::Relaxed));
        }
        answered.await.unwrap_or_else(|_| Err(LinkError::lost(self.address(), "it was closed")))
    }

    async fn admit(&self, bytes: usize) -> Result<[OwnedSemaphorePermit; 2], LinkError> {
        let limit_bytes = self.shared.options.in_flight_bytes_max;
        let too_large = LinkError::TooLarge { bytes, limit_bytes };
        let Some(count) = u32::try_from(bytes).ok().filter(|_| bytes <= limit_bytes) else { return Err(too_large) };
        let never = "the semaphores are never closed";
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect(never);
        Ok([slot, Arc::clone(&self.bytes).acquire_many_owned(count).await.expect(never)])
    }

    /// The length and the header of a request.
    fn head(&self, api_key: ApiKey, api_version: i16, correlation_id: i32, body_bytes: usize) -> Bytes {
        let client_id = Some(StrBytes::from_string(self.shared.options.client_id.clone()));
        let mut head = BytesMut::from(&[0; 4][..]);
        RequestHeader { api_key, api_version, correlation_id, client_id }.write(&mut head);
        let length = i32::try_from(head.len() - 4 + body_bytes).expect("a request is within its limit");
        head[..4].copy_from_slice(&length.to_be_bytes());
        head.freeze()
    }
}

impl Shared {
    /// The connection that is there, a new one, or how long there is none.
    fn turn(self: &Arc<Shared>) -> Turn {
        let mut state = self.state.lock();
        if let Some(current) = &state.current {
            return Turn::Call(current.generation, current.calls.clone());
        }
        if let Some((until, error)) = &state.resting
            && clock::instant() < *until
        {
            return Turn::Rest(*until, error.clone());
        }
        state.generation += 1;
        let generation = state.generation;
        let (calls, receiver) = mpsc::unbounded_channel();
        tokio::spawn(Connection::run(Arc::clone(self), generation, receiver));
        state.current = Some(Current { generation, calls: calls.clone() });
        Turn::Call(generation, calls)
    }

    /// Lets the connection go, if it is still this one; its task ends.
    fn abandon(&self, generation: u64) {
        let mut state = self.state.lock();
        if state.current.as_ref().is_some_and(|current| current.generation == generation) {
            state.current = None;
        }
    }

    /// The connection works: an answer has come.
    pub fn on_answer(&self) {
        self.state.lock().failures = 0;
    }

    /// The connection has ended.
    pub fn on_end(&self, generation: u64, error: &LinkError) {
        let mut state = self.state.lock();
        if state.current.as_ref().is_none_or(|current| current.generation != generation) {
            return;
        }
        state.current = None;
        let pause = backoff(&self.options, state.failures, random::seed());
        state.failures = state.failures.saturating_add(1);
        state.resting = Some((clock::instant() + pause, error.clone()));
    }
}

/// The pause after this many failures in a row, with a fifth taken away or added by chance.
pub(super) fn backoff(options: &LinkOptions, failures: u32, chance: u64) -> Duration {
    let doubled = options.backoff_min.saturating_mul(2_u32.saturating_pow(failures));
    let percent = u32::try_from(chance % 41).expect("below 41") + 80;
    doubled.min(options.backoff_max) * percent / 100
}

impl Drop for Link {
    fn drop(&mut self) {
        // The task holds what is shared, but not the sender: without one it ends.
        self.shared.state.lock().current = None;
    }
}
