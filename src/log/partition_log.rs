//! The log of one partition, as its single writer sees it.
//!
//! Everything that changes the log goes through `&mut self`, under the partition's mutex; readers hold a [`LogReader`]. The
//! only system call of an append is one `pwritev`; a roll opens a file; every flush runs from a [`FlushTicket`] elsewhere.
//!
//! Invariants: log start offset <= durable end <= log end offset; the segments' offsets do not overlap; the last segment is
//! the active one. An append is in the log as a whole, or not at all: its one commit point is the publication of the active
//! segment's end after the write.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use smallvec::SmallVec;
use tracing::warn;

use crate::io::disk::{DiskFile, is_disk_full, is_out_of_files};
use crate::log::error::AppendError;
use crate::log::leader_epoch::LeaderEpochs;
use crate::log::log_dir::LogDir;
use crate::log::options::LogOptions;
use crate::log::place::Place;
use crate::log::producers::{ProducerBatch, Producers, Undo, Verdict};
use crate::log::reader::LogReader;
use crate::log::segment::Segment;
use crate::log::snapshots::Snapshot;
use crate::log::validate::{Origin, ValidatedBatches};
use crate::model::{LeaderEpoch, Now, Offset, TopicId};
use crate::protocol::record_batch::{BatchHeader, PATCHED_BYTES};

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    pub first_offset: Offset,
    pub last_offset: Offset,
    /// -1 unless `message.timestamp.type` is LogAppendTime.
    pub log_append_time_ms: i64,
    pub log_start_offset: Offset,
    /// The batch stood in the log already; the offsets are the original ones.
    pub duplicate: bool,
}

/// An offset up to which the log is on stable storage. Had only from a finished flush, or from a recovery that ended with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurableEnd(pub(crate) Offset);

impl DurableEnd {
    pub fn offset(self) -> Offset {
        self.0
    }
}

/// One partition's log.
pub struct Log {
    pub(crate) log_dir: Arc<LogDir>,
    pub(crate) dir: Arc<Place>,
    pub(crate) topic_id: TopicId,
    pub(crate) options: Arc<LogOptions>,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// When the active segment was begun, by the wall clock.
    pub(crate) active_created_ms: i64,
    /// Max timestamp of the active segment's first batch; what `segment.ms` counts from.
    pub(crate) active_first_timestamp_ms: Option<i64>,
    pub(crate) log_start_offset: Offset,
    pub(crate) log_end_offset: Offset,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: Producers,
    pub(crate) reader: Arc<LogReader>,
    pub(crate) unflushed: Unflushed,
    /// Set when a failed write could not be cut back: what the file holds behind the end is not known.
    pub(crate) failed: bool,
    pub(crate) last_retention: Option<Now>,
    /// What the recovery point checkpoint said when the log was opened.
    pub(crate) opened_recovery_point: Offset,
    /// Up to where compaction has come.
    pub(crate) cleaned_to: Offset,
    patched: Vec<[u8; PATCHED_BYTES]>,
    staged: Vec<BatchHeader>,
}

/// What a flush has yet to bring to stable storage. The counters rise with each change, so that flushes may overlap.
#[derive(Debug)]
pub(crate) struct Unflushed {
    pub durable_end: Offset,
    /// Rises when the log is cut: a flush that began before says nothing about what came after.
    pub truncation_generation: u64,
    pub dir_version: u64,
    pub dir_synced: u64,
    /// Whether the partition's directory itself is on stable storage.
    pub parent_synced: bool,
    pub epochs_synced: u64,
    /// The version of the epochs, when the only change that was not written is an epoch without a record.
    pub unrecorded_epoch: Option<u64>,
    /// The durable end that was there at an earlier look, and the first look that found it, by the monotonic clock.
    pub waiting_since: Option<(Offset, u64)>,
    /// Producer snapshots that no finished flush has written yet.
    pub snapshots: Vec<Snapshot>,
    /// The newest snapshot that is written or waits to be.
    pub snapshot_offset: Option<Offset>,
    /// How large the active segment was then.
    pub snapshot_size_bytes: u64,
    /// Snapshots that belong to no segment's start, and go when a newer one is written.
    pub obsolete_snapshots: Vec<Offset>,
    /// Base offset of the first finished segment whose indexes no finished flush has covered. Its records may have been
    /// flushed long before: an index gets its last entries when its segment is finished.
    pub indexes_from: Option<Offset>,
}

