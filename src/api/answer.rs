//! Answers as bytes: whole response frames, some of whose bytes may still lie in a file.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::io::disk::DiskFile;
use crate::protocol::api_key::ApiKey;
use crate::protocol::frame::LENGTH_BYTES;
use crate::protocol::message::{self, ResponseMessage};
use crate::protocol::throttle;

/// One response frame, from its length prefix to its last byte.
///
/// Invariant: the length prefix counts the bytes of all chunks after it.
#[derive(Default)]
pub struct Answer {
    pub chunks: SmallVec<[Chunk; 2]>,
    /// Where in the first chunk the throttle time lies, in an answer that does not begin with it.
    pub throttle_at: Option<usize>,
}

/// A stretch of an answer.
pub enum Chunk {
    Bytes(Bytes),
    /// `len` bytes of a file from `position` on: they go to the socket by `sendfile`, without being read. The file must hold
    /// them until they are sent; when it does not, the connection is closed.
    File {
        file: Arc<dyn DiskFile>,
        position: u64,
        len: usize,
    },
}

impl Chunk {
    /// Bytes that it puts on the wire.
    pub fn len(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A time to be held back as answers carry it.
pub fn throttle_time(throttle_ms: u64) -> i32 {
    i32::try_from(throttle_ms).unwrap_or(i32::MAX)
}

impl Answer {
    /// How long the answer tells its client to wait, in ms.
    pub fn throttle_ms(&self, api: ApiKey, version: i16) -> u64 {
        match self.chunks.first() {
            Some(Chunk::Bytes(bytes)) => throttle::read(api, version, bytes),
            _ => 0,
        }
    }

    /// Has the answer tell its client to wait at least so long, where it has a place for it.
    pub fn raise_throttle(&mut self, api: ApiKey, version: i16, throttle_ms: u64) {
        let Some(position) = self.throttle_at.or_else(|| throttle::position(api, version)) else { return };
        if let Some(Chunk::Bytes(bytes)) = self.chunks.first_mut() {
            let mut frame = BytesMut::from(std::mem::take(bytes));
            throttle::raise(&mut frame, position, throttle_time(throttle_ms));
            *bytes = frame.freeze();
        }
    }

    /// An answer of one piece: a whole frame, as [`message::encode_response`] or [`message::end_frame`] leaves it.
    pub fn of_frame(frame: Bytes) -> Answer {
        let mut chunks = SmallVec::new();
        chunks.push(Chunk::Bytes(frame));
        Answer { chunks, throttle_at: None }
    }

    /// An answer of many pieces: writes length and response header into `out`, which must be empty, and puts it first.
    pub fn of_body(
        api: ApiKey,
        version: i16,
        correlation_id: i32,
        mut out: BytesMut,
        body: impl IntoIterator<Item = Chunk>,
    ) -> Answer {
        debug_assert!(out.is_empty());
        let start = message::begin_response(api, version, correlation_id, &mut out);
        let mut chunks = SmallVec::new();
        chunks.push(Chunk::Bytes(Bytes::new()));
        chunks.extend(body);
        let body_bytes: usize = chunks.iter().map(Chunk::len).sum();
        let frame_bytes = out.len() - start - LENGTH_BYTES + body_bytes;
        let length = i32::try_from(frame_bytes).expect("answers are bounded far below 2 GiB");
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        chunks[0] = Chunk::Bytes(out.freeze());
        Answer { chunks, throttle_at: None }
    }

    /// Encodes a message of the codec. A message that cannot be written in its version is our fault: `None`, and logged.
    pub fn encode<R: ResponseMessage>(response: &R, version: i16, correlation_id: i32) -> Option<Answer> {
        let mut out = BytesMut::new();
        match message::encode_response(correlation_id, response, version, &mut out) {
            Ok(()) => Some(Answer::of_frame(out.freeze())),
            Err(error) => {
                tracing::error!(api = %R::KEY, version, %error, "cannot encode an answer");
                None
            }
        }
    }

    /// Bytes that it puts on the wire.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(answer: &Answer) -> Vec<u8> {
        let chunks = answer.chunks.iter().map(|chunk| match chunk {
            Chunk::Bytes(bytes) => bytes.to_vec(),
            Chunk::File { .. } => panic!("no file here"),
        });
        chunks.collect::<Vec<_>>().concat()
    }

    #[test]
    fn the_length_counts_the_header_and_every_chunk() {
        let chunks = [Chunk::Bytes(Bytes::from_static(b"abc")), Chunk::Bytes(Bytes::from_static(b"de"))];
        // Fetch v12 is flexible: its header ends with an empty set of tagged fields.
        let answer = Answer::of_body(ApiKey::Fetch, 12, 7, BytesMut::new(), chunks);
        assert_eq!(bytes_of(&answer), b"\x00\x00\x00\x0a\x00\x00\x00\x07\x00abcde");
        assert_eq!(answer.len(), 14);
        let answer = Answer::of_body(ApiKey::Fetch, 11, 7, BytesMut::new(), []);
        assert_eq!(bytes_of(&answer), b"\x00\x00\x00\x04\x00\x00\x00\x07");
    }
}
