//! What only a follower does to its log: takes a leader's batches as they are, and cuts what the leader does not have.
//!
//! Follows `UnifiedLog.appendAsFollower`, `AbstractFetcherThread.getOffsetTruncationState` and `LeaderEpochFileCache` of Apache
//! Kafka 4.3.1 (KIP-101, KIP-279). Offsets and epochs are the leader's: nothing is patched. CRCs are checked again, since the
//! bytes have been on a network and in another machine's memory.

use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::log::error::AppendError;
use crate::log::partition_log::{Log, storage_error};
use crate::model::{LeaderEpoch, Now, Offset};
use crate::protocol::record_batch::{BatchError, BatchHeader, BatchIter};

/// Whole batches of a leader, with right CRCs and rising offsets.
#[derive(Clone, Debug)]
pub struct ReplicatedBatches {
    records: Bytes,
    headers: SmallVec<[BatchHeader; 4]>,
}

impl ReplicatedBatches {
    /// Checks a leader's answer. A last batch that is cut off is left out: the answer's size has cut it. Call it without the
    /// partition's mutex.
    pub fn check(records: Bytes) -> Result<ReplicatedBatches, AppendError> {
        let mut headers: SmallVec<[BatchHeader; 4]> = SmallVec::new();
        let mut size_bytes = 0;
        for batch in BatchIter::new(&records) {
            let batch = match batch {
                Err(BatchError::Truncated { .. }) => break,
                batch => batch?,
            };
            batch.validate()?;
            batch.header.check_offsets()?;
            let falls = |last: &BatchHeader| {
                batch.header.base_offset < last.next_offset()
                    || batch.header.partition_leader_epoch < last.partition_leader_epoch
            };
            if headers.last().is_some_and(falls) {
                return Err(batch.header.invalid_offsets().into());
            }
            size_bytes += batch.header.size_bytes();
            headers.push(batch.header);
        }
        Ok(ReplicatedBatches { records: records.slice(..size_bytes), headers })
    }

    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Bytes that the log grows by.
    pub fn size_bytes(&self) -> usize {
        self.records.len()
    }
}

impl Log {
    /// Appends a leader's batches at the log's end. Answers the new end. With an error the log ends behind the last write that
    /// succeeded, which is between two batches. Errors: [`AppendError::Unexpected`] when the batches do not continue the log,
    /// or are of a later epoch than the leader that sent them; a disk's.
    pub fn append_as_follower(
        &mut self,
        now: Now,
        leader_epoch: LeaderEpoch,
        batches: &ReplicatedBatches,
    ) -> Result<Offset, AppendError> {
        if self.failed || self.log_dir.is_poisoned() {
            return Err(AppendError::Offline);
        }
        self.check_continues(leader_epoch, &batches.headers)?;
        let (mut first, mut position) = (0, 0);
        while first < batches.headers.len() {
            let head = &batches.headers[first];
            if self.must_roll_for(now, 0, (head.size_bytes(), head.max_timestamp_ms, head.last_offset())) {
                self.roll(now).map_err(|error| storage_error(&error))?;
            }
            let (count, size_bytes) = self.fitting(now, &batches.headers[first..]);
            self.write_replicated(now, batches, first..first + count, position..position + size_bytes)?;
            first += count;
            position += size_bytes;
        }
        self.invariants();
        Ok(self.log_end_offset)
    }

    fn check_continues(&self, leader_epoch: LeaderEpoch, headers: &[BatchHeader]) -> Result<(), AppendError> {
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else { return Ok(()) };
        let end_offset = self.log_end_offset;
        let falls = self.epochs.latest().is_some_and(|latest| first.partition_leader_epoch < latest);
        if first.base_offset < end_offset || falls || last.partition_leader_epoch > leader_epoch {
            let (base_offset, epoch) = (first.base_offset, first.partition_leader_epoch);
            return Err(AppendError::Unexpected { base_offset, epoch, end_offset });
        }
        Ok(())
    }

    /// How many batches, at least one, the active segment takes, and their bytes.
    fn fitting(&self, now: Now, headers: &[BatchHeader]) -> (usize, usize) {
        let (mut count, mut size_bytes) = (0, 0);
        for header in headers {
            let next = (header.size_bytes(), header.max_timestamp_ms, header.last_offset());
            if count > 0 && self.must_roll_for(now, size_bytes, next) {
                break;
            }
            count += 1;
            size_bytes += header.size_bytes();
        }
        (count, size_bytes)
    }

    fn write_replicated(
        &mut self,
        now: Now,
        batches: &ReplicatedBatches,
        part: Range<usize>,
        bytes: Range<usize>,
    ) -> Result<(), AppendError> {
        let headers = &batches.headers[part];
        let active = self.active().clone();
        let position = active.size_bytes();
        let mut slices = [IoSlice::new(&batches.records[bytes])];
        let file = active.file().map_err(|error| storage_error(&error))?;
        if let Err(error) = file.write_all_at(&mut slices, position) {
            return Err(self.cut_back(&*file, position, error));
        }
        self.log_dir.note_room();
        active.note_written();
        for header in headers {
            self.note_first_timestamp(now, header.max_timestamp_ms);
            self.epochs.assign(header.partition_leader_epoch, header.base_offset);
            self.producers.note(header);
        }
        active.commit(headers, &self.options);
        self.log_end_offset = active.end_offset();
        self.reader.publish_end(self.log_end_offset);
        Ok(())
    }

    /// Where a follower cuts its log when its leader answers that histories part: `epoch` is the largest epoch up to ours that
    /// the leader knows, and `end_offset` is where it ends there. The next fetch asks again, until both know the same epoch.
    pub fn truncation_offset(&self, epoch: LeaderEpoch, end_offset: Offset) -> Offset {
        match self.epoch_end_offset(epoch) {
            Some((ours, our_end)) if ours == epoch => our_end.min(end_offset).min(self.log_end_offset),
            // We lack the leader's epoch: what we have of later ones is not in its log, and below that we ask once more.
            Some((_, our_end)) => our_end.min(self.log_end_offset),
            None => end_offset.min(self.log_end_offset),
        }
    }

    /// The epoch of the last record, as the log's epochs know it; -1 when they know none.
    pub fn last_fetched_epoch(&self) -> LeaderEpoch {
        self.epochs.latest().unwrap_or(LeaderEpoch(-1))
    }
}
