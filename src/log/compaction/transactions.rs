//! Which transactional batches count, and which markers are still needed (`CleanedTransactionMetadata`).
//!
//! Kafka knows the transactions that were aborted from its transaction index; here they are read from the log itself, when the
//! first batch of a transaction is met: a log without transactions is not read once more for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{Offset, ProducerId};

/// A transaction that was aborted, as far as the log still holds batches of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Where its marker is.
    pub last_offset: Offset,
}

/// What a marker says of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Abort,
    Commit,
    /// Of another kind than transactions, or of one that is not known: it stays.
    Other,
    /// A marker whose record has gone; the batch stays for its producer only.
    Empty,
}

impl Marker {
    /// Reads the key of a control record: version and type (`ControlRecordType.parse`).
    pub fn of_key(key: Option<&[u8]>) -> Marker {
        match key.and_then(|key| key.get(2..4)) {
            Some([0, 0]) => Marker::Abort,
            Some([0, 1]) => Marker::Commit,
            _ => Marker::Other,
        }
    }
}

/// Finds the aborted transactions of a log that is told of its batches from the first on.
#[derive(Debug, Default)]
pub(super) struct Finder {
    open: BTreeMap<ProducerId, Offset>,
    found: Vec<AbortedTransaction>,
}

impl Finder {
    pub fn on_data(&mut self, producer_id: ProducerId, base_offset: Offset) {
        self.open.entry(producer_id).or_insert(base_offset);
    }

    pub fn on_marker(&mut self, producer_id: ProducerId, marker: Marker, last_offset: Offset) {
        if marker == Marker::Other {
            return;
        }
        if let (Some(first_offset), Marker::Abort) = (self.open.remove(&producer_id), marker) {
            self.found.push(AbortedTransaction { producer_id, first_offset, last_offset });
        }
    }

    /// By their first offsets.
    pub fn finish(mut self) -> Vec<AbortedTransaction> {
        self.found.sort_by_key(|transaction| transaction.first_offset);
        self.found
    }
}

/// What is known while batches are read in their order.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    ahead: VecDeque<AbortedTransaction>,
    /// Of each producer whose transaction was aborted, whether a batch of it was met.
    aborted: BTreeMap<ProducerId, bool>,
    /// Producers of whose committed transaction a batch was met.
    committed: BTreeSet<ProducerId>,
}

impl Transactions {
    /// For reading from `from` on.
    pub fn new(aborted: &[AbortedTransaction], from: Offset) -> Transactions {
        let ahead = aborted.iter().filter(|transaction| transaction.last_offset >= from).copied().collect();
        Transactions { ahead, ..Transactions::default() }
    }

    /// Whether a batch of records belongs to a transaction that was aborted.
    pub fn is_aborted(&mut self, producer_id: ProducerId, is_transactional: bool, last_offset: Offset) -> bool {
        self.begin_up_to(last_offset);
        if !is_transactional {
            return false;
        }
        match self.aborted.get_mut(&producer_id) {
            Some(met) => {
                *met = true;
                true
            }
            None => {
                self.committed.insert(producer_id);
                false
            }
        }
    }

    /// Whether a marker is not needed any more: no batch of its transaction was met.
    pub fn is_needless(&mut self, producer_id: ProducerId, marker: Marker, last_offset: Offset) -> bool {
        self.begin_up_to(last_offset);
        match marker {
            Marker::Abort => !self.aborted.remove(&producer_id).unwrap_or(false),
            Marker::Commit => !self.committed.remove(&producer_id),
            Marker::Other => false,
            Marker::Empty => true,
        }
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(next) = self.ahead.pop_front_if(|next| next.first_offset <= offset) {
            self.aborted.entry(next.producer_id).or_insert(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ProducerId = ProducerId(1);
    const B: ProducerId = ProducerId(2);

    /// A 0–1 aborted at 4, B 2–3 committed at 5, then A again, committed at 7; the marker at 8 has no batch any more.
    fn aborted() -> Vec<AbortedTransaction> {
        let mut finder = Finder::default();
        finder.on_data(A, Offset(0));
        finder.on_data(A, Offset(1));
        finder.on_data(B, Offset(2));
        finder.on_marker(A, Marker::Abort, Offset(4));
        finder.on_marker(B, Marker::Commit, Offset(5));
        finder.on_data(A, Offset(6));
        finder.on_marker(A, Marker::Commit, Offset(7));
        finder.on_marker(B, Marker::Abort, Offset(8));
        finder.finish()
    }

    #[test]
    fn batches_of_aborted_transactions_are_told_and_markers_stay_as_long_as_their_batches() {
        let expected = AbortedTransaction { producer_id: A, first_offset: Offset(0), last_offset: Offset(4) };
        assert_eq!(aborted(), [expected]);
        let mut transactions = Transactions::new(&aborted(), Offset(0));
        assert!(transactions.is_aborted(A, true, Offset(1)));
        assert!(!transactions.is_aborted(B, true, Offset(3)));
        assert!(!transactions.is_aborted(A, false, Offset(3)), "what is in no transaction is not aborted");
        assert!(!transactions.is_needless(A, Marker::Abort, Offset(4)));
        assert!(!transactions.is_needless(B, Marker::Commit, Offset(5)));
        assert!(!transactions.is_aborted(A, true, Offset(6)), "its next transaction is another");
        assert!(!transactions.is_needless(A, Marker::Commit, Offset(7)));
        assert!(transactions.is_needless(B, Marker::Abort, Offset(8)));
        assert!(transactions.is_needless(A, Marker::Commit, Offset(9)));
        assert!(transactions.is_needless(A, Marker::Empty, Offset(10)));
        assert!(!transactions.is_needless(A, Marker::Other, Offset(11)));
    }

    #[test]
    fn a_transaction_that_ended_before_the_first_batch_that_is_read_aborts_nothing() {
        let mut transactions = Transactions::new(&aborted(), Offset(5));
        assert!(!transactions.is_aborted(A, true, Offset(6)));
        let mut transactions = Transactions::new(&aborted(), Offset(1));
        assert!(transactions.is_aborted(A, true, Offset(1)));
    }
}
