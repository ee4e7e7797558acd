//! Committing offsets of a group, and asking for them, as a member or alone; the history hears of both.

use super::client::{Client, Failed};
use super::history::Partition;
use super::load::Load;
use crate::model::ErrorCode;
use crate::protocol::message::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::protocol::message::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use crate::protocol::message::{GroupId, OffsetCommitRequest, OffsetFetchRequest, StrBytes, TopicName};

/// Who commits.
#[derive(Clone, Debug)]
pub struct Committer {
    pub group: &'static str,
    /// -1 for one who is no member.
    pub generation: i32,
    pub member_id: String,
}

impl Committer {
    /// One who commits for a group without members.
    pub fn alone(group: &'static str) -> Committer {
        Committer { group, generation: -1, member_id: String::new() }
    }
}

/// Commits an offset.
pub async fn commit(
    load: &Load,
    client: &mut Client,
    by: &Committer,
    partition: Partition,
    offset: i64,
) -> Result<(), Failed> {
    let coordinator = client.coordinator(by.group).await?;
    let commit = OffsetCommitRequestPartition::default()
        .with_partition_index(partition.1)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(None);
    let name = TopicName(StrBytes::from_static_str(partition.0));
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str(by.group)))
        .with_generation_id_or_member_epoch(by.generation)
        .with_member_id(StrBytes::from_string(by.member_id.clone()))
        .with_group_instance_id(None)
        .with_topics(vec![OffsetCommitRequestTopic::default().with_name(name).with_partitions(vec![commit])]);
    load.history.committing(by.group, partition, offset);
    let newest = load.history.generation(by.group);
    let answer = client.ask(coordinator, &request, 8).await?;
    let answer = answer.topics.first().and_then(|topic| topic.partitions.first());
    match answer.map(|answer| ErrorCode::from(answer.error_code)) {
        Some(ErrorCode::None) => {
            load.history.committed(by.group, partition, offset);
            if by.generation >= 0 {
                load.history.committed_in(by.group, by.generation, newest);
            }
            Ok(())
        }
        other => Err(Failed(format!("{other:?}"))),
    }
}

/// Asks what a group has committed; -1 for nothing.
pub async fn committed(
    load: &Load,
    client: &mut Client,
    group: &'static str,
    partition: Partition,
) -> Result<i64, Failed> {
    let coordinator = client.coordinator(group).await?;
    let name = TopicName(StrBytes::from_static_str(partition.0));
    let topic = OffsetFetchRequestTopics::default().with_name(name).with_partition_indexes(vec![partition.1]);
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(StrBytes::from_static_str(group)))
        .with_member_id(None)
        .with_member_epoch(-1)
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![asked]);
    let acknowledged = load.history.acknowledged_commit(group, partition);
    let answer = client.ask(coordinator, &request, 8).await?;
    let found = answer.groups.first().filter(|group| group.error_code == 0);
    let found = found.and_then(|group| group.topics.first()).and_then(|topic| topic.partitions.first());
    let found = found.filter(|answer| answer.error_code == 0).ok_or_else(|| Failed("no offset".into()))?;
    load.history.fetched_commit(group, partition, acknowledged, found.committed_offset);
    Ok(found.committed_offset)
}
