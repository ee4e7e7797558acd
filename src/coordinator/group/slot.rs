//! A value with its not yet committed past: the speculative value on top, and under it what committed readers see.

use std::collections::VecDeque;

/// Invariant: `before` is either absent or not empty.
#[derive(Debug)]
pub(super) struct Slot<V> {
    latest: Option<V>,
    /// Boxed: almost always absent.
    before: Option<Box<Past<V>>>,
}

/// What the latest value was before each change that is not committed, oldest first.
#[derive(Debug)]
struct Past<V>(VecDeque<Option<V>>);

impl<V> Default for Slot<V> {
    fn default() -> Slot<V> {
        Slot { latest: None, before: None }
    }
}

impl<V> Slot<V> {
    pub(super) fn latest(&self) -> Option<&V> {
        self.latest.as_ref()
    }

    pub(super) fn latest_mut(&mut self) -> Option<&mut V> {
        self.latest.as_mut()
    }

    /// What a reader of the committed state sees.
    pub(super) fn committed(&self) -> Option<&V> {
        match self.before.as_ref().and_then(|before| before.0.front()) {
            Some(oldest) => oldest.as_ref(),
            None => self.latest.as_ref(),
        }
    }

    /// Changes the speculative value.
    pub(super) fn set(&mut self, value: Option<V>) {
        let old = std::mem::replace(&mut self.latest, value);
        self.before.get_or_insert_with(|| Box::new(Past(VecDeque::new()))).0.push_back(old);
    }

    /// Sets the value as read from the log: committed, without a past.
    pub(super) fn load(&mut self, value: Option<V>) {
        self.latest = value;
    }

    /// The oldest change is committed now.
    pub(super) fn commit(&mut self) {
        let before = self.before.as_mut().expect("a committed change was pending");
        before.0.pop_front().expect("pending changes are not empty");
        if before.0.is_empty() {
            self.before = None;
        }
    }

    /// Takes the newest change back and returns the value that it had brought.
    pub(super) fn revert(&mut self) -> Option<V> {
        let before = self.before.as_mut().expect("a reverted change was pending");
        let old = before.0.pop_back().expect("pending changes are not empty");
        if before.0.is_empty() {
            self.before = None;
        }
        std::mem::replace(&mut self.latest, old)
    }

    /// Whether no state at all remembers a value.
    pub(super) fn is_gone(&self) -> bool {
        self.latest.is_none() && self.before.is_none()
    }

    /// The newest value and every value of the past, for a coordinator that lets go of them.
    pub(super) fn into_values(self) -> impl Iterator<Item = V> {
        let before = self.before.map(|before| before.0).unwrap_or_default();
        before.into_iter().chain([self.latest]).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_readers_see_changes_one_by_one() {
        let mut slot = Slot::default();
        slot.set(Some(1));
        slot.set(Some(2));
        slot.set(None);
        assert_eq!((slot.latest(), slot.committed()), (None, None));
        slot.commit();
        assert_eq!(slot.committed(), Some(&1));
        slot.commit();
        assert_eq!(slot.committed(), Some(&2));
        assert!(!slot.is_gone());
        slot.commit();
        assert_eq!(slot.committed(), None);
        assert!(slot.is_gone());
    }

    #[test]
    fn a_revert_takes_back_the_newest_change_only() {
        let mut slot = Slot::default();
        slot.load(Some(1));
        slot.set(Some(2));
        slot.set(Some(3));
        assert_eq!(slot.revert(), Some(3));
        assert_eq!((slot.latest(), slot.committed()), (Some(&2), Some(&1)));
        assert_eq!(slot.revert(), Some(2));
        assert_eq!((slot.latest(), slot.committed()), (Some(&1), Some(&1)));
    }
}
