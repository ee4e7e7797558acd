//! A batch anew, from some or all of its records: what compaction leaves of one, and what another codec makes of one.
//!
//! Offsets, leader epoch, producer and sequences stay: the batch ends at the offset where it ended, whatever goes, so that the last
//! sequence of its producer is still told by its header. Source: `MemoryRecords.filterTo` and `buildRetainedRecordsInto`,
//! `DefaultRecordBatch.writeEmptyHeader`.

use crate::protocol::compression::{Compression, compress_with};
use crate::protocol::record_batch::{
    BatchHeader, CODEC_MASK, DELETE_HORIZON_MASK, HEADER_BYTES, LOG_OVERHEAD_BYTES, TimestampType, seal,
};
use crate::protocol::records::Record;

/// Kafka's `RecordBatch.NO_TIMESTAMP`.
const NO_TIMESTAMP: i64 = -1;

/// A batch that is being made of records of another one.
pub struct Rebuild {
    header: BatchHeader,
    delete_horizon_ms: Option<i64>,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    record_count: i32,
    records: Vec<u8>,
}

impl Rebuild {
    /// Begins a batch of records of the batch that `header` is of. With a delete horizon the header tells it in the place of the
    /// first timestamp (KIP-534).
    pub fn new(header: &BatchHeader, delete_horizon_ms: Option<i64>) -> Rebuild {
        Rebuild {
            header: *header,
            delete_horizon_ms,
            base_timestamp_ms: NO_TIMESTAMP,
            max_timestamp_ms: NO_TIMESTAMP,
            record_count: 0,
            records: Vec::new(),
        }
    }

    /// Adds a record; they come in the order of their offsets.
    pub fn push(&mut self, record: &Record<'_>) {
        if self.record_count == 0 {
            self.base_timestamp_ms = self.delete_horizon_ms.unwrap_or(record.timestamp_ms);
        }
        record.encode(self.header.base_offset, self.base_timestamp_ms, &mut self.records);
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        self.record_count += 1;
    }

    /// The whole batch, with its CRC.
    ///
    /// # Panics
    /// Without a record: that is [`empty_batch`].
    pub fn finish(self, compression: Compression) -> Vec<u8> {
        assert!(self.record_count > 0, "a batch without records is made by `empty_batch`");
        let header = &self.header;
        let max_timestamp_ms = match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp_ms,
            TimestampType::CreateTime => self.max_timestamp_ms,
        };
        let horizon = if self.delete_horizon_ms.is_some() { DELETE_HORIZON_MASK } else { 0 };
        let attributes = (header.attributes & !(CODEC_MASK | DELETE_HORIZON_MASK)) | compression.codec as i16 | horizon;
        let (base_timestamp_ms, record_count) = (self.base_timestamp_ms, self.record_count);
        let rebuilt = BatchHeader { attributes, base_timestamp_ms, max_timestamp_ms, record_count, ..*header };
        write(rebuilt, &compress_with(compression, &self.records))
    }
}

/// The batch without any record, kept for its producer's sequence and its offsets.
pub fn empty_batch(header: &BatchHeader) -> Vec<u8> {
    let attributes = header.attributes & !(CODEC_MASK | DELETE_HORIZON_MASK);
    let base_timestamp_ms = NO_TIMESTAMP;
    write(BatchHeader { attributes, base_timestamp_ms, record_count: 0, ..*header }, &[])
}

