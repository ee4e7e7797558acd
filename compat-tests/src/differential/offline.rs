//! One of two log directories is lost while the server runs: what is answered of the partitions in it, and of the others.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::player::Player;
use super::records::{good, in_hex, offsets_request, request};
use super::topics::create;

/// Kafka notices it when it writes its checkpoints next, after five seconds.
const NOTICE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const STORAGE_ERROR: i64 = 56;
const NO_LEADER: i64 = -1;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let kept = create(player, "kept", 1)?;
    let lost = create(player, "lost", 1)?;
    for topic in [("kept", &*kept), ("lost", &*lost)] {
        player.prepare("Produce", 9, &request(9, topic, 0, -1, &in_hex(&good())))?;
    }
    lose(player)?;
    let named = |name: &str| json!({ "topics": [{ "name": name }], "allowAutoTopicCreation": false });
    for topic in ["kept", "lost"] {
        player.ask_each(&format!("{topic} is described"), "Metadata", 4..=13, |_| named(topic))?;
        player.ask_each(
            &format!("the directories of {topic}"),
            "DescribeLogDirs",
            1..=5,
            |_| json!({ "topics": [{ "topic": topic, "partitions": [0] }] }),
        )?;
    }
    for topic in [("kept", &*kept), ("lost", &*lost)] {
        of_one(player, topic)?;
    }
    let path = format!("{}-2", player.data().display());
    let moved = json!({ "dirs": [{ "path": path, "topics": [{ "name": "kept", "partitions": [0] }] }] });
    player.ask_each("a move to it", "AlterReplicaLogDirs", 1..=2, |_| moved.clone())?;
    let first = player.data().display().to_string();
    let moved = json!({ "dirs": [{ "path": first, "topics": [{ "name": "lost", "partitions": [0] }] }] });
    player.ask_each("a move from it", "AlterReplicaLogDirs", 1..=2, |_| moved.clone())?;
    Ok(())
}

/// Takes the second directory away, and waits until the server and its controller have seen it.
fn lose(player: &mut Player<'_>) -> Result<()> {
    let path = format!("{}-2", player.data().display());
    let gone = format!("{path}-gone");
    std::fs::rename(&path, &gone).with_context(|| format!("{path} to {gone}"))?;
    std::fs::write(&path, "no directory")?;
    let until = Instant::now() + NOTICE_LIMIT;
    loop {
        let described = player.prepare("DescribeLogDirs", 5, &json!({ "topics": null }))?;
        let results = described["results"].as_array().context("results")?;
        let is_noticed = results.iter().any(|result| result["errorCode"] == STORAGE_ERROR);
        let body = json!({ "topics": [{ "name": "lost" }], "allowAutoTopicCreation": false });
        let metadata = player.prepare("Metadata", 9, &body)?;
        if is_noticed && metadata["topics"][0]["partitions"][0]["leaderId"] == NO_LEADER {
            return Ok(());
        }
        ensure!(Instant::now() < until, "nobody notices: {described} {metadata}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn of_one(player: &mut Player<'_>, topic: (&str, &str)) -> Result<()> {
    let name = topic.0;
    for acks in [1, -1] {
        let body = |version| request(version, topic, 0, acks, &in_hex(&good()));
        player.ask_each(&format!("{name}, acks={acks}"), "Produce", 3..=13, body)?;
    }
    player.ask_each(&format!("{name} from its start"), "Fetch", 4..=17, |version| {
        let mut asked = if version >= 13 { json!({ "topicId": topic.1 }) } else { json!({ "topic": name }) };
        asked["partitions"] = json!([{ "partition": 0, "fetchOffset": 0, "partitionMaxBytes": 100 }]);
        json!({ "maxWaitMs": 0, "minBytes": 0, "maxBytes": 100, "topics": [asked] })
    })?;
    player.ask_each(&format!("the end of {name}"), "ListOffsets", 1..=10, |version| {
        offsets_request(version, name, 0, -1)
    })?;
    let epoch = json!({ "partition": 0, "currentLeaderEpoch": -1, "leaderEpoch": 0 });
    let asked: Value = json!({ "replicaId": -1, "topics": [{ "topic": name, "partitions": [epoch] }] });
    player.ask_each(&format!("an epoch of {name}"), "OffsetForLeaderEpoch", 2..=4, |_| asked.clone())?;
    let deleted = json!({ "partitionIndex": 0, "offset": 1 });
    let body = json!({ "topics": [{ "name": name, "partitions": [deleted] }], "timeoutMs": 5000 });
    player.ask_each(&format!("deletion in {name}"), "DeleteRecords", 0..=2, |_| body.clone())
}
