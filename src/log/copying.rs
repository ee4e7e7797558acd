//! A copy of a log in another directory, that is to take the log's place (KIP-113).
//!
//! The copy takes the source's batches as a follower takes a leader's. What no batch says is taken over at the end: epochs that
//! have no record yet, producers whose records are gone, and a start within a batch.

use std::io;

use crate::log::error::{AppendError, LogError, ReadError};
use crate::log::follower::ReplicatedBatches;
use crate::log::partition_log::Log;
use crate::log::reader::{LogReader, ReadRequest};
use crate::model::{LeaderEpoch, Now, Offset};

/// Why a log cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the copy ends at {end_offset}, and the log at {source_end_offset}")]
    Ends { end_offset: Offset, source_end_offset: Offset },
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> CopyError {
        CopyError::Read(ReadError::Io(error))
    }
}

impl Log {
    /// Appends some of what the source has beyond this log's end, about `max_bytes`; 0 when it has nothing more. Begins anew when
    /// the source does not reach to this end any more.
    pub fn copy_from(&mut self, now: Now, source: &LogReader, max_bytes: usize) -> Result<usize, CopyError> {
        let (start_offset, upper_bound) = (source.log_start_offset(), source.log_end_offset());
        if !(start_offset..=upper_bound).contains(&self.log_end_offset) {
            self.truncate_fully_and_start_at(start_offset, now)?;
        }
        let request = ReadRequest { offset: self.log_end_offset, max_bytes, upper_bound, min_one: true };
        let Some(region) = source.read(request)? else { return Ok(0) };
        if region.base_offset < self.log_end_offset {
            // Records were deleted up to the middle of a batch, which is there as a whole.
            self.truncate_fully_and_start_at(region.base_offset, now)?;
        }
        let batches = ReplicatedBatches::check(region.read()?.into())?;
        self.append_as_follower(now, LeaderEpoch(i32::MAX), &batches)?;
        Ok(batches.size_bytes())
    }

    /// Becomes what the source is beyond its records, and closes: everything is on stable storage afterwards. Blocks.
    pub fn finish_copy(&mut self, source: &Log) -> Result<(), CopyError> {
        let (end_offset, source_end_offset) = (self.log_end_offset, source.log_end_offset);
        if end_offset != source_end_offset {
            return Err(CopyError::Ends { end_offset, source_end_offset });
        }
        if let Some(latest) = source.epochs.latest() {
            self.epochs.assign(latest, end_offset);
        }
        self.advance_log_start_offset(source.log_start_offset, end_offset);
        self.producers = source.producers.clone();
        // They may know more than the batches that are left.
        self.queue_snapshot();
        self.close()?;
        Ok(())
    }
}
