//! The life of a log: records that are deleted, records that a compacted log does not take, times and codecs that a topic chooses.

use anyhow::Result;
use serde_json::{Value, json};

use super::groups::await_coordinator;
use super::player::Player;
use super::records::{good, in_hex, offsets_request, request};
use super::topics::{create, create_with};

const UNKNOWN_ID: &str = "BBBBBBBBBBBBBBBBBBBBBA";
const EARLIEST: i64 = -2;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    delete_records(player)
}

fn deletion(topic: &str, offsets: &[(i32, i64)]) -> Value {
    let partitions: Vec<Value> =
        offsets.iter().map(|(partition, offset)| json!({ "partitionIndex": partition, "offset": offset })).collect();
    json!({ "topics": [{ "name": topic, "partitions": partitions }], "timeoutMs": 5000 })
}

/// The answer with its partitions in their order.
fn by_partition(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(partitions) = answer["topics"][0]["partitions"].as_array_mut() {
        partitions.sort_by_key(|partition| partition["partitionIndex"].as_i64());
    }
    answer
}

fn fill(player: &mut Player<'_>, topic: &str, batches: usize) -> Result<()> {
    let body = request(9, (topic, UNKNOWN_ID), 0, -1, &in_hex(&good()));
    for _ in 0..batches {
        player.prepare("Produce", 9, &body)?;
    }
    Ok(())
}

fn delete_records(player: &mut Player<'_>) -> Result<()> {
    create(player, "log", 1)?;
    await_coordinator(player)?;
    let policies = [("by-key", "compact"), ("by-both", "compact,delete"), ("by-none", ""), ("by-age", "delete")];
    for (topic, policy) in policies {
        create_with(player, topic, 1, &[("cleanup.policy", policy)])?;
    }
    for version in 0..=2 {
        let topic = format!("cut-{version}");
        create_with(player, &topic, 2, &[])?;
        fill(player, &topic, 5)?;
        let cases: &[(&str, i32, i64)] = &[
            ("up to an offset", 0, 2),
            ("the same again", 0, 2),
            ("below the start", 0, 1),
            ("beyond the high watermark", 0, 6),
            ("a negative offset", 0, -2),
            ("an unknown partition", 7, 0),
            ("a negative partition", -1, 0),
            ("an empty log", 1, 0),
            ("an empty log, all of it", 1, -1),
        ];
        for (case, partition, offset) in cases {
            player.ask(case, "DeleteRecords", version, &deletion(&topic, &[(*partition, *offset)]))?;
        }
        player.ask("the start", "ListOffsets", 6, &offsets_request(6, &topic, 0, EARLIEST))?;
        for offset in [1, 2] {
            let partition = json!({ "partition": 0, "fetchOffset": offset, "partitionMaxBytes": 100_000 });
            let body = json!({
                "maxWaitMs": 0, "minBytes": 0, "maxBytes": 100_000,
                "topics": [{ "topic": topic, "partitions": [partition] }]
            });
            player.ask(&format!("from offset {offset} of five, two deleted"), "Fetch", 12, &body)?;
        }
        let both = deletion(&topic, &[(0, 3), (1, 5)]);
        player.ask_as("two partitions", ("DeleteRecords", version), &both, by_partition)?;
        player.ask("a partition twice", "DeleteRecords", version, &deletion(&topic, &[(0, 3), (0, 4)]))?;
        player.ask("everything", "DeleteRecords", version, &deletion(&topic, &[(0, -1)]))?;
        player.ask("the start when all is deleted", "ListOffsets", 6, &offsets_request(6, &topic, 0, EARLIEST))?;
        let mut hurried = deletion(&topic, &[(0, 5)]);
        hurried["timeoutMs"] = json!(-1);
        player.ask("no time at all", "DeleteRecords", version, &hurried)?;
        player.ask("an unknown topic", "DeleteRecords", version, &deletion("nobody", &[(0, 0)]))?;
        player.ask("an internal topic", "DeleteRecords", version, &deletion("__consumer_offsets", &[(0, 0)]))?;
        player.ask("nothing", "DeleteRecords", version, &json!({ "topics": [], "timeoutMs": 5000 }))?;
        for (topic, policy) in policies {
            player.ask(&format!("cleanup.policy {policy:?}"), "DeleteRecords", version, &deletion(topic, &[(0, 0)]))?;
        }
    }
    Ok(())
}
