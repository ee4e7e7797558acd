//! One segment: a log file, its two indexes, and what is known of its end.
//!
//! A segment is shared: the one writer holds the partition's mutex, readers hold nothing. What both touch is in `State`, behind
//! a mutex that is held for a few loads and never across a read or write of a file, so that a reader sees end offset and size
//! of the same moment. Follows `LogSegment` of Apache Kafka 4.3.1.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::warn;

use crate::io::disk::DiskFile;
use crate::log::error::{LogError, ReadError};
use crate::log::index::{IndexEntry, OffsetEntry, SparseIndex, TimeEntry, floor_in_file, read_entries, write_entries};
use crate::log::log_dir::LogDir;
use crate::log::options::LogOptions;
use crate::log::place::Place;
use crate::log::producer_snapshot::{SIDECAR_SUFFIX, SNAPSHOT_SUFFIX};
use crate::log::scan::{LocatedBatch, Scan};
use crate::log::segment_files::{Kind, SegmentFiles};
use crate::model::Offset;
use crate::protocol::record_batch::BatchHeader;

pub(crate) const LOG_SUFFIX: &str = "log";
pub(crate) const INDEX_SUFFIX: &str = "index";
pub(crate) const TIME_INDEX_SUFFIX: &str = "timeindex";
pub(crate) const TRANSACTION_INDEX_SUFFIX: &str = "txnindex";
pub(crate) const DELETED_SUFFIX: &str = "deleted";
/// What belongs to a segment and goes with it; the snapshot is the producers' state at its start.
pub(crate) const SEGMENT_SUFFIXES: [&str; 6] =
    [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX, SNAPSHOT_SUFFIX, SIDECAR_SUFFIX];

/// Index entries that wait for one write: the index costs a system call for this many of its entries.
const PENDING_ENTRIES_MAX: usize = 128;
/// The last batches appended, found without reading: what tailing consumers and the high watermark ask for.
const RECENT_BATCHES: usize = 16;

/// `dir/00000000000000000042.log`.
pub(crate) fn file_path(dir: &Path, base_offset: Offset, suffix: &str) -> PathBuf {
    dir.join(format!("{:020}.{suffix}", base_offset.0))
}

/// The greatest timestamp of a segment, and the last offset of the first batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxTimestamp {
    pub timestamp_ms: i64,
    pub offset: Offset,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub end_offset: Offset,
    pub size_bytes: u64,
    /// -1 when no batch has one.
    pub max_timestamp: MaxTimestamp,
    pub offset_index: SparseIndex<OffsetEntry>,
    pub time_index: SparseIndex<TimeEntry>,
    pub bytes_since_index_entry: u64,
    recent: VecDeque<LocatedBatch>,
}

impl State {
    pub fn empty(base_offset: Offset) -> State {
        State {
            end_offset: base_offset,
            size_bytes: 0,
            max_timestamp: MaxTimestamp { timestamp_ms: -1, offset: base_offset },
            offset_index: SparseIndex::new(),
            time_index: SparseIndex::new(),
            bytes_since_index_entry: 0,
            recent: VecDeque::new(),
        }
    }

    /// Takes in the batch that stands at the end of the file, as `LogSegment.append` does.
    pub fn push(&mut self, base_offset: Offset, header: &BatchHeader, index_interval_bytes: u32) {
        let last_offset = header.last_offset();
        if header.max_timestamp_ms > self.max_timestamp.timestamp_ms {
            self.max_timestamp = MaxTimestamp { timestamp_ms: header.max_timestamp_ms, offset: last_offset };
        }
        if self.bytes_since_index_entry > u64::from(index_interval_bytes) {
            let position = u32::try_from(self.size_bytes).expect("a segment is rolled before 2 GiB");
            self.offset_index.push(OffsetEntry { relative_offset: relative(base_offset, last_offset), position });
            self.push_time_entry(base_offset);
            self.bytes_since_index_entry = 0;
        }
        let size = header.size_bytes() as u64;
        self.size_bytes += size;
        self.bytes_since_index_entry += size;
        self.end_offset = header.next_offset();
    }

