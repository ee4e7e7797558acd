//! What is checked of a client's batches before they come near the log: outside the partition's lock, on borrowed bytes.
//!
//! Follows `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords` and `LogValidator` of Apache Kafka 4.3.1.
//! Laxer than Kafka in one thing: the records of a batch are not walked unless the topic is compacted, so that timestamps are
//! checked by the header's base and max, and a batch whose header disagrees with its records, or whose records cannot be
//! decompressed, is stored as it is. With `records.validation: full` they are walked, and checked as Kafka checks them; so they
//! are where the topic stores another codec than the producer's (`compression.type`), for which every record is read anyway.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::log::error::AppendError;
use crate::log::options::LogOptions;
use crate::log::records::{WalkError, for_each_record, payload};
use crate::model::Now;
use crate::protocol::compression::Compression;
use crate::protocol::rebuild::Rebuild;
use crate::protocol::record_batch::{
    BatchError, BatchHeader, BatchIter, BatchView, Codec, TimestampType, set_log_append_time, set_max_timestamp,
};
use crate::protocol::records::{Record, RecordIter};

/// Of how many refused records a producer is told the index; Kafka has no limit, and one batch can hold millions.
const NAMED_RECORDS_MAX: usize = 1000;

/// Who wants to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer, of whom nothing is believed.
    Client,
    /// This broker's own coordinator: may write control batches, no producer checks.
    Coordinator,
}

/// Whole batches with right CRCs, ready to be appended.
#[derive(Clone, Debug)]
pub struct ValidatedBatches {
    pub(crate) records: Bytes,
    pub(crate) headers: SmallVec<[BatchHeader; 1]>,
    pub(crate) origin: Origin,
    /// -1 unless the topic stamps records itself.
    pub(crate) log_append_time_ms: i64,
}

impl ValidatedBatches {
    /// The headers, as the client sent them or with log append time.
    pub fn headers(&self) -> &[BatchHeader] {
        &self.headers
    }

    /// Bytes that the log grows by.
    pub fn size_bytes(&self) -> usize {
        self.records.len()
    }

    /// The number of records.
    pub fn record_count(&self) -> i64 {
        self.headers.iter().map(|header| i64::from(header.record_count)).sum()
    }
}

/// Checks the batches of one append. Errors carry the code that Kafka answers.
pub fn validate(
    records: Bytes,
    origin: Origin,
    options: &LogOptions,
    now: Now,
) -> Result<ValidatedBatches, AppendError> {
    let mut headers: SmallVec<[BatchHeader; 1]> = SmallVec::new();
    let mut max_timestamps: SmallVec<[i64; 1]> = SmallVec::new();
    for batch in BatchIter::new(&records) {
        let batch = batch?;
        max_timestamps.push(check_batch(&batch, origin, options, now)?);
        headers.push(batch.header);
    }
    if headers.is_empty() {
        return Err(AppendError::NoBatch);
    }
    let mut validated = ValidatedBatches { records, headers, origin, log_append_time_ms: -1 };
    if let Some(compression) = options.compression
        && validated.headers.iter().any(|header| must_compress(header, origin, options))
    {
        validated = compress_anew(validated, compression, options)?;
    }
    if validated.records.len() > options.segment_bytes as usize {
        let (size_bytes, max_bytes) = (validated.records.len(), options.segment_bytes);
        return Err(AppendError::RequestTooLarge { size_bytes, max_bytes });
    }
    let is_right = validated.headers.iter().zip(&max_timestamps).all(|(header, max)| header.max_timestamp_ms == *max);
    match options.message_timestamp_type {
        TimestampType::CreateTime if is_right => Ok(validated),
        TimestampType::CreateTime => rewrite(validated, |index, batch| set_max_timestamp(batch, max_timestamps[index])),
        TimestampType::LogAppendTime => {
            let stamped = rewrite(validated, |_, batch| set_log_append_time(batch, now.wall_ms))?;
            Ok(ValidatedBatches { log_append_time_ms: now.wall_ms, ..stamped })
        }
    }
}

