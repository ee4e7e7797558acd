//! CreateTopics, DeleteTopics, ListPartitionReassignments.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::player::Player;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    create_topics(player)?;
    bad_topics(player)?;
    delete_topics(player)?;
    list_reassignments(player)
}

/// Creates a topic and returns its id.
pub fn create(player: &mut Player<'_>, name: &str, partitions: i32) -> Result<String> {
    create_with(player, name, partitions, &[])
}

/// Creates a topic with configs and returns its id.
pub fn create_with(player: &mut Player<'_>, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<String> {
    let configs: Vec<Value> = configs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let topic = json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1, "configs": configs });
    let answer = player.prepare("CreateTopics", 7, &json!({ "topics": [topic] }))?;
    let id = answer["topics"][0]["topicId"].as_str().with_context(|| format!("creating {name}: {answer}"))?.to_owned();
    settle(player, &[name])?;
    Ok(id)
}

/// Waits until every partition of the topics has a leader that answers.
pub fn settle(player: &mut Player<'_>, names: &[&str]) -> Result<()> {
    let topics: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
    let body = json!({ "topics": topics, "allowAutoTopicCreation": false });
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = player.prepare("Metadata", 9, &body)?;
        let topics = answer["topics"].as_array().context("topics")?;
        let ready = topics.iter().all(|topic| {
            let partitions = topic["partitions"].as_array().map_or(&[][..], Vec::as_slice);
            topic["errorCode"] == 0 && partitions.iter().all(|partition| partition["errorCode"] == 0)
        });
        if ready && leaders_answer(player, topics)? {
            return Ok(());
        }
        ensure!(Instant::now() < until, "no leaders: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether every partition tells where its log ends: Kafka announces leaders that do not know of it yet.
fn leaders_answer(player: &mut Player<'_>, topics: &[Value]) -> Result<bool> {
    let asked: Vec<Value> = topics
        .iter()
        .map(|topic| {
            let partitions = topic["partitions"].as_array().map_or(&[][..], Vec::as_slice);
            let partitions: Vec<Value> = partitions
                .iter()
                .map(|partition| json!({ "partitionIndex": partition["partitionIndex"], "timestamp": -1 }))
                .collect();
            json!({ "name": topic["name"], "partitions": partitions })
        })
        .collect();
    let answer = player.prepare("ListOffsets", 6, &json!({ "replicaId": -1, "topics": asked }))?;
    let topics = answer["topics"].as_array().context("topics")?;
    let mut partitions = topics.iter().flat_map(|topic| topic["partitions"].as_array().into_iter().flatten());
    Ok(partitions.all(|partition| partition["errorCode"] == 0))
}

fn topic(name: &str, partitions: i32, factor: i16) -> Value {
    json!({ "name": name, "numPartitions": partitions, "replicationFactor": factor })
}

fn create_topics(player: &mut Player<'_>) -> Result<()> {
    for version in 2..=7 {
        let name = format!("made-{version}");
        let configs =
            json!([{ "name": "retention.ms", "value": "60000" }, { "name": "segment.bytes", "value": "2000000" }]);
        let mut made = topic(&name, 2, 1);
        made["configs"] = configs;
        player.ask(
            "only to be validated",
            "CreateTopics",
            version,
            &json!({ "topics": [made], "validateOnly": true }),
        )?;
        player.ask("with configs", "CreateTopics", version, &json!({ "topics": [made] }))?;
        player.ask("again", "CreateTopics", version, &json!({ "topics": [made] }))?;
        player.ask(
            "again, only to be validated",
            "CreateTopics",
            version,
            &json!({ "topics": [made], "validateOnly": true }),
        )?;
        let assignments = json!([{ "partitionIndex": 0, "brokerIds": [1] }, { "partitionIndex": 1, "brokerIds": [1] }]);
        let assigned = json!({
            "name": format!("assigned-{version}"), "numPartitions": -1, "replicationFactor": -1, "assignments": assignments
        });
        player.ask("with an assignment", "CreateTopics", version, &json!({ "topics": [assigned] }))?;
        if version >= 4 {
            let defaults = topic(&format!("defaults-{version}"), -1, -1);
            player.ask("with the defaults", "CreateTopics", version, &json!({ "topics": [defaults] }))?;
        }
    }
    Ok(())
}

fn bad_topics(player: &mut Player<'_>) -> Result<()> {
    let long = "x".repeat(250);
    let cases = [
        ("an empty name", topic("", 1, 1)),
        ("a slash in the name", topic("a/b", 1, 1)),
        ("a dot as the name", topic(".", 1, 1)),
        ("two dots as the name", topic("..", 1, 1)),
        ("a name of 250 characters", topic(&long, 1, 1)),
        ("no partitions", topic("none", 0, 1)),
        ("ten thousand partitions and one", topic("very-many", 10_001, 1)),
        ("a billion partitions", topic("billion", 1_000_000_000, 1)),
        ("minus two partitions", topic("minus", -2, 1)),
        ("no replicas", topic("unreplicated", 1, 0)),
        ("three replicas on one broker", topic("three", 1, 3)),
        ("minus two replicas", topic("minus-two", 1, -2)),
        (
            "partitions and an assignment",
            json!({
                "name": "both", "numPartitions": 1, "replicationFactor": 1,
                "assignments": [{ "partitionIndex": 0, "brokerIds": [1] }]
            }),
        ),
        ("an assignment to an unknown broker", assigned(&[(0, &[9])])),
        ("an assignment with a broker twice", assigned(&[(0, &[1, 1])])),
        ("an assignment without brokers", assigned(&[(0, &[])])),
        ("an assignment from partition 1 on", assigned(&[(1, &[1])])),
        ("an assignment with partition 0 twice", assigned(&[(0, &[1]), (0, &[1])])),
        ("an unknown config", with_config("nonsense", Some("1"))),
        ("a config of the wrong type", with_config("segment.bytes", Some("many"))),
        ("a config out of range", with_config("segment.bytes", Some("-5"))),
        ("a null config", with_config("retention.ms", None)),
        ("a wrong cleanup policy", with_config("cleanup.policy", Some("burn"))),
    ];
    for (case, topic) in cases {
        for version in [2, 4, 5, 7] {
            player.ask(case, "CreateTopics", version, &json!({ "topics": [topic], "timeoutMs": 5000 }))?;
        }
    }
    let twice = json!({ "topics": [topic("twice", 1, 1), topic("twice", 1, 1)] });
    player.ask("the same name twice", "CreateTopics", 7, &twice)?;
    player.prepare("CreateTopics", 7, &json!({ "topics": [topic("with.dot", 1, 1)] }))?;
    player.ask("a name that collides", "CreateTopics", 7, &json!({ "topics": [topic("with_dot", 1, 1)] }))?;
    player.ask("no topics", "CreateTopics", 7, &json!({ "topics": [] }))?;
    for time in [0, -1] {
        player.ask_each(
            &format!("in {time} ms"),
            "CreateTopics",
            2..=7,
            |_| json!({ "topics": [topic("hasty", 1, 1)], "timeoutMs": time }),
        )?;
    }
    player.ask(
        "good and bad together",
        "CreateTopics",
        7,
        &json!({ "topics": [topic("good", 1, 1), topic("b/d", 1, 1)] }),
    )?;
    Ok(())
}

fn assigned(partitions: &[(i32, &[i32])]) -> Value {
    let assignments: Vec<Value> =
        partitions.iter().map(|(index, brokers)| json!({ "partitionIndex": index, "brokerIds": brokers })).collect();
    json!({ "name": "assigned", "numPartitions": -1, "replicationFactor": -1, "assignments": assignments })
}

fn with_config(name: &str, value: Option<&str>) -> Value {
    let mut topic = topic("configured", 1, 1);
    topic["configs"] = json!([{ "name": name, "value": value }]);
    topic
}

fn delete_topics(player: &mut Player<'_>) -> Result<()> {
    for version in 1..=5 {
        let body = json!({ "topicNames": [format!("made-{}", version + 1)], "timeoutMs": 5000 });
        player.ask("by name", "DeleteTopics", version, &body)?;
        player.ask("again", "DeleteTopics", version, &body)?;
    }
    let by_name = json!({ "topics": [{ "name": "made-7" }], "timeoutMs": 5000 });
    player.ask("by name", "DeleteTopics", 6, &by_name)?;
    player.ask("by name again", "DeleteTopics", 6, &by_name)?;
    let id = create(player, "to-go", 1)?;
    let by_id = json!({ "topics": [{ "name": null, "topicId": id }], "timeoutMs": 5000 });
    player.ask("by id", "DeleteTopics", 6, &by_id)?;
    player.ask("by id again", "DeleteTopics", 6, &by_id)?;
    let id = create(player, "both-ways", 1)?;
    let both = json!({ "topics": [{ "name": "both-ways", "topicId": id }], "timeoutMs": 5000 });
    player.ask("by name and id", "DeleteTopics", 6, &both)?;
    player.ask(
        "neither name nor id",
        "DeleteTopics",
        6,
        &json!({ "topics": [{ "name": null }], "timeoutMs": 5000 }),
    )?;
    let twice = json!({ "topics": [{ "name": "both-ways" }, { "name": "both-ways" }], "timeoutMs": 5000 });
    player.ask("the same name twice", "DeleteTopics", 6, &twice)?;
    for time in [0, -1] {
        player.ask_each(&format!("in {time} ms"), "DeleteTopics", 1..=6, |version| match version {
            6 => json!({ "topics": [{ "name": "good" }], "timeoutMs": time }),
            _ => json!({ "topicNames": ["good"], "timeoutMs": time }),
        })?;
    }
    player.ask("nothing", "DeleteTopics", 6, &json!({ "topics": [], "timeoutMs": 5000 }))?;
    Ok(())
}

fn list_reassignments(player: &mut Player<'_>) -> Result<()> {
    let api = "ListPartitionReassignments";
    player.ask("all", api, 0, &json!({ "topics": null }))?;
    player.ask("of a topic", api, 0, &json!({ "topics": [{ "name": "good", "partitionIndexes": [0] }] }))?;
    player.ask("of an unknown topic", api, 0, &json!({ "topics": [{ "name": "gone", "partitionIndexes": [0] }] }))?;
    Ok(())
}
