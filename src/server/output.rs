//! Answers on their way out: bytes joined into few writes, file parts sent from the page cache.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::api::{Answer, Chunk};
use crate::io::net::{SLICES_MAX, Stream};

use super::buffers::{BUFFER_BYTES, Buffers};

/// Shorter chunks are copied behind one another: cheaper than a slice of their own.
const COPY_BYTES_MAX: usize = 1024;
/// Bytes of a file read at once where there is no `sendfile`.
const FILE_READ_BYTES: usize = 64 << 10;
/// The most one `sendfile` is asked for, so that one connection does not hold its core for long.
const SEND_FILE_BYTES_MAX: usize = 1 << 20;

/// The queue of one connection.
#[derive(Default)]
pub struct Output {
    chunks: VecDeque<Chunk>,
    /// Small chunks that come after all of `chunks`.
    tail: BytesMut,
    /// The longest that the tail has been.
    tail_bytes: usize,
    queued_bytes: usize,
}

impl Output {
    /// Puts an answer at the end.
    pub fn push(&mut self, answer: Answer, buffers: &Buffers) {
        for chunk in answer.chunks {
            self.queued_bytes += chunk.len();
            match chunk {
                Chunk::Bytes(bytes) if bytes.len() <= COPY_BYTES_MAX => {
                    if self.tail.capacity() == 0 {
                        self.tail = buffers.take();
                    }
                    self.tail.extend_from_slice(&bytes);
                    self.tail_bytes = self.tail_bytes.max(self.tail.len());
                }
                chunk => {
                    self.seal();
                    self.chunks.push_back(chunk);
                }
            }
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(Chunk::Bytes(self.tail.split().freeze()));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.tail.is_empty()
    }

    /// Bytes that the peer has still to take, those in files included.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Memory that the queue holds.
    pub fn held_bytes(&self) -> usize {
        let in_memory = |chunk: &Chunk| if let Chunk::Bytes(bytes) = chunk { bytes.len() } else { 0 };
        self.chunks.iter().map(in_memory).sum::<usize>() + self.tail.capacity()
    }

    /// Writes as much as the socket takes; answers how much that was. Pending while something is left.
    pub fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        buffers: &Buffers,
        written: &mut usize,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let count = match self.chunks.front() {
                Some(Chunk::File { .. }) => ready!(self.poll_file(cx, stream))?,
                _ => ready!(self.poll_bytes(cx, stream))?,
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += count;
            self.queued_bytes -= count;
        }
        if self.tail.capacity() > 0 {
            buffers.give(std::mem::take(&mut self.tail), BUFFER_BYTES.max(self.tail_bytes));
            self.tail_bytes = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<usize>> {
        let mut slices: SmallVec<[IoSlice<'_>; 8]> = SmallVec::new();
        let mut file_follows = false;
        for chunk in self.chunks.iter().take(SLICES_MAX) {
            match chunk {
                Chunk::Bytes(bytes) => slices.push(IoSlice::new(bytes)),
                Chunk::File { .. } => {
                    file_follows = true;
                    break;
                }
            }
        }
        if !file_follows && slices.len() < SLICES_MAX && !self.tail.is_empty() {
            slices.push(IoSlice::new(&self.tail));
        }
        let count = ready!(stream.poll_write(cx, &slices, file_follows))?;
        drop(slices);
        self.advance(count);
        Poll::Ready(Ok(count))
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(Chunk::Bytes(bytes)) = self.chunks.front_mut() {
            if count < bytes.len() {
                bytes.advance(count);
                return;
            }
            count -= bytes.len();
            self.chunks.pop_front();
            if count == 0 {
                return;
            }
        }
        self.tail.advance(count);
    }

    fn poll_file(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<usize>> {
        let Some(Chunk::File { file, position, len }) = self.chunks.front_mut() else {
            return Poll::Ready(Ok(0));
        };
        let Some(descriptor) = file.as_fd() else {
            let mut bytes = BytesMut::zeroed((*len).min(FILE_READ_BYTES));
            let count = file.read_at(&mut bytes, *position)?;
            bytes.truncate(count);
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.replace_file_start(bytes.freeze());
            return self.poll_bytes(cx, stream);
        };
        let count = ready!(stream.poll_send_file(cx, descriptor, *position, (*len).min(SEND_FILE_BYTES_MAX)))?;
        if count == 0 {
            // The file is shorter than the answer has promised: its retention was not waited for, which is our fault.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        *position += u64::try_from(count).expect("a usize");
        *len -= count;
        if *len == 0 {
            self.chunks.pop_front();
        }
        Poll::Ready(Ok(count))
    }

    /// Puts bytes that were read from the front file before what is left of it.
    fn replace_file_start(&mut self, bytes: Bytes) {
        let Some(Chunk::File { position, len, .. }) = self.chunks.front_mut() else { return };
        *position += u64::try_from(bytes.len()).expect("a usize");
        *len -= bytes.len();
        if *len == 0 {
            self.chunks.pop_front();
        }
        self.chunks.push_front(Chunk::Bytes(bytes));
    }
}
