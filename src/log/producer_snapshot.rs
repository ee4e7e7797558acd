//! Producer state on disk: Kafka's `.snapshot`, which holds one batch of each producer, and beside it our `.producers`, which
//! holds the last five.
//!
//! Kafka's file is `ProducerSnapshot.json` version 1 of Apache Kafka 4.3.1: version, CRC-32C of what follows, entries. Ours has
//! the same frame, and belongs to a snapshot by that one's CRC: an orphan, or one that a crash has torn, is not believed, and
//! then one batch of each producer is known, as in Kafka.

use smallvec::SmallVec;

use crate::log::producers::{BATCHES_KEPT, ProducerBatch, ProducerEntry, Producers};
use crate::model::{Offset, ProducerEpoch, ProducerId, Sequence};

pub(crate) const SNAPSHOT_SUFFIX: &str = "snapshot";
pub(crate) const SIDECAR_SUFFIX: &str = "producers";

const VERSION: i16 = 1;
const CRC_POSITION: usize = 2;
const ENTRIES_POSITION: usize = 6;
const ENTRY_BYTES: usize = 46;
/// Kafka's "no transaction".
const NO_TRANSACTION: i64 = -1;

/// The content of a `.snapshot`.
pub(crate) fn encode_snapshot(producers: &Producers) -> Vec<u8> {
    let mut bytes = frame(producers.len());
    for (id, entry) in producers.iter() {
        let none =
            ProducerBatch { last_sequence: Sequence(-1), last_offset: Offset::NONE, offset_delta: 0, timestamp_ms: -1 };
        let last = entry.batches.last().copied().unwrap_or(none);
        bytes.extend_from_slice(&id.0.to_be_bytes());
        bytes.extend_from_slice(&entry.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&last.last_sequence.0.to_be_bytes());
        bytes.extend_from_slice(&last.last_offset.0.to_be_bytes());
        bytes.extend_from_slice(&last.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&entry.last_timestamp_ms.to_be_bytes());
        bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        bytes.extend_from_slice(&NO_TRANSACTION.to_be_bytes());
    }
    seal(bytes)
}

/// The content of the `.producers` that belongs to the snapshot.
pub(crate) fn encode_sidecar(producers: &Producers, snapshot: &[u8]) -> Vec<u8> {
    let mut bytes = frame(producers.len());
    bytes.extend_from_slice(&snapshot[CRC_POSITION..ENTRIES_POSITION]);
    for (id, entry) in producers.iter() {
        bytes.extend_from_slice(&id.0.to_be_bytes());
        bytes.extend_from_slice(&i32::try_from(entry.batches.len()).expect("at most five").to_be_bytes());
        for batch in &entry.batches {
            bytes.extend_from_slice(&batch.last_sequence.0.to_be_bytes());
            bytes.extend_from_slice(&batch.last_offset.0.to_be_bytes());
            bytes.extend_from_slice(&batch.offset_delta.to_be_bytes());
            bytes.extend_from_slice(&batch.timestamp_ms.to_be_bytes());
        }
    }
    seal(bytes)
}

/// Reads a `.snapshot`, ours or Kafka's; `None` when it is damaged.
pub(crate) fn decode_snapshot(snapshot: &[u8]) -> Option<Producers> {
    let (count, mut reader) = open_entries(snapshot)?;
    let mut producers = Producers::default();
    for _ in 0..count {
        let id = ProducerId(reader.i64()?);
        let epoch = ProducerEpoch(reader.i16()?);
        let batch = ProducerBatch {
            last_sequence: Sequence(reader.i32()?),
            last_offset: Offset(reader.i64()?),
            offset_delta: reader.i32()?,
            timestamp_ms: reader.i64()?,
        };
        let coordinator_epoch = reader.i32()?;
        reader.i64()?;
        let mut entry =
            ProducerEntry { epoch, batches: SmallVec::new(), coordinator_epoch, last_timestamp_ms: batch.timestamp_ms };
        if batch.last_offset.0 >= 0 {
            entry.batches.push(batch);
        }
        producers.insert(id, entry);
    }
    Some(producers)
}

/// The producers that had a transaction open; `None` when the snapshot is damaged.
pub(crate) fn decode_open_transactions(snapshot: &[u8]) -> Option<Vec<ProducerId>> {
    let (count, mut reader) = open_entries(snapshot)?;
    let mut open = Vec::new();
    for _ in 0..count {
        let id = ProducerId(reader.i64()?);
        // Epoch, sequence, offset, delta, timestamp and coordinator epoch.
        reader.take::<30>()?;
        if reader.i64()? != NO_TRANSACTION {
            open.push(id);
        }
    }
    Some(open)
}

/// The number of entries, and a reader that stands at the first.
fn open_entries(snapshot: &[u8]) -> Option<(i32, Reader<'_>)> {
    let mut reader = Reader::open(snapshot)?;
    let count = reader.i32()?;
    let is_whole = usize::try_from(count).ok()?.checked_mul(ENTRY_BYTES)? == reader.bytes.len();
    is_whole.then_some((count, reader))
}

