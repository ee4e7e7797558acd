//! Requests as prebuilt frames in which only a few bytes change, and the fixed places of what matters in their answers.
//!
//! Produce v9 and Fetch v12 are the newest versions that name topics; both are flexible, so every length of a name below 127 is one byte.

use bytes::{BufMut, BytesMut};

use crate::record_batch::{Batch, Record, put_uvarint};

/// Where the correlation id stands in every request frame, length prefix included.
pub const REQUEST_CORRELATION: usize = 8;
const CLIENT_ID: &str = "bench";
const TIMESTAMP_MS: i64 = 1_760_000_000_000;

/// A record batch of `records` records whose values have `value_bytes` bytes.
pub fn batch(records: usize, value_bytes: usize) -> Vec<u8> {
    let value: Vec<u8> = (0..value_bytes).map(|index| b'a' + (index % 26) as u8).collect();
    let record = Record { timestamp_delta: 0, key: None, value: Some(value) };
    let batch = Batch {
        records: vec![record; records],
        first_timestamp: TIMESTAMP_MS,
        max_timestamp: TIMESTAMP_MS,
        ..Batch::default()
    };
    batch.encode()
}

/// As [`batch`], with keys that come round after `keys` of them.
pub fn keyed_batch(first: usize, records: usize, keys: usize, value_bytes: usize) -> Vec<u8> {
    let value: Vec<u8> = (0..value_bytes).map(|index| b'a' + (index % 26) as u8).collect();
    let record = |number: usize| Record {
        timestamp_delta: 0,
        key: Some(format!("key-{:08}", number % keys).into_bytes()),
        value: Some(value.clone()),
    };
    let batch = Batch {
        records: (first..first + records).map(record).collect(),
        first_timestamp: TIMESTAMP_MS,
        max_timestamp: TIMESTAMP_MS,
        ..Batch::default()
    };
    batch.encode()
}

fn header(frame: &mut BytesMut, api_key: i16, api_version: i16) {
    frame.put_i32(0);
    frame.put_i16(api_key);
    frame.put_i16(api_version);
    frame.put_i32(0);
    frame.put_i16(CLIENT_ID.len() as i16);
    frame.put_slice(CLIENT_ID.as_bytes());
    frame.put_u8(0);
}

fn compact_string(frame: &mut BytesMut, text: &str) {
    assert!(text.len() < 126, "a name of one length byte");
    frame.put_u8(text.len() as u8 + 1);
    frame.put_slice(text.as_bytes());
}

fn seal(mut frame: BytesMut) -> Vec<u8> {
    let length = (frame.len() - 4) as i32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.to_vec()
}

/// Produce v9 of one batch to one partition.
pub fn produce(topic: &str, partition: i32, acks: i16, batch: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    header(&mut frame, 0, 9);
    frame.put_u8(0);
    frame.put_i16(acks);
    frame.put_i32(30_000);
    frame.put_u8(2);
    compact_string(&mut frame, topic);
    frame.put_u8(2);
    frame.put_i32(partition);
    put_uvarint(&mut frame, batch.len() as u64 + 1);
    frame.put_slice(batch);
    frame.put_slice(&[0, 0, 0]);
    seal(frame)
}

/// Fetch v12 of one partition without a session, and where in the frame the offset stands.
pub fn fetch(topic: &str, partition: i32, max_bytes: i32, max_wait_ms: i32) -> (Vec<u8>, usize) {
    let mut frame = BytesMut::new();
    header(&mut frame, 1, 12);
    frame.put_i32(-1);
    frame.put_i32(max_wait_ms);
    frame.put_i32(1);
    frame.put_i32(max_bytes);
    frame.put_i8(0);
    frame.put_i32(0);
    frame.put_i32(-1);
    frame.put_u8(2);
    compact_string(&mut frame, topic);
    frame.put_u8(2);
    frame.put_i32(partition);
    frame.put_i32(-1);
    let offset_at = frame.len();
    frame.put_i64(0);
    frame.put_i32(-1);
    frame.put_i64(-1);
    frame.put_i32(max_bytes);
    frame.put_slice(&[0, 0, 1, 1, 0]);
    (seal(frame), offset_at)
}

/// What a Produce v9 answer of one partition says; positions count from behind the length prefix.
pub struct ProduceAnswer {
    pub correlation_id: i32,
    pub error_code: i16,
    pub base_offset: i64,
}

impl ProduceAnswer {
    pub fn read(answer: &[u8], topic: &str) -> ProduceAnswer {
        let error_at = 12 + topic.len();
        ProduceAnswer {
            correlation_id: i32_at(answer, 0),
            error_code: i16_at(answer, error_at),
            base_offset: i64_at(answer, error_at + 2),
        }
    }
}

/// How many bytes of a Fetch v12 answer [`FetchAnswer::read`] needs.
pub fn fetch_head_bytes(topic: &str) -> usize {
    22 + topic.len() + 2 + 24 + 1 + 4 + 5
}

/// What a Fetch v12 answer of one partition says; positions count from behind the length prefix.
pub struct FetchAnswer {
    pub correlation_id: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub records_bytes: usize,
}

impl FetchAnswer {
    pub fn read(answer: &[u8], topic: &str) -> FetchAnswer {
        let error_at = 22 + topic.len();
        let mut records_at = error_at + 2 + 24 + 1 + 4;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = answer[records_at];
            length |= usize::from(byte & 0x7f) << shift;
            records_at += 1;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        FetchAnswer {
            correlation_id: i32_at(answer, 0),
            error_code: i16_at(answer, 9),
            high_watermark: i64_at(answer, error_at + 2),
            records_bytes: length.saturating_sub(1),
        }
        .or_partition_error(i16_at(answer, error_at))
    }

    fn or_partition_error(mut self, error_code: i16) -> FetchAnswer {
        if self.error_code == 0 {
            self.error_code = error_code;
        }
        self
    }
}

pub fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

pub fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
