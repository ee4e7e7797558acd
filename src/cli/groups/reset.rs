//! `ottla groups reset`: new offsets for a group that nobody is a member of.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::committed;
use crate::cli::client::{Client, Cluster, TopicPartitions, check, text};
use crate::cli::{Failure, table, time};
use crate::model::ErrorCode;
use crate::protocol::message::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::protocol::message::{GroupId, OffsetCommitRequest, StrBytes, TopicName};

/// What UNKNOWN_MEMBER_ID means for who is no member.
const MEMBERS: &str = "the group has members, which commit for themselves; stop them first";

#[derive(Args)]
#[group(id = "target", required = true, multiple = false)]
struct TargetArguments {
    /// The first offset that is there.
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record.
    #[arg(long)]
    to_latest: bool,
    /// This offset, or the nearest one that is there.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// The first record that is not older: 2026-11-21T16:30:00Z, ms since 1970, or 15m for 15 minutes ago.
    #[arg(long, value_name = "TIME")]
    to_time: Option<String>,
    /// So far from what is committed; a negative number goes back.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
}

#[derive(Args)]
pub(super) struct ResetArguments {
    group: String,
    /// A topic, or partitions of it as topic:0,2; may be given several times. All that is committed when there is none.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    #[command(flatten)]
    target: TargetArguments,
    /// Only show what would be.
    #[arg(long)]
    dry_run: bool,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Earliest,
    Latest,
    Offset(i64),
    Time(i64),
    Shift(i64),
}

/// What is to be done.
pub(super) struct Plan {
    group: String,
    topics: Vec<(String, Option<Vec<i32>>)>,
    target: Target,
    dry_run: bool,
}

impl ResetArguments {
    /// Errors: a time or a list of partitions that is none.
    pub fn plan(self) -> Result<Plan, Failure> {
        let TargetArguments { to_earliest, to_latest, to_offset, to_time, shift_by } = self.target;
        let time = to_time.map(|text| time::parse(&text, time::now_ms()).map_err(Failure::Usage)).transpose()?;
        let target = match (to_earliest, to_latest, to_offset, time, shift_by) {
            (true, ..) => Target::Earliest,
            (_, true, ..) => Target::Latest,
            (_, _, Some(offset), ..) => Target::Offset(offset),
            (_, _, _, Some(ms), _) => Target::Time(ms),
            (.., Some(by)) => Target::Shift(by),
            _ => return Err(Failure::Usage("say where to: --to-earliest, --to-latest, …".to_owned())),
        };
        let topics = self.topic.iter().map(|text| partitions_of(text)).collect::<Result<_, _>>()?;
        Ok(Plan { group: self.group, topics, target, dry_run: self.dry_run })
    }
}

/// Reads `topic` or `topic:0,2`.
fn partitions_of(text: &str) -> Result<(String, Option<Vec<i32>>), Failure> {
    let Some((topic, partitions)) = text.split_once(':') else { return Ok((text.to_owned(), None)) };
    let number = |text: &str| text.trim().parse().ok().filter(|number| *number >= 0);
    match partitions.split(',').map(number).collect() {
        Some(partitions) => Ok((topic.to_owned(), Some(partitions))),
        None => Err(Failure::Usage(format!("--topic {text}: partitions are numbers, as in {topic}:0,2"))),
    }
}

pub(super) async fn reset(client: &Client, plan: Plan, json: bool) -> anyhow::Result<()> {
    let (before, after) = client.patiently(|| carry_out(client, &plan)).await?;
    show(&plan, &before, &after, json)
}

/// Offsets by topic and partition.
type Offsets = BTreeMap<(String, i32), i64>;

/// What was committed before, and what is now, or would be.
async fn carry_out(client: &Client, plan: &Plan) -> anyhow::Result<(Offsets, Offsets)> {
    let node = client.coordinator(&plan.group).await?;
    let before = committed(client, &node, &plan.group).await?;
    let (cluster, partitions) = partitions(client, plan, &before).await?;
    let after = targets(client, &cluster, &partitions, plan.target, &before).await?;
    if !plan.dry_run {
        let answer = client.call(&node, &commit(&plan.group, &after), 9).await?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let name = topic.name.to_string();
                let what = format!("group {}, {name}-{}", plan.group, partition.partition_index);
                let members =
                    (ErrorCode::from(partition.error_code) == ErrorCode::UnknownMemberId).then(|| text(MEMBERS));
                check(what, partition.error_code, members.as_ref())?;
            }
        }
    }
    Ok((before, after))
}

