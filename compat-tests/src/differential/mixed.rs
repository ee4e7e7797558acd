//! Requests about several topics and partitions, good and bad ones together, and records of several times.

use anyhow::Result;
use serde_json::{Value, json};

use super::player::Player;
use super::records::{RECORD_TIME_MS, batch, good, in_hex, of_time, offsets_request, request};
use super::topics::create;
use crate::record_batch::{Batch, Record};

const UNKNOWN_ID: &str = "BBBBBBBBBBBBBBBBBBBBBA";

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let ids = [create(player, "first", 3)?, create(player, "second", 2)?];
    produce(player, &ids)?;
    fetch(player, &ids)?;
    list_offsets(player, &ids)?;
    times(player)
}

/// Name and id of the two topics, and of one that is not there.
fn topics(ids: &[String; 2]) -> [(&str, &str); 3] {
    [("first", ids[0].as_str()), ("second", ids[1].as_str()), ("gone", UNKNOWN_ID)]
}

fn produce(player: &mut Player<'_>, ids: &[String; 2]) -> Result<()> {
    let (right, wrong) = (in_hex(&good()), in_hex(&Batch { crc: Some(1), ..good() }));
    for version in 3..=13 {
        let data: Vec<Value> = topics(ids)
            .iter()
            .map(|topic| {
                let mut data = request(version, *topic, 0, -1, &right)["topicData"][0].clone();
                let partition = |index: i32, records: &Value| json!({ "index": index, "records": records });
                data["partitionData"] = json!([partition(1, &right), partition(0, &wrong), partition(8, &right)]);
                data
            })
            .collect();
        let body = json!({ "acks": -1, "timeoutMs": 5000, "topicData": data });
        player.ask_as("good and bad together", ("Produce", version), &body, |answer| by_partition(answer, ids))?;
    }
    let twice = json!({ "index": 2, "records": right });
    let body =
        json!({ "acks": -1, "timeoutMs": 5000, "topicData": [{ "name": "first", "partitionData": [twice, twice] }] });
    player.ask("the same partition twice", "Produce", 9, &body)?;
    player.ask("the end after the same partition twice", "ListOffsets", 6, &offsets_request(6, "first", 2, -1))?;
    Ok(())
}

fn fetch(player: &mut Player<'_>, ids: &[String; 2]) -> Result<()> {
    // Two batches, and what is left of the limit behind the first partition that has any.
    let one_batch_bytes = good().encode().len();
    for (case, max_bytes) in [("all there is", 1_000_000), ("one batch and a half in all", one_batch_bytes * 3 / 2)] {
        for version in 4..=18 {
            let asked: Vec<Value> = topics(ids).map(|topic| fetched(version, topic)).to_vec();
            let body = json!({ "maxWaitMs": 0, "minBytes": 0, "maxBytes": max_bytes, "topics": asked });
            let case = format!("good and bad together, {case}");
            player.ask_as(&case, ("Fetch", version), &body, |answer| by_partition(answer, ids))?;
        }
    }
    Ok(())
}

/// Partitions of a topic as a Fetch asks for them, the last of them unknown.
fn fetched(version: i16, (name, id): (&str, &str)) -> Value {
    let partition = |index: i32| json!({ "partition": index, "fetchOffset": 0, "partitionMaxBytes": 1000 });
    let partitions = [0, 1, 8].map(partition);
    if version >= 13 {
        return json!({ "topicId": id, "partitions": partitions });
    }
    json!({ "topic": name, "partitions": partitions })
}

fn list_offsets(player: &mut Player<'_>, ids: &[String; 2]) -> Result<()> {
    for version in 1..=11 {
        let mut body = offsets_request(version, "first", 0, -1);
        let partition = |index: i32, timestamp: i64| json!({ "partitionIndex": index, "timestamp": timestamp });
        let partitions = json!([partition(0, -1), partition(1, -2), partition(8, -1)]);
        let asked = topics(ids).map(|(name, _)| json!({ "name": name, "partitions": partitions }));
        body["topics"] = json!(asked);
        player.ask_as("good and bad together", ("ListOffsets", version), &body, |answer| by_partition(answer, ids))?;
    }
    Ok(())
}

/// What an answer says of each partition, under topic and index, and of the whole. Kafka may split a topic in two.
fn by_partition(answer: &Value, ids: &[String; 2]) -> Value {
    let mut shaped = answer.clone();
    let list = |value: &mut Value, names: &[&str]| {
        let fields = value.as_object_mut()?;
        names.iter().find_map(|name| fields.remove(*name))
    };
    let mut parts = serde_json::Map::new();
    for mut topic in list(&mut shaped, &["responses", "topics"]).iter().flat_map(elements) {
        let name = match topic["topicId"].as_str() {
            Some(id) => topics(ids).iter().find(|(_, known)| *known == id).map_or("a stranger", |(name, _)| *name),
            None => topic["name"].as_str().or(topic["topic"].as_str()).unwrap_or("nameless"),
        }
        .to_owned();
        for partition in list(&mut topic, &["partitionResponses", "partitions"]).iter().flat_map(elements) {
            let index = partition["index"].as_i64().or(partition["partitionIndex"].as_i64()).unwrap_or(-1);
            let twice = parts.insert(format!("{name}-{index}"), partition);
            assert!(twice.is_none(), "{name}-{index} is answered twice: {answer}");
        }
    }
    json!({ "whole": shaped, "parts": parts })
}

fn elements(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Batches, and records in a batch, whose times do not follow on each other.
fn times(player: &mut Player<'_>) -> Result<()> {
    create(player, "times", 1)?;
    let uneven = Batch {
        records: [0, 50, 20, 50]
            .map(|timestamp_delta| Record { timestamp_delta, key: None, value: Some(b"v".to_vec()) })
            .to_vec(),
        max_timestamp: RECORD_TIME_MS + 50,
        ..good()
    };
    let value = [(None, Some("v"))];
    for batch in [uneven, of_time(RECORD_TIME_MS + 40, batch(&value)), of_time(RECORD_TIME_MS + 100, batch(&value))] {
        player.prepare("Produce", 9, &request(9, ("times", UNKNOWN_ID), 0, -1, &in_hex(&batch)))?;
    }
    for after in [-1, 0, 1, 20, 21, 50, 51, 100, 101] {
        player.ask_each(&format!("{after} ms after the first"), "ListOffsets", 1..=11, |version| {
            offsets_request(version, "times", 0, RECORD_TIME_MS + after)
        })?;
    }
    player.ask_each("of the largest of several times", "ListOffsets", 7..=11, |version| {
        offsets_request(version, "times", 0, -3)
    })
}
