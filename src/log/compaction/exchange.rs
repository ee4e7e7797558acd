//! A new segment takes the place of old ones, and a crash at any moment leaves either.
//!
//! | step | files | after a crash here |
//! |---|---|---|
//! | 1 | the new segment lies flushed under `.cleaned` | the old ones hold; `.cleaned` is removed |
//! | 2 | indexes, then the log are renamed to `.swap`; the directory is flushed | with the log under `.swap` the next start goes on from here |
//! | 3 | the old segments' files are removed, but for the log that is replaced; the directory is flushed | as above |
//! | 4 | `.swap` goes from all names; the directory is flushed | the new one holds; an index that is missing is rebuilt |
//! | 5 | readers are given the new segment | |
//!
//! Names as in Kafka's `UnifiedLog.replaceSegments`, so that either server opens what the other has left. Readers that still hold
//! an old segment go on reading it by its descriptors, which are opened before step 3.

use std::sync::Arc;

use crate::log::compaction::plan::Cleanable;
use crate::log::error::LogError;
use crate::log::log_dir::LogDir;
use crate::log::partition_log::Log;
use crate::log::place::Place;
use crate::log::producer_snapshot::{SIDECAR_SUFFIX, SNAPSHOT_SUFFIX};
use crate::log::segment::{INDEX_SUFFIX, LOG_SUFFIX, SEGMENT_SUFFIXES, Segment, State, TIME_INDEX_SUFFIX, file_path};
use crate::model::Offset;

pub(crate) const CLEANED_SUFFIX: &str = "cleaned";
pub(crate) const SWAP_SUFFIX: &str = "swap";

/// What a new segment consists of, in the order in which it is renamed: the log is what decides.
const PARTS: [&str; 3] = [INDEX_SUFFIX, TIME_INDEX_SUFFIX, LOG_SUFFIX];

/// A new segment on stable storage, and those whose place it takes.
pub struct CleanedSegment {
    log_dir: Arc<LogDir>,
    dir: Arc<Place>,
    old: Vec<Arc<Segment>>,
    new: Arc<Segment>,
    truncation_generation: u64,
    /// The producers' newest state, which stays although its segment goes.
    snapshot_kept: Option<Offset>,
}

impl CleanedSegment {
    pub(super) fn new(plan: &Cleanable, old: Vec<Arc<Segment>>, base_offset: Offset, state: State) -> CleanedSegment {
        let (log_dir, dir) = (Arc::clone(&plan.log_dir), Arc::clone(&plan.dir));
        let new = Arc::new(Segment::new(Arc::clone(&log_dir), Arc::clone(&dir), base_offset, state));
        let (truncation_generation, snapshot_kept) = (plan.truncation_generation, plan.snapshot_kept);
        CleanedSegment { log_dir, dir, old, new, truncation_generation, snapshot_kept }
    }

    /// Bytes of the segments that go, and of the one that comes.
    pub fn sizes_bytes(&self) -> (u64, u64) {
        (self.old.iter().map(|segment| segment.size_bytes()).sum(), self.new.size_bytes())
    }

    /// Exchanges the files, as the head of this file says. Nothing else may change the log's files meanwhile: neither a cut, nor
    /// retention, nor a deletion of the topic. Blocks. With an error nothing has changed, or the directory is offline and the next
    /// start goes on.
    pub fn commit(&self) -> Result<(), LogError> {
        // Here a segment leaves its names, so that nobody who holds it is given the new one's file for its own.
        for segment in &self.old {
            segment.pin().map_err(LogError::io("open", segment.path(LOG_SUFFIX)))?;
        }
        self.rename(&format!(".{CLEANED_SUFFIX}"), &format!(".{SWAP_SUFFIX}"))?;
        self.log_dir.sync_dir(&self.dir)?;
        let finished = self.remove_old().and_then(|()| self.rename(&format!(".{SWAP_SUFFIX}"), ""));
        if let Err(LogError::Io { path, source, .. }) = &finished {
            // Half of it is done: only a start can tell what holds.
            self.log_dir.poison(path, source);
        }
        finished?;
        self.log_dir.sync_dir(&self.dir)
    }

    /// Removes what was made, when it is not wanted any more or its exchange has failed before anything was changed.
    pub fn discard(&self) {
        if self.dir.is_left() || self.log_dir.is_poisoned() {
            return;
        }
        self.old.iter().for_each(|segment| segment.unpin());
        // The log first: alone, the others mean nothing. What cannot be removed is removed by the next start.
        for suffix in PARTS.iter().rev() {
            for state in [CLEANED_SUFFIX, SWAP_SUFFIX] {
                let path = file_path(&self.dir, self.new.base_offset, &format!("{suffix}.{state}"));
                if self.log_dir.disk().exists(&path) {
                    let _ = self.log_dir.disk().remove_file(&path);
                }
            }
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LogError> {
        for suffix in PARTS {
            let path = |state: &str| file_path(&self.dir, self.new.base_offset, &format!("{suffix}{state}"));
            self.log_dir.disk().rename(&path(from), &path(to)).map_err(LogError::io("rename", path(from)))?;
        }
        Ok(())
    }

    fn remove_old(&self) -> Result<(), LogError> {
        for segment in &self.old {
            let is_replaced = segment.base_offset == self.new.base_offset;
            for suffix in SEGMENT_SUFFIXES {
                let is_snapshot = suffix == SNAPSHOT_SUFFIX || suffix == SIDECAR_SUFFIX;
                let stays = is_replaced && (suffix == LOG_SUFFIX || is_snapshot)
                    || is_snapshot && self.snapshot_kept == Some(segment.base_offset);
                let path = segment.path(suffix);
                if !stays && self.log_dir.disk().exists(&path) {
                    self.log_dir.disk().remove_file(&path).map_err(LogError::io("remove", path))?;
                }
            }
        }
        self.log_dir.sync_dir(&self.dir)
    }
}

impl Log {
    /// Whether the log still consists of what the new segment was made from.
    pub fn can_exchange(&self, cleaned: &CleanedSegment) -> bool {
        self.place_of(cleaned).is_some()
    }

    /// Gives readers a new segment whose files are in their place.
    ///
    /// # Panics
    /// When the log has changed since [`Log::can_exchange`]: the caller keeps it from that.
    pub fn exchange(&mut self, cleaned: &CleanedSegment) {
        let place = self.place_of(cleaned).expect("kept from changing since the exchange began");
        self.segments.splice(place..place + cleaned.old.len(), [Arc::clone(&cleaned.new)]);
        self.reader.publish_segments(self.segments.clone());
        self.invariants();
    }

    /// Notes that a pass has come to its end.
    pub fn cleaned_up_to(&mut self, offset: Offset) {
        self.cleaned_to = offset.max(self.cleaned_to).min(self.log_end_offset);
    }

    fn place_of(&self, cleaned: &CleanedSegment) -> Option<usize> {
        if cleaned.truncation_generation != self.unflushed.truncation_generation || self.failed {
            return None;
        }
        let first = cleaned.old.first()?;
        let place = self.segments.iter().position(|segment| Arc::ptr_eq(segment, first))?;
        let there = self.segments.get(place..place + cleaned.old.len())?;
        let is_same = there.iter().zip(&cleaned.old).all(|(there, old)| Arc::ptr_eq(there, old));
        (is_same && place + cleaned.old.len() < self.segments.len()).then_some(place)
    }
}
