//! `ottla groups`: who consumes, how far behind, and where a group goes on.

mod describe;
mod reset;

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Client, ConnectionArguments, Node, Refused, check, text};
use super::{Failure, run, table};
use crate::protocol::message::{DeleteGroupsRequest, GroupId, ListGroupsRequest, OffsetFetchRequest};

#[derive(Args)]
pub(super) struct GroupsArguments {
    #[command(subcommand)]
    command: GroupsCommand,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum GroupsCommand {
    /// Name every group.
    List,
    /// Show members, what they read, what is committed and how far behind it is.
    Describe {
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Change where a group without members goes on.
    Reset(reset::ResetArguments),
    /// Remove groups without members, and what they have committed.
    Delete {
        #[arg(required = true)]
        groups: Vec<String>,
    },
}

pub(super) fn main(arguments: GroupsArguments) -> Result<(), Failure> {
    let GroupsArguments { command, connection, json } = arguments;
    let client = Client::new(&connection)?;
    if let GroupsCommand::Reset(reset) = command {
        let plan = reset.plan()?;
        return run(async move { reset::reset(&client, plan, json).await });
    }
    run(async move {
        match command {
            GroupsCommand::List => list(&client, json).await,
            GroupsCommand::Describe { groups } => describe::describe(&client, groups, json).await,
            GroupsCommand::Delete { groups } => delete(&client, groups, json).await,
            GroupsCommand::Reset(_) => Ok(()),
        }
    })
}

/// A group as its coordinator lists it.
struct Listed {
    id: String,
    /// Empty when the broker is too old to tell, as `state`.
    kind: String,
    state: String,
    protocol_type: String,
    coordinator: i32,
}

/// The groups of all brokers, by name.
async fn listed(client: &Client) -> anyhow::Result<Vec<Listed>> {
    let cluster = client.cluster(Some(&[])).await?;
    let mut groups = Vec::new();
    for (id, address) in &cluster.brokers {
        let node = client.node(address);
        let answer = client
            .patiently(|| async {
                let answer = client.call(&node, &ListGroupsRequest::default(), 5).await?;
                check(format!("groups of broker {id}"), answer.error_code, None)?;
                Ok(answer)
            })
            .await?;
        groups.extend(answer.groups.into_iter().map(|group| Listed {
            id: group.group_id.to_string(),
            kind: group.group_type.to_string(),
            state: group.group_state.to_string(),
            protocol_type: group.protocol_type.to_string(),
            coordinator: *id,
        }));
    }
    groups.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(groups)
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let groups = listed(client).await?;
    if json {
        let groups = groups.iter().map(|group| {
            json!({
                "group": group.id, "type": group.kind, "state": group.state, "protocol_type": group.protocol_type,
                "coordinator": group.coordinator,
            })
        });
        return Ok(table::print_json(&groups.collect())?);
    }
    let rows = groups.into_iter().map(|group| {
        let known = |text: String| table::or_dash(Some(text).filter(|text| !text.is_empty()));
        vec![group.id, known(group.kind), known(group.state), known(group.protocol_type), group.coordinator.to_string()]
    });
    let head = ["group", "type", "state", "protocol", "coordinator"];
    Ok(table::print(&table::lines(&head, rows))?)
}

async fn delete(client: &Client, groups: Vec<String>, json: bool) -> anyhow::Result<()> {
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for group in groups {
        match client.patiently(|| delete_one(client, &group)).await {
            Ok(()) => deleted.push(group),
            Err(error) => refused.push(error.downcast::<Refused>()?),
        }
    }
    table::tell_done("deleted", &deleted, &refused, json)
}

async fn delete_one(client: &Client, group: &str) -> anyhow::Result<()> {
    let node = client.coordinator(group).await?;
    let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
    for result in client.call(&node, &request, 2).await?.results {
        check(format!("group {group}"), result.error_code, None)?;
    }
    Ok(())
}

/// What a group has committed, by topic and partition.
async fn committed(client: &Client, node: &Arc<Node>, group: &str) -> anyhow::Result<BTreeMap<(String, i32), i64>> {
    // Versions from 8 on ask for several groups at once.
    let request = OffsetFetchRequest::default().with_group_id(GroupId(text(group))).with_topics(None);
    let answer = client.call(node, &request, 7).await?;
    check(format!("offsets of group {group}"), answer.error_code, None)?;
    let mut offsets = BTreeMap::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            let key = (topic.name.to_string(), partition.partition_index);
            check(format!("group {group}, {}-{}", key.0, key.1), partition.error_code, None)?;
            if partition.committed_offset >= 0 {
                offsets.insert(key, partition.committed_offset);
            }
        }
    }
    Ok(offsets)
}
