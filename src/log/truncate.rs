//! Cutting a log's end, and closing it.
//!
//! A cut is flushed before it returns: bytes that come back after a power cut would stand behind newer ones. Blocks; rare.

use std::sync::Arc;

use crate::log::checkpoint;
use crate::log::error::LogError;
use crate::log::flush::LEADER_EPOCH_CHECKPOINT;
use crate::log::partition_log::{DurableEnd, Log};
use crate::log::scan::{Scan, ScanError};
use crate::log::segment::{LOG_SUFFIX, SEGMENT_SUFFIXES, Segment, State};
use crate::log::snapshots;
use crate::model::{Now, Offset};

/// What a start may read of each log without being slower for it.
const SMALL_LOG_BYTES: u64 = 4096;

impl Log {
    /// Where the log will end when it is cut at `offset`: a batch that spans it goes as a whole.
    pub fn end_after_cut(&self, offset: Offset) -> Result<Offset, LogError> {
        let keep = self.segments.partition_point(|segment| segment.base_offset < offset);
        let Some(last) = keep.checked_sub(1) else { return Ok(offset) };
        let (_, state) = self.state_at(&self.segments[last], offset)?;
        Ok(state.end_offset.min(offset))
    }

    /// What a segment keeps when it is cut at `offset`, in bytes, and its state then.
    fn state_at(&self, segment: &Segment, offset: Offset) -> Result<(u64, State), LogError> {
        let failed = |error| LogError::io("read", segment.path(LOG_SUFFIX))(std::io::Error::other(error));
        let located = segment.locate(offset).map_err(failed)?;
        let size = located.map_or_else(|| segment.size_bytes(), |batch| batch.position);
        Ok((size, self.walk_to(segment, size)?))
    }

    /// Removes every record at or behind `offset`; a batch that spans it goes as a whole, so that the log may end below it.
    /// Lower the recovery point checkpoint to [`Log::end_after_cut`] first: after a crash it must not claim what is gone.
    pub fn truncate_to(&mut self, offset: Offset, now: Now) -> Result<(), LogError> {
        if offset >= self.log_end_offset {
            // An epoch that began here and has no record would be taken for a divergence again and again.
            self.epochs.truncate_from_end(self.log_end_offset);
            return Ok(());
        }
        if offset <= self.segments[0].base_offset {
            return self.truncate_fully_and_start_at(offset, now);
        }
        self.unflushed.truncation_generation += 1;
        let keep = self.segments.partition_point(|segment| segment.base_offset < offset);
        let cut = self.segments[keep - 1].clone();
        let path = cut.path(LOG_SUFFIX);
        let failed = |action| LogError::io(action, path.clone());
        let (size, state) = self.state_at(&cut, offset)?;
        // Readers see the shorter end before the bytes go.
        self.log_end_offset = state.end_offset;
        self.reader.publish_end(state.end_offset);
        let removed: Vec<_> = self.segments.drain(keep..).collect();
        self.reader.publish_segments(self.segments.clone());
        // The segments go first: a crash in between must not leave a hole.
        self.remove_files(&removed)?;
        let file = cut.file().map_err(failed("open"))?;
        file.truncate(size).map_err(failed("cut"))?;
        cut.reset(state).map_err(failed("cut indexes of"))?;
        cut.write_indexes();
        self.finish_cut(now)
    }

