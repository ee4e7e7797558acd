//! Who is told when records are committed.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::ErrorCode;

/// Something with several outcomes outstanding, such as a Produce request over several partitions.
pub trait Complete: Send + Sync {
    /// Outcome `index` is there. Called once for each index, on any thread, with no lock of the broker held.
    fn complete(&self, index: u32, result: Result<(), ErrorCode>);
}

/// One who waits for an offset to be committed.
pub enum Waiter {
    /// The cheap one: shared by all outcomes of a request.
    Slot(Arc<dyn Complete>, u32),
    /// Anything else, told once.
    Once(Box<dyn FnOnce(Result<(), ErrorCode>) + Send>),
}

impl Waiter {
    fn tell(self, result: Result<(), ErrorCode>) {
        match self {
            Waiter::Slot(whole, index) => whole.complete(index, result),
            Waiter::Once(call) => call(result),
        }
    }
}

/// Outcomes on their way from a replica's lock to those who wait.
///
/// They are pushed under the lock, in the order of their offsets, and told after it is released. One thread at a time tells,
/// so that the order holds for the one who listens; a thread that finds another telling leaves its own to that one.
#[derive(Default)]
pub struct Completions {
    queue: Mutex<VecDeque<(Waiter, Result<(), ErrorCode>)>>,
    telling: Mutex<()>,
}

impl Completions {
    /// Called under the replica's lock.
    pub fn push(&self, completed: &mut Vec<(Waiter, Result<(), ErrorCode>)>) {
        if !completed.is_empty() {
            self.queue.lock().extend(completed.drain(..));
        }
    }

    /// Tells everyone in the queue. Called with no lock held: a waiter may lock what it likes, and append again.
    pub fn run(&self) {
        // The queue is looked at again after the turn is given up: another thread may have pushed while it could not get it.
        while !self.queue.lock().is_empty() {
            let Some(turn) = self.telling.try_lock() else { return };
            loop {
                let next = self.queue.lock().pop_front();
                let Some((waiter, result)) = next else { break };
                waiter.tell(result);
            }
            drop(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_are_told_in_order_also_by_a_waiter_that_runs_the_queue_again() {
        let completions = Arc::new(Completions::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut completed = Vec::new();
        for number in 0..3 {
            let (told, again) = (Arc::clone(&told), Arc::clone(&completions));
            let waiter = Waiter::Once(Box::new(move |result| {
                again.run();
                told.lock().push((number, result));
            }));
            completed.push((waiter, Ok(())));
        }
        completions.push(&mut completed);
        completions.run();
        assert_eq!(*told.lock(), [(0, Ok(())), (1, Ok(())), (2, Ok(()))]);
    }
}
