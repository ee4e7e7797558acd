//! What has been read and not yet handled: bytes, cut into requests.

use bytes::{Bytes, BytesMut};

use crate::protocol::frame::{self, FrameError, LENGTH_BYTES};

use super::buffers::{BUFFER_BYTES, Buffers};
use super::options::Options;

/// Less room than this is not worth a read.
const READ_BYTES_MIN: usize = 4 << 10;

/// The unread rest of a connection's input.
pub struct Input {
    buffer: BytesMut,
    /// What the buffer has taken from the system or the core; its own `capacity` forgets what has been cut off.
    allocated_bytes: usize,
    request_bytes_max: usize,
    /// Whether the buffer starts with a frame that is not whole, and since when it has made how much progress.
    progress: Option<Progress>,
}

/// The clock of a frame that is not whole.
#[derive(Clone, Copy, Debug)]
struct Progress {
    window_start_ms: u64,
    window_start_bytes: usize,
    frame_start_ms: u64,
}

impl Input {
    pub fn new(request_bytes_max: usize) -> Input {
        Input { buffer: BytesMut::new(), allocated_bytes: 0, request_bytes_max, progress: None }
    }

    /// The next whole frame.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let frame = frame::next_frame(&mut self.buffer, self.request_bytes_max)?;
        if frame.is_some() {
            self.progress = None;
        }
        Ok(frame)
    }

    /// Whether a frame has begun and is not handled.
    pub fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Memory that the connection keeps from others while it waits.
    pub fn held_bytes(&self) -> usize {
        self.allocated_bytes
    }

    /// The capacity after the next [`Input::make_room`].
    pub fn wanted_bytes(&self) -> usize {
        if self.buffer.capacity() - self.buffer.len() >= READ_BYTES_MIN {
            return self.allocated_bytes;
        }
        // At most twice what has arrived: a length that promises much gets nothing for it.
        let doubled = (self.buffer.len() * 2).max(BUFFER_BYTES);
        match frame::announced(&self.buffer, self.request_bytes_max) {
            Ok(Some(length)) => {
                doubled.min((LENGTH_BYTES + length).max(BUFFER_BYTES)).max(self.buffer.len() + READ_BYTES_MIN)
            }
            _ => doubled,
        }
    }

    /// The buffer with room to read into.
    pub fn make_room(&mut self, buffers: &Buffers) -> &mut BytesMut {
        if self.allocated_bytes == 0 {
            self.buffer = buffers.take();
            self.allocated_bytes = BUFFER_BYTES;
        }
        if self.buffer.capacity() - self.buffer.len() < READ_BYTES_MIN {
            let wanted = self.wanted_bytes();
            self.buffer.reserve(wanted - self.buffer.len());
            self.allocated_bytes = self.allocated_bytes.max(wanted);
        }
        &mut self.buffer
    }

    /// Gives the buffer back when nothing is in it.
    pub fn rest(&mut self, buffers: &Buffers) {
        if !self.buffer.is_empty() {
            return;
        }
        self.progress = None;
        if self.allocated_bytes > 0 {
            buffers.give(std::mem::take(&mut self.buffer), self.allocated_bytes);
            self.allocated_bytes = 0;
        }
    }

    /// Starts the clock of an incomplete frame if it does not run.
    pub fn watch(&mut self, now_ms: u64) {
        if self.progress.is_none() && self.has_begun() {
            self.progress = Some(Progress {
                window_start_ms: now_ms,
                window_start_bytes: self.buffer.len(),
                frame_start_ms: now_ms,
            });
        }
    }

    /// Stops the clock: we do not read, so the peer cannot be blamed.
    pub fn unwatch(&mut self) {
        self.progress = None;
    }

    /// When the running window ends.
    pub fn progress_deadline_ms(&self, options: &Options) -> Option<u64> {
        Some(self.progress?.window_start_ms.saturating_add(options.progress_ms))
    }

    /// Whether the peer has sent too little in a window that has ended; begins the next one if not.
    pub fn is_stalled(&mut self, now_ms: u64, options: &Options) -> bool {
        let arrived = self.buffer.len();
        let Some(progress) = &mut self.progress else { return false };
        if now_ms < progress.window_start_ms.saturating_add(options.progress_ms) {
            return false;
        }
        if arrived - progress.window_start_bytes < options.progress_bytes_min {
            return true;
        }
        progress.window_start_ms = now_ms;
        progress.window_start_bytes = arrived;
        false
    }

    /// The bytes of an incomplete frame and the moment it began.
    pub fn begun(&self) -> Option<(usize, u64)> {
        Some((self.buffer.len(), self.progress?.frame_start_ms))
    }
}
