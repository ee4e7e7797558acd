//! Deadlines of produces that wait for their commit: a queue that is swept, not a timer each.
//!
//! Almost all are done within milliseconds, and in the order in which they came. So an insert first drops what is done at the
//! front, which keeps the queue as short as what is outstanding; a sweep every [`SWEEP_MS`] finds those whose time is up. While
//! nothing waits nobody sweeps: the first that comes wakes the sweeper.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::model::Now;

/// How late an expiry may be, in ms.
pub const SWEEP_MS: u64 = 100;

/// Something that waits, but not for ever.
pub trait Expire: Send + Sync {
    /// Its time is up. Called with no lock held; does nothing when it is done.
    fn expire(&self);
    fn is_done(&self) -> bool;
}

/// See the head of this file.
#[derive(Default)]
pub struct DelayedProduces {
    queue: Mutex<Queue>,
    /// Wakes the sweeper.
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Arc<dyn Expire>)>,
    /// The sweeper rests, and must be told.
    is_unwatched: bool,
}

impl DelayedProduces {
    pub fn new(wake: Arc<Notify>) -> DelayedProduces {
        DelayedProduces { queue: Mutex::default(), wake }
    }

    pub fn insert(&self, now: Now, timeout_ms: u64, waiting: &Arc<dyn Expire>) {
        let deadline_ms = now.monotonic_ms.saturating_add(timeout_ms);
        let mut queue = self.queue.lock();
        while queue.waiting.front().is_some_and(|(_, first)| first.is_done()) {
            queue.waiting.pop_front();
        }
        queue.waiting.push_back((deadline_ms, Arc::clone(waiting)));
        if std::mem::take(&mut queue.is_unwatched) {
            drop(queue);
            self.wake.notify_one();
        }
    }

    /// Whether the sweeper may rest: nothing waits, and the first that comes will wake it.
    pub fn may_rest(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_unwatched = queue.waiting.is_empty();
        queue.is_unwatched
    }

    /// Expires those whose deadline has come.
    pub fn sweep(&self, now: Now) {
        let mut expired = Vec::new();
        self.queue.lock().waiting.retain(|(deadline_ms, waiting)| {
            let is_due = *deadline_ms <= now.monotonic_ms;
            if is_due {
                expired.push(Arc::clone(waiting));
            }
            !is_due && !waiting.is_done()
        });
        for waiting in expired {
            waiting.expire();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[derive(Default)]
    struct Waiting {
        is_done: AtomicBool,
        expired: AtomicBool,
    }

    impl Expire for Waiting {
        fn expire(&self) {
            self.expired.store(true, Ordering::Relaxed);
        }

        fn is_done(&self) -> bool {
            self.is_done.load(Ordering::Relaxed)
        }
    }

    fn at(monotonic_ms: u64) -> Now {
        Now { wall_ms: 0, monotonic_ms }
    }

    #[test]
    fn a_deadline_is_met_at_its_millisecond_and_not_before() {
        let (produces, waiting) = (DelayedProduces::default(), Arc::new(Waiting::default()));
        let expire: Arc<dyn Expire> = Arc::clone(&waiting) as Arc<dyn Expire>;
        produces.insert(at(5), 100, &expire);
        produces.sweep(at(104));
        assert!(!waiting.expired.load(Ordering::Relaxed));
        produces.sweep(at(105));
        assert!(waiting.expired.load(Ordering::Relaxed));
        assert!(produces.queue.lock().waiting.is_empty());
    }

    #[test]
    fn what_is_done_leaves_with_the_next_insert() {
        let produces = DelayedProduces::default();
        for _ in 0..10 {
            let waiting = Waiting::default();
            waiting.is_done.store(true, Ordering::Relaxed);
            let expire: Arc<dyn Expire> = Arc::new(waiting);
            produces.insert(at(0), 1000, &expire);
        }
        assert_eq!(produces.queue.lock().waiting.len(), 1);
    }

    #[test]
    fn the_first_that_comes_while_the_sweeper_rests_wakes_it() {
        let wake = Arc::new(Notify::new());
        let produces = DelayedProduces::new(Arc::clone(&wake));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let is_woken = || {
            runtime.block_on(async {
                let mut notified = std::pin::pin!(wake.notified());
                std::future::poll_fn(|cx| std::task::Poll::Ready(notified.as_mut().poll(cx).is_ready())).await
            })
        };
        let expire: Arc<dyn Expire> = Arc::new(Waiting::default());
        produces.insert(at(0), 100, &expire);
        assert!(!is_woken(), "it does not rest yet");
        assert!(!produces.may_rest());
        produces.sweep(at(100));
        assert!(produces.may_rest());
        produces.insert(at(200), 100, &expire);
        assert!(is_woken());
        produces.insert(at(200), 100, &expire);
        assert!(!is_woken(), "once is enough");
    }
}
