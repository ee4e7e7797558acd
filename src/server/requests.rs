//! The requests of one connection between reading and answering: which may start, and in which order answers leave.
//!
//! Invariant: answers leave in the order of their requests, one for each request that has one.
//! Invariant: a request whose order is [`Order::Barrier`] starts only when every earlier one is answered, and what follows
//! starts only when it is; requests of [`Order::Pipelined`] overlap among themselves.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::api::cluster::api_versions;
use crate::api::slot::SlotOutcome;
use crate::api::{self, Answer, BurstContext, CloseReason, Context, Handler, Order, RawReply, RawRequest, Row, SlotId};
use crate::broker::purgatory::Watch;
use crate::config::Roles;
use crate::io::clock;
use crate::metrics::CoreMetrics;
use crate::protocol::api_key::ApiKey;
use crate::protocol::guard;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::StrBytes;
use crate::quota::Kind;

use super::budget::{Share, Spent};
use super::buffers::Buffers;
use super::output::Output;

/// An answer that has its place but has not left.
enum Pending {
    Ready(Answer),
    Slot(SlotId),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

/// Where fetches of followers are counted, whose time says other things than that of consumers.
pub const FOLLOWER_FETCH: usize = api::PLACES;

/// Versions that are counted at each place: of the APIs, and of fetches of followers.
pub fn counted_versions() -> impl Iterator<Item = usize> {
    api::version_counts().chain(api::row_of(ApiKey::Fetch).map(Row::version_count))
}

/// A request that was started: its place among what is counted, and when it was read.
#[derive(Clone, Copy)]
pub struct Asked {
    pub api: usize,
    pub at: Instant,
    /// How long its handler took, when it has left an answer to come.
    pub local: Option<Duration>,
    /// What its answer is to say of its client's time, when it comes from elsewhere.
    throttled: Option<Throttled>,
}

/// How long a client is held back that has taken too much of the server's time, and how its answer says so.
#[derive(Clone, Copy)]
struct Throttled {
    api: ApiKey,
    version: i16,
    throttle_ms: u64,
}

impl Throttled {
    fn tell(self, answer: &mut Answer) {
        answer.raise_throttle(self.api, self.version, self.throttle_ms);
    }

    /// Has the answer say so that is there or comes from a future; that of a slot is told when it comes.
    fn tell_in(self, reply: RawReply) -> RawReply {
        let told = |future: Pin<Box<dyn Future<Output = Answer> + Send>>| {
            Box::pin(async move {
                let mut answer = future.await;
                self.tell(&mut answer);
                answer
            })
        };
        match reply {
            RawReply::Now(mut answer) => {
                self.tell(&mut answer);
                RawReply::Now(answer)
            }
            RawReply::Later(future) => RawReply::Later(told(future)),
            RawReply::Impatient(future, watch) => RawReply::Impatient(told(future), watch),
            other => other,
        }
    }
}

/// The requests of one connection.
#[derive(Default)]
pub struct Requests {
    order: VecDeque<(Pending, Asked)>,
    /// Whether the last of `order` is one that everything waits for.
    is_barred: bool,
    /// Read, but not allowed to start yet.
    next: Option<Parsed>,
    /// Of the request at the barrier, if it need not wait on when there is a next one.
    impatient: Option<Arc<Watch>>,
    /// What decoding the request at the barrier may have allocated.
    decoded_bytes: usize,
    /// When its client first asked for what was not served yet, by the monotonic clock.
    early_since_ms: Option<u64>,
}

/// How long a client waits on a broker that is starting and finds no cluster, before its connection is closed and it may ask
/// another.
const EARLY_LIMIT_MS: u64 = 10_000;
const EARLY_PAUSE_MS: u64 = 20;

/// Space for a burst, lent by the core.
#[derive(Default)]
pub struct Scratch {
    pub requests: Vec<RawRequest>,
    pub replies: Vec<RawReply>,
    pub outcomes: Vec<(SlotId, SlotOutcome)>,
    /// What was answered in this turn.
    pub finished: Vec<Asked>,
}

/// What came of a frame.
enum Parsed {
    Request(RawRequest, &'static Row),
    /// Answered without an API: ApiVersions at a version that nobody knows.
    Answered(Answer),
}

impl Requests {
    pub fn is_waiting(&self) -> bool {
        !self.order.is_empty()
    }

