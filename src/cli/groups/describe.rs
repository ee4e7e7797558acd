//! `ottla groups describe`: members, their partitions, and the lag of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::{Buf, Bytes};
use serde_json::{Value, json};

use super::committed;
use crate::cli::client::{Client, Node, TopicPartitions, check, text};
use crate::cli::table;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, GroupId, decode_message,
};

/// A group as its coordinator knows it.
struct Group {
    id: String,
    state: String,
    /// Of the assignment; empty while there is none.
    assignor: String,
    members: Vec<Member>,
    partitions: Vec<Lag>,
}

struct Member {
    id: String,
    client_id: String,
    host: String,
    assigned: TopicPartitions,
}

/// One partition of a group.
struct Lag {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    /// `None` when nobody leads the partition, or the topic is gone.
    end: Option<i64>,
    /// Of the client that reads it.
    client_id: Option<String>,
}

impl Lag {
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }
}

pub(super) async fn describe(client: &Client, groups: Vec<String>, json: bool) -> anyhow::Result<()> {
    let mut described = Vec::new();
    for group in &groups {
        described.push(client.patiently(|| describe_one(client, group)).await?);
    }
    if json {
        return Ok(table::print_json(&described.iter().map(to_json).collect())?);
    }
    let pages: Vec<String> = described.iter().map(to_text).collect();
    Ok(table::print(&pages.join("\n"))?)
}

async fn describe_one(client: &Client, id: &str) -> anyhow::Result<Group> {
    let node = client.coordinator(id).await?;
    let mut group = match consumer_group(client, &node, id).await? {
        Some(group) => group,
        None => classic_group(client, &node, id).await?,
    };
    let committed = committed(client, &node, id).await?;
    group.partitions = lags(client, &group.members, &committed).await?;
    Ok(group)
}

/// A group of the protocol of KIP-848; `None` when the broker has none of that name.
async fn consumer_group(client: &Client, node: &Arc<Node>, id: &str) -> anyhow::Result<Option<Group>> {
    if !client.serves(node, ApiKey::ConsumerGroupDescribe).await? {
        return Ok(None);
    }
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(id))]);
    let group = client.call(node, &request, 1).await?.groups.into_iter().next().context("an answer without a group")?;
    if ErrorCode::from(group.error_code) == ErrorCode::GroupIdNotFound {
        return Ok(None);
    }
    check(format!("group {id}"), group.error_code, group.error_message.as_ref())?;
    let members = group.members.into_iter().map(|member| {
        let topics = member.assignment.topic_partitions.into_iter();
        let assigned = topics.flat_map(|topic| {
            let name = topic.topic_name.to_string();
            topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
        });
        Member {
            id: member.member_id.to_string(),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            assigned: assigned.collect(),
        }
    });
    Ok(Some(Group {
        id: id.to_owned(),
        state: group.group_state.to_string(),
        assignor: group.assignor_name.to_string(),
        members: members.collect(),
        partitions: Vec::new(),
    }))
}

async fn classic_group(client: &Client, node: &Arc<Node>, id: &str) -> anyhow::Result<Group> {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(id))]);
    let group = client.call(node, &request, 6).await?.groups.into_iter().next().context("an answer without a group")?;
    check(format!("group {id}"), group.error_code, group.error_message.as_ref())?;
    // Before v6 a group that is not there is a dead one.
    if group.group_state.as_str() == "Dead" {
        check(format!("group {id}"), ErrorCode::GroupIdNotFound.code(), None)?;
    }
    let mut members = Vec::new();
    for member in group.members {
        members.push(Member {
            id: member.member_id.to_string(),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            assigned: assignment(member.member_assignment)?,
        });
    }
    Ok(Group {
        id: id.to_owned(),
        state: group.group_state.to_string(),
        assignor: group.protocol_data.to_string(),
        members,
        partitions: Vec::new(),
    })
}

