//! A second broker that is registered and does nothing: what is answered of partitions that it leads or follows, while it counts as
//! alive, when it is fenced, and when it is given up.

use std::net::TcpListener;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::configs::catch_up;
use super::controllers::directory_id;
use super::directories::alter;
use super::life::deletion;
use super::player::Player;
use super::records::{good, in_hex, offsets_request, request};
use super::topics;

/// The id of the broker that is not there.
const ABSENT: i32 = 2;
/// The topic whose changes say how much was heard of.
const BARRIER: &str = "barrier";
const INCARNATION: &str = "aW5jYXJuYXRpb24tb2YtMg";
const DIRECTORY: &str = "ZGlyZWN0b3J5LW9mLW5vMg";
/// Topics and their replicas, the leader first.
const TOPICS: &[(&str, &[i32])] =
    &[("elsewhere", &[ABSENT]), ("led-elsewhere", &[ABSENT, 1]), ("followed-elsewhere", &[1, ABSENT]), ("here", &[1])];

pub fn play(player: &mut Player<'_>) -> Result<()> {
    player.turn_to_brokers();
    topics::create(player, BARRIER, 1)?;
    let absent = Absent::register(player)?;
    absent.beat(player, "let in", false)?;
    let ids = create(player)?;
    of_records(player, "a broker that is absent", &ids)?;
    without_acknowledgement(player)?;
    absent.beat(player, "fenced", true)?;
    catch_up(player, BARRIER)?;
    of_records(player, "a fenced broker", &ids)?;
    earlier_epochs(player, &ids[1])?;
    too_few(player)?;
    elect(player)?;
    grow(player)?;
    reassign(player)?;
    player.ask("one that is absent", "UnregisterBroker", 0, &json!({ "brokerId": ABSENT }))?;
    catch_up(player, BARRIER)?;
    let grown = growth("followed-elsewhere", 2, &Value::Null);
    player.ask_each("more replicas than brokers", "CreatePartitions", 0..=3, |_| grown.clone())
}

/// The broker that is not there, as the controller knows it.
struct Absent {
    epoch: Value,
    /// Who connects to it waits for ever, so that nobody finds that it is not there.
    _listener: TcpListener,
}

impl Absent {
    /// Registers it in the name of this cluster, with all features of the node that is asked.
    fn register(player: &mut Player<'_>) -> Result<Absent> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let cluster = player.prepare("DescribeCluster", 0, &json!({}))?["clusterId"].clone();
        let software = json!({ "clientSoftwareName": "differential", "clientSoftwareVersion": "1" });
        let supported = player.prepare("ApiVersions", 4, &software)?["supportedFeatures"].clone();
        let features = supported.as_array().context("features")?.iter().map(|feature| {
            let (min, max) = (&feature["minVersion"], &feature["maxVersion"]);
            json!({ "name": feature["name"], "minSupportedVersion": min, "maxSupportedVersion": max })
        });
        let endpoint = json!({
            "name": "PLAINTEXT", "host": "127.0.0.1", "port": listener.local_addr()?.port(), "securityProtocol": 0
        });
        let body = json!({
            "brokerId": ABSENT, "clusterId": cluster, "incarnationId": INCARNATION, "listeners": [endpoint],
            "features": features.collect::<Vec<_>>(), "rack": null, "logDirs": [DIRECTORY]
        });
        player.turn_to_controllers();
        refused_registrations(player, &body)?;
        let answer = player.ask_as("a second broker", ("BrokerRegistration", 4), &body, without_epoch)?;
        player.turn_to_brokers();
        Ok(Absent { epoch: answer["brokerEpoch"].clone(), _listener: listener })
    }

    /// Says in its name that it has read everything, and whether it wants to be fenced.
    fn beat(&self, player: &mut Player<'_>, case: &str, wants_fence: bool) -> Result<()> {
        let body = json!({
            "brokerId": ABSENT, "brokerEpoch": self.epoch, "currentMetadataOffset": i64::MAX, "wantFence": wants_fence,
            "wantShutDown": false
        });
        player.turn_to_controllers();
        player.ask(case, "BrokerHeartbeat", 1, &body)?;
        player.turn_to_brokers();
        Ok(())
    }
}

/// Brokers that are not let in, by what is wrong with a registration that is good.
fn refused_registrations(player: &mut Player<'_>, good: &Value) -> Result<()> {
    let own = directory_id(player)?;
    let mut no_metadata = good["features"].clone();
    for feature in no_metadata.as_array_mut().context("features")? {
        if feature["name"] == "metadata.version" {
            feature["maxSupportedVersion"] = json!(8);
        }
    }
    for (case, field, value) in [
        ("of another cluster", "clusterId", json!("aClusterOfSomebodyElse")),
        ("with a reserved directory", "logDirs", json!(["AAAAAAAAAAAAAAAAAAAABw"])),
        ("with a directory twice", "logDirs", json!([DIRECTORY, DIRECTORY])),
        ("with another broker's directory", "logDirs", json!([DIRECTORY, own])),
        ("with a live broker's id", "brokerId", json!(1)),
        ("without this version of metadata", "features", no_metadata),
    ] {
        let mut body = good.clone();
        body[field] = value;
        for version in 2..=4 {
            player.ask_as(case, ("BrokerRegistration", version), &body, without_epoch)?;
        }
    }
    Ok(())
}

