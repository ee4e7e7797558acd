//! Fetch on the hot path: a request read without copying, an answer whose records stay where they are.
//!
//! v4–18: v5 log start offset · v7 sessions (KIP-227) · v9 leader epochs (KIP-320) · v11 racks (KIP-392) · v12 flexible,
//! last fetched epoch and diverging epochs (KIP-595) · v13 topic ids (KIP-516) · v15 replica state (KIP-903) · v16 node
//! endpoints (KIP-951) · v17 directory ids (KIP-853) · v18 the follower's high watermark.
//! [`Request::parse`] walks the whole body once, so that iterating over it afterwards cannot fail. [`ResponseWriter`]
//! writes everything but the records and says where they belong, so that they may be sent from a file.

use bytes::{BufMut, Bytes, BytesMut};

use super::api_key::ApiKey;
use super::leader::{self, CurrentLeader, NodeEndpoint};
use super::message;
use super::topic_ref::TopicRef;
use super::wire::{self, Reader, WireError};

/// Versions that [`Request::parse`] reads.
pub const VERSIONS: std::ops::RangeInclusive<i16> = 4..=18;

const FLEXIBLE_FROM: i16 = 12;
const TOPIC_ID_FROM: i16 = 13;

const WALKED: &str = "parse walked the body";

/// A Fetch request whose body has been walked once and found whole. Fields that the version lacks hold their defaults.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    version: i16,
    topics_position: usize,
    topic_count: usize,
    forgotten_position: usize,
    forgotten_count: usize,
    cluster_id: Option<(usize, usize)>,
    rack_id: (usize, usize),
    /// The follower, or −1 for a consumer; from the replica state in v15+.
    pub replica_id: i32,
    /// −1 when unknown. v15+.
    pub replica_epoch: i64,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    /// 0 read uncommitted, 1 read committed.
    pub isolation_level: i8,
    /// 0 asks for no session or a new one. v7+.
    pub session_id: i32,
    /// −1 ends or avoids the session, 0 begins one. v7+.
    pub session_epoch: i32,
}

/// A topic of the request.
#[derive(Clone, Copy, Debug)]
pub struct Topic<'a> {
    version: i16,
    pub topic: TopicRef<'a>,
    pub partition_count: usize,
    partitions: Reader<'a>,
}

/// A partition of the request. Fields that the version lacks hold their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    pub partition: i32,
    /// −1 when unknown. v9+.
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    /// −1 when there is none. v12+.
    pub last_fetched_epoch: i32,
    /// The follower's; −1 from consumers. v5+.
    pub log_start_offset: i64,
    pub partition_max_bytes: i32,
    /// Zero from consumers. v17+.
    pub replica_directory_id: uuid::Uuid,
    /// The follower's; `i64::MAX` when unknown. v18+.
    pub high_watermark: i64,
}

/// A topic that leaves the session, with its partitions. v7+.
#[derive(Clone, Copy, Debug)]
pub struct ForgottenTopic<'a> {
    pub topic: TopicRef<'a>,
    pub partition_count: usize,
    partitions: Reader<'a>,
}

fn partition_min_bytes(version: i16) -> usize {
    let fields = [(4, 4), (9, 4), (4, 8), (12, 4), (5, 8), (4, 4), (FLEXIBLE_FROM, 1)];
    fields.iter().filter(|(from, _)| version >= *from).map(|(_, bytes)| bytes).sum()
}

fn topic_min_bytes(version: i16) -> usize {
    match version {
        TOPIC_ID_FROM.. => 16 + 1 + 1,
        FLEXIBLE_FROM.. => 1 + 1 + 1,
        _ => 2 + 4,
    }
}

