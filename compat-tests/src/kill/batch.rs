//! Batches whose every byte follows from who sent them and where they stand in the sender's row, so that a reader can tell
//! whether it got what was sent.

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes};

use crate::record_batch::{self, HEADER_BYTES, LOG_OVERHEAD_BYTES, PATCHED_BYTES, Record};
use serde::{Deserialize, Serialize};

/// A record says who sent it, to which partition, and its number.
const IDENTITY_BYTES: usize = 16;
const PADDING_BYTES_MAX: u64 = 200;

/// A producer as the server knows it, and where its sequences begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its place in the list of producers of this run.
    pub index: u32,
    pub id: i64,
    pub epoch: i16,
    /// Sequence of record number 0; close to 2³¹−1 for some, so that the wrap comes under load.
    pub first_sequence: i32,
    /// Time of record number 0, in ms.
    pub start_ms: i64,
}

/// Records `first .. first + count` of one producer to one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Batch {
    pub producer: u32,
    pub partition: i32,
    pub first: u64,
    pub count: u32,
}

impl Batch {
    /// The number behind the last record.
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// The bytes to send.
    pub fn encode(&self, producer: &Producer) -> Bytes {
        assert_eq!(self.producer, producer.index);
        let record = |delta| Record { timestamp_delta: i64::from(delta), key: None, value: Some(self.value(delta)) };
        let batch = record_batch::Batch {
            records: (0..self.count).map(record).collect(),
            first_timestamp: producer.start_ms + as_i64(self.first),
            max_timestamp: producer.start_ms + as_i64(self.end() - 1),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: self.sequence(producer),
            ..record_batch::Batch::default()
        };
        batch.encode().into()
    }

    /// Sequence of the first record: 0 comes after 2³¹−1.
    fn sequence(&self, producer: &Producer) -> i32 {
        let sequence = (u64::from(producer.first_sequence.unsigned_abs()) + self.first) % (1 << 31);
        i32::try_from(sequence).expect("under 2^31")
    }

    fn value(&self, delta: u32) -> Vec<u8> {
        let number = self.first + u64::from(delta);
        let mut value = Vec::new();
        value.put_u32(self.producer);
        value.put_i32(self.partition);
        value.put_u64(number);
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(self.producer);
        let padding = usize::try_from(mixed % PADDING_BYTES_MAX).expect("small");
        value.extend(mixed.to_be_bytes().iter().cycle().take(padding));
        value
    }
}

fn as_i64(number: u64) -> i64 {
    i64::try_from(number).expect("numbers of a test are small")
}

/// Which batches these bytes hold and at which base offsets. A batch that differs from what its producer sent is an error, and
/// so is a cut-off one, except at the end, where Fetch may cut.
pub fn decode(bytes: &[u8], partition: i32, producers: &[Producer]) -> Result<Vec<(i64, Batch)>> {
    decode_of(bytes, partition, |index| producers.iter().find(|producer| producer.index == index).copied())
}

/// As [`decode`], with a way to find a producer by its index.
pub fn decode_of(
    mut bytes: &[u8],
    partition: i32,
    producer: impl Fn(u32) -> Option<Producer>,
) -> Result<Vec<(i64, Batch)>> {
    let mut batches = Vec::new();
    while bytes.len() >= HEADER_BYTES {
        let length = usize::try_from(u32::from_be_bytes(bytes[8..12].try_into()?))? + LOG_OVERHEAD_BYTES;
        if bytes.len() < length {
            break;
        }
        let (batch, rest) = bytes.split_at(length);
        let base_offset = i64::from_be_bytes(batch[..8].try_into()?);
        let found = identity(batch, partition).with_context(|| format!("the batch at offset {base_offset}"))?;
        let sender = producer(found.producer).context("a stranger's batch")?;
        let sent = found.encode(&sender);
        ensure!(sent[PATCHED_BYTES..] == batch[PATCHED_BYTES..], "{found:?} at {base_offset} is not what was sent");
        batches.push((base_offset, found));
        bytes = rest;
    }
    Ok(batches)
}

/// What the first record of a batch says of itself.
fn identity(batch: &[u8], partition: i32) -> Result<Batch> {
    let count = u32::from_be_bytes(batch[57..61].try_into()?);
    let mut record = &batch[HEADER_BYTES..];
    skip_varint(&mut record)?;
    record = record.get(1..).context("cut off")?;
    (0..4).try_for_each(|_| skip_varint(&mut record))?;
    let value: &[u8; IDENTITY_BYTES] = record.first_chunk().context("cut off")?;
    let said = i32::from_be_bytes(value[4..8].try_into()?);
    ensure!(said == partition, "a record for partition {said} in partition {partition}");
    let producer = u32::from_be_bytes(value[..4].try_into()?);
    Ok(Batch { producer, partition, first: u64::from_be_bytes(value[8..].try_into()?), count })
}

fn skip_varint(bytes: &mut &[u8]) -> Result<()> {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0).context("cut off")?;
    *bytes = &bytes[last + 1..];
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: Producer = Producer { index: 3, id: 7, epoch: 0, first_sequence: i32::MAX - 1, start_ms: 1_000 };
    const BATCH: Batch = Batch { producer: 3, partition: 5, first: 40, count: 9 };

    #[test]
    fn a_batch_is_known_again_wherever_it_lies() {
        let mut stored = BATCH.encode(&PRODUCER).to_vec();
        stored[..8].copy_from_slice(&77_i64.to_be_bytes());
        stored[12..16].copy_from_slice(&4_i32.to_be_bytes());
        let end = stored.len();
        stored.extend_from_slice(&BATCH.encode(&PRODUCER)[..70]);
        assert_eq!(decode(&stored, 5, &[PRODUCER]).unwrap(), vec![(77, BATCH)]);
        assert!(decode(&stored, 4, &[PRODUCER]).is_err());
        assert!(decode(&stored, 5, &[]).is_err());
        stored[end - 1] ^= 1;
        assert!(decode(&stored, 5, &[PRODUCER]).is_err());
    }

    #[test]
    fn sequences_go_on_at_0_behind_the_last() {
        let sequence = |first| Batch { first, ..BATCH }.sequence(&PRODUCER);
        assert_eq!([sequence(0), sequence(1), sequence(2)], [i32::MAX - 1, i32::MAX, 0]);
    }
}
