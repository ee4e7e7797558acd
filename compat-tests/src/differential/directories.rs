//! DescribeLogDirs and AlterReplicaLogDirs, on one log directory and on two.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::player::Player;
use super::records::offsets_request;
use super::records::{good, in_hex, request};
use super::topics::create;

const API: &str = "DescribeLogDirs";
const VERSIONS: RangeInclusive<i16> = 1..=5;
const ALTER: &str = "AlterReplicaLogDirs";
const ALTER_VERSIONS: RangeInclusive<i16> = 1..=2;
const MOVE_LIMIT: Duration = Duration::from_secs(30);

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let sized = create(player, "sized", 3)?;
    create(player, "empty", 1)?;
    for partition in [0, 0, 2] {
        player.prepare("Produce", 9, &request(9, ("sized", &sized), partition, -1, &in_hex(&good())))?;
    }
    describe(player)?;
    cordon(player)
}

fn describe(player: &mut Player<'_>) -> Result<()> {
    let topic = |name: &str, partitions: &[i32]| json!({ "topic": name, "partitions": partitions });
    for (case, topics) in [
        ("everything", Value::Null),
        ("nothing", json!([])),
        ("one topic", json!([topic("sized", &[0, 1, 2])])),
        ("some of two topics", json!([topic("empty", &[0]), topic("sized", &[2])])),
        ("a topic twice", json!([topic("sized", &[0]), topic("sized", &[1])])),
        ("a partition twice", json!([topic("sized", &[0, 0])])),
        ("a topic without partitions", json!([topic("sized", &[])])),
        ("unknown partitions", json!([topic("sized", &[-1, 0, 3])])),
        ("an unknown topic", json!([topic("nobody", &[0])])),
        ("no name", json!([topic("", &[0])])),
    ] {
        for version in VERSIONS {
            player.ask_as(case, (API, version), &json!({ "topics": topics }), by_partition)?;
        }
    }
    for version in VERSIONS {
        // A list of nine topics of which none comes.
        let count: &[u8] = if version >= 2 { &[10] } else { &[0, 0, 0, 9] };
        player.send_body("fewer topics than announced", API, version, count)?;
    }
    Ok(())
}

/// A directory that is to get nothing new: by name, by the name for all, and by one that is no directory's.
fn cordon(player: &mut Player<'_>) -> Result<()> {
    let data = player.data().display().to_string();
    let mixed = format!("/nowhere,{data},/neither");
    let set = |value: Option<&str>| {
        let operation = i8::from(value.is_none());
        let config = json!({ "name": "cordoned.log.dirs", "configOperation": operation, "value": value });
        json!({ "resources": [{ "resourceType": 4, "resourceName": "1", "configs": [config] }] })
    };
    for (case, value, is_cordoned) in [
        ("a name that is no directory's", Some("/nowhere"), false),
        ("two of them, and one that is", Some(mixed.as_str()), false),
        ("the directory", Some(data.as_str()), true),
        ("no directory", None, false),
        ("all directories", Some("*"), true),
        ("none of them", Some(""), false),
    ] {
        player.ask(&format!("cordon {case}"), "IncrementalAlterConfigs", 1, &set(value))?;
        await_cordoned(player, is_cordoned)?;
        for version in VERSIONS {
            player.ask_as(&format!("cordoned: {case}"), (API, version), &json!({ "topics": [] }), by_partition)?;
        }
    }
    Ok(())
}

/// Kafka's broker learns of a setting after the controller has answered.
fn await_cordoned(player: &mut Player<'_>, expected: bool) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = player.prepare(API, 5, &json!({ "topics": [] }))?;
        if answer["results"][0]["isCordoned"] == expected || Instant::now() > until {
            return Ok(());
        }
    }
}

