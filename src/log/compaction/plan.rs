//! Which part of a log may be cleaned now, and how dirty it is (`LogCleanerManager.cleanableOffsets`, `LogToClean`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::log::compaction::retain::LastOfProducer;
use crate::log::error::ReadError;
use crate::log::log_dir::LogDir;
use crate::log::options::LogOptions;
use crate::log::partition_log::Log;
use crate::log::place::Place;
use crate::log::segment::Segment;
use crate::model::{Now, Offset, ProducerId};

/// How long records stay as they are, and how long they may at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionLag {
    /// `min.compaction.lag.ms`: younger segments are not cleaned.
    pub min_ms: i64,
    /// `max.compaction.lag.ms`: older records are cleaned, however little there is to gain.
    pub max_ms: i64,
}

/// A part of a log that may be cleaned: whole segments, none of them the active one.
pub struct Cleanable {
    pub(super) log_dir: Arc<LogDir>,
    pub(super) dir: Arc<Place>,
    pub(super) options: Arc<LogOptions>,
    /// From the log's first segment on.
    pub(super) segments: Vec<Arc<Segment>>,
    /// Those behind them. The marker of a transaction may lie there, and even behind the last stable offset, while its batches
    /// lie here.
    pub(super) following: Vec<Arc<Segment>>,
    pub(super) producers: BTreeMap<ProducerId, LastOfProducer>,
    /// Below it every key stands once.
    pub first_dirty: Offset,
    /// Where the cleanable part ends: the base offset of a segment.
    pub end: Offset,
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    pub(super) truncation_generation: u64,
    pub(super) snapshot_kept: Option<Offset>,
}

impl Cleanable {
    /// Dirty bytes as a part of all, 0 to 1; what `min.cleanable.dirty.ratio` is held against.
    pub fn dirty_ratio(&self) -> f64 {
        let all = self.clean_bytes + self.dirty_bytes;
        if all == 0 { 0.0 } else { self.dirty_bytes as f64 / all as f64 }
    }

    /// Whether a dirty segment began longer ago than `max.compaction.lag.ms`. Reads one header of each.
    pub fn is_overdue(&self, now: Now, lag: CompactionLag) -> Result<bool, ReadError> {
        if lag.max_ms == i64::MAX {
            return Ok(false);
        }
        for segment in self.segments.iter().filter(|segment| segment.end_offset() > self.first_dirty) {
            let first = segment.scan_from(0)?.next()?;
            let began_ms = first.map_or(-1, |batch| batch.header.max_timestamp_ms);
            if began_ms > 0 && began_ms < now.wall_ms.saturating_sub(lag.max_ms) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Log {
    /// Up to where the log has been cleaned; what the cleaner's checkpoint holds. Only an older value is ever wrong by it: what
    /// is cleaned twice stays the same.
    pub fn cleaned_to(&self) -> Offset {
        self.cleaned_to
    }

    /// Takes over what the checkpoint says, when the log has been opened.
    pub fn set_cleaned_to(&mut self, offset: Offset) {
        let is_in_log = offset >= self.log_start_offset && offset <= self.log_end_offset;
        self.cleaned_to = if is_in_log { offset } else { Offset::ZERO };
    }

    /// What may be cleaned of the log; `None` when nothing is dirty. Nothing at or behind `last_stable`, nor above the recovery
    /// point that was checkpointed last: behind that a gap between two segments is taken for a loss.
    pub fn cleanable(&self, now: Now, lag: CompactionLag, last_stable: Offset) -> Option<Cleanable> {
        let active = self.active().base_offset;
        let mut bound = last_stable.min(active).min(self.checkpointed_recovery_point());
        let first_dirty = self.cleaned_to.max(self.log_start_offset);
        if lag.min_ms > 0 {
            let young_ms = now.wall_ms.saturating_sub(lag.min_ms);
            let dirty = self
                .segments
                .iter()
                .filter(|segment| segment.base_offset < active && segment.end_offset() > first_dirty);
            let mut young = dirty.filter(|segment| segment.largest_timestamp_ms() > young_ms);
            bound = bound.min(young.next().map_or(bound, |segment| segment.base_offset));
        }
        let end = self.segments.iter().rev().find(|segment| segment.base_offset <= bound)?.base_offset;
        let count = self.segments.partition_point(|segment| segment.base_offset < end);
        let segments = self.segments[..count].to_vec();
        let (clean, dirty): (Vec<_>, Vec<_>) = segments.iter().partition(|segment| segment.end_offset() <= first_dirty);
        let bytes = |segments: Vec<&Arc<Segment>>| segments.iter().map(|segment| segment.size_bytes()).sum();
        let (clean_bytes, dirty_bytes): (u64, u64) = (bytes(clean), bytes(dirty));
        (first_dirty < end && dirty_bytes > 0).then(|| Cleanable {
            log_dir: self.log_dir.clone(),
            dir: self.dir.clone(),
            options: self.options.clone(),
            segments,
            following: self.segments[count..].to_vec(),
            producers: self.last_of_producers(),
            first_dirty,
            end,
            clean_bytes,
            dirty_bytes,
            truncation_generation: self.unflushed.truncation_generation,
            snapshot_kept: self.unflushed.snapshot_offset,
        })
    }

    /// `UnifiedLog.lastRecordsOfActiveProducers`.
    fn last_of_producers(&self) -> BTreeMap<ProducerId, LastOfProducer> {
        let last = |(id, entry): (ProducerId, &crate::log::ProducerEntry)| {
            let data = entry.batches.last().map(|batch| LastOfProducer::Data(batch.last_offset));
            (id, data.unwrap_or(LastOfProducer::Marker(entry.epoch)))
        };
        self.producers.iter().map(last).collect()
    }
}

/// Segments that become one, from the oldest group on (`Cleaner.groupSegmentsBySize`): no larger than a segment may be, and with
/// offsets that still fit behind its base.
pub(super) fn group(segments: &[Arc<Segment>], end: Offset, options: &LogOptions) -> Vec<Vec<Arc<Segment>>> {
    let mut groups: Vec<Vec<Arc<Segment>>> = Vec::new();
    let (mut size_bytes, mut index_bytes) = (0, (0, 0));
    for (index, segment) in segments.iter().enumerate() {
        let segment_bytes = segment.size_bytes();
        let (offset_bytes, time_bytes) = segment.index_sizes_bytes();
        let next = segments.get(index + 1).map_or(end, |next| next.base_offset);
        let limit = u64::from(options.segment_index_bytes);
        let fits = |group: &Vec<Arc<Segment>>| {
            size_bytes + segment_bytes <= u64::from(options.segment_bytes)
                && index_bytes.0 + offset_bytes <= limit
                && index_bytes.1 + time_bytes <= limit
                && next - group[0].base_offset <= i64::from(i32::MAX)
        };
        match groups.last_mut().filter(|group| fits(group)) {
            Some(group) => {
                group.push(Arc::clone(segment));
                size_bytes += segment_bytes;
                index_bytes = (index_bytes.0 + offset_bytes, index_bytes.1 + time_bytes);
            }
            None => {
                groups.push(vec![Arc::clone(segment)]);
                size_bytes = segment_bytes;
                index_bytes = (offset_bytes, time_bytes);
            }
        }
    }
    groups
}
