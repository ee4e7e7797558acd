//! DescribeLogDirs.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::player::Player;
use super::records::{good, in_hex, request};
use super::topics::create;

const API: &str = "DescribeLogDirs";
const VERSIONS: RangeInclusive<i16> = 1..=5;

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