/// Logs that go to the other of two directories, and back.
pub fn play_moves(player: &mut Player<'_>) -> Result<()> {
    let moved = create(player, "moved", 1)?;
    create(player, "second", 1)?;
    create(player, "third", 1)?;
    for _ in 0..3 {
        player.prepare("Produce", 9, &request(9, ("moved", &moved), 0, -1, &in_hex(&good())))?;
    }
    describe_all(player, "where the fewest are")?;
    let first = player.data().display().to_string();
    let second = format!("{first}-2");
    for version in ALTER_VERSIONS {
        for (case, path, topic, partition) in [
            ("to an unknown directory", "/nowhere", "moved", 0),
            ("to a name that is no path", "data", "moved", 0),
            ("an unknown topic", &*second, "nobody", 0),
            ("an unknown partition", &*second, "moved", 1),
            ("a negative partition", &*second, "moved", -1),
            ("a topic without a name", &*second, "", 0),
            ("a name that leaves no room", &*second, &*"x".repeat(240), 0),
            ("to where it is", &*first, "moved", 0),
        ] {
            player.ask(case, ALTER, version, &alter(path, topic, &[partition]))?;
        }
        player.ask("nothing", ALTER, version, &json!({ "dirs": [] }))?;
        player.ask("no partitions", ALTER, version, &alter(&second, "moved", &[]))?;
        let count: &[u8] = if version >= 2 { &[10] } else { &[0, 0, 0, 9] };
        player.send_body("fewer directories than announced", ALTER, version, count)?;
        set_cordoned(player, &second)?;
        player.ask("to a cordoned directory", ALTER, version, &alter(&second, "moved", &[0]))?;
        player.ask("an unknown topic to a cordoned directory", ALTER, version, &alter(&second, "nobody", &[0]))?;
        player.ask("to where it is, the other cordoned", ALTER, version, &alter(&first, "moved", &[0]))?;
        set_cordoned(player, &first)?;
        player.ask("to where it is, cordoned", ALTER, version, &alter(&first, "moved", &[0]))?;
        set_cordoned(player, "")?;
        for (case, path) in [("to the other directory", &second), ("back", &first)] {
            player.ask(case, ALTER, version, &alter(path, "moved", &[0, 7]))?;
            await_moved(player, path)?;
            describe_all(player, &format!("after a move {case}"))?;
            player.ask(
                &format!("the end after a move {case}"),
                "ListOffsets",
                6,
                &offsets_request(6, "moved", 0, -1),
            )?;
            player.prepare("Produce", 9, &request(9, ("moved", &moved), 0, -1, &in_hex(&good())))?;
        }
    }
    Ok(())
}

/// Has these directories get nothing new, and waits until the broker knows.
fn set_cordoned(player: &mut Player<'_>, paths: &str) -> Result<()> {
    let config = json!({ "name": "cordoned.log.dirs", "configOperation": 0, "value": paths });
    let body = json!({ "resources": [{ "resourceType": 4, "resourceName": "1", "configs": [config] }] });
    player.prepare("IncrementalAlterConfigs", 1, &body)?;
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = player.prepare(API, 5, &json!({ "topics": [] }))?;
        let results = answer["results"].as_array().into_iter().flatten();
        let is_known = results.into_iter().all(|result| {
            let is_named = paths.split(',').any(|path| result["logDir"] == path);
            result["isCordoned"] == is_named
        });
        if is_known {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{paths:?} are not cordoned: {answer}");
    }
}

pub fn alter(path: &str, topic: &str, partitions: &[i32]) -> Value {
    json!({ "dirs": [{ "path": path, "topics": [{ "name": topic, "partitions": partitions }] }] })
}

fn describe_all(player: &mut Player<'_>, case: &str) -> Result<()> {
    for version in VERSIONS {
        player.ask_as(case, (API, version), &json!({ "topics": null }), by_partition)?;
    }
    Ok(())
}

/// Waits until the topic's log is in a directory, and nowhere else.
fn await_moved(player: &mut Player<'_>, path: &str) -> Result<()> {
    let until = Instant::now() + MOVE_LIMIT;
    loop {
        let answer = player.prepare(API, 5, &json!({ "topics": [{ "topic": "moved", "partitions": [0] }] }))?;
        let holders: Vec<&Value> = answer["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|result| result["topics"].as_array().is_some_and(|topics| !topics.is_empty()))
            .collect();
        if let [holder] = holders[..]
            && holder["logDir"] == path
            && holder["topics"][0]["partitions"][0]["isFutureKey"] == false
        {
            return Ok(());
        }
        ensure!(Instant::now() < until, "the log does not get to {path}: {answer}");
    }
}

/// With partitions in order: Kafka's comes from a hash map.
fn by_partition(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for result in answer["results"].as_array_mut().into_iter().flatten() {
        for topic in result["topics"].as_array_mut().into_iter().flatten() {
            if let Some(partitions) = topic["partitions"].as_array_mut() {
                partitions.sort_by_key(|partition| partition["partitionIndex"].as_i64());
            }
        }
    }
    answer
}