    /// Whether only requests wait that a stopping server need not finish: long polls, rather than records on their way.
    pub fn is_barred(&self) -> bool {
        self.is_barred
    }

    pub fn waiting_count(&self) -> usize {
        self.order.len()
    }

    /// Whether a request has been read that may not start yet.
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// Memory beside the buffers.
    pub fn held_bytes(&self) -> usize {
        let next_bytes = match &self.next {
            Some(Parsed::Request(request, _)) => request.body.len(),
            Some(Parsed::Answered(_)) | None => 0,
        };
        self.decoded_bytes + next_bytes
    }

    fn may_start(&self, order: Order) -> bool {
        match order {
            Order::Barrier => self.order.is_empty(),
            Order::Pipelined => !self.is_barred,
        }
    }

    /// Puts answers that have come into their places; an error closes the connection.
    pub fn settle(&mut self, outcomes: &mut Vec<(SlotId, SlotOutcome)>) -> Result<(), CloseReason> {
        for (id, outcome) in outcomes.drain(..) {
            let is_meant = |pending: &Pending| matches!(pending, Pending::Slot(slot) if *slot == id);
            let place = self.order.iter_mut().find(|(pending, _)| is_meant(pending));
            match (place, outcome) {
                (Some((place, asked)), SlotOutcome::Answered(mut answer)) => {
                    if let Some(throttled) = asked.throttled {
                        throttled.tell(&mut answer);
                    }
                    *place = Pending::Ready(answer);
                }
                (Some(_), SlotOutcome::Dropped(reason)) => return Err(reason.into()),
                // Opened by a handler that then answered otherwise.
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// Polls what waits for futures.
    pub fn poll_later(&mut self, cx: &mut TaskContext<'_>) {
        for (pending, _) in &mut self.order {
            if let Pending::Later(future) = pending
                && let Poll::Ready(answer) = future.as_mut().poll(cx)
            {
                *pending = Pending::Ready(answer);
            }
        }
    }

    /// Moves answers whose turn has come to the output.
    pub fn release(
        &mut self,
        output: &mut Output,
        buffers: &Buffers,
        finished: &mut Vec<Asked>,
    ) -> Result<(), CloseReason> {
        while let Some((Pending::Ready(_), _)) = self.order.front() {
            let Some((Pending::Ready(answer), asked)) = self.order.pop_front() else { break };
            finished.push(asked);
            if answer.is_empty() {
                return Err("an answer could not be written".into());
            }
            output.push(answer, buffers);
        }
        if self.order.is_empty() {
            self.is_barred = false;
            self.impatient = None;
            self.decoded_bytes = 0;
        }
        Ok(())
    }

    /// The futures of a connection that is closing: what was begun is carried through.
    pub fn into_futures(self) -> impl Iterator<Item = Pin<Box<dyn Future<Output = Answer> + Send>>> {
        self.order.into_iter().filter_map(|(pending, _)| match pending {
            Pending::Later(future) => Some(future),
            Pending::Ready(_) | Pending::Slot(_) => None,
        })
    }

    fn accept(
        &mut self,
        reply: RawReply,
        asked: Asked,
        output: &mut Output,
        buffers: &Buffers,
        finished: &mut Vec<Asked>,
    ) -> Result<(), CloseReason> {
        let pending = match reply {
            RawReply::Now(answer) => Pending::Ready(answer),
            RawReply::Slot(id) => Pending::Slot(id),
            RawReply::Later(future) => Pending::Later(future),
            RawReply::Impatient(future, watch) => {
                self.impatient = Some(watch);
                Pending::Later(future)
            }
            RawReply::None => return Ok(()),
            RawReply::Close(reason) => return Err(reason),
        };
        self.order.push_back((pending, asked));
        self.release(output, buffers, finished)
    }
}

/// The parts of a connection that starting requests touches.
pub struct Start<'a> {
    pub requests: &'a mut Requests,
    pub output: &'a mut Output,
    pub buffers: &'a Buffers,
    pub cx: &'a BurstContext<'a>,
    pub share: &'a mut Share,
    pub metrics: &'a CoreMetrics,
    /// When the requests were read.
    pub read_at: Instant,
    /// Set when a request waits for memory.
    pub is_starved: bool,
    pub decode_bytes_max: usize,
    pub in_flight_max: usize,
    pub queued_answer_bytes_max: usize,
}

impl Start<'_> {
    /// Starts every request that may start, in order; answers how many. An error closes the connection.
    pub fn run(
        &mut self,
        scratch: &mut Scratch,
        mut next_frame: impl FnMut() -> Result<Option<Bytes>, CloseReason>,
    ) -> Result<usize, CloseReason> {
        let mut started = 0;
        while self.has_room() && !self.is_starved {
            let Some(parsed) = self.next(&mut next_frame)? else { break };
            match parsed {
                Parsed::Answered(answer) => {
                    let asked = self.asked(api::place(ApiKey::ApiVersions), -1, 1);
                    self.accept(RawReply::Now(answer), asked, &mut scratch.finished)?;
                    started += 1;
                }
                Parsed::Request(request, row) if self.is_early(row) => {
                    self.keep_waiting(request, row)?;
                    break;
                }
                Parsed::Request(request, row) if !self.requests.may_start(row.order) => {
                    self.requests.next = Some(Parsed::Request(request, row));
                    if let Some(watch) = self.requests.impatient.take() {
                        watch.wake();
                    }
                    break;
                }
                Parsed::Request(request, row) => started += self.call(request, row, scratch, &mut next_frame)?,
            }
        }
        Ok(started)
    }

    fn has_room(&self) -> bool {
        let is_muted = self.cx.now.monotonic_ms < self.cx.slots.muted_until_ms();
        !is_muted
            && self.requests.order.len() < self.in_flight_max
            && self.output.queued_bytes() < self.queued_answer_bytes_max
    }

    /// Whether a client asks before the broker serves clients.
    fn is_early(&self, row: &Row) -> bool {
        let clients = Roles::CLIENT;
        !self.cx.broker.is_serving() && row.listeners.meet(clients) && self.cx.connection.roles.meet(clients)
    }

    /// Leaves a client's request for a little later. Kafka does not accept its connection before; that of a peer, which may be
    /// served, cannot be told apart here.
    fn keep_waiting(&mut self, request: RawRequest, row: &'static Row) -> Result<(), CloseReason> {
        let now_ms = self.cx.now.monotonic_ms;
        let since_ms = *self.requests.early_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) >= EARLY_LIMIT_MS {
            return Err("this broker serves no clients yet".into());
        }
        self.requests.next = Some(Parsed::Request(request, row));
        self.cx.slots.mute(now_ms, EARLY_PAUSE_MS);
        Ok(())
    }