/// Checks one batch, and answers the greatest timestamp that its header should have.
fn check_batch(batch: &BatchView<'_>, origin: Origin, options: &LogOptions, now: Now) -> Result<i64, AppendError> {
    let header = &batch.header;
    if origin == Origin::Client && header.base_offset.0 != 0 {
        return Err(AppendError::BaseOffsetNotZero { base_offset: header.base_offset });
    }
    if header.size_bytes() > options.max_message_bytes as usize {
        let (size_bytes, max_bytes) = (header.size_bytes(), options.max_message_bytes);
        return Err(AppendError::BatchTooLarge { size_bytes, max_bytes });
    }
    batch.validate()?;
    // A batch that is being written has a record at every offset; only compaction makes gaps.
    if header.record_count < 1 || header.record_count - 1 != header.last_offset_delta {
        return Err(header.invalid_offsets().into());
    }
    if origin == Origin::Coordinator {
        return Ok(header.max_timestamp_ms);
    }
    check_client_batch(header)?;
    if options.records_validation_full || must_compress(header, origin, options) {
        return check_records(batch, options, now);
    }
    if options.message_timestamp_type == TimestampType::CreateTime {
        for timestamp_ms in [header.base_timestamp_ms, header.max_timestamp_ms] {
            check_timestamp(timestamp_ms, options, now)?;
        }
    }
    if options.cleanup_compact {
        check_keys(batch)?;
    }
    Ok(header.max_timestamp_ms)
}

fn check_client_batch(header: &BatchHeader) -> Result<(), AppendError> {
    if header.is_control() {
        return Err(AppendError::ControlBatch);
    }
    if header.has_producer_id() && header.base_sequence.0 < 0 {
        return Err(AppendError::InvalidSequence { sequence: header.base_sequence });
    }
    if header.is_transactional() {
        return Err(AppendError::NoTransaction { producer_id: header.producer_id });
    }
    Ok(())
}

/// `LogValidator.validateTimestamp`; a record without a timestamp (-1) is never out of range.
fn check_timestamp(timestamp_ms: i64, options: &LogOptions, now: Now) -> Result<(), AppendError> {
    let now_ms = now.wall_ms;
    let ahead_ms = timestamp_ms.saturating_sub(now_ms);
    let behind_ms = now_ms.saturating_sub(timestamp_ms);
    let is_out =
        ahead_ms > options.message_timestamp_after_max_ms || behind_ms > options.message_timestamp_before_max_ms;
    if timestamp_ms != -1 && is_out {
        return Err(AppendError::InvalidTimestamp { timestamp_ms, now_ms });
    }
    Ok(())
}

fn check_keys(batch: &BatchView<'_>) -> Result<(), AppendError> {
    let mut keyless = Keyless::default();
    for_each_record(batch, |record| {
        keyless.look_at(&record);
        true
    })
    .map_err(WalkError::into_append_error)?;
    keyless.check()
}

/// Reads every record, and answers their greatest timestamp (`LogValidator.validateMessagesAndAssignOffsetsCompressed`,
/// `LogValidator.assignOffsetsNonCompressed`). One thing is different: what cannot be decompressed is INVALID_RECORD, where
/// Kafka answers UNKNOWN_SERVER_ERROR, and more than [`RECORDS_BYTES_MAX`] bytes are MESSAGE_TOO_LARGE, where Kafka has no limit.
///
/// [`RECORDS_BYTES_MAX`]: crate::log::records::RECORDS_BYTES_MAX
fn check_records(batch: &BatchView<'_>, options: &LogOptions, now: Now) -> Result<i64, AppendError> {
    let is_compressed = batch.header.codec()? != Codec::None;
    let (mut max_timestamp_ms, mut next_offset) = (-1, batch.header.base_offset);
    let mut keyless = Keyless::default();
    let mut checked = Ok(());
    for_each_record(batch, |record| {
        // Kafka lets an uncompressed batch have any deltas.
        if is_compressed && record.offset != next_offset {
            checked = Err(AppendError::OffsetsNotIncremental);
        } else if options.message_timestamp_type == TimestampType::CreateTime {
            checked = check_timestamp(record.timestamp_ms, options, now);
        }
        keyless.look_at(&record);
        max_timestamp_ms = record.timestamp_ms.max(max_timestamp_ms);
        next_offset = next_offset + 1;
        checked.is_ok()
    })
    .map_err(WalkError::into_append_error)?;
    checked?;
    if options.cleanup_compact {
        keyless.check()?;
    }
    Ok(max_timestamp_ms)
}

