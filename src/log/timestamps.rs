//! Which offset belongs to a time (KIP-33, KIP-734); for ListOffsets, without the partition's lock.

use std::sync::Arc;

use crate::log::error::ReadError;
use crate::log::reader::LogReader;
use crate::log::records::for_each_record;
use crate::log::scan::LocatedBatch;
use crate::log::segment::Segment;
use crate::model::{LeaderEpoch, Offset};
use crate::protocol::record_batch::{BatchView, TimestampType};

/// A record by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp_ms: i64,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

impl LogReader {
    /// The first record, at or behind the log start, whose timestamp is at least `timestamp_ms`. The caller compares it with
    /// the high watermark. Reads the disk. Source: `UnifiedLog.fetchOffsetByTimestamp`, `LogSegment.findOffsetByTimestamp`.
    pub fn offset_for_timestamp(&self, timestamp_ms: i64) -> Result<Option<TimestampOffset>, ReadError> {
        let log_start_offset = self.log_start_offset();
        for segment in self.segments.load().iter() {
            if segment.max_timestamp().timestamp_ms < timestamp_ms || segment.end_offset() <= log_start_offset {
                continue;
            }
            let found = search_segment(segment, timestamp_ms, log_start_offset)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first record that has the log's greatest timestamp; `None` when no record has one. Reads the disk.
    pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        let segments = self.segments.load();
        let mut latest: Option<&Arc<Segment>> = None;
        for segment in segments.iter() {
            if latest.is_none_or(|latest| segment.max_timestamp().timestamp_ms > latest.max_timestamp().timestamp_ms) {
                latest = Some(segment);
            }
        }
        let Some(segment) = latest else { return Ok(None) };
        let max = segment.max_timestamp();
        if max.timestamp_ms < 0 {
            return Ok(None);
        }
        let Some(located) = segment.locate(max.offset)? else { return Ok(None) };
        first_record(segment, &located, max.timestamp_ms, Offset::ZERO)
    }
}

fn search_segment(segment: &Segment, timestamp_ms: i64, from: Offset) -> Result<Option<TimestampOffset>, ReadError> {
    let mut scan = segment.scan_from(segment.position_for_timestamp(timestamp_ms)?)?;
    while let Some(located) = scan.next()? {
        if located.header.max_timestamp_ms < timestamp_ms || located.header.last_offset() < from {
            continue;
        }
        let found = first_record(segment, &located, timestamp_ms, from)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn first_record(
    segment: &Segment,
    located: &LocatedBatch,
    timestamp_ms: i64,
    from: Offset,
) -> Result<Option<TimestampOffset>, ReadError> {
    let header = &located.header;
    let leader_epoch = header.partition_leader_epoch;
    if header.timestamp_type() == TimestampType::LogAppendTime {
        let offset = header.base_offset.max(from);
        return Ok(Some(TimestampOffset { timestamp_ms: header.max_timestamp_ms, offset, leader_epoch }));
    }
    let mut bytes = vec![0; header.size_bytes()];
    let read = segment.file()?.read_at(&mut bytes, located.position)?;
    let mut found = None;
    for_each_record(&BatchView::parse(&bytes[..read])?, |record| {
        if record.timestamp_ms >= timestamp_ms && record.offset >= from {
            let (timestamp_ms, offset) = (record.timestamp_ms, record.offset);
            found = Some(TimestampOffset { timestamp_ms, offset, leader_epoch });
        }
        found.is_none()
    })?;
    Ok(found)
}
