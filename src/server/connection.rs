//! One connection: a task that reads, starts requests, and writes answers, in turns.
//!
//! A turn reads all there is, starts what may start, and writes all answers at once; then the task sleeps. There is no second
//! task and no channel. A peer that does not take its answers is not read; one that keeps us waiting in the middle of a
//! request, or takes more memory than its share, is closed with a reason in the log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::api::slot::SlotHome;
use crate::api::{BurstContext, CloseReason, ConnectionInfo};
use crate::io::clock;
use crate::io::net::Stream;
use crate::model::Now;

use super::admission::Place;
use super::budget::{Share, Spent};
use super::core::Core;
use super::input::Input;
use super::output::Output;
use super::requests::{Asked, Requests, Scratch, Start};
use super::shared::Shared;

/// Turns before other connections of the core get theirs.
const TURNS_MAX: usize = 8;
/// How long a connection waits before it asks for memory again.
const MEMORY_RETRY_MS: u64 = 20;
/// How long requests of a client that has gone may still run.
const ABANDONED_MS: u64 = 30_000;
/// How long a stopping server waits for requests that only wait for something to happen.
const STOP_POLL_MS: u64 = 200;

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it, or the server stops.
    Normal,
    /// The connection broke.
    Broken(std::io::ErrorKind),
    /// We close it.
    Closed(CloseReason),
}

/// What others may know of and do to a connection.
pub struct Peer {
    pub home: Arc<SlotHome>,
    pub listener: Arc<str>,
    /// The number of the core that serves it.
    pub core: usize,
    /// Bytes that have arrived of a frame that is not whole; 0 without one.
    begun_bytes: AtomicUsize,
    /// When that frame began.
    begun_ms: AtomicU64,
    /// Set to have it closed because memory is spent.
    is_evicted: AtomicBool,
}

impl Peer {
    pub fn new(home: Arc<SlotHome>, listener: Arc<str>, core: usize) -> Arc<Peer> {
        Arc::new(Peer {
            home,
            listener,
            core,
            begun_bytes: AtomicUsize::new(0),
            begun_ms: AtomicU64::new(0),
            is_evicted: AtomicBool::new(false),
        })
    }

    /// How fast a frame that is not whole comes in; `None` without one, or when the connection is closing for it already.
    pub fn bytes_per_second(&self, now_ms: u64) -> Option<u64> {
        let begun = u64::try_from(self.begun_bytes.load(Ordering::Relaxed)).ok().filter(|bytes| *bytes > 0)?;
        let elapsed_ms = now_ms.saturating_sub(self.begun_ms.load(Ordering::Relaxed)).max(1);
        let is_judged = self.is_evicted.load(Ordering::Relaxed);
        (!is_judged).then(|| begun.saturating_mul(1_000) / elapsed_ms)
    }

    /// Has the connection closed.
    pub fn evict(&self) {
        self.is_evicted.store(true, Ordering::Relaxed);
        self.home.interrupt();
    }
}

/// See the head of this file. The future of a connection is its whole life.
pub struct Connection {
    stream: Stream,
    shared: Arc<Shared>,
    core: Arc<Core>,
    info: ConnectionInfo,
    peer: Arc<Peer>,
    input: Input,
    requests: Requests,
    output: Output,
    share: Share,
    sleep: Pin<Box<Sleep>>,
    /// When `sleep` ends.
    sleep_until_ms: u64,
    /// The last request read or answer byte taken.
    active_ms: u64,
    /// When the peer closed its side.
    ended_ms: Option<u64>,
    /// When it was first seen that the server stops.
    stopping_ms: Option<u64>,
    is_starved: bool,
    _place: Place,
}

