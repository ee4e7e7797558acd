//! AlterConfigs in every version, IncrementalAlterConfigs on every kind of resource, and levels of loggers.

use anyhow::Result;
use serde_json::{Value, json};

use super::configs::catch_up;
use super::moving::RECORDS_MAX;
use super::player::Player;
use super::topics::create_with;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
const OLD: &str = "AlterConfigs";
const NEW: &str = "IncrementalAlterConfigs";
/// The topic whose changes say how much was heard of.
const BARRIER: &str = "barrier";
/// The longest value that Kafka's controller takes, in bytes.
const VALUE_BYTES_MAX: usize = 32_767;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    create_with(player, "replaced", 1, &[("retention.ms", "60000"), ("flush.ms", "5")])?;
    create_with(player, "other", 1, &[])?;
    create_with(player, BARRIER, 1, &[])?;
    replace(player)?;
    refused(player)?;
    several(player)?;
    groups_and_subscriptions(player)?;
    lists(player)?;
    long_values(player)?;
    many_values(player)?;
    loggers(player)
}

type Setting<'a> = (&'a str, Option<&'a str>);
/// The name, the operation and the value of one change.
type Alteration = (&'static str, i8, Option<&'static str>);

fn whole(kind: i8, name: &str, configs: &[Setting<'_>]) -> Value {
    let configs: Vec<Value> = configs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({ "resourceType": kind, "resourceName": name, "configs": configs })
}

fn request(resources: &[Value]) -> Value {
    json!({ "resources": resources })
}

fn change(kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> Value {
    let configs: Vec<Value> = changes
        .iter()
        .map(|(name, operation, value)| json!({ "name": name, "configOperation": operation, "value": value }))
        .collect();
    json!({ "resourceType": kind, "resourceName": name, "configs": configs })
}

/// Kafka's answer names resources in the order of a hash map.
fn by_name(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if answer.is_null() {
        return answer;
    }
    if let Some(responses) = answer["responses"].as_array_mut() {
        responses.sort_by_key(|response| format!("{} {}", response["resourceType"], response["resourceName"]));
    }
    answer
}

/// What is set on a resource itself, when it is what the controller was told.
fn shown(player: &mut Player<'_>, case: &str, kind: i8, name: &str, keys: &[&str]) -> Result<()> {
    let body = json!({ "resources": [{ "resourceType": kind, "resourceName": name, "configurationKeys": keys }],
                       "includeSynonyms": true });
    catch_up(player, BARRIER)?;
    player.ask(&format!("after {case}"), "DescribeConfigs", 4, &body)?;
    Ok(())
}

fn replace(player: &mut Player<'_>) -> Result<()> {
    let keys = ["retention.ms", "flush.ms", "cleanup.policy", "segment.bytes"];
    let steps: &[(&str, &[Setting<'_>])] = &[
        ("one of two", &[("retention.ms", Some("70000"))]),
        ("two others", &[("cleanup.policy", Some("compact")), ("segment.bytes", Some("2000000"))]),
        ("the same again", &[("cleanup.policy", Some("compact")), ("segment.bytes", Some("2000000"))]),
        ("nothing left", &[]),
    ];
    for (case, configs) in steps {
        player.ask_each(case, OLD, 0..=2, |_| request(&[whole(TOPIC, "replaced", configs)]))?;
        shown(player, case, TOPIC, "replaced", &keys)?;
    }
    let mut only = request(&[whole(TOPIC, "replaced", &[("retention.ms", Some("80000"))])]);
    only["validateOnly"] = json!(true);
    player.ask_each("only to be validated", OLD, 0..=2, |_| only.clone())?;
    shown(player, "a validation", TOPIC, "replaced", &keys)?;
    let broker = ["log.retention.ms", "log.segment.bytes", "background.threads"];
    let set = whole(BROKER, "1", &[("log.retention.ms", Some("90000")), ("background.threads", Some("11"))]);
    player.ask("of a broker", OLD, 2, &request(&[set]))?;
    shown(player, "of a broker", BROKER, "1", &broker)?;
    player.ask("of a broker, less", OLD, 2, &request(&[whole(BROKER, "1", &[("background.threads", Some("12"))])]))?;
    shown(player, "of a broker, less", BROKER, "1", &broker)?;
    // Kafka's controller keeps what the cluster's ELR needs; see the refusal below.
    let all = whole(BROKER, "", &[("log.segment.bytes", Some("3000000")), ("min.insync.replicas", Some("1"))]);
    player.ask("of all brokers", OLD, 2, &request(&[all]))?;
    shown(player, "of all brokers", BROKER, "1", &broker)?;
    player.ask("of all brokers, without min ISR", OLD, 2, &request(&[whole(BROKER, "", &[])]))?;
    let back = whole(BROKER, "", &[("min.insync.replicas", Some("1"))]);
    player.ask("of all brokers, min ISR alone", OLD, 2, &request(&[back]))?;
    player.ask("of a broker, nothing", OLD, 2, &request(&[whole(BROKER, "1", &[])]))?;
    shown(player, "all", BROKER, "1", &broker)
}

fn refused(player: &mut Player<'_>) -> Result<()> {
    let cases: &[(&str, i8, &str, &[Setting<'_>])] = &[
        ("an unknown name", TOPIC, "replaced", &[("nonsense", Some("1"))]),
        ("a wrong type", TOPIC, "replaced", &[("retention.ms", Some("long"))]),
        ("out of range", TOPIC, "replaced", &[("min.insync.replicas", Some("0"))]),
        ("one good and one bad", TOPIC, "replaced", &[("flush.ms", Some("7")), ("retention.ms", Some("-9"))]),
        (
            "contradictory",
            TOPIC,
            "replaced",
            &[("min.compaction.lag.ms", Some("10")), ("max.compaction.lag.ms", Some("5"))],
        ),
        ("a null value", TOPIC, "replaced", &[("retention.ms", None)]),
        ("null values", TOPIC, "replaced", &[("retention.ms", None), ("flush.ms", None), ("segment.ms", Some("7"))]),
        ("the same name twice", TOPIC, "replaced", &[("flush.ms", Some("1")), ("flush.ms", Some("2"))]),
        ("an unknown topic", TOPIC, "gone", &[("flush.ms", Some("1"))]),
        ("an invalid topic name", TOPIC, "a/b", &[("flush.ms", Some("1"))]),
        ("no topic name", TOPIC, "", &[("flush.ms", Some("1"))]),
        ("another broker", BROKER, "9", &[("log.retention.ms", Some("1"))]),
        ("a broker that is no number", BROKER, "x", &[("log.retention.ms", Some("1"))]),
        ("a broker's number with a sign", BROKER, "+1", &[("log.retention.ms", Some("1"))]),
        ("a read-only name", BROKER, "1", &[("node.id", Some("1"))]),
        ("read-only names", BROKER, "1", &[("node.id", Some("1")), ("broker.id", Some("1"))]),
        ("a broker's unknown name", BROKER, "1", &[("nonsense", Some("1"))]),
        ("a name for one broker, of all", BROKER, "", &[("ssl.keystore.type", Some("JKS"))]),
        ("a name for listeners", BROKER, "1", &[("ssl.keystore.type", Some("JKS"))]),
        ("a broker's wrong type", BROKER, "1", &[("log.retention.ms", Some("x"))]),
        ("a broker's min ISR", BROKER, "1", &[("min.insync.replicas", Some("1"))]),
        ("twice as many threads and more", BROKER, "1", &[("num.io.threads", Some("17"))]),
        ("half of the threads and less", BROKER, "", &[("background.threads", Some("4"))]),
        ("more fetchers", BROKER, "", &[("num.replica.fetchers", Some("3"))]),
        ("more threads to recover", BROKER, "1", &[("num.recovery.threads.per.data.dir", Some("5"))]),
        ("more threads to clean", BROKER, "", &[("log.cleaner.threads", Some("3"))]),
        (
            "less memory for each thread to clean",
            BROKER,
            "",
            &[("log.cleaner.threads", Some("2")), ("log.cleaner.dedupe.buffer.size", Some("2097151"))],
        ),
        ("no connections", BROKER, "", &[("max.connections", Some("0"))]),
        ("no connections of an address", BROKER, "1", &[("max.connections.per.ip", Some("0"))]),
        ("a limit that is no number", BROKER, "1", &[("max.connections.per.ip.overrides", Some("127.0.0.1:x"))]),
        ("no retention", BROKER, "", &[("log.retention.ms", Some("0"))]),
        ("a logger", LOGGER, "1", &[("root", Some("INFO"))]),
        ("a group's unknown name", GROUP, "g", &[("nonsense", Some("1"))]),
        ("no group name", GROUP, "", &[("consumer.session.timeout.ms", Some("50000"))]),
        ("a subscription's unknown name", CLIENT_METRICS, "m", &[("nonsense", Some("1"))]),
        ("no subscription name", CLIENT_METRICS, "", &[("interval.ms", Some("1000"))]),
        ("an unknown type", 99, "x", &[("a", Some("1"))]),
        ("type 0", 0, "x", &[("a", Some("1"))]),
    ];
    for (case, kind, name, configs) in cases {
        player.ask_each(case, OLD, 0..=2, |_| request(&[whole(*kind, name, configs)]))?;
        let changes: Vec<_> = configs.iter().map(|(name, value)| (*name, SET, *value)).collect();
        player.ask_each(case, NEW, 0..=1, |_| request(&[change(*kind, name, &changes)]))?;
    }
    shown(player, "refusals", TOPIC, "replaced", &["retention.ms", "flush.ms", "segment.ms"])?;
    // The loggers that the last changes named go back to what they were.
    player.prepare(NEW, 1, &request(&[change(LOGGER, "1", &[("root", SET, Some("INFO"))])]))?;
    Ok(())
}

fn several(player: &mut Player<'_>) -> Result<()> {
    let good = whole(TOPIC, "replaced", &[("flush.ms", Some("7"))]);
    let bad = whole(TOPIC, "other", &[("flush.ms", Some("x"))]);
    let gone = whole(TOPIC, "gone", &[("flush.ms", Some("7"))]);
    let twice = request(&[good.clone(), bad.clone(), good.clone()]);
    for version in 0..=2 {
        let body = request(&[good.clone(), bad.clone(), gone.clone()]);
        player.ask_as("good and bad", (OLD, version), &body, by_name)?;
        player.ask_as("one resource twice", (OLD, version), &twice, by_name)?;
    }
    shown(player, "good and bad", TOPIC, "replaced", &["flush.ms"])?;
    let good = change(TOPIC, "replaced", &[("flush.ms", SET, Some("8"))]);
    let bad = change(TOPIC, "other", &[("flush.ms", SET, Some("x"))]);
    let broker = change(BROKER, "1", &[("log.retention.ms", SET, Some("x"))]);
    let logger = change(LOGGER, "1", &[("root", SET, Some("WARN"))]);
    for version in 0..=1 {
        let body = request(&[good.clone(), bad.clone(), broker.clone(), logger.clone()]);
        player.ask_as("good and bad", (NEW, version), &body, by_name)?;
        let twice = request(&[good.clone(), bad.clone(), good.clone()]);
        player.ask_as("one resource twice", (NEW, version), &twice, by_name)?;
        player.ask("no resource", NEW, version, &request(&[]))?;
        player.ask("no resource", OLD, version, &request(&[]))?;
    }
    shown(player, "good and bad", TOPIC, "replaced", &["flush.ms"])
}

fn groups_and_subscriptions(player: &mut Player<'_>) -> Result<()> {
    let session = "consumer.session.timeout.ms";
    let beat = "consumer.heartbeat.interval.ms";
    let group = |value| [(session, SET, Some(value))];
    for (case, kind, name, changes) in [
        ("a group", GROUP, "g", &group("50000")[..]),
        ("a group, too short", GROUP, "g", &group("1")),
        ("a group, too long", GROUP, "g", &group("99999999")),
        ("a group, no number", GROUP, "g", &group("x")),
        ("a group, below its heartbeat", GROUP, "g", &[(session, SET, Some("45000")), (beat, SET, Some("45000"))]),
        ("a group, share", GROUP, "g", &[("share.auto.offset.reset", SET, Some("sometimes"))]),
        ("a group, share by duration", GROUP, "g", &[("share.auto.offset.reset", SET, Some("by_duration:PT1H"))]),
        ("a group, isolation", GROUP, "g", &[("share.isolation.level", SET, Some("read_nothing"))]),
        ("a group, streams", GROUP, "g", &[("streams.num.standby.replicas", SET, Some("9"))]),
        ("a group, delete", GROUP, "g", &[(session, DELETE, None)]),
        ("a subscription", CLIENT_METRICS, "m", &[("interval.ms", SET, Some("10000"))]),
        ("a subscription, too often", CLIENT_METRICS, "m", &[("interval.ms", SET, Some("10"))]),
        ("a subscription, too seldom", CLIENT_METRICS, "m", &[("interval.ms", SET, Some("3600001"))]),
        ("a subscription, no number", CLIENT_METRICS, "m", &[("interval.ms", SET, Some("x"))]),
        ("a subscription, metrics", CLIENT_METRICS, "m", &[("metrics", SET, Some("org.apache.kafka.,a"))]),
        ("a subscription, append", CLIENT_METRICS, "m", &[("metrics", APPEND, Some("b"))]),
        ("a subscription, match", CLIENT_METRICS, "m", &[("match", SET, Some("client_id=a.*"))]),
        ("a subscription, bad match", CLIENT_METRICS, "m", &[("match", SET, Some("colour=blue"))]),
        ("a subscription, match without equals", CLIENT_METRICS, "m", &[("match", SET, Some("client_id"))]),
        ("a subscription, match of a bad pattern", CLIENT_METRICS, "m", &[("match", SET, Some("client_id=("))]),
    ] {
        player.ask_each(case, NEW, 0..=1, |_| request(&[change(kind, name, changes)]))?;
    }
    shown(player, "groups", GROUP, "g", &[])?;
    shown(player, "subscriptions", CLIENT_METRICS, "m", &[])?;
    group_bounds(player)?;
    let replaced = whole(GROUP, "g", &[(session, Some("46000"))]);
    player.ask("a group", OLD, 2, &request(&[replaced]))?;
    let replaced = whole(CLIENT_METRICS, "m", &[("interval.ms", Some("20000"))]);
    player.ask("a subscription", OLD, 2, &request(&[replaced]))?;
    shown(player, "a group is replaced", GROUP, "g", &[session, "share.auto.offset.reset"])?;
    shown(player, "a subscription is replaced", CLIENT_METRICS, "m", &[])
}

/// Each setting of a group just below and above what the broker allows, by its defaults.
fn group_bounds(player: &mut Player<'_>) -> Result<()> {
    for (name, min, max) in [
        ("consumer.assignment.interval.ms", 0, 15_000),
        ("consumer.heartbeat.interval.ms", 5_000, 15_000),
        ("consumer.session.timeout.ms", 45_000, 60_000),
        ("share.assignment.interval.ms", 0, 15_000),
        ("share.delivery.count.limit", 2, 10),
        ("share.heartbeat.interval.ms", 5_000, 15_000),
        ("share.partition.max.record.locks", 100, 10_000),
        ("share.record.lock.duration.ms", 15_000, 60_000),
        ("share.session.timeout.ms", 45_000, 60_000),
        ("streams.assignment.interval.ms", 0, 15_000),
        ("streams.heartbeat.interval.ms", 5_000, 15_000),
        ("streams.initial.rebalance.delay.ms", 0, i32::MAX - 1),
        ("streams.num.standby.replicas", 0, 2),
        ("streams.session.timeout.ms", 45_000, 60_000),
    ] {
        for value in [min - 1, min, max, max + 1] {
            let value = value.to_string();
            let body = request(&[change(GROUP, "bounds", &[(name, SET, Some(&value))])]);
            player.ask(&format!("{name}={value}"), NEW, 1, &body)?;
        }
        player.prepare(NEW, 1, &request(&[change(GROUP, "bounds", &[(name, DELETE, None)])]))?;
    }
    Ok(())
}

fn lists(player: &mut Player<'_>) -> Result<()> {
    let policy = "cleanup.policy";
    let throttled = "leader.replication.throttled.replicas";
    for (case, changes) in [
        ("append what is there", &[(policy, APPEND, Some("delete"))][..]),
        ("append two", &[(policy, APPEND, Some("compact,delete"))]),
        ("append with spaces", &[(throttled, APPEND, Some(" 0:1 , 1:2 "))]),
        ("append more", &[(throttled, APPEND, Some("2:3,0:1"))]),
        ("append null", &[(throttled, APPEND, None)]),
        ("subtract null", &[(throttled, SUBTRACT, None)]),
        ("delete with a value", &[(throttled, DELETE, Some("0:1"))]),
        ("subtract from nothing", &[(throttled, SUBTRACT, Some("0:1"))]),
        ("append nothing", &[(throttled, APPEND, Some(""))]),
        ("append what may not be", &[(policy, APPEND, Some("burn"))]),
        ("subtract what is not there", &[(policy, SUBTRACT, Some("burn"))]),
        ("subtract all", &[(policy, SUBTRACT, Some("delete,compact"))]),
        ("subtract from an empty list", &[(policy, SUBTRACT, Some("delete"))]),
        ("append to an empty list", &[(policy, APPEND, Some("compact"))]),
        ("append and set", &[(policy, APPEND, Some("delete")), ("flush.ms", SET, Some("9"))]),
        ("subtract from no list", &[("flush.ms", SUBTRACT, Some("9"))]),
        ("append to an unknown name", &[("nonsense", APPEND, Some("9"))]),
        ("set empty", &[("flush.ms", SET, Some(""))]),
        ("set an empty list", &[(policy, SET, Some(""))]),
    ] {
        player.ask_each(case, NEW, 0..=1, |_| request(&[change(TOPIC, "other", changes)]))?;
        shown(player, case, TOPIC, "other", &[policy, throttled, "flush.ms"])?;
    }
    for (case, changes) in [
        ("append to a broker's list", &[("log.cleanup.policy", APPEND, Some("compact"))][..]),
        ("subtract from a broker's list", &[("log.cleanup.policy", SUBTRACT, Some("delete"))]),
        ("append to a broker's unknown name", &[("nonsense", APPEND, Some("9"))]),
        ("delete a broker's list", &[("log.cleanup.policy", DELETE, None)]),
    ] {
        player.ask_each(case, NEW, 0..=1, |_| request(&[change(BROKER, "1", changes)]))?;
        shown(player, case, BROKER, "1", &["log.cleanup.policy"])?;
    }
    Ok(())
}

fn long_values(player: &mut Player<'_>) -> Result<()> {
    let value = "x".repeat(VALUE_BYTES_MAX);
    let body = request(&[change(BROKER, "1", &[("nonsense", SET, Some(&value))])]);
    player.ask_each("the longest value", NEW, 0..=1, |_| body.clone())?;
    let body = request(&[whole(BROKER, "1", &[("nonsense", Some(&value))])]);
    player.ask_each("the longest value", OLD, 0..=2, |_| body.clone())?;
    // Only flexible versions can say it.
    let value = "x".repeat(VALUE_BYTES_MAX + 1);
    player.ask("too long", NEW, 1, &request(&[change(BROKER, "1", &[("nonsense", SET, Some(&value))])]))?;
    player.ask("too long", OLD, 2, &request(&[whole(BROKER, "1", &[("nonsense", Some(&value))])]))?;
    // A list can grow beyond what a request can hold.
    for (case, first) in [("half", 10_000), ("too much", 20_000)] {
        let pairs: Vec<String> = (first..first + 3_000).map(|number| format!("{number}:1")).collect();
        let more = [("leader.replication.throttled.replicas", APPEND, Some(&*pairs.join(",")))];
        player.ask(case, NEW, 1, &request(&[change(TOPIC, "other", &more)]))?;
    }
    player.ask("of a broker, none", OLD, 2, &request(&[whole(BROKER, "1", &[])]))?;
    Ok(())
}

/// More settings than the controller writes at once.
fn many_values(player: &mut Player<'_>) -> Result<()> {
    for (case, count) in [("as many settings as can be", RECORDS_MAX), ("one setting too many", RECORDS_MAX + 1)] {
        let names: Vec<String> = (0..count).map(|number| format!("nonsense.{number}")).collect();
        let settings: Vec<Setting<'_>> = names.iter().map(|name| (name.as_str(), Some("x"))).collect();
        let changes: Vec<_> = names.iter().map(|name| (name.as_str(), SET, Some("x"))).collect();
        for (api, version, resource) in
            [(OLD, 2, whole(BROKER, "1", &settings)), (NEW, 1, change(BROKER, "1", &changes))]
        {
            let mut body = request(&[resource]);
            body["validateOnly"] = json!(true);
            player.ask(case, api, version, &body)?;
        }
    }
    Ok(())
}

fn loggers(player: &mut Player<'_>) -> Result<()> {
    let level = |player: &mut Player<'_>, case: &str| shown(player, case, LOGGER, "1", &["root"]);
    level(player, "nothing")?;
    let cases: &[(&str, &str, &[Alteration])] = &[
        ("a level", "1", &[("root", SET, Some("DEBUG"))]),
        ("a level in small letters", "1", &[("root", SET, Some("warn"))]),
        ("fatal", "1", &[("root", SET, Some("FATAL"))]),
        ("no level at all", "1", &[("root", SET, Some("OFF"))]),
        ("an unknown level", "1", &[("root", SET, Some("LOUD"))]),
        ("an empty level", "1", &[("root", SET, Some(""))]),
        ("a null level", "1", &[("root", SET, None)]),
        ("an unknown logger", "1", &[("no.such.logger", SET, Some("INFO"))]),
        ("an unknown logger deleted", "1", &[("no.such.logger", DELETE, None)]),
        ("an unknown logger at an unknown level", "1", &[("no.such.logger", SET, Some("LOUD"))]),
        ("a logger without a name", "1", &[("", SET, Some("INFO"))]),
        ("append", "1", &[("root", APPEND, Some("INFO"))]),
        ("subtract", "1", &[("root", SUBTRACT, Some("INFO"))]),
        ("the root's level deleted", "1", &[("root", DELETE, None)]),
        ("one logger twice", "1", &[("root", SET, Some("INFO")), ("root", SET, Some("WARN"))]),
        ("a good and a bad one", "1", &[("root", SET, Some("ERROR")), ("no.such.logger", SET, Some("WARN"))]),
        ("another broker", "9", &[("root", SET, Some("INFO"))]),
        ("no broker", "", &[("root", SET, Some("INFO"))]),
        ("a broker that is no number", "x", &[("root", SET, Some("INFO"))]),
        ("no logger", "1", &[]),
    ];
    for (case, broker, changes) in cases {
        let name = format!("loggers: {case}");
        player.ask_each(&name, NEW, 0..=1, |_| request(&[change(LOGGER, broker, changes)]))?;
        level(player, &name)?;
    }
    let mut only = request(&[change(LOGGER, "1", &[("root", SET, Some("TRACE"))])]);
    only["validateOnly"] = json!(true);
    player.ask_each("loggers: only to be validated", NEW, 0..=1, |_| only.clone())?;
    level(player, "loggers: a validation")?;
    let one = json!({ "resources": [{ "resourceType": LOGGER, "resourceName": "1", "configurationKeys": ["root"] }],
                      "includeSynonyms": true, "includeDocumentation": true });
    player.ask_each("a logger", "DescribeConfigs", 1..=4, |_| one.clone())?;
    for (case, name) in [("of another broker", "9"), ("of no broker", ""), ("of a broker that is no number", "x")] {
        let body = json!({ "resources": [{ "resourceType": LOGGER, "resourceName": name }] });
        player.ask_each(&format!("loggers {case}"), "DescribeConfigs", 1..=4, |_| body.clone())?;
    }
    let back = request(&[change(LOGGER, "1", &[("root", SET, Some("INFO"))])]);
    player.prepare(NEW, 1, &back)?;
    Ok(())
}