    /// The time index ends with the greatest timestamp of all (`LogSegment.onBecomeInactiveSegment`).
    pub fn push_time_entry(&mut self, base_offset: Offset) {
        let MaxTimestamp { timestamp_ms, offset } = self.max_timestamp;
        if timestamp_ms >= 0 && self.time_index.last().is_none_or(|last| last.timestamp_ms < timestamp_ms) {
            self.time_index.push(TimeEntry { timestamp_ms, relative_offset: relative(base_offset, offset) });
        }
    }

    fn remember(&mut self, batch: LocatedBatch) {
        if self.recent.len() == RECENT_BATCHES {
            self.recent.pop_front();
        }
        self.recent.push_back(batch);
    }

    fn recent(&self, offset: Offset) -> Option<LocatedBatch> {
        if self.recent.front()?.header.base_offset > offset {
            return None;
        }
        let at = self.recent.partition_point(|batch| batch.header.last_offset() < offset);
        self.recent.get(at).copied()
    }
}

/// How far an offset lies behind its segment's base.
fn relative(base_offset: Offset, offset: Offset) -> u32 {
    u32::try_from(offset - base_offset).expect("a segment is rolled before its offsets overflow")
}

/// A segment of one log.
pub(crate) struct Segment {
    pub base_offset: Offset,
    log_dir: Arc<LogDir>,
    dir: Arc<Place>,
    files: Arc<SegmentFiles>,
    state: Mutex<State>,
}

impl Segment {
    pub fn new(log_dir: Arc<LogDir>, dir: Arc<Place>, base_offset: Offset, state: State) -> Segment {
        let files = SegmentFiles::new(Arc::clone(log_dir.descriptors()));
        Segment { base_offset, log_dir, dir, files, state: Mutex::new(state) }
    }

    /// Creates the files of an empty segment; indexes appear when they have an entry.
    pub fn create(log_dir: Arc<LogDir>, dir: Arc<Place>, base_offset: Offset) -> io::Result<Segment> {
        let segment = Segment::new(log_dir, dir, base_offset, State::empty(base_offset));
        let file = segment.open(Kind::Log, true)?;
        if !file.is_empty()? {
            // What lies here is the rest of something that was cut away; the log does not know it.
            file.truncate(0)?;
        }
        Ok(segment)
    }

    pub fn path(&self, suffix: &str) -> PathBuf {
        file_path(&self.dir, self.base_offset, suffix)
    }

    fn open(&self, kind: Kind, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let suffix = match kind {
            Kind::Log => LOG_SUFFIX,
            Kind::Index => INDEX_SUFFIX,
            Kind::TimeIndex => TIME_INDEX_SUFFIX,
        };
        self.files.get(kind, || self.dir.open(&self.log_dir, &self.path(suffix), create))
    }

