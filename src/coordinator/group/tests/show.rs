//! Outcomes as lines of a dialogue.

use bytes::Bytes;

use super::super::*;
use crate::protocol::extra::consumer_offsets::{GroupMetadata, MemberMetadata};

/// Bytes as text; a consumer's subscription as its topics.
fn bytes(bytes: &Bytes) -> String {
    match subscribed_topics(bytes) {
        Some(topics) => topics.join("+"),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn optional(name: &str, value: Option<&str>) -> String {
    value.map(|value| format!(" {name}={value}")).unwrap_or_default()
}

fn id(topic_id: TopicId) -> String {
    if topic_id == TopicId::ZERO { String::new() } else { format!("#{}", topic_id.0.as_u128()) }
}

/// Made-up uuids are small numbers: only these are shown.
pub(super) fn shorten(text: &str) -> String {
    text.replace("00000000-0000-0000-0000-00000000000", "").replace("00000000-0000-0000-0000-0000000000", "")
}

pub(super) fn record(record: &Record) -> String {
    let text = match record {
        Record::Group { group_id, value: None } => format!("GroupMetadata {group_id} tombstone"),
        Record::Group { group_id, value: Some(value) } => format!("GroupMetadata {group_id} {}", group(value)),
        Record::Offset { key, value } => {
            let what = format!("OffsetCommit {} {}-{}", key.group_id, key.topic, key.partition);
            match value {
                None => format!("{what} tombstone"),
                Some(value) => {
                    let epoch =
                        if value.leader_epoch == -1 { String::new() } else { format!(" epoch={}", value.leader_epoch) };
                    let metadata = optional("metadata", Some(&*value.metadata).filter(|text| !text.is_empty()));
                    let expires = if value.expire_timestamp_ms == -1 {
                        String::new()
                    } else {
                        format!(" expires={}", value.expire_timestamp_ms)
                    };
                    let (offset, at, id) = (value.offset, value.commit_timestamp_ms, id(value.topic_id));
                    format!("{what}{id} offset={offset}{epoch}{metadata} at={at}{expires}")
                }
            }
        }
    };
    shorten(&text)
}

fn group(value: &GroupMetadata) -> String {
    let member = |member: &MemberMetadata| {
        let instance = optional("instance", member.group_instance_id.as_deref());
        format!("{}{instance} {}:{}", member.member_id, bytes(&member.subscription), bytes(&member.assignment))
    };
    let members: Vec<String> = value.members.iter().map(member).collect();
    format!(
        "type={} generation={}{}{} at={} members=[{}]",
        value.protocol_type,
        value.generation,
        optional("protocol", value.protocol.as_deref()),
        optional("leader", value.leader.as_deref()),
        value.current_state_timestamp_ms,
        members.join(", ")
    )
}

pub(super) fn reply(reply: &Reply) -> String {
    let text = match reply {
        Reply::Join(reply) => join(reply),
        Reply::Sync(reply) if reply.error.is_error() => reply.error.to_string(),
        Reply::Sync(reply) => format!(
            "NONE{}{} assignment={}",
            optional("type", reply.protocol_type.as_deref()),
            optional("protocol", reply.protocol_name.as_deref()),
            bytes(&reply.assignment)
        ),
        Reply::Heartbeat(error) => error.to_string(),
        Reply::Leave(reply) => {
            let one = |(member, error): &(LeavingMember, ErrorCode)| {
                format!("{}{} {error}", member.member_id, optional("instance", member.group_instance_id.as_deref()))
            };
            let members: Vec<String> = reply.members.iter().map(one).collect();
            format!("{} [{}]", reply.error, members.join(", "))
        }
        Reply::OffsetCommit(topics) => {
            let one = |topic: &CommitTopicReply| {
                partitions(&format!("{}{}", topic.name, id(topic.topic_id)), &topic.partitions)
            };
            topics.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Reply::OffsetDelete { error, topics } => {
            let one = |topic: &TopicErrors| format!(" {}", partitions(&topic.name, &topic.partitions));
            format!("{error}{}", topics.iter().map(one).collect::<String>())
        }
        Reply::OffsetFetch { error, topics } => format!("{error} {}", fetched(topics)),
        Reply::DeleteGroups(groups) => {
            groups.iter().map(|(group_id, error)| format!("{group_id} {error}")).collect::<Vec<_>>().join(", ")
        }
    };
    shorten(&text)
}

fn join(reply: &JoinReply) -> String {
    if reply.error.is_error() && reply.generation_id == -1 {
        return format!("{} member={:?}", reply.error, reply.member_id);
    }
    let one = |member: &JoinMember| {
        let instance = optional("instance", member.group_instance_id.as_deref());
        format!("{}{instance} {}", member.member_id, bytes(&member.metadata))
    };
    let members: Vec<String> = reply.members.iter().map(one).collect();
    format!(
        "{} generation={}{} leader={} member={}{} members=[{}]",
        reply.error,
        reply.generation_id,
        optional("protocol", reply.protocol_name.as_deref()),
        reply.leader,
        reply.member_id,
        if reply.skip_assignment { " skip-assignment" } else { "" },
        members.join(", ")
    )
}

fn partitions(topic: &str, partitions: &[PartitionError]) -> String {
    let one = |partition: &PartitionError| format!("{topic}-{} {}", partition.partition, partition.error);
    partitions.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(super) fn fetched(topics: &[FetchedTopic]) -> String {
    let mut shown = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            let epoch =
                if partition.leader_epoch == -1 { String::new() } else { format!(" epoch={}", partition.leader_epoch) };
            let metadata = optional("metadata", Some(&*partition.metadata).filter(|text| !text.is_empty()));
            shown.push(format!(
                "{}{}-{}={}{epoch}{metadata}",
                topic.name,
                id(topic.topic_id),
                partition.partition,
                partition.offset
            ));
        }
    }
    if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }
}

pub(super) fn described(group: Option<&DescribedGroup>) -> String {
    let Some(group) = group else { return "GROUP_ID_NOT_FOUND".to_owned() };
    let one = |member: &DescribedMember| {
        let instance = optional("instance", member.group_instance_id.as_deref());
        let (client, host) = (&member.client_id, &member.client_host);
        format!(
            "{}{instance} {client}@{host} {}:{}",
            member.member_id,
            bytes(&member.metadata),
            bytes(&member.assignment)
        )
    };
    let members: Vec<String> = group.members.iter().map(one).collect();
    shorten(&format!(
        "{} type={} protocol={} members=[{}]",
        group.state,
        group.protocol_type,
        group.protocol_data,
        members.join(", ")
    ))
}
