//! Opening a log: what a crash or a clean stop left becomes a [`Log`] again.
//!
//! Below the recovery point everything was flushed and is believed; only headers are read there, and damage is an error, not a
//! reason to cut. Behind it every batch is checked, whole ones are kept, and the first broken one ends the log. What is kept
//! is flushed before anyone may read it, or a second crash could take back what a consumer has seen. Doing it twice changes
//! nothing. Follows `LogLoader` of Apache Kafka 4.3.1, which checks whole segments where we check from the recovery point.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use crate::io::disk::DiskFile;
use crate::log::checkpoint;
use crate::log::error::LogError;
use crate::log::flush::{LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA};
use crate::log::index::{IndexEntry, OffsetEntry, SparseIndex, TimeEntry, read_index, read_index_end};
use crate::log::leader_epoch::LeaderEpochs;
use crate::log::leftovers;
use crate::log::log_dir::LogDir;
use crate::log::options::LogOptions;
use crate::log::partition_log::{Log, LogParts, Unflushed};
use crate::log::place::Place;
use crate::log::scan::{LocatedBatch, Scan, ScanError};
use crate::log::segment::{
    INDEX_SUFFIX, LOG_SUFFIX, MaxTimestamp, Segment, State, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX, file_path,
};
use crate::log::snapshots;
use crate::model::{LeaderEpoch, Now, Offset, TopicId};
use crate::protocol::record_batch::BatchError;

/// Which log to open, and what the checkpoints say of it.
#[derive(Clone, Debug)]
pub struct OpenLog<'a> {
    /// The directory's name within the log directory: `topic-partition`.
    pub name: &'a str,
    pub topic_id: TopicId,
    pub options: Arc<LogOptions>,
    /// From `recovery-point-offset-checkpoint`; 0 when it does not know the log.
    pub recovery_point: Offset,
    /// From `log-start-offset-checkpoint`; 0 when it does not know the log.
    pub log_start_offset: Offset,
    /// Whether `.kafka_cleanshutdown` was there.
    pub clean_shutdown: bool,
    /// Whether segments behind the recovery point may have been compacted, as Kafka does. Here none is
    /// ([`super::Log::cleanable`]).
    pub may_have_gaps: bool,
    pub now: Now,
}

/// What opening a log has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// There was no log; it is new.
    pub created: bool,
    /// Bytes checked behind the recovery point.
    pub scanned_bytes: u64,
    /// Bytes of torn or broken batches cut from the end.
    pub truncated_bytes: u64,
    pub indexes_rebuilt: u32,
}

impl Log {
    /// Opens a log, or creates it. Afterwards all of it is on stable storage, except that a new log's directory waits for
    /// its first flush. Blocks.
    pub fn open(log_dir: &Arc<LogDir>, open: &OpenLog<'_>) -> Result<(Log, Recovered), LogError> {
        log_dir.check()?;
        let path = log_dir.path().join(open.name);
        let disk = log_dir.disk();
        let mut recovered = Recovered { created: !disk.exists(&path), ..Recovered::default() };
        if recovered.created {
            disk.create_dir_all(&path).map_err(LogError::io("create", &path))?;
            log_dir.note_name();
        }
        let is_known = check_partition_metadata(log_dir, &path, open.topic_id)?;
        let names = leftovers::clean(log_dir, &path)?;
        let base_offsets = leftovers::base_offsets(&names);
        let mut loader = Loader {
            log_dir,
            dir: Place::new(path),
            open,
            names,
            epochs: LeaderEpochs::default(),
            epochs_known: false,
            segments: Vec::new(),
            recovered: &mut recovered,
            changed: !is_known,
        };
        loader.load_epochs()?;
        loader.load_segments(&base_offsets)?;
        let log = loader.finish()?;
        Ok((log, recovered))
    }
}

/// Reads `partition.metadata`, or writes it when it is missing or torn: the cluster's metadata says which id is right. Answers
/// whether it was there.
fn check_partition_metadata(log_dir: &LogDir, dir: &Path, topic_id: TopicId) -> Result<bool, LogError> {
    let path = dir.join(PARTITION_METADATA);
    if let Some(text) = read_if_there(log_dir, &path)? {
        let text = String::from_utf8_lossy(&text);
        let id = text.lines().find_map(|line| line.strip_prefix("topic_id: ")).and_then(|id| id.trim().parse().ok());
        match id {
            Some(found) if found == topic_id => return Ok(true),
            Some(found) => return Err(LogError::InconsistentTopicId { path, found, expected: topic_id }),
            None => warn!(path = %path.display(), "partition metadata is torn, writing it again"),
        }
    }
    let text = format!("version: 0\ntopic_id: {topic_id}");
    let written = log_dir.open_file(&path, true).and_then(|file| {
        file.truncate(0)?;
        file.write_all_at(&mut [std::io::IoSlice::new(text.as_bytes())], 0)
    });
    written.map_err(LogError::io("write", &path))?;
    Ok(false)
}

