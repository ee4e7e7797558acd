//! What stays of one batch.
//!
//! Follows the filter in `Cleaner.cleanInto`, `Cleaner.shouldRetainRecord` and `MemoryRecords.filterTo` of Apache Kafka 4.3.1. A
//! tombstone, and a marker whose transaction has no batch left, stays for `delete.retention.ms` from the first pass on that could
//! have removed it: that moment is written into its batch (KIP-534). A record without a key goes.

use crate::log::compaction::offset_map::OffsetMap;
use crate::log::compaction::transactions::{Marker, Transactions};
use crate::log::records::{WalkError, payload};
use crate::model::{Offset, ProducerEpoch};
use crate::protocol::compression::Compression;
use crate::protocol::rebuild::{Rebuild, empty_batch};
use crate::protocol::record_batch::{BatchHeader, BatchView};
use crate::protocol::records::{Record, RecordIter};

/// What one pass goes by.
pub(super) struct Rules<'a> {
    pub map: &'a OffsetMap,
    /// Where the part that is cleaned ends: the batch before it stays.
    pub end: Offset,
    /// The last batch of the batch's producer, if that is still known.
    pub last_of_producer: Option<LastOfProducer>,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
}

/// What must stay of a producer (`LastRecord`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastOfProducer {
    /// Its last batch of records.
    Data(Offset),
    /// It has written markers only.
    Marker(ProducerEpoch),
}

/// What stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Retained {
    /// The batch as it is.
    Whole,
    /// Another one in its place.
    Rebuilt(Vec<u8>),
    Nothing,
}

/// Decides on a batch. Batches must come in their order.
pub(super) fn retain(
    batch: &BatchView<'_>,
    rules: &Rules<'_>,
    transactions: &mut Transactions,
) -> Result<Retained, WalkError> {
    let header = &batch.header;
    let payload = payload(batch)?;
    let records = || RecordIter::new(*header, payload.bytes()).map(|record| record.map_err(WalkError::Record));
    let last_offset = header.last_offset();
    let is_marker = header.is_control();
    let can_go = if is_marker {
        let first = records().next().transpose()?;
        let marker = first.map_or(Marker::Empty, |record| Marker::of_key(record.key));
        transactions.is_needless(header.producer_id, marker, last_offset)
    } else {
        transactions.is_aborted(header.producer_id, header.is_transactional(), last_offset)
    };
    let horizon_ms = header.has_delete_horizon().then_some(header.base_timestamp_ms);
    let is_past_horizon = horizon_ms.is_some_and(|horizon_ms| horizon_ms <= rules.now_ms);
    let all_go = can_go && (!is_marker || is_past_horizon);
    let stays = |record: &Record<'_>| !all_go && (is_marker || retains(record, rules.map, is_past_horizon));
    // Counted first and written afterwards: a batch of millions of records is never held as a list of them.
    let (mut kept_count, mut has_tombstone) = (0, false);
    for record in records() {
        let record = record?;
        if stays(&record) {
            kept_count += 1;
            has_tombstone |= !is_marker && record.value.is_none();
        }
    }
    if kept_count == 0 {
        return Ok(retain_empty(header, rules));
    }
    let needs_horizon = (has_tombstone || (can_go && is_marker)) && horizon_ms.is_none();
    if kept_count == header.record_count && !needs_horizon {
        return Ok(Retained::Whole);
    }
    let new_horizon_ms = rules.now_ms.saturating_add(rules.delete_retention_ms);
    let mut rebuild = Rebuild::new(header, if needs_horizon { Some(new_horizon_ms) } else { horizon_ms });
    for record in records() {
        let record = record?;
        if stays(&record) {
            rebuild.push(&record);
        }
    }
    let codec = header.codec().map_err(WalkError::Batch)?;
    Ok(Retained::Rebuilt(rebuild.finish(Compression::of(codec))))
}

/// Whether a record is the last one of its key, as far as the map reaches, and no tombstone whose time is over.
fn retains(record: &Record<'_>, map: &OffsetMap, is_past_horizon: bool) -> bool {
    if record.offset > map.latest {
        return true;
    }
    let Some(key) = record.key else { return false };
    let is_last = map.get(key).is_none_or(|last| record.offset >= last);
    is_last && (record.value.is_some() || !is_past_horizon)
}

fn retain_empty(header: &BatchHeader, rules: &Rules<'_>) -> Retained {
    let is_last_of_producer = header.has_producer_id()
        && rules.last_of_producer.is_some_and(|last| match last {
            LastOfProducer::Data(offset) => header.last_offset() == offset,
            LastOfProducer::Marker(epoch) => header.is_control() && header.producer_epoch == epoch,
        });
    if !is_last_of_producer && header.next_offset() != rules.end {
        return Retained::Nothing;
    }
    if header.record_count == 0 { Retained::Whole } else { Retained::Rebuilt(empty_batch(header)) }
}

/// Puts the records of a batch that counts into the map, from an offset on; false when the map is full.
pub(super) fn note_keys(batch: &BatchView<'_>, from: Offset, map: &mut OffsetMap) -> Result<bool, WalkError> {
    let payload = payload(batch)?;
    for record in RecordIter::new(batch.header, payload.bytes()) {
        let record = record.map_err(WalkError::Record)?;
        let Some(key) = record.key.filter(|_| record.offset >= from) else { continue };
        if !map.put(key, record.offset) {
            return Ok(false);
        }
    }
    Ok(true)
}
