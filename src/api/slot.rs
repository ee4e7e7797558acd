//! Ordered answers completed from anywhere: a slot is a place in a connection's order, its token the right to fill it once.
//!
//! A completion on the connection's own core goes straight to the connection. One from another thread travels in that
//! core's one mailbox, so that many completions cost one wake-up between them.
//!
//! Invariant: every token ends in exactly one outcome; a dropped one closes its connection rather than letting it wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context as TaskContext, Waker};

use parking_lot::{Mutex, MutexGuard};

use crate::io::mailbox::Mailbox;

use super::answer::Answer;

/// The number of a slot within its connection, from 0, in the order of opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub u64);

/// How a slot ended.
pub enum SlotOutcome {
    Answered(Answer),
    /// The connection is closed: its answer cannot come any more.
    Dropped(&'static str),
}

/// A completion on its way to the core of its connection.
pub struct Completion {
    home: Arc<SlotHome>,
    id: SlotId,
    outcome: SlotOutcome,
}

impl Completion {
    /// Hands the outcome to its connection. Called on the connection's core.
    pub fn deliver(self) {
        self.home.deliver(self.id, self.outcome);
    }
}

/// Where the outcomes of one connection's slots arrive.
pub struct SlotHome {
    mailbox: Arc<Mailbox<Completion>>,
    opened: AtomicU64,
    inbox: Mutex<Inbox>,
    /// Until when, by the monotonic clock, the connection is not read: its client has used more than its quota.
    muted_until_ms: AtomicU64,
    /// Whether the request at work is a broker's, which no quota holds back.
    is_exempt: AtomicBool,
}

#[derive(Default)]
struct Inbox {
    outcomes: Vec<(SlotId, SlotOutcome)>,
    /// Whether the connection's task is at work: it will look here before it sleeps, and needs no waking.
    is_awake: bool,
    waker: Option<Waker>,
}

impl SlotHome {
    /// The home of a new connection on the core that owns the mailbox.
    pub fn new(mailbox: Arc<Mailbox<Completion>>) -> Arc<SlotHome> {
        Arc::new(SlotHome {
            mailbox,
            opened: AtomicU64::new(0),
            inbox: Mutex::default(),
            muted_until_ms: AtomicU64::new(0),
            is_exempt: AtomicBool::new(false),
        })
    }

    pub(super) fn open(self: &Arc<SlotHome>) -> SlotToken {
        let id = SlotId(self.opened.fetch_add(1, Ordering::Relaxed));
        SlotToken { home: Some(Arc::clone(self)), id }
    }

    /// Has the connection not be read for so long from now (KIP-219): clients are told to wait, and not all do.
    pub fn mute(&self, now_ms: u64, throttle_ms: u64) {
        if throttle_ms > 0 {
            self.muted_until_ms.fetch_max(now_ms.saturating_add(throttle_ms), Ordering::Relaxed);
        }
    }

    /// Until when the connection is not read, by the monotonic clock.
    pub fn muted_until_ms(&self) -> u64 {
        self.muted_until_ms.load(Ordering::Relaxed)
    }

    /// The request at work is a broker's: no quota holds it back.
    pub fn exempt(&self) {
        self.is_exempt.store(true, Ordering::Relaxed);
    }

    /// Whether [`SlotHome::exempt`] was called since this was asked last.
    pub fn take_exempt(&self) -> bool {
        self.is_exempt.swap(false, Ordering::Relaxed)
    }

    /// Begins a turn of the connection's task: what arrives until [`SlotHome::sleep`] does not wake it.
    pub fn wake_up(&self) {
        self.inbox.lock().is_awake = true;
    }

    /// Moves what has arrived to `outcomes`.
    pub fn take(&self, outcomes: &mut Vec<(SlotId, SlotOutcome)>) {
        outcomes.append(&mut self.inbox.lock().outcomes);
    }