    /// The log file, opened if it is not. Error: `NotFound` when the log has left its place, or the segment has left the log.
    pub fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.open(Kind::Log, false)
    }

    /// The log file was written to, by the caller, who still holds it.
    pub fn note_written(&self) {
        self.files.note_written();
    }

    fn index_file(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.open(Kind::Index, true)
    }

    fn time_index_file(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.open(Kind::TimeIndex, true)
    }

    pub fn end_offset(&self) -> Offset {
        self.state.lock().end_offset
    }

    pub fn size_bytes(&self) -> u64 {
        self.state.lock().size_bytes
    }

    /// End offset and size of the same moment.
    pub fn end(&self) -> (Offset, u64) {
        let state = self.state.lock();
        (state.end_offset, state.size_bytes)
    }

    pub fn max_timestamp(&self) -> MaxTimestamp {
        self.state.lock().max_timestamp
    }

    /// What retention by time goes by: the greatest timestamp, or the file's age when no record has one.
    pub fn largest_timestamp_ms(&self) -> i64 {
        let max = self.max_timestamp().timestamp_ms;
        if max >= 0 {
            return max;
        }
        self.file().and_then(|file| file.modified_ms()).unwrap_or(i64::MAX)
    }

    /// Whether an index has no room for another entry.
    pub fn is_index_full(&self, segment_index_bytes: u32) -> bool {
        let state = self.state.lock();
        let room = |bytes: usize| segment_index_bytes / u32::try_from(bytes).expect("8 or 12");
        // The time index keeps its last place for the entry it gets when the segment is closed.
        state.offset_index.len() >= room(OffsetEntry::BYTES)
            || state.time_index.len() >= room(TimeEntry::BYTES).saturating_sub(1)
    }

    /// Publishes batches that have been written behind the end.
    pub fn commit(&self, headers: &[BatchHeader], options: &LogOptions) {
        let mut state = self.state.lock();
        for header in headers {
            let located = LocatedBatch { header: *header, position: state.size_bytes };
            state.push(self.base_offset, header, options.index_interval_bytes);
            state.remember(located);
        }
        let full = state.offset_index.pending().len() >= PENDING_ENTRIES_MAX;
        drop(state);
        if full {
            self.write_indexes();
        }
    }

    /// Adds the closing time entry and writes what waits: the segment gets no more batches, or the log is closed.
    pub fn finish_indexes(&self) {
        self.state.lock().push_time_entry(self.base_offset);
        if self.has_index_entries_to_write() {
            self.write_indexes();
        }
    }

    pub fn has_index_entries_to_write(&self) -> bool {
        let state = self.state.lock();
        !state.offset_index.pending().is_empty() || !state.time_index.pending().is_empty()
    }

    /// Writes the index entries that wait. A failure costs them, and the next reader a longer walk; never the append.
    pub fn write_indexes(&self) {
        let (offsets, times) = {
            let state = self.state.lock();
            let offsets = (state.offset_index.encode_pending(), state.offset_index.pending().len());
            (offsets, (state.time_index.encode_pending(), state.time_index.pending().len()))
        };
        let write = |file: io::Result<Arc<dyn DiskFile>>, (bytes, position): &(Vec<u8>, u64)| {
            if bytes.is_empty() { Ok(()) } else { write_entries(&*file?, bytes, *position) }
        };
        let written = write(self.index_file(), &offsets.0);
        let written = written.and_then(|()| write(self.time_index_file(), &times.0));
        let Err(error) = written else {
            let mut state = self.state.lock();
            state.offset_index.on_written(offsets.1);
            state.time_index.on_written(times.1);
            return;
        };
        warn!(segment = %self.path(INDEX_SUFFIX).display(), %error, "index entries could not be written");
        let last_offset = self.last_in_file(self.index_file(), |state| state.offset_index.in_file_count());
        let last_time = self.last_in_file(self.time_index_file(), |state| state.time_index.in_file_count());
        let mut state = self.state.lock();
        state.offset_index.drop_pending(last_offset);
        state.time_index.drop_pending(last_time);
    }

    fn last_in_file<E: IndexEntry>(&self, file: io::Result<Arc<dyn DiskFile>>, count: fn(&State) -> u32) -> Option<E> {
        let last = count(&self.state.lock()).checked_sub(1)?;
        read_entries(&*file.ok()?, last, 1).ok()?.pop()
    }

    /// Brings both indexes to stable storage, creating them if they are not there yet.
    pub fn sync_indexes(&self) -> Result<(), LogError> {
        self.sync(INDEX_SUFFIX, self.index_file())?;
        self.sync(TIME_INDEX_SUFFIX, self.time_index_file())
    }

    /// Brings the log file to stable storage.
    pub fn sync_log(&self) -> Result<(), LogError> {
        let file = self.file();
        if file.is_ok() {
            self.files.note_flush();
        }
        self.sync(LOG_SUFFIX, file)
    }

    fn sync(&self, suffix: &str, file: io::Result<Arc<dyn DiskFile>>) -> Result<(), LogError> {
        let path = self.path(suffix);
        match file {
            Ok(file) => self.log_dir.sync_file(&*file, &path),
            // Cut away since the flush was asked for, and closed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.files.is_nameless() => Ok(()),
            Err(error) => Err(LogError::io("open", path)(error)),
        }
    }

    /// The batch that holds `offset`, or the first behind it when no batch does; `None` at or behind the end.
    pub fn locate(&self, offset: Offset) -> Result<Option<LocatedBatch>, ReadError> {
        let (floor, in_file, size) = {
            let state = self.state.lock();
            if offset >= state.end_offset {
                return Ok(None);
            }
            if let Some(batch) = state.recent(offset) {
                return Ok(Some(batch));
            }
            let key = u32::try_from((offset - self.base_offset).max(0)).unwrap_or(u32::MAX);
            let floor = state.offset_index.floor_pending(key).ok_or(key);
            (floor, state.offset_index.in_file_count(), state.size_bytes)
        };
        let entry = match floor {
            Ok(entry) => Some(entry),
            Err(_) if in_file == 0 => None,
            Err(key) => floor_in_file(&*self.index_file()?, in_file, key)?,
        };
        let start = entry.map_or(0, |entry| u64::from(entry.position));
        if start > 0 {
            match self.walk(start, size, offset) {
                // An entry is a hint: what it points at must be a batch at or below the offset that is looked for.
                Ok((first, found)) if first.base_offset >= self.base_offset && first.base_offset <= offset => {
                    return Ok(found);
                }
                answer => {
                    let path = self.path(INDEX_SUFFIX);
                    warn!(index = %path.display(), position = start, ?answer, "index entry does not point at its batch");
                }
            }
        }
        if size == 0 {
            return Ok(None);
        }
        Ok(self.walk(0, size, offset)?.1)
    }

    /// Walks from a batch's start to the first batch that ends at or behind `offset`. Also answers the first header.
    fn walk(&self, start: u64, end: u64, offset: Offset) -> Result<(BatchHeader, Option<LocatedBatch>), ReadError> {
        let mut scan = Scan::headers(self.file()?, start, end);
        let mut first = None;
        while let Some(batch) = scan.next()? {
            first.get_or_insert(batch.header);
            if batch.header.last_offset() >= offset {
                return Ok((first.expect("set above"), Some(batch)));
            }
        }
        let first = first.ok_or_else(|| ReadError::Io(io::ErrorKind::UnexpectedEof.into()))?;
        Ok((first, None))
    }

    /// A position at or before the first batch whose max timestamp reaches `timestamp_ms` (`LogSegment.findOffsetByTimestamp`).
    pub fn position_for_timestamp(&self, timestamp_ms: i64) -> Result<u64, ReadError> {
        let (pending, in_file) = {
            let state = self.state.lock();
            (state.time_index.floor_pending(timestamp_ms), state.time_index.in_file_count())
        };
        let entry = match pending {
            Some(entry) => Some(entry),
            None if in_file == 0 => None,
            None => floor_in_file(&*self.time_index_file()?, in_file, timestamp_ms)?,
        };
        let Some(entry) = entry else { return Ok(0) };
        let located = self.locate(self.base_offset + i64::from(entry.relative_offset))?;
        // A hint like any other: the batch that it points at must be the one that has its time.
        let fits = |batch: &LocatedBatch| {
            batch.header.max_timestamp_ms == entry.timestamp_ms && entry.timestamp_ms <= timestamp_ms
        };
        Ok(located.filter(fits).map_or(0, |batch| batch.position))
    }

    /// Whether both indexes end as the batches say: the last entries point at theirs, and no batch behind them has a greater
    /// time. Reads the headers behind the last offset entry, about one index interval. Entries lost whole from the end of
    /// the time index show unless all later batches are older; Kafka does not see those either.
    pub fn indexes_fit(&self) -> bool {
        let (offset_entry, time_entry, end_offset) = {
            let state = self.state.lock();
            (state.offset_index.last(), state.time_index.last(), state.end_offset)
        };
        let Ok(mut scan) = self.scan_from(offset_entry.map_or(0, |entry| u64::from(entry.position))) else {
            return false;
        };
        let (mut max_timestamp_ms, mut walked_to, mut expected) = (-1, self.base_offset, offset_entry);
        loop {
            let header = match scan.next() {
                Ok(Some(batch)) => batch.header,
                Ok(None) => break,
                Err(_) => return false,
            };
            if let Some(entry) = expected.take()
                && header.base_offset > self.base_offset + i64::from(entry.relative_offset)
            {
                return false;
            }
            max_timestamp_ms = header.max_timestamp_ms.max(max_timestamp_ms);
            walked_to = header.next_offset();
        }
        let indexed_to =
            offset_entry.map_or(self.base_offset, |entry| self.base_offset + i64::from(entry.relative_offset));
        if walked_to > end_offset || (offset_entry.is_some() && walked_to <= indexed_to) {
            return false;
        }
        match time_entry {
            None => max_timestamp_ms < 0,
            Some(entry) => max_timestamp_ms <= entry.timestamp_ms && self.has_time(entry),
        }
    }

    /// Whether the batch that a time entry points at has the entry's time.
    fn has_time(&self, entry: TimeEntry) -> bool {
        let located = self.locate(self.base_offset + i64::from(entry.relative_offset));
        matches!(located, Ok(Some(batch)) if batch.header.max_timestamp_ms == entry.timestamp_ms)
    }

    /// A walk over the headers from a position to the end as it is now.
    pub fn scan_from(&self, position: u64) -> io::Result<Scan> {
        Ok(Scan::headers(self.file()?, position, self.size_bytes()))
    }

    /// Replaces what is known of the end, after a cut. Index files are cut to the entries that still hold.
    pub fn reset(&self, state: State) -> io::Result<()> {
        let offset_bytes = u64::from(state.offset_index.in_file_count()) * OffsetEntry::BYTES as u64;
        let time_bytes = u64::from(state.time_index.in_file_count()) * TimeEntry::BYTES as u64;
        *self.state.lock() = state;
        self.index_file()?.truncate(offset_bytes)?;
        self.time_index_file()?.truncate(time_bytes)
    }

    /// Takes over a state that agrees with the files as they are.
    pub fn adopt(&self, state: State) {
        *self.state.lock() = state;
    }

    /// Opens every file that somebody may still read, for good: afterwards the segment can be read by whoever holds it, whatever
    /// becomes of the names. With an error nothing has changed.
    pub fn pin(&self) -> io::Result<()> {
        self.files.keep();
        let opened = self.open_all();
        match opened {
            Ok(()) => self.files.leave_names(),
            Err(_) => self.files.release(),
        }
        opened
    }

    /// The names are still the segment's: its files may be closed again.
    pub fn unpin(&self) {
        self.files.release();
    }

    /// The names are gone: who still holds the segment reads what is open, and must never be given what is made in its place.
    pub fn abandon(&self) {
        self.files.leave_names();
    }

    /// Closes what nobody is using.
    pub fn close_files(&self) {
        self.files.close();
    }

    fn open_all(&self) -> io::Result<()> {
        self.file()?;
        let (offset_count, time_count) = {
            let state = self.state.lock();
            (state.offset_index.len(), state.time_index.len())
        };
        // One without entries is not asked, and not created.
        if offset_count > 0 {
            self.index_file()?;
        }
        if time_count > 0 {
            self.time_index_file()?;
        }
        Ok(())
    }

    /// Bytes of the offset index and of the time index.
    pub fn index_sizes_bytes(&self) -> (u64, u64) {
        let state = self.state.lock();
        let bytes = |count: u32, entry_bytes: usize| u64::from(count) * entry_bytes as u64;
        (bytes(state.offset_index.len(), OffsetEntry::BYTES), bytes(state.time_index.len(), TimeEntry::BYTES))
    }

    /// Renames the segment's files to `.deleted`, so that no crash brings it back. It was pinned.
    pub fn rename_deleted(&self) -> io::Result<Vec<PathBuf>> {
        let mut renamed = Vec::new();
        for suffix in SEGMENT_SUFFIXES {
            let from = self.path(suffix);
            if self.log_dir.disk().exists(&from) {
                let to = self.path(&format!("{suffix}.{DELETED_SUFFIX}"));
                self.log_dir.disk().rename(&from, &to)?;
                renamed.push(to);
            }
        }
        Ok(renamed)
    }
}
