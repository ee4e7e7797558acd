//! Buffers that a core lends: to whoever reads or writes at the moment, and to a connection while a frame is incomplete.
//!
//! An idle connection holds none, so thousands of them cost little; a busy one borrows the same warm memory again and again.

use bytes::BytesMut;
use parking_lot::Mutex;

/// Bytes of a lent buffer: four 16 KB requests, or what a socket usually has.
pub const BUFFER_BYTES: usize = 64 << 10;
/// Buffers that a core keeps while nobody needs them.
const KEPT_MAX: usize = 8;
/// Larger ones are given back to the system.
const KEPT_BYTES_MAX: usize = (1 << 20) + BUFFER_BYTES;

/// The buffers of one core.
#[derive(Default)]
pub struct Buffers {
    kept: Mutex<Vec<BytesMut>>,
}

impl Buffers {
    /// An empty buffer with room for [`BUFFER_BYTES`].
    pub fn take(&self) -> BytesMut {
        let kept = self.kept.lock().pop();
        let mut buffer = kept.unwrap_or_default();
        // Takes the memory back that frozen parts have left, or allocates when someone still reads them.
        buffer.reserve(BUFFER_BYTES);
        buffer
    }

    /// Takes a buffer back that has grown to `allocated_bytes`; its content is gone.
    pub fn give(&self, mut buffer: BytesMut, allocated_bytes: usize) {
        buffer.clear();
        let mut kept = self.kept.lock();
        if kept.len() < KEPT_MAX && allocated_bytes <= KEPT_BYTES_MAX {
            kept.push(buffer);
        }
    }
}
