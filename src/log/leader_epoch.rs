//! Which leader epoch began at which offset (KIP-101): how a replica finds where its history parts from another's.
//!
//! Follows `LeaderEpochFileCache` of Apache Kafka 4.3.1. The file is a cache: the epochs stand in the batches too.
//! Invariant: epochs rise strictly, start offsets never fall.

use crate::model::{LeaderEpoch, Offset};

/// The epochs of one log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
    /// Counts the changes, so that a flush knows whether its copy is the newest.
    version: u64,
}

impl LeaderEpochs {
    pub(crate) fn new(entries: Vec<(LeaderEpoch, Offset)>) -> LeaderEpochs {
        let epochs = LeaderEpochs { entries, version: 0 };
        epochs.invariants();
        epochs
    }

    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.0)
    }

    /// Notes that `epoch` begins at `start_offset`, unless it or a later one has begun. An older entry that starts at or
    /// behind it held no record, and goes (`maybeTruncateNonMonotonicEntries`).
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if epoch.0 < 0 || self.latest().is_some_and(|latest| epoch <= latest) {
            return;
        }
        self.entries.retain(|entry| entry.1 < start_offset);
        self.entries.push((epoch, start_offset));
        self.version += 1;
        self.invariants();
    }

    /// The largest known epoch up to `requested`, and the offset behind its last record; `None` when the epoch is not known
    /// (`endOffsetFor`).
    pub fn end_offset_for(&self, requested: LeaderEpoch, log_end_offset: Offset) -> Option<(LeaderEpoch, Offset)> {
        if requested.0 < 0 {
            return None;
        }
        if self.latest() == Some(requested) {
            return Some((requested, log_end_offset));
        }
        let above = self.entries.partition_point(|entry| entry.0 <= requested);
        let end_offset = self.entries.get(above)?.1;
        match above.checked_sub(1) {
            Some(floor) => Some((self.entries[floor].0, end_offset)),
            None => Some((requested, end_offset)),
        }
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.1 <= offset);
        above.checked_sub(1).map(|index| self.entries[index].0)
    }

    /// Forgets epochs that begin at or behind the new end.
    pub(crate) fn truncate_from_end(&mut self, end_offset: Offset) {
        let count = self.entries.len();
        self.entries.retain(|entry| entry.1 < end_offset);
        self.version += u64::from(count != self.entries.len());
    }

    /// Forgets every epoch (`LeaderEpochFileCache.clearAndFlush`).
    pub(crate) fn clear(&mut self) {
        self.version += u64::from(!self.entries.is_empty());
        self.entries.clear();
    }

    /// Forgets epochs whose records are all below the new start; the one that spans it begins there from now on.
    pub(crate) fn truncate_from_start(&mut self, start_offset: Offset) {
        let below = self.entries.partition_point(|entry| entry.1 <= start_offset);
        let Some(last) = below.checked_sub(1) else { return };
        if last == 0 && self.entries[0].1 == start_offset {
            return;
        }
        self.entries.drain(..last);
        self.entries[0].1 = start_offset;
        self.version += 1;
        self.invariants();
    }

    fn invariants(&self) {
        for pair in self.entries.windows(2) {
            assert!(pair[0].0 < pair[1].0, "epochs rise: {pair:?}");
            assert!(pair[0].1 <= pair[1].1, "start offsets never fall: {pair:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs::new(entries.iter().map(|(epoch, offset)| (LeaderEpoch(*epoch), Offset(*offset))).collect())
    }

    fn check(epochs: &LeaderEpochs, expected: &[(i32, i64)]) {
        let entries: Vec<_> = epochs.entries().iter().map(|entry| (entry.0.0, entry.1.0)).collect();
        assert_eq!(entries, expected);
    }

    #[test]
    fn end_offsets_are_answered_as_kafka_answers_them() {
        let epochs = epochs(&[(2, 0), (4, 10), (7, 30)]);
        for (requested, expected) in [
            (-1, None),
            (0, Some((0, 0))),
            (1, Some((1, 0))),
            (2, Some((2, 10))),
            (3, Some((2, 10))),
            (4, Some((4, 30))),
            (6, Some((4, 30))),
            (7, Some((7, 99))),
            (8, None),
        ] {
            let answer = epochs.end_offset_for(LeaderEpoch(requested), Offset(99));
            assert_eq!(answer.map(|(epoch, offset)| (epoch.0, offset.0)), expected, "epoch {requested}");
        }
        assert_eq!(LeaderEpochs::default().end_offset_for(LeaderEpoch(0), Offset(0)), None);
    }

    #[test]
    fn an_epoch_without_records_gives_way() {
        let mut epochs = epochs(&[(1, 0)]);
        epochs.assign(LeaderEpoch(2), Offset(10));
        epochs.assign(LeaderEpoch(3), Offset(10));
        epochs.assign(LeaderEpoch(3), Offset(11));
        epochs.assign(LeaderEpoch(1), Offset(12));
        check(&epochs, &[(1, 0), (3, 10)]);
    }

    #[test]
    fn both_ends_are_cut() {
        let mut cut = epochs(&[(1, 0), (2, 10), (3, 20)]);
        cut.truncate_from_end(Offset(20));
        check(&cut, &[(1, 0), (2, 10)]);
        cut.truncate_from_start(Offset(5));
        check(&cut, &[(1, 5), (2, 10)]);
        cut.truncate_from_start(Offset(10));
        check(&cut, &[(2, 10)]);
        cut.truncate_from_start(Offset(50));
        check(&cut, &[(2, 50)]);
    }
}
