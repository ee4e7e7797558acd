//! Produce on the hot path: a request read without copying, an answer written as it is decided.
//!
//! Reads v3–13, the versions of Kafka 4.3.1. 0–2 are advertised and gone (KIP-896): Kafka closes the connection on one,
//! whatever its acks, and so does the guard's `UnsupportedVersion`. v9 is flexible, v13 names topics by id. [`Request::parse`] walks the whole body once, so that iterating over it afterwards cannot fail; records stay
//! slices of the frame. The answer's writer knows v10's leaders (KIP-951) and v8's errors of single records (KIP-467).

use bytes::{BufMut, Bytes, BytesMut};

use super::api_key::ApiKey;
use super::leader::{self, CurrentLeader, NodeEndpoint};
use super::message;
use super::topic_ref::TopicRef;
use super::wire::{self, Reader, WireError};

/// Versions that [`Request::parse`] reads.
pub const VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;

const FLEXIBLE_FROM: i16 = 9;
const TOPIC_ID_FROM: i16 = 13;

const WALKED: &str = "parse walked the body";

fn partition_min_bytes(flexible: bool) -> usize {
    if flexible { 4 + 1 + 1 } else { 4 + 4 }
}

fn topic_min_bytes(version: i16) -> usize {
    match version {
        TOPIC_ID_FROM.. => 16 + 1 + 1,
        FLEXIBLE_FROM.. => 1 + 1 + 1,
        _ => 2 + 4,
    }
}

/// A Produce request whose body has been walked once and found whole.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    version: i16,
    topics_position: usize,
    topic_count: usize,
    transactional_id: Option<(usize, usize)>,
    /// −1 all, 0 none, 1 leader; others are INVALID_REQUIRED_ACKS, which is the handler's to say.
    pub acks: i16,
    pub timeout_ms: i32,
}

/// A topic of the request.
#[derive(Clone, Copy, Debug)]
pub struct Topic<'a> {
    body: &'a Bytes,
    version: i16,
    pub topic: TopicRef<'a>,
    pub partition_count: usize,
    partitions: Reader<'a>,
}

/// A partition of the request. `records` is a slice of the frame; null and empty are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub index: i32,
    pub records: Option<Bytes>,
}

impl Request {
    /// Reads a body of v3–13. Bytes after the last field are ignored, as by Kafka.
    ///
    /// Panics on other versions: which ones are offered is decided before.
    pub fn parse(version: i16, body: Bytes) -> Result<Request, WireError> {
        assert!(VERSIONS.contains(&version), "produce version {version}");
        let flexible = version >= FLEXIBLE_FROM;
        let mut reader = Reader::new(&body);
        let transactional_id = reader.nullable_string(flexible)?.map(|id| span(&body, id));
        let acks = reader.int16()?;
        let timeout_ms = reader.int32()?;
        let topic_count = reader.count(flexible, topic_min_bytes(version))?;
        let topics_position = body.len() - reader.remaining();
        for _ in 0..topic_count {
            let (_, partition_count) = read_topic(&mut reader, version)?;
            skip_partitions(&mut reader, partition_count, flexible)?;
            reader.skip_tagged_fields(flexible)?;
        }
        reader.skip_tagged_fields(flexible)?;
        Ok(Request { version, topics_position, topic_count, transactional_id, acks, timeout_ms, body })
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    pub fn transactional_id(&self) -> Option<&str> {
        let (start, end) = self.transactional_id?;
        Some(std::str::from_utf8(&self.body[start..end]).expect(WALKED))
    }

    /// Number of topics; it fits in the frame, so memory may be sized by it.
    pub fn topic_count(&self) -> usize {
        self.topic_count
    }

    /// The topics in the order of the request. Names may repeat: the handler decides what that means.
    pub fn topics(&self) -> impl Iterator<Item = Topic<'_>> {
        let flexible = self.version >= FLEXIBLE_FROM;
        let mut reader = Reader::new(&self.body[self.topics_position..]);
        (0..self.topic_count).map(move |_| {
            let (topic, partition_count) = read_topic(&mut reader, self.version).expect(WALKED);
            let partitions = reader;
            skip_partitions(&mut reader, partition_count, flexible).expect(WALKED);
            reader.skip_tagged_fields(flexible).expect(WALKED);
            Topic { body: &self.body, version: self.version, topic, partition_count, partitions }
        })
    }
}

impl<'a> Topic<'a> {
    /// The partitions in the order of the request.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<'a> {
        let flexible = self.version >= FLEXIBLE_FROM;
        let (body, mut reader) = (self.body, self.partitions);
        (0..self.partition_count).map(move |_| {
            let (index, records) = read_partition(&mut reader, flexible).expect(WALKED);
            Partition { index, records: records.map(|records| body.slice_ref(records)) }
        })
    }
}

fn span(body: &Bytes, text: &str) -> (usize, usize) {
    let start = text.as_ptr().addr() - body.as_ptr().addr();
    (start, start + text.len())
}

