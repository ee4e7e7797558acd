//! Those who wait until the high watermark reaches an offset, in the order of that offset.

use std::collections::VecDeque;

use crate::model::Offset;

/// A queue of waiters sorted by the offset they need; of equals the first come is the first served.
///
/// An append needs a higher offset than those before it, so the insert is at the back and costs nothing; only the answer to a
/// duplicate batch may have to go further forward.
pub struct Waiters<W> {
    queue: VecDeque<(Offset, W)>,
}

impl<W> Waiters<W> {
    pub fn new() -> Waiters<W> {
        Waiters { queue: VecDeque::new() }
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds one who waits for `required`.
    pub fn insert(&mut self, required: Offset, waiter: W) {
        let after = self.queue.iter().rposition(|(other, _)| *other <= required);
        self.queue.insert(after.map_or(0, |index| index + 1), (required, waiter));
    }

    /// Takes the first one whose offset is reached.
    pub fn pop_reached(&mut self, high_watermark: Offset) -> Option<W> {
        match self.queue.front() {
            Some((required, _)) if *required <= high_watermark => self.queue.pop_front().map(|(_, waiter)| waiter),
            _ => None,
        }
    }

    /// Takes the first one whatever it waits for.
    pub fn pop_any(&mut self) -> Option<W> {
        self.queue.pop_front().map(|(_, waiter)| waiter)
    }

    /// Whether nobody is left who should have been served.
    pub fn is_served(&self, high_watermark: Offset) -> bool {
        self.queue.front().is_none_or(|(required, _)| *required > high_watermark)
    }
}

impl<W> Default for Waiters<W> {
    fn default() -> Waiters<W> {
        Waiters::new()
    }
}