/// Records without a key, where each must have one.
#[derive(Default)]
struct Keyless {
    index: i32,
    count: usize,
    indexes: Vec<i32>,
}

impl Keyless {
    fn look_at(&mut self, record: &Record<'_>) {
        if record.key.is_none() {
            self.count += 1;
            if self.indexes.len() < NAMED_RECORDS_MAX {
                self.indexes.push(self.index);
            }
        }
        self.index += 1;
    }

    fn check(self) -> Result<(), AppendError> {
        let Keyless { count, indexes, .. } = self;
        if count == 0 { Ok(()) } else { Err(AppendError::NoKey { count, indexes }) }
    }
}

/// Whether the topic stores another codec than the batch has.
fn must_compress(header: &BatchHeader, origin: Origin, options: &LogOptions) -> bool {
    origin == Origin::Client
        && options.compression.is_some_and(|compression| header.codec().is_ok_and(|codec| codec != compression.codec))
}

/// Writes the batches in the topic's codec (`LogValidator.buildRecordsAndAssignOffsets`). What has grown beyond
/// `max.message.bytes` by that is refused.
fn compress_anew(
    validated: ValidatedBatches,
    compression: Compression,
    options: &LogOptions,
) -> Result<ValidatedBatches, AppendError> {
    let mut records = BytesMut::new();
    let mut headers: SmallVec<[BatchHeader; 1]> = SmallVec::new();
    for batch in BatchIter::new(&validated.records) {
        let batch = batch?;
        if !must_compress(&batch.header, validated.origin, options) {
            records.extend_from_slice(batch.bytes());
            headers.push(batch.header);
            continue;
        }
        let mut rebuild = Rebuild::new(&batch.header, None);
        let payload = payload(&batch).map_err(WalkError::into_append_error)?;
        for record in RecordIter::new(batch.header, payload.bytes()) {
            rebuild.push(&record?);
        }
        let bytes = rebuild.finish(compression);
        if bytes.len() > options.max_message_bytes as usize {
            let (size_bytes, max_bytes) = (bytes.len(), options.max_message_bytes);
            return Err(AppendError::BatchTooLarge { size_bytes, max_bytes });
        }
        headers.push(BatchHeader::parse(&bytes)?);
        records.extend_from_slice(&bytes);
    }
    Ok(ValidatedBatches { records: records.freeze(), headers, ..validated })
}

/// Copies the batches, changes each of them, and reads their headers again.
fn rewrite(
    validated: ValidatedBatches,
    change: impl Fn(usize, &mut [u8]) -> Result<(), BatchError>,
) -> Result<ValidatedBatches, AppendError> {
    let mut records = BytesMut::from(&validated.records[..]);
    let mut position = 0;
    let mut headers = SmallVec::new();
    for (index, header) in validated.headers.iter().enumerate() {
        let end = position + header.size_bytes();
        change(index, &mut records[position..end])?;
        headers.push(BatchHeader::parse(&records[position..end])?);
        position = end;
    }
    Ok(ValidatedBatches { records: records.freeze(), headers, ..validated })
}
