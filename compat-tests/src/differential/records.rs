//! Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, InitProducerId, DescribeProducers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::life::compressed;
use super::player::Player;
use super::topics::{create, create_with};
use crate::record_batch::{Batch, Record};
use crate::wire::hex;

const UNKNOWN_ID: &str = "BBBBBBBBBBBBBBBBBBBBBA";

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let id = create(player, "log", 2)?;
    produce(player, &id)?;
    bad_batches(player)?;
    limits(player)?;
    codec_of_later_versions(player)?;
    idempotence(player)?;
    fetch(player, &id)?;
    fetch_sessions(player, &id)?;
    fetch_sessions_of_two_kinds(player, &id)?;
    list_offsets(player)?;
    leader_epochs(player)?;
    producers(player)
}

pub const RECORD_TIME_MS: i64 = 1_760_000_000_000;

/// A batch of these keys and values, all of the same time.
pub fn batch(records: &[(Option<&str>, Option<&str>)]) -> Batch {
    let part = |part: Option<&str>| part.map(|text| text.as_bytes().to_vec());
    let record = |(key, value): &(_, _)| Record { timestamp_delta: 0, key: part(*key), value: part(*value) };
    let records = records.iter().map(record).collect();
    Batch { records, first_timestamp: RECORD_TIME_MS, max_timestamp: RECORD_TIME_MS, ..Batch::default() }
}

/// A batch with nothing wrong.
pub fn good() -> Batch {
    batch(&[(Some("key"), Some("value"))])
}

/// The batch as an idempotent producer sends it: id, epoch, sequence of the first record.
fn by((producer_id, producer_epoch, base_sequence): (i64, i16, i32), batch: Batch) -> Batch {
    Batch { producer_id, producer_epoch, base_sequence, ..batch }
}

pub fn of_time(timestamp: i64, batch: Batch) -> Batch {
    Batch { first_timestamp: timestamp, max_timestamp: timestamp, ..batch }
}

pub fn in_hex(batch: &Batch) -> Value {
    json!(hex(&batch.encode()))
}

/// A Produce request for one partition; from v13 on topics go by id.
pub fn request(version: i16, topic: (&str, &str), partition: i32, acks: i16, records: &Value) -> Value {
    let partitions = json!([{ "index": partition, "records": records }]);
    let data = if version >= 13 {
        json!({ "topicId": topic.1, "partitionData": partitions })
    } else {
        json!({ "name": topic.0, "partitionData": partitions })
    };
    json!({ "acks": acks, "timeoutMs": 5000, "topicData": [data] })
}

fn produce(player: &mut Player<'_>, id: &str) -> Result<()> {
    let batch = in_hex(&good());
    let log = ("log", id);
    player.ask_each("one record, acks=1", "Produce", 3..=13, |version| request(version, log, 0, 1, &batch))?;
    player.ask_each("one record, acks=all", "Produce", 3..=13, |version| request(version, log, 0, -1, &batch))?;
    player.ask_each("acks=2", "Produce", 3..=13, |version| request(version, log, 0, 2, &batch))?;
    player.ask_each("an unknown topic", "Produce", 3..=13, |version| {
        request(version, ("gone", UNKNOWN_ID), 0, 1, &batch)
    })?;
    player.ask_each("an unknown partition", "Produce", 3..=13, |version| request(version, log, 7, 1, &batch))?;
    player.ask_each("a negative partition", "Produce", 3..=13, |version| request(version, log, -1, 1, &batch))?;
    for version in [3, 9, 13] {
        player.ask_in_vain("null records", "Produce", version, &request(version, log, 0, 1, &Value::Null))?;
    }
    player.ask_each("no records", "Produce", 3..=13, |version| request(version, log, 0, 1, &json!("hex:")))?;
    player.ask_each("no topics", "Produce", 3..=13, |_| json!({ "acks": 1, "timeoutMs": 100, "topicData": [] }))?;
    player.ask_each("a transactional id", "Produce", 3..=13, |version| {
        let mut body = request(version, log, 0, -1, &batch);
        body["transactionalId"] = json!("a-transaction");
        body
    })?;
    Ok(())
}