    /// Counts requests of one version.
    fn asked(&self, api: usize, version: i16, count: usize) -> Asked {
        self.metrics.request(api).start(version, count);
        Asked { api, at: self.read_at, local: None, throttled: None }
    }

    fn accept(&mut self, reply: RawReply, asked: Asked, finished: &mut Vec<Asked>) -> Result<(), CloseReason> {
        let reply = match asked.throttled {
            Some(throttled) => throttled.tell_in(reply),
            None => reply,
        };
        self.requests.accept(reply, asked, self.output, self.buffers, finished)
    }

    fn next(
        &mut self,
        next_frame: &mut impl FnMut() -> Result<Option<Bytes>, CloseReason>,
    ) -> Result<Option<Parsed>, CloseReason> {
        if let Some(parsed) = self.requests.next.take() {
            return Ok(Some(parsed));
        }
        match next_frame()? {
            Some(frame) => parse(frame, self.cx).map(Some),
            None => Ok(None),
        }
    }

    fn call(
        &mut self,
        request: RawRequest,
        row: &'static Row,
        scratch: &mut Scratch,
        next_frame: &mut impl FnMut() -> Result<Option<Bytes>, CloseReason>,
    ) -> Result<usize, CloseReason> {
        let RawRequest { header, body } = request;
        match row.handler {
            Handler::Decoded(handle) => {
                let charge = guard::check_within(header.api_key, header.api_version, &body, self.decode_bytes_max)
                    .map_err(|error| error.to_string())?;
                match self.share.hold_more(charge.decoded_bytes) {
                    Ok(()) => {}
                    Err(Spent::Connection) => {
                        return Err("decoding a request takes more than one connection may have".into());
                    }
                    Err(Spent::Total) => {
                        self.requests.next = Some(Parsed::Request(RawRequest { header, body }, row));
                        self.is_starved = true;
                        return Ok(0);
                    }
                }
                self.call_one(handle, &header, body, row.order, &mut scratch.finished)?;
                self.requests.decoded_bytes = if self.requests.is_waiting() { charge.decoded_bytes } else { 0 };
                Ok(1)
            }
            Handler::Raw(handle) => {
                self.call_one(handle, &header, body, row.order, &mut scratch.finished)?;
                Ok(1)
            }
            Handler::Burst(handle) => {
                scratch.requests.push(RawRequest { header, body });
                // What came whole is carried out before the frame that ends the connection, and never left to another one.
                let gathered = self.gather(row, scratch, next_frame);
                let started = self.call_burst(handle, row.key, scratch)?;
                gathered.map(|()| started)
            }
        }
    }

