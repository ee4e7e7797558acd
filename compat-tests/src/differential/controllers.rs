//! What only controllers are asked: BrokerHeartbeat, AssignReplicasToDirs and UpdateRaftVoter; and the voters of a quorum that a
//! configuration fixes.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::absent;
use super::player::Player;
use super::topics::create;

/// Kafka's broker epochs are offsets of its metadata: that of a first start is among the first.
const EPOCHS_TRIED: i64 = 500;
const STALE_BROKER_EPOCH: i64 = 77;
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const UNKNOWN_ID: &str = "AAAAAAAAAAAAAAAAAAAABw";

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let topic = create(player, "assigned", 2)?;
    player.turn_to_controllers();
    heartbeats(player)?;
    assignments(player, &topic)?;
    for id in [99, -1] {
        player.ask(&format!("through controllers, broker {id}"), "UnregisterBroker", 0, &json!({ "brokerId": id }))?;
    }
    fixed_voters(player)?;
    updates(player)?;
    player.ask("of controllers", "DescribeCluster", 2, &json!({ "endpointType": 2 }))?;
    settings(player)?;
    absent::play(player)
}

/// A case, the kind of a resource and its name, a setting and its value.
type Setting<'a> = (&'a str, i8, &'a str, &'a str, Option<&'a str>);

/// What controllers are asked of settings: they know all brokers, and not what one of them was started with.
fn settings(player: &mut Player<'_>) -> Result<()> {
    let cases: &[Setting<'_>] = &[
        ("a topic", TOPIC, "assigned", "flush.ms", Some("5")),
        ("an unknown topic", TOPIC, "gone", "flush.ms", Some("5")),
        ("an invalid topic name", TOPIC, "a/b", "flush.ms", Some("5")),
        ("no topic name", TOPIC, "", "flush.ms", Some("5")),
        ("a null value", TOPIC, "assigned", "flush.ms", None),
        ("a wrong type", TOPIC, "assigned", "flush.ms", Some("x")),
        ("an unknown broker", BROKER, "9", "flush.ms", Some("5")),
        ("a negative broker", BROKER, "-1", "flush.ms", Some("5")),
        ("a broker that is no number", BROKER, "x", "flush.ms", Some("5")),
        ("an unknown type", 99, "x", "flush.ms", Some("5")),
        ("type 0", 0, "x", "flush.ms", Some("5")),
        ("no group name", GROUP, "", "flush.ms", Some("5")),
        ("a broker", BROKER, "1", "log.flush.interval.ms", Some("5")),
        ("all brokers", BROKER, "", "log.flush.interval.ms", Some("5")),
        ("a name that only a start can change", BROKER, "1", "node.id", Some("5")),
        ("a directory", BROKER, "1", "cordoned.log.dirs", Some("/nowhere")),
        ("no directory", BROKER, "1", "cordoned.log.dirs", Some("")),
        ("min ISR of a broker", BROKER, "1", "min.insync.replicas", Some("1")),
    ];
    for (case, kind, name, key, value) in cases {
        let config = json!({ "name": key, "value": value });
        let body = |config: Value| {
            let resource = json!({ "resourceType": kind, "resourceName": name, "configs": [config] });
            json!({ "resources": [resource], "validateOnly": true })
        };
        let case = format!("through controllers, {case}");
        player.ask_each(&case, "AlterConfigs", 0..=2, |_| body(config.clone()))?;
        let mut change = config.clone();
        change["configOperation"] = json!(0);
        player.ask_each(&case, "IncrementalAlterConfigs", 0..=1, |_| body(change.clone()))?;
        let described =
            json!({ "resources": [{ "resourceType": kind, "resourceName": name, "configurationKeys": [key] }] });
        player.ask_each(&case, "DescribeConfigs", 1..=4, |_| described.clone())?;
    }
    Ok(())
}

fn heartbeats(player: &mut Player<'_>) -> Result<()> {
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

fn heartbeat(id: i32, epoch: i64) -> Value {
    json!({ "brokerId": id, "brokerEpoch": epoch, "currentMetadataOffset": 1, "wantFence": false, "wantShutDown": false })
}

/// Where replicas lie, told in the broker's name.
fn assignments(player: &mut Player<'_>, topic: &str) -> Result<()> {
    let mut epoch = 0;
    while player.prepare("BrokerHeartbeat", 1, &heartbeat(1, epoch))?["errorCode"] == STALE_BROKER_EPOCH {
        epoch += 1;
        ensure!(epoch < EPOCHS_TRIED, "the broker's epoch is none of the first");
    }
    let own = &directory_id(player)?;
    let assign = |broker: i32, epoch: i64, directory: &str, topic: &str, partitions: &[i32]| {
        let partitions: Vec<Value> = partitions.iter().map(|index| json!({ "partitionIndex": index })).collect();
        let topics = json!([{ "topicId": topic, "partitions": partitions }]);
        json!({ "brokerId": broker, "brokerEpoch": epoch, "directories": [{ "id": directory, "topics": topics }] })
    };
    for (case, body) in [
        ("of an unknown broker", assign(77, epoch, own, topic, &[0])),
        ("of an earlier life", assign(1, epoch - 1, own, topic, &[0])),
        ("of a later life", assign(1, epoch + 1, own, topic, &[0])),
        ("an unknown topic", assign(1, epoch, own, UNKNOWN_ID, &[0])),
        ("unknown partitions", assign(1, epoch, own, topic, &[7, -1])),
        ("where it is", assign(1, epoch, own, topic, &[0, 1])),
        ("where it is, and one that is unknown", assign(1, epoch, own, topic, &[0, 2])),
        ("nothing", json!({ "brokerId": 1, "brokerEpoch": epoch, "directories": [] })),
        ("no partitions", assign(1, epoch, own, topic, &[])),
        ("an unknown directory", assign(1, epoch, UNKNOWN_ID, topic, &[1])),
    ] {
        player.ask_as(case, ("AssignReplicasToDirs", 0), &body, |answer| without_id_of(answer, own))?;
    }
    Ok(())
}

/// The id of the server's directory.
pub fn directory_id(player: &Player<'_>) -> Result<String> {
    let properties = std::fs::read_to_string(player.data().join("meta.properties"))?;
    let id = properties.lines().find_map(|line| line.strip_prefix("directory.id=")).context("a directory id")?;
    Ok(id.to_owned())
}

/// A directory has another id on either server.
fn without_id_of(answer: &Value, own: &str) -> Value {
    let text = answer.to_string().replace(own, "own");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
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
