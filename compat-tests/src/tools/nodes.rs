//! What a person does with Kafka's tools on a cluster of three: looks at it, moves partitions, elects leaders, and loses a node.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::player::Order::{Kept, Sorted, Words};
use super::player::Player;

const TOPIC: &str = "moved";
const HELD: &str = "held";
const IN_SYNC_LIMIT: Duration = Duration::from_secs(60);
const VERIFY_LIMIT: Duration = Duration::from_secs(60);
/// The tool reports until it is ended.
const WATCH: Duration = Duration::from_secs(12);

pub fn play(player: &mut Player) -> Result<()> {
    topics(player)?;
    reassign(player)?;
    cancel(player)?;
    elect(player)?;
    quorum(player)?;
    replicas(player)?;
    lose_one(player)
}

fn topics(player: &mut Player) -> Result<()> {
    let tool = "kafka-topics --bootstrap-server BOOTSTRAP";
    let create = format!("{tool} --create --topic {TOPIC} --replica-assignment 1:2:3,2:3:1,3:1:2");
    player.tool("kafka-topics --create with replicas", Kept, &create)?;
    let create = format!("{tool} --create --topic {HELD} --replica-assignment 1");
    player.tool("kafka-topics --create with one replica", Kept, &create)?;
    player.await_in_sync(TOPIC, IN_SYNC_LIMIT)?;
    player.tool("kafka-topics --describe", Kept, &format!("{tool} --describe --topic {TOPIC}"))?;
    let create = format!("{tool} --create --topic too-wide --partitions 1 --replication-factor 4");
    player.tool("kafka-topics --create, too many replicas", Kept, &create)?;
    let create = format!("{tool} --create --topic nowhere --replica-assignment 1:9");
    player.tool("kafka-topics --create, unknown broker", Kept, &create)?;
    let fill = format!(
        "kafka-producer-perf-test --topic {HELD} --num-records 2000 --record-size 1000 --throughput -1 \
         --bootstrap-server BOOTSTRAP --command-property acks=all"
    );
    let output = player.output(&fill, "")?;
    ensure!(output.contains("2000 records sent"), "{output}");
    // For the partitions that there are, too.
    let alter = format!("{tool} --alter --topic {HELD} --partitions 2 --replica-assignment 1,2");
    player.tool("kafka-topics --alter --partitions", Kept, &alter)
}

/// A reassignment in the tool's format.
pub(super) fn plan(player: &Player, name: &str, topic: &str, replicas: &[(i32, &[i32])]) -> Result<PathBuf> {
    let partition = |(partition, replicas): &(i32, &[i32])| serde_json::json!({"topic": topic, "partition": partition, "replicas": replicas});
    let partitions: Vec<_> = replicas.iter().map(partition).collect();
    player.file(name, &serde_json::json!({"version": 1, "partitions": partitions}).to_string())
}

fn reassign(player: &mut Player) -> Result<()> {
    let tool = "kafka-reassign-partitions --bootstrap-server BOOTSTRAP";
    let topics = format!("{{\"version\":1,\"topics\":[{{\"topic\":\"{TOPIC}\"}}]}}");
    let topics = player.file("topics.json", &topics)?;
    let generate = format!("{tool} --generate --topics-to-move-json-file {} --broker-list 1,2,3", topics.display());
    // What the tool proposes begins at a random broker.
    let output = player.output(&generate, "")?;
    let current = output.split("Proposed").next().unwrap_or_default().to_string();
    player.write_down("kafka-reassign-partitions --generate", Kept, &current);
    let plan_file = plan(player, "plan.json", TOPIC, &[(0, &[3, 2, 1]), (1, &[2, 1]), (2, &[1, 3, 2])])?;
    let plan_file = plan_file.display();
    let execute = format!("{tool} --execute --reassignment-json-file {plan_file}");
    player.tool("kafka-reassign-partitions --execute", Kept, &execute)?;
    verified(
        player,
        "kafka-reassign-partitions --verify",
        &format!("{tool} --verify --reassignment-json-file {plan_file}"),
    )?;
    let describe = format!("kafka-topics --bootstrap-server BOOTSTRAP --describe --topic {TOPIC}");
    player.tool("kafka-topics --describe after a reassignment", Kept, &describe)?;
    player.tool("kafka-reassign-partitions --list, nothing", Kept, &format!("{tool} --list"))?;
    let unknown = plan(player, "unknown.json", "nobody", &[(0, &[1, 2])])?;
    let execute = format!("{tool} --execute --reassignment-json-file {}", unknown.display());
    player.tool("kafka-reassign-partitions --execute, unknown topic", Kept, &execute)?;
    let bad = plan(player, "bad.json", TOPIC, &[(0, &[1, 9])])?;
    let execute = format!("{tool} --execute --reassignment-json-file {}", bad.display());
    player.tool("kafka-reassign-partitions --execute, unknown broker", Kept, &execute)?;
    let back = plan(player, "back.json", TOPIC, &[(0, &[1, 2, 3]), (1, &[2, 3, 1]), (2, &[3, 1, 2])])?;
    let back = back.display();
    let execute = format!("{tool} --execute --throttle 50000000 --reassignment-json-file {back}");
    player.tool("kafka-reassign-partitions --execute --throttle", Kept, &execute)?;
    let verify = format!("{tool} --verify --reassignment-json-file {back}");
    verified(player, "kafka-reassign-partitions --verify clears throttles", &verify)?;
    player.await_in_sync(TOPIC, IN_SYNC_LIMIT)
}