/// What the leader of a classic group has assigned: a version, then the message in it.
fn assignment(mut bytes: Bytes) -> anyhow::Result<TopicPartitions> {
    /// The newest version of the schema.
    const NEWEST: i16 = 3;
    if bytes.len() < 2 {
        return Ok(Vec::new());
    }
    let version = bytes.get_i16().clamp(0, NEWEST);
    let assignment: ConsumerProtocolAssignment = decode_message("ConsumerProtocolAssignment", version, bytes)?;
    let topics = assignment.assigned_partitions.into_iter();
    let partitions = topics.flat_map(|topic| {
        let name = topic.topic.to_string();
        topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
    });
    Ok(partitions.collect())
}

async fn lags(
    client: &Client,
    members: &[Member],
    committed: &BTreeMap<(String, i32), i64>,
) -> anyhow::Result<Vec<Lag>> {
    let mut readers: BTreeMap<(String, i32), Option<String>> =
        committed.keys().map(|partition| (partition.clone(), None)).collect();
    for member in members {
        for partition in &member.assigned {
            readers.insert(partition.clone(), Some(member.client_id.clone()));
        }
    }
    let mut topics: Vec<String> = readers.keys().map(|(topic, _)| topic.clone()).collect();
    topics.dedup();
    let cluster = client.cluster(Some(&topics)).await?;
    let has_leader = |partition: &&(String, i32)| cluster.leader(&partition.0, partition.1).is_ok();
    let led: TopicPartitions = readers.keys().filter(has_leader).cloned().collect();
    let ends = client.positions(&cluster, &led, -1, false).await?;
    let lags = readers.into_iter().map(|(key, client_id)| Lag {
        committed: committed.get(&key).copied(),
        end: ends.get(&key).map(|end| end.offset),
        topic: key.0,
        partition: key.1,
        client_id,
    });
    Ok(lags.collect())
}

fn to_json(group: &Group) -> Value {
    let member = |member: &Member| {
        let assigned: Vec<Value> = member
            .assigned
            .iter()
            .map(|(topic, partition)| json!({ "topic": topic, "partition": partition }))
            .collect();
        json!({ "member": member.id, "client_id": member.client_id, "host": member.host, "assigned": assigned })
    };
    let partition = |lag: &Lag| {
        json!({
            "topic": lag.topic, "partition": lag.partition, "committed_offset": lag.committed,
            "end_offset": lag.end, "lag": lag.lag(), "client_id": lag.client_id,
        })
    };
    json!({
        "group": group.id, "state": group.state, "assignor": group.assignor,
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
        "partitions": group.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

fn to_text(group: &Group) -> String {
    let mut page = format!(
        "{}  {}  {}\n",
        group.id,
        group.state,
        table::or_dash(Some(&group.assignor).filter(|name| !name.is_empty()))
    );
    let rows = group.partitions.iter().map(|lag| {
        vec![
            lag.topic.clone(),
            lag.partition.to_string(),
            table::or_dash(lag.committed),
            table::or_dash(lag.end),
            table::or_dash(lag.lag()),
            table::or_dash(lag.client_id.as_ref()),
        ]
    });
    page.push_str(&table::lines(&["topic", "partition", "committed", "end", "lag", "client"], rows));
    if !group.members.is_empty() {
        let rows = group.members.iter().map(|member| {
            vec![member.id.clone(), member.client_id.clone(), member.host.clone(), member.assigned.len().to_string()]
        });
        page.push('\n');
        page.push_str(&table::lines(&["member", "client", "host", "partitions"], rows));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_what_lies_between_and_never_less_than_nothing() {
        let lag = |committed, end| Lag { topic: "t".to_owned(), partition: 0, committed, end, client_id: None }.lag();
        assert_eq!([lag(Some(3), Some(10)), lag(Some(12), Some(10))], [Some(7), Some(0)]);
        assert_eq!([lag(None, Some(10)), lag(Some(3), None)], [None, None]);
    }

    #[test]
    fn an_assignment_names_partitions() {
        // Version 0: one topic t with partitions 1 and 2, no user data.
        let bytes =
            Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 255, 255, 255, 255]);
        let expected = [("t".to_owned(), 1), ("t".to_owned(), 2)];
        assert_eq!(assignment(bytes).expect("an assignment"), expected);
        assert_eq!(assignment(Bytes::new()).expect("none yet"), []);
    }
}
