//! Record batches (magic 2) as clients write them, KIP-98, and Kafka's variable-length numbers.
//!
//! Written by hand and not with the server's code, so that a slip there does not cancel out here. What a test wants to be wrong
//! is a field.

use bytes::BufMut;

/// Bytes of a batch's header, record count included.
pub const HEADER_BYTES: usize = 61;
/// Base offset and length: what the length field does not count.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// Base offset, length and leader epoch: what a server may patch.
pub const PATCHED_BYTES: usize = 16;
/// Leader epoch, magic and CRC: what the length field counts and the CRC does not.
const UNCHECKED_BYTES: usize = 9;

/// One record without headers. Its offset delta is its place in the batch.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub timestamp_delta: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// A batch to be sent, of no idempotent producer unless said otherwise.
#[derive(Clone, Debug)]
pub struct Batch {
    pub records: Vec<Record>,
    /// In ms.
    pub first_timestamp: i64,
    /// In ms.
    pub max_timestamp: i64,
    pub attributes: i16,
    pub magic: u8,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// Sequence of the first record.
    pub base_sequence: i32,
    /// The number of records to claim, when not the right one.
    pub count: Option<i32>,
    /// The CRC to claim, when not the right one.
    pub crc: Option<u32>,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            records: Vec::new(),
            first_timestamp: 0,
            max_timestamp: 0,
            attributes: 0,
            magic: 2,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: None,
            crc: None,
        }
    }
}

impl Batch {
    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        let count = i32::try_from(self.records.len()).expect("a few records");
        let mut checked = Vec::new();
        checked.put_i16(self.attributes);
        checked.put_i32((count - 1).max(0));
        checked.put_i64(self.first_timestamp);
        checked.put_i64(self.max_timestamp);
        checked.put_i64(self.producer_id);
        checked.put_i16(self.producer_epoch);
        checked.put_i32(self.base_sequence);
        checked.put_i32(self.count.unwrap_or(count));
        for (offset_delta, record) in (0..).zip(&self.records) {
            record.encode(offset_delta, &mut checked);
        }
        let mut batch = Vec::with_capacity(checked.len() + LOG_OVERHEAD_BYTES + UNCHECKED_BYTES);
        batch.put_i64(0);
        batch.put_i32(i32::try_from(checked.len() + UNCHECKED_BYTES).expect("a small batch"));
        batch.put_i32(-1);
        batch.put_u8(self.magic);
        batch.put_u32(self.crc.unwrap_or_else(|| crc32c::crc32c(&checked)));
        batch.put_slice(&checked);
        batch
    }
}

impl Record {
    fn encode(&self, offset_delta: i64, out: &mut Vec<u8>) {
        let mut body = vec![0];
        put_varint(&mut body, self.timestamp_delta);
        put_varint(&mut body, offset_delta);
        for part in [&self.key, &self.value] {
            put_varint(&mut body, part.as_ref().map_or(-1, |part| length(part)));
            body.put_slice(part.as_deref().unwrap_or_default());
        }
        put_varint(&mut body, 0);
        put_varint(out, length(&body));
        out.put_slice(&body);
    }
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).expect("it is in memory")
}

/// A signed number: zig-zag, so that small ones of either sign are short.
pub fn put_varint(out: &mut impl BufMut, value: i64) {
    put_uvarint(out, (value << 1).cast_unsigned() ^ (value >> 63).cast_unsigned());
}

/// An unsigned number: seven bits a byte, the lowest first.
pub fn put_uvarint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.put_u8(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_reader_finds_the_batch_whole() {
        let record = Record { timestamp_delta: 0, key: Some(vec![1; 3]), value: None };
        let bytes = Batch { records: vec![record.clone(), record], ..Batch::default() }.encode();
        let view = ottla::protocol::record_batch::BatchView::parse(&bytes).unwrap();
        view.validate().unwrap();
        view.check_crc().unwrap();
    }

    #[test]
    fn numbers_take_as_few_bytes_as_they_can() {
        let written = |value| {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            bytes
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(-1), [1]);
        assert_eq!(written(-64), [0x7f]);
        assert_eq!(written(64), [0x80, 1]);
        assert_eq!(written(i64::MIN), [[0xff; 9].as_slice(), &[1]].concat());
    }
}
