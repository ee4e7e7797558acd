//! Idempotent producers of one partition (KIP-98): which batch may come next, and which have come already.
//!
//! Follows `ProducerStateManager`, `ProducerAppendInfo` and `ProducerStateEntry` of Apache Kafka 4.3.1. State is kept by time,
//! not by what the log still holds (KIP-360). Of each producer the last five batches are known, so that a batch sent again
//! gets the offset it had. Transactions are not tracked.
//!
//! Invariant: the batches of an entry rise in offset, and each has the entry's epoch.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::log::error::AppendError;
use crate::model::{Now, Offset, ProducerEpoch, ProducerId, Sequence};
use crate::protocol::record_batch::BatchHeader;

/// Kafka's producers have at most five requests in flight, so that none older is ever sent again.
pub const BATCHES_KEPT: usize = 5;

/// A batch that a producer has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBatch {
    pub last_sequence: Sequence,
    pub last_offset: Offset,
    /// Offsets between the first and the last record.
    pub offset_delta: i32,
    pub timestamp_ms: i64,
}

impl ProducerBatch {
    pub fn first_sequence(&self) -> Sequence {
        let first = i64::from(self.last_sequence.0) - i64::from(self.offset_delta);
        let wrapped = if first < 0 { first + (1 << 31) } else { first };
        Sequence(i32::try_from(wrapped).expect("a difference of two i32 from 0 to 2³¹−1, wrapped"))
    }

    pub fn first_offset(&self) -> Offset {
        self.last_offset + -i64::from(self.offset_delta)
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    pub epoch: ProducerEpoch,
    /// Oldest first.
    pub batches: SmallVec<[ProducerBatch; BATCHES_KEPT]>,
    /// -1 unless a transaction coordinator has written a marker.
    pub coordinator_epoch: i32,
    /// Of the last batch; what the expiry counts from.
    pub last_timestamp_ms: i64,
}

impl ProducerEntry {
    pub fn last_sequence(&self) -> Sequence {
        self.batches.last().map_or(Sequence(-1), |batch| batch.last_sequence)
    }

    fn invariants(&self) {
        for pair in self.batches.windows(2) {
            assert!(pair[0].last_offset < pair[1].last_offset, "batches rise in offset: {pair:?}");
        }
    }
}

/// What the state says about a batch that has not been appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It follows, or it has no producer id.
    Next,
    /// It stands in the log already.
    Duplicate(ProducerBatch),
}

/// The producers of one partition by id. A tree, because clients choose the ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    entries: BTreeMap<ProducerId, ProducerEntry>,
}

/// What to put back when an append fails after its producers have been noted.
pub(crate) type Undo = SmallVec<[(ProducerId, Option<ProducerEntry>); 2]>;

impl Producers {
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn insert(&mut self, id: ProducerId, entry: ProducerEntry) {
        entry.invariants();
        self.entries.insert(id, entry);
    }

    pub(crate) fn get(&self, id: ProducerId) -> Option<&ProducerEntry> {
        self.entries.get(&id)
    }

    /// Decides on a client's batch (`findDuplicateBatch`, `checkProducerEpoch`, `checkSequence`).
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Verdict, AppendError> {
        if !header.has_producer_id() {
            return Ok(Verdict::Next);
        }
        // A producer that is not known may begin anywhere: its records may have been deleted, its state expired.
        let Some(entry) = self.entries.get(&header.producer_id) else { return Ok(Verdict::Next) };
        let (first, last) = (header.base_sequence, header.last_sequence());
        if header.producer_epoch == entry.epoch {
            let same = |batch: &&ProducerBatch| batch.first_sequence() == first && batch.last_sequence == last;
            if let Some(batch) = entry.batches.iter().find(same) {
                return Ok(Verdict::Duplicate(*batch));
            }
        }
        if header.producer_epoch < entry.epoch {
            return Err(AppendError::StaleProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current_epoch: entry.epoch,
            });
        }
        let follows = if header.producer_epoch > entry.epoch {
            first == Sequence(0)
        } else {
            follows(entry.last_sequence(), first)
        };
        if follows {
            return Ok(Verdict::Next);
        }
        Err(AppendError::OutOfOrderSequence {
            producer_id: header.producer_id,
            first_sequence: first,
            last_sequence: entry.last_sequence(),
        })
    }

    /// Notes a batch that has been given its offset.
    pub(crate) fn note(&mut self, header: &BatchHeader) {
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        let entry = self.entries.entry(header.producer_id).or_insert_with(|| ProducerEntry {
            epoch: header.producer_epoch,
            batches: SmallVec::new(),
            coordinator_epoch: -1,
            last_timestamp_ms: header.max_timestamp_ms,
        });
        if entry.epoch != header.producer_epoch {
            entry.epoch = header.producer_epoch;
            entry.batches.clear();
        }
        if entry.batches.len() == BATCHES_KEPT {
            entry.batches.remove(0);
        }
        entry.batches.push(ProducerBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp_ms: header.max_timestamp_ms,
        });
        entry.last_timestamp_ms = header.max_timestamp_ms;
        entry.invariants();
    }

    /// As [`Producers::note`], and remembers what was there before.
    pub(crate) fn note_undoably(&mut self, header: &BatchHeader, undo: &mut Undo) {
        if header.has_producer_id() {
            undo.push((header.producer_id, self.entries.get(&header.producer_id).cloned()));
            self.note(header);
        }
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        for (id, entry) in undo.into_iter().rev() {
            match entry {
                Some(entry) => self.entries.insert(id, entry),
                None => self.entries.remove(&id),
            };
        }
    }

    /// Forgets producers that have written nothing for `expiration_ms` (`isProducerExpired`).
    pub(crate) fn expire(&mut self, now: Now, expiration_ms: i64) {
        self.entries.retain(|_, entry| now.wall_ms.saturating_sub(entry.last_timestamp_ms) < expiration_ms);
    }
}

/// `ProducerAppendInfo.inSequence`: after 2³¹−1 comes 0.
fn follows(last: Sequence, next: Sequence) -> bool {
    next == last.plus(1)
}