fn bad_batches(player: &mut Player<'_>) -> Result<()> {
    let good = good();
    let mut cut = good.encode();
    cut.truncate(70);
    let mut two = good.encode();
    two.extend_from_slice(&good.encode());
    let mut trailing = good.encode();
    trailing.extend_from_slice(&[1, 2, 3]);
    let mut long = good.encode();
    long[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut short = good.encode();
    short[8..12].copy_from_slice(&20i32.to_be_bytes());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a wrong CRC", Batch { crc: Some(1), ..good.clone() }.encode()),
        ("magic 0", Batch { magic: 0, ..good.clone() }.encode()),
        ("magic 1", Batch { magic: 1, ..good.clone() }.encode()),
        ("magic 3", Batch { magic: 3, ..good.clone() }.encode()),
        ("an unknown codec", Batch { attributes: 5, ..good.clone() }.encode()),
        ("codec 7", Batch { attributes: 7, ..good.clone() }.encode()),
        ("gzip that is none", Batch { attributes: 1, ..good.clone() }.encode()),
        ("a count above the records", Batch { count: Some(2), ..good.clone() }.encode()),
        ("a count of zero", Batch { count: Some(0), ..good.clone() }.encode()),
        ("a negative count", Batch { count: Some(-1), ..good.clone() }.encode()),
        ("a batch without records", Batch { records: vec![], ..good.clone() }.encode()),
        ("a control batch", Batch { attributes: 0x20, ..good.clone() }.encode()),
        ("a transactional batch", by((77, 0, 0), Batch { attributes: 0x10, ..good.clone() }).encode()),
        ("a producer id without a sequence", by((77, 0, -1), good.clone()).encode()),
        ("the log append time bit", Batch { attributes: 8, ..good.clone() }.encode()),
        ("a timestamp of the far future", of_time(i64::MAX / 2, good.clone()).encode()),
        ("a negative timestamp", of_time(-5, good.clone()).encode()),
        ("a cut batch", cut),
        ("two batches", two),
        ("bytes behind the batch", trailing),
        ("a length beyond the end", long),
        ("a length below the header", short),
        ("ten bytes", vec![0; 10]),
        ("null key and value", batch(&[(None, None)]).encode()),
    ];
    // A partition each: creating topics is what takes Kafka the longest.
    create(player, "bad", i32::try_from(cases.len())?)?;
    for (partition, (case, bytes)) in (0..).zip(cases) {
        for version in [3, 8, 11] {
            // acks=all: what is acknowledged is what consumers may read, and so the end of the log.
            let body = request(version, ("bad", UNKNOWN_ID), partition, -1, &json!(hex(&bytes)));
            player.ask(case, "Produce", version, &body)?;
        }
        // Whatever was refused must not be in the log.
        let body = offsets_request(6, "bad", partition, -1);
        player.ask(&format!("end of the log after {case}"), "ListOffsets", 6, &body)?;
    }
    Ok(())
}

fn limits(player: &mut Player<'_>) -> Result<()> {
    create_with(player, "small", 1, &[("max.message.bytes", "100")])?;
    let large = batch(&[(None, Some(&"x".repeat(200)))]);
    let body = request(9, ("small", UNKNOWN_ID), 0, 1, &in_hex(&large));
    player.ask("a batch over max.message.bytes", "Produce", 9, &body)?;
    create_with(player, "short", 1, &[("segment.bytes", "1048576"), ("max.message.bytes", "2000000")])?;
    let longer = batch(&[(None, Some(&"x".repeat(1_200_000)))]);
    for version in [4, 9] {
        let body = request(version, ("short", UNKNOWN_ID), 0, 1, &in_hex(&longer));
        player.ask("a batch over segment.bytes", "Produce", version, &body)?;
    }
    create_with(player, "compact", 1, &[("cleanup.policy", "compact")])?;
    let unkeyed = batch(&[(Some("k"), Some("v")), (None, Some("v"))]);
    for version in [7, 8, 9] {
        let body = request(version, ("compact", UNKNOWN_ID), 0, 1, &in_hex(&unkeyed));
        player.ask("a record without a key on a compacted topic", "Produce", version, &body)?;
    }
    create_with(player, "append-time", 1, &[("message.timestamp.type", "LogAppendTime")])?;
    let body = request(9, ("append-time", UNKNOWN_ID), 0, 1, &in_hex(&good()));
    player.ask("a topic of append time", "Produce", 9, &body)?;
    create_with(player, "timely", 1, &[("message.timestamp.before.max.ms", "1000")])?;
    for version in [7, 8, 9] {
        let body = request(version, ("timely", UNKNOWN_ID), 0, 1, &in_hex(&good()));
        player.ask("a timestamp before the limit", "Produce", version, &body)?;
    }
    Ok(())
}

