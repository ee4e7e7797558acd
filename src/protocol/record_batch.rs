//! Record batch v2 (KIP-98): a header of 61 bytes, then records that this file never looks into.
//!
//! A batch is read where it lies: [`BatchHeader`] is a copy of the fixed fields, [`BatchView`] borrows the bytes behind it,
//! [`BatchIter`] walks batches that lie one behind the other. The CRC-32C covers byte 21 to the end, so that the base offset
//! (bytes 0–7) and the leader epoch (12–15) can be patched in place.
//!
//! Layout and checks follow `DefaultRecordBatch` and `ByteBufferLogInputStream` of Apache Kafka 4.3.1.

use bytes::Bytes;

use crate::model::{ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

/// Bytes of a v2 header, records count included.
pub const HEADER_BYTES: usize = 61;
/// Base offset and length: the bytes that the length field does not count (`Records.LOG_OVERHEAD`).
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// Base offset, length and leader epoch: what the log patches, all before the part under the CRC.
pub const PATCHED_BYTES: usize = 16;
/// The only format that is stored.
pub const MAGIC: u8 = 2;

const LENGTH_POSITION: usize = 8;
const MAGIC_POSITION: usize = 16;
const CRC_POSITION: usize = 17;
/// First byte under the CRC.
pub(crate) const ATTRIBUTES_POSITION: usize = 21;
const MAX_TIMESTAMP_POSITION: usize = 35;
/// Smallest length field of any magic: a v0 record's overhead (`LegacyRecord.RECORD_OVERHEAD_V0`).
const LENGTH_MIN: i32 = 14;

pub(crate) const CODEC_MASK: i16 = 0x07;
const TIMESTAMP_TYPE_MASK: i16 = 0x08;
const TRANSACTIONAL_MASK: i16 = 0x10;
const CONTROL_MASK: i16 = 0x20;
pub(crate) const DELETE_HORIZON_MASK: i16 = 0x40;

/// How the records of a batch are compressed: bits 0–2 of its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    /// The codec of an attributes field, or the unknown number.
    pub const fn from_attributes(attributes: i16) -> Result<Codec, i16> {
        match attributes & CODEC_MASK {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            unknown => Err(unknown),
        }
    }
}

/// Who set the timestamps: bit 3 of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, one for each record.
    CreateTime,
    /// The broker: every record has the batch's max timestamp.
    LogAppendTime,
}

/// What is wrong with the bytes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("the batch is cut off: {needed} bytes needed, {available} there")]
    Truncated { needed: usize, available: usize },
    #[error("the batch's length field is {length}")]
    InvalidLength { length: i32 },
    /// A format from before Kafka 0.11.
    #[error("record format v{magic} is not supported")]
    UnsupportedMagic { magic: u8 },
    #[error("unknown record format {magic}")]
    InvalidMagic { magic: u8 },
    #[error("unknown compression codec {codec}")]
    UnknownCodec { codec: i16 },
    #[error("CRC is {computed:#010x}, the batch says {stored:#010x}")]
    CorruptCrc { stored: u32, computed: u32 },
    /// The count of records, the last offset delta, or an offset is impossible.
    #[error("invalid offsets: base {base_offset}, last delta {last_offset_delta}, {record_count} records")]
    InvalidOffsets { base_offset: i64, last_offset_delta: i32, record_count: i32 },
}

impl BatchError {
    /// What Kafka answers a producer. Sources: `ProduceRequest.validateRecords` (a cut-off batch reads as no batch),
    /// `ByteBufferLogInputStream.nextBatchSize`, `LogValidator.validateBatch`, `CompressionType.forId` (its
    /// IllegalArgumentException becomes UNKNOWN_SERVER_ERROR).
    pub const fn code(&self) -> ErrorCode {
        match self {
            BatchError::Truncated { .. } | BatchError::UnsupportedMagic { .. } | BatchError::InvalidOffsets { .. } => {
                ErrorCode::InvalidRecord
            }
            BatchError::InvalidLength { .. } | BatchError::InvalidMagic { .. } | BatchError::CorruptCrc { .. } => {
                ErrorCode::CorruptMessage
            }
            BatchError::UnknownCodec { .. } => ErrorCode::UnknownServerError,
        }
    }
}

