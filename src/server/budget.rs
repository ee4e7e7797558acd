//! Memory for requests in flight and their answers: one budget for all connections, and a share of it for each.
//!
//! A share is taken for bytes that have arrived and for what decoding them will allocate, never for what a length announces.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all connections may hold together, in bytes.
pub struct Budget {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

impl Budget {
    pub fn new(limit_bytes: usize) -> Arc<Budget> {
        Arc::new(Budget { limit_bytes, used_bytes: AtomicUsize::new(0) })
    }

    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }
}

/// Why a share did not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The connection's own limit: it will never fit.
    Connection,
    /// The limit of all: it may fit later.
    Total,
}

/// What one connection holds of the budget; given back when dropped.
pub struct Share {
    budget: Arc<Budget>,
    limit_bytes: usize,
    held_bytes: usize,
}

impl Share {
    pub fn new(budget: &Arc<Budget>, limit_bytes: usize) -> Share {
        Share { budget: Arc::clone(budget), limit_bytes, held_bytes: 0 }
    }

    /// Holds `bytes` from now on, more or less than before. On an error it holds what it held.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Spent> {
        if bytes <= self.held_bytes {
            self.release(self.held_bytes - bytes);
            return Ok(());
        }
        if bytes > self.limit_bytes {
            return Err(Spent::Connection);
        }
        let more = bytes - self.held_bytes;
        let before = self.budget.used_bytes.fetch_add(more, Ordering::Relaxed);
        if before + more > self.budget.limit_bytes {
            self.budget.used_bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(Spent::Total);
        }
        self.held_bytes = bytes;
        Ok(())
    }

    /// As [`Share::hold`], of so much beside what is held already.
    pub fn hold_more(&mut self, bytes: usize) -> Result<(), Spent> {
        self.hold(self.held_bytes.saturating_add(bytes))
    }

    fn release(&mut self, bytes: usize) {
        if bytes > 0 {
            self.budget.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.held_bytes -= bytes;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release(self.held_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_by_their_own_limit_and_by_all() {
        let budget = Budget::new(100);
        let mut first = Share::new(&budget, 60);
        assert_eq!(first.hold(60), Ok(()));
        assert_eq!(first.hold(61), Err(Spent::Connection));
        let mut second = Share::new(&budget, 60);
        assert_eq!(second.hold(41), Err(Spent::Total));
        assert_eq!(second.hold(40), Ok(()));
        assert_eq!(budget.used_bytes(), 100);
        assert_eq!(first.hold(10), Ok(()));
        assert_eq!(second.hold(60), Ok(()));
        drop(first);
        drop(second);
        assert_eq!(budget.used_bytes(), 0);
    }
}
