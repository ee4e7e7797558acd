//! `records.validation`: what is refused when every record is read, and what is stored when only headers are.

use super::*;
use crate::model::ErrorCode;
use crate::protocol::compression::compress;
use crate::protocol::record_batch::{ATTRIBUTES_POSITION, Codec, HEADER_BYTES, seal, set_max_timestamp};

fn full() -> LogOptions {
    LogOptions { records_validation_full: true, ..LogOptions::default() }
}

/// A batch whose header says what `header` says, and whose body is `body`, compressed by `codec` or not.
fn with_body(header: &Bytes, codec: i16, body: &[u8]) -> Bytes {
    let mut bytes = [&header[..HEADER_BYTES], body].concat();
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[ATTRIBUTES_POSITION..ATTRIBUTES_POSITION + 2].copy_from_slice(&codec.to_be_bytes());
    seal(&mut bytes);
    bytes.into()
}

/// What both settings answer; `None` is an append.
fn answers(bytes: &Bytes) -> [Option<ErrorCode>; 2] {
    let answer = |options| validate(bytes.clone(), Origin::Client, &options, NOW).err().map(|error| error.code());
    [answer(LogOptions::default()), answer(full())]
}

const CODECS: [(i16, Codec); 4] = [(1, Codec::Gzip), (2, Codec::Snappy), (3, Codec::Lz4), (4, Codec::Zstd)];

#[test]
fn records_that_cannot_be_read_are_refused_only_when_they_are_looked_at() {
    let whole = batch(&["a", "b"]);
    let body = &whole[HEADER_BYTES..];
    let invalid = [None, Some(ErrorCode::InvalidRecord)];
    assert_eq!(answers(&whole), [None, None]);
    assert_eq!(answers(&with_body(&whole, 0, &body[..body.len() - 1])), invalid, "the last record is cut off");
    assert_eq!(answers(&with_body(&whole, 0, &[body, b"x"].concat())), invalid, "a byte is left over");
    for (number, codec) in CODECS {
        assert_eq!(answers(&with_body(&whole, number, &compress(codec, body))), [None, None], "{codec:?}");
        assert_eq!(answers(&with_body(&whole, number, b"garbage that is none")), invalid, "{codec:?}");
        let short = compress(codec, &body[..body.len() / 2]);
        assert_eq!(answers(&with_body(&whole, number, &short)), invalid, "{codec:?}: one record of two");
    }
}

#[test]
fn a_small_batch_that_becomes_a_huge_one_is_too_large_and_its_producer_may_split_it() {
    let whole = batch(&["a"]);
    let zeros = vec![0; crate::log::records::RECORDS_BYTES_MAX + 1];
    let bomb = with_body(&whole, 4, &compress(Codec::Zstd, &zeros));
    assert_eq!(answers(&bomb), [None, Some(ErrorCode::MessageTooLarge)]);
}

#[test]
fn offsets_of_a_compressed_batch_follow_one_another() {
    // Of three records the second and the third: their deltas are 1 and 2.
    let (three, one, two) = (batch(&["a", "b", "c"]), batch(&["a"]), batch(&["b", "c"]));
    let body = &three[one.len()..];
    let gzip = with_body(&two, 1, &compress(Codec::Gzip, body));
    assert_eq!(answers(&gzip), [None, Some(ErrorCode::InvalidRecord)]);
    assert_eq!(answers(&with_body(&two, 0, body)), [None, None], "Kafka takes it too");
}

#[test]
fn timestamps_are_those_of_the_records_not_what_the_header_says() {
    let ahead_ms = LogOptions::default().message_timestamp_after_max_ms;
    let late = |timestamp_ms: i64, header_ms: i64| {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
        builder.append(NOW.wall_ms, None, Some(b"a"));
        builder.append(timestamp_ms, None, Some(b"b"));
        let mut bytes = builder.build().to_vec();
        set_max_timestamp(&mut bytes, header_ms).unwrap();
        Bytes::from(bytes)
    };
    let limit_ms = NOW.wall_ms + ahead_ms;
    let invalid = Some(ErrorCode::InvalidTimestamp);
    assert_eq!(answers(&late(limit_ms, limit_ms)), [None, None]);
    assert_eq!(answers(&late(limit_ms + 1, NOW.wall_ms)), [None, invalid]);
    assert_eq!(answers(&late(NOW.wall_ms, limit_ms + 1)), [invalid, None]);
    // What is stored has the right header.
    let stored = validate(late(NOW.wall_ms + 7, limit_ms + 1), Origin::Client, &full(), NOW).unwrap();
    assert_eq!(stored.headers()[0].max_timestamp_ms, NOW.wall_ms + 7);
    BatchIter::new(&stored.records).next().unwrap().unwrap().validate().unwrap();
    let by_the_log =
        LogOptions { message_timestamp_type: crate::protocol::record_batch::TimestampType::LogAppendTime, ..full() };
    let stamped = validate(late(limit_ms + 1, limit_ms + 1), Origin::Client, &by_the_log, NOW).unwrap();
    assert_eq!((stamped.headers()[0].max_timestamp_ms, stamped.log_append_time_ms), (NOW.wall_ms, NOW.wall_ms));
}

#[test]
fn a_compacted_log_that_reads_its_records_still_wants_keys() {
    let compacted = LogOptions { cleanup_compact: true, ..full() };
    let refused = validate(batch(&["a", "b"]), Origin::Client, &compacted, NOW).unwrap_err();
    assert_eq!(refused, AppendError::NoKey { count: 2, indexes: vec![0, 1] });
}