/// Broker epochs are counted otherwise.
fn without_epoch(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if answer["brokerEpoch"].as_i64().is_some_and(|epoch| epoch > 0) {
        answer["brokerEpoch"] = json!("<epoch>");
    }
    answer
}

/// Creates the topics and waits until the broker knows them; their ids.
fn create(player: &mut Player<'_>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for (name, replicas) in TOPICS {
        let assignments = json!([{ "partitionIndex": 0, "brokerIds": replicas }]);
        let topic = json!({ "name": name, "numPartitions": -1, "replicationFactor": -1, "assignments": assignments });
        let answer = player.ask("with an absent broker", "CreateTopics", 7, &json!({ "topics": [topic] }))?;
        ids.push(answer["topics"][0]["topicId"].as_str().with_context(|| format!("{name}: {answer}"))?.to_owned());
    }
    catch_up(player, BARRIER)?;
    Ok(ids)
}

/// Brokers of Kafka name any broker that is alive.
fn without_controller(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if answer["controllerId"].is_number() {
        answer["controllerId"] = json!("<any>");
    }
    answer
}

/// What is asked of leaders, where the leader is absent.
fn of_records(player: &mut Player<'_>, when: &str, ids: &[String]) -> Result<()> {
    for ((name, _), id) in TOPICS.iter().zip(ids).take(2) {
        let case = format!("{name}, {when}");
        for version in 0..=13 {
            let mut named = json!({ "topics": [{ "name": name }] });
            if version >= 4 {
                named["allowAutoTopicCreation"] = json!(false);
            }
            player.ask_as(&case, ("Metadata", version), &named, without_controller)?;
        }
        player.ask(&case, "DescribeTopicPartitions", 0, &json!({ "topics": [{ "name": name }] }))?;
        player.ask_each(&case, "DeleteRecords", 0..=2, |_| deletion(name, &[(0, 0)]))?;
        if *name == "led-elsewhere" && when == "a fenced broker" {
            // This node leads it now.
            continue;
        }
        player.ask_each(&case, "Produce", 3..=13, |version| {
            request(version, (*name, id.as_str()), 0, -1, &in_hex(&good()))
        })?;
        player.ask_each(&case, "ListOffsets", 1..=11, |version| offsets_request(version, name, 0, -1))?;
        player.ask_each(&case, "Fetch", 4..=17, |version| {
            let mut asked = if version >= 13 { json!({ "topicId": id }) } else { json!({ "topic": name }) };
            asked["partitions"] = json!([{ "partition": 0, "fetchOffset": 0, "partitionMaxBytes": 100 }]);
            json!({ "maxWaitMs": 0, "minBytes": 0, "maxBytes": 100, "topics": [asked] })
        })?;
        let epoch = json!({ "partition": 0, "currentLeaderEpoch": -1, "leaderEpoch": 0 });
        let epochs = json!({ "replicaId": -1, "topics": [{ "topic": name, "partitions": [epoch] }] });
        player.ask_each(&case, "OffsetForLeaderEpoch", 2..=4, |_| epochs.clone())?;
        let producers = json!({ "topics": [{ "name": name, "partitionIndexes": [0] }] });
        player.ask(&case, "DescribeProducers", 0, &producers)?;
    }
    let path = player.data().display().to_string();
    player
        .ask_each(&format!("elsewhere, {when}"), "AlterReplicaLogDirs", 1..=2, |_| alter(&path, "elsewhere", &[0]))?;
    player.ask_each(
        &format!("elsewhere, {when}"),
        "DescribeLogDirs",
        1..=5,
        |_| json!({ "topics": [{ "topic": "elsewhere", "partitions": [0] }] }),
    )
}

/// This node leads since the other was fenced: who knows only the leader before is told so.
fn earlier_epochs(player: &mut Player<'_>, id: &str) -> Result<()> {
    let topic = "led-elsewhere";
    player.ask_each("an earlier leader", "Fetch", 9..=17, |version| {
        let mut asked = if version >= 13 { json!({ "topicId": id }) } else { json!({ "topic": topic }) };
        let partition = json!({ "partition": 0, "currentLeaderEpoch": 0, "fetchOffset": 0, "partitionMaxBytes": 100 });
        asked["partitions"] = json!([partition]);
        json!({ "maxWaitMs": 0, "minBytes": 0, "maxBytes": 100, "topics": [asked] })
    })?;
    player.ask_each("an earlier leader", "ListOffsets", 4..=11, |version| {
        let mut body = offsets_request(version, topic, 0, -1);
        body["topics"][0]["partitions"][0]["currentLeaderEpoch"] = json!(0);
        body
    })?;
    let partition = json!({ "partition": 0, "currentLeaderEpoch": 0, "leaderEpoch": 0 });
    let epochs = json!({ "replicaId": -1, "topics": [{ "topic": topic, "partitions": [partition] }] });
    player.ask_each("an earlier leader", "OffsetForLeaderEpoch", 2..=4, |_| epochs.clone())
}

