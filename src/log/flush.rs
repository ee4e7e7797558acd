//! Flushing away from the partition's lock: a ticket says what to bring to stable storage, its outcome moves the durable end.
//!
//! The ticket is taken under the lock, run on another thread, and its outcome handed back under the lock. Several may be on
//! their way. What the ticket covers was captured when it was taken; a cut of the log in between makes it worthless.

use std::sync::Arc;

use crate::log::checkpoint;
use crate::log::error::LogError;
use crate::log::log_dir::LogDir;
use crate::log::partition_log::{DurableEnd, Log};
use crate::log::place::Place;
use crate::log::segment::Segment;
use crate::log::snapshots::{self, Snapshot};
use crate::model::{Now, Offset};

pub(crate) const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";

/// Producer state is rebuilt from the last snapshot on: so many bytes are walked at most, whatever the segment's size.
const SNAPSHOT_INTERVAL_BYTES: u64 = 64 << 20;

/// One log's part in a round of flushing. Send it to a thread that may block, and [`FlushTicket::run`] it there.
#[must_use = "what is captured is flushed by running the ticket"]
pub struct FlushTicket {
    log_dir: Arc<LogDir>,
    dir: Arc<Place>,
    segments: Vec<Arc<Segment>>,
    snapshots: Vec<Snapshot>,
    epochs: Option<(u64, String)>,
    sync_parent: bool,
    sync_dir: bool,
    covers: Covers,
}

#[derive(Clone, Debug)]
struct Covers {
    end: Offset,
    /// Where the active segment began: of all before it, the indexes are covered too.
    active_from: Offset,
    truncation_generation: u64,
    dir_version: u64,
    epochs_version: u64,
    snapshot_offset: Option<Offset>,
    obsolete_snapshots: Vec<Offset>,
}

/// What became of a ticket; goes back to [`Log::flushed`].
#[must_use = "the durable end moves when the log is told"]
#[derive(Debug)]
pub struct FlushOutcome {
    covers: Covers,
    result: Result<(), LogError>,
}

impl FlushOutcome {
    /// Whether the flush succeeded; if not, the log directory is offline, unless the disk was full.
    pub fn is_ok(&self) -> bool {
        self.result.is_ok()
    }
}

impl FlushTicket {
    /// The log end when the ticket was taken: what will be durable if it succeeds and the log is not cut meanwhile.
    pub fn end(&self) -> Offset {
        self.covers.end
    }

    /// Flushes. Blocks for as long as the disk needs.
    pub fn run(self) -> FlushOutcome {
        let result = self.flush();
        // Whatever failed, nobody knows what the disk holds of it; only a lack of room or of descriptors is known to pass.
        match &result {
            Err(error) if error.may_pass() => {}
            Err(LogError::Io { path, source, .. }) => self.log_dir.poison(path, source),
            _ => {}
        }
        FlushOutcome { covers: self.covers, result }
    }

    fn flush(&self) -> Result<(), LogError> {
        let active = self.segments.last().map(|segment| segment.base_offset);
        for segment in &self.segments {
            segment.sync_log()?;
            // Recovery starts behind a finished segment once it is flushed, so its indexes must be as safe as it is.
            if Some(segment.base_offset) != active {
                segment.sync_indexes()?;
            }
        }
        for snapshot in &self.snapshots {
            snapshot.write(&self.log_dir, &self.dir)?;
        }
        if !self.covers.obsolete_snapshots.is_empty() {
            // The newer one must be there for good before the older ones go.
            self.log_dir.sync_dir(&self.dir)?;
        }
        for offset in &self.covers.obsolete_snapshots {
            snapshots::remove(&self.log_dir, &self.dir, *offset)?;
        }
        if self.sync_parent {
            let path = self.dir.join(PARTITION_METADATA);
            let file = self.log_dir.open_file(&path, false).map_err(LogError::io("open", &path))?;
            self.log_dir.sync_file(&*file, &path)?;
            self.log_dir.sync_names()?;
        }
        match &self.epochs {
            // Last, since the directory is flushed with it, and no second time for the other names.
            Some((_, text)) => {
                self.log_dir.write_atomically(&self.dir.join(LEADER_EPOCH_CHECKPOINT), text.as_bytes())?;
            }
            None if self.sync_dir => self.log_dir.sync_dir(&self.dir)?,
            None => {}
        }
        Ok(())
    }
}

impl Log {
    /// Whether a flush would bring anything to stable storage.
    pub fn needs_flush(&self) -> bool {
        let unflushed = &self.unflushed;
        unflushed.durable_end < self.log_end_offset
            || unflushed.dir_synced < unflushed.dir_version
            || self.has_unwritten_epochs()
            || !unflushed.parent_synced
            || !unflushed.snapshots.is_empty()
            || unflushed.indexes_from.is_some()
    }

