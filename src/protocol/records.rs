//! The records inside a batch v2, uncompressed: a walker that borrows, and a builder for the batches the server writes itself.
//!
//! Source: `DefaultRecord` of Apache Kafka 4.3.1. Numbers are zig-zag varints; a length of -1 is null. Every length is checked
//! against the bytes that remain, and nothing is allocated for it.

use bytes::Bytes;

use crate::model::{ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};
use crate::protocol::record_batch::{BatchHeader, HEADER_BYTES, LOG_OVERHEAD_BYTES, TimestampType, seal};

/// One record, borrowed from its decompressed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    header_count: i32,
    headers: &'a [u8],
}

impl<'a> Record<'a> {
    /// Writes the record as it stands in a batch with this base.
    ///
    /// # Panics
    /// Beyond 2³¹−1 bytes: a record that was read is shorter.
    pub(crate) fn encode(&self, base_offset: Offset, base_timestamp_ms: i64, batch: &mut Vec<u8>) {
        let (timestamp_delta, offset_delta) =
            (self.timestamp_ms.wrapping_sub(base_timestamp_ms), self.offset - base_offset);
        let header_count = i64::from(self.header_count);
        let numbers_len = [timestamp_delta, offset_delta, header_count].map(varlong_len).iter().sum::<usize>();
        // One byte of attributes, which mean nothing yet.
        let len = 1 + numbers_len + nullable_len(self.key) + nullable_len(self.value) + self.headers.len();
        put_varlong(batch, length(len));
        batch.push(0);
        put_varlong(batch, timestamp_delta);
        put_varlong(batch, offset_delta);
        put_nullable_bytes(batch, self.key);
        put_nullable_bytes(batch, self.value);
        put_varlong(batch, header_count);
        batch.extend_from_slice(self.headers);
    }

    /// The record's headers in their order.
    pub fn headers(&self) -> RecordHeaders<'a> {
        RecordHeaders { remaining: self.header_count, reader: Reader { bytes: self.headers } }
    }
}

/// Why the records of a batch cannot be read, although its CRC is right. Kafka answers INVALID_RECORD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the record is cut off")]
    Truncated,
    #[error("a varint is longer than its type allows")]
    VarintTooLong,
    #[error("an impossible length or count of {length}")]
    InvalidLength { length: i32 },
    #[error("{bytes} bytes of a record are left over")]
    TrailingBytes { bytes: usize },
    #[error("the header says {expected} records, there are {found}")]
    WrongCount { expected: i32, found: i32 },
}

impl RecordError {
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRecord
    }
}

/// Walks the records of one batch. `records` is what follows the header, decompressed. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    header: BatchHeader,
    found: i32,
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> RecordIter<'a> {
    pub fn new(header: BatchHeader, records: &'a [u8]) -> RecordIter<'a> {
        RecordIter { header, found: 0, reader: Reader { bytes: records }, failed: false }
    }

    fn read(&mut self) -> Result<Record<'a>, RecordError> {
        let size = self.reader.varint()?;
        let size = usize::try_from(size).map_err(|_| RecordError::InvalidLength { length: size })?;
        let mut body = Reader { bytes: self.reader.take(size)? };
        // Bits of a record's attributes mean nothing yet.
        body.take(1)?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key = body.nullable_bytes()?;
        let value = body.nullable_bytes()?;
        let header_count = body.varint()?;
        let headers = body.bytes;
        self.walk_headers(header_count, &mut body)?;
        let timestamp_ms = match self.header.timestamp_type() {
            TimestampType::LogAppendTime => self.header.max_timestamp_ms,
            TimestampType::CreateTime => self.header.base_timestamp_ms.wrapping_add(timestamp_delta),
        };
        let offset = Offset(self.header.base_offset.0.wrapping_add(i64::from(offset_delta)));
        Ok(Record { offset, timestamp_ms, key, value, header_count, headers })
    }

    fn walk_headers(&self, count: i32, body: &mut Reader<'a>) -> Result<(), RecordError> {
        // A header has at least two bytes, so that a false count ends at the end of the record.
        if count < 0 {
            return Err(RecordError::InvalidLength { length: count });
        }
        for _ in 0..count {
            body.header()?;
        }
        if body.bytes.is_empty() { Ok(()) } else { Err(RecordError::TrailingBytes { bytes: body.bytes.len() }) }
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.found < self.header.record_count {
            self.found += 1;
            let record = self.read();
            self.failed = record.is_err();
            return Some(record);
        }
        self.failed = true;
        if self.reader.bytes.is_empty() {
            return None;
        }
        Some(Err(RecordError::TrailingBytes { bytes: self.reader.bytes.len() }))
    }
}

