//! What is checked of a client's batches before they come near the log: outside the partition's lock, on borrowed bytes.
//!
//! Follows `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords` and `LogValidator` of Apache Kafka 4.3.1.
//! Laxer than Kafka in one thing: the records of a batch are not walked unless the topic is compacted, so that timestamps are
//! checked by the header's base and max, and a batch whose header disagrees with its records is stored as it is.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::log::error::AppendError;
use crate::log::options::LogOptions;
use crate::log::records::for_each_record;
use crate::model::Now;
use crate::protocol::record_batch::{BatchHeader, BatchIter, BatchView, TimestampType, set_log_append_time};

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
    let mut headers = SmallVec::new();
    for batch in BatchIter::new(&records) {
        let batch = batch?;
        check_batch(&batch, origin, options, now)?;
        headers.push(batch.header);
    }
    if headers.is_empty() {
        return Err(AppendError::NoBatch);
    }
    if records.len() > options.segment_bytes as usize {
        let (size_bytes, max_bytes) = (records.len(), options.segment_bytes);
        return Err(AppendError::RequestTooLarge { size_bytes, max_bytes });
    }
    let validated = ValidatedBatches { records, headers, origin, log_append_time_ms: -1 };
    match options.message_timestamp_type {
        TimestampType::CreateTime => Ok(validated),
        TimestampType::LogAppendTime => stamp(validated, now),
    }
}

fn check_batch(batch: &BatchView<'_>, origin: Origin, options: &LogOptions, now: Now) -> Result<(), AppendError> {
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
        return Ok(());
    }
    check_client_batch(header)?;
    if options.message_timestamp_type == TimestampType::CreateTime {
        check_timestamps(header, options, now)?;
    }
    if options.cleanup_compact {
        return check_keys(batch);
    }
    Ok(())
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
fn check_timestamps(header: &BatchHeader, options: &LogOptions, now: Now) -> Result<(), AppendError> {
    let now_ms = now.wall_ms;
    for timestamp_ms in [header.base_timestamp_ms, header.max_timestamp_ms] {
        let ahead_ms = timestamp_ms.saturating_sub(now_ms);
        let behind_ms = now_ms.saturating_sub(timestamp_ms);
        if timestamp_ms == -1 {
            continue;
        }
        if ahead_ms > options.message_timestamp_after_max_ms || behind_ms > options.message_timestamp_before_max_ms {
            return Err(AppendError::InvalidTimestamp { timestamp_ms, now_ms });
        }
    }
    Ok(())
}

fn check_keys(batch: &BatchView<'_>) -> Result<(), AppendError> {
    let (mut index, mut count, mut indexes) = (0, 0, Vec::new());
    for_each_record(batch, |record| {
        if record.key.is_none() {
            count += 1;
            if indexes.len() < NAMED_RECORDS_MAX {
                indexes.push(index);
            }
        }
        index += 1;
        true
    })
    .map_err(|error| error.into_append_error())?;
    if count == 0 { Ok(()) } else { Err(AppendError::NoKey { count, indexes }) }
}

fn stamp(validated: ValidatedBatches, now: Now) -> Result<ValidatedBatches, AppendError> {
    let mut records = BytesMut::from(&validated.records[..]);
    let mut position = 0;
    let mut headers = SmallVec::new();
    for header in &validated.headers {
        let end = position + header.size_bytes();
        set_log_append_time(&mut records[position..end], now.wall_ms)?;
        headers.push(BatchHeader::parse(&records[position..end])?);
        position = end;
    }
    Ok(ValidatedBatches { records: records.freeze(), headers, log_append_time_ms: now.wall_ms, ..validated })
}