/// Kafka's first versions with records in batches know no zstd.
fn codec_of_later_versions(player: &mut Player<'_>) -> Result<()> {
    create(player, "zstd", 1)?;
    let records = json!(hex(&compressed(&good(), 4)?));
    player.ask_each("zstd", "Produce", 3..=12, |version| request(version, ("zstd", UNKNOWN_ID), 0, -1, &records))?;
    player.ask("the end after zstd", "ListOffsets", 6, &offsets_request(6, "zstd", 0, -1))?;
    Ok(())
}

fn idempotence(player: &mut Player<'_>) -> Result<()> {
    create(player, "once", 1)?;
    let mut send = |case: &str, producer: (i64, i16, i32), records: usize| {
        let batch = by(producer, batch(&vec![(None, Some("v")); records]));
        player.ask(case, "Produce", 9, &request(9, ("once", UNKNOWN_ID), 0, -1, &in_hex(&batch)))
    };
    send("an unknown producer with any first sequence", (500, 0, 7), 3)?;
    send("the next sequence", (500, 0, 10), 1)?;
    send("a duplicate of the last batch", (500, 0, 10), 1)?;
    send("a duplicate of an older batch", (500, 0, 7), 3)?;
    send("a part of an older batch", (500, 0, 8), 1)?;
    send("a gap", (500, 0, 20), 1)?;
    send("a newer epoch that does not begin at 0", (500, 1, 4), 1)?;
    send("a newer epoch", (500, 1, 0), 1)?;
    send("the older epoch", (500, 0, 11), 1)?;
    for sequence in 1..=6 {
        send("one of six batches", (500, 1, sequence), 1)?;
    }
    send("the oldest of the last five", (500, 1, 2), 1)?;
    send("one older than the last five", (500, 1, 1), 1)?;
    send("a sequence before the end of the numbers", (501, 0, i32::MAX - 1), 2)?;
    send("the sequence after the end of the numbers", (501, 0, 0), 1)?;
    send("a batch over the end of the numbers", (502, 0, i32::MAX), 2)?;
    send("what follows on it", (502, 0, 1), 1)?;
    send("a negative epoch", (503, -1, 0), 1)?;
    Ok(())
}

