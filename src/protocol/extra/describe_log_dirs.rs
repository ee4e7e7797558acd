//! DescribeLogDirs response, v1–5: the codec crate stops before v5, which says of each directory whether it is cordoned
//! (KIP-1066). Source: DescribeLogDirsResponse.json.
//!
//! v2 flexible · v3 error_code for the whole · v4 total_bytes, usable_bytes (KIP-827) · v5 is_cordoned

use std::ops::RangeInclusive;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::super::message::StrBytes;
use super::super::wire::{self, Reader, WireError};
use super::offset_commit::slice;

/// The versions read and written here.
pub const VERSIONS: RangeInclusive<i16> = 1..=5;

/// The directories of one broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeLogDirsResponse {
    pub throttle_time_ms: i32,
    /// CLUSTER_AUTHORIZATION_FAILED or NONE; not said before v3.
    pub error_code: i16,
    pub results: Vec<DescribeLogDirsResult>,
}

/// One directory.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeLogDirsResult {
    /// KAFKA_STORAGE_ERROR when the directory is offline: then nothing more is said of it.
    pub error_code: i16,
    /// Its absolute path.
    pub log_dir: StrBytes,
    pub topics: Vec<DescribeLogDirsTopic>,
    /// Size of the volume, in bytes; -1 for unknown.
    pub total_bytes: i64,
    /// What is free of it for this process, in bytes; -1 for unknown.
    pub usable_bytes: i64,
    /// Whether nothing new is put there.
    pub is_cordoned: bool,
}

/// The logs of one topic in a directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeLogDirsTopic {
    pub name: StrBytes,
    pub partitions: Vec<DescribeLogDirsPartition>,
}

/// One log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeLogDirsPartition {
    pub partition_index: i32,
    /// Size of its segments, in bytes.
    pub partition_size: i64,
    /// How far its end lies behind the high watermark; of a future log, behind the end of the current one; -1 for unknown.
    pub offset_lag: i64,
    /// Whether it will replace the log of this partition in another directory.
    pub is_future_key: bool,
}

impl Default for DescribeLogDirsResult {
    fn default() -> DescribeLogDirsResult {
        DescribeLogDirsResult {
            error_code: 0,
            log_dir: StrBytes::default(),
            topics: Vec::new(),
            total_bytes: -1,
            usable_bytes: -1,
            is_cordoned: false,
        }
    }
}

/// Code, path, topics.
const RESULT_MIN_BYTES: usize = 2 + 1 + 1;
/// Name, partitions.
const TOPIC_MIN_BYTES: usize = 1 + 1;
/// Index, size, lag, whether it is a future log.
const PARTITION_MIN_BYTES: usize = 4 + 8 + 8 + 1;

/// Reads a body and leaves what follows it. Unknown tagged fields are dropped.
pub fn read(body: &mut Bytes, version: i16) -> Result<DescribeLogDirsResponse, WireError> {
    let frame = body.clone();
    let mut reader = Reader::new(&frame);
    let flexible = version >= 2;
    let mut response = DescribeLogDirsResponse { throttle_time_ms: reader.int32()?, ..Default::default() };
    if version >= 3 {
        response.error_code = reader.int16()?;
    }
    for _ in 0..reader.count(flexible, RESULT_MIN_BYTES)? {
        response.results.push(read_result(&frame, &mut reader, version)?);
    }
    reader.skip_tagged_fields(flexible)?;
    body.advance(frame.len() - reader.remaining());
    Ok(response)
}

fn read_result(frame: &Bytes, reader: &mut Reader<'_>, version: i16) -> Result<DescribeLogDirsResult, WireError> {
    let flexible = version >= 2;
    let mut result = DescribeLogDirsResult { error_code: reader.int16()?, ..Default::default() };
    result.log_dir = slice(frame, reader.string(flexible)?);
    for _ in 0..reader.count(flexible, TOPIC_MIN_BYTES)? {
        let mut topic = DescribeLogDirsTopic { name: slice(frame, reader.string(flexible)?), ..Default::default() };
        for _ in 0..reader.count(flexible, PARTITION_MIN_BYTES)? {
            topic.partitions.push(DescribeLogDirsPartition {
                partition_index: reader.int32()?,
                partition_size: reader.int64()?,
                offset_lag: reader.int64()?,
                is_future_key: reader.boolean()?,
            });
            reader.skip_tagged_fields(flexible)?;
        }
        reader.skip_tagged_fields(flexible)?;
        result.topics.push(topic);
    }
    if version >= 4 {
        (result.total_bytes, result.usable_bytes) = (reader.int64()?, reader.int64()?);
    }
    if version >= 5 {
        result.is_cordoned = reader.boolean()?;
    }
    reader.skip_tagged_fields(flexible)?;
    Ok(result)
}

