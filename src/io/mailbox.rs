//! One mailbox per core: other threads put things in, the core takes them all at once.
//!
//! Only the first thing put into an empty mailbox wakes the core, so that a thousand completions cost one wake-up.

use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;

use parking_lot::Mutex;

/// A queue with many senders and one owner.
pub struct Mailbox<T> {
    owner: OnceLock<ThreadId>,
    state: Mutex<State<T>>,
}

struct State<T> {
    queue: Vec<T>,
    /// Present only while the owner sleeps.
    waker: Option<Waker>,
}

impl<T> Mailbox<T> {
    pub fn new() -> Mailbox<T> {
        Mailbox { owner: OnceLock::new(), state: Mutex::new(State { queue: Vec::new(), waker: None }) }
    }

    /// Says that the calling thread is the one that takes. Holds for good.
    pub fn own_by_this_thread(&self) {
        let _ = self.owner.set(std::thread::current().id());
    }

    /// Whether the calling thread is the owner, and so needs no mailbox.
    pub fn is_on_its_thread(&self) -> bool {
        thread_local!(static ID: ThreadId = std::thread::current().id());
        self.owner.get().is_some_and(|owner| ID.with(|id| id == owner))
    }

    /// Puts a thing in; wakes the owner if it sleeps.
    pub fn post(&self, item: T) {
        let mut state = self.state.lock();
        state.queue.push(item);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves all there is to `items`; pending, and woken by the next [`Mailbox::post`], when there is nothing.
    pub fn poll_take(&self, cx: &Context<'_>, items: &mut Vec<T>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        items.append(&mut state.queue);
        Poll::Ready(())
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Mailbox<T> {
        Mailbox::new()
    }
}