/// A Fetch of one partition; from v13 on topics go by id.
fn fetch_request(version: i16, id: &str, partition: Value) -> Value {
    let topic = if version >= 13 { json!({ "topicId": id }) } else { json!({ "topic": "log" }) };
    let mut topic = topic;
    topic["partitions"] = json!([partition]);
    json!({ "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1_000_000, "topics": [topic] })
}

fn at(offset: i64) -> Value {
    json!({ "partition": 0, "fetchOffset": offset, "partitionMaxBytes": 1_000_000 })
}

fn fetch(player: &mut Player<'_>, id: &str) -> Result<()> {
    player.ask_each("from the start", "Fetch", 4..=18, |version| fetch_request(version, id, at(0)))?;
    player.ask_each("from the middle", "Fetch", 4..=18, |version| fetch_request(version, id, at(5)))?;
    player.ask_each("at the end", "Fetch", 4..=18, |version| fetch_request(version, id, at(22)))?;
    player.ask_each("beyond the end", "Fetch", 4..=18, |version| fetch_request(version, id, at(1000)))?;
    player.ask_each("below the start", "Fetch", 4..=18, |version| fetch_request(version, id, at(-5)))?;
    player.ask_each("committed records only", "Fetch", 4..=18, |version| {
        let mut body = fetch_request(version, id, at(20));
        body["isolationLevel"] = json!(1);
        body
    })?;
    player.ask_each("an unknown partition", "Fetch", 4..=18, |version| {
        fetch_request(version, id, json!({ "partition": 9, "fetchOffset": 0, "partitionMaxBytes": 1000 }))
    })?;
    player.ask_each("an unknown topic", "Fetch", 4..=18, |version| {
        let mut body = fetch_request(version, UNKNOWN_ID, at(0));
        if version < 13 {
            body["topics"][0]["topic"] = json!("gone");
        }
        body
    })?;
    player.ask_each("one byte a partition", "Fetch", 4..=18, |version| {
        fetch_request(version, id, json!({ "partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 }))
    })?;
    player.ask_each("one byte in all", "Fetch", 4..=18, |version| {
        let mut body = fetch_request(version, id, at(0));
        body["maxBytes"] = json!(1);
        body
    })?;
    player.ask_each("a newer leader epoch", "Fetch", 9..=18, |version| {
        let mut partition = at(0);
        partition["currentLeaderEpoch"] = json!(99);
        fetch_request(version, id, partition)
    })?;
    player.ask_each("a last fetched epoch from the future", "Fetch", 12..=18, |version| {
        let mut partition = at(5);
        partition["lastFetchedEpoch"] = json!(99);
        fetch_request(version, id, partition)
    })?;
    player.ask_each("no topics", "Fetch", 4..=18, |_| json!({ "maxWaitMs": 0, "minBytes": 0, "topics": [] }))?;
    player.ask_each("at the end, waiting", "Fetch", 4..=18, |version| {
        let mut body = fetch_request(version, id, at(22));
        body["maxWaitMs"] = json!(20);
        body["minBytes"] = json!(1);
        body
    })
}

fn fetch_sessions(player: &mut Player<'_>, id: &str) -> Result<()> {
    for version in [7, 12, 13, 18] {
        let mut open = fetch_request(version, id, at(0));
        open["sessionEpoch"] = json!(0);
        let answer = player.ask("a new session", "Fetch", version, &open)?;
        let session = answer["sessionId"].clone();
        let mut next = json!({ "maxWaitMs": 0, "minBytes": 0, "sessionId": session, "sessionEpoch": 1, "topics": [] });
        player.ask("an incremental fetch", "Fetch", version, &next)?;
        next["sessionEpoch"] = json!(9);
        player.ask("a wrong session epoch", "Fetch", version, &next)?;
        let forgotten = if version >= 13 { json!({ "topicId": id }) } else { json!({ "topic": "log" }) };
        let mut forgotten = forgotten;
        forgotten["partitions"] = json!([0]);
        next["sessionEpoch"] = json!(2);
        next["forgottenTopicsData"] = json!([forgotten]);
        player.ask("a forgotten partition", "Fetch", version, &next)?;
        let mut unknown = fetch_request(version, id, at(0));
        unknown["sessionId"] = json!(12345);
        unknown["sessionEpoch"] = json!(1);
        player.ask("an unknown session", "Fetch", version, &unknown)?;
        let mut close =
            json!({ "maxWaitMs": 0, "minBytes": 0, "sessionId": session, "sessionEpoch": -1, "topics": [] });
        player.ask("a closed session", "Fetch", version, &close)?;
        close["sessionEpoch"] = json!(3);
        player.ask("a session that was closed", "Fetch", version, &close)?;
    }
    Ok(())
}

/// A session goes by names or by ids, as its first request did.
fn fetch_sessions_of_two_kinds(player: &mut Player<'_>, id: &str) -> Result<()> {
    for (first, second) in [(12, 13), (13, 12), (7, 18)] {
        let mut open = fetch_request(first, id, at(0));
        open["sessionEpoch"] = json!(0);
        let session = player.prepare("Fetch", first, &open)?["sessionId"].clone();
        let mut next = fetch_request(second, id, at(0));
        next["sessionId"] = session;
        next["sessionEpoch"] = json!(1);
        player.ask(&format!("in a session of v{first}"), "Fetch", second, &next)?;
    }
    Ok(())
}

pub fn offsets_request(version: i16, topic: &str, partition: i32, timestamp: i64) -> Value {
    let mut body = json!({
        "replicaId": -1,
        "topics": [{ "name": topic, "partitions": [{ "partitionIndex": partition, "timestamp": timestamp }] }]
    });
    if version >= 10 {
        body["timeoutMs"] = json!(1000);
    }
    body
}

fn list_offsets(player: &mut Player<'_>) -> Result<()> {
    for (case, timestamp) in [
        ("latest", -1),
        ("earliest", -2),
        ("of the largest timestamp", -3),
        ("earliest local", -4),
        ("latest tiered", -5),
        ("earliest pending upload", -6),
        ("of a time that no API names", -7),
        ("of time 0", 0),
        ("of the records' time", 1_760_000_000_000),
        ("of a later time", 1_760_000_000_001),
    ] {
        player.ask_each(case, "ListOffsets", 1..=11, |version| offsets_request(version, "log", 0, timestamp))?;
        player.ask_each(&format!("{case}, empty"), "ListOffsets", 1..=11, |version| {
            offsets_request(version, "log", 1, timestamp)
        })?;
    }
    player.ask_each("an unknown topic", "ListOffsets", 1..=11, |version| offsets_request(version, "gone", 0, -1))?;
    player.ask_each("an unknown partition", "ListOffsets", 1..=11, |version| offsets_request(version, "log", 9, -1))?;
    player.ask_each("the same partition twice", "ListOffsets", 1..=11, |version| {
        let mut body = offsets_request(version, "log", 0, -1);
        let partition = body["topics"][0]["partitions"][0].clone();
        body["topics"][0]["partitions"] = json!([partition, partition]);
        body
    })?;
    player.ask_each("a newer leader epoch", "ListOffsets", 4..=11, |version| {
        let mut body = offsets_request(version, "log", 0, -1);
        body["topics"][0]["partitions"][0]["currentLeaderEpoch"] = json!(99);
        body
    })?;
    player.ask_each("committed records only", "ListOffsets", 2..=11, |version| {
        let mut body = offsets_request(version, "log", 0, -1);
        body["isolationLevel"] = json!(1);
        body
    })
}

fn leader_epochs(player: &mut Player<'_>) -> Result<()> {
    let ask = |topic: &str, partition: i32, current: i32, epoch: i32| {
        let partition = json!({ "partition": partition, "currentLeaderEpoch": current, "leaderEpoch": epoch });
        json!({ "replicaId": -1, "topics": [{ "topic": topic, "partitions": [partition] }] })
    };
    let api = "OffsetForLeaderEpoch";
    for (case, body) in [
        ("epoch 0", ask("log", 0, -1, 0)),
        ("an epoch from the future", ask("log", 0, -1, 50)),
        ("a negative epoch", ask("log", 0, -1, -1)),
        ("of an empty partition", ask("log", 1, -1, 0)),
        ("an unknown topic", ask("gone", 0, -1, 0)),
        ("an unknown partition", ask("log", 9, -1, 0)),
        ("a newer leader epoch", ask("log", 0, 99, 0)),
    ] {
        player.ask_each(case, api, 2..=4, |_| body.clone())?;
    }
    Ok(())
}

fn producers(player: &mut Player<'_>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    // Kafka fetches its first block of ids when it is first asked for one.
    let any = json!({ "transactionalId": null, "transactionTimeoutMs": 60000 });
    while player.prepare("InitProducerId", 4, &any)?["errorCode"] != 0 {
        ensure!(Instant::now() < until, "no producer ids");
        std::thread::sleep(Duration::from_millis(50));
    }
    player.ask_each(
        "an idempotent producer",
        "InitProducerId",
        0..=5,
        |_| json!({ "transactionalId": null, "transactionTimeoutMs": 60000 }),
    )?;
    player.ask_each(
        "an id and epoch to be bumped",
        "InitProducerId",
        3..=5,
        |_| json!({ "transactionalId": null, "transactionTimeoutMs": 60000, "producerId": 4, "producerEpoch": 2 }),
    )?;
    player.ask_each(
        "an id without an epoch",
        "InitProducerId",
        3..=5,
        |_| json!({ "transactionalId": null, "transactionTimeoutMs": 60000, "producerId": 4, "producerEpoch": -1 }),
    )?;
    player.ask_each(
        "an empty transactional id",
        "InitProducerId",
        0..=5,
        |_| json!({ "transactionalId": "", "transactionTimeoutMs": 60000 }),
    )?;
    // Nobody has asked for the coordinator of transactions here, and so it is on no broker.
    player.ask_each(
        "a transactional id",
        "InitProducerId",
        0..=5,
        |_| json!({ "transactionalId": "a-transaction", "transactionTimeoutMs": 60000 }),
    )?;
    let ask = |topic: &str, partition: i32| json!({ "topics": [{ "name": topic, "partitionIndexes": [partition] }] });
    player.ask("of a partition", "DescribeProducers", 0, &ask("once", 0))?;
    player.ask("of a partition without producers", "DescribeProducers", 0, &ask("log", 1))?;
    player.ask("of an unknown topic", "DescribeProducers", 0, &ask("gone", 0))?;
    player.ask("of a name that no topic can have", "DescribeProducers", 0, &ask("a/b", 0))?;
    player.ask("of an unknown partition", "DescribeProducers", 0, &ask("log", 9))?;
    Ok(())
}
