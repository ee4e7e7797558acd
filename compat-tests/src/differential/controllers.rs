//! What only controllers are asked: BrokerHeartbeat and UpdateRaftVoter; and the voters of a quorum that a configuration fixes.

use anyhow::Result;
use serde_json::{Value, json};

use super::player::Player;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    player.turn_to_controllers();
    heartbeats(player)?;
    fixed_voters(player)?;
    updates(player)?;
    player.ask("of controllers", "DescribeCluster", 2, &json!({ "endpointType": 2 }))?;
    Ok(())
}

fn heartbeats(player: &mut Player<'_>) -> Result<()> {
    let heartbeat = |id: i32, epoch: i64| {
        json!({
            "brokerId": id, "brokerEpoch": epoch, "currentMetadataOffset": 1, "wantFence": false, "wantShutDown": false,
        })
    };
    for version in 0..=2 {
        let mut bodies = vec![("of an unknown broker", heartbeat(77, 1)), ("of an earlier life", heartbeat(1, 0))];
        if version >= 1 {
            let mut body = heartbeat(77, 1);
            body["offlineLogDirs"] = json!(["AAAAAAAAAAAAAAAAAAAABw"]);
            bodies.push(("with a directory that is gone", body));
        }
        if version >= 2 {
            let mut body = heartbeat(77, 1);
            body["cordonedLogDirs"] = json!(["AAAAAAAAAAAAAAAAAAAABw"]);
            bodies.push(("with a cordoned directory", body));
        }
        for (case, body) in bodies {
            player.ask(case, "BrokerHeartbeat", version, &body)?;
        }
    }
    Ok(())
}

fn fixed_voters(player: &mut Player<'_>) -> Result<()> {
    let voter = json!({ "voterId": 7, "voterDirectoryId": "AAAAAAAAAAAAAAAAAAAABw" });
    for version in 0..=1 {
        let mut body = voter.clone();
        body["timeoutMs"] = json!(5000);
        // The leader's own listener has another name on either server.
        body["listeners"] = json!([
            { "name": "CONTROLLER", "host": "127.0.0.1", "port": 9 },
            { "name": "PLAINTEXT", "host": "127.0.0.1", "port": 9 },
        ]);
        player.ask("fixed voters", "AddRaftVoter", version, &body)?;
        body["listeners"] = json!([]);
        player.ask("without an endpoint", "AddRaftVoter", version, &body)?;
    }
    player.ask("fixed voters", "RemoveRaftVoter", 0, &voter)?;
    Ok(())
}

/// Where it does not depend on the set of voters: an update of the leader itself ends a node of Kafka.
fn updates(player: &mut Player<'_>) -> Result<()> {
    let update = |epoch: i32| {
        json!({
            "currentLeaderEpoch": epoch, "voterId": 7, "voterDirectoryId": "AAAAAAAAAAAAAAAAAAAABw",
            "listeners": [{ "name": "CONTROLLER", "host": "127.0.0.1", "port": 9 }],
            "kRaftVersionFeature": { "minSupportedVersion": 0, "maxSupportedVersion": 1 },
        })
    };
    let mut of_another = update(1);
    of_another["clusterId"] = json!("aClusterOfSomebodyElse");
    for (case, body) in
        [("of another cluster", of_another), ("in an earlier epoch", update(0)), ("in a later epoch", update(99_999))]
    {
        player.ask_as(case, ("UpdateRaftVoter", 0), &body, without_leader)?;
    }
    Ok(())
}

/// Epoch and address of the leader differ.
fn without_leader(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(leader) = answer.get_mut("currentLeader") {
        *leader = leader["leaderId"].clone();
    }
    answer
}