    /// Empties the log, which then starts and ends at `offset`: a follower whose leader no longer has what it lacks.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset, now: Now) -> Result<(), LogError> {
        self.unflushed.truncation_generation += 1;
        let removed = std::mem::take(&mut self.segments);
        self.remove_files(&removed)?;
        // Nothing of the old log is below the new one: neither its epochs nor its producers may speak for it.
        self.epochs.clear();
        for snapshot in snapshots::list(&self.log_dir, &self.dir)? {
            snapshots::remove(&self.log_dir, &self.dir, snapshot)?;
        }
        let segment = Segment::create(self.log_dir.clone(), self.dir.clone(), offset);
        let segment = Arc::new(segment.map_err(LogError::io("create", &**self.dir))?);
        self.segments.push(segment);
        (self.log_start_offset, self.log_end_offset) = (offset, offset);
        self.reader.publish_start(offset);
        self.reader.publish_end(offset);
        self.reader.publish_segments(self.segments.clone());
        self.finish_cut(now)
    }

    fn finish_cut(&mut self, now: Now) -> Result<(), LogError> {
        let end_offset = self.log_end_offset;
        let active = self.active().clone();
        let scan = active.scan_from(0).map_err(LogError::io("open", active.path(LOG_SUFFIX)));
        let first = scan?.next().ok().flatten();
        self.active_first_timestamp_ms = first.map(|batch| batch.header.max_timestamp_ms);
        self.active_created_ms = now.wall_ms;
        self.log_start_offset = self.log_start_offset.min(end_offset);
        self.cleaned_to = self.cleaned_to.min(end_offset);
        self.epochs.truncate_from_end(end_offset);
        let unflushed = &mut self.unflushed;
        unflushed.durable_end = unflushed.durable_end.min(end_offset);
        unflushed.snapshots.clear();
        unflushed.obsolete_snapshots.clear();
        let offsets = snapshots::list(&self.log_dir, &self.dir)?;
        let rebuilt = snapshots::rebuild(&self.log_dir, &self.dir, &self.segments, end_offset, offsets)?;
        for snapshot in &rebuilt.at_segments {
            snapshot.write(&self.log_dir, &self.dir)?;
        }
        self.producers = rebuilt.producers;
        self.unflushed.snapshot_offset = rebuilt.snapshot_offset.max(rebuilt.at_segments.last().map(|at| at.offset));
        self.unflushed.snapshot_size_bytes = active.size_bytes();
        active.sync_log()?;
        active.sync_indexes()?;
        let text = checkpoint::encode_epochs(self.epochs.entries());
        self.log_dir.write_atomically(&self.dir.join(LEADER_EPOCH_CHECKPOINT), text.as_bytes())?;
        self.log_dir.sync_dir(&self.dir)?;
        self.unflushed.epochs_synced = self.epochs.version();
        self.unflushed.dir_version += 1;
        self.invariants();
        Ok(())
    }

    /// What is known of a segment when it ends at `size`.
    fn walk_to(&self, segment: &Segment, size: u64) -> Result<State, LogError> {
        let path = segment.path(LOG_SUFFIX);
        let file = segment.file().map_err(LogError::io("open", &path))?;
        let mut scan = Scan::headers(file, 0, size);
        let mut state = State::empty(segment.base_offset);
        loop {
            match scan.next() {
                Ok(None) => return Ok(state),
                Ok(Some(batch)) => {
                    state.push(segment.base_offset, &batch.header, self.options.index_interval_bytes);
                }
                Err(ScanError::Io(error)) => return Err(LogError::io("read", path)(error)),
                Err(ScanError::Batch(error)) => return Err(LogError::io("read", path)(std::io::Error::other(error))),
            }
        }
    }

    /// From the newest on, and on stable storage before anything else changes.
    fn remove_files(&self, segments: &[Arc<Segment>]) -> Result<(), LogError> {
        for segment in segments.iter().rev() {
            segment.abandon();
            for suffix in SEGMENT_SUFFIXES {
                let path = segment.path(suffix);
                if self.log_dir.disk().exists(&path) {
                    self.log_dir.disk().remove_file(&path).map_err(LogError::io("remove", path))?;
                }
            }
        }
        if segments.is_empty() { Ok(()) } else { self.log_dir.sync_dir(&self.dir) }
    }

    /// Leaves all records on stable storage, and indexes and producers' state such that the next start has nothing to scan. Those
    /// are flushed too, unless the next start reads so little that it may find them lost. Blocks. Write the answered end as the
    /// recovery point, then mark the directory's clean shutdown.
    pub fn close(&mut self) -> Result<DurableEnd, LogError> {
        self.log_dir.check()?;
        let active = self.active().clone();
        active.finish_indexes();
        if self.is_walked_by_a_start() {
            self.save_snapshot();
        } else if self.queue_snapshot() || self.needs_flush() {
            active.sync_indexes()?;
            // The names of the indexes: the flush brings them to stable storage.
            self.unflushed.dir_version += 1;
        }
        if self.needs_flush() {
            let outcome = self.flush_ticket().run();
            self.flushed(outcome)?;
        }
        Ok(self.durable_end())
    }

    /// Whether a start without indexes and snapshot walks the log with one read, as it does after a kill, and finds in the batches
    /// all that they say. Where there are thousands of logs most are like that, and flushes of caches would be most of a stop.
    fn is_walked_by_a_start(&self) -> bool {
        let is_alone = self.segments.len() == 1 && self.unflushed.snapshot_offset.is_none();
        let small_bytes = SMALL_LOG_BYTES.min(u64::from(self.options.index_interval_bytes));
        is_alone && self.active().size_bytes() <= small_bytes
    }
}