impl Connection {
    pub fn new(
        stream: Stream,
        shared: &Arc<Shared>,
        core: &Arc<Core>,
        info: ConnectionInfo,
        peer: Arc<Peer>,
        place: Place,
    ) -> Connection {
        let now_ms = shared.clock.now().monotonic_ms;
        let options = &shared.options;
        Connection {
            stream,
            input: Input::new(options.request_bytes_max),
            share: Share::new(&shared.budget, options.connection_memory_bytes_max),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            sleep_until_ms: now_ms,
            shared: Arc::clone(shared),
            core: Arc::clone(core),
            info,
            peer,
            requests: Requests::default(),
            output: Output::default(),
            active_ms: now_ms,
            ended_ms: None,
            stopping_ms: None,
            is_starved: false,
            _place: place,
        }
    }

    /// Serves until the end, and says why it came.
    pub async fn serve(mut self) -> End {
        let end = std::future::poll_fn(|cx| self.poll_turns(cx)).await;
        if let End::Closed(reason) = &end {
            tracing::info!(
                peer = %self.info.peer, listener = %self.info.listener, connection = self.info.id, %reason,
                "closed a connection"
            );
        }
        for future in self.requests.into_futures() {
            tokio::spawn(tokio::time::timeout(Duration::from_millis(ABANDONED_MS), future));
        }
        end
    }

