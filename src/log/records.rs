//! The records of a batch, decompressed when they must be looked into.

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

/// Calls `visit` with each record until it answers false.
pub(crate) fn for_each_record(
    batch: &BatchView<'_>,
    mut visit: impl FnMut(Record<'_>) -> bool,
) -> Result<(), WalkError> {
    let codec = batch.header.codec().map_err(WalkError::Batch)?;
    let decompressed;
    let records = match codec {
        Codec::None => batch.records(),
        _ => {
            decompressed = decompress(codec, batch.records(), RECORDS_BYTES_MAX).map_err(|error| match error {
                DecompressError::OverCap { .. } => WalkError::TooLarge,
                DecompressError::Corrupt { .. } => WalkError::Decompression,
            })?;
            &decompressed[..]
        }
    };
    for record in RecordIter::new(batch.header, records) {
        if !visit(record.map_err(WalkError::Record)?) {
            return Ok(());
        }
    }
    Ok(())
}
