//! DescribeConfigs, IncrementalAlterConfigs, ListConfigResources.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::player::Player;
use super::topics::create_with;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    create_with(player, "set", 1, &[("retention.ms", "60000"), ("segment.bytes", "2000000")])?;
    create_with(player, "plain", 1, &[])?;
    describe(player)?;
    alter(player)?;
    bad_alterations(player)?;
    list(player)
}

fn resource(kind: i8, name: &str, keys: Value) -> Value {
    json!({ "resourceType": kind, "resourceName": name, "configurationKeys": keys })
}

fn describe(player: &mut Player<'_>) -> Result<()> {
    let api = "DescribeConfigs";
    let some = json!(["retention.ms", "segment.bytes", "cleanup.policy", "min.insync.replicas"]);
    let none = Value::Null;
    for (case, resource) in [
        ("a topic with overrides", resource(TOPIC, "set", some.clone())),
        ("a topic without", resource(TOPIC, "plain", some)),
        ("a whole topic", resource(TOPIC, "set", none.clone())),
        ("no keys", resource(TOPIC, "set", json!([]))),
        ("an unknown key", resource(TOPIC, "set", json!(["nonsense"]))),
        ("an unknown topic", resource(TOPIC, "gone", none.clone())),
        ("an invalid topic name", resource(TOPIC, "a/b", none.clone())),
        (
            "some of a broker",
            resource(BROKER, "1", json!(["num.partitions", "log.retention.hours", "message.max.bytes"])),
        ),
        ("another broker", resource(BROKER, "9", none.clone())),
        ("a broker that is no number", resource(BROKER, "x", none.clone())),
        ("the brokers' defaults", resource(BROKER, "", none.clone())),
        ("an unknown type", resource(99, "x", none)),
    ] {
        player.ask_each(case, api, 1..=4, |_| json!({ "resources": [resource] }))?;
    }
    let all = json!({ "resources": [resource(TOPIC, "set", Value::Null)], "includeSynonyms": true });
    player.ask_each("a whole topic with synonyms", api, 1..=4, |_| all.clone())?;
    let broker = json!({ "resources": [resource(BROKER, "1", json!(["log.retention.ms", "num.partitions"]))], "includeSynonyms": true });
    player.ask_each("some of a broker with synonyms", api, 1..=4, |_| broker.clone())?;
    Ok(())
}