impl Request {
    /// Reads a body of v4–18. Bytes after the last field are ignored, as by Kafka.
    ///
    /// Panics on other versions: which ones are offered is decided before.
    pub fn parse(version: i16, body: Bytes) -> Result<Request, WireError> {
        assert!(VERSIONS.contains(&version), "fetch version {version}");
        let flexible = version >= FLEXIBLE_FROM;
        let mut reader = Reader::new(&body);
        let position = |reader: &Reader<'_>| body.len() - reader.remaining();
        let mut replica_id = if version <= 14 { reader.int32()? } else { -1 };
        let mut replica_epoch = -1;
        let max_wait_ms = reader.int32()?;
        let min_bytes = reader.int32()?;
        let max_bytes = reader.int32()?;
        let isolation_level = reader.int8()?;
        let (session_id, session_epoch) = if version >= 7 { (reader.int32()?, reader.int32()?) } else { (0, -1) };
        let topic_count = reader.count(flexible, topic_min_bytes(version))?;
        let topics_position = position(&reader);
        for _ in 0..topic_count {
            read_topic(&mut reader, version)?;
        }
        let forgotten_count = if version >= 7 { reader.count(flexible, topic_min_bytes(version))? } else { 0 };
        let forgotten_position = position(&reader);
        for _ in 0..forgotten_count {
            read_forgotten_topic(&mut reader, version)?;
        }
        let rack_id = if version >= 11 { reader.string(flexible)? } else { "" };
        let rack_id = if rack_id.is_empty() { (0, 0) } else { span(&body, rack_id) };
        let mut cluster_id = None;
        reader.tagged_fields(flexible, |tag, field| {
            let mut field = Reader::new(field);
            match tag {
                0 => cluster_id = field.nullable_string(true)?.map(|id| span(&body, id)),
                1 => {
                    must_have_tag(version, 15, tag)?;
                    (replica_id, replica_epoch) = (field.int32()?, field.int64()?);
                    field.skip_tagged_fields(true)?;
                }
                _ => return Ok(()),
            }
            field.finish_tag()
        })?;
        Ok(Request {
            version,
            topics_position,
            topic_count,
            forgotten_position,
            forgotten_count,
            cluster_id,
            rack_id,
            replica_id,
            replica_epoch,
            max_wait_ms,
            min_bytes,
            max_bytes,
            isolation_level,
            session_id,
            session_epoch,
            body,
        })
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    /// The cluster that a follower believes to be in; v12+.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.map(|span| self.text(span))
    }

    /// The consumer's rack, empty when it has none; v11+.
    pub fn rack_id(&self) -> &str {
        self.text(self.rack_id)
    }

    fn text(&self, (start, end): (usize, usize)) -> &str {
        std::str::from_utf8(&self.body[start..end]).expect(WALKED)
    }

    /// Number of topics; it fits in the frame, so memory may be sized by it.
    pub fn topic_count(&self) -> usize {
        self.topic_count
    }

    /// The topics in the order of the request.
    pub fn topics(&self) -> impl Iterator<Item = Topic<'_>> {
        let mut reader = Reader::new(&self.body[self.topics_position..]);
        (0..self.topic_count).map(move |_| read_topic(&mut reader, self.version).expect(WALKED))
    }

    /// Number of topics to forget; it fits in the frame.
    pub fn forgotten_topic_count(&self) -> usize {
        self.forgotten_count
    }

    /// The topics that leave the session, in the order of the request.
    pub fn forgotten_topics(&self) -> impl Iterator<Item = ForgottenTopic<'_>> {
        let mut reader = Reader::new(&self.body[self.forgotten_position..]);
        (0..self.forgotten_count).map(move |_| read_forgotten_topic(&mut reader, self.version).expect(WALKED))
    }
}

impl<'a> Topic<'a> {
    /// The partitions in the order of the request.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<'a> {
        let (version, mut reader) = (self.version, self.partitions);
        (0..self.partition_count).map(move |_| read_partition(&mut reader, version).expect(WALKED))
    }
}

impl<'a> ForgottenTopic<'a> {
    /// The partition indexes in the order of the request.
    pub fn partitions(&self) -> impl Iterator<Item = i32> + use<'a> {
        let mut reader = self.partitions;
        (0..self.partition_count).map(move |_| reader.int32().expect(WALKED))
    }
}

fn span(body: &Bytes, text: &str) -> (usize, usize) {
    let start = text.as_ptr().addr() - body.as_ptr().addr();
    (start, start + text.len())
}

fn must_have_tag(version: i16, from: i16, tag: u32) -> Result<(), WireError> {
    if version < from { Err(WireError::UnexpectedTag { tag }) } else { Ok(()) }
}

fn read_topic<'a>(reader: &mut Reader<'a>, version: i16) -> Result<Topic<'a>, WireError> {
    let flexible = version >= FLEXIBLE_FROM;
    let topic = TopicRef::read(reader, version >= TOPIC_ID_FROM, flexible)?;
    let partition_count = reader.count(flexible, partition_min_bytes(version))?;
    let partitions = *reader;
    for _ in 0..partition_count {
        read_partition(reader, version)?;
    }
    reader.skip_tagged_fields(flexible)?;
    Ok(Topic { version, topic, partition_count, partitions })
}

