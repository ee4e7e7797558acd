//! How many files the logs keep open, and which are closed to make room for others.
//!
//! Every segment opens its files when it needs them. What all of them hold open is counted here, and above a limit those are closed
//! that nobody has asked for since the last look: a clock with second chances, so that using a file that is open costs a flag and no
//! lock but the segment's own. A file is left open while somebody uses it, while what was written to it waits for a flush (the
//! kernel tells a failed write only to a descriptor that was there), and when its name is no longer its own.
//!
//! The limit is what is aimed at: when nothing can be closed it is passed, and [`Descriptors::must_flush`] says what would help.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tracing::error;

use crate::io::disk::is_out_of_files;
use crate::log::segment_files::{Closed, SegmentFiles};

/// So many segments are looked at for one that is to be opened: nobody waits for a walk over all of them.
const LOOKS_MAX: usize = 64;
/// So many files are closed at once when the system refuses another one.
const CLOSED_AT_ONCE: usize = 64;

/// The open files of all logs that share it; see the head of this file.
pub struct Descriptors {
    limit: usize,
    open_count: AtomicUsize,
    /// Nothing could be closed, because what was written waits for a flush.
    must_flush: AtomicBool,
    /// The system gave no descriptor the last time that it had refused one before.
    is_refused: AtomicBool,
    /// Segments with open files, the next one to be looked at in front.
    clock: Mutex<VecDeque<Weak<SegmentFiles>>>,
}

impl Descriptors {
    /// At most so many files, as far as that can be had.
    pub fn new(limit: usize) -> Arc<Descriptors> {
        Arc::new(Descriptors {
            limit,
            open_count: AtomicUsize::new(0),
            must_flush: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
            clock: Mutex::new(VecDeque::new()),
        })
    }

    /// For a process with `open_files_max` descriptors: half of them, since connections need theirs. `None` is no limit.
    pub fn for_process(open_files_max: Option<u64>) -> Arc<Descriptors> {
        let max = open_files_max.and_then(|max| usize::try_from(max).ok());
        Descriptors::new(max.map_or(usize::MAX, |max| (max / 2).max(1)))
    }

    /// Files that are open now. Those that were closed here and are still being read are not counted.
    pub fn open_count(&self) -> usize {
        self.open_count.load(Ordering::Relaxed)
    }

    /// How many files are aimed at.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether, since the last time this was asked, too many files were open that wait for a flush.
    pub fn must_flush(&self) -> bool {
        // The load is all that it costs as a rule.
        self.must_flush.load(Ordering::Relaxed) && self.must_flush.swap(false, Ordering::Relaxed)
    }

    /// Runs what opens a file; when the system has no descriptor left, once more after others were closed.
    pub(crate) fn with_room<T>(&self, run: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match run() {
            Err(error) if is_out_of_files(&error) => self.with_others_closed(run),
            ran => ran,
        }
    }

    fn with_others_closed<T>(&self, run: impl Fn() -> io::Result<T>) -> io::Result<T> {
        self.close(CLOSED_AT_ONCE, usize::MAX);
        let ran = run();
        let is_refused = ran.as_ref().is_err_and(is_out_of_files);
        // Told once, until it has gone well again: every request meets it.
        if is_refused && !self.is_refused.swap(true, Ordering::Relaxed) {
            let of_logs = self.open_count();
            error!(
                of_logs,
                "too many files and connections are open: raise the limit (ulimit -n, LimitNOFILE, nofile)"
            );
        }
        if !is_refused {
            self.is_refused.store(false, Ordering::Relaxed);
        }
        ran
    }

    /// Counts one more file. `newcomer` are the files that it belongs to, when the clock does not know them yet. Called without
    /// any of their locks.
    pub(crate) fn opened(&self, newcomer: Option<Weak<SegmentFiles>>) {
        let open_count = self.open_count.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(newcomer) = newcomer {
            self.clock.lock().push_back(newcomer);
        }
        if open_count > self.limit {
            self.close(open_count - self.limit, LOOKS_MAX);
        }
    }

    /// Counts files that were closed, or have left the clock's reach.
    pub(crate) fn forgotten(&self, count: usize) {
        self.open_count.fetch_sub(count, Ordering::Relaxed);
    }

    fn close(&self, wanted: usize, looks_max: usize) {
        let mut closed = Closed::new();
        let mut has_unflushed = false;
        {
            let mut clock = self.clock.lock();
            // Twice around: the first look takes the flag, the second one the file.
            for _ in 0..looks_max.min(clock.len().saturating_mul(2)) {
                if closed.len() >= wanted {
                    break;
                }
                let Some(next) = clock.pop_front() else { break };
                let Some(files) = next.upgrade() else { continue };
                let before = closed.len();
                if files.close_if_unused(&mut closed, &mut has_unflushed) {
                    clock.push_back(next);
                }
                self.forgotten(closed.len() - before);
            }
        }
        if closed.len() < wanted && has_unflushed {
            self.must_flush.store(true, Ordering::Relaxed);
        }
        // Here, without the lock, they are closed.
        drop(closed);
    }
}