/// The headers of one record: key and nullable value.
#[derive(Clone, Debug)]
pub struct RecordHeaders<'a> {
    remaining: i32,
    reader: Reader<'a>,
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining <= 0 {
            return None;
        }
        self.remaining -= 1;
        Some(self.reader.header().expect("walked when the record was read"))
    }
}

#[derive(Clone, Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(RecordError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, bits_max: u32) -> Result<u64, RecordError> {
        let mut value = 0u64;
        for shift in (0..bits_max).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::VarintTooLong)
    }

    fn varint(&mut self) -> Result<i32, RecordError> {
        // Five bytes hold 35 bits; what does not fit 32 is cut off, as in Kafka's `ByteUtils.readVarint`.
        let raw = self.unsigned(32)? & u64::from(u32::MAX);
        let raw = u32::try_from(raw).expect("masked to 32 bits");
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    fn varlong(&mut self) -> Result<i64, RecordError> {
        let raw = self.unsigned(64)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        let length = self.varint()?;
        // Kafka reads every negative length as null (`DefaultRecord.readFrom`).
        match usize::try_from(length) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn header(&mut self) -> Result<(&'a [u8], Option<&'a [u8]>), RecordError> {
        let length = self.varint()?;
        let length_bytes = usize::try_from(length).map_err(|_| RecordError::InvalidLength { length })?;
        let key = self.take(length_bytes)?;
        Ok((key, self.nullable_bytes()?))
    }
}

/// Builds one uncompressed batch, for the records that the server writes itself.
///
/// The log assigns base offset and leader epoch when it appends; a builder's base offset is 0.
#[derive(Clone, Debug)]
pub struct RecordBatchBuilder {
    header: BatchHeader,
    bytes: Vec<u8>,
    record: Vec<u8>,
}

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

impl RecordBatchBuilder {
    /// An empty batch. `base_timestamp_ms` should be the first record's time: the others are stored as a difference to it.
    pub fn new(leader_epoch: LeaderEpoch, base_timestamp_ms: i64) -> RecordBatchBuilder {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            partition_leader_epoch: leader_epoch,
            crc: 0,
            attributes: 0,
            last_offset_delta: -1,
            base_timestamp_ms,
            max_timestamp_ms: -1,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: Sequence(-1),
            record_count: 0,
        };
        RecordBatchBuilder { header, bytes: vec![0; HEADER_BYTES], record: Vec::new() }
    }

    /// Stamps the batch as an idempotent producer's.
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> RecordBatchBuilder {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Marks the batch as part of a transaction.
    pub fn transactional(mut self) -> RecordBatchBuilder {
        self.header.attributes |= TRANSACTIONAL;
        self
    }

    /// Marks the batch as a control batch, whose records consumers do not see.
    pub fn control(mut self) -> RecordBatchBuilder {
        self.header.attributes |= CONTROL;
        self
    }

    /// Adds a record without headers; a value of `None` is a tombstone.
    pub fn append(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append_with_headers(timestamp_ms, key, value, &[]);
    }

    /// Adds a record.
    ///
    /// # Panics
    /// Beyond 2³¹−1 bytes or records: the caller bounds what it writes.
    pub fn append_with_headers(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) {
        let record = &mut self.record;
        record.clear();
        record.push(0);
        put_varlong(record, timestamp_ms.wrapping_sub(self.header.base_timestamp_ms));
        put_varlong(record, i64::from(self.header.record_count));
        put_nullable_bytes(record, key);
        put_nullable_bytes(record, value);
        put_varlong(record, length(headers.len()));
        for (key, value) in headers {
            put_nullable_bytes(record, Some(key));
            put_nullable_bytes(record, *value);
        }
        put_varlong(&mut self.bytes, length(record.len()));
        self.bytes.extend_from_slice(record);
        self.header.record_count += 1;
        self.header.last_offset_delta += 1;
        self.header.max_timestamp_ms = self.header.max_timestamp_ms.max(timestamp_ms);
    }

    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Bytes of the batch as it stands.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The finished batch, CRC included.
    pub fn build(mut self) -> Bytes {
        let size = self.bytes.len() - LOG_OVERHEAD_BYTES;
        self.header.batch_length = i32::try_from(size).expect("a batch is bounded by its caller, far under 2 GiB");
        self.bytes[..HEADER_BYTES].copy_from_slice(&self.header.encode());
        seal(&mut self.bytes);
        Bytes::from(self.bytes)
    }
}

fn length(count: usize) -> i64 {
    i64::from(i32::try_from(count).expect("a record is bounded by its caller, far under 2 GiB"))
}

fn put_nullable_bytes(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(buffer, -1),
        Some(bytes) => {
            put_varlong(buffer, length(bytes.len()));
            buffer.extend_from_slice(bytes);
        }
    }
}

