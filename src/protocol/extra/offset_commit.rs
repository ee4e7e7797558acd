//! OffsetCommit request v10: v9 with a topic id in the place of the name (KIP-848). Source: OffsetCommitRequest.json.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::super::message::StrBytes;
use super::super::message::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use super::super::wire::{self, Reader, WireError};

/// The version read here.
pub const VERSION: i16 = 10;

/// Partition index, offset, leader epoch, metadata, tags.
const PARTITION_MIN_BYTES: usize = 4 + 8 + 4 + 1 + 1;
/// Topic id, partition count, tags.
const TOPIC_MIN_BYTES: usize = 16 + 1 + 1;

/// Reads a body and leaves what follows it. Unknown tagged fields are dropped.
pub fn read(body: &mut Bytes) -> Result<OffsetCommitRequest, WireError> {
    let frame = body.clone();
    let mut reader = Reader::new(&frame);
    let owned = |text: &str| slice(&frame, text);
    let mut request = OffsetCommitRequest::default();
    request.group_id = owned(reader.string(true)?).into();
    request.generation_id_or_member_epoch = reader.int32()?;
    request.member_id = owned(reader.string(true)?);
    request.group_instance_id = reader.nullable_string(true)?.map(owned);
    let topic_count = reader.count(true, TOPIC_MIN_BYTES)?;
    request.topics.reserve_exact(topic_count);
    for _ in 0..topic_count {
        request.topics.push(read_topic(&frame, &mut reader)?);
    }
    reader.skip_tagged_fields(true)?;
    body.advance(frame.len() - reader.remaining());
    Ok(request)
}

fn read_topic(frame: &Bytes, reader: &mut Reader<'_>) -> Result<OffsetCommitRequestTopic, WireError> {
    let mut topic = OffsetCommitRequestTopic::default();
    topic.topic_id = reader.uuid()?;
    let partition_count = reader.count(true, PARTITION_MIN_BYTES)?;
    topic.partitions.reserve_exact(partition_count);
    for _ in 0..partition_count {
        let mut partition = OffsetCommitRequestPartition::default();
        partition.partition_index = reader.int32()?;
        partition.committed_offset = reader.int64()?;
        partition.committed_leader_epoch = reader.int32()?;
        partition.committed_metadata = reader.nullable_string(true)?.map(|text| slice(frame, text));
        reader.skip_tagged_fields(true)?;
        topic.partitions.push(partition);
    }
    reader.skip_tagged_fields(true)?;
    Ok(topic)
}

/// A string that shares the frame's memory.
pub(super) fn slice(frame: &Bytes, text: &str) -> StrBytes {
    StrBytes::from_utf8(frame.slice_ref(text.as_bytes())).expect("a str is UTF-8")
}

/// Writes a body. Names and the retention time are not part of v10 and are left out, as the schema allows.
pub fn write(request: &OffsetCommitRequest, out: &mut BytesMut) {
    wire::put_string(out, &request.group_id, true);
    out.put_i32(request.generation_id_or_member_epoch);
    wire::put_string(out, &request.member_id, true);
    wire::put_nullable_string(out, request.group_instance_id.as_deref(), true);
    wire::put_length(out, request.topics.len(), true);
    for topic in &request.topics {
        out.put_slice(topic.topic_id.as_bytes());
        wire::put_length(out, topic.partitions.len(), true);
        for partition in &topic.partitions {
            out.put_i32(partition.partition_index);
            out.put_i64(partition.committed_offset);
            out.put_i32(partition.committed_leader_epoch);
            wire::put_nullable_string(out, partition.committed_metadata.as_deref(), true);
            wire::put_no_tagged_fields(out, true);
        }
        wire::put_no_tagged_fields(out, true);
    }
    wire::put_no_tagged_fields(out, true);
}

#[cfg(test)]
mod tests {
    use super::super::super::message::{RequestMessage, decode_request};
    use super::*;

    #[test]
    fn a_commit_by_topic_id_reads_back() {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(3)
            .with_committed_offset(42)
            .with_committed_leader_epoch(5)
            .with_committed_metadata(Some(StrBytes::from_static_str("mine")));
        let topic = OffsetCommitRequestTopic::default()
            .with_topic_id(uuid::Uuid::from_u128(7))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(StrBytes::from_static_str("g").into())
            .with_generation_id_or_member_epoch(2)
            .with_member_id(StrBytes::from_static_str("m"))
            .with_group_instance_id(Some(StrBytes::from_static_str("i")))
            .with_topics(vec![topic]);
        let mut out = BytesMut::new();
        RequestMessage::write(&request, &mut out, VERSION).expect("v10 writes");
        assert_eq!(decode_request::<OffsetCommitRequest>(VERSION, out.freeze()), Ok(request));
    }

    #[test]
    fn a_topic_count_beyond_the_frame_is_refused_before_memory_is_taken() {
        let mut body = Bytes::from_static(&[2, b'g', 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        let error = read(&mut body).expect_err("a count of four billion");
        assert!(matches!(error, WireError::CountOverRemaining { .. }), "{error}");
    }
}
