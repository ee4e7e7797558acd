//! The records of `__consumer_offsets`: committed offsets and the state of classic groups, byte for byte as Kafka.
//!
//! A key starts with its type as an i16 (0 and 1 an offset, 2 a group), a value with its version. Kafka 4.3.1 writes
//! groups as version 3, offsets as version 4 (flexible, with the topic id as a tag, KIP-848), and as version 1 when an
//! old client gave the commit a retention time, since only that version has an expiry
//! (`GroupCoordinatorRecordHelpers.offsetCommitValueVersion`). All versions 0–4 are read.
//!
//! Invariant: decoding asks for no more memory than the bytes it was given hold.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::fields::Reader;
use crate::model::TopicId;

pub use super::fields::RecordError;

/// Kafka's `CoordinatorRecordType`: what the first two bytes of a key say.
const LEGACY_OFFSET_COMMIT_KEY: i16 = 0;
const OFFSET_COMMIT_KEY: i16 = 1;
const GROUP_METADATA_KEY: i16 = 2;

/// `GroupCoordinatorRecordHelpers.GROUP_METADATA_VALUE_VERSION`.
const GROUP_METADATA_VALUE_VERSION: i16 = 3;
const OFFSET_COMMIT_VALUE_VERSION: i16 = 4;
const OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY: i16 = 1;
const VALUE_VERSION_MAX: i16 = 4;
const FIRST_FLEXIBLE_VERSION: i16 = 4;

/// One record; a value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Group { group_id: String, value: Option<GroupMetadata> },
    Offset { key: OffsetKey, value: Option<OffsetCommit> },
}

/// Whose offset: `OffsetCommitKey.json`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey {
    pub group_id: String,
    pub topic: String,
    pub partition: i32,
}

/// A committed offset: `OffsetCommitValue.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    pub offset: i64,
    /// -1 when the client gave none.
    pub leader_epoch: i32,
    pub metadata: String,
    /// Milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// Milliseconds since 1970, from clients that gave a retention time (OffsetCommit v2–4); -1 otherwise.
    pub expire_timestamp_ms: i64,
    /// Zero when the record is older than topic ids.
    pub topic_id: TopicId,
}

/// A classic group after a rebalance: `GroupMetadataValue.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// Milliseconds since 1970 of the last change of state; -1 when unknown.
    pub current_state_timestamp_ms: i64,
    pub members: Vec<MemberMetadata>,
}

/// A member of a [`GroupMetadata`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// -1 before version 1, when it was the session timeout.
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

impl Record {
    /// The bytes of the record's key.
    pub fn key_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Record::Group { group_id, .. } => {
                bytes.put_i16(GROUP_METADATA_KEY);
                put_string(&mut bytes, group_id);
            }
            Record::Offset { key, .. } => {
                bytes.put_i16(OFFSET_COMMIT_KEY);
                put_string(&mut bytes, &key.group_id);
                put_string(&mut bytes, &key.topic);
                bytes.put_i32(key.partition);
            }
        }
        bytes.freeze()
    }

    /// The bytes of the record's value, in the version that Kafka 4.3.1 writes; `None` for a tombstone.
    pub fn value_bytes(&self) -> Option<Bytes> {
        let mut bytes = BytesMut::new();
        match self {
            Record::Group { value, .. } => put_group(&mut bytes, value.as_ref()?),
            Record::Offset { value, .. } => put_offset(&mut bytes, value.as_ref()?),
        }
        Some(bytes.freeze())
    }

    /// Reads a record. `Ok(None)`: a key of a type that is not ours, which Kafka's loader skips too
    /// (`GroupCoordinatorRecordSerde`, `CoordinatorLoaderImpl`).
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, RecordError> {
        let mut key = Reader { bytes: key, flexible: false };
        let record = match key.i16("key type")? {
            LEGACY_OFFSET_COMMIT_KEY | OFFSET_COMMIT_KEY => {
                let key = OffsetKey {
                    group_id: key.string("group")?,
                    topic: key.string("topic")?,
                    partition: key.i32("partition")?,
                };
                Record::Offset { key, value: value.map(read_offset).transpose()? }
            }
            GROUP_METADATA_KEY => {
                Record::Group { group_id: key.string("group")?, value: value.map(read_group).transpose()? }
            }
            _ => return Ok(None),
        };
        Ok(Some(record))
    }
}

