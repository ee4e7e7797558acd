//! The life of a log: records that are deleted, records that a compacted log does not take, times and codecs that a topic chooses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use ottla::protocol::compression::compress;
use ottla::protocol::record_batch::Codec;
use serde_json::{Value, json};

use super::configs::await_value;
use super::groups::await_coordinator;
use super::player::Player;
use super::records::{RECORD_TIME_MS, batch, good, in_hex, of_time, offsets_request, request};
use super::topics::{create, create_with};
use crate::record_batch::{Batch, HEADER_BYTES, LOG_OVERHEAD_BYTES};
use crate::wire::hex;

const UNKNOWN_ID: &str = "BBBBBBBBBBBBBBBBBBBBBA";
const EARLIEST: i64 = -2;
/// Kafka's logs hear of a setting right after those who show it.
const HEARD: Duration = Duration::from_millis(100);
/// The bit of a batch's attributes that says who has set the times.
const LOG_APPEND_TIME: u8 = 8;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    delete_records(player)?;
    keys(player)?;
    times(player)?;
    codecs(player)
}

pub fn deletion(topic: &str, offsets: &[(i32, i64)]) -> Value {
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

/// A compacted log takes no record without a key, and says which ones it was.
fn keys(player: &mut Player<'_>) -> Result<()> {
    create_with(player, "keyed", 1, &[("cleanup.policy", "compact")])?;
    let (key, none, value) = (Some("k"), None, Some("v"));
    let cases = [
        ("the only record has no key", vec![(none, value)]),
        ("the second has no key", vec![(key, value), (none, value)]),
        ("four of five have no key", vec![(none, value), (key, value), (none, value), (none, value), (none, value)]),
        ("an empty key", vec![(Some(""), value)]),
        ("a tombstone", vec![(key, none)]),
        ("a tombstone without a key", vec![(none, none)]),
    ];
    for (case, records) in cases {
        for version in [3, 7, 8, 9, 11] {
            for acks in [1, -1] {
                let body = request(version, ("keyed", UNKNOWN_ID), 0, acks, &in_hex(&batch(&records)));
                player.ask(&format!("{case}, acks={acks}"), "Produce", version, &body)?;
            }
        }
    }
    player.ask("the end of a keyed log", "ListOffsets", 6, &offsets_request(6, "keyed", 0, -1))?;
    let policy = |value: &str| {
        let config = json!({ "name": "cleanup.policy", "configOperation": 0, "value": value });
        json!({ "resources": [{ "resourceType": 2, "resourceName": "keyed", "configs": [config] }] })
    };
    let unkeyed = request(9, ("keyed", UNKNOWN_ID), 0, -1, &in_hex(&batch(&[(none, value)])));
    let last = "";
    for value in ["delete", "compact", "compact,delete", "delete,compact", last, "compact,burn"] {
        player.ask(&format!("cleanup.policy {value:?}"), "IncrementalAlterConfigs", 1, &policy(value))?;
        // Kafka answers before its broker side has heard of it. The one that is refused changes nothing.
        await_value(player, "keyed", "cleanup.policy", if value == "compact,burn" { last } else { value })?;
        std::thread::sleep(HEARD);
        player.ask(&format!("no key under cleanup.policy {value:?}"), "Produce", 9, &unkeyed)?;
    }
    for (name, value) in [
        ("min.cleanable.dirty.ratio", "1.1"),
        ("min.cleanable.dirty.ratio", "-0.1"),
        ("min.compaction.lag.ms", "-1"),
        ("max.compaction.lag.ms", "0"),
        ("delete.retention.ms", "-1"),
        ("min.compaction.lag.ms", "9223372036854775807"),
    ] {
        let config = json!({ "name": name, "configOperation": 0, "value": value });
        let body = json!({ "resources": [{ "resourceType": 2, "resourceName": "keyed", "configs": [config] }] });
        player.ask(&format!("{name}={value}"), "IncrementalAlterConfigs", 1, &body)?;
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("the clock is not that late")
}

const HOUR_MS: i64 = 3_600_000;

fn times(player: &mut Player<'_>) -> Result<()> {
    let topics: &[(&str, &[(&str, &str)])] = &[
        ("stamped", &[("message.timestamp.type", "LogAppendTime")]),
        ("stamped-late", &[("message.timestamp.type", "LogAppendTime"), ("message.timestamp.before.max.ms", "1")]),
        ("bounded", &[("message.timestamp.before.max.ms", "7200000"), ("message.timestamp.after.max.ms", "7200000")]),
        ("by-default", &[]),
    ];
    for (topic, configs) in topics {
        create_with(player, topic, 1, configs)?;
        for (case, time) in [
            ("now", now_ms()),
            ("an hour ago", now_ms() - HOUR_MS),
            ("three hours ago", now_ms() - 3 * HOUR_MS),
            ("in half an hour", now_ms() + HOUR_MS / 2),
            ("in three hours", now_ms() + 3 * HOUR_MS),
            ("without a time", -1),
        ] {
            for version in [3, 7, 8, 13] {
                let id = player.prepare("Metadata", 12, &json!({ "topics": [{ "name": topic }] }))?;
                let id = id["topics"][0]["topicId"].as_str().unwrap_or_default().to_owned();
                let body = request(version, (topic, &id), 0, -1, &in_hex(&of_time(time, good())));
                player.ask_as(&format!("{topic}: {case}"), ("Produce", version), &body, without_times)?;
            }
        }
        player.ask_as(&format!("{topic}: what is stored"), ("Fetch", 12), &fetch(topic), described)?;
    }
    Ok(())
}

/// A Produce answer without what only this moment knows: the time, where one is told, and where an error names one.
fn without_times(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let partition = &mut answer["responses"][0]["partitionResponses"][0];
    if partition["logAppendTimeMs"].as_i64().is_some_and(|time| time > 0) {
        partition["logAppendTimeMs"] = json!("a time");
    }
    for errors in partition["recordErrors"].as_array_mut().into_iter().flatten() {
        errors["batchIndexErrorMessage"] = without_digits(&errors["batchIndexErrorMessage"]);
    }
    partition["errorMessage"] = without_digits(&partition["errorMessage"]);
    answer
}

fn without_digits(text: &Value) -> Value {
    match text.as_str() {
        Some(text) => json!(text.replace(|digit: char| digit.is_ascii_digit(), "#").split("##").collect::<String>()),
        None => text.clone(),
    }
}

fn fetch(topic: &str) -> Value {
    let partition = json!({ "partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1_000_000 });
    json!({
        "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1_000_000,
        "topics": [{ "topic": topic, "partitions": [partition] }]
    })
}

/// Of each batch in a Fetch answer what does not depend on how well a codec compresses: offsets, attributes, times as far from
/// the greatest, and the count of records.
fn described(answer: &Value) -> Value {
    let records = answer["responses"][0]["partitions"][0]["records"].as_str().unwrap_or_default();
    let bytes = unhex(records.trim_start_matches("hex:"));
    let (mut rest, mut batches) = (&bytes[..], Vec::new());
    while rest.len() >= HEADER_BYTES {
        let number = |at: usize| i64::from_be_bytes(rest[at..at + 8].try_into().expect("eight bytes"));
        let small = |at: usize| i32::from_be_bytes(rest[at..at + 4].try_into().expect("four bytes"));
        let (first, max) = (number(27), number(35));
        // Of one that the server has stamped, the greatest time is that of this moment.
        let span = if rest[22] & LOG_APPEND_TIME == 0 { json!(max - first) } else { Value::Null };
        batches.push(json!({
            "baseOffset": number(0), "attributes": rest[22], "lastDelta": small(23), "count": small(57),
            "timeSpan": span, "hasTime": max >= 0, "beginsAsSent": first == RECORD_TIME_MS
        }));
        let size = usize::try_from(small(8)).unwrap_or(0) + LOG_OVERHEAD_BYTES;
        rest = rest.get(size..).unwrap_or_default();
    }
    json!({ "errorCode": answer["responses"][0]["partitions"][0]["errorCode"], "batches": batches })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap_or(0)).unwrap_or(0);
    digits.chunks(2).map(|pair| value(pair[0]) << 4 | pair.get(1).copied().map_or(0, value)).collect()
}

/// What a topic stores of what its producers have chosen otherwise.
fn codecs(player: &mut Player<'_>) -> Result<()> {
    let levels = [("compression.gzip.level", "9"), ("compression.lz4.level", "12"), ("compression.zstd.level", "10")];
    for codec in ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("in-{codec}");
        create_with(player, &topic, 1, &[&[("compression.type", codec)], &levels[..]].concat())?;
        for (sent, attributes) in [("plain", 0), ("gzip", 1), ("zstd", 4)] {
            let mut batch = batch(&[(Some("a"), Some("1")), (Some("b"), None), (None, Some("3"))]);
            batch.attributes = attributes;
            batch.records[1].timestamp_delta = 5;
            batch.max_timestamp += 5;
            let hex = json!(hex(&compressed(&batch, attributes)?));
            let body = request(9, (&topic, UNKNOWN_ID), 0, -1, &hex);
            player.ask(&format!("{topic}: sent {sent}"), "Produce", 9, &body)?;
        }
        player.ask_as(&format!("{topic}: what is stored"), ("Fetch", 12), &fetch(&topic), described)?;
    }
    let large = batch(&[(None, Some(&"x".repeat(5000)))]);
    create_with(player, "swollen", 1, &[("compression.type", "uncompressed"), ("max.message.bytes", "2000")])?;
    let body = request(9, ("swollen", UNKNOWN_ID), 0, -1, &json!(hex(&compressed(&large, 1)?)));
    player.ask("larger than a batch may be, once it is not compressed", "Produce", 9, &body)?;
    create_with(player, "shrunk", 1, &[("compression.type", "gzip"), ("max.message.bytes", "2000")])?;
    let body = request(9, ("shrunk", UNKNOWN_ID), 0, -1, &in_hex(&large));
    player.ask("smaller than a batch may be only when it is compressed", "Produce", 9, &body)?;
    let stamped = [("compression.type", "gzip"), ("message.timestamp.type", "LogAppendTime")];
    create_with(player, "stamped-gzip", 1, &stamped)?;
    let body = request(9, ("stamped-gzip", UNKNOWN_ID), 0, -1, &in_hex(&good()));
    player.ask_as("stamped and compressed", ("Produce", 9), &body, without_times)?;
    player.ask_as("stamped and compressed, what is stored", ("Fetch", 12), &fetch("stamped-gzip"), described)?;
    Ok(())
}

/// The batch with its records compressed, and its length and CRC right.
pub fn compressed(batch: &Batch, codec: i16) -> Result<Vec<u8>> {
    let plain = batch.encode();
    let (header, records) = plain.split_at(HEADER_BYTES);
    let codec_of_ours = Codec::from_attributes(codec).map_err(|codec| anyhow!("codec {codec}"))?;
    let records = compress(codec_of_ours, records);
    let mut bytes = [header, &records[..]].concat();
    let length = i32::try_from(bytes.len() - LOG_OVERHEAD_BYTES)?;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[22] = codec.to_be_bytes()[1];
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Ok(bytes)
}
