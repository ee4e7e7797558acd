//! One pass over a log: first the dirty part is read for its keys, then every segment up to where that came, for what stays.
//!
//! A pass is a machine in steps of one buffer, so that whoever drives it can hold it back, and stop between two of them. It reads
//! and writes files by itself, and takes no lock: segments that are not active do not change. What it has made is put in its place
//! by [`Log::exchange`](crate::log::Log::exchange).

use std::collections::VecDeque;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use crate::io::disk::DiskFile;
use crate::log::compaction::exchange::{CLEANED_SUFFIX, CleanedSegment};
use crate::log::compaction::offset_map::OffsetMap;
use crate::log::compaction::plan::{Cleanable, group};
use crate::log::compaction::retain::{Retained, Rules, note_keys, retain};
use crate::log::compaction::transactions::{AbortedTransaction, Finder, Marker, Transactions};
use crate::log::error::{LogError, ReadError};
use crate::log::records::for_each_record;
use crate::log::scan::Scan;
use crate::log::segment::{INDEX_SUFFIX, LOG_SUFFIX, Segment, State, TIME_INDEX_SUFFIX, file_path};
use crate::model::{Now, Offset};
use crate::protocol::record_batch::{BatchHeader, BatchView};

/// What a pass is told.
#[derive(Clone, Copy, Debug)]
pub struct PassOptions {
    /// What delete horizons count from, by the wall clock.
    pub now: Now,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// This pass's part of `log.cleaner.dedupe.buffer.size`.
    pub map_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`.
    pub load_factor: f64,
    /// This pass's part of `log.cleaner.io.buffer.size`: what a step reads, and what one write holds. A larger batch is one step.
    pub io_buffer_bytes: usize,
    /// Random; nobody may know it who chooses keys.
    pub seed: u64,
}

/// Why a pass has ended early.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// A batch is broken, or cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl CompactionError {
    /// Whether there was no room for the new segment, which passes.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, CompactionError::Log(error) if error.is_disk_full())
    }
}

/// What one step came to.
pub enum Step {
    /// So many bytes were read and written.
    Worked {
        bytes: u64,
    },
    /// A new segment waits to be put in its place, before the next step.
    Ready(CleanedSegment),
    Done(PassOutcome),
}

/// What a whole pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassOutcome {
    /// Below it every key stands once now.
    pub cleaned_to: Offset,
    pub bytes_read: u64,
    pub bytes_written: u64,
}

/// See the head of this file.
pub struct Pass {
    plan: Cleanable,
    options: PassOptions,
    map: OffsetMap,
    /// Known when the first batch of a transaction was met.
    aborted: Option<Vec<AbortedTransaction>>,
    transactions: Transactions,
    phase: Phase,
    bytes_read: u64,
    bytes_written: u64,
}

enum Phase {
    Keys { place: usize, scan: Option<Scan> },
    Segments { groups: VecDeque<Vec<Arc<Segment>>>, current: Option<Box<Group>>, cleaned_to: Offset },
}

/// Segments that are becoming one.
struct Group {
    segments: Vec<Arc<Segment>>,
    place: usize,
    scan: Option<Scan>,
    writer: Writer,
    /// Whether anything is different from what the one segment holds.
    has_changed: bool,
}

impl Pass {
    pub fn new(plan: Cleanable, options: PassOptions) -> Pass {
        let expected = u64::try_from(plan.end - plan.first_dirty).unwrap_or(0);
        let mut map = OffsetMap::new(options.map_bytes, options.load_factor, expected, options.seed);
        map.latest = plan.first_dirty + -1;
        let place = plan.segments.partition_point(|segment| segment.end_offset() <= plan.first_dirty);
        Pass {
            plan,
            options,
            map,
            aborted: None,
            transactions: Transactions::default(),
            phase: Phase::Keys { place, scan: None },
            bytes_read: 0,
            bytes_written: 0,
        }
    }

    /// Goes on for one buffer. Blocks for the disk. After an error the pass is to be given up.
    pub fn step(&mut self) -> Result<Step, CompactionError> {
        let before = self.bytes_read + self.bytes_written;
        let is_reading_keys = matches!(self.phase, Phase::Keys { .. });
        let done = if is_reading_keys { self.read_keys().map(|()| None) } else { self.clean() }?;
        let bytes = self.bytes_read + self.bytes_written - before;
        Ok(done.unwrap_or(Step::Worked { bytes }))
    }

    /// Removes what was begun and is in nobody's place yet.
    pub fn give_up(self) {
        if let Phase::Segments { current: Some(group), .. } = self.phase
            && !self.plan.dir.is_left()
        {
            // If it cannot be removed, the next pass or the next start does.
            let _ = self.plan.log_dir.disk().remove_file(&group.writer.path);
        }
    }

    fn read_keys(&mut self) -> Result<(), CompactionError> {
        let Phase::Keys { place, scan } = &mut self.phase else { return Ok(()) };
        let Some(segment) = self.plan.segments.get(*place) else {
            let cleaned_to = self.plan.end;
            self.begin_cleaning(cleaned_to);
            return Ok(());
        };
        let first_dirty = self.plan.first_dirty;
        let opened = match scan.take() {
            Some(scan) => scan,
            None => {
                let start = segment.locate(first_dirty)?.map_or(0, |batch| batch.position);
                Scan::validating(segment.file().map_err(ReadError::Io)?, start, segment.size_bytes())
            }
        };
        let scan = scan.insert(opened);
        let mut read_bytes = 0;
        while read_bytes < self.options.io_buffer_bytes {
            let Some(batch) = scan.next_batch().map_err(ReadError::from)? else {
                // Gaps behind its last batch belong to the segment.
                let next = self.plan.segments.get(*place + 1).map_or(self.plan.end, |next| next.base_offset);
                self.map.latest = self.map.latest.max(next + -1);
                self.phase = Phase::Keys { place: *place + 1, scan: None };
                return Ok(());
            };
            let header = batch.header;
            check_place(&header, segment)?;
            read_bytes += header.size_bytes();
            self.bytes_read += header.size_bytes() as u64;
            if (header.is_control() || header.is_transactional()) && self.aborted.is_none() {
                let aborted = self.aborted.insert(find_aborted(&self.plan)?);
                self.transactions = Transactions::new(aborted, first_dirty);
            }
            let last_offset = header.last_offset();
            if header.is_control() {
                let marker = marker_of(&batch)?;
                self.transactions.is_needless(header.producer_id, marker, last_offset);
            } else if !self.transactions.is_aborted(header.producer_id, header.is_transactional(), last_offset)
                && !note_keys(&batch, first_dirty, &mut self.map).map_err(ReadError::from)?
            {
                let cleaned_to = self.map.latest + 1;
                self.begin_cleaning(cleaned_to);
                return Ok(());
            }
            self.map.latest = self.map.latest.max(last_offset);
        }
        Ok(())
    }

    fn begin_cleaning(&mut self, cleaned_to: Offset) {
        let count = self.plan.segments.partition_point(|segment| segment.base_offset < cleaned_to);
        let groups = group(&self.plan.segments[..count], self.plan.end, &self.plan.options).into();
        let aborted = self.aborted.as_deref().unwrap_or_default();
        self.transactions = Transactions::new(aborted, Offset::ZERO);
        self.phase = Phase::Segments { groups, current: None, cleaned_to };
    }

    fn clean(&mut self) -> Result<Option<Step>, CompactionError> {
        let Phase::Segments { groups, current, cleaned_to } = &mut self.phase else { return Ok(None) };
        if current.is_none() {
            let Some(segments) = groups.pop_front() else {
                let (cleaned_to, bytes_read, bytes_written) = (*cleaned_to, self.bytes_read, self.bytes_written);
                return Ok(Some(Step::Done(PassOutcome { cleaned_to, bytes_read, bytes_written })));
            };
            *current = Some(Box::new(Group::begin(&self.plan, segments)?));
        }
        let is_whole = self.clean_current()?;
        let Phase::Segments { current, .. } = &mut self.phase else { return Ok(None) };
        let Some(group) = current.take_if(|_| is_whole) else { return Ok(None) };
        if !group.has_changed && group.segments.len() == 1 {
            let removed = self.plan.log_dir.disk().remove_file(&group.writer.path);
            removed.map_err(LogError::io("remove", &group.writer.path))?;
            return Ok(None);
        }
        self.bytes_written += group.writer.buffer.len() as u64;
        let path = group.writer.path.clone();
        match group.finish(&self.plan) {
            Ok(cleaned) => Ok(Some(Step::Ready(cleaned))),
            Err(error) => {
                // Not `current` any more: nobody else would remove it.
                let _ = self.plan.log_dir.disk().remove_file(&path);
                Err(error.into())
            }
        }
    }

    /// Goes on with the group for one buffer; whether all of it is read.
    fn clean_current(&mut self) -> Result<bool, CompactionError> {
        let Phase::Segments { current: Some(group), .. } = &mut self.phase else { return Ok(true) };
        let Some(segment) = group.segments.get(group.place) else { return Ok(true) };
        let opened = match group.scan.take() {
            Some(scan) => scan,
            None => Scan::validating(segment.file().map_err(ReadError::Io)?, 0, segment.size_bytes()),
        };
        let scan = group.scan.insert(opened);
        let mut read_bytes = 0;
        while read_bytes < self.options.io_buffer_bytes {
            let Some(batch) = scan.next_batch().map_err(ReadError::from)? else {
                (group.place, group.scan) = (group.place + 1, None);
                return Ok(group.place == group.segments.len());
            };
            let header = batch.header;
            check_place(&header, segment)?;
            read_bytes += header.size_bytes();
            self.bytes_read += header.size_bytes() as u64;
            if (header.is_control() || header.is_transactional()) && self.aborted.is_none() {
                let aborted = self.aborted.insert(find_aborted(&self.plan)?);
                self.transactions = Transactions::new(aborted, Offset::ZERO);
            }
            let rules = Rules {
                map: &self.map,
                end: self.plan.end,
                last_of_producer: self.plan.producers.get(&header.producer_id).copied(),
                now_ms: self.options.now.wall_ms,
                delete_retention_ms: self.options.delete_retention_ms,
            };
            let retained = retain(&batch, &rules, &mut self.transactions).map_err(ReadError::from)?;
            group.has_changed |= retained != Retained::Whole;
            match &retained {
                Retained::Whole => group.writer.push(&header, batch.bytes(), &self.plan),
                Retained::Rebuilt(bytes) => {
                    let header = BatchHeader::parse(bytes).map_err(ReadError::from)?;
                    group.writer.push(&header, bytes, &self.plan);
                }
                Retained::Nothing => {}
            }
            if group.writer.buffer.len() >= self.options.io_buffer_bytes {
                self.bytes_written += group.writer.buffer.len() as u64;
                group.writer.flush().map_err(LogError::io("write", &group.writer.path))?;
            }
        }
        Ok(false)
    }
}

impl Group {
    fn begin(plan: &Cleanable, segments: Vec<Arc<Segment>>) -> Result<Group, LogError> {
        let base_offset = segments[0].base_offset;
        let path = file_path(&plan.dir, base_offset, &format!("{LOG_SUFFIX}.{CLEANED_SUFFIX}"));
        let file = plan.dir.open(&plan.log_dir, &path, true);
        let file = file.and_then(|file| file.truncate(0).map(|()| file)).map_err(LogError::io("create", &path))?;
        let state = State::empty(base_offset);
        let writer = Writer { base_offset, path, file, buffer: Vec::new(), flushed_bytes: 0, state };
        Ok(Group { segments, place: 0, scan: None, writer, has_changed: false })
    }

    /// Brings the new segment and its indexes to stable storage, under names of their own.
    fn finish(self, plan: &Cleanable) -> Result<CleanedSegment, LogError> {
        let Group { segments, mut writer, .. } = self;
        writer.flush().map_err(LogError::io("write", &writer.path))?;
        plan.log_dir.sync_file(&*writer.file, &writer.path)?;
        let mut state = writer.state;
        state.push_time_entry(writer.base_offset);
        // A gap at the end belongs to the segment, as in one that is loaded.
        state.end_offset = segments.last().expect("a group has a segment").end_offset();
        let offsets = state.offset_index.encode_pending();
        let times = state.time_index.encode_pending();
        for (suffix, (bytes, position)) in [(INDEX_SUFFIX, offsets), (TIME_INDEX_SUFFIX, times)] {
            let path = file_path(&plan.dir, writer.base_offset, &format!("{suffix}.{CLEANED_SUFFIX}"));
            let file = plan.dir.open(&plan.log_dir, &path, true).map_err(LogError::io("create", &path))?;
            let written = file.truncate(0).and_then(|()| file.write_all_at(&mut [IoSlice::new(&bytes)], position));
            written.map_err(LogError::io("write", &path))?;
            plan.log_dir.sync_file(&*file, &path)?;
        }
        state.offset_index.on_written(state.offset_index.pending().len());
        state.time_index.on_written(state.time_index.pending().len());
        plan.log_dir.sync_dir(&plan.dir)?;
        Ok(CleanedSegment::new(plan, segments, writer.base_offset, state))
    }
}

/// A new segment file, written a buffer at a time.
struct Writer {
    base_offset: Offset,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    flushed_bytes: u64,
    state: State,
}

impl Writer {
    fn push(&mut self, header: &BatchHeader, bytes: &[u8], plan: &Cleanable) {
        self.state.push(self.base_offset, header, plan.options.index_interval_bytes);
        self.buffer.extend_from_slice(bytes);
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_all_at(&mut [IoSlice::new(&self.buffer)], self.flushed_bytes)?;
        self.flushed_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// The offset of a batch is not under its CRC: one that lies in another segment is broken.
fn check_place(header: &BatchHeader, segment: &Segment) -> Result<(), ReadError> {
    let is_inside = header.base_offset >= segment.base_offset && header.next_offset() <= segment.end_offset();
    if is_inside { Ok(()) } else { Err(header.invalid_offsets().into()) }
}

fn marker_of(batch: &BatchView<'_>) -> Result<Marker, ReadError> {
    let mut marker = Marker::Empty;
    for_each_record(batch, |record| {
        marker = Marker::of_key(record.key);
        false
    })?;
    Ok(marker)
}

/// Reads all headers of the log, and the markers.
fn find_aborted(plan: &Cleanable) -> Result<Vec<AbortedTransaction>, ReadError> {
    let mut finder = Finder::default();
    for segment in plan.segments.iter().chain(&plan.following) {
        let mut scan = segment.scan_from(0)?;
        while let Some(located) = scan.next()? {
            let header = &located.header;
            if header.is_control() {
                let mut bytes = vec![0; header.size_bytes()];
                let read = segment.file()?.read_at(&mut bytes, located.position)?;
                let marker = marker_of(&BatchView::parse(&bytes[..read])?)?;
                finder.on_marker(header.producer_id, marker, header.last_offset());
            } else if header.is_transactional() {
                finder.on_data(header.producer_id, header.base_offset);
            }
        }
    }
    Ok(finder.finish())
}
