//! What readers of a log hold: never the partition's mutex, only published segments and offsets.
//!
//! Invariant: log start offset <= log end offset, and every byte below the published end is whole in its file.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;

use crate::io::disk::DiskFile;
use crate::log::error::ReadError;
use crate::log::segment::Segment;
use crate::model::Offset;

/// What a fetch wants of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    pub offset: Offset,
    /// At most so many bytes, except for the first batch when `min_one` asks for it.
    pub max_bytes: usize,
    /// Nothing at or behind this is read: the high watermark for consumers, the log end for followers.
    pub upper_bound: Offset,
    /// Answer the first batch whole even if it is larger than `max_bytes`.
    pub min_one: bool,
}

/// A part of a segment file. It begins with a whole batch; the last batch may be cut off by `max_bytes`, never by the upper
/// bound. Stays readable when the segment is deleted.
#[derive(Clone)]
pub struct Region {
    pub file: Arc<dyn DiskFile>,
    pub position: u64,
    pub len: usize,
    /// The base offset of the first batch, which may lie below the offset that was asked for.
    pub base_offset: Offset,
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region({} bytes at {}, from offset {})", self.len, self.position, self.base_offset)
    }
}

impl Region {
    /// Copies the region's bytes, where `sendfile` cannot be used.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        let read = self.file.read_at(&mut bytes, self.position)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// The readers' view of one log; cheap to share, never blocks the writer.
pub struct LogReader {
    pub(crate) segments: ArcSwap<Vec<Arc<Segment>>>,
    log_start_offset: AtomicI64,
    log_end_offset: AtomicI64,
}

impl LogReader {
    pub(crate) fn new(segments: Vec<Arc<Segment>>, log_start_offset: Offset, log_end_offset: Offset) -> LogReader {
        LogReader {
            segments: ArcSwap::from_pointee(segments),
            log_start_offset: AtomicI64::new(log_start_offset.0),
            log_end_offset: AtomicI64::new(log_end_offset.0),
        }
    }

    pub(crate) fn publish_end(&self, log_end_offset: Offset) {
        self.log_end_offset.store(log_end_offset.0, Ordering::Release);
    }

    pub(crate) fn publish_start(&self, log_start_offset: Offset) {
        self.log_start_offset.store(log_start_offset.0, Ordering::Release);
    }

    pub(crate) fn publish_segments(&self, segments: Vec<Arc<Segment>>) {
        self.segments.store(Arc::new(segments));
    }

    /// How many segments there are, and their bytes.
    pub fn extent(&self) -> (usize, u64) {
        let segments = self.segments.load();
        (segments.len(), segments.iter().map(|segment| segment.size_bytes()).sum())
    }

    pub fn log_start_offset(&self) -> Offset {
        Offset(self.log_start_offset.load(Ordering::Acquire))
    }

    pub fn log_end_offset(&self) -> Offset {
        Offset(self.log_end_offset.load(Ordering::Acquire))
    }

    /// Finds the bytes for a fetch; `None` when there is nothing between the offset and the upper bound, or not even one
    /// whole batch fits. Errors: OFFSET_OUT_OF_RANGE below the log start or above the upper bound.
    pub fn read(&self, request: ReadRequest) -> Result<Option<Region>, ReadError> {
        let end_offset = request.upper_bound.min(self.log_end_offset());
        let log_start_offset = self.log_start_offset();
        if request.offset < log_start_offset || request.offset > end_offset {
            return Err(ReadError::OffsetOutOfRange { offset: request.offset, log_start_offset, end_offset });
        }
        if request.offset == end_offset {
            return Ok(None);
        }
        let segments = self.segments.load();
        let floor = segments.partition_point(|segment| segment.base_offset <= request.offset);
        // A segment may end before the next begins: then the next one's first batch is the answer.
        for segment in &segments[floor.saturating_sub(1)..] {
            if segment.base_offset >= end_offset {
                break;
            }
            if let Some(region) = read_segment(segment, request, end_offset)? {
                return Ok((region.len > 0).then_some(region));
            }
        }
        Ok(None)
    }
}

/// `None` when the segment ends at or before the offset.
fn read_segment(segment: &Segment, request: ReadRequest, end_offset: Offset) -> Result<Option<Region>, ReadError> {
    let Some(first) = segment.locate(request.offset)? else { return Ok(None) };
    let end_position = position_of_end(segment, end_offset)?;
    let file = segment.file()?;
    let first_bytes = first.header.size_bytes();
    let available = usize::try_from(end_position.saturating_sub(first.position)).unwrap_or(usize::MAX);
    let len = if first_bytes > available {
        // The whole batch lies behind the upper bound.
        0
    } else if first_bytes > request.max_bytes {
        if request.min_one { first_bytes } else { 0 }
    } else {
        available.min(request.max_bytes)
    };
    Ok(Some(Region { file, position: first.position, len, base_offset: first.header.base_offset }))
}

/// Where in the segment's file the batches below `end_offset` end.
fn position_of_end(segment: &Segment, end_offset: Offset) -> Result<u64, ReadError> {
    let (segment_end_offset, size_bytes) = segment.end();
    if segment_end_offset <= end_offset {
        return Ok(size_bytes);
    }
    Ok(segment.locate(end_offset)?.map_or(size_bytes, |batch| batch.position))
}
