//! Group commit: whoever appended is put on one list, and a few threads flush what is on it.
//!
//! A flush covers every append that came before it began, however many requests they belong to; appends that come while it
//! runs put the replica on the list again. So there is never an fsync per request, and never one under a lock (KAFKA-15046).
//!
//! Invariant: a replica is flushed by one thread at a time, and one that was appended to is on the list or being flushed.
//! Invariant: after a failed fsync nothing of that directory is flushed again: the caller's `on_failure` takes it offline.

use std::collections::VecDeque;
#[cfg(not(feature = "sim"))]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use crate::broker::replica::Replica;
use crate::io::pool::Pool;
use crate::log::{LogDir, LogError};
#[cfg(not(feature = "sim"))]
use crate::model::ErrorCode;

/// Threads that flush while little is on the list. Flushes of several files share a journal commit when they run side by side.
const THREADS: usize = 2;
/// Threads that flush when much is on the list.
const THREADS_MAX: usize = 6;
/// So many on the list for each thread are much.
const MUCH: usize = 8;

const CLEAN: u8 = 0;
const QUEUED: u8 = 1;
const FLUSHING: u8 = 2;
/// Appended to since its running flush began.
const FLUSHING_DIRTY: u8 = 3;

/// Where a replica stands with the flusher.
#[derive(Default)]
pub struct FlushState(AtomicU8);

impl FlushState {
    /// Notes an append; whether the replica must be put on the list.
    fn mark(&self) -> bool {
        let next = |state| match state {
            CLEAN => Some(QUEUED),
            FLUSHING => Some(FLUSHING_DIRTY),
            _ => None,
        };
        // The load inside is all that an append costs while a flush is due anyway.
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(CLEAN)
    }

    fn begin(&self) {
        self.0.store(FLUSHING, Ordering::Release);
    }

    /// Notes the end of a flush; whether the replica must be put on the list again.
    fn end(&self) -> bool {
        let next = |state| Some(if state == FLUSHING_DIRTY { QUEUED } else { CLEAN });
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(FLUSHING_DIRTY)
    }
}

/// Told when a directory's flush has failed, with no lock held.
type OnFailure = dyn Fn(&Arc<LogDir>) + Send + Sync;

/// Replicas that wait for their turn, and how many threads are at it.
#[derive(Default)]
struct List {
    waiting: VecDeque<Arc<Replica>>,
    working: usize,
    is_closed: bool,
}

impl List {
    /// Whether one more thread is to work.
    fn wants_thread(&self) -> bool {
        let wanted = (self.waiting.len() / MUCH).clamp(THREADS, THREADS_MAX);
        !self.waiting.is_empty() && self.working < wanted
    }

    /// The next one to flush. `None` ends the thread's work.
    fn next(&mut self) -> Option<Arc<Replica>> {
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.working -= 1;
        }
        next
    }
}

/// See the head of this file.
pub struct Flusher {
    list: Mutex<List>,
    /// A job works until the list is empty.
    pool: Pool,
    on_failure: Box<OnFailure>,
}

impl Flusher {
    /// Starts the threads. `on_failure` is called with no lock held when a directory's flush has failed.
    pub fn start(on_failure: impl Fn(&Arc<LogDir>) + Send + Sync + 'static) -> std::io::Result<Arc<Flusher>> {
        let pool = Pool::start("flusher", THREADS_MAX)?;
        Ok(Arc::new(Flusher { list: Mutex::default(), pool, on_failure: Box::new(on_failure) }))
    }

    /// Has the replica flushed soon. Called after each append that somebody may wait for.
    pub fn submit(self: &Arc<Flusher>, replica: &Arc<Replica>) {
        if replica.flush_state.mark() {
            self.push(Arc::clone(replica));
        }
    }

    /// Flushes what is on the list and ends the threads. What is appended later is flushed when its log is closed.
    pub async fn close(&self) {
        self.list.lock().is_closed = true;
        self.pool.close().await;
    }

    fn push(self: &Arc<Flusher>, replica: Arc<Replica>) {
        let mut list = self.list.lock();
        if list.is_closed {
            return;
        }
        list.waiting.push_back(replica);
        if list.wants_thread() {
            list.working += 1;
            drop(list);
            let flusher = Arc::clone(self);
            self.pool.submit(move || flusher.work());
        }
    }

    fn work(self: &Arc<Flusher>) {
        while let Some(replica) = self.next() {
            self.flush(replica);
        }
    }

    fn next(&self) -> Option<Arc<Replica>> {
        self.list.lock().next()
    }

    /// In simulated time there are appends, cuts and elections while a flush runs.
    #[cfg(feature = "sim")]
    fn flush(self: &Arc<Flusher>, replica: Arc<Replica>) {
        replica.flush_state.begin();
        let Some(outcome) = replica.begin_flush() else { return self.ended(replica, Ok(())) };
        let flusher = Arc::clone(self);
        self.pool.submit(move || {
            let flushed = replica.end_flush(outcome);
            flusher.ended(replica, flushed);
        });
    }

    #[cfg(not(feature = "sim"))]
    fn flush(self: &Arc<Flusher>, replica: Arc<Replica>) {
        replica.flush_state.begin();
        let result = catch_unwind(AssertUnwindSafe(|| replica.flush())).unwrap_or_else(|_| {
            tracing::error!(partition = %replica.topic_partition(), "a flush panicked: the partition is offline");
            replica.fence(ErrorCode::KafkaStorageError);
            Ok(())
        });
        self.ended(replica, result);
    }

    fn ended(self: &Arc<Flusher>, replica: Arc<Replica>, result: Result<(), LogError>) {
        if let Err(error) = &result {
            tracing::error!(partition = %replica.topic_partition(), %error, "flush failed");
            // A full disk has lost nothing: the next append has it tried again.
            if replica.directory().is_poisoned() {
                (self.on_failure)(&replica.directory());
            }
        }
        if replica.flush_state.end() && !replica.directory().is_poisoned() {
            self.push(replica);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_during_a_flush_asks_for_another() {
        let state = FlushState::default();
        assert!(state.mark());
        assert!(!state.mark());
        state.begin();
        assert!(!state.mark());
        assert!(!state.mark());
        assert!(state.end());
        state.begin();
        assert!(!state.end());
        assert!(state.mark());
    }
}