/// Adds the older batches to what a snapshot gave; leaves it as it is when the sidecar is not the snapshot's.
pub(crate) fn apply_sidecar(producers: &mut Producers, snapshot: &[u8], sidecar: &[u8]) {
    if let Some(full) = decode_sidecar(producers, snapshot, sidecar) {
        *producers = full;
    }
}

fn decode_sidecar(producers: &Producers, snapshot: &[u8], sidecar: &[u8]) -> Option<Producers> {
    let mut reader = Reader::open(sidecar)?;
    let count = reader.i32()?;
    if reader.take::<4>()? != snapshot.get(CRC_POSITION..ENTRIES_POSITION)? {
        return None;
    }
    let mut full = producers.clone();
    for _ in 0..count {
        let id = ProducerId(reader.i64()?);
        let batch_count = reader.i32()?;
        if !(0..=i32::try_from(BATCHES_KEPT).expect("five")).contains(&batch_count) {
            return None;
        }
        let mut entry = producers.get(id)?.clone();
        entry.batches.clear();
        for _ in 0..batch_count {
            entry.batches.push(ProducerBatch {
                last_sequence: Sequence(reader.i32()?),
                last_offset: Offset(reader.i64()?),
                offset_delta: reader.i32()?,
                timestamp_ms: reader.i64()?,
            });
        }
        full.insert(id, entry);
    }
    reader.bytes.is_empty().then_some(full)
}

fn frame(count: usize) -> Vec<u8> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&i32::try_from(count).expect("far fewer producers fit in memory").to_be_bytes());
    bytes
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&bytes[ENTRIES_POSITION..]);
    bytes[CRC_POSITION..ENTRIES_POSITION].copy_from_slice(&crc.to_be_bytes());
    bytes
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Option<Reader<'a>> {
        let mut reader = Reader { bytes };
        let version = reader.i16()?;
        let crc = u32::from_be_bytes(reader.take::<4>()?);
        (version == VERSION && crc == crc32c::crc32c(reader.bytes)).then_some(reader)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producers() -> Producers {
        let mut producers = Producers::default();
        for id in 0..3i32 {
            let batches = (0..=id * 2).map(|number| ProducerBatch {
                last_sequence: Sequence(number * 2 + 1),
                last_offset: Offset(i64::from(number * 10 + id)),
                offset_delta: 1,
                timestamp_ms: 1000 + i64::from(number),
            });
            let entry = ProducerEntry {
                epoch: ProducerEpoch(4),
                batches: batches.collect(),
                coordinator_epoch: -1,
                last_timestamp_ms: 1000 + i64::from(id) * 2,
            };
            producers.insert(ProducerId(i64::from(id)), entry);
        }
        producers
    }

    #[test]
    fn a_snapshot_keeps_the_last_batch_and_its_sidecar_the_last_five() {
        let producers = producers();
        let snapshot = encode_snapshot(&producers);
        let mut read = decode_snapshot(&snapshot).unwrap();
        for (id, entry) in producers.iter() {
            let last = entry.batches[entry.batches.len() - 1..].into();
            assert_eq!(read.get(id), Some(&ProducerEntry { batches: last, ..entry.clone() }));
        }
        let alone = read.clone();
        apply_sidecar(&mut read, &snapshot, &encode_sidecar(&producers, &snapshot));
        assert_eq!(read, producers);
        // A sidecar of another snapshot is not believed.
        let other = encode_snapshot(&Producers::default());
        let mut read = alone.clone();
        apply_sidecar(&mut read, &snapshot, &encode_sidecar(&producers, &other));
        assert_eq!(read, alone);
    }

    #[test]
    fn an_open_transaction_is_seen_by_its_first_offset() {
        let mut snapshot = encode_snapshot(&producers());
        assert_eq!(decode_open_transactions(&snapshot), Some(Vec::new()));
        let of_second = ENTRIES_POSITION + 4 + 2 * ENTRY_BYTES - 8;
        snapshot[of_second..of_second + 8].copy_from_slice(&7i64.to_be_bytes());
        assert_eq!(decode_open_transactions(&snapshot), None, "its checksum is another one now");
        assert_eq!(decode_open_transactions(&seal(snapshot)), Some(vec![ProducerId(1)]));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let producers = producers();
        let snapshot = encode_snapshot(&producers);
        let sidecar = encode_sidecar(&producers, &snapshot);
        let alone = decode_snapshot(&snapshot).unwrap();
        for cut in 0..snapshot.len() {
            assert_eq!(decode_snapshot(&snapshot[..cut]), None);
        }
        for bit in 0..sidecar.len() * 8 {
            let mut flipped = sidecar.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut read = alone.clone();
            apply_sidecar(&mut read, &snapshot, &flipped);
            assert_eq!(read, alone);
        }
        for bit in 0..snapshot.len() * 8 {
            let mut flipped = snapshot.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_snapshot(&flipped), None);
        }
    }
}