    /// Ends a turn: the next arrival wakes the task. False when something has arrived already, and there is no sleep.
    pub fn sleep(&self, cx: &TaskContext<'_>) -> bool {
        let mut inbox = self.inbox.lock();
        if !inbox.outcomes.is_empty() {
            return false;
        }
        inbox.is_awake = false;
        if !inbox.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inbox.waker = Some(cx.waker().clone());
        }
        true
    }

    /// Wakes the connection's task to look around.
    pub fn interrupt(&self) {
        self.wake_unless_awake(self.inbox.lock());
    }

    fn deliver(&self, id: SlotId, outcome: SlotOutcome) {
        let mut inbox = self.inbox.lock();
        inbox.outcomes.push((id, outcome));
        self.wake_unless_awake(inbox);
    }

    fn wake_unless_awake(&self, inbox: MutexGuard<'_, Inbox>) {
        let waker = if inbox.is_awake { None } else { inbox.waker.clone() };
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The right to answer one request, once, from any thread.
pub struct SlotToken {
    home: Option<Arc<SlotHome>>,
    id: SlotId,
}

impl SlotToken {
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// Sends the answer on its way.
    pub fn complete(mut self, answer: Answer) {
        self.send(SlotOutcome::Answered(answer));
    }

    /// Closes the connection instead of answering, with a reason for the log.
    pub fn close(mut self, reason: &'static str) {
        self.send(SlotOutcome::Dropped(reason));
    }

    fn send(&mut self, outcome: SlotOutcome) {
        let Some(home) = self.home.take() else { return };
        if home.mailbox.is_on_its_thread() {
            home.deliver(self.id, outcome);
            return;
        }
        let mailbox = Arc::clone(&home.mailbox);
        mailbox.post(Completion { home, id: self.id, outcome });
    }
}

impl Drop for SlotToken {
    fn drop(&mut self) {
        self.send(SlotOutcome::Dropped("a request was given up without an answer"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(home: &SlotHome) -> Vec<(u64, bool)> {
        let mut outcomes = Vec::new();
        home.take(&mut outcomes);
        outcomes.iter().map(|(id, outcome)| (id.0, matches!(outcome, SlotOutcome::Answered(_)))).collect()
    }

    #[test]
    fn a_completion_on_the_same_thread_arrives_at_once() {
        let mailbox = Arc::new(Mailbox::new());
        mailbox.own_by_this_thread();
        let home = SlotHome::new(mailbox);
        let (first, second) = (home.open(), home.open());
        second.complete(Answer::default());
        first.complete(Answer::default());
        assert_eq!(taken(&home), [(1, true), (0, true)]);
        assert_eq!(taken(&home), []);
    }

    #[test]
    fn a_completion_from_another_thread_travels_in_the_mailbox() {
        let mailbox = Arc::new(Mailbox::new());
        mailbox.own_by_this_thread();
        let home = SlotHome::new(Arc::clone(&mailbox));
        let token = home.open();
        std::thread::scope(|scope| {
            scope.spawn(move || token.complete(Answer::default()));
        });
        assert_eq!(taken(&home), []);
        let mut completions = Vec::new();
        assert!(mailbox.poll_take(&TaskContext::from_waker(Waker::noop()), &mut completions).is_ready());
        completions.into_iter().for_each(Completion::deliver);
        assert_eq!(taken(&home), [(0, true)]);
    }

    #[test]
    fn only_a_sleeping_task_is_woken() {
        struct Count(AtomicU64);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Count>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicU64::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let cx = TaskContext::from_waker(&waker);
        let mailbox = Arc::new(Mailbox::new());
        mailbox.own_by_this_thread();
        let home = SlotHome::new(mailbox);
        home.wake_up();
        home.open().complete(Answer::default());
        assert!(!home.sleep(&cx), "something is there");
        assert_eq!(taken(&home).len(), 1);
        assert!(home.sleep(&cx));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        home.open().complete(Answer::default());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_token_that_is_dropped_says_so_once() {
        let mailbox = Arc::new(Mailbox::new());
        mailbox.own_by_this_thread();
        let home = SlotHome::new(mailbox);
        drop(home.open());
        assert_eq!(taken(&home), [(0, false)]);
    }
}
