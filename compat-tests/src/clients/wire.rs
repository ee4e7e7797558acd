//! What the runner asks the server itself: the state of a group, so that every client is judged by the same eyes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{DescribeGroupsRequest, GroupId};

use crate::connection::{Connection, text};

const DESCRIBE_GROUPS_VERSION: i16 = 1;

/// Waits until the group is stable with exactly `members` members that own all partitions of `topic` between them, each
/// partition once and each member at least one.
pub fn await_group(bootstrap: &str, group: &str, topic: &str, partitions: usize, members: usize) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let seen = describe_group(bootstrap, group).and_then(|group| shares(&group, topic));
        if let Ok(shares) = &seen
            && shares.len() == members
            && shares.values().all(|share| !share.is_empty())
            && shares.values().map(Vec::len).sum::<usize>() == partitions
        {
            let mut all: Vec<i32> = shares.values().flatten().copied().collect();
            all.sort_unstable();
            all.dedup();
            ensure!(all.len() == partitions, "two members own the same partition: {shares:?}");
            return Ok(());
        }
        if Instant::now() > until {
            let seen = seen.map_or_else(|error| format!("{error:#}"), |shares| format!("{shares:?}"));
            bail!("the group did not become stable with {members} members: {seen}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The partitions of `topic` that each member of a stable group owns.
fn shares(group: &DescribedGroup, topic: &str) -> anyhow::Result<BTreeMap<String, Vec<i32>>> {
    ensure!(group.error_code == 0, "DescribeGroups answers error {}", group.error_code);
    ensure!(group.group_state.as_str() == "Stable", "state {}", group.group_state.as_str());
    let mut shares = BTreeMap::new();
    for member in &group.members {
        let share = assigned_partitions(member.member_assignment.clone(), topic).context("broken member assignment")?;
        shares.insert(member.member_id.to_string(), share);
    }
    Ok(shares)
}

/// Reads a ConsumerProtocolAssignment: version, then topics with their partitions; all versions begin so.
fn assigned_partitions(mut assignment: Bytes, topic: &str) -> anyhow::Result<Vec<i32>> {
    let _version = assignment.try_get_i16()?;
    let mut share = Vec::new();
    for _ in 0..assignment.try_get_i32()? {
        let name_bytes = usize::try_from(assignment.try_get_i16()?)?;
        ensure!(assignment.remaining() >= name_bytes, "cut short");
        let name = assignment.split_to(name_bytes);
        for _ in 0..assignment.try_get_i32()? {
            let partition = assignment.try_get_i32()?;
            if name == topic.as_bytes() {
                share.push(partition);
            }
        }
    }
    Ok(share)
}

fn describe_group(bootstrap: &str, group: &str) -> anyhow::Result<DescribedGroup> {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    let answer = Connection::open(bootstrap)?.ask(DESCRIBE_GROUPS_VERSION, &request)?;
    answer.groups.into_iter().next().context("no group in the answer")
}