#[inline]
fn read_topic<'a>(reader: &mut Reader<'a>, version: i16) -> Result<(TopicRef<'a>, usize), WireError> {
    let flexible = version >= FLEXIBLE_FROM;
    let topic = TopicRef::read(reader, version >= TOPIC_ID_FROM, flexible)?;
    Ok((topic, reader.count(flexible, partition_min_bytes(flexible))?))
}

#[inline]
fn read_partition<'a>(reader: &mut Reader<'a>, flexible: bool) -> Result<(i32, Option<&'a [u8]>), WireError> {
    let index = reader.int32()?;
    let records = reader.nullable_bytes(flexible)?;
    reader.skip_tagged_fields(flexible)?;
    Ok((index, records))
}

fn skip_partitions(reader: &mut Reader<'_>, count: usize, flexible: bool) -> Result<(), WireError> {
    for _ in 0..count {
        read_partition(reader, flexible)?;
    }
    Ok(())
}

/// The answer for one partition. Fields that the version does not have are left out.
#[derive(Clone, Debug)]
pub struct PartitionResponse<'a> {
    pub index: i32,
    pub error_code: i16,
    /// −1 with an error.
    pub base_offset: i64,
    /// −1 unless the topic stamps records itself. v2+.
    pub log_append_time_ms: i64,
    /// v5+.
    pub log_start_offset: i64,
    /// Batch index and message of each record that was refused. v8+.
    pub record_errors: &'a [(i32, Option<String>)],
    /// v8+.
    pub error_message: Option<&'a str>,
    /// v10+.
    pub current_leader: CurrentLeader,
}

/// Writes an answer into a buffer: topics, in each its partitions, then [`ResponseWriter::finish`].
///
/// Invariant: as many topics and partitions are written as were announced.
#[derive(Debug)]
pub struct ResponseWriter<'o> {
    out: &'o mut BytesMut,
    version: i16,
    frame_start: usize,
    topics_left: usize,
    partitions_left: usize,
    topic_open: bool,
}

impl<'o> ResponseWriter<'o> {
    /// Begins a frame at the end of `out`. Versions 0–13.
    pub fn new(version: i16, correlation_id: i32, topic_count: usize, out: &'o mut BytesMut) -> ResponseWriter<'o> {
        let frame_start = message::begin_response(ApiKey::Produce, version, correlation_id, out);
        wire::put_length(out, topic_count, version >= FLEXIBLE_FROM);
        ResponseWriter { out, version, frame_start, topics_left: topic_count, partitions_left: 0, topic_open: false }
    }

    pub fn topic(&mut self, topic: TopicRef<'_>, partition_count: usize) {
        self.close_topic();
        self.topics_left = self.topics_left.checked_sub(1).expect("as many topics as announced");
        self.partitions_left = partition_count;
        self.topic_open = true;
        let flexible = self.version >= FLEXIBLE_FROM;
        topic.write(self.out, self.version >= TOPIC_ID_FROM, flexible);
        wire::put_length(self.out, partition_count, flexible);
    }

    pub fn partition(&mut self, partition: &PartitionResponse<'_>) {
        self.partitions_left = self.partitions_left.checked_sub(1).expect("as many partitions as announced");
        let (out, version) = (&mut *self.out, self.version);
        let flexible = version >= FLEXIBLE_FROM;
        out.put_i32(partition.index);
        out.put_i16(partition.error_code);
        out.put_i64(partition.base_offset);
        if version >= 2 {
            out.put_i64(partition.log_append_time_ms);
        }
        if version >= 5 {
            out.put_i64(partition.log_start_offset);
        }
        if version >= 8 {
            wire::put_length(out, partition.record_errors.len(), flexible);
            for (batch_index, error_message) in partition.record_errors {
                out.put_i32(*batch_index);
                wire::put_nullable_string(out, error_message.as_deref(), flexible);
                wire::put_no_tagged_fields(out, flexible);
            }
            wire::put_nullable_string(out, partition.error_message, flexible);
        }
        if version >= 10 && !partition.current_leader.is_none() {
            wire::put_unsigned_varint(out, 1);
            partition.current_leader.write_tagged(0, out);
        } else {
            wire::put_no_tagged_fields(out, flexible);
        }
    }

    fn close_topic(&mut self) {
        assert!(self.partitions_left == 0, "as many partitions as announced");
        if self.topic_open {
            wire::put_no_tagged_fields(self.out, self.version >= FLEXIBLE_FROM);
        }
        self.topic_open = false;
    }

    /// Ends the frame, and says where in it the throttle time lies. `throttle_time_ms` is v1+, `node_endpoints` v10+.
    pub fn finish(mut self, throttle_time_ms: i32, node_endpoints: &[NodeEndpoint]) -> Option<usize> {
        self.close_topic();
        assert!(self.topics_left == 0, "as many topics as announced");
        let throttle_at = (self.version >= 1).then(|| self.out.len() - self.frame_start);
        if throttle_at.is_some() {
            self.out.put_i32(throttle_time_ms);
        }
        if self.version >= 10 {
            leader::put_node_endpoints(self.out, node_endpoints);
        } else {
            wire::put_no_tagged_fields(self.out, self.version >= FLEXIBLE_FROM);
        }
        message::end_frame(self.out, self.frame_start);
        throttle_at
    }
}

#[cfg(test)]
mod tests;
