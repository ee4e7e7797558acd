//! Cuts a byte stream into frames: an int32 length, then that many bytes.
//!
//! The length is judged as soon as its four bytes are there, before any of the frame is waited for or kept.
//! Memory for the bytes is the caller's to charge as they arrive; [`announced`] says how many will come.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the length in front of a frame.
pub const LENGTH_BYTES: usize = 4;

/// A length that no honest client sends. The connection is closed, as on Kafka's `InvalidReceiveException`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame of 0 bytes has no request header")]
    Empty,
    #[error("frame length {length} is negative")]
    Negative { length: i32 },
    #[error("frame of {length} bytes is over the limit of {limit_bytes}")]
    OverLimit { length: usize, limit_bytes: usize },
}

/// The length that the next frame announces, without its own four bytes; `None` while they are incomplete.
///
/// `limit_bytes` is `socket.request.max.bytes`, or less before login.
pub fn announced(buffer: &[u8], limit_bytes: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = i32::from_be_bytes(*prefix);
    let Ok(bytes) = usize::try_from(length) else { return Err(FrameError::Negative { length }) };
    if bytes == 0 {
        return Err(FrameError::Empty);
    }
    if bytes > limit_bytes {
        return Err(FrameError::OverLimit { length: bytes, limit_bytes });
    }
    Ok(Some(bytes))
}

/// Takes the next whole frame off the front of the buffer, without its length; `None` while it is incomplete.
pub fn next_frame(buffer: &mut BytesMut, limit_bytes: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = announced(buffer, limit_bytes)? else { return Ok(None) };
    if buffer.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 8;

    fn check(stream: &[u8]) -> Result<Vec<Bytes>, FrameError> {
        let mut frames = Vec::new();
        let mut buffer = BytesMut::new();
        // One byte at a time: the slowest client there is.
        for byte in stream {
            buffer.extend_from_slice(&[*byte]);
            while let Some(frame) = next_frame(&mut buffer, LIMIT)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let frames = check(&[0, 0, 0, 1, 7, 0, 0, 0, 2, 8, 9, 0, 0, 0, 3, 1]);
        assert_eq!(frames, Ok(vec![Bytes::from_static(&[7]), Bytes::from_static(&[8, 9])]));
    }

    #[test]
    fn several_frames_in_one_buffer_are_all_taken() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 1, 7, 0, 0, 0, 1, 8][..]);
        assert_eq!(next_frame(&mut buffer, LIMIT), Ok(Some(Bytes::from_static(&[7]))));
        assert_eq!(next_frame(&mut buffer, LIMIT), Ok(Some(Bytes::from_static(&[8]))));
        assert_eq!(next_frame(&mut buffer, LIMIT), Ok(None));
    }

    #[test]
    fn dishonest_lengths_are_named_before_the_frame_comes() {
        assert_eq!(check(&[0, 0, 0, 0]), Err(FrameError::Empty));
        assert_eq!(check(&[0xff, 0xff, 0xff, 0xff]), Err(FrameError::Negative { length: -1 }));
        assert_eq!(check(&[0x80, 0, 0, 0]), Err(FrameError::Negative { length: i32::MIN }));
        let huge = FrameError::OverLimit { length: i32::MAX as usize, limit_bytes: LIMIT };
        assert_eq!(check(&[0x7f, 0xff, 0xff, 0xff]), Err(huge));
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        assert_eq!(announced(&[0, 0, 0, 7], LIMIT), Ok(Some(7)));
        assert_eq!(announced(&[0, 0, 0, 8], LIMIT), Ok(Some(8)));
        assert_eq!(announced(&[0, 0, 0, 9], LIMIT), Err(FrameError::OverLimit { length: 9, limit_bytes: 8 }));
        assert_eq!(announced(&[0, 0, 0], LIMIT), Ok(None));
    }
}
