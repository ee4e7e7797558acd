//! The end of a run: what every partition holds as its leader serves it, and that every replica's files hold the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;

use super::admin::{self, LIMIT};
use super::history::{Fact, Observation};
use super::load::{Run, TOPIC, fetch};
use super::nodes::Cluster;
use crate::connection::Connection;
use crate::kill::dump;

const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Reads every partition from its first offset to its end, from its leader.
pub fn stored(run: &Run, ends: &[i64]) -> Result<Vec<Observation>> {
    let mut observations = Vec::new();
    for (partition, end) in (0..).zip(ends) {
        let (_, address, leader_epoch) = run.leader(partition).context("no leader")?;
        let mut connection = Connection::open_within(&address, LIMIT)?;
        let mut position = 0;
        while position < *end {
            let invoked = run.now();
            let answer = connection.ask(12, &fetch(partition, position, leader_epoch))?;
            let found =
                answer.responses.first().and_then(|topic| topic.partitions.first()).context("an empty answer")?;
            ensure!(found.error_code == 0, "Fetch of partition {partition} answers error {}", found.error_code);
            let batches = run.decode(found.records.as_deref().unwrap_or_default(), partition)?;
            ensure!(!batches.is_empty(), "nothing at {position} of partition {partition}, which ends at {end}");
            for (base_offset, batch) in batches {
                observations.push(run.observe(invoked, Fact::Stored { batch, base_offset }));
                position = base_offset + i64::from(batch.count);
            }
        }
    }
    Ok(observations)
}

/// The topics that every node knows, once deletions had time to reach all.
pub fn topics(run: &Run, deleted: &[String]) -> Result<Vec<Observation>> {
    let until = Instant::now() + SETTLE_LIMIT;
    let mut observations = Vec::new();
    for (node, address) in run.addresses.iter().enumerate() {
        loop {
            let invoked = run.now();
            let topics = admin::topics(address)?;
            if topics.values().any(|id| deleted.contains(&id.to_string())) && Instant::now() < until {
                std::thread::sleep(LOOK_AGAIN);
                continue;
            }
            let exists = |(name, id): (String, uuid::Uuid)| {
                run.observe(invoked, Fact::Exists { node, name, id: id.to_string() })
            };
            let exists = topics.into_iter().map(exists);
            observations.extend(exists);
            break;
        }
    }
    Ok(observations)
}

/// `kafka-dump-log` of every replica of the stopped cluster: every batch is valid, and all replicas of a partition are equal.
pub fn compare_replicas(cluster: &Cluster, partitions: i32) -> Result<()> {
    let mut first: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in 0..cluster.count() {
        let logs = dump::files(&cluster.data(node), TOPIC, &["log"])?;
        let batches = batches(&dump::run(&logs, &[])?).with_context(|| format!("on node {}", node + 1))?;
        ensure!(batches.len() == usize::try_from(partitions)?, "node {} has {} replicas", node + 1, batches.len());
        if node == 0 {
            first = batches;
            continue;
        }
        for (partition, lines) in &batches {
            equal(partition, &first[partition], lines).with_context(|| format!("node 1 and node {}", node + 1))?;
        }
    }
    Ok(())
}

/// What the tool prints of each batch, by partition, without where in its file it lies.
fn batches(output: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let position = Regex::new(r" position: \d+").expect("it is constant");
    let mut batches: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut partition = String::new();
    for line in output.lines() {
        if let Some(path) = line.strip_prefix("Dumping ") {
            partition = path.rsplit('/').nth(1).context("a path without a folder")?.to_string();
            batches.entry(partition.clone()).or_default();
        }
        if line.starts_with("baseOffset:") {
            ensure!(line.contains("isvalid: true"), "{partition}: {line}");
            batches.entry(partition.clone()).or_default().push(position.replace(line, "").into_owned());
        }
    }
    Ok(batches)
}

fn equal(partition: &str, one: &[String], other: &[String]) -> Result<()> {
    for (one, other) in one.iter().zip(other) {
        ensure!(one == other, "{partition} differs:\n        {one}\n        {other}");
    }
    if one.len() != other.len() {
        let more = if one.len() > other.len() { one } else { other };
        let (one, other) = (one.len(), other.len());
        bail!("{partition} has {one} batches and {other}; the next is {}", more[one.min(other)]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{batches, equal};

    const DUMP: &str = "Dumping /x/node-1/data/campaign-0/00000000000000000000.log\nLog starting offset: 0\n\
        baseOffset: 0 lastOffset: 2 count: 3 position: 0 crc: 7 isvalid: true\n\
        Dumping /x/node-1/data/campaign-0/00000000000000000003.log\nLog starting offset: 3\n\
        baseOffset: 3 lastOffset: 3 count: 1 position: 99 crc: 8 isvalid: true\n\
        Dumping /x/node-1/data/campaign-1/00000000000000000000.log\n";

    #[test]
    fn replicas_are_equal_whose_batches_are_wherever_they_lie() {
        let one = batches(DUMP).unwrap();
        assert_eq!(one.keys().collect::<Vec<_>>(), ["campaign-0", "campaign-1"]);
        let other = batches(&DUMP.replace("position: 99", "position: 0")).unwrap();
        equal("campaign-0", &one["campaign-0"], &other["campaign-0"]).unwrap();
    }

    #[test]
    fn another_batch_a_missing_one_and_a_broken_one_are_found() {
        let one = batches(DUMP).unwrap();
        let other = batches(&DUMP.replace("crc: 8", "crc: 9")).unwrap();
        equal("campaign-0", &one["campaign-0"], &other["campaign-0"]).unwrap_err();
        equal("campaign-0", &one["campaign-0"], &one["campaign-1"]).unwrap_err();
        batches(&DUMP.replace("crc: 8 isvalid: true", "crc: 8 isvalid: false")).unwrap_err();
    }
}