/// The fixed fields of a batch, copied. Its length has been checked against the smallest v2 batch, its magic is 2; nothing
/// else is known to be true before [`BatchView::validate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// The length field: bytes behind it, i.e. 12 less than the batch has.
    pub batch_length: i32,
    pub partition_leader_epoch: LeaderEpoch,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    /// Timestamp of the first record, or the delete horizon when the attributes say so, in ms.
    pub base_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header of the batch that begins at the first byte. The batch itself may be cut off behind the header.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let truncated = |needed| BatchError::Truncated { needed, available: bytes.len() };
        if bytes.len() < LOG_OVERHEAD_BYTES {
            return Err(truncated(LOG_OVERHEAD_BYTES));
        }
        let length = i32::from_be_bytes(array(bytes, 8));
        if length < LENGTH_MIN {
            return Err(BatchError::InvalidLength { length });
        }
        let magic = *bytes.get(MAGIC_POSITION).ok_or(truncated(MAGIC_POSITION + 1))?;
        match magic {
            MAGIC => {}
            0 | 1 => return Err(BatchError::UnsupportedMagic { magic }),
            _ => return Err(BatchError::InvalidMagic { magic }),
        }
        if usize::try_from(length).expect("at least 14") < HEADER_BYTES - LOG_OVERHEAD_BYTES {
            return Err(BatchError::InvalidLength { length });
        }
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(truncated(HEADER_BYTES))?;
        Ok(BatchHeader {
            base_offset: Offset(i64::from_be_bytes(array(header, 0))),
            batch_length: length,
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(array(header, 12))),
            crc: u32::from_be_bytes(array(header, CRC_POSITION)),
            attributes: i16::from_be_bytes(array(header, ATTRIBUTES_POSITION)),
            last_offset_delta: i32::from_be_bytes(array(header, 23)),
            base_timestamp_ms: i64::from_be_bytes(array(header, 27)),
            max_timestamp_ms: i64::from_be_bytes(array(header, MAX_TIMESTAMP_POSITION)),
            producer_id: ProducerId(i64::from_be_bytes(array(header, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(array(header, 51))),
            base_sequence: Sequence(i32::from_be_bytes(array(header, 53))),
            record_count: i32::from_be_bytes(array(header, 57)),
        })
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.0.to_be_bytes());
        bytes[MAGIC_POSITION] = MAGIC;
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp_ms.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp_ms.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.0.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch, header included.
    pub fn size_bytes(&self) -> usize {
        usize::try_from(self.batch_length).expect("checked when parsed") + LOG_OVERHEAD_BYTES
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// The offset behind the batch.
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// The sequence of the last record; -1 without one.
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence.0 < 0 {
            return self.base_sequence;
        }
        self.base_sequence.plus(self.last_offset_delta)
    }

    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::from_attributes(self.attributes).map_err(|codec| BatchError::UnknownCodec { codec })
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_MASK == 0 {
            return TimestampType::CreateTime;
        }
        TimestampType::LogAppendTime
    }

    /// Whether an idempotent or transactional producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_MASK != 0
    }

    /// Whether it holds a transaction marker, or another record that consumers do not see.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_MASK != 0
    }

    /// Whether the base timestamp field holds the time after which tombstones may go (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_MASK != 0
    }

    /// Whether offsets are possible: none negative, none beyond 2⁶³−1, a count of at least 0.
    /// A compacted batch may have fewer records than offsets, even none.
    pub fn check_offsets(&self) -> Result<(), BatchError> {
        let possible = self.base_offset.0 >= 0
            && self.last_offset_delta >= 0
            && self.record_count >= 0
            && i64::from(self.record_count) <= i64::from(self.last_offset_delta) + 1
            && self.base_offset.0.checked_add(i64::from(self.last_offset_delta) + 1).is_some();
        if possible { Ok(()) } else { Err(self.invalid_offsets()) }
    }

    pub(crate) fn invalid_offsets(&self) -> BatchError {
        BatchError::InvalidOffsets {
            base_offset: self.base_offset.0,
            last_offset_delta: self.last_offset_delta,
            record_count: self.record_count,
        }
    }
}

