//! What a person does with Kafka's tools on a node of two log directories: looks at them, and moves logs from one to the other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::nodes::verified;
use super::normal;
use super::player::Order::{Kept, Words};
use super::player::Player;
use super::producer::produce;

const MOVED: &str = "moved";
/// Of a log that a throttle holds back for as long as anybody looks.
const HEAVY: &str = "heavy";
const MOVE_LIMIT: Duration = Duration::from_secs(60);
const REASSIGN: &str = "kafka-reassign-partitions --bootstrap-server BOOTSTRAP";

pub fn play(player: &mut Player) -> Result<()> {
    for topic in [MOVED, "second", "third", HEAVY] {
        let create = format!("kafka-topics --bootstrap-server BOOTSTRAP --create --topic {topic} --partitions 1");
        player.tool(&format!("kafka-topics --create {topic}, two directories"), Kept, &create)?;
    }
    for (topic, records, bytes) in [(MOVED, 3, 10), (HEAVY, 4, 900_000)] {
        for _ in 0..records {
            let code = produce(player, topic, bytes)?;
            ensure!(code == 0, "a producer to {topic} is answered {code}");
        }
    }
    look(player)?;
    cordon(player)?;
    whole(player)?;
    held_up(player)?;
    bad(player)
}

fn described(player: &mut Player, step: &str, arguments: &str) -> Result<()> {
    let command = format!("kafka-log-dirs --bootstrap-server BOOTSTRAP --describe{arguments}");
    let printed = normal::log_dirs(&player.output(&command, "")?);
    player.write_down(&format!("kafka-log-dirs --describe, {step}"), Kept, &printed);
    Ok(())
}

fn look(player: &mut Player) -> Result<()> {
    let three = format!(" --topic-list {MOVED},second,third");
    described(player, "two directories", &three)?;
    described(player, "unknown topic", " --topic-list nobody")?;
    described(player, "one broker", &format!(" --broker-list 1{three}"))?;
    described(player, "unknown broker", " --broker-list 9")
}

/// A directory that is to get nothing new gets none of the topics that come.
fn cordon(player: &mut Player) -> Result<()> {
    let (first, second) = directories(player);
    let tool = "kafka-configs --bootstrap-server BOOTSTRAP --broker 1 --alter";
    for (cordoned, topics) in [(&first, ["fourth", "fifth", "sixth"]), (&second, ["seventh", "eighth", "ninth"])] {
        let set = format!("{tool} --add-config cordoned.log.dirs={cordoned}");
        player.tool(&format!("kafka-configs cordoned.log.dirs before {}", topics[0]), Kept, &set)?;
        for topic in topics {
            let create = format!("kafka-topics --bootstrap-server BOOTSTRAP --create --topic {topic} --partitions 1");
            player.tool(&format!("kafka-topics --create {topic}, one is cordoned"), Kept, &create)?;
        }
        described(player, &format!("{} and others", topics[0]), &format!(" --topic-list {}", topics.join(",")))?;
    }
    let all = format!("{tool} --add-config cordoned.log.dirs=*");
    player.tool("kafka-configs cordoned.log.dirs, all", Kept, &all)?;
    let create = "kafka-topics --bootstrap-server BOOTSTRAP --create --topic tenth --partitions 1";
    player.tool("kafka-topics --create, all are cordoned", Kept, create)?;
    let delete = format!("{tool} --delete-config cordoned.log.dirs");
    player.tool("kafka-configs cordoned.log.dirs, none", Kept, &delete)
}

/// The paths of the two.
fn directories(player: &Player) -> (String, String) {
    let first = player.data().display().to_string();
    let second = format!("{first}-2");
    (first, second)
}

/// Where the only log of a topic is, and the other directory.
fn here_and_there(player: &Player, topic: &str) -> (String, String) {
    let (first, second) = directories(player);
    let is_first = player.data().join(format!("{topic}-0")).exists();
    if is_first { (first, second) } else { (second, first) }
}

/// The file of a plan that moves a topic's only log.
fn plan(player: &Player, topic: &str, path: &str) -> Result<String> {
    let partition = serde_json::json!({ "topic": topic, "partition": 0, "replicas": [1], "log_dirs": [path] });
    let plan = serde_json::json!({ "version": 1, "partitions": [partition] });
    Ok(player.file("plan.json", &plan.to_string())?.display().to_string())
}