/// Bytes of [`put_nullable_bytes`].
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(length(bytes.len())) + bytes.len())
}

/// Bytes of [`put_varlong`].
fn varlong_len(value: i64) -> usize {
    let bits = 64 - ((value << 1) ^ (value >> 63)).leading_zeros() as usize;
    bits.div_ceil(7).max(1)
}

/// A zig-zag varint; for a value in the range of an `i32` the bytes are the same for both widths.
fn put_varlong(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        buffer.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    buffer.push(u8::try_from(rest).expect("seven bits"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::record_batch::BatchView;

    type Field = Option<Vec<u8>>;
    type Given = (i64, Field, Field, Vec<(Vec<u8>, Field)>);

    fn build(given: &[Given]) -> Bytes {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(3), given.first().map_or(0, |record| record.0));
        for (timestamp, key, value, headers) in given {
            let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
            builder.append_with_headers(*timestamp, key.as_deref(), value.as_deref(), &headers);
        }
        builder.build()
    }

    fn read(batch: &BatchView<'_>) -> Result<Vec<Given>, RecordError> {
        RecordIter::new(batch.header, batch.records())
            .map(|record| {
                let record = record?;
                let headers = record.headers().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
                Ok((record.timestamp_ms, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), headers))
            })
            .collect()
    }

    fn given() -> impl Strategy<Value = Vec<Given>> {
        let field = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
        let headers = proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..5), field()), 0..3);
        proptest::collection::vec((0i64..1 << 45, field(), field(), headers), 1..20)
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_back(given in given()) {
            let bytes = build(&given);
            let batch = BatchView::parse(&bytes).unwrap();
            prop_assert_eq!(batch.validate(), Ok(()));
            prop_assert_eq!(batch.header.record_count as usize, given.len());
            prop_assert_eq!(batch.header.max_timestamp_ms, given.iter().map(|record| record.0).max().unwrap());
            prop_assert_eq!(read(&batch).unwrap(), given);
        }

        #[test]
        fn broken_records_are_an_error_and_never_a_panic(
            given in given(), position in any::<prop::sample::Index>(), byte in any::<u8>(), count in any::<i32>(),
        ) {
            let bytes = build(&given);
            let batch = BatchView::parse(&bytes).unwrap();
            let mut records = batch.records().to_vec();
            let position = position.index(records.len());
            records[position] = byte;
            let header = BatchHeader { record_count: count, ..batch.header };
            let read: Vec<_> = RecordIter::new(header, &records).take(100).collect();
            prop_assert!(read.len() <= 100);
            let cut: Vec<_> = RecordIter::new(batch.header, &batch.records()[..position]).collect();
            prop_assert!(cut.last().unwrap().is_err());
        }
    }

    #[test]
    fn a_record_is_length_attributes_deltas_key_value_and_header_count() {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(0), 1000);
        builder.append(1000, Some(b"k"), Some(b"v"));
        let bytes = builder.build();
        assert_eq!(bytes[HEADER_BYTES..], [0x10, 0, 0, 0, 2, b'k', 2, b'v', 0]);
        assert_eq!(bytes.len(), 70);
    }
}