fn write(header: BatchHeader, records: &[u8]) -> Vec<u8> {
    let length = HEADER_BYTES - LOG_OVERHEAD_BYTES + records.len();
    let batch_length = i32::try_from(length).expect("records of one batch are bounded far under 2 GiB");
    let mut batch = Vec::with_capacity(HEADER_BYTES + records.len());
    batch.extend_from_slice(&BatchHeader { batch_length, ..header }.encode());
    batch.extend_from_slice(records);
    seal(&mut batch);
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};
    use crate::protocol::compression::decompress;
    use crate::protocol::record_batch::{BatchView, Codec};
    use crate::protocol::records::{RecordBatchBuilder, RecordIter};

    /// Four records at offsets 100 to 103, as they lie in a log.
    fn stored() -> Vec<u8> {
        let builder = RecordBatchBuilder::new(LeaderEpoch(7), 1000);
        let mut builder = builder.producer(ProducerId(9), ProducerEpoch(2), Sequence(40));
        builder.append_with_headers(1000, Some(b"a"), Some(b"1"), &[(b"h", Some(b"x")), (b"i", None)]);
        builder.append(1900, Some(b"b"), Some(b"2"));
        builder.append(1500, Some(b"a"), None);
        builder.append(1200, Some(b"c"), Some(b"3"));
        let mut bytes = builder.build().to_vec();
        bytes[..8].copy_from_slice(&100i64.to_be_bytes());
        bytes
    }

    fn rebuild(header: &BatchHeader, kept: &[Record<'_>], horizon: Option<i64>, codec: Codec) -> Vec<u8> {
        let mut rebuild = Rebuild::new(header, horizon);
        kept.iter().for_each(|record| rebuild.push(record));
        rebuild.finish(Compression::of(codec))
    }

    type Told = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn told(batch: &[u8]) -> (BatchHeader, Vec<Told>) {
        let view = BatchView::parse(batch).expect("a batch");
        assert_eq!(view.validate(), Ok(()));
        assert_eq!(view.bytes().len(), batch.len());
        let codec = view.header.codec().expect("a codec");
        let records = decompress(codec, view.records(), 1 << 20).expect("records");
        let told = RecordIter::new(view.header, &records).map(|record| {
            let record = record.expect("a record");
            let bytes = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
            let headers = record.headers().count();
            (record.offset.0, record.timestamp_ms, bytes(record.key), bytes(record.value), headers)
        });
        (view.header, told.collect())
    }

    #[test]
    fn what_stays_has_its_offset_time_headers_and_sequence_in_every_codec() {
        let stored = stored();
        let view = BatchView::parse(&stored).expect("a batch");
        let records: Vec<_> = RecordIter::new(view.header, view.records()).map(|record| record.expect("ok")).collect();
        let (before, all) = told(&stored);
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            for horizon in [None, Some(5_000_000)] {
                let kept = [records[0], records[2]];
                let (header, left) = told(&rebuild(&view.header, &kept, horizon, codec));
                assert_eq!(left, [all[0].clone(), all[2].clone()]);
                assert_eq!(left[0].4, 2);
                assert_eq!((header.codec(), header.has_delete_horizon()), (Ok(codec), horizon.is_some()));
                assert_eq!((header.base_timestamp_ms, header.max_timestamp_ms), (horizon.unwrap_or(1000), 1500));
                assert_eq!((header.base_offset, header.last_offset()), (Offset(100), Offset(103)));
                assert_eq!((header.base_sequence, header.last_sequence()), (Sequence(40), Sequence(43)));
                assert_eq!(header.partition_leader_epoch, before.partition_leader_epoch);
                assert_eq!(header.record_count, 2);
            }
        }
    }

    #[test]
    fn a_horizon_stays_when_the_batch_is_rebuilt_once_more() {
        let stored = stored();
        let view = BatchView::parse(&stored).expect("a batch");
        let records: Vec<_> = RecordIter::new(view.header, view.records()).map(|record| record.expect("ok")).collect();
        let first = rebuild(&view.header, &records, Some(77), Codec::None);
        let view = BatchView::parse(&first).expect("a batch");
        let again: Vec<_> = RecordIter::new(view.header, view.records()).map(|record| record.expect("ok")).collect();
        assert_eq!(again, records);
        assert_eq!(rebuild(&view.header, &again, Some(77), Codec::None), first);
    }

    #[test]
    fn an_empty_batch_keeps_what_its_producer_needs() {
        let (header, records) = told(&empty_batch(&told(&stored()).0));
        assert_eq!((records.len(), header.record_count), (0, 0));
        assert_eq!((header.base_offset, header.last_offset()), (Offset(100), Offset(103)));
        assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(9), ProducerEpoch(2)));
        assert_eq!(header.last_sequence(), Sequence(43));
        assert_eq!((header.base_timestamp_ms, header.max_timestamp_ms), (-1, 1900));
    }
}
