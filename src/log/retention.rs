//! What is deleted and when: whole segments from the oldest on, by time, by size, or because the log starts behind them.
//!
//! Follows `UnifiedLog.deleteOldSegments` of Apache Kafka 4.3.1. One thing is stricter: if the wall clock has moved much further
//! than the monotonic one since the last pass, time alone deletes one segment at most, so that a clock set wrong does not
//! empty every topic.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{info, warn};

use crate::log::log_dir::LogDir;
use crate::log::partition_log::Log;
use crate::log::segment::Segment;
use crate::model::{Now, Offset};

/// How far the two clocks may part between two passes before the wall clock is suspected.
const CLOCK_JUMP_MS: u64 = 60 * 60 * 1000;

/// Files that are out of the log already, and still on disk for `file.delete.delay.ms`.
#[must_use = "the files stay until they are removed, or the log is opened again"]
#[derive(Debug)]
pub struct DeletedSegments {
    log_dir: Arc<LogDir>,
    files: Vec<PathBuf>,
    /// How many segments have left the log.
    pub segment_count: usize,
    /// More may go with the first pass after a flush of the log.
    pub waits_for_flush: bool,
    /// How long to wait before [`DeletedSegments::remove`].
    pub delay_ms: u64,
}

impl DeletedSegments {
    /// Gives the space back. Blocks.
    pub fn remove(self) {
        for path in &self.files {
            if let Err(error) = self.log_dir.disk().remove_file(path) {
                warn!(path = %path.display(), %error, "deleted segment could not be removed");
            }
        }
    }
}

impl std::fmt::Debug for LogDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogDir({})", self.path().display())
    }
}

impl Log {
    /// Takes what retention allows out of the log: never a record at or above the high watermark, nor above the recovery
    /// point that was checkpointed last, because a power cut may bring back an older segment and not the one behind it, and
    /// only below the recovery point is such a hole known to be retention's. Renames files, so that it belongs on a thread
    /// that may block a little. If even the active segment is too old, a new one is begun, and the old one goes with the first
    /// pass after a flush.
    ///
    /// The order of flushes: what producers have written in a segment is known from its batches until the snapshot at the
    /// next segment's start is on stable storage, file and name. A roll only queues that snapshot, and the records before it
    /// may be durable and below the recovery point long before the next flush writes it. So a segment stays as long as that
    /// snapshot is queued, or a power cut would find neither, and a batch sent again would be taken twice.
    pub fn delete_old_segments(&mut self, now: Now, high_watermark: Offset) -> io::Result<DeletedSegments> {
        let high_watermark = high_watermark.min(self.checkpointed_recovery_point());
        let by_time = self.count_older(now, high_watermark);
        let by_size = self.count_oversized(high_watermark);
        let by_start = self.count_below_start(high_watermark);
        let count = by_time.max(by_size).max(by_start);
        if count == self.segments.len() {
            self.roll(now)?;
        }
        let saved = self.count_with_snapshot();
        let mut deleted = self.remove_first(count.min(saved))?;
        deleted.waits_for_flush = saved < count;
        Ok(deleted)
    }

    /// How many segments from the oldest on may go without a producer being forgotten. One always stays.
    fn count_with_snapshot(&self) -> usize {
        let queued = self.unflushed.snapshots.first().map_or(Offset(i64::MAX), |snapshot| snapshot.offset);
        self.segments.windows(2).take_while(|pair| pair[1].base_offset < queued).count()
    }

    /// The recovery point that a crash would find.
    pub(crate) fn checkpointed_recovery_point(&self) -> Offset {
        let name = self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.log_dir.recovery_point(name).unwrap_or(self.opened_recovery_point)
    }

    /// Moves the log start, as DeleteRecords does; the segments go with the next pass of retention. Answers the new start.
    pub fn advance_log_start_offset(&mut self, offset: Offset, high_watermark: Offset) -> Offset {
        let offset = offset.min(high_watermark).min(self.log_end_offset);
        if offset > self.log_start_offset {
            self.log_start_offset = offset;
            self.epochs.truncate_from_start(offset);
            self.reader.publish_start(offset);
        }
        self.log_start_offset
    }