    fn call_one(
        &mut self,
        handle: fn(&Context<'_>, Bytes) -> RawReply,
        header: &RequestHeader,
        body: Bytes,
        order: Order,
        finished: &mut Vec<Asked>,
    ) -> Result<(), CloseReason> {
        let cx = Context {
            broker: self.cx.broker,
            connection: self.cx.connection,
            version: header.api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id.as_ref(),
            now: self.cx.now,
            slots: self.cx.slots,
        };
        let begun = self.begin_timing();
        let called = catch_unwind(AssertUnwindSafe(|| handle(&cx, body)));
        let is_exempt = self.cx.slots.take_exempt();
        // Of fetches only those of followers are exempt.
        let is_follower = is_exempt && header.api_key == ApiKey::Fetch;
        let place = if is_follower { FOLLOWER_FETCH } else { api::place(header.api_key) };
        let mut asked = self.asked(place, header.api_version, 1);
        let Ok(reply) = called else {
            tracing::error!(api = %header.api_key, version = header.api_version, "a handler panicked");
            return Err("a handler panicked".into());
        };
        asked.throttled = begun
            .filter(|_| !is_exempt)
            .and_then(|begun| self.charge_time(begun, header.api_key, header.api_version, header.client_id.as_ref()));
        let is_open = is_open(&reply);
        asked.local = is_open.then(|| clock::instant().saturating_duration_since(self.read_at));
        self.requests.is_barred |= is_open && order == Order::Barrier;
        self.accept(reply, asked, finished)
    }

    /// The moment, if anybody's time is limited.
    fn begin_timing(&self) -> Option<Instant> {
        self.cx.broker.quotas().limits(Kind::Request).then(clock::instant)
    }

    /// Counts the time that a request has taken against its client's quota (KIP-124), and mutes the connection of one that is beyond
    /// it. What brokers ask of each other is exempt.
    fn charge_time(
        &self,
        begun: Instant,
        api: ApiKey,
        version: i16,
        client_id: Option<&StrBytes>,
    ) -> Option<Throttled> {
        let is_of_clients = api::row_of(api).is_some_and(|row| row.listeners.meet(Roles::CLIENT));
        if !is_of_clients {
            return None;
        }
        let (user, client_id) = (&self.cx.connection.principal.name, client_id.map_or("", |id| id));
        let throttle_ms = self.cx.broker.quotas().record_time(user, client_id, begun.elapsed(), self.cx.now);
        if throttle_ms == 0 {
            return None;
        }
        self.cx.slots.mute(self.cx.now.monotonic_ms, throttle_ms);
        Some(Throttled { api, version, throttle_ms })
    }

    /// Adds the requests of the same API that follow and are whole.
    fn gather(
        &mut self,
        row: &'static Row,
        scratch: &mut Scratch,
        next_frame: &mut impl FnMut() -> Result<Option<Bytes>, CloseReason>,
    ) -> Result<(), CloseReason> {
        while self.requests.order.len() + scratch.requests.len() < self.in_flight_max {
            match next_frame()?.map(|frame| parse(frame, self.cx)).transpose()? {
                Some(Parsed::Request(request, other)) if other.key == row.key => scratch.requests.push(request),
                other => {
                    self.requests.next = other;
                    break;
                }
            }
        }
        Ok(())
    }

    fn call_burst(
        &mut self,
        handle: fn(&BurstContext<'_>, &mut Vec<RawRequest>, &mut Vec<RawReply>),
        api: ApiKey,
        scratch: &mut Scratch,
    ) -> Result<usize, CloseReason> {
        let count = scratch.requests.len();
        let place = api::place(api);
        let mut asked = Asked { api: place, at: self.read_at, local: None, throttled: None };
        for alike in scratch.requests.chunk_by(|one, next| one.header.api_version == next.header.api_version) {
            self.metrics.request(place).start(alike[0].header.api_version, alike.len());
        }
        let begun = self.begin_timing();
        let client_id = begun.and_then(|_| scratch.requests.first()?.header.client_id.clone());
        let called = catch_unwind(AssertUnwindSafe(|| handle(self.cx, &mut scratch.requests, &mut scratch.replies)));
        scratch.requests.clear();
        let is_exempt = self.cx.slots.take_exempt();
        if called.is_err() || scratch.replies.len() != count {
            tracing::error!(requests = count, replies = scratch.replies.len(), "a handler panicked or lost a request");
            scratch.replies.clear();
            return Err("a handler panicked".into());
        }
        // Where such an answer has its place for it is the answer's own knowledge, whatever its version.
        asked.throttled =
            begun.filter(|_| !is_exempt).and_then(|begun| self.charge_time(begun, api, 0, client_id.as_ref()));
        let is_any_open = scratch.replies.iter().any(is_open);
        let local = is_any_open.then(|| clock::instant().saturating_duration_since(self.read_at));
        for reply in scratch.replies.drain(..) {
            asked.local = local.filter(|_| is_open(&reply));
            self.accept(reply, asked, &mut scratch.finished)?;
        }
        Ok(count)
    }
}

/// Whether the answer is still to come.
const fn is_open(reply: &RawReply) -> bool {
    matches!(reply, RawReply::Slot(_) | RawReply::Later(_) | RawReply::Impatient(..))
}

/// Reads a frame's header and finds its row. What Kafka closes the connection for is an error.
fn parse(mut frame: Bytes, cx: &BurstContext<'_>) -> Result<Parsed, CloseReason> {
    let header = RequestHeader::parse(&mut frame).map_err(|error| error.to_string())?;
    let roles = cx.connection.roles;
    if let Some(row) = api::find(header.api_key, header.api_version, roles) {
        return Ok(Parsed::Request(RawRequest { header, body: frame }, row));
    }
    if header.api_key == ApiKey::ApiVersions {
        return Ok(Parsed::Answered(api_versions::unsupported_version(header.correlation_id)));
    }
    let Some(row) = api::row_of(header.api_key) else {
        return Err(format!("{} is not offered", header.api_key).into());
    };
    if !row.listeners.meet(roles) {
        return Err(format!("{} is not served on this listener", header.api_key).into());
    }
    Err(format!("{} has no version {} here", header.api_key, header.api_version).into())
}
