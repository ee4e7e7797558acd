//! The task of one connection: writes requests, reads answers, gives each to whom it belongs.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use super::link::{KEEPALIVE, LinkError, Shared};
use crate::io::clock;
use crate::io::net::{self, SLICES_MAX, Stream};
use crate::protocol::frame::{self, LENGTH_BYTES};

/// How long the timer sleeps when nothing waits.
const IDLE: Duration = Duration::from_secs(3600);

/// The least space that a read is offered.
const READ_BYTES: usize = 16 << 10;

/// A request on its way to the connection.
pub struct Outgoing {
    pub correlation_id: i32,
    pub head: Bytes,
    pub body: Bytes,
    /// Whether the answer's header has tagged fields.
    pub has_tags: bool,
    /// Until when an answer is of use.
    pub deadline: Instant,
    pub answer: oneshot::Sender<Result<Bytes, LinkError>>,
    /// Given back when the answer has come or the connection ends, not when the caller stops waiting.
    pub permits: [OwnedSemaphorePermit; 2],
}

/// A request that was handed to the socket or waits for it.
struct Waiting {
    has_tags: bool,
    deadline: Instant,
    answer: oneshot::Sender<Result<Bytes, LinkError>>,
    _permits: [OwnedSemaphorePermit; 2],
}

/// See the head of this file.
pub struct Connection {
    shared: Arc<Shared>,
    calls: mpsc::UnboundedReceiver<Outgoing>,
    stream: Stream,
    unsent: VecDeque<Bytes>,
    waiting: BTreeMap<i32, Waiting>,
    read: BytesMut,
    /// Fires at the first deadline of what waits, or earlier. It counts also where the caller has gone: what never comes must
    /// not take up its place for ever.
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    /// Connects, then serves until the connection or the link ends.
    pub async fn run(shared: Arc<Shared>, generation: u64, mut calls: mpsc::UnboundedReceiver<Outgoing>) {
        let options = &shared.options;
        let connecting = net::connect(&options.address.host, options.address.port, KEEPALIVE);
        let connected = tokio::time::timeout(options.connect_timeout, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let stream = match connected {
            Ok(stream) => stream,
            Err(error) => {
                let error = LinkError::of_connect(&options.address, &error);
                shared.on_end(generation, &error);
                fail(&mut calls, &error);
                return;
            }
        };
        let (unsent, waiting, read) = (VecDeque::new(), BTreeMap::new(), BytesMut::new());
        let timer = Box::pin(tokio::time::sleep_until(clock::instant() + IDLE));
        let mut connection = Connection { shared: Arc::clone(&shared), calls, stream, unsent, waiting, read, timer };
        let error = poll_fn(|cx| connection.poll(cx)).await;
        shared.on_end(generation, &error);
        fail(&mut connection.calls, &error);
        for (_, waiting) in std::mem::take(&mut connection.waiting) {
            // Whoever asked may have gone.
            let _ = waiting.answer.send(Err(error.clone()));
        }
    }

    /// Does what can be done; ready only with why the connection ends.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LinkError> {
        while let Poll::Ready(call) = self.calls.poll_recv(cx) {
            match call {
                Some(call) => self.queue(call),
                None => return Poll::Ready(self.lost("it was closed")),
            }
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = clock::instant();
            let first = self.waiting.values().map(|waiting| waiting.deadline).min();
            if first.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(self.lost("a request has run out of time"));
            }
            self.timer.as_mut().reset(first.unwrap_or(now + IDLE));
        }
        while !self.unsent.is_empty() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(self.lost(error)),
                Poll::Pending => break,
            }
        }
        loop {
            self.make_room();
            match self.stream.poll_read(cx, &mut self.read) {
                Poll::Ready(Ok(0)) => return Poll::Ready(self.lost("the peer closed it")),
                Poll::Ready(Ok(_)) => {
                    if let Err(error) = self.take_answers() {
                        return Poll::Ready(error);
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(self.lost(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn queue(&mut self, call: Outgoing) {
        let Outgoing { correlation_id, head, body, has_tags, deadline, answer, permits } = call;
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        self.unsent.push_back(head);
        if !body.is_empty() {
            self.unsent.push_back(body);
        }
        self.waiting.insert(correlation_id, Waiting { has_tags, deadline, answer, _permits: permits });
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let slices: Vec<IoSlice<'_>> = self.unsent.iter().take(SLICES_MAX).map(|bytes| IoSlice::new(bytes)).collect();
        let mut written = std::task::ready!(self.stream.poll_write(cx, &slices, false))?;
        while let Some(first) = self.unsent.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            self.unsent.pop_front();
        }
        Poll::Ready(Ok(()))
    }

    /// Grows the buffer as bytes come, not as they are announced: at most to twice what is there.
    fn make_room(&mut self) {
        if self.read.capacity() == self.read.len() {
            self.read.reserve(READ_BYTES.max(self.read.len()));
        }
    }

    fn take_answers(&mut self) -> Result<(), LinkError> {
        let limit_bytes = self.shared.options.answer_bytes_max;
        while let Some(mut answer) = frame::next_frame(&mut self.read, limit_bytes).map_err(|error| self.lost(error))? {
            let malformed = "an answer has no readable header";
            let Some(correlation_id) = answer.first_chunk::<LENGTH_BYTES>() else { return Err(self.lost(malformed)) };
            let correlation_id = i32::from_be_bytes(*correlation_id);
            answer.advance(LENGTH_BYTES);
            let Some(waiting) = self.waiting.remove(&correlation_id) else {
                return Err(self.lost("an answer to no request"));
            };
            // We know no tagged field of an answer's header, and Kafka has none.
            if waiting.has_tags && (answer.is_empty() || answer.get_u8() != 0) {
                return Err(self.lost(malformed));
            }
            self.shared.on_answer();
            // Whoever asked may have gone.
            let _ = waiting.answer.send(Ok(answer));
        }
        Ok(())
    }

    fn lost(&self, reason: impl ToString) -> LinkError {
        LinkError::lost(&self.shared.options.address, reason)
    }
}

/// Fails what has not reached the connection. Nothing more comes: the link was told before.
fn fail(calls: &mut mpsc::UnboundedReceiver<Outgoing>, error: &LinkError) {
    calls.close();
    while let Ok(call) = calls.try_recv() {
        // Whoever asked may have gone.
        let _ = call.answer.send(Err(error.clone()));
    }
}
