//! Records of an answer to Fetch, as people see them: without control records, and without those of transactions that were aborted.

use std::collections::BTreeSet;

use anyhow::Context as _;
use bytes::Bytes;

use crate::protocol::compression::{compress, decompress};
use crate::protocol::message::fetch_response::AbortedTransaction;
use crate::protocol::record_batch::{BatchError, BatchIter, BatchView, Codec, HEADER_BYTES, recompressed};
use crate::protocol::records::RecordIter;

/// What one batch may hold when it is decompressed, in bytes.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedRecord {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// What one answer holds of one partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    pub records: Vec<OwnedRecord>,
    /// Where to read on.
    pub next_offset: i64,
}

/// Reads records from `offset` on. A batch that the answer cuts off is left for the next one. Errors: damage.
pub fn read(partition: i32, offset: i64, records: &Bytes, aborted: &[AbortedTransaction]) -> anyhow::Result<Fetched> {
    let mut fetched = Fetched { records: Vec::new(), next_offset: offset };
    let mut aborted_now = BTreeSet::new();
    let mut aborted: Vec<(i64, i64)> = aborted.iter().map(|one| (one.first_offset, one.producer_id.0)).collect();
    aborted.sort_unstable();
    for batch in BatchIter::new(records) {
        let batch = match batch {
            Err(BatchError::Truncated { .. }) => break,
            batch => batch.with_context(|| format!("offset {}", fetched.next_offset))?,
        };
        let header = &batch.header;
        let (base, last) = (header.base_offset.0, header.last_offset().0);
        batch.check_crc().with_context(|| format!("the batch at offset {base}"))?;
        let begun = aborted.iter().take_while(|(first, _)| *first <= last).count();
        aborted_now.extend(aborted.drain(..begun).map(|(_, producer)| producer));
        let producer = header.producer_id.0;
        if header.is_control() {
            // The end of its transaction; what the producer writes next is of another one.
            aborted_now.remove(&producer);
        } else if !(header.is_transactional() && aborted_now.contains(&producer)) {
            read_batch(partition, offset, &batch, &mut fetched.records)
                .with_context(|| format!("the batch at offset {base}"))?;
        }
        fetched.next_offset = fetched.next_offset.max(last + 1);
    }
    Ok(fetched)
}

fn read_batch(partition: i32, from: i64, batch: &BatchView<'_>, out: &mut Vec<OwnedRecord>) -> anyhow::Result<()> {
    let bytes = decompress(batch.header.codec()?, batch.records(), BATCH_BYTES_MAX)?;
    for record in RecordIter::new(batch.header, &bytes) {
        let record = record?;
        if record.offset.0 < from {
            continue;
        }
        let headers = record.headers().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)));
        out.push(OwnedRecord {
            partition,
            offset: record.offset.0,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.collect(),
        });
    }
    Ok(())
}

/// A batch with its records compressed; as it is when that would not make it smaller.
pub fn compressed(batch: Bytes, codec: Codec) -> Bytes {
    if codec == Codec::None {
        return batch;
    }
    let records = compress(codec, &batch[HEADER_BYTES..]);
    if records.len() >= batch.len() - HEADER_BYTES {
        return batch;
    }
    recompressed(&batch, codec, &records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
    use crate::protocol::message::WireProducerId;
    use crate::protocol::records::RecordBatchBuilder;

    fn builder() -> RecordBatchBuilder {
        RecordBatchBuilder::new(LeaderEpoch(-1), 1000)
    }

    /// The batch of a builder as if it had been appended at an offset.
    fn at(offset: i64, batch: &Bytes) -> Vec<u8> {
        let mut bytes = batch.to_vec();
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        bytes
    }

    #[test]
    fn every_codec_reads_back() {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut builder = builder();
            for number in 0..100 {
                let value = format!("value {number}");
                builder.append_with_headers(1000 + number, Some(b"k"), Some(value.as_bytes()), &[(b"h", None)]);
            }
            let batch = compressed(builder.build(), codec);
            let view = BatchView::parse(&batch).expect("a batch");
            assert_eq!(view.header.codec(), Ok(codec));
            let fetched = read(3, 90, &batch, &[]).expect("records");
            assert_eq!((fetched.records.len(), fetched.next_offset), (10, 100));
            let expected = OwnedRecord {
                partition: 3,
                offset: 90,
                timestamp_ms: 1090,
                key: Some(b"k".to_vec()),
                value: Some(b"value 90".to_vec()),
                headers: vec![(b"h".to_vec(), None)],
            };
            assert_eq!(fetched.records[0], expected);
        }
    }

    #[test]
    fn what_was_aborted_and_what_is_control_is_passed_over() {
        let of_producer = |id| builder().producer(ProducerId(id), ProducerEpoch(0), Sequence(0)).transactional();
        let record = |mut builder: RecordBatchBuilder, value: &[u8]| {
            builder.append(1000, None, Some(value));
            builder.build()
        };
        let marker = || record(of_producer(7).control(), b"marker");
        let log = [
            at(0, &record(of_producer(7), b"aborted")),
            at(1, &record(of_producer(8), b"committed")),
            at(2, &marker()),
            at(3, &record(of_producer(7), b"later")),
        ];
        let mut bytes = log.concat();
        let cut = bytes.len() + 20;
        bytes.extend_from_slice(&at(4, &record(builder(), b"cut off")));
        bytes.truncate(cut);
        let aborted = AbortedTransaction::default().with_producer_id(WireProducerId(7)).with_first_offset(0);
        let fetched = read(0, 0, &Bytes::from(bytes), &[aborted]).expect("records");
        let values: Vec<_> = fetched.records.iter().filter_map(|record| record.value.as_deref()).collect();
        assert_eq!(values, [&b"committed"[..], b"later"]);
        assert_eq!(fetched.next_offset, 4);
    }

    #[test]
    fn damage_is_told_with_its_offset() {
        let mut builder = builder();
        builder.append(1000, None, Some(b"value"));
        let mut bytes = at(5, &builder.build());
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let error = read(0, 5, &Bytes::from(bytes), &[]).expect_err("a broken batch");
        assert!(format!("{error:#}").starts_with("the batch at offset 5"), "{error:#}");
    }
}