#[inline]
fn read_partition(reader: &mut Reader<'_>, version: i16) -> Result<Partition, WireError> {
    let mut partition = Partition {
        partition: reader.int32()?,
        current_leader_epoch: if version >= 9 { reader.int32()? } else { -1 },
        fetch_offset: reader.int64()?,
        last_fetched_epoch: if version >= 12 { reader.int32()? } else { -1 },
        log_start_offset: if version >= 5 { reader.int64()? } else { -1 },
        partition_max_bytes: reader.int32()?,
        replica_directory_id: uuid::Uuid::nil(),
        high_watermark: i64::MAX,
    };
    reader.tagged_fields(version >= FLEXIBLE_FROM, |tag, field| {
        let mut field = Reader::new(field);
        match tag {
            0 => {
                must_have_tag(version, 17, tag)?;
                partition.replica_directory_id = field.uuid()?;
            }
            1 => {
                must_have_tag(version, 18, tag)?;
                partition.high_watermark = field.int64()?;
            }
            _ => return Ok(()),
        }
        field.finish_tag()
    })?;
    Ok(partition)
}

fn read_forgotten_topic<'a>(reader: &mut Reader<'a>, version: i16) -> Result<ForgottenTopic<'a>, WireError> {
    let flexible = version >= FLEXIBLE_FROM;
    let topic = TopicRef::read(reader, version >= TOPIC_ID_FROM, flexible)?;
    let partition_count = reader.count(flexible, 4)?;
    let partitions = *reader;
    reader.take(partition_count * 4)?;
    reader.skip_tagged_fields(flexible)?;
    Ok(ForgottenTopic { topic, partition_count, partitions })
}

/// Records that an answer carries without the writer seeing them: a buffer, or a region of a file.
pub trait Records {
    fn size_bytes(&self) -> usize;
}

impl Records for Bytes {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

/// A piece of an answer, in the order of sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk<R> {
    Bytes(Bytes),
    Records(R),
}

/// A partition's answer, without its records. Fields that the version does not have are left out.
#[derive(Clone, Debug)]
pub struct PartitionResponse<'a> {
    pub partition_index: i32,
    pub error_code: i16,
    /// −1 with an error.
    pub high_watermark: i64,
    /// −1 with an error or when nobody asked for committed records only.
    pub last_stable_offset: i64,
    /// v5+.
    pub log_start_offset: i64,
    /// Epoch and end offset where the follower's log leaves the leader's. v12+.
    pub diverging_epoch: Option<(i32, i64)>,
    /// v12+.
    pub current_leader: CurrentLeader,
    /// End offset and epoch of the snapshot to fetch instead. v12+.
    pub snapshot_id: Option<(i64, i32)>,
    /// Producer id and first offset of each aborted transaction in range; null for readers of uncommitted records.
    pub aborted_transactions: Option<&'a [(i64, i64)]>,
    /// −1 for this broker. v11+.
    pub preferred_read_replica: i32,
}

/// Writes an answer: topics, in each its partitions with their records, then [`ResponseWriter::finish`].
///
/// Invariant: as many topics and partitions are written as were announced.
#[derive(Debug)]
pub struct ResponseWriter<R> {
    out: BytesMut,
    /// Where in `out` records belong, in order.
    records: Vec<(usize, R)>,
    version: i16,
    topics_left: usize,
    partitions_left: usize,
    topic_open: bool,
}

/// What stands before the topics of an answer.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead {
    pub correlation_id: i32,
    pub throttle_time_ms: i32,
    /// v7+.
    pub error_code: i16,
    /// v7+.
    pub session_id: i32,
    pub topic_count: usize,
}

impl<R: Records> ResponseWriter<R> {
    /// Begins a frame of v4–18 in `out`, which must be empty.
    pub fn new(version: i16, head: ResponseHead, mut out: BytesMut) -> ResponseWriter<R> {
        assert!(out.is_empty(), "a fetch answer begins its own buffer");
        message::begin_response(ApiKey::Fetch, version, head.correlation_id, &mut out);
        out.put_i32(head.throttle_time_ms);
        if version >= 7 {
            out.put_i16(head.error_code);
            out.put_i32(head.session_id);
        }
        wire::put_length(&mut out, head.topic_count, version >= FLEXIBLE_FROM);
        let topics_left = head.topic_count;
        ResponseWriter { out, records: Vec::new(), version, topics_left, partitions_left: 0, topic_open: false }
    }

    pub fn topic(&mut self, topic: TopicRef<'_>, partition_count: usize) {
        self.close_topic();
        self.topics_left = self.topics_left.checked_sub(1).expect("as many topics as announced");
        self.partitions_left = partition_count;
        self.topic_open = true;
        let flexible = self.version >= FLEXIBLE_FROM;
        topic.write(&mut self.out, self.version >= TOPIC_ID_FROM, flexible);
        wire::put_length(&mut self.out, partition_count, flexible);
    }

