//! Walks the batches of a segment file by their headers, checking CRCs where asked.

use std::io;
use std::sync::Arc;

use crate::io::disk::DiskFile;
use crate::protocol::record_batch::{BatchError, BatchHeader, BatchView, HEADER_BYTES};

/// A batch and where its segment file holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocatedBatch {
    pub header: BatchHeader,
    pub position: u64,
}

/// Enough for the batches of one index interval.
const CHUNK_BYTES: usize = 8 * 1024;
/// For bodies, which are read from end to end.
const BODY_CHUNK_BYTES: usize = 256 * 1024;

/// Walks from a position, which must be the start of a batch, up to an end.
pub(crate) struct Scan {
    file: Arc<dyn DiskFile>,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_position: u64,
    with_crc: bool,
}

/// Why a walk stopped before its end.
#[derive(Debug)]
pub(crate) enum ScanError {
    Io(io::Error),
    /// There is no whole batch at the position, or it is broken.
    Batch(BatchError),
}

impl Scan {
    /// Reads headers only.
    pub fn headers(file: Arc<dyn DiskFile>, position: u64, end: u64) -> Scan {
        Scan { file, position, end, buffer: Vec::new(), buffer_position: 0, with_crc: false }
    }

    /// Reads everything, and checks CRC, codec and offsets of each batch.
    pub fn validating(file: Arc<dyn DiskFile>, position: u64, end: u64) -> Scan {
        Scan { file, position, end, buffer: Vec::new(), buffer_position: 0, with_crc: true }
    }

    /// The next batch; `None` at the end. After an error the position is that of the batch that could not be read.
    pub fn next(&mut self) -> Result<Option<LocatedBatch>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let remaining = self.end - self.position;
        let wanted = usize::try_from(remaining.min(HEADER_BYTES as u64)).expect("at most 61");
        let header = BatchHeader::parse(self.buffered(wanted)?).map_err(ScanError::Batch)?;
        let size = header.size_bytes();
        if size as u64 > remaining {
            let available = usize::try_from(remaining).unwrap_or(usize::MAX);
            return Err(ScanError::Batch(BatchError::Truncated { needed: size, available }));
        }
        if self.with_crc {
            // The file is known to hold the bytes, so that its size is the bound here, not the wire's.
            let batch = BatchView::parse(self.buffered(size)?).map_err(ScanError::Batch)?;
            batch.validate().map_err(ScanError::Batch)?;
        }
        let located = LocatedBatch { header, position: self.position };
        self.position += size as u64;
        Ok(Some(located))
    }

    /// As [`Scan::next`] of a scan that validates, with the batch's bytes.
    pub fn next_batch(&mut self) -> Result<Option<BatchView<'_>>, ScanError> {
        assert!(self.with_crc, "a scan of headers does not read what follows them");
        let Some(located) = self.next()? else { return Ok(None) };
        let start = usize::try_from(located.position - self.buffer_position).expect("inside the buffer");
        BatchView::parse(&self.buffer[start..]).map(Some).map_err(ScanError::Batch)
    }

    /// At least `count` bytes from the position on, unless the file ends before.
    fn buffered(&mut self, count: usize) -> Result<&[u8], ScanError> {
        let buffer_end = self.buffer_position + self.buffer.len() as u64;
        if self.position < self.buffer_position || self.position + count as u64 > buffer_end {
            let chunk = if self.with_crc { BODY_CHUNK_BYTES } else { CHUNK_BYTES };
            let remaining = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
            self.buffer.resize(chunk.max(count).min(remaining), 0);
            let read = self.file.read_at(&mut self.buffer, self.position).map_err(ScanError::Io)?;
            self.buffer.truncate(read);
            self.buffer_position = self.position;
        }
        let start = usize::try_from(self.position - self.buffer_position).expect("inside the buffer");
        Ok(&self.buffer[start..])
    }
}

impl From<ScanError> for crate::log::error::ReadError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Io(error) => error.into(),
            ScanError::Batch(error) => error.into(),
        }
    }
}
