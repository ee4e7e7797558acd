//! OffsetFetch request v10: v9 with a topic id in the place of the name (KIP-848). Source: OffsetFetchRequest.json.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::super::message::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use super::super::wire::{self, Reader, WireError};
use super::offset_commit::slice;

/// The version read here.
pub const VERSION: i16 = 10;

/// Group id, member id, epoch, topic count, tags.
const GROUP_MIN_BYTES: usize = 1 + 1 + 4 + 1 + 1;
/// Topic id, partition count, tags.
const TOPIC_MIN_BYTES: usize = 16 + 1 + 1;

/// Reads a body and leaves what follows it. Unknown tagged fields are dropped.
pub fn read(body: &mut Bytes) -> Result<OffsetFetchRequest, WireError> {
    let frame = body.clone();
    let mut reader = Reader::new(&frame);
    let mut request = OffsetFetchRequest::default();
    let group_count = reader.count(true, GROUP_MIN_BYTES)?;
    request.groups.reserve_exact(group_count);
    for _ in 0..group_count {
        request.groups.push(read_group(&frame, &mut reader)?);
    }
    request.require_stable = reader.boolean()?;
    reader.skip_tagged_fields(true)?;
    body.advance(frame.len() - reader.remaining());
    Ok(request)
}

fn read_group(frame: &Bytes, reader: &mut Reader<'_>) -> Result<OffsetFetchRequestGroup, WireError> {
    let mut group = OffsetFetchRequestGroup::default();
    group.group_id = slice(frame, reader.string(true)?).into();
    group.member_id = reader.nullable_string(true)?.map(|text| slice(frame, text));
    group.member_epoch = reader.int32()?;
    group.topics = match reader.nullable_count(true, TOPIC_MIN_BYTES)? {
        None => None,
        Some(topic_count) => {
            let mut topics = Vec::with_capacity(topic_count);
            for _ in 0..topic_count {
                topics.push(read_topic(reader)?);
            }
            Some(topics)
        }
    };
    reader.skip_tagged_fields(true)?;
    Ok(group)
}

fn read_topic(reader: &mut Reader<'_>) -> Result<OffsetFetchRequestTopics, WireError> {
    let mut topic = OffsetFetchRequestTopics::default();
    topic.topic_id = reader.uuid()?;
    let partition_count = reader.count(true, 4)?;
    topic.partition_indexes.reserve_exact(partition_count);
    for _ in 0..partition_count {
        topic.partition_indexes.push(reader.int32()?);
    }
    reader.skip_tagged_fields(true)?;
    Ok(topic)
}

/// Writes a body. Names are not part of v10 and are left out, as the schema allows.
pub fn write(request: &OffsetFetchRequest, out: &mut BytesMut) {
    wire::put_length(out, request.groups.len(), true);
    for group in &request.groups {
        wire::put_string(out, &group.group_id, true);
        wire::put_nullable_string(out, group.member_id.as_deref(), true);
        out.put_i32(group.member_epoch);
        match &group.topics {
            None => wire::put_null_length(out, true),
            Some(topics) => {
                wire::put_length(out, topics.len(), true);
                topics.iter().for_each(|topic| write_topic(topic, out));
            }
        }
        wire::put_no_tagged_fields(out, true);
    }
    out.put_u8(u8::from(request.require_stable));
    wire::put_no_tagged_fields(out, true);
}

fn write_topic(topic: &OffsetFetchRequestTopics, out: &mut BytesMut) {
    out.put_slice(topic.topic_id.as_bytes());
    wire::put_length(out, topic.partition_indexes.len(), true);
    for partition_index in &topic.partition_indexes {
        out.put_i32(*partition_index);
    }
    wire::put_no_tagged_fields(out, true);
}

#[cfg(test)]
mod tests {
    use super::super::super::message::{RequestMessage, StrBytes, decode_request};
    use super::*;

    #[test]
    fn a_fetch_of_groups_by_topic_id_reads_back() {
        let topic = OffsetFetchRequestTopics::default()
            .with_topic_id(uuid::Uuid::from_u128(7))
            .with_partition_indexes(vec![0, 5]);
        let some = OffsetFetchRequestGroup::default()
            .with_group_id(StrBytes::from_static_str("g").into())
            .with_member_id(Some(StrBytes::from_static_str("m")))
            .with_member_epoch(4)
            .with_topics(Some(vec![topic]));
        let all =
            OffsetFetchRequestGroup::default().with_group_id(StrBytes::from_static_str("h").into()).with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![some, all]).with_require_stable(true);
        let mut out = BytesMut::new();
        RequestMessage::write(&request, &mut out, VERSION).expect("v10 writes");
        assert_eq!(decode_request::<OffsetFetchRequest>(VERSION, out.freeze()), Ok(request));
    }
}