fn whole(player: &mut Player) -> Result<()> {
    let topics = player.file("topics.json", &format!("{{\"version\":1,\"topics\":[{{\"topic\":\"{MOVED}\"}}]}}"))?;
    let generate = format!("{REASSIGN} --generate --topics-to-move-json-file {} --broker-list 1", topics.display());
    player.tool("kafka-reassign-partitions --generate, one node", Kept, &generate)?;
    for step in ["to the other directory", "back"] {
        let (_, there) = here_and_there(player, MOVED);
        let file = plan(player, MOVED, &there)?;
        let execute = format!("{REASSIGN} --execute --reassignment-json-file {file}");
        player.tool(&format!("kafka-reassign-partitions --execute, {step}"), Kept, &execute)?;
        await_in(player, MOVED, &there)?;
        let verify = format!("{REASSIGN} --verify --reassignment-json-file {file}");
        verified(player, &format!("kafka-reassign-partitions --verify, {step}"), &verify)?;
        described(player, step, &format!(" --topic-list {MOVED}"))?;
        player.tool(&format!("kafka-reassign-partitions --execute, {step}, again"), Kept, &execute)?;
    }
    let all = format!(
        "kafka-console-consumer --bootstrap-server BOOTSTRAP --topic {MOVED} --from-beginning --max-messages 3"
    );
    player.tool("kafka-console-consumer of a log that has moved", Kept, &all)
}

/// Waits until a topic's log is in this directory and nowhere else.
fn await_in(player: &Player, topic: &str, path: &str) -> Result<()> {
    let (first, second) = directories(player);
    let other = if path == first { second } else { first };
    let until = Instant::now() + MOVE_LIMIT;
    let name = format!("{topic}-0");
    let is_there =
        || std::path::Path::new(path).join(&name).exists() && !std::path::Path::new(&other).join(&name).exists();
    while !is_there() {
        ensure!(Instant::now() < until, "{name} does not get to {path}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A move under a throttle is seen under way; without the throttle it ends.
fn held_up(player: &mut Player) -> Result<()> {
    let (_, there) = here_and_there(player, HEAVY);
    let file = plan(player, HEAVY, &there)?;
    let execute = format!(
        "{REASSIGN} --execute --replica-alter-log-dirs-throttle 1000 --timeout 20000 --reassignment-json-file {file}"
    );
    player.tool("kafka-reassign-partitions --execute, a directory under a throttle", Kept, &execute)?;
    let verify = format!("{REASSIGN} --verify --preserve-throttles --reassignment-json-file {file}");
    player.tool("kafka-reassign-partitions --verify, a directory under a throttle", Kept, &verify)?;
    // How much has been copied is a matter of moments.
    let look = format!("kafka-log-dirs --bootstrap-server BOOTSTRAP --describe --topic-list {HEAVY}");
    let printed = normal::log_dirs(&player.output(&look, "")?);
    player.write_down("kafka-log-dirs --describe, under way", Words, &printed);
    player.tool(
        "kafka-reassign-partitions --list, a directory under a throttle",
        Kept,
        &format!("{REASSIGN} --list"),
    )?;
    let lift = "kafka-configs --bootstrap-server BOOTSTRAP --broker 1 --alter --delete-config \
                replica.alter.log.dirs.io.max.bytes.per.second";
    player.tool("kafka-configs, the throttle of directories lifted", Kept, lift)?;
    await_in(player, HEAVY, &there)?;
    let verify = format!("{REASSIGN} --verify --reassignment-json-file {file}");
    verified(player, "kafka-reassign-partitions --verify, the throttle lifted", &verify)
}

fn bad(player: &mut Player) -> Result<()> {
    let (_, there) = here_and_there(player, MOVED);
    for (step, topic, path) in [
        ("to an unknown directory", MOVED, "/nowhere"),
        ("to no path", MOVED, "data"),
        ("of an unknown topic", "nobody", &*there),
    ] {
        let file = plan(player, topic, path)?;
        for verb in ["--execute --timeout 3000", "--verify", "--cancel"] {
            let command = format!("{REASSIGN} {verb} --reassignment-json-file {file}");
            player.tool(&format!("kafka-reassign-partitions {verb}, {step}"), Kept, &command)?;
        }
    }
    Ok(())
}