fn read_if_there(log_dir: &LogDir, path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    match log_dir.disk().read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::io("read", path)(error)),
    }
}

/// Offset index and time index of one segment.
type IndexPair = (SparseIndex<OffsetEntry>, SparseIndex<TimeEntry>);

struct Loader<'a> {
    log_dir: &'a Arc<LogDir>,
    dir: Arc<Place>,
    open: &'a OpenLog<'a>,
    /// The files of the directory as they were found: what is not among them need not be looked for.
    names: BTreeSet<String>,
    epochs: LeaderEpochs,
    /// Whether the epoch file was readable; if not, all batches are asked.
    epochs_known: bool,
    segments: Vec<Arc<Segment>>,
    recovered: &'a mut Recovered,
    /// Whether anything was written that must be flushed before serving.
    changed: bool,
}

impl Loader<'_> {
    fn load_epochs(&mut self) -> Result<(), LogError> {
        if !self.names.contains(LEADER_EPOCH_CHECKPOINT) {
            return Ok(());
        }
        let path = self.dir.join(LEADER_EPOCH_CHECKPOINT);
        let text = self.log_dir.disk().read(&path).map_err(LogError::io("read", &path))?;
        match checkpoint::decode_epochs(&text) {
            Ok(entries) => {
                self.epochs = LeaderEpochs::new(entries);
                self.epochs_known = true;
            }
            Err(reason) => warn!(path = %path.display(), reason, "leader epochs are rebuilt from the log"),
        }
        Ok(())
    }

    /// The offset from which batches are checked.
    fn scan_start(&self) -> Offset {
        if self.open.clean_shutdown { Offset(i64::MAX) } else { self.open.recovery_point }
    }

    fn load_segments(&mut self, base_offsets: &[Offset]) -> Result<(), LogError> {
        for (index, base_offset) in base_offsets.iter().enumerate() {
            if self.is_behind_a_hole(*base_offset) {
                warn!(log = %self.dir.display(), offset = %base_offset, "log is cut at a missing segment");
                self.remove_segments(&base_offsets[index..])?;
                break;
            }
            let next = base_offsets.get(index + 1).copied();
            let whole = match next {
                Some(next) if next <= self.scan_start() => self.load_finished(*base_offset, next)?,
                _ => self.scan_segment(*base_offset, next.is_none())?,
            };
            if !whole {
                self.remove_segments(&base_offsets[index + 1..])?;
                break;
            }
        }
        if self.segments.is_empty() {
            let base_offset = self.open.log_start_offset.max(Offset::ZERO);
            let path = file_path(&self.dir, base_offset, LOG_SUFFIX);
            let segment = Segment::create(self.log_dir.clone(), self.dir.clone(), base_offset);
            self.segments.push(Arc::new(segment.map_err(LogError::io("create", path))?));
            self.epochs_known = true;
        }
        Ok(())
    }

    /// Behind the recovery point the name of a new segment may be lost, or the end of one, or a removal have happened, while a
    /// later segment is there. Below it a hole is what retention or compaction has left: nothing is compacted behind it. Where
    /// no recovery point is known, a compacted log is believed.
    fn is_behind_a_hole(&self, base_offset: Offset) -> bool {
        let Some(previous) = self.segments.last() else { return false };
        let may_be_compacted = self.open.options.cleanup_compact && self.open.recovery_point == Offset::ZERO;
        previous.end_offset() < base_offset
            && base_offset > self.open.recovery_point
            && !self.open.clean_shutdown
            && !may_be_compacted
            && !self.open.may_have_gaps
    }

    /// A segment that lies below the recovery point and gets no more batches: its size and the ends of its indexes suffice.
    fn load_finished(&mut self, base_offset: Offset, next: Offset) -> Result<bool, LogError> {
        let file = self.open_log(base_offset)?;
        if let Some((offsets, times)) = self.light_indexes(base_offset, file.size)? {
            let mut state = State::empty(base_offset);
            state.size_bytes = file.size;
            state.end_offset = next;
            state.max_timestamp = max_timestamp(base_offset, times.last());
            state.offset_index = offsets;
            state.time_index = times;
            self.install(base_offset, state, false)?;
            if self.segments.last().is_some_and(|segment| segment.indexes_fit()) {
                return Ok(true);
            }
            self.segments.pop();
        }
        // Without a usable index the batches are walked once; none is checked and nothing is cut.
        let mut state = self.walk(base_offset, State::empty(base_offset), &file, false)?.0;
        state.end_offset = next;
        self.recovered.indexes_rebuilt += 1;
        self.changed = true;
        self.install(base_offset, state, true)?;
        // As a finished segment's index ends, or it would not fit at the next start.
        self.segments.last().expect("installed above").finish_indexes();
        Ok(true)
    }

    /// A segment that may have a torn tail, or the active one. Answers whether the log goes on behind it.
    fn scan_segment(&mut self, base_offset: Offset, is_last: bool) -> Result<bool, LogError> {
        let file = self.open_log(base_offset)?;
        let (path, size) = (file_path(&self.dir, base_offset, LOG_SUFFIX), file.size);
        let from_index = self.state_from_index(base_offset, &file)?;
        let has_index = self.has_index(base_offset);
        let is_missing = from_index.is_none() && size > 0;
        let mut rebuilt = is_missing && has_index;
        let (start, indexes_hold) = from_index.unwrap_or_else(|| (State::empty(base_offset), !has_index));
        let start_position = start.size_bytes;
        let walked = self.walk(base_offset, start, &file, true);
        let misled = match &walked {
            Ok((state, error)) => error.is_some() && state.size_bytes == start_position,
            Err(error) => matches!(error, LogError::DamagedBelowRecoveryPoint { .. }),
        };
        let (state, error) = if misled && start_position > 0 {
            // Perhaps only the index is wrong about where a batch begins.
            rebuilt = true;
            self.walk(base_offset, State::empty(base_offset), &file, true)?
        } else {
            walked?
        };
        // A small segment has no entry yet, and with it no file.
        rebuilt |= is_missing && !state.offset_index.pending().is_empty();
        self.recovered.indexes_rebuilt += u32::from(rebuilt);
        let cut = size - state.size_bytes;
        if let Some(error) = error {
            warn!(segment = %path.display(), offset = %state.end_offset, cut_bytes = cut, %error, "log is cut at a broken batch");
        }
        let end_offset = state.end_offset;
        if is_last
            && !self.open.clean_shutdown
            && end_offset < self.open.recovery_point
            && base_offset < self.open.recovery_point
        {
            let recovery_point = self.open.recovery_point;
            return Err(LogError::DamagedBelowRecoveryPoint { path, offset: end_offset, recovery_point });
        }
        let rewritten = rebuilt || cut > 0 || !indexes_hold || !state.offset_index.pending().is_empty();
        let whole_bytes = state.size_bytes;
        self.install(base_offset, state, rewritten)?;
        // The indexes of the active segment are flushed when it is finished, and no sooner because of a start.
        self.changed |= rewritten && (!is_last || cut > 0);
        if cut > 0 {
            file.log.truncate(whole_bytes).map_err(LogError::io("cut", &path))?;
            self.recovered.truncated_bytes += cut;
        }
        Ok(cut == 0)
    }

    /// Walks batches from the state's end on. Those behind the recovery point are checked (`check`), and the first broken one
    /// ends the walk; below it a broken one is an error.
    fn walk(
        &mut self,
        base_offset: Offset,
        mut state: State,
        file: &LogFile,
        check: bool,
    ) -> Result<(State, Option<BatchError>), LogError> {
        let path = file_path(&self.dir, base_offset, LOG_SUFFIX);
        let (scan_start, size) = (self.scan_start(), file.size);
        let mut scan = Scan::headers(file.log.clone(), state.size_bytes, size);
        let mut checking = false;
        loop {
            // Offsets rise, so that the first batch at or behind the recovery point is where checking begins.
            if check && !checking && state.end_offset >= scan_start {
                checking = true;
                scan = Scan::validating(file.log.clone(), state.size_bytes, size);
                self.epochs.truncate_from_end(state.end_offset);
                self.recovered.scanned_bytes += size - state.size_bytes;
            }
            let error = match scan.next() {
                Ok(None) => return Ok((state, None)),
                Ok(Some(batch)) => match self.check_order(&state, &batch, checking) {
                    Ok(()) => {
                        self.take_in(base_offset, &mut state, &batch, checking);
                        continue;
                    }
                    Err(error) => error,
                },
                Err(ScanError::Batch(error)) => error,
                Err(ScanError::Io(error)) => return Err(LogError::io("read", &path)(error)),
            };
            if checking || state.end_offset >= self.open.recovery_point {
                return Ok((state, Some(error)));
            }
            let (offset, recovery_point) = (state.end_offset, self.open.recovery_point);
            return Err(LogError::DamagedBelowRecoveryPoint { path, offset, recovery_point });
        }
    }

    fn take_in(&mut self, base_offset: Offset, state: &mut State, batch: &LocatedBatch, checking: bool) {
        state.push(base_offset, &batch.header, self.open.options.index_interval_bytes);
        if checking || !self.epochs_known {
            self.epochs.assign(batch.header.partition_leader_epoch, batch.header.base_offset);
        }
    }

    /// Offsets and epochs never fall along a log. What follows a cut and was there before it would fall.
    fn check_order(&self, state: &State, batch: &LocatedBatch, checking: bool) -> Result<(), BatchError> {
        let header = &batch.header;
        header.check_offsets()?;
        let epoch_falls = checking
            && header.partition_leader_epoch >= LeaderEpoch(0)
            && self
                .epochs
                .epoch_for_offset(header.base_offset)
                .is_some_and(|epoch| header.partition_leader_epoch < epoch);
        if header.base_offset < state.end_offset || epoch_falls {
            return Err(header.invalid_offsets());
        }
        Ok(())
    }

    fn install(&mut self, base_offset: Offset, state: State, rewritten: bool) -> Result<(), LogError> {
        let segment = Segment::new(self.log_dir.clone(), self.dir.clone(), base_offset, State::empty(base_offset));
        let path = segment.path(INDEX_SUFFIX);
        if rewritten {
            segment.reset(state).map_err(LogError::io("write", &path))?;
            segment.write_indexes();
        } else {
            segment.adopt(state);
        }
        self.segments.push(Arc::new(segment));
        Ok(())
    }

    fn remove_segments(&mut self, base_offsets: &[Offset]) -> Result<(), LogError> {
        self.changed |= !base_offsets.is_empty();
        for base_offset in base_offsets {
            for suffix in [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX] {
                let path = file_path(&self.dir, *base_offset, suffix);
                if self.log_dir.disk().exists(&path) {
                    if suffix == LOG_SUFFIX {
                        self.recovered.truncated_bytes += self.open_log(*base_offset)?.size;
                    }
                    self.log_dir.disk().remove_file(&path).map_err(LogError::io("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// The log file of a segment that was not made yet.
    fn open_log(&self, base_offset: Offset) -> Result<LogFile, LogError> {
        let path = file_path(&self.dir, base_offset, LOG_SUFFIX);
        let log = self.log_dir.open_file(&path, false).map_err(LogError::io("open", &path))?;
        let size = log.len().map_err(LogError::io("open", &path))?;
        Ok(LogFile { log, size })
    }

    fn finish(mut self) -> Result<Log, LogError> {
        let active = self.segments.last().expect("there is one").clone();
        let end_offset = active.end_offset();
        self.epochs.truncate_from_end(end_offset);
        let log_start_offset = self.open.log_start_offset.max(self.segments[0].base_offset).min(end_offset);
        let limit = self.scan_start().min(end_offset);
        let offsets = snapshots::offsets(self.names.iter());
        let snapshots::Rebuilt { mut producers, snapshot_offset, at_segments } =
            snapshots::rebuild(self.log_dir, &self.dir, &self.segments, limit, offsets)?;
        for snapshot in &at_segments {
            snapshot.write(self.log_dir, &self.dir)?;
            self.changed = true;
        }
        let snapshot_offset = snapshot_offset.max(at_segments.last().map(|at| at.offset));
        producers.expire(self.open.now, self.open.options.producer_id_expiration_ms);
        let (is_durable, has_names) = self.make_durable(&active)?;
        let first_timestamp_ms = first_timestamp_ms(&active)?;
        let unflushed = Unflushed {
            durable_end: end_offset,
            truncation_generation: 0,
            dir_version: 1,
            dir_synced: u64::from(is_durable && has_names),
            parent_synced: is_durable,
            epochs_synced: if is_durable { self.epochs.version() } else { 0 },
            unrecorded_epoch: None,
            waiting_since: None,
            snapshots: Vec::new(),
            snapshot_offset,
            snapshot_size_bytes: active.size_bytes(),
            obsolete_snapshots: Vec::new(),
            indexes_from: None,
        };
        // What a start has read, perhaps nobody reads again for long.
        self.segments.iter().for_each(|segment| segment.close_files());
        Ok(Log::from_parts(LogParts {
            log_dir: self.log_dir.clone(),
            dir: self.dir,
            topic_id: self.open.topic_id,
            options: self.open.options.clone(),
            segments: self.segments,
            active_created_ms: self.open.now.wall_ms,
            active_first_timestamp_ms: first_timestamp_ms,
            log_start_offset,
            epochs: self.epochs,
            producers,
            unflushed,
            opened_recovery_point: self.open.recovery_point,
        }))
    }

    /// Flushes what was found behind the recovery point, and what was changed. Answers whether the log is on stable storage now:
    /// one that is new, or of which no flush was ever noted, waits for its first flush. And whether the names in it are: an empty
    /// segment may have been begun after the recovery point was written, and waits for the flush of its first record.
    fn make_durable(&mut self, active: &Segment) -> Result<(bool, bool), LogError> {
        if self.recovered.created {
            return Ok((false, false));
        }
        let end_offset = active.end_offset();
        // A recovery point is written when all below it has been flushed, the names included.
        let is_flushed = self.open.clean_shutdown || end_offset == self.open.recovery_point;
        if !self.changed && is_flushed && self.recovered.scanned_bytes == 0 {
            let was_noted = self.open.clean_shutdown || end_offset > Offset::ZERO;
            if !was_noted {
                self.log_dir.note_name();
            }
            let has_names = self.open.clean_shutdown || active.base_offset < end_offset;
            return Ok((was_noted, has_names));
        }
        self.flush_all()?;
        Ok((true, true))
    }

    /// Brings everything that was kept to stable storage before it is served (KAFKA-10101).
    fn flush_all(&mut self) -> Result<(), LogError> {
        let below = |segment: &Arc<Segment>| {
            segment.end_offset() <= self.open.recovery_point && segment.base_offset < self.open.recovery_point
        };
        for segment in self.segments.iter().filter(|segment| !below(segment)) {
            segment.sync_log()?;
            segment.sync_indexes()?;
        }
        if self.epochs.version() > 0 {
            let text = checkpoint::encode_epochs(self.epochs.entries());
            self.log_dir.write_atomically(&self.dir.join(LEADER_EPOCH_CHECKPOINT), text.as_bytes())?;
        }
        let path = self.dir.join(PARTITION_METADATA);
        let file = self.log_dir.open_file(&path, false).map_err(LogError::io("open", &path))?;
        self.log_dir.sync_file(&*file, &path)?;
        self.log_dir.sync_dir(&self.dir)?;
        self.log_dir.note_name();
        self.log_dir.sync_names()
    }

    /// The indexes of a finished segment by their last entries; `None` when they are missing or cannot be right.
    fn light_indexes(&self, base_offset: Offset, size: u64) -> Result<Option<IndexPair>, LogError> {
        let offsets = self.read_index_end::<OffsetEntry>(base_offset, INDEX_SUFFIX)?;
        let times = self.read_index_end::<TimeEntry>(base_offset, TIME_INDEX_SUFFIX)?;
        let (Some(offsets), Some(times), true) = (offsets, times, self.epochs_known) else { return Ok(None) };
        let points_inside = offsets.last().is_none_or(|entry| u64::from(entry.position) < size);
        Ok(points_inside.then_some((offsets, times)))
    }

    fn read_index_end<E: IndexEntry>(
        &self,
        base_offset: Offset,
        suffix: &str,
    ) -> Result<Option<SparseIndex<E>>, LogError> {
        let path = file_path(&self.dir, base_offset, suffix);
        if !self.has_file(&path) {
            return Ok(None);
        }
        let file = self.log_dir.open_file(&path, false).map_err(LogError::io("open", &path))?;
        let end = read_index_end::<E>(&*file).map_err(LogError::io("read", &path))?;
        Ok(end.map(|(count, last)| SparseIndex::in_file(count, last)))
    }

    /// Whether a file was there when the directory was listed.
    fn has_file(&self, path: &Path) -> bool {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| self.names.contains(name))
    }

    fn read_whole_index<E: IndexEntry>(&self, base_offset: Offset, suffix: &str) -> Result<Option<Vec<E>>, LogError> {
        let path = file_path(&self.dir, base_offset, suffix);
        if !self.has_file(&path) {
            return Ok(None);
        }
        let file = self.log_dir.open_file(&path, false).map_err(LogError::io("open", &path))?;
        read_index::<E>(&*file).map_err(LogError::io("read", &path))
    }

    fn has_index(&self, base_offset: Offset) -> bool {
        [INDEX_SUFFIX, TIME_INDEX_SUFFIX].iter().any(|suffix| self.has_file(&file_path(&self.dir, base_offset, suffix)))
    }

    /// The state as of the last index entry below the recovery point, and whether the files hold just these entries; `None` when
    /// the indexes are of no use.
    fn state_from_index(&self, base_offset: Offset, file: &LogFile) -> Result<Option<(State, bool)>, LogError> {
        let size = file.size;
        let offsets = self.read_whole_index::<OffsetEntry>(base_offset, INDEX_SUFFIX)?;
        let times = self.read_whole_index::<TimeEntry>(base_offset, TIME_INDEX_SUFFIX)?;
        let (Some(mut offsets), Some(mut times), true) = (offsets, times, self.epochs_known) else { return Ok(None) };
        let (limit, in_files) = (self.scan_start(), (offsets.len(), times.len()));
        let is_below = |relative_offset: u32| base_offset + i64::from(relative_offset) < limit;
        let holds = |entry: &OffsetEntry| u64::from(entry.position) < size && is_below(entry.relative_offset);
        offsets.truncate(offsets.partition_point(holds));
        // A stop leaves a last time entry behind the last offset entry, and is no reason to write the indexes anew.
        times.truncate(times.partition_point(|entry| is_below(entry.relative_offset)));
        let count = |len: usize| u32::try_from(len).expect("read_index has counted");
        let mut state = State::empty(base_offset);
        state.size_bytes = offsets.last().map_or(0, |entry| u64::from(entry.position));
        state.max_timestamp = max_timestamp(base_offset, times.last().copied());
        state.offset_index = SparseIndex::in_file(count(offsets.len()), offsets.last().copied());
        state.time_index = SparseIndex::in_file(count(times.len()), times.last().copied());
        let fits = times.last().is_none_or(|last| has_time(base_offset, file, &offsets, *last));
        let files_hold = in_files == (offsets.len(), times.len());
        Ok(fits.then_some((state, files_hold)))
    }
}

/// A segment's log file, before there is a [`Segment`].
struct LogFile {
    log: Arc<dyn DiskFile>,
    size: u64,
}

/// Whether the batch that a time entry points at has the entry's time: retention goes by it.
fn has_time(base_offset: Offset, file: &LogFile, offsets: &[OffsetEntry], entry: TimeEntry) -> bool {
    let above = offsets.partition_point(|offset| offset.relative_offset <= entry.relative_offset);
    let position = above.checked_sub(1).map_or(0, |index| u64::from(offsets[index].position));
    let mut scan = Scan::headers(file.log.clone(), position, file.size);
    let offset = base_offset + i64::from(entry.relative_offset);
    while let Ok(Some(batch)) = scan.next() {
        if batch.header.last_offset() >= offset {
            return batch.header.max_timestamp_ms == entry.timestamp_ms;
        }
    }
    false
}

/// The time of the active segment's first batch, which `segment.ms` counts from.
fn first_timestamp_ms(active: &Segment) -> Result<Option<i64>, LogError> {
    if active.size_bytes() == 0 {
        return Ok(None);
    }
    let mut scan = active.scan_from(0).map_err(LogError::io("open", active.path(LOG_SUFFIX)))?;
    Ok(scan.next().ok().flatten().map(|batch| batch.header.max_timestamp_ms))
}

fn max_timestamp(base_offset: Offset, last: Option<TimeEntry>) -> MaxTimestamp {
    match last {
        Some(entry) => {
            MaxTimestamp { timestamp_ms: entry.timestamp_ms, offset: base_offset + i64::from(entry.relative_offset) }
        }
        None => MaxTimestamp { timestamp_ms: -1, offset: base_offset },
    }
}