/// The parts that opening a log has found; see `recovery`.
pub(crate) struct LogParts {
    pub log_dir: Arc<LogDir>,
    pub dir: Arc<Place>,
    pub topic_id: TopicId,
    pub options: Arc<LogOptions>,
    pub segments: Vec<Arc<Segment>>,
    pub active_created_ms: i64,
    pub active_first_timestamp_ms: Option<i64>,
    pub log_start_offset: Offset,
    pub epochs: LeaderEpochs,
    pub producers: Producers,
    pub unflushed: Unflushed,
    pub opened_recovery_point: Offset,
}

impl Log {
    pub(crate) fn from_parts(parts: LogParts) -> Log {
        let log_end_offset = parts.segments.last().expect("a log has a segment").end_offset();
        let reader = LogReader::new(parts.segments.clone(), parts.log_start_offset, log_end_offset);
        let log = Log {
            log_dir: parts.log_dir,
            dir: parts.dir,
            topic_id: parts.topic_id,
            options: parts.options,
            segments: parts.segments,
            active_created_ms: parts.active_created_ms,
            active_first_timestamp_ms: parts.active_first_timestamp_ms,
            log_start_offset: parts.log_start_offset,
            log_end_offset,
            epochs: parts.epochs,
            producers: parts.producers,
            reader: Arc::new(reader),
            unflushed: parts.unflushed,
            failed: false,
            last_retention: None,
            opened_recovery_point: parts.opened_recovery_point,
            cleaned_to: Offset::ZERO,
            patched: Vec::new(),
            staged: Vec::new(),
        };
        log.invariants();
        log
    }

