//! DescribeClientQuotas, AlterClientQuotas, and what a quota of controller mutations refuses.

use anyhow::Result;
use serde_json::{Value, json};

use super::configs::catch_up;
use super::moving::{RECORDS_MAX, distinct};
use super::player::Player;
use super::topics::create_with;

const ALTER: &str = "AlterClientQuotas";
const DESCRIBE: &str = "DescribeClientQuotas";
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;
/// The topic whose changes say how much was heard of.
const BARRIER: &str = "barrier";

pub fn play(player: &mut Player<'_>) -> Result<()> {
    create_with(player, BARRIER, 1, &[])?;
    describe(player, "nothing")?;
    alter(player)?;
    refused(player)?;
    describe(player, "all")?;
    filters(player)?;
    removed(player)?;
    mutations(player)
}

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];
/// A key and its new value; `None` removes it.
type Ops<'a> = &'a [(&'a str, Option<f64>)];

fn entry(entity: Entity<'_>, ops: Ops<'_>) -> Value {
    let entity: Vec<Value> =
        entity.iter().map(|(kind, name)| json!({ "entityType": kind, "entityName": name })).collect();
    let ops: Vec<Value> = ops
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value.unwrap_or(0.0), "remove": value.is_none() }))
        .collect();
    json!({ "entity": entity, "ops": ops })
}

fn request(entries: &[Value]) -> Value {
    json!({ "entries": entries, "validateOnly": false })
}

/// Kafka's answers come in the order of hash maps.
fn sorted(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if !answer["entries"].is_array() {
        return answer;
    }
    for entry in answer["entries"].as_array_mut().into_iter().flatten() {
        for list in ["entity", "values"] {
            if let Some(list) = entry.get_mut(list).and_then(Value::as_array_mut) {
                list.sort_by_key(Value::to_string);
            }
        }
    }
    if let Some(entries) = answer["entries"].as_array_mut() {
        entries.sort_by_key(Value::to_string);
    }
    answer
}

fn describe(player: &mut Player<'_>, case: &str) -> Result<()> {
    catch_up(player, BARRIER)?;
    for version in 0..=1 {
        for strict in [false, true] {
            let body = json!({ "components": [], "strict": strict });
            player.ask_as(&format!("{case}, strict {strict}"), (DESCRIBE, version), &body, sorted)?;
        }
    }
    Ok(())
}

fn alter(player: &mut Player<'_>) -> Result<()> {
    let rates: Ops<'_> = &[("producer_byte_rate", Some(1024.0)), ("consumer_byte_rate", Some(2048.0))];
    for (case, entity, ops) in [
        ("a user", &[("user", Some("alice"))][..], rates),
        ("all other users", &[("user", None)], &[("request_percentage", Some(200.0))]),
        ("a client", &[("client-id", Some("loader"))], rates),
        ("all other clients", &[("client-id", None)], &[("controller_mutation_rate", Some(10.5))]),
        ("a client of a user", &[("user", Some("alice")), ("client-id", Some("loader"))], rates),
        ("other clients of a user", &[("user", Some("alice")), ("client-id", None)], rates),
        ("a client of other users", &[("client-id", Some("loader")), ("user", None)], rates),
        ("other clients of other users", &[("user", None), ("client-id", None)], rates),
        ("an address", &[("ip", Some("127.0.0.9"))], &[("connection_creation_rate", Some(20.0))]),
        ("all other addresses", &[("ip", None)], &[("connection_creation_rate", Some(2000.0))]),
        ("a name with odd letters", &[("user", Some("CN=a b/c,O=ü"))], rates),
        ("an empty client", &[("client-id", Some(""))], rates),
        ("one more key", &[("user", Some("alice"))], &[("request_percentage", Some(50.0))]),
        ("another value", &[("user", Some("alice"))], &[("producer_byte_rate", Some(4096.0))]),
        ("nothing", &[("user", Some("alice"))], &[]),
        ("removal of what is not there", &[("user", Some("bob"))], &[("request_percentage", None)]),
    ] {
        for version in 0..=1 {
            player.ask_as(case, (ALTER, version), &request(&[entry(entity, ops)]), sorted)?;
        }
    }
    let mut only = request(&[entry(&[("user", Some("carol"))], rates)]);
    only["validateOnly"] = json!(true);
    player.ask_as("only to be validated", (ALTER, 1), &only, sorted)?;
    player.ask_as("no entry", (ALTER, 1), &request(&[]), sorted)?;
    Ok(())
}