    /// How many segments from the oldest on satisfy a condition, hold offsets, and lie below the high watermark. Of one that
    /// compaction has emptied only the offsets are left.
    fn count_while(&self, high_watermark: Offset, mut is_due: impl FnMut(&Segment) -> bool) -> usize {
        let due = |segment: &&Arc<Segment>| {
            let end_offset = segment.end_offset();
            end_offset > segment.base_offset && end_offset <= high_watermark && is_due(segment)
        };
        self.segments.iter().take_while(due).count()
    }

    fn count_older(&mut self, now: Now, high_watermark: Offset) -> usize {
        let jumped = self.last_retention.replace(now).is_some_and(|last| {
            let wall_ms = u64::try_from(now.wall_ms.saturating_sub(last.wall_ms)).unwrap_or(0);
            wall_ms > now.monotonic_ms.saturating_sub(last.monotonic_ms).saturating_add(CLOCK_JUMP_MS)
        });
        let retention_ms = self.options.retention_ms;
        if retention_ms < 0 || !self.options.cleanup_delete {
            return 0;
        }
        let count = self.count_while(high_watermark, |segment| {
            now.wall_ms.saturating_sub(segment.largest_timestamp_ms()) > retention_ms
        });
        if jumped && count > 1 {
            warn!(log = %self.dir.display(), count, "the wall clock has jumped, deleting one segment only");
            return 1;
        }
        count
    }

    fn count_oversized(&self, high_watermark: Offset) -> usize {
        let Ok(retention_bytes) = u64::try_from(self.options.retention_bytes) else { return 0 };
        if !self.options.cleanup_delete {
            return 0;
        }
        let mut excess_bytes = self.size_bytes().saturating_sub(retention_bytes);
        self.count_while(high_watermark, |segment| {
            let size_bytes = segment.size_bytes();
            let is_due = excess_bytes >= size_bytes;
            excess_bytes = excess_bytes.saturating_sub(size_bytes);
            is_due
        })
    }

    fn count_below_start(&self, high_watermark: Offset) -> usize {
        let end_offset = self.log_start_offset.min(high_watermark);
        self.segments.windows(2).take_while(|pair| pair[1].base_offset <= end_offset).count()
    }

    /// Readers that still hold a segment find its files by the descriptors, not by the names.
    fn pin_first(&self, count: usize) -> io::Result<()> {
        let pinned = self.segments[..count].iter().try_for_each(|segment| segment.pin());
        if pinned.is_err() {
            self.segments[..count].iter().for_each(|segment| segment.unpin());
        }
        pinned
    }

    fn remove_first(&mut self, count: usize) -> io::Result<DeletedSegments> {
        let mut files = Vec::new();
        if count > 0 {
            self.pin_first(count)?;
            let removed: Vec<_> = self.segments.drain(..count).collect();
            let log_start_offset = self.log_start_offset.max(self.segments[0].base_offset);
            info!(log = %self.dir.display(), segments = count, %log_start_offset, "segments deleted by retention");
            self.log_start_offset = log_start_offset;
            self.epochs.truncate_from_start(log_start_offset);
            // Readers lose the start before they lose the segment: they answer OFFSET_OUT_OF_RANGE, not an empty fetch.
            self.reader.publish_start(log_start_offset);
            self.reader.publish_segments(self.segments.clone());
            for segment in removed {
                files.extend(segment.rename_deleted()?);
            }
            self.unflushed.dir_version += 1;
        }
        self.invariants();
        let (log_dir, delay_ms) = (self.log_dir.clone(), self.options.file_delete_delay_ms);
        Ok(DeletedSegments { log_dir, files, segment_count: count, waits_for_flush: false, delay_ms })
    }
}