fn put_string(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(i16::try_from(text.len()).expect("a string that came in a request has at most 32,767 bytes"));
    bytes.put_slice(text.as_bytes());
}

fn put_nullable_string(bytes: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_string(bytes, text),
        None => bytes.put_i16(-1),
    }
}

fn put_bytes(bytes: &mut BytesMut, data: &[u8]) {
    bytes.put_i32(i32::try_from(data.len()).expect("bytes that came in a request are below 2 GiB"));
    bytes.put_slice(data);
}

fn put_unsigned_varint(bytes: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        bytes.put_u8(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.put_u8(u8::try_from(value).expect("seven bits"));
}

fn put_group(bytes: &mut BytesMut, group: &GroupMetadata) {
    bytes.put_i16(GROUP_METADATA_VALUE_VERSION);
    put_string(bytes, &group.protocol_type);
    bytes.put_i32(group.generation);
    put_nullable_string(bytes, group.protocol.as_deref());
    put_nullable_string(bytes, group.leader.as_deref());
    bytes.put_i64(group.current_state_timestamp_ms);
    bytes.put_i32(i32::try_from(group.members.len()).expect("a group has fewer than 2³¹ members"));
    for member in &group.members {
        put_string(bytes, &member.member_id);
        put_nullable_string(bytes, member.group_instance_id.as_deref());
        put_string(bytes, &member.client_id);
        put_string(bytes, &member.client_host);
        bytes.put_i32(member.rebalance_timeout_ms);
        bytes.put_i32(member.session_timeout_ms);
        put_bytes(bytes, &member.subscription);
        put_bytes(bytes, &member.assignment);
    }
}

fn put_offset(bytes: &mut BytesMut, commit: &OffsetCommit) {
    if commit.expire_timestamp_ms != -1 {
        bytes.put_i16(OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY);
        bytes.put_i64(commit.offset);
        put_string(bytes, &commit.metadata);
        bytes.put_i64(commit.commit_timestamp_ms);
        bytes.put_i64(commit.expire_timestamp_ms);
        return;
    }
    bytes.put_i16(OFFSET_COMMIT_VALUE_VERSION);
    bytes.put_i64(commit.offset);
    bytes.put_i32(commit.leader_epoch);
    put_unsigned_varint(bytes, u32::try_from(commit.metadata.len()).expect("below 32,767 bytes") + 1);
    bytes.put_slice(commit.metadata.as_bytes());
    bytes.put_i64(commit.commit_timestamp_ms);
    if commit.topic_id == TopicId::ZERO {
        put_unsigned_varint(bytes, 0);
        return;
    }
    put_unsigned_varint(bytes, 1);
    put_unsigned_varint(bytes, 0);
    put_unsigned_varint(bytes, 16);
    bytes.put_slice(commit.topic_id.0.as_bytes());
}

fn value_reader(bytes: &[u8]) -> Result<(i16, Reader<'_>), RecordError> {
    let mut reader = Reader { bytes, flexible: false };
    let version = reader.i16("value version")?;
    if !(0..=VALUE_VERSION_MAX).contains(&version) {
        return Err(RecordError::UnknownVersion(version));
    }
    reader.flexible = version >= FIRST_FLEXIBLE_VERSION;
    Ok((version, reader))
}

fn read_offset(bytes: &[u8]) -> Result<OffsetCommit, RecordError> {
    let (version, mut reader) = value_reader(bytes)?;
    let mut commit = OffsetCommit {
        offset: reader.i64("offset")?,
        leader_epoch: if version >= 3 { reader.i32("leaderEpoch")? } else { -1 },
        metadata: reader.string("metadata")?,
        commit_timestamp_ms: reader.i64("commitTimestamp")?,
        expire_timestamp_ms: if version == 1 { reader.i64("expireTimestamp")? } else { -1 },
        topic_id: TopicId::ZERO,
    };
    reader.tags(|tag, mut data| {
        if tag == 0 && data.len() == 16 {
            commit.topic_id = TopicId(Uuid::from_u128(data.get_u128()));
        }
    })?;
    Ok(commit)
}

fn read_group(bytes: &[u8]) -> Result<GroupMetadata, RecordError> {
    let (version, mut reader) = value_reader(bytes)?;
    let mut group = GroupMetadata {
        protocol_type: reader.string("protocolType")?,
        generation: reader.i32("generation")?,
        protocol: reader.nullable_string("protocol")?,
        leader: reader.nullable_string("leader")?,
        current_state_timestamp_ms: if version >= 2 { reader.i64("currentStateTimestamp")? } else { -1 },
        members: Vec::new(),
    };
    // Not sized by the count: a member takes many bytes, and a damaged count none.
    for _ in 0..reader.count("members")? {
        group.members.push(read_member(version, &mut reader)?);
    }
    reader.tags(|_, _| {})?;
    Ok(group)
}

fn read_member(version: i16, reader: &mut Reader<'_>) -> Result<MemberMetadata, RecordError> {
    let member = MemberMetadata {
        member_id: reader.string("memberId")?,
        group_instance_id: if version >= 3 { reader.nullable_string("groupInstanceId")? } else { None },
        client_id: reader.string("clientId")?,
        client_host: reader.string("clientHost")?,
        rebalance_timeout_ms: if version >= 1 { reader.i32("rebalanceTimeout")? } else { -1 },
        session_timeout_ms: reader.i32("sessionTimeout")?,
        subscription: reader.bytes("subscription")?,
        assignment: reader.bytes("assignment")?,
    };
    reader.tags(|_, _| {})?;
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
            .collect()
    }

    fn commit() -> OffsetCommit {
        OffsetCommit {
            offset: 5,
            leader_epoch: 7,
            metadata: "m".into(),
            commit_timestamp_ms: 1000,
            expire_timestamp_ms: -1,
            topic_id: TopicId(Uuid::from_u128(0x0102)),
        }
    }

    fn offset_record(value: Option<OffsetCommit>) -> Record {
        Record::Offset { key: OffsetKey { group_id: "g".into(), topic: "t".into(), partition: 3 }, value }
    }

    fn group_record() -> Record {
        let member = MemberMetadata {
            member_id: "a-1".into(),
            group_instance_id: Some("a".into()),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            subscription: Bytes::from_static(b"\x00\x03"),
            assignment: Bytes::from_static(b"\x09"),
        };
        let value = GroupMetadata {
            protocol_type: "consumer".into(),
            generation: 2,
            protocol: Some("range".into()),
            leader: Some("a-1".into()),
            current_state_timestamp_ms: 1000,
            members: vec![member],
        };
        Record::Group { group_id: "g".into(), value: Some(value) }
    }

    #[test]
    fn an_offset_is_written_as_version_4_with_its_topic_id() {
        let record = offset_record(Some(commit()));
        assert_eq!(hex(&record.key_bytes()), "0001 0001 67 0001 74 00000003".replace(' ', ""));
        let expected =
            "0004 0000000000000005 00000007 02 6d 00000000000003e8 01 00 10 00000000000000000000000000000102";
        assert_eq!(hex(&record.value_bytes().expect("a value")), expected.replace(' ', ""));
    }

    #[test]
    fn an_offset_with_an_expiry_is_written_as_version_1() {
        let record = offset_record(Some(OffsetCommit { expire_timestamp_ms: 2000, ..commit() }));
        let expected = "0001 0000000000000005 0001 6d 00000000000003e8 00000000000007d0";
        assert_eq!(hex(&record.value_bytes().expect("a value")), expected.replace(' ', ""));
    }

    #[test]
    fn a_group_is_written_as_version_3() {
        let expected = "0003 0008 636f6e73756d6572 00000002 0005 72616e6765 0003 612d31 00000000000003e8 00000001 \
                        0003 612d31 0001 61 0001 63 000a 2f3132372e302e302e31 0000ea60 00002710 00000002 0003 \
                        00000001 09";
        let record = group_record();
        assert_eq!(hex(&record.key_bytes()), "0002000167");
        assert_eq!(hex(&record.value_bytes().expect("a value")), expected.replace(' ', ""));
    }

    #[test]
    fn what_was_written_is_read() {
        let zero_id = OffsetCommit { topic_id: TopicId::ZERO, ..commit() };
        for record in [
            offset_record(Some(commit())),
            offset_record(Some(zero_id)),
            offset_record(None),
            group_record(),
            Record::Group { group_id: "g".into(), value: None },
        ] {
            let read = Record::decode(&record.key_bytes(), record.value_bytes().as_deref());
            assert_eq!(read, Ok(Some(record)));
        }
    }

    #[rstest::rstest]
    #[case("0000 0000000000000005 0001 6d 00000000000003e8", -1)]
    #[case("0002 0000000000000005 0001 6d 00000000000003e8", -1)]
    #[case("0003 0000000000000005 00000007 0001 6d 00000000000003e8", 7)]
    #[case("0004 0000000000000005 00000007 02 6d 00000000000003e8 00", 7)]
    #[case("0004 0000000000000005 00000007 02 6d 00000000000003e8 01 05 02 ffff", 7)]
    fn offsets_of_every_version_are_read(#[case] value: &str, #[case] leader_epoch: i32) {
        let read = Record::decode(&unhex("0000 0001 67 0001 74 00000003"), Some(&unhex(value)));
        let expected = OffsetCommit { leader_epoch, topic_id: TopicId::ZERO, ..commit() };
        assert_eq!(read, Ok(Some(offset_record(Some(expected)))));
    }

    #[rstest::rstest]
    #[case("0000 0001 74 00000001 ffff ffff 00000001 0001 61 0001 63 0001 68 00002710 00000000 00000000", -1, -1)]
    #[case("0001 0001 74 00000001 ffff ffff 00000001 0001 61 0001 63 0001 68 00000005 00002710 00000000 00000000", -1, 5)]
    #[case(
        "0002 0001 74 00000001 ffff ffff 0000000000000009 00000001 0001 61 0001 63 0001 68 00000005 00002710 00000000 \
            00000000",
        9,
        5
    )]
    #[case("0004 02 74 00000001 00 00 0000000000000009 02 02 61 00 02 63 02 68 00000005 00002710 01 01 00 00", 9, 5)]
    fn groups_of_every_version_are_read(#[case] value: &str, #[case] timestamp_ms: i64, #[case] rebalance_ms: i32) {
        let member = MemberMetadata {
            member_id: "a".into(),
            group_instance_id: None,
            client_id: "c".into(),
            client_host: "h".into(),
            rebalance_timeout_ms: rebalance_ms,
            session_timeout_ms: 10_000,
            subscription: Bytes::new(),
            assignment: Bytes::new(),
        };
        let group = GroupMetadata {
            protocol_type: "t".into(),
            generation: 1,
            protocol: None,
            leader: None,
            current_state_timestamp_ms: timestamp_ms,
            members: vec![member],
        };
        let read = Record::decode(&unhex("0002 0001 67"), Some(&unhex(value)));
        assert_eq!(read, Ok(Some(Record::Group { group_id: "g".into(), value: Some(group) })));
    }

    #[test]
    fn keys_of_other_groups_are_passed_over() {
        assert_eq!(Record::decode(&unhex("0003 0001 67"), Some(b"whatever")), Ok(None));
    }

    #[test]
    fn damaged_records_are_refused_at_every_length() {
        for record in [offset_record(Some(commit())), group_record()] {
            let (key, value) = (record.key_bytes(), record.value_bytes().expect("a value"));
            for length in 0..key.len() {
                assert!(Record::decode(&key[..length], Some(&value)).is_err(), "key of {length} bytes");
            }
            for length in 0..value.len() {
                assert!(Record::decode(&key, Some(&value[..length])).is_err(), "value of {length} bytes");
            }
        }
        assert_eq!(Record::decode(&unhex("0002000167"), Some(&unhex("0005"))), Err(RecordError::UnknownVersion(5)));
        let huge_count = unhex("0003 0000 00000000 ffff ffff 0000000000000000 7fffffff");
        assert_eq!(Record::decode(&unhex("0002000167"), Some(&huge_count)), Err(RecordError::Truncated("memberId")));
    }
}