    /// The handle for readers, valid as long as the log; it never takes the partition's mutex.
    pub fn reader(&self) -> Arc<LogReader> {
        self.reader.clone()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Has no further file of this log opened by its path. Called before its directory is moved away; readers go on with the
    /// files that are open.
    pub fn leave_place(&self) {
        self.dir.leave();
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    pub fn options(&self) -> &Arc<LogOptions> {
        &self.options
    }

    /// Takes effect with the next append.
    pub fn set_options(&mut self, options: Arc<LogOptions>) {
        self.options = options;
    }

    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// Up to where the log is on stable storage; what the recovery point checkpoint may hold.
    pub fn durable_end(&self) -> DurableEnd {
        DurableEnd(self.unflushed.durable_end)
    }

    /// The epochs of the log, for OffsetForLeaderEpoch and for finding where histories part.
    pub fn leader_epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    /// Notes that this broker leads with `epoch` from the log's end on, as Kafka does before the first append of a leader.
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        let before = Some(self.epochs.version());
        let unflushed = &mut self.unflushed;
        let was_written = Some(unflushed.epochs_synced) == before || unflushed.unrecorded_epoch == before;
        self.epochs.assign(epoch, self.log_end_offset);
        // Opening forgets an epoch that has no record: it is written with its first one, and ten thousand logs that begin an epoch
        // at a start have nothing to write.
        unflushed.unrecorded_epoch = was_written.then(|| self.epochs.version());
    }

    /// The largest known epoch up to `requested`, and the offset behind its last record (KIP-101, KIP-279).
    pub fn epoch_end_offset(&self, requested: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset_for(requested, self.log_end_offset)
    }

    /// The idempotent producers that are known, for DescribeProducers.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now: Now) {
        self.producers.expire(now, self.options.producer_id_expiration_ms);
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size_bytes()).sum()
    }

    pub(crate) fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a log has a segment")
    }

    /// Appends one request's batches. See [`Log::append_many`].
    pub fn append_as_leader(
        &mut self,
        now: Now,
        leader_epoch: LeaderEpoch,
        request: &ValidatedBatches,
    ) -> Result<AppendInfo, AppendError> {
        let mut outcomes = SmallVec::<[_; 1]>::new();
        self.append_staged(now, leader_epoch, std::slice::from_ref(request), &mut |outcome| outcomes.push(outcome));
        outcomes.pop().expect("one outcome a request")
    }

    /// Appends several requests in their order with one write, unless a segment must be rolled between them. One outcome a
    /// request is pushed to `outcomes`; a refused one does not keep the others out. On a failed write the file is cut back,
    /// and every request of that write has failed.
    pub fn append_many(
        &mut self,
        now: Now,
        leader_epoch: LeaderEpoch,
        requests: &[ValidatedBatches],
        outcomes: &mut Vec<Result<AppendInfo, AppendError>>,
    ) {
        self.append_staged(now, leader_epoch, requests, &mut |outcome| outcomes.push(outcome));
    }

    fn append_staged(
        &mut self,
        now: Now,
        leader_epoch: LeaderEpoch,
        requests: &[ValidatedBatches],
        push: &mut dyn FnMut(Result<AppendInfo, AppendError>),
    ) {
        let mut rest = requests;
        while !rest.is_empty() {
            if self.failed || self.log_dir.is_poisoned() {
                rest.iter().for_each(|_| push(Err(AppendError::Offline)));
                return;
            }
            let round = self.stage(now, leader_epoch, rest);
            let written = self.write(now, leader_epoch, &rest[..round.outcomes.len()], &round);
            let error = match written {
                Ok(()) => None,
                Err(error) => {
                    self.producers.undo(round.undo);
                    Some(error)
                }
            };
            rest = &rest[round.outcomes.len()..];
            for outcome in round.outcomes {
                push(match (outcome, &error) {
                    // A duplicate of a batch of this very write has failed with it.
                    (Ok(info), Some(error)) if info.last_offset >= self.log_end_offset => Err(error.clone()),
                    (outcome, _) => outcome,
                });
            }
        }
        self.invariants();
    }

    /// Decides on as many requests as fit the active segment, at least one, and assigns their offsets.
    fn stage(&mut self, now: Now, leader_epoch: LeaderEpoch, requests: &[ValidatedBatches]) -> Round {
        let mut round = Round { undo: Undo::new(), outcomes: SmallVec::new(), bytes: 0 };
        self.staged.clear();
        self.patched.clear();
        let mut next_offset = self.log_end_offset;
        for request in requests {
            let verdict = self.check_producers(request);
            if let Ok(Verdict::Next) = verdict {
                let last_offset = next_offset + (request.offset_count() - 1);
                if self.must_roll(now, round.bytes, request, last_offset) {
                    if !self.staged.is_empty() {
                        break;
                    }
                    if let Err(error) = self.roll(now) {
                        round.outcomes.push(Err(storage_error(&error)));
                        continue;
                    }
                }
            }
            round.outcomes.push(match verdict {
                Err(error) => Err(error),
                Ok(Verdict::Duplicate(batch)) => Ok(self.duplicate(batch)),
                Ok(Verdict::Next) => {
                    let first_offset = next_offset;
                    for header in &request.headers {
                        let header =
                            BatchHeader { base_offset: next_offset, partition_leader_epoch: leader_epoch, ..*header };
                        next_offset = header.next_offset();
                        self.patched.push(*header.encode().first_chunk().expect("a header has 61 bytes"));
                        self.producers.note_undoably(&header, &mut round.undo);
                        self.staged.push(header);
                    }
                    round.bytes += request.records.len();
                    Ok(AppendInfo {
                        first_offset,
                        last_offset: next_offset + -1,
                        log_append_time_ms: request.log_append_time_ms,
                        log_start_offset: self.log_start_offset,
                        duplicate: false,
                    })
                }
            });
        }
        round
    }

    fn check_producers(&self, request: &ValidatedBatches) -> Result<Verdict, AppendError> {
        if request.origin == Origin::Coordinator {
            return Ok(Verdict::Next);
        }
        // A request of several batches is a duplicate as a whole if one of its batches is, as in Kafka.
        for header in &request.headers {
            match self.producers.check(header)? {
                Verdict::Next => {}
                duplicate => return Ok(duplicate),
            }
        }
        Ok(Verdict::Next)
    }

    fn duplicate(&self, batch: ProducerBatch) -> AppendInfo {
        AppendInfo {
            first_offset: batch.first_offset(),
            last_offset: batch.last_offset,
            // Kafka gives the original's time here, whoever set it (`UnifiedLog.append`).
            log_append_time_ms: batch.timestamp_ms,
            log_start_offset: self.log_start_offset,
            duplicate: true,
        }
    }

    /// Writes what is staged, then publishes it.
    fn write(
        &mut self,
        now: Now,
        leader_epoch: LeaderEpoch,
        requests: &[ValidatedBatches],
        round: &Round,
    ) -> Result<(), AppendError> {
        let Some(first) = self.staged.first() else { return Ok(()) };
        let first_offset = first.base_offset;
        let active = self.segments.last().expect("a log has a segment").clone();
        let position = active.size_bytes();
        // Opened if it is not: without a descriptor nothing was written, and the log stays as it is.
        let file = active.file().map_err(|error| storage_error(&error))?;
        let written = {
            let mut slices: SmallVec<[IoSlice<'_>; 32]> = SmallVec::new();
            let mut patched = self.patched.iter();
            let accepted = requests.iter().zip(&round.outcomes);
            for (request, _) in accepted.filter(|(_, outcome)| matches!(outcome, Ok(info) if !info.duplicate)) {
                let mut start = 0;
                for header in &request.headers {
                    let end = start + header.size_bytes();
                    slices.push(IoSlice::new(patched.next().expect("one for each staged batch")));
                    slices.push(IoSlice::new(&request.records[start + PATCHED_BYTES..end]));
                    start = end;
                }
            }
            file.write_all_at(&mut slices, position)
        };
        if let Err(error) = written {
            return Err(self.cut_back(&*file, position, error));
        }
        self.log_dir.note_room();
        active.note_written();
        self.note_first_timestamp(now, self.staged[0].max_timestamp_ms);
        self.epochs.assign(leader_epoch, first_offset);
        active.commit(&self.staged, &self.options);
        self.log_end_offset = active.end_offset();
        self.reader.publish_end(self.log_end_offset);
        Ok(())
    }

    /// What `segment.ms` counts from, when the batch is the first of its segment.
    pub(crate) fn note_first_timestamp(&mut self, now: Now, timestamp_ms: i64) {
        if self.active_first_timestamp_ms.is_none() {
            self.active_first_timestamp_ms = Some(if timestamp_ms >= 0 { timestamp_ms } else { now.wall_ms });
        }
    }

    /// A short write leaves no trace: the file gets the size it had. If even that fails, nobody knows what the file holds.
    pub(crate) fn cut_back(&mut self, file: &dyn DiskFile, size_bytes: u64, error: io::Error) -> AppendError {
        let path = self.active().path("log");
        let cut = file.truncate(size_bytes);
        if is_disk_full(&error) && cut.is_ok() {
            self.log_dir.note_full(&path, &error);
        } else {
            self.failed = true;
            self.log_dir.poison(&path, cut.as_ref().err().unwrap_or(&error));
        }
        storage_error(&error)
    }

    /// `LogSegment.shouldRoll`.
    fn must_roll(&self, now: Now, staged_bytes: usize, request: &ValidatedBatches, last_offset: Offset) -> bool {
        let max_timestamp_ms = request.headers.iter().map(|header| header.max_timestamp_ms).max().unwrap_or(-1);
        self.must_roll_for(now, staged_bytes, (request.records.len(), max_timestamp_ms, last_offset))
    }

    /// Whether a new segment must be begun before `next` (bytes, timestamp, last offset) goes behind what is staged.
    pub(crate) fn must_roll_for(&self, now: Now, staged_bytes: usize, next: (usize, i64, Offset)) -> bool {
        let (bytes, max_timestamp_ms, last_offset) = next;
        let options = &self.options;
        let active = self.active();
        let size = active.size_bytes() + staged_bytes as u64;
        if size == 0 {
            return false;
        }
        let waited_ms = match self.active_first_timestamp_ms {
            Some(first) => max_timestamp_ms.saturating_sub(first),
            None => now.wall_ms.saturating_sub(self.active_created_ms),
        };
        size + bytes as u64 > u64::from(options.segment_bytes)
            || waited_ms > options.segment_ms
            || active.is_index_full(options.segment_index_bytes)
            || last_offset - active.base_offset > i64::from(i32::MAX)
    }

    /// Begins a new segment at the log's end. Does nothing when the active one is empty.
    pub fn roll(&mut self, now: Now) -> io::Result<()> {
        let (end_offset, size_bytes) = self.active().end();
        if size_bytes == 0 {
            return Ok(());
        }
        let segment = Segment::create(self.log_dir.clone(), self.dir.clone(), end_offset)?;
        self.active().finish_indexes();
        self.queue_snapshot();
        let finished = self.active().base_offset;
        self.unflushed.indexes_from.get_or_insert(finished);
        self.segments.push(Arc::new(segment));
        self.active_created_ms = now.wall_ms;
        self.active_first_timestamp_ms = None;
        self.unflushed.snapshot_size_bytes = 0;
        self.unflushed.dir_version += 1;
        self.reader.publish_segments(self.segments.clone());
        Ok(())
    }

    /// The producer state as of the log's end, for the next flush to write. Answers whether there is any to write.
    pub(crate) fn queue_snapshot(&mut self) -> bool {
        if self.has_snapshot_of_end() {
            return false;
        }
        let unflushed = &mut self.unflushed;
        let previous = unflushed.snapshot_offset.replace(self.log_end_offset);
        unflushed.snapshot_size_bytes = self.segments.last().expect("a log has a segment").size_bytes();
        let is_base = |offset: &Offset| self.segments.iter().any(|segment| segment.base_offset == *offset);
        unflushed.obsolete_snapshots.extend(previous.filter(|offset| !is_base(offset)));
        unflushed.snapshots.push(Snapshot::new(&self.producers, self.log_end_offset));
        unflushed.dir_version += 1;
        true
    }

    /// Writes the producer state as of the log's end, and flushes nothing: for a log whose batches say the same.
    pub(crate) fn save_snapshot(&mut self) {
        if self.has_snapshot_of_end() {
            return;
        }
        let snapshot = Snapshot::new(&self.producers, self.log_end_offset);
        match snapshot.write_unflushed(&self.log_dir, &self.dir) {
            Ok(()) => self.unflushed.snapshot_offset = Some(self.log_end_offset),
            Err(error) => warn!(log = %self.dir.display(), %error, "producer snapshot could not be written"),
        }
    }

    fn has_snapshot_of_end(&self) -> bool {
        // A log that never had a record has nothing to say, and there may be thousands.
        let is_empty = self.log_end_offset == self.segments[0].base_offset && self.producers.is_empty();
        let snapshot_offset = self.unflushed.snapshot_offset;
        (is_empty && snapshot_offset.is_none()) || snapshot_offset == Some(self.log_end_offset)
    }

    pub(crate) fn invariants(&self) {
        let active = self.active();
        assert!(self.log_start_offset <= self.log_end_offset);
        assert!(self.unflushed.durable_end <= self.log_end_offset);
        assert!(active.base_offset <= self.log_end_offset);
    }
}

/// What one write is about to do.
struct Round {
    undo: Undo,
    outcomes: SmallVec<[Result<AppendInfo, AppendError>; 4]>,
    bytes: usize,
}

impl ValidatedBatches {
    fn offset_count(&self) -> i64 {
        self.headers.iter().map(|header| i64::from(header.last_offset_delta) + 1).sum()
    }
}

pub(crate) fn storage_error(error: &io::Error) -> AppendError {
    if is_out_of_files(error) {
        return AppendError::TooManyOpenFiles;
    }
    AppendError::Storage { kind: error.kind() }
}