/// Writes the body; what a version has no room for is left out, as Kafka's schema allows.
pub fn write(response: &DescribeLogDirsResponse, out: &mut BytesMut, version: i16) {
    let flexible = version >= 2;
    out.put_i32(response.throttle_time_ms);
    if version >= 3 {
        out.put_i16(response.error_code);
    }
    wire::put_length(out, response.results.len(), flexible);
    for result in &response.results {
        write_result(result, out, version);
    }
    wire::put_no_tagged_fields(out, flexible);
}

fn write_result(result: &DescribeLogDirsResult, out: &mut BytesMut, version: i16) {
    let flexible = version >= 2;
    out.put_i16(result.error_code);
    wire::put_string(out, &result.log_dir, flexible);
    wire::put_length(out, result.topics.len(), flexible);
    for topic in &result.topics {
        wire::put_string(out, &topic.name, flexible);
        wire::put_length(out, topic.partitions.len(), flexible);
        for partition in &topic.partitions {
            out.put_i32(partition.partition_index);
            out.put_i64(partition.partition_size);
            out.put_i64(partition.offset_lag);
            out.put_u8(u8::from(partition.is_future_key));
            wire::put_no_tagged_fields(out, flexible);
        }
        wire::put_no_tagged_fields(out, flexible);
    }
    if version >= 4 {
        out.put_i64(result.total_bytes);
        out.put_i64(result.usable_bytes);
    }
    if version >= 5 {
        out.put_u8(u8::from(result.is_cordoned));
    }
    wire::put_no_tagged_fields(out, flexible);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::decode_message;
    use crate::protocol::message::describe_log_dirs_response::DescribeLogDirsResponse as CrateResponse;

    fn response() -> DescribeLogDirsResponse {
        let partition = DescribeLogDirsPartition {
            partition_index: 7,
            partition_size: 1 << 40,
            offset_lag: 3,
            is_future_key: true,
        };
        let topic = DescribeLogDirsTopic { name: StrBytes::from_static_str("t"), partitions: vec![partition; 2] };
        let whole = DescribeLogDirsResult {
            error_code: 0,
            log_dir: StrBytes::from_static_str("/a"),
            topics: vec![topic],
            total_bytes: 5,
            usable_bytes: 4,
            is_cordoned: true,
        };
        let offline = DescribeLogDirsResult { error_code: 56, ..DescribeLogDirsResult::default() };
        DescribeLogDirsResponse { throttle_time_ms: 1, error_code: 2, results: vec![whole, offline] }
    }

    /// What is left of a response in a version.
    fn as_of(version: i16) -> DescribeLogDirsResponse {
        let mut response = response();
        if version < 3 {
            response.error_code = 0;
        }
        for result in &mut response.results {
            if version < 4 {
                (result.total_bytes, result.usable_bytes) = (-1, -1);
            }
            result.is_cordoned &= version >= 5;
        }
        response
    }

    #[test]
    fn a_response_reads_back_in_every_version_and_a_cut_one_is_refused() {
        for version in VERSIONS {
            let mut out = BytesMut::new();
            write(&response(), &mut out, version);
            let bytes = out.freeze();
            let mut whole = bytes.clone();
            assert_eq!((read(&mut whole, version), whole.len()), (Ok(as_of(version)), 0), "v{version}");
            for len in 0..bytes.len() {
                assert!(read(&mut bytes.slice(..len), version).is_err(), "v{version} cut at {len}");
            }
        }
    }

    #[test]
    fn the_codec_crate_reads_the_same_as_far_as_it_goes() {
        for version in 1..=4 {
            let mut out = BytesMut::new();
            write(&response(), &mut out, version);
            let read: CrateResponse = decode_message("DescribeLogDirs", version, out.freeze()).expect("it is whole");
            let (ours, theirs) = (&as_of(version).results, &read.results);
            assert_eq!((read.throttle_time_ms, theirs.len()), (1, 2), "v{version}");
            for (ours, theirs) in ours.iter().zip(theirs) {
                let space = (theirs.total_bytes, theirs.usable_bytes);
                assert_eq!((theirs.error_code, &theirs.log_dir), (ours.error_code, &ours.log_dir));
                assert_eq!(space, (ours.total_bytes, ours.usable_bytes));
                assert_eq!(theirs.topics.len(), ours.topics.len());
            }
            let theirs = &theirs[0].topics[0].partitions[1];
            assert_eq!((theirs.partition_index, theirs.partition_size), (7, 1 << 40));
            assert_eq!((theirs.offset_lag, theirs.is_future_key), (3, true));
        }
    }
}
