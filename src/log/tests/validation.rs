//! `records.validation`: what is refused when every record is read, and what is stored when only headers are.

use super::*;
use crate::log::records::for_each_record;
use crate::model::ErrorCode;
use crate::protocol::compression::{Compression, compress};
use crate::protocol::rebuild::Rebuild;
use crate::protocol::record_batch::{
    ATTRIBUTES_POSITION, BatchView, Codec, HEADER_BYTES, TimestampType, seal, set_max_timestamp,
};

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

/// Two records of different times in a codec.
fn batch_in(codec: Codec) -> Bytes {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
    builder.append(NOW.wall_ms, Some(b"key"), Some(&[b'x'; 500]));
    builder.append_with_headers(NOW.wall_ms + 5, None, None, &[(b"h", Some(b"v"))]);
    let batch = builder.build();
    let view = BatchView::parse(&batch).unwrap();
    let mut rebuild = Rebuild::new(&view.header, None);
    RecordIter::new(view.header, view.records()).for_each(|record| rebuild.push(&record.unwrap()));
    rebuild.finish(Compression::of(codec)).into()
}

#[test]
fn a_topic_with_a_codec_of_its_own_stores_every_batch_in_it() {
    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let records = |bytes: &[u8]| {
        let view = BatchView::parse(bytes).unwrap();
        assert_eq!(view.validate(), Ok(()));
        let mut found = Vec::new();
        for_each_record(&view, |record| {
            let headers = record.headers().count();
            found.push((record.offset, record.timestamp_ms, record.key.map(<[u8]>::to_vec), headers));
            true
        })
        .unwrap();
        found
    };
    for sent in CODECS {
        let batch = batch_in(sent);
        for stored in CODECS {
            let options = LogOptions { compression: Some(Compression::of(stored)), ..LogOptions::default() };
            let validated = validate(batch.clone(), Origin::Client, &options, NOW).unwrap();
            assert_eq!(validated.headers()[0].codec(), Ok(stored));
            assert_eq!(records(&validated.records), records(&batch));
            assert_eq!(validated.headers()[0].max_timestamp_ms, NOW.wall_ms + 5);
            assert!(sent != stored || validated.records == batch, "what has the codec already stays as it is");
            let by_us = validate(batch.clone(), Origin::Coordinator, &options, NOW).unwrap();
            assert_eq!(by_us.records, batch, "what the server writes itself stays as it is");
        }
    }
    let small =
        LogOptions { compression: Some(Compression::of(Codec::None)), max_message_bytes: 400, ..LogOptions::default() };
    let refused = validate(batch_in(Codec::Gzip), Origin::Client, &small, NOW).unwrap_err();
    assert!(matches!(refused, AppendError::BatchTooLarge { max_bytes: 400, .. }), "{refused}");
    let stamped = LogOptions {
        compression: Some(Compression::of(Codec::Zstd)),
        message_timestamp_type: TimestampType::LogAppendTime,
        ..LogOptions::default()
    };
    let later = Now { wall_ms: NOW.wall_ms + 100, ..NOW };
    let validated = validate(batch_in(Codec::None), Origin::Client, &stamped, later).unwrap();
    assert!(records(&validated.records).iter().all(|record| record.1 == later.wall_ms));
}