/// The partitions that are meant.
async fn partitions(client: &Client, plan: &Plan, committed: &Offsets) -> anyhow::Result<(Cluster, TopicPartitions)> {
    if plan.topics.is_empty() {
        let mut topics: Vec<String> = committed.keys().map(|(topic, _)| topic.clone()).collect();
        topics.dedup();
        return Ok((client.cluster(Some(&topics)).await?, committed.keys().cloned().collect()));
    }
    let names: Vec<String> = plan.topics.iter().map(|(name, _)| name.clone()).collect();
    let cluster = client.cluster(Some(&names)).await?;
    let mut partitions = Vec::new();
    for (name, chosen) in &plan.topics {
        let all = cluster.topic(name)?.partitions.iter().map(|partition| partition.index);
        let chosen = chosen.clone().unwrap_or_else(|| all.collect());
        partitions.extend(chosen.into_iter().map(|partition| (name.clone(), partition)));
    }
    Ok((cluster, partitions))
}

async fn targets(
    client: &Client,
    cluster: &Cluster,
    partitions: &[(String, i32)],
    target: Target,
    before: &Offsets,
) -> anyhow::Result<Offsets> {
    let starts = client.positions(cluster, partitions, -2, false).await?;
    let ends = client.positions(cluster, partitions, -1, false).await?;
    let by_time = match target {
        Target::Time(ms) => client.positions(cluster, partitions, ms, false).await?,
        _ => BTreeMap::new(),
    };
    let mut after = BTreeMap::new();
    for (key, end) in ends {
        let (start, end) = (starts.get(&key).map_or(0, |start| start.offset), end.offset);
        let wanted = match target {
            Target::Earliest => start,
            Target::Latest => end,
            Target::Offset(offset) => offset,
            // Nothing is so late: as Kafka's tool, go on behind everything.
            Target::Time(_) => by_time.get(&key).map_or(end, |found| if found.offset < 0 { end } else { found.offset }),
            Target::Shift(by) => match before.get(&key) {
                Some(committed) => committed.saturating_add(by),
                None => anyhow::bail!("{}-{}: nothing is committed that could be shifted", key.0, key.1),
            },
        };
        after.insert(key, wanted.clamp(start, end));
    }
    Ok(after)
}

fn commit(group: &str, offsets: &Offsets) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for ((topic, partition), offset) in offsets {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(StrBytes::default()));
        match topics.last_mut().filter(|last| last.name.as_str() == topic) {
            Some(last) => last.partitions.push(partition),
            None => {
                let name = TopicName(text(topic));
                topics.push(OffsetCommitRequestTopic::default().with_name(name).with_partitions(vec![partition]));
            }
        }
    }
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_group_instance_id(None)
        .with_topics(topics)
}

fn show(plan: &Plan, before: &Offsets, after: &Offsets, json: bool) -> anyhow::Result<()> {
    if json {
        let partition = |((topic, partition), offset): (&(String, i32), &i64)| {
            let before = before.get(&(topic.clone(), *partition));
            json!({ "topic": topic, "partition": partition, "before": before, "after": offset })
        };
        let partitions: Vec<Value> = after.iter().map(partition).collect();
        let told = json!({ "group": plan.group, "dry_run": plan.dry_run, "partitions": partitions });
        return Ok(table::print_json(&told)?);
    }
    let rows = after.iter().map(|((topic, partition), offset)| {
        let before = before.get(&(topic.clone(), *partition));
        vec![topic.clone(), partition.to_string(), table::or_dash(before), offset.to_string()]
    });
    Ok(table::print(&table::lines(&["topic", "partition", "before", "after"], rows))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_chosen_by_number() {
        let read = |text: &str| partitions_of(text).ok();
        assert_eq!(read("t"), Some(("t".to_owned(), None)));
        assert_eq!(read("t:0, 12"), Some(("t".to_owned(), Some(vec![0, 12]))));
        assert_eq!([read("t:"), read("t:a"), read("t:-1")], [None, None, None]);
    }
}
