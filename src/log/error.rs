//! What can go wrong with a log: the caller's fault by name, the disk's in one place.

use std::io;
use std::path::PathBuf;

use crate::io::disk::{is_disk_full, is_out_of_files};
use crate::model::{ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TopicId};
use crate::protocol::record_batch::BatchError;
use crate::protocol::records::RecordError;

/// The log cannot be opened, or its directory is no longer to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{action} {path}: {source}", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// A flush has failed: what the kernel holds and what the disk holds may differ from now on, and no retry can tell.
    #[error("the log directory {path} is offline since a flush failed", path = path.display())]
    Poisoned { path: PathBuf },
    #[error("the log directory {path} is in use by another process: stop that one, or choose another directory (--data)",
            path = path.display())]
    Locked { path: PathBuf },
    #[error("{path} is malformed: {reason}", path = path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error("{path} is of version {found}, and this software knows version 1: start what has written it, or choose another \
             directory (--data)", path = path.display())]
    OtherVersion { path: PathBuf, found: String },
    /// Bytes that a finished flush had covered are gone or changed. Never repaired by cutting.
    #[error("{path} is damaged at offset {offset}, below the recovery point {recovery_point}", path = path.display())]
    DamagedBelowRecoveryPoint { path: PathBuf, offset: Offset, recovery_point: Offset },
    #[error("{path} belongs to topic id {found}, not {expected}", path = path.display())]
    InconsistentTopicId { path: PathBuf, found: TopicId, expected: TopicId },
}

impl LogError {
    pub const fn code(&self) -> ErrorCode {
        match self {
            LogError::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
            _ => ErrorCode::KafkaStorageError,
        }
    }

    /// Whether the disk had no room, which passes.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, LogError::Io { source, .. } if is_disk_full(source))
    }

    /// Whether this says nothing about the disk and may go well later: no room, or too many open files.
    pub fn may_pass(&self) -> bool {
        matches!(self, LogError::Io { source, .. } if is_disk_full(source) || is_out_of_files(source))
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> LogError {
        let path = path.into();
        move |source| LogError::Io { action, path, source }
    }
}

/// Why batches were not appended. Nothing of the request is in the log then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("there is no batch to append")]
    NoBatch,
    /// `UnifiedLog.analyzeAndValidateRecords`: a client's batch starts at offset 0.
    #[error("the base offset of a client's batch must be 0, it is {base_offset}")]
    BaseOffsetNotZero { base_offset: Offset },
    #[error("a batch of {size_bytes} bytes is larger than max.message.bytes = {max_bytes}")]
    BatchTooLarge { size_bytes: usize, max_bytes: u32 },
    #[error("{size_bytes} bytes are more than segment.bytes = {max_bytes}")]
    RequestTooLarge { size_bytes: usize, max_bytes: u32 },
    /// Where the records must be read. A producer that is told so sends them in smaller batches.
    #[error("the records of a batch have more than {max_bytes} bytes when they are decompressed")]
    RecordsTooLarge { max_bytes: usize },
    #[error("an offset of a compressed batch's records does not follow the one before it")]
    OffsetsNotIncremental,
    #[error("clients may not write control batches")]
    ControlBatch,
    #[error("sequence {sequence} of a batch with a producer id")]
    InvalidSequence { sequence: Sequence },
    #[error("timestamp {timestamp_ms} is out of the allowed range around {now_ms}")]
    InvalidTimestamp { timestamp_ms: i64, now_ms: i64 },
    /// `indexes` are the first of the records without a key, counted within their batch.
    #[error("a compacted topic takes no record without a key, and {count} have none")]
    NoKey { count: usize, indexes: Vec<i32> },
    /// Transactions are refused at InitProducerId; a batch that claims one has no coordinator that knows of it.
    #[error("no transaction of producer {producer_id} is ongoing")]
    NoTransaction { producer_id: ProducerId },
    #[error("producer {producer_id}: sequence {first_sequence} does not follow {last_sequence}")]
    OutOfOrderSequence { producer_id: ProducerId, first_sequence: Sequence, last_sequence: Sequence },
    #[error("producer {producer_id}: epoch {epoch} is older than {current_epoch}")]
    StaleProducerEpoch { producer_id: ProducerId, epoch: ProducerEpoch, current_epoch: ProducerEpoch },
    /// A leader's batches do not continue this log, or come from a later leader than the one that was asked.
    #[error("batches of epoch {epoch} from offset {base_offset} do not continue a log that ends at {end_offset}")]
    Unexpected { base_offset: Offset, epoch: LeaderEpoch, end_offset: Offset },
    /// The disk refused. With a full disk a later append may succeed; after any other error the directory is offline.
    #[error("the disk refused: {kind}")]
    Storage { kind: io::ErrorKind },
    /// Nothing was written, and the log is as good as before.
    #[error("too many files are open, so that the log's cannot be opened")]
    TooManyOpenFiles,
    #[error("the log is offline")]
    Offline,
}

impl AppendError {
    /// What Kafka answers a producer.
    pub const fn code(&self) -> ErrorCode {
        match self {
            AppendError::Batch(error) => error.code(),
            AppendError::Record(error) => error.code(),
            AppendError::NoBatch
            | AppendError::BaseOffsetNotZero { .. }
            | AppendError::ControlBatch
            | AppendError::Unexpected { .. }
            | AppendError::OffsetsNotIncremental
            | AppendError::NoKey { .. }
            | AppendError::InvalidSequence { .. } => ErrorCode::InvalidRecord,
            AppendError::BatchTooLarge { .. } | AppendError::RecordsTooLarge { .. } => ErrorCode::MessageTooLarge,
            AppendError::RequestTooLarge { .. } => ErrorCode::RecordListTooLarge,
            AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
            AppendError::NoTransaction { .. } => ErrorCode::InvalidTxnState,
            AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::StaleProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            AppendError::Storage { .. } | AppendError::TooManyOpenFiles | AppendError::Offline => {
                ErrorCode::KafkaStorageError
            }
        }
    }
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset} is outside {log_start_offset}..={end_offset}")]
    OffsetOutOfRange { offset: Offset, log_start_offset: Offset, end_offset: Offset },
    #[error("the log holds a broken batch: {0}")]
    Batch(#[from] BatchError),
    #[error("the log holds a broken record: {0}")]
    Record(#[from] RecordError),
    #[error("the log holds records that cannot be decompressed")]
    Decompression,
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// What Kafka answers a consumer.
    pub const fn code(&self) -> ErrorCode {
        match self {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Batch(_) | ReadError::Record(_) | ReadError::Decompression => ErrorCode::CorruptMessage,
            ReadError::Io(_) => ErrorCode::KafkaStorageError,
        }
    }
}
