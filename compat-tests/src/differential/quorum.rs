//! DescribeQuorum, AddRaftVoter, RemoveRaftVoter: as far as one node goes.

use anyhow::Result;
use serde_json::{Value, json};

use super::player::Player;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let of = |topic: &str, partition: i32| json!({ "topics": [{ "topicName": topic, "partitions": [{ "partitionIndex": partition }] }] });
    for version in 0..=2 {
        let api = ("DescribeQuorum", version);
        player.ask_as("the quorum", api, &of("__cluster_metadata", 0), without_progress)?;
        player.ask("another partition", api.0, version, &of("__cluster_metadata", 1))?;
        player.ask("another topic", api.0, version, &of("alpha", 0))?;
        player.ask("nothing", api.0, version, &json!({ "topics": [] }))?;
    }
    let voter = json!({ "voterId": 7, "voterDirectoryId": "AAAAAAAAAAAAAAAAAAAABw" });
    for version in 0..=1 {
        let mut body = voter.clone();
        body["clusterId"] = json!("aClusterOfSomebodyElse");
        body["timeoutMs"] = json!(5000);
        body["listeners"] = json!([{ "name": "CONTROLLER", "host": "127.0.0.1", "port": 9 }]);
        player.ask("of another cluster", "AddRaftVoter", version, &body)?;
    }
    let mut body = voter;
    body["clusterId"] = json!("aClusterOfSomebodyElse");
    player.ask("of another cluster", "RemoveRaftVoter", 0, &body)?;
    Ok(())
}

/// How far the log has got, in which epoch, and on which directory, differs from run to run; so does the listener's name.
fn without_progress(answer: &Value) -> Value {
    const PROGRESS: &[&str] = &["leaderEpoch", "highWatermark", "logEndOffset", "replicaDirectoryId", "name"];
    match answer {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !PROGRESS.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), without_progress(value))).collect())
        }
        Value::Array(elements) => elements.iter().map(without_progress).collect(),
        other => other.clone(),
    }
}