fn refused(player: &mut Player<'_>) -> Result<()> {
    let bytes: Ops<'_> = &[("producer_byte_rate", Some(1.0))];
    for (case, entity, ops) in [
        ("no entity", &[][..], bytes),
        ("an unknown kind", &[("colour", Some("red"))], bytes),
        ("a kind twice", &[("user", Some("a")), ("user", Some("b"))], bytes),
        ("an address and a user", &[("ip", Some("127.0.0.9")), ("user", Some("a"))], bytes),
        ("an address's key for a user", &[("user", Some("a"))], &[("connection_creation_rate", Some(1.0))]),
        ("a user's key for an address", &[("ip", Some("127.0.0.9"))], bytes),
        ("an address that is none", &[("ip", Some("not an address"))], &[("connection_creation_rate", Some(1.0))]),
        ("an unknown key", &[("user", Some("a"))], &[("no_such_rate", Some(1.0))]),
        ("an unknown key removed", &[("user", Some("a"))], &[("no_such_rate", None)]),
        ("a negative value", &[("user", Some("a"))], &[("producer_byte_rate", Some(-1.0))]),
        ("zero", &[("user", Some("a"))], &[("producer_byte_rate", Some(0.0))]),
        ("a fraction of a byte", &[("user", Some("a"))], &[("producer_byte_rate", Some(1.5))]),
        ("nearly a whole byte", &[("user", Some("n"))], &[("producer_byte_rate", Some(1.000_000_1))]),
        ("too many bytes", &[("user", Some("a"))], &[("producer_byte_rate", Some(1e19))]),
        ("too many connections", &[("ip", Some("127.0.0.9"))], &[("connection_creation_rate", Some(1e10))]),
        ("a fraction of a connection", &[("ip", Some("127.0.0.9"))], &[("connection_creation_rate", Some(1.5))]),
        ("a fraction of a percent", &[("user", Some("f"))], &[("request_percentage", Some(0.5))]),
        ("an empty user", &[("user", Some(""))], bytes),
        ("an empty address", &[("ip", Some(""))], &[("connection_creation_rate", Some(1.0))]),
        (
            "a key twice",
            &[("user", Some("a"))],
            &[("request_percentage", Some(1.0)), ("request_percentage", Some(2.0))],
        ),
        (
            "good and bad",
            &[("user", Some("h"))],
            &[("request_percentage", Some(1.0)), ("producer_byte_rate", Some(-1.0))],
        ),
    ] {
        for version in 0..=1 {
            player.ask_as(case, (ALTER, version), &request(&[entry(entity, ops)]), sorted)?;
        }
    }
    let (good, bad) = (entry(&[("user", Some("g"))], bytes), entry(&[("user", Some("b"))], &[("x", Some(1.0))]));
    player.ask_as("a good entry and a bad one", (ALTER, 1), &request(&[good.clone(), bad]), sorted)?;
    player.ask_as("an entry twice", (ALTER, 1), &request(&[good.clone(), good]), sorted)?;
    for (case, count) in [("as many entries as can be", RECORDS_MAX), ("one entry too many", RECORDS_MAX + 1)] {
        let named: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let entries: Vec<Value> = named.iter().map(|name| entry(&[("user", Some(name.as_str()))], bytes)).collect();
        let mut body = request(&entries);
        body["validateOnly"] = json!(true);
        player.ask_as(case, (ALTER, 1), &body, distinct("entries"))?;
    }
    Ok(())
}

fn filters(player: &mut Player<'_>) -> Result<()> {
    let component = |kind: &str, match_type: i8, name: Option<&str>| json!({ "entityType": kind, "matchType": match_type, "match": name });
    for (case, components) in [
        ("a user", vec![component("user", EXACT, Some("alice"))]),
        ("other users", vec![component("user", DEFAULT, None)]),
        ("any user", vec![component("user", ANY, None)]),
        ("an unknown user", vec![component("user", EXACT, Some("nobody"))]),
        ("a client", vec![component("client-id", EXACT, Some("loader"))]),
        ("any client of a user", vec![component("user", EXACT, Some("alice")), component("client-id", ANY, None)]),
        ("other clients of other users", vec![component("user", DEFAULT, None), component("client-id", DEFAULT, None)]),
        ("an address", vec![component("ip", EXACT, Some("127.0.0.9"))]),
        ("any address", vec![component("ip", ANY, None)]),
        ("an address and a user", vec![component("ip", ANY, None), component("user", ANY, None)]),
        ("a kind twice", vec![component("user", ANY, None), component("user", DEFAULT, None)]),
        ("an unknown kind", vec![component("colour", ANY, None)]),
        ("no kind", vec![component("", ANY, None)]),
        ("an unknown match", vec![component("user", 3, None)]),
        ("exactly nobody", vec![component("user", EXACT, None)]),
        ("the default with a name", vec![component("user", DEFAULT, Some("alice"))]),
        ("any with a name", vec![component("user", ANY, Some("alice"))]),
    ] {
        for version in 0..=1 {
            for strict in [false, true] {
                let body = json!({ "components": components, "strict": strict });
                player.ask_as(&format!("{case}, strict {strict}"), (DESCRIBE, version), &body, sorted)?;
            }
        }
    }
    Ok(())
}