/// The last of as many verifications as it takes until nothing is in progress.
pub(super) fn verified(player: &mut Player, step: &str, command: &str) -> Result<()> {
    let until = Instant::now() + VERIFY_LIMIT;
    loop {
        let output = player.output(command, "")?;
        if !output.contains("in progress") || Instant::now() > until {
            player.write_down(step, Kept, &output);
            return Ok(());
        }
    }
}

/// A reassignment that a throttle holds up is listed, and taken back.
fn cancel(player: &mut Player) -> Result<()> {
    let tool = "kafka-reassign-partitions --bootstrap-server BOOTSTRAP";
    let file = plan(player, "held.json", HELD, &[(0, &[2, 3])])?;
    let file = file.display();
    let execute = format!("{tool} --execute --throttle 1000 --reassignment-json-file {file}");
    player.tool("kafka-reassign-partitions --execute, held up", Kept, &execute)?;
    player.tool("kafka-reassign-partitions --list", Kept, &format!("{tool} --list"))?;
    let verify = format!("{tool} --verify --preserve-throttles --reassignment-json-file {file}");
    player.tool("kafka-reassign-partitions --verify, held up", Kept, &verify)?;
    let describe = format!("kafka-topics --bootstrap-server BOOTSTRAP --describe --topic {HELD}");
    player.tool("kafka-topics --describe during a reassignment", Kept, &describe)?;
    player.tool(
        "kafka-reassign-partitions --cancel",
        Kept,
        &format!("{tool} --cancel --reassignment-json-file {file}"),
    )?;
    player.tool("kafka-topics --describe after --cancel", Kept, &describe)?;
    player.tool("kafka-reassign-partitions --list after --cancel", Kept, &format!("{tool} --list"))
}

fn elect(player: &mut Player) -> Result<()> {
    let tool = "kafka-leader-election --bootstrap-server BOOTSTRAP --election-type";
    let steps: &[(&str, String)] = &[
        ("preferred, one partition", format!("{tool} preferred --topic {TOPIC} --partition 0")),
        ("preferred, again", format!("{tool} preferred --topic {TOPIC} --partition 0")),
        ("preferred, all", format!("{tool} preferred --all-topic-partitions")),
        ("preferred, unknown topic", format!("{tool} preferred --topic nobody --partition 0")),
        ("unclean, with a leader", format!("{tool} unclean --topic {TOPIC} --partition 1")),
    ];
    for (step, command) in steps {
        player.tool(&format!("kafka-leader-election {step}"), Sorted, command)?;
    }
    let describe = format!("kafka-topics --bootstrap-server BOOTSTRAP --describe --topic {TOPIC}");
    player.tool("kafka-topics --describe after an election", Kept, &describe)
}

fn quorum(player: &mut Player) -> Result<()> {
    for (way, option) in [
        ("through brokers", "--bootstrap-server BOOTSTRAP"),
        ("through controllers", "--bootstrap-controller CONTROLLERS"),
    ] {
        let tool = format!("kafka-metadata-quorum {option}");
        let status = format!("{tool} describe --status");
        player.tool(&format!("kafka-metadata-quorum describe --status {way}"), Words, &status)?;
        let replication = format!("{tool} describe --replication");
        player.tool(&format!("kafka-metadata-quorum describe --replication {way}"), Words, &replication)?;
    }
    let remove = "kafka-metadata-quorum --bootstrap-server BOOTSTRAP remove-controller --controller-id 3 \
                  --controller-directory-id AAAAAAAAAAAAAAAAAAAAAw";
    player.tool("kafka-metadata-quorum remove-controller, static voters", Kept, remove)
}

fn replicas(player: &mut Player) -> Result<()> {
    let watch = format!(
        "kafka-replica-verification --broker-list BOOTSTRAP --topics-include {TOPIC} --report-interval-ms 2000"
    );
    let output = player.output_within(&watch, WATCH)?;
    // Which of the partitions that do not lag is named depends on a hash.
    let verdicts = output.lines().filter(|line| line.contains("max lag is"));
    let mut verdicts: Vec<&str> = verdicts.filter_map(|line| Some(line.split_once(": ")?.1)).collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    player.write_down("kafka-replica-verification", Words, &verdicts.join("\n"));
    let describe = format!("kafka-log-dirs --bootstrap-server BOOTSTRAP --describe --topic-list {TOPIC}");
    player.tool("kafka-log-dirs --describe", Kept, &describe)
}

/// A node is stopped, looked for, and comes back.
fn lose_one(player: &mut Player) -> Result<()> {
    let tool = "kafka-topics --bootstrap-server BOOTSTRAP --describe";
    player.stop_node(2).context("stopping node 3")?;
    for which in ["--under-replicated-partitions", "--unavailable-partitions", "--at-min-isr-partitions"] {
        player.tool(
            &format!("kafka-topics {which} without node 3"),
            Kept,
            &format!("{tool} {which} --exclude-internal"),
        )?;
    }
    player.tool("kafka-topics --describe without node 3", Kept, &format!("{tool} --topic {TOPIC}"))?;
    player.start_node(2).context("starting node 3")?;
    player.await_in_sync(TOPIC, IN_SYNC_LIMIT)?;
    player.tool("kafka-topics --describe with node 3 again", Kept, &format!("{tool} --topic {TOPIC}"))
}