fn change(kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> Value {
    let configs: Vec<Value> = changes
        .iter()
        .map(|(name, operation, value)| json!({ "name": name, "configOperation": operation, "value": value }))
        .collect();
    json!({ "resources": [{ "resourceType": kind, "resourceName": name, "configs": configs }] })
}

fn alter(player: &mut Player<'_>) -> Result<()> {
    let api = "IncrementalAlterConfigs";
    let shown = json!({
        "resources": [resource(TOPIC, "set", json!(["retention.ms", "cleanup.policy", "segment.bytes"]))],
        "includeSynonyms": true
    });
    for (case, body, key, value) in [
        ("set", change(TOPIC, "set", &[("retention.ms", SET, Some("70000"))]), "retention.ms", "70000"),
        (
            "append",
            change(TOPIC, "set", &[("cleanup.policy", APPEND, Some("compact"))]),
            "cleanup.policy",
            "delete,compact",
        ),
        (
            "subtract",
            change(TOPIC, "set", &[("cleanup.policy", SUBTRACT, Some("delete"))]),
            "cleanup.policy",
            "compact",
        ),
        ("delete", change(TOPIC, "set", &[("segment.bytes", DELETE, None)]), "segment.bytes", "1073741824"),
        ("delete what is not set", change(TOPIC, "set", &[("flush.ms", DELETE, None)]), "retention.ms", "70000"),
    ] {
        player.ask_each(case, api, 0..=1, |_| body.clone())?;
        await_value(player, "set", key, value)?;
        player.ask(&format!("after {case}"), "DescribeConfigs", 4, &shown)?;
    }
    let mut only = change(TOPIC, "set", &[("retention.ms", SET, Some("80000"))]);
    only["validateOnly"] = json!(true);
    player.ask("only to be validated", api, 1, &only)?;
    player.ask("after a validation", "DescribeConfigs", 4, &shown)?;
    let broker = change(BROKER, "1", &[("log.retention.ms", SET, Some("90000"))]);
    player.ask("of a broker", api, 1, &broker)?;
    let default = change(BROKER, "", &[("log.segment.bytes", SET, Some("3000000"))]);
    player.ask("of all brokers", api, 1, &default)?;
    await_value(player, "plain", "retention.ms", "90000")?;
    await_value(player, "plain", "segment.bytes", "3000000")?;
    player.ask("after brokers changed", "DescribeConfigs", 4, &shown)?;
    Ok(())
}

/// Kafka's broker learns of a change after the controller has answered.
pub fn await_value(player: &mut Player<'_>, topic: &str, key: &str, value: &str) -> Result<()> {
    let body = json!({ "resources": [resource(TOPIC, topic, json!([key]))] });
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = player.prepare("DescribeConfigs", 4, &body)?;
        if answer["results"][0]["configs"][0]["value"] == value {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{key} of {topic} is not {value}: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a broker goes by everything that the controller has done. Metadata is heard of in order: what comes before a change
/// that is shown is known too, and all that follows from it is done when the next change is.
pub fn catch_up(player: &mut Player<'_>, topic: &str) -> Result<()> {
    static LAST: AtomicU32 = AtomicU32::new(1_000_000);
    for _ in 0..2 {
        let value = LAST.fetch_add(1, Ordering::Relaxed).to_string();
        let body = change(TOPIC, topic, &[("segment.ms", SET, Some(&value))]);
        player.prepare("IncrementalAlterConfigs", 1, &body)?;
        await_value(player, topic, "segment.ms", &value)?;
    }
    Ok(())
}

fn bad_alterations(player: &mut Player<'_>) -> Result<()> {
    let api = "IncrementalAlterConfigs";
    for (case, body) in [
        ("an unknown name", change(TOPIC, "set", &[("nonsense", SET, Some("1"))])),
        ("a wrong type", change(TOPIC, "set", &[("retention.ms", SET, Some("long"))])),
        ("out of range", change(TOPIC, "set", &[("min.insync.replicas", SET, Some("0"))])),
        ("a null value", change(TOPIC, "set", &[("retention.ms", SET, None)])),
        ("append to what is no list", change(TOPIC, "set", &[("retention.ms", APPEND, Some("1"))])),
        ("an unknown operation", change(TOPIC, "set", &[("retention.ms", 9, Some("1"))])),
        ("an unknown topic", change(TOPIC, "gone", &[("retention.ms", SET, Some("1"))])),
        (
            "the same name twice",
            change(TOPIC, "set", &[("retention.ms", SET, Some("1")), ("retention.ms", DELETE, None)]),
        ),
        ("another broker", change(BROKER, "9", &[("log.retention.ms", SET, Some("1"))])),
        ("a read-only config", change(BROKER, "1", &[("broker.id", SET, Some("2"))])),
        ("an unknown type", change(99, "x", &[("a", SET, Some("1"))])),
        ("no changes", change(TOPIC, "set", &[])),
    ] {
        player.ask_each(case, api, 0..=1, |_| body.clone())?;
    }
    Ok(())
}

fn list(player: &mut Player<'_>) -> Result<()> {
    player.ask_each("all", "ListConfigResources", 0..=1, |_| json!({}))?;
    player.ask("topics", "ListConfigResources", 1, &json!({ "resourceTypes": [TOPIC] }))?;
    player.ask("brokers", "ListConfigResources", 1, &json!({ "resourceTypes": [BROKER] }))?;
    player.ask("an unknown type", "ListConfigResources", 1, &json!({ "resourceTypes": [99] }))?;
    Ok(())
}