    fn poll_turns(&mut self, cx: &mut TaskContext<'_>) -> Poll<End> {
        self.peer.home.wake_up();
        for _ in 0..TURNS_MAX {
            let now = self.shared.clock.now();
            match self.turn(cx, now) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(end) => return Poll::Ready(end),
            }
            if let Err(end) = self.settle_down(cx, now) {
                return Poll::Ready(end);
            }
            if self.peer.home.sleep(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads, starts and writes what it can; whether there may be more to do at once.
    fn turn(&mut self, cx: &mut TaskContext<'_>, now: Now) -> Result<bool, End> {
        let read = self.read(cx, now)?;
        let core = Arc::clone(&self.core);
        let mut scratch = core.scratch.lock();
        // A turn that broke off may have left some of another connection's.
        scratch.finished.clear();
        if self.requests.is_waiting() {
            let Scratch { outcomes, finished, .. } = &mut *scratch;
            self.peer.home.take(outcomes);
            self.requests.settle(outcomes).map_err(End::Closed)?;
            self.requests.poll_later(cx);
            self.requests.release(&mut self.output, &core.buffers, finished).map_err(End::Closed)?;
        }
        let may_start = self.stopping_ms.is_none() && !self.is_muted(now.monotonic_ms);
        let started = if may_start { self.start(now, &mut scratch)? } else { 0 };
        note_times(&core, &mut scratch.finished);
        drop(scratch);
        self.write(cx, now)?;
        Ok(read + started > 0)
    }

    /// Whether its client has used more than its quota and is not listened to.
    fn is_muted(&self, now_ms: u64) -> bool {
        now_ms < self.peer.home.muted_until_ms()
    }

    fn wants_to_read(&self) -> bool {
        let options = &self.shared.options;
        self.ended_ms.is_none()
            && self.stopping_ms.is_none()
            && !self.requests.has_next()
            && self.requests.waiting_count() < options.requests_in_flight_max
            && self.output.queued_bytes() < options.queued_answer_bytes_max
    }

    fn read(&mut self, cx: &mut TaskContext<'_>, now: Now) -> Result<usize, End> {
        self.is_starved = false;
        if !self.wants_to_read() || self.is_muted(now.monotonic_ms) {
            self.input.unwatch();
            return Ok(0);
        }
        let Poll::Ready(readable) = self.stream.poll_readable(cx) else { return Ok(0) };
        readable.map_err(|error| End::Broken(error.kind()))?;
        if !self.afford(self.input.wanted_bytes())? {
            return Ok(0);
        }
        let buffer = self.input.make_room(&self.core.buffers);
        match self.stream.poll_read(cx, buffer) {
            Poll::Pending => Ok(0),
            Poll::Ready(Ok(0)) => {
                self.ended_ms = Some(now.monotonic_ms);
                Ok(0)
            }
            Poll::Ready(Ok(count)) => {
                self.core.metrics.bytes_in.add(count);
                Ok(count)
            }
            Poll::Ready(Err(error)) => Err(End::Broken(error.kind())),
        }
    }

    /// Whether the read buffer may have this size. The first buffer is the core's while the turn lasts; what is kept over a
    /// turn, or larger, is the connection's own.
    fn afford(&mut self, buffer_bytes: usize) -> Result<bool, End> {
        if buffer_bytes <= super::buffers::BUFFER_BYTES {
            return Ok(true);
        }
        let others = self.output.held_bytes() + self.requests.held_bytes();
        match self.share.hold(buffer_bytes + others) {
            Ok(()) => Ok(true),
            Err(Spent::Connection) => {
                Err(End::Closed("a request needs more memory than one connection may have".into()))
            }
            Err(Spent::Total) => {
                self.starve();
                Ok(false)
            }
        }
    }

    /// Waits for memory, and makes the slowest sender pay for it.
    fn starve(&mut self) {
        self.is_starved = true;
        self.shared.evict_slowest();
    }

    fn start(&mut self, now: Now, scratch: &mut Scratch) -> Result<usize, End> {
        let options = &self.shared.options;
        let cx = BurstContext { broker: &self.shared.broker, connection: &self.info, now, slots: &self.peer.home };
        let mut start = Start {
            requests: &mut self.requests,
            output: &mut self.output,
            buffers: &self.core.buffers,
            cx: &cx,
            share: &mut self.share,
            metrics: &self.core.metrics,
            read_at: clock::instant(),
            decode_bytes_max: options.decode_bytes_max,
            in_flight_max: options.requests_in_flight_max,
            queued_answer_bytes_max: options.queued_answer_bytes_max,
            is_starved: false,
        };
        let input = &mut self.input;
        let started = start.run(scratch, || input.next_frame().map_err(|error| error.to_string().into()));
        let started = started.map_err(End::Closed)?;
        if start.is_starved {
            self.starve();
        }
        if started > 0 {
            self.active_ms = now.monotonic_ms;
        }
        Ok(started)
    }

    fn write(&mut self, cx: &mut TaskContext<'_>, now: Now) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        let flushed = self.output.poll_flush(cx, &mut self.stream, &self.core.buffers, &mut written);
        if written > 0 {
            self.active_ms = now.monotonic_ms;
            self.core.metrics.bytes_out.add(written);
        }
        match flushed {
            Poll::Ready(Err(error)) => Err(End::Broken(error.kind())),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Nothing more can be done now: looks at the clock, at memory and at the end, and sets the alarm.
    fn settle_down(&mut self, cx: &mut TaskContext<'_>, now: Now) -> Result<(), End> {
        let now_ms = now.monotonic_ms;
        if self.stopping_ms.is_none() && self.core.is_stopping() {
            self.stopping_ms = Some(now_ms);
        }
        self.input.rest(&self.core.buffers);
        self.check_end(now_ms)?;
        self.hold_memory()?;
        if self.wants_to_read() && !self.is_starved && !self.is_muted(now_ms) {
            self.input.watch(now_ms);
        }
        self.check_clock(now_ms)?;
        let (begun_bytes, begun_ms) = self.input.begun().unwrap_or_default();
        self.peer.begun_ms.store(begun_ms, Ordering::Relaxed);
        self.peer.begun_bytes.store(begun_bytes, Ordering::Relaxed);
        self.set_alarm(cx, now_ms);
        Ok(())
    }

    fn check_end(&self, now_ms: u64) -> Result<(), End> {
        if self.peer.is_evicted.load(Ordering::Relaxed) {
            return Err(End::Closed("memory for requests is spent, and this was the slowest sender".into()));
        }
        let is_done = !self.requests.is_waiting() && self.output.is_empty();
        if self.ended_ms.is_some() && is_done && !self.requests.has_next() {
            return if self.input.has_begun() {
                Err(End::Closed("the peer closed it within a request".into()))
            } else {
                Err(End::Normal)
            };
        }
        let Some(stopping_ms) = self.stopping_ms else { return Ok(()) };
        let grace_ms = if self.requests.is_barred() { STOP_POLL_MS } else { self.shared.options.stop_grace_ms };
        if is_done || now_ms >= stopping_ms.saturating_add(grace_ms) { Err(End::Normal) } else { Ok(()) }
    }

    fn hold_memory(&mut self) -> Result<(), End> {
        let held = self.input.held_bytes() + self.output.held_bytes() + self.requests.held_bytes();
        match self.share.hold(held) {
            Ok(()) => Ok(()),
            Err(Spent::Connection) => {
                Err(End::Closed("its requests and answers take more memory than one connection may have".into()))
            }
            Err(Spent::Total) => {
                self.starve();
                Ok(())
            }
        }
    }

    fn check_clock(&mut self, now_ms: u64) -> Result<(), End> {
        let options = &self.shared.options;
        if self.input.is_stalled(now_ms, options) {
            return Err(End::Closed("a begun request made no progress".into()));
        }
        if !self.output.is_empty() && now_ms >= self.active_ms.saturating_add(options.write_stall_ms) {
            return Err(End::Closed("the peer does not take its answers".into()));
        }
        if let Some(ended_ms) = self.ended_ms
            && now_ms >= ended_ms.saturating_add(ABANDONED_MS)
        {
            return Err(End::Normal);
        }
        if self.is_idle() && now_ms >= self.active_ms.saturating_add(options.idle_ms) {
            tracing::debug!(peer = %self.info.peer, connection = self.info.id, "closed an idle connection");
            return Err(End::Normal);
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        !self.requests.is_waiting() && self.output.is_empty() && !self.input.has_begun()
    }

    /// The next moment at which `check_end` or `check_clock` may say something new.
    fn deadline_ms(&self, now_ms: u64) -> u64 {
        let options = &self.shared.options;
        let mut deadline_ms = u64::MAX;
        if self.is_starved {
            deadline_ms = now_ms + MEMORY_RETRY_MS;
        }
        if let Some(progress_ms) = self.input.progress_deadline_ms(options) {
            deadline_ms = deadline_ms.min(progress_ms);
        }
        if !self.output.is_empty() {
            deadline_ms = deadline_ms.min(self.active_ms.saturating_add(options.write_stall_ms));
        }
        if let Some(ended_ms) = self.ended_ms {
            deadline_ms = deadline_ms.min(ended_ms.saturating_add(ABANDONED_MS));
        }
        if let Some(stopping_ms) = self.stopping_ms {
            let grace_ms = if self.requests.is_barred() { STOP_POLL_MS } else { options.stop_grace_ms };
            deadline_ms = deadline_ms.min(stopping_ms.saturating_add(grace_ms));
        }
        if self.is_muted(now_ms) {
            deadline_ms = deadline_ms.min(self.peer.home.muted_until_ms());
        }
        if self.is_idle() {
            deadline_ms = deadline_ms.min(self.active_ms.saturating_add(options.idle_ms));
        }
        deadline_ms
    }

    /// Sets the alarm only when it would ring too late: one that rings early costs less than setting it on every request.
    fn set_alarm(&mut self, cx: &mut TaskContext<'_>, now_ms: u64) {
        let deadline_ms = self.deadline_ms(now_ms);
        if deadline_ms == u64::MAX || (now_ms < self.sleep_until_ms && self.sleep_until_ms <= deadline_ms) {
            return;
        }
        let mut wait_ms = deadline_ms.saturating_sub(now_ms).max(1);
        loop {
            self.sleep.set(tokio::time::sleep(Duration::from_millis(wait_ms)));
            self.sleep_until_ms = now_ms.saturating_add(wait_ms);
            if self.sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            wait_ms += 1;
        }
    }
}

/// Notes how long the requests took that were answered in this turn: one look at the clock serves them all.
fn note_times(core: &Core, finished: &mut Vec<Asked>) {
    if finished.is_empty() {
        return;
    }
    let now = clock::instant();
    for Asked { api, at, local, .. } in finished.drain(..) {
        core.metrics.request(api).finish(now.saturating_duration_since(at), local);
    }
}