/// A follower in the ISR that does not fetch: nothing that waits for it comes to an end.
fn without_acknowledgement(player: &mut Player<'_>) -> Result<()> {
    let topic = "followed-elsewhere";
    let mut deleted = deletion(topic, &[(0, 0)]);
    deleted["timeoutMs"] = json!(50);
    player.ask_each("a follower that is absent", "DeleteRecords", 0..=2, |_| deleted.clone())?;
    for version in [3, 9, 12] {
        let mut body = request(version, (topic, ""), 0, -1, &in_hex(&good()));
        body["timeoutMs"] = json!(50);
        player.ask("a follower that is absent", "Produce", version, &body)?;
    }
    Ok(())
}

/// Two replicas are wanted in sync, and one is.
fn too_few(player: &mut Player<'_>) -> Result<()> {
    let topic = "followed-elsewhere";
    let set = json!({ "name": "min.insync.replicas", "configOperation": 0, "value": "2" });
    let body = json!({ "resources": [{ "resourceType": 2, "resourceName": topic, "configs": [set] }] });
    player.prepare("IncrementalAlterConfigs", 1, &body)?;
    catch_up(player, BARRIER)?;
    player.ask_each("too few in sync", "Produce", 3..=12, |version| {
        request(version, (topic, ""), 0, -1, &in_hex(&good()))
    })
}

fn elect(player: &mut Player<'_>) -> Result<()> {
    let all: Vec<Value> = TOPICS.iter().map(|(name, _)| json!({ "topic": name, "partitions": [0] })).collect();
    for version in 0..=2 {
        for election in 0..=i8::from(version > 0) {
            let mut body = json!({ "topicPartitions": all, "timeoutMs": 5000 });
            if version > 0 {
                body["electionType"] = json!(election);
            }
            player.ask(&format!("with a fenced broker, type {election}"), "ElectLeaders", version, &body)?;
        }
    }
    Ok(())
}

fn growth(name: &str, count: i32, assignments: &Value) -> Value {
    json!({ "topics": [{ "name": name, "count": count, "assignments": assignments }], "timeoutMs": 5000, "validateOnly": true })
}

fn grow(player: &mut Player<'_>) -> Result<()> {
    let on = |ids: &[i32]| json!([{ "brokerIds": ids }]);
    for (case, body) in [
        ("on a fenced broker", growth("here", 2, &on(&[ABSENT]))),
        ("on a fenced broker too", growth("followed-elsewhere", 2, &on(&[ABSENT, 1]))),
        ("with fewer replicas", growth("followed-elsewhere", 2, &on(&[1]))),
        ("wherever there is room", growth("followed-elsewhere", 2, &Value::Null)),
    ] {
        player.ask_each(case, "CreatePartitions", 0..=3, |_| body.clone())?;
    }
    let topic = |assignments: Value| json!({ "name": "new", "numPartitions": -1, "replicationFactor": -1, "assignments": assignments });
    let assigned = json!([{ "partitionIndex": 0, "brokerIds": [ABSENT] }]);
    let body = json!({ "topics": [topic(assigned)], "validateOnly": true });
    player.ask_each("on a fenced broker", "CreateTopics", 2..=7, |_| body.clone())
}

fn reassign(player: &mut Player<'_>) -> Result<()> {
    let to = |name: &str, replicas: Value| {
        let partition = json!({ "partitionIndex": 0, "replicas": replicas });
        json!({ "timeoutMs": 5000, "topics": [{ "name": name, "partitions": [partition] }] })
    };
    let api = "AlterPartitionReassignments";
    let mut fixed = to("here", json!([1, ABSENT]));
    fixed["allowReplicationFactorChange"] = json!(false);
    player.ask("more replicas, with as many", api, 1, &fixed)?;
    for (case, body) in [
        ("to a fenced broker", to("here", json!([ABSENT]))),
        ("away from a fenced broker", to("elsewhere", json!([1]))),
    ] {
        player.ask(case, api, 0, &body)?;
        player.ask(&format!("after {case}"), "ListPartitionReassignments", 0, &json!({ "topics": null }))?;
    }
    for name in ["here", "elsewhere"] {
        player.ask(&format!("{name} taken back"), api, 1, &to(name, Value::Null))?;
    }
    player.ask("when all is taken back", "ListPartitionReassignments", 0, &json!({ "topics": null }))?;
    Ok(())
}