    /// `records` of `None` is null on the wire, which some clients take badly; Kafka sends empty ones with an error.
    pub fn partition(&mut self, partition: &PartitionResponse<'_>, records: Option<R>) {
        self.partitions_left = self.partitions_left.checked_sub(1).expect("as many partitions as announced");
        let (out, version) = (&mut self.out, self.version);
        let flexible = version >= FLEXIBLE_FROM;
        out.put_i32(partition.partition_index);
        out.put_i16(partition.error_code);
        out.put_i64(partition.high_watermark);
        out.put_i64(partition.last_stable_offset);
        if version >= 5 {
            out.put_i64(partition.log_start_offset);
        }
        put_aborted_transactions(out, partition.aborted_transactions, flexible);
        if version >= 11 {
            out.put_i32(partition.preferred_read_replica);
        }
        match records {
            None => wire::put_null_length(out, flexible),
            Some(records) => {
                let size = records.size_bytes();
                wire::put_length(out, size, flexible);
                if size > 0 {
                    self.records.push((out.len(), records));
                }
            }
        }
        if flexible {
            put_partition_tags(out, partition);
        }
    }

    fn close_topic(&mut self) {
        assert!(self.partitions_left == 0, "as many partitions as announced");
        if self.topic_open {
            wire::put_no_tagged_fields(&mut self.out, self.version >= FLEXIBLE_FROM);
        }
        self.topic_open = false;
    }

    /// Bytes of the frame so far, with its length and the records.
    pub fn size_bytes(&self) -> usize {
        self.out.len() + self.records.iter().map(|(_, records)| records.size_bytes()).sum::<usize>()
    }

    /// Ends the frame and answers its pieces in the order of sending. `node_endpoints` is v16+.
    pub fn finish(mut self, node_endpoints: &[NodeEndpoint]) -> Vec<Chunk<R>> {
        self.close_topic();
        assert!(self.topics_left == 0, "as many topics as announced");
        if self.version >= 16 {
            leader::put_node_endpoints(&mut self.out, node_endpoints);
        } else {
            wire::put_no_tagged_fields(&mut self.out, self.version >= FLEXIBLE_FROM);
        }
        let length = self.size_bytes() - super::frame::LENGTH_BYTES;
        let length = i32::try_from(length).expect("an answer is bounded by fetch.max.bytes");
        self.out[..super::frame::LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let mut chunks = Vec::with_capacity(2 * self.records.len() + 1);
        let mut sent = 0;
        for (position, records) in self.records {
            chunks.push(Chunk::Bytes(self.out.split_to(position - sent).freeze()));
            chunks.push(Chunk::Records(records));
            sent = position;
        }
        // Never empty: at least the tags or, in old versions, the header of an answer without records.
        if !self.out.is_empty() {
            chunks.push(Chunk::Bytes(self.out.freeze()));
        }
        chunks
    }
}

fn put_aborted_transactions(out: &mut BytesMut, aborted: Option<&[(i64, i64)]>, flexible: bool) {
    let Some(aborted) = aborted else {
        wire::put_null_length(out, flexible);
        return;
    };
    wire::put_length(out, aborted.len(), flexible);
    for (producer_id, first_offset) in aborted {
        out.put_i64(*producer_id);
        out.put_i64(*first_offset);
        wire::put_no_tagged_fields(out, flexible);
    }
}

fn put_partition_tags(out: &mut BytesMut, partition: &PartitionResponse<'_>) {
    const EPOCH_AND_OFFSET_BYTES: usize = 4 + 8 + 1;
    let has_leader = !partition.current_leader.is_none();
    let present = [partition.diverging_epoch.is_some(), has_leader, partition.snapshot_id.is_some()];
    out.put_u8(present.iter().map(|present| u8::from(*present)).sum());
    if let Some((epoch, end_offset)) = partition.diverging_epoch {
        leader::put_tag(out, 0, EPOCH_AND_OFFSET_BYTES);
        out.put_i32(epoch);
        out.put_i64(end_offset);
        wire::put_no_tagged_fields(out, true);
    }
    if has_leader {
        partition.current_leader.write_tagged(1, out);
    }
    if let Some((end_offset, epoch)) = partition.snapshot_id {
        leader::put_tag(out, 2, EPOCH_AND_OFFSET_BYTES);
        out.put_i64(end_offset);
        out.put_i32(epoch);
        wire::put_no_tagged_fields(out, true);
    }
}

#[cfg(test)]
mod tests;
