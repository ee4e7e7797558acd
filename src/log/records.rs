//! The records of a batch, decompressed when they must be looked into.

use bytes::Bytes;

use crate::log::error::{AppendError, ReadError};
use crate::protocol::compression::{DecompressError, decompress};
use crate::protocol::record_batch::{BatchError, BatchView, Codec};
use crate::protocol::records::{Record, RecordError, RecordIter};

/// Why a batch's records cannot be looked into.
#[derive(Debug)]
pub(crate) enum WalkError {
    Batch(BatchError),
    Record(RecordError),
    Decompression,
    TooLarge,
}

impl WalkError {
    pub fn into_append_error(self) -> AppendError {
        match self {
            WalkError::Batch(error) => error.into(),
            WalkError::Record(error) => error.into(),
            WalkError::Decompression => RecordError::Truncated.into(),
            WalkError::TooLarge => AppendError::RecordsTooLarge { max_bytes: RECORDS_BYTES_MAX },
        }
    }
}

impl From<WalkError> for ReadError {
    fn from(error: WalkError) -> ReadError {
        match error {
            WalkError::Batch(error) => error.into(),
            WalkError::Record(error) => error.into(),
            WalkError::Decompression | WalkError::TooLarge => ReadError::Decompression,
        }
    }
}

/// Records are decompressed into at most so much memory.
pub(crate) const RECORDS_BYTES_MAX: usize = 64 << 20;

/// What follows a batch's header, uncompressed.
pub(crate) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Decompressed(Bytes),
}

impl Payload<'_> {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Borrowed(bytes) => bytes,
            Payload::Decompressed(bytes) => bytes,
        }
    }
}

/// Decompresses a batch's records if they must be.
pub(crate) fn payload<'a>(batch: &BatchView<'a>) -> Result<Payload<'a>, WalkError> {
    let codec = batch.header.codec().map_err(WalkError::Batch)?;
    // A batch that compaction has emptied says no codec; others without records have no bytes that one could read.
    if codec == Codec::None || batch.records().is_empty() {
        return Ok(Payload::Borrowed(batch.records()));
    }
    let decompressed = decompress(codec, batch.records(), RECORDS_BYTES_MAX).map_err(|error| match error {
        DecompressError::OverCap { .. } => WalkError::TooLarge,
        DecompressError::Corrupt { .. } => WalkError::Decompression,
    })?;
    Ok(Payload::Decompressed(decompressed))
}

/// Calls `visit` with each record until it answers false.
pub(crate) fn for_each_record(
    batch: &BatchView<'_>,
    mut visit: impl FnMut(Record<'_>) -> bool,
) -> Result<(), WalkError> {
    for record in RecordIter::new(batch.header, payload(batch)?.bytes()) {
        if !visit(record.map_err(WalkError::Record)?) {
            return Ok(());
        }
    }
    Ok(())
}