    /// Opening a log forgets an epoch that has no record: it is written with the first one.
    fn has_unwritten_epochs(&self) -> bool {
        let (unflushed, version) = (&self.unflushed, self.epochs.version());
        let has_record = self.epochs.entries().last().is_none_or(|latest| latest.1 < self.log_end_offset);
        unflushed.epochs_synced < version && (has_record || unflushed.unrecorded_epoch != Some(version))
    }

    /// Whether records of a segment that gets no more are not on stable storage.
    pub fn has_unflushed_segment(&self) -> bool {
        self.unflushed.durable_end < self.active().base_offset
    }

    /// Whether the same records have been waiting for a flush since a look that was `flush_ms` ago. Counts from the first look.
    pub fn is_flush_due(&mut self, now: Now, flush_ms: i64) -> bool {
        let durable_end = self.unflushed.durable_end;
        let seen = self.unflushed.waiting_since.filter(|(end, _)| *end == durable_end && end < &self.log_end_offset);
        let since_ms = seen.map_or(now.monotonic_ms, |(_, since_ms)| since_ms);
        self.unflushed.waiting_since = Some((durable_end, since_ms));
        let waited_ms = i64::try_from(now.monotonic_ms.saturating_sub(since_ms)).unwrap_or(i64::MAX);
        durable_end < self.log_end_offset && waited_ms >= flush_ms
    }

    /// Writes the index entries that wait in memory, so that a start after a kill need not look for them. Flushes nothing.
    pub fn write_indexes(&self) {
        if self.active().has_index_entries_to_write() {
            self.active().write_indexes();
        }
    }

    /// Captures what is not on stable storage now.
    pub fn flush_ticket(&mut self) -> FlushTicket {
        let grown_bytes = self.active().size_bytes().saturating_sub(self.unflushed.snapshot_size_bytes);
        if grown_bytes >= SNAPSHOT_INTERVAL_BYTES {
            self.queue_snapshot();
        }
        let active_from = self.active().base_offset;
        let writes_epochs = self.has_unwritten_epochs();
        let unflushed = &mut self.unflushed;
        let first = self.segments.partition_point(|segment| {
            segment.end_offset() <= unflushed.durable_end
                && unflushed.indexes_from.is_none_or(|from| segment.base_offset < from)
        });
        let epochs_version = if writes_epochs { self.epochs.version() } else { unflushed.epochs_synced };
        let epochs = writes_epochs.then(|| (epochs_version, checkpoint::encode_epochs(self.epochs.entries())));
        FlushTicket {
            log_dir: self.log_dir.clone(),
            dir: self.dir.clone(),
            segments: self.segments[first..].to_vec(),
            snapshots: unflushed.snapshots.clone(),
            epochs,
            sync_parent: !unflushed.parent_synced,
            sync_dir: unflushed.dir_synced < unflushed.dir_version,
            covers: Covers {
                end: self.log_end_offset,
                active_from,
                truncation_generation: unflushed.truncation_generation,
                dir_version: unflushed.dir_version,
                epochs_version,
                snapshot_offset: unflushed.snapshot_offset,
                obsolete_snapshots: std::mem::take(&mut unflushed.obsolete_snapshots),
            },
        }
    }

    /// Takes in a finished flush and answers the durable end. An error is the flush's: the directory is offline
    /// then, unless [`LogError::may_pass`], and the next ticket covers the same again.
    pub fn flushed(&mut self, outcome: FlushOutcome) -> Result<DurableEnd, LogError> {
        let active_from = self.active().base_offset;
        let (covers, unflushed) = (outcome.covers, &mut self.unflushed);
        let is_of_this_log = covers.truncation_generation == unflushed.truncation_generation;
        if let Err(error) = outcome.result {
            // They still lie there; a cut has looked at what is there by itself.
            if is_of_this_log {
                unflushed.obsolete_snapshots.extend(covers.obsolete_snapshots);
            }
            return Err(error);
        }
        unflushed.parent_synced = true;
        unflushed.dir_synced = unflushed.dir_synced.max(covers.dir_version);
        if is_of_this_log {
            unflushed.epochs_synced = unflushed.epochs_synced.max(covers.epochs_version);
            unflushed.durable_end = unflushed.durable_end.max(covers.end);
            unflushed.snapshots.retain(|snapshot| Some(snapshot.offset) > covers.snapshot_offset);
            unflushed.indexes_from = (covers.active_from < active_from).then_some(covers.active_from);
        }
        self.invariants();
        Ok(self.durable_end())
    }
}
