//! CreatePartitions, ElectLeaders, AlterPartitionReassignments, UnregisterBroker: as far as one node goes.

use anyhow::Result;
use serde_json::{Value, json};

use super::player::Player;
use super::topics;

/// How many records Kafka's controller writes at once, at most.
pub const RECORDS_MAX: i32 = 10_000;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    topics::create(player, "grown", 1)?;
    topics::create(player, "still", 2)?;
    create_partitions(player)?;
    elect_leaders(player)?;
    reassign(player)?;
    unregister(player)
}

fn growth(name: &str, count: i32, assignments: &Value) -> Value {
    json!({ "topics": [{ "name": name, "count": count, "assignments": assignments }], "timeoutMs": 5000 })
}

fn create_partitions(player: &mut Player<'_>) -> Result<()> {
    let api = "CreatePartitions";
    for version in 0..=3 {
        player.ask("one more", api, version, &growth("grown", i32::from(version) + 2, &Value::Null))?;
        player.ask("as many", api, version, &growth("still", 2, &Value::Null))?;
    }
    let on = |brokers: &[&[i32]]| -> Value { brokers.iter().map(|ids| json!({ "brokerIds": ids })).collect() };
    player.ask("assigned", api, 3, &growth("grown", 6, &on(&[&[1]])))?;
    player.ask("fewer", api, 3, &growth("still", 1, &Value::Null))?;
    player.ask("below none", api, 3, &growth("still", -1, &Value::Null))?;
    player.ask("of an unknown topic", api, 3, &growth("nobody", 3, &Value::Null))?;
    player.ask("too many assignments", api, 3, &growth("still", 3, &on(&[&[1], &[1]])))?;
    player.ask("two replicas", api, 3, &growth("still", 3, &on(&[&[1, 1]])))?;
    player.ask("on an unknown broker", api, 3, &growth("still", 3, &on(&[&[7]])))?;
    player.ask("on no broker", api, 3, &growth("still", 3, &on(&[&[]])))?;
    let one = json!({ "name": "still", "count": 3, "assignments": null });
    let asked = json!({ "topics": [one], "timeoutMs": 5000, "validateOnly": true });
    player.ask("validate only", api, 3, &asked)?;
    player.ask("the same topic twice", api, 3, &json!({ "topics": [one, one], "timeoutMs": 5000 }))?;
    player.ask("nothing", api, 3, &json!({ "topics": [], "timeoutMs": 5000 }))?;
    for (case, time) in [("no time", 0), ("less than no time", -1)] {
        player.ask_each(case, api, 0..=3, |_| json!({ "topics": [one], "timeoutMs": time }))?;
    }
    let many: Vec<Value> =
        (0..=RECORDS_MAX).map(|name| json!({ "name": name.to_string(), "count": 1, "assignments": null })).collect();
    let body = json!({ "topics": many, "timeoutMs": 5000, "validateOnly": true });
    player.ask_as("ten thousand topics and one", (api, 3), &body, distinct("results"))?;
    for more in [RECORDS_MAX, RECORDS_MAX + 1] {
        let mut body = growth("still", 2 + more, &Value::Null);
        body["validateOnly"] = json!(true);
        player.ask(&format!("{more} more"), api, 3, &body)?;
    }
    Ok(())
}

/// What an answer says of many things alike: errors and messages that differ.
pub fn distinct(list: &'static str) -> impl Fn(&Value) -> Value {
    move |answer| {
        let elements = answer[list].as_array().map_or(&[][..], Vec::as_slice);
        let mut said: Vec<Value> = elements
            .iter()
            .map(|element| json!({ "errorCode": element["errorCode"], "errorMessage": element["errorMessage"] }))
            .collect();
        said.dedup();
        json!({ "count": elements.len(), "said": said })
    }
}

fn elect_leaders(player: &mut Player<'_>) -> Result<()> {
    let api = "ElectLeaders";
    let of = |name: &str, partition: i32| json!([{ "topic": name, "partitions": [partition] }]);
    player.ask("nothing", api, 0, &json!({ "topicPartitions": [], "timeoutMs": 5000 }))?;
    player.ask("preferred", api, 0, &json!({ "topicPartitions": of("still", 0), "timeoutMs": 5000 }))?;
    for version in 1..=2 {
        for election in 0..=1 {
            let asked =
                |topics: Value| json!({ "electionType": election, "topicPartitions": topics, "timeoutMs": 5000 });
            player.ask("nothing", api, version, &asked(json!([])))?;
            player.ask("one that has its leader", api, version, &asked(of("still", 0)))?;
            player.ask("an unknown topic", api, version, &asked(of("nobody", 0)))?;
        }
        for time in [0, -1] {
            let hasty = json!({ "electionType": 0, "topicPartitions": of("still", 0), "timeoutMs": time });
            player.ask(&format!("in {time} ms"), api, version, &hasty)?;
        }
        let unknown = json!({ "electionType": 7, "topicPartitions": of("still", 0), "timeoutMs": 5000 });
        player.ask("an unknown election", api, version, &unknown)?;
    }
    Ok(())
}

fn reassign(player: &mut Player<'_>) -> Result<()> {
    let api = "AlterPartitionReassignments";
    let to = |name: &str, replicas: &Value| {
        let partition = json!({ "partitionIndex": 0, "replicas": replicas });
        json!({ "timeoutMs": 5000, "topics": [{ "name": name, "partitions": [partition] }] })
    };
    for version in 0..=1 {
        player.ask("where it is", api, version, &to("still", &json!([1])))?;
        player.ask("taken back", api, version, &to("still", &Value::Null))?;
        player.ask("an unknown topic", api, version, &to("nobody", &json!([1])))?;
        player.ask("an unknown broker", api, version, &to("still", &json!([1, 7])))?;
        player.ask("a broker twice", api, version, &to("still", &json!([1, 1])))?;
        player.ask("no broker", api, version, &to("still", &json!([])))?;
    }
    for time in [0, -1] {
        let mut hasty = to("still", &json!([1]));
        hasty["timeoutMs"] = json!(time);
        player.ask_each(&format!("in {time} ms"), api, 0..=1, |_| hasty.clone())?;
    }
    let mut fixed = to("still", &json!([1]));
    fixed["allowReplicationFactorChange"] = json!(false);
    player.ask("with as many replicas", api, 1, &fixed)?;
    Ok(())
}

/// The node itself last of all: nothing can be asked of it after that.
fn unregister(player: &mut Player<'_>) -> Result<()> {
    player.ask("an unknown broker", "UnregisterBroker", 0, &json!({ "brokerId": 99 }))?;
    player.ask("the broker that is asked", "UnregisterBroker", 0, &json!({ "brokerId": 1 }))?;
    Ok(())
}