fn array<const N: usize>(bytes: &[u8], position: usize) -> [u8; N] {
    bytes[position..position + N].try_into().expect("a slice of N bytes")
}

/// One whole batch, where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchView<'a> {
    pub header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The batch at the start of `bytes`; more bytes may follow it. Checks length and magic only.
    pub fn parse(bytes: &'a [u8]) -> Result<BatchView<'a>, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let size = header.size_bytes();
        let available = bytes.len();
        let bytes = bytes.get(..size).ok_or(BatchError::Truncated { needed: size, available })?;
        Ok(BatchView { header, bytes })
    }

    /// Checks the CRC, then that the codec is known and the offsets are possible.
    pub fn validate(&self) -> Result<(), BatchError> {
        self.check_crc()?;
        self.header.codec()?;
        self.header.check_offsets()
    }

    /// Checks the CRC-32C alone.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c::crc32c(&self.bytes[ATTRIBUTES_POSITION..]);
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::CorruptCrc { stored: self.header.crc, computed })
    }

    /// The whole batch, header included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records behind the header, compressed if the header says so.
    pub fn records(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }
}

/// Turns a whole batch into one of log append time: every record gets `timestamp_ms`, the CRC is computed anew
/// (`DefaultRecordBatch.setMaxTimestamp`).
pub fn set_log_append_time(batch: &mut [u8], timestamp_ms: i64) -> Result<(), BatchError> {
    let attributes = BatchView::parse(batch)?.header.attributes | TIMESTAMP_TYPE_MASK;
    batch[ATTRIBUTES_POSITION..ATTRIBUTES_POSITION + 2].copy_from_slice(&attributes.to_be_bytes());
    set_max_timestamp(batch, timestamp_ms)
}

/// Puts the greatest timestamp of a whole batch's records into its header, and computes the CRC anew.
pub fn set_max_timestamp(batch: &mut [u8], timestamp_ms: i64) -> Result<(), BatchError> {
    let size = BatchView::parse(batch)?.header.size_bytes();
    batch[MAX_TIMESTAMP_POSITION..MAX_TIMESTAMP_POSITION + 8].copy_from_slice(&timestamp_ms.to_be_bytes());
    seal(&mut batch[..size]);
    Ok(())
}

/// A whole batch with these bytes in the place of its records, compressed so.
pub fn recompressed(batch: &[u8], codec: Codec, records: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEADER_BYTES + records.len());
    out.extend_from_slice(&batch[..HEADER_BYTES]);
    out.extend_from_slice(records);
    let length = i32::try_from(out.len() - LOG_OVERHEAD_BYTES).expect("a batch is far under 2 GiB");
    out[LENGTH_POSITION..LOG_OVERHEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    let attributes = i16::from_be_bytes(array(batch, ATTRIBUTES_POSITION)) & !CODEC_MASK | codec as i16;
    out[ATTRIBUTES_POSITION..ATTRIBUTES_POSITION + 2].copy_from_slice(&attributes.to_be_bytes());
    seal(&mut out);
    Bytes::from(out)
}

/// Writes the CRC of a whole batch into its header.
pub(crate) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_POSITION..]);
    batch[CRC_POSITION..ATTRIBUTES_POSITION].copy_from_slice(&crc.to_be_bytes());
}

/// Walks batches that lie one behind the other; ends after the first error.
#[derive(Clone, Debug)]
pub struct BatchIter<'a> {
    bytes: &'a [u8],
}