fn removed(player: &mut Player<'_>) -> Result<()> {
    let both: Ops<'_> = &[("producer_byte_rate", None), ("consumer_byte_rate", None)];
    for (case, entity, ops) in [
        ("a user's rates removed", &[("user", Some("alice"))][..], both),
        ("removed again", &[("user", Some("alice"))], both),
        ("the last key removed", &[("user", Some("alice"))], &[("request_percentage", None)]),
        (
            "one removed and one set",
            &[("client-id", Some("loader"))],
            &[("producer_byte_rate", None), ("request_percentage", Some(7.0))],
        ),
        ("the other addresses removed", &[("ip", None)], &[("connection_creation_rate", None)]),
        ("other clients' mutations removed", &[("client-id", None)], &[("controller_mutation_rate", None)]),
    ] {
        player.ask_as(case, (ALTER, 1), &request(&[entry(entity, ops)]), sorted)?;
    }
    describe(player, "after removals")
}

/// One partition a second, of which the first topic takes a minute's: it passes, and what comes next does not. Who was refused
/// is not listened to for as long as he was told, so that each request has a connection of its own.
fn mutations(player: &mut Player<'_>) -> Result<()> {
    let slow = request(&[entry(&[("client-id", Some("differential"))], &[("controller_mutation_rate", Some(1.0))])]);
    player.ask_as("few mutations", (ALTER, 1), &slow, sorted)?;
    catch_up(player, BARRIER)?;
    let topic =
        |name: &str, partitions: i32| json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1 });
    let create = |topics: &[Value]| json!({ "topics": topics, "timeoutMs": 10_000 });
    let mild = |answer: &Value| throttled(answer);
    player.ask_as("within the quota", ("CreateTopics", 7), &create(&[topic("q1", 70)]), mild)?;
    for version in 2..=7 {
        let name = format!("q-{version}");
        player.reconnect();
        player.ask_as(
            "beyond the quota",
            ("CreateTopics", version),
            &create(&[topic(&name, 1), topic(&format!("{name}-b"), 1)]),
            mild,
        )?;
    }
    for version in 0..=3 {
        let grown =
            json!({ "topics": [{ "name": "q1", "count": 71 + version, "assignments": null }], "timeoutMs": 10_000 });
        player.reconnect();
        player.ask_as("beyond the quota", ("CreatePartitions", version), &grown, mild)?;
    }
    for version in 1..=6 {
        let body = match version {
            6 => json!({ "topics": [{ "name": "q1" }], "timeoutMs": 10_000 }),
            _ => json!({ "topicNames": ["q1"], "timeoutMs": 10_000 }),
        };
        // The older versions do not know the error: they delete, and are told to wait.
        if version >= 5 {
            player.reconnect();
            player.ask_as("what is there, beyond the quota", ("DeleteTopics", version), &body, mild)?;
        }
    }
    let validated = json!({ "topics": [topic("v", 1)], "timeoutMs": 10_000, "validateOnly": true });
    player.reconnect();
    player.ask_as("beyond the quota, only to be validated", ("CreateTopics", 7), &validated, mild)?;
    let bad = create(&[topic("a/b", 1)]);
    player.reconnect();
    player.ask_as("beyond the quota, and bad", ("CreateTopics", 7), &bad, mild)?;
    for version in 1..=6 {
        let names = format!("q-{}", version + 1);
        let body = match version {
            6 => json!({ "topics": [{ "name": names, "topicId": "AAAAAAAAAAAAAAAAAAAAAA" }], "timeoutMs": 10_000 }),
            _ => json!({ "topicNames": [names], "timeoutMs": 10_000 }),
        };
        player.reconnect();
        player.ask_as("beyond the quota", ("DeleteTopics", version), &body, mild)?;
    }
    let free = request(&[entry(&[("client-id", Some("differential"))], &[("controller_mutation_rate", None)])]);
    player.reconnect();
    player.ask_as("mutations as before", (ALTER, 1), &free, sorted)?;
    Ok(())
}

/// How long it takes depends on when it was asked; whether it takes long does not.
fn throttled(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(time) = answer["throttleTimeMs"].as_i64() {
        answer["throttleTimeMs"] = json!(if time > 0 { "<a while>" } else { "0" });
    }
    answer
}