impl<'a> BatchIter<'a> {
    pub fn new(bytes: &'a [u8]) -> BatchIter<'a> {
        BatchIter { bytes }
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let batch = BatchView::parse(self.bytes);
        self.bytes = match &batch {
            Ok(batch) => &self.bytes[batch.bytes.len()..],
            Err(_) => &[],
        };
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::records::RecordBatchBuilder;

    fn batch() -> Vec<u8> {
        let mut builder =
            RecordBatchBuilder::new(LeaderEpoch(7), 1000).producer(ProducerId(9), ProducerEpoch(2), Sequence(i32::MAX));
        builder.append(1000, None, Some(b"a"));
        builder.append(1005, Some(b"key"), None);
        builder.build().to_vec()
    }

    fn with(position: usize, bytes: &[u8]) -> Vec<u8> {
        let mut batch = batch();
        batch[position..position + bytes.len()].copy_from_slice(bytes);
        batch
    }

    fn check(bytes: &[u8], expected: Result<(), BatchError>) {
        assert_eq!(BatchView::parse(bytes).and_then(|batch| batch.validate()), expected);
    }

    #[test]
    fn a_whole_batch_is_valid_and_encodes_to_itself() {
        let bytes = batch();
        check(&bytes, Ok(()));
        let header = BatchHeader::parse(&bytes).unwrap();
        assert_eq!(header.encode(), bytes[..HEADER_BYTES]);
        assert_eq!(header.last_offset(), Offset(1));
        assert_eq!(header.last_sequence(), Sequence(0));
        assert_eq!(header.max_timestamp_ms, 1005);
    }

    #[test]
    fn every_cut_is_truncated() {
        let bytes = batch();
        for available in 0..bytes.len() {
            let error = BatchView::parse(&bytes[..available]).unwrap_err();
            assert!(matches!(error, BatchError::Truncated { available: found, .. } if found == available), "{error}");
            assert_eq!(error.code(), ErrorCode::InvalidRecord);
        }
    }

    #[test]
    fn every_flipped_bit_under_the_crc_is_seen() {
        let bytes = batch();
        for bit in CRC_POSITION * 8..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = BatchView::parse(&flipped).unwrap().validate().unwrap_err();
            assert!(matches!(error, BatchError::CorruptCrc { .. }), "bit {bit}: {error}");
        }
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        check(&with(16, &[0]), Err(BatchError::UnsupportedMagic { magic: 0 }));
        check(&with(16, &[1]), Err(BatchError::UnsupportedMagic { magic: 1 }));
        check(&with(16, &[3]), Err(BatchError::InvalidMagic { magic: 3 }));
        for length in [i32::MIN, -1, 0, 13, 14, 48] {
            check(&with(8, &length.to_be_bytes()), Err(BatchError::InvalidLength { length }));
        }
        let available = batch().len();
        check(
            &with(8, &i32::MAX.to_be_bytes()),
            Err(BatchError::Truncated { needed: LOG_OVERHEAD_BYTES + 0x7fff_ffff, available }),
        );
        let mut unknown = with(21, &5i16.to_be_bytes());
        seal(&mut unknown);
        check(&unknown, Err(BatchError::UnknownCodec { codec: 5 }));
        for (delta, count) in [(-1i32, 2i32), (1, -1), (0, 2), (1, 3)] {
            let mut broken = with(23, &delta.to_be_bytes());
            broken[57..61].copy_from_slice(&count.to_be_bytes());
            seal(&mut broken);
            let error = BatchError::InvalidOffsets { base_offset: 0, last_offset_delta: delta, record_count: count };
            check(&broken, Err(error));
        }
    }

    #[test]
    fn log_append_time_is_set_under_a_new_crc() {
        let mut bytes = batch();
        set_log_append_time(&mut bytes, 77_000).unwrap();
        check(&bytes, Ok(()));
        let header = BatchHeader::parse(&bytes).unwrap();
        assert_eq!((header.timestamp_type(), header.max_timestamp_ms), (TimestampType::LogAppendTime, 77_000));
    }

    #[test]
    fn batches_are_walked_until_the_first_error() {
        let mut bytes = batch();
        bytes.extend(batch());
        bytes.extend(&batch()[..20]);
        let walked: Vec<_> = BatchIter::new(&bytes).map(|batch| batch.is_ok()).collect();
        assert_eq!(walked, [true, true, false]);
    }
}
