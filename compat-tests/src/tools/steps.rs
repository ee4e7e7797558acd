//! What a person does with Kafka's tools in a day: topics, records, groups, settings, speed, and a look at the files.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::player::Order::{Kept, Set, Sorted, Words};
use super::player::Player;
use super::{entities, normal};

const LINES: &str = "a:1|k1:first\nNULL|k2:second\nb:2,c:3|k3:third\nNULL|k1:fourth\nNULL|k4:NULL\nNULL|k2:sixth\n";
const COMPACTION_LIMIT: Duration = Duration::from_secs(90);
const PERF_RECORDS: u32 = 20_000;

pub fn play(player: &mut Player) -> Result<()> {
    topics(player)?;
    records(player)?;
    offsets(player)?;
    groups(player)?;
    configs(player)?;
    quotas(player)?;
    features(player)?;
    speed(player)?;
    verifiable(player)?;
    delete_records(player)?;
    entities::play(player)?;
    compaction(player)?;
    ends(player)?;
    player.stop()?;
    files(player)
}

fn topics(player: &mut Player) -> Result<()> {
    let create = "kafka-topics --bootstrap-server BOOTSTRAP --create --topic orders --partitions 3 \
                  --replication-factor 1 --config retention.ms=3600000";
    player.tool("kafka-topics --create", Kept, create)?;
    player.tool("kafka-topics --create, again", Kept, create)?;
    player.tool(
        "kafka-topics --create, bad name",
        Kept,
        "kafka-topics --bootstrap-server BOOTSTRAP --create --topic a/b",
    )?;
    for topic in ["perf", "verified"] {
        let create = format!("kafka-topics --bootstrap-server BOOTSTRAP --create --topic {topic} --partitions 1");
        player.tool(&format!("kafka-topics --create {topic}"), Kept, &create)?;
    }
    player.tool("kafka-topics --list", Kept, "kafka-topics --bootstrap-server BOOTSTRAP --list")?;
    player.tool("kafka-topics --describe", Kept, "kafka-topics --bootstrap-server BOOTSTRAP --describe --topic orders")
}

fn records(player: &mut Player) -> Result<()> {
    let produce = "kafka-console-producer --bootstrap-server BOOTSTRAP --topic orders --reader-property parse.key=true \
                   --reader-property key.separator=: --reader-property parse.headers=true \
                   --reader-property headers.delimiter=| --reader-property null.marker=NULL";
    player.tool_with_input("kafka-console-producer", Kept, produce, LINES)?;
    let all = "--formatter-property print.key=true --formatter-property print.headers=true \
               --formatter-property print.partition=true --formatter-property print.offset=true \
               --formatter-property print.timestamp=true --formatter-property null.literal=NULL";
    let consume =
        "kafka-console-consumer --bootstrap-server BOOTSTRAP --topic orders --from-beginning --max-messages 6";
    player.tool("kafka-console-consumer --group", Sorted, &format!("{consume} --group readers {all}"))?;
    let consume = "kafka-console-consumer --bootstrap-server BOOTSTRAP --topic orders --partition 0 --offset earliest \
                   --timeout-ms 3000";
    player.tool("kafka-console-consumer --partition", Kept, &format!("{consume} {all}"))
}

fn offsets(player: &mut Player) -> Result<()> {
    for time in ["-1", "-2", "0"] {
        let command = format!("kafka-get-offsets --bootstrap-server BOOTSTRAP --topic orders --time {time}");
        player.tool(&format!("kafka-get-offsets --time {time}"), Kept, &command)?;
    }
    Ok(())
}

fn groups(player: &mut Player) -> Result<()> {
    let steps = [
        ("--list", "--list --state --type"),
        ("--describe", "--describe --group readers"),
        ("--describe --members", "--describe --group readers --members --verbose"),
        ("--describe --state", "--describe --group readers --state"),
        ("--describe, unknown group", "--describe --group strangers"),
        (
            "--reset-offsets --to-earliest --dry-run",
            "--group readers --reset-offsets --topic orders --to-earliest --dry-run",
        ),
        ("--reset-offsets --to-offset", "--group readers --reset-offsets --topic orders --to-offset 1 --execute"),
        ("--reset-offsets --shift-by", "--group readers --reset-offsets --all-topics --shift-by -1 --execute"),
        ("--delete-offsets", "--group readers --delete-offsets --topic orders:0"),
        ("--describe, after delete-offsets", "--describe --group readers --offsets"),
    ];
    player.tool_steps("kafka-consumer-groups", Sorted, &steps)?;
    let formatter = "kafka-console-consumer --bootstrap-server BOOTSTRAP --topic __consumer_offsets --from-beginning \
                     --timeout-ms 4000 --formatter org.apache.kafka.tools.consumer.OffsetsMessageFormatter";
    let printed = normal::records_of_group(&player.output(formatter, "")?, "readers");
    player.write_down("OffsetsMessageFormatter on __consumer_offsets", Set, &printed);
    player.tool_steps("kafka-consumer-groups", Kept, &[("--delete", "--group readers --delete")])
}

fn configs(player: &mut Player) -> Result<()> {
    let steps = [
        (
            "topic, --alter --add-config",
            "--topic orders --alter --add-config max.message.bytes=2000000,cleanup.policy=delete",
        ),
        ("topic, --describe", "--topic orders --describe"),
        ("topic, --alter --delete-config", "--topic orders --alter --delete-config max.message.bytes,retention.ms"),
        ("topic, --describe --all", "--topic orders --describe --all"),
        ("topic, unknown setting", "--topic orders --alter --add-config no.such.setting=1"),
        ("broker, --alter --add-config", "--broker 1 --alter --add-config log.retention.ms=7200000"),
        ("broker, --describe", "--broker 1 --describe"),
        ("broker, --alter --delete-config", "--broker 1 --alter --delete-config log.retention.ms"),
        ("broker defaults, --describe", "--broker-defaults --describe"),
        (
            "broker logger, --alter --add-config",
            "--entity-type broker-loggers --entity-name 1 --alter --add-config root=WARN",
        ),
        (
            "broker logger, unknown",
            "--entity-type broker-loggers --entity-name 1 --alter --add-config no.such.logger=INFO",
        ),
        ("broker logger, unknown level", "--entity-type broker-loggers --entity-name 1 --alter --add-config root=LOUD"),
        ("broker logger, root deleted", "--entity-type broker-loggers --entity-name 1 --alter --delete-config root"),
        ("group, --alter --add-config", "--group readers --alter --add-config consumer.session.timeout.ms=50000"),
        ("group, --describe", "--group readers --describe"),
        ("group, out of range", "--group readers --alter --add-config consumer.session.timeout.ms=1"),
        (
            "client metrics, --alter --add-config",
            "--client-metrics m --alter --add-config interval.ms=10000,metrics=[a,b]",
        ),
        ("client metrics, --describe", "--client-metrics m --describe"),
        ("broker, read-only setting", "--broker 1 --alter --add-config node.id=2"),
        ("broker, wrong type", "--broker 1 --alter --add-config log.retention.ms=soon"),
    ];
    player.tool_steps("kafka-configs", Sorted, &steps)?;
    let versions = "kafka-broker-api-versions --bootstrap-server BOOTSTRAP";
    player.tool("kafka-broker-api-versions", Kept, versions)
}

fn quotas(player: &mut Player) -> Result<()> {
    let steps = [
        ("users, --alter", "--entity-type users --entity-name alice --alter --add-config producer_byte_rate=1048576"),
        ("users, default", "--entity-type users --entity-default --alter --add-config request_percentage=200"),
        (
            "clients, --alter",
            "--entity-type clients --entity-name loader --alter --add-config consumer_byte_rate=2097152",
        ),
        (
            "users and clients, --alter",
            "--entity-type users --entity-name alice --entity-type clients --entity-name loader --alter --add-config \
             controller_mutation_rate=10.5",
        ),
        ("ips, --alter", "--entity-type ips --entity-name 127.0.0.9 --alter --add-config connection_creation_rate=20"),
        ("ips, default", "--entity-type ips --entity-default --alter --add-config connection_creation_rate=2000"),
        ("users, --describe", "--entity-type users --describe"),
        ("users, --describe one", "--entity-type users --entity-name alice --describe"),
        ("clients, --describe", "--entity-type clients --describe"),
        ("users and clients, --describe", "--entity-type users --entity-type clients --describe"),
        ("ips, --describe", "--entity-type ips --describe"),
        ("users, unknown key", "--entity-type users --entity-name alice --alter --add-config no_such_rate=1"),
        ("users, negative value", "--entity-type users --entity-name alice --alter --add-config producer_byte_rate=-1"),
        (
            "ips, no address",
            "--entity-type ips --entity-name nowhere.invalid --alter --add-config connection_creation_rate=1",
        ),
        (
            "users, --delete-config",
            "--entity-type users --entity-name alice --alter --delete-config producer_byte_rate",
        ),
        (
            "users, default, --delete-config",
            "--entity-type users --entity-default --alter --delete-config request_percentage",
        ),
        ("users, --describe, after", "--entity-type users --describe"),
    ];
    player.tool_steps("kafka-configs", Sorted, &steps)
}

fn features(player: &mut Player) -> Result<()> {
    let steps = [
        ("upgrade --feature metadata.version=30", "upgrade --feature metadata.version=30"),
        ("upgrade, too far", "upgrade --feature metadata.version=99"),
        ("upgrade, unknown feature", "upgrade --feature no.such.version=1"),
        ("downgrade", "downgrade --feature metadata.version=29"),
        ("downgrade --unsafe", "downgrade --unsafe --feature metadata.version=29"),
        ("disable, unknown feature", "disable --feature no.such.version"),
        ("upgrade --dry-run", "upgrade --dry-run --feature eligible.leader.replicas.version=1"),
    ];
    player.tool_steps("kafka-features", Kept, &steps)?;
    let cluster = "kafka-cluster";
    player.tool("kafka-cluster cluster-id", Kept, &format!("{cluster} cluster-id --bootstrap-server BOOTSTRAP"))?;
    player.tool(
        "kafka-cluster unregister",
        Kept,
        &format!("{cluster} unregister --bootstrap-server BOOTSTRAP --id 7"),
    )?;
    let endpoints = format!("{cluster} list-endpoints --bootstrap-server BOOTSTRAP");
    player.tool("kafka-cluster list-endpoints", Words, &endpoints)
}

fn speed(player: &mut Player) -> Result<()> {
    let produce = format!(
        "kafka-producer-perf-test --topic perf --num-records {PERF_RECORDS} --record-size 100 --throughput -1 \
         --bootstrap-server BOOTSTRAP --command-property acks=all"
    );
    let output = player.output(&produce, "")?;
    // Every five seconds there is a line of interim results: how many depends on the machine.
    let sent = output.lines().any(|line| line.starts_with(&format!("{PERF_RECORDS} records sent")));
    player.write_down("kafka-producer-perf-test", Kept, &format!("all sent: {sent}"));
    let ends = "kafka-get-offsets --bootstrap-server BOOTSTRAP --topic perf";
    player.tool("kafka-get-offsets after kafka-producer-perf-test", Kept, ends)?;
    let consume =
        format!("kafka-consumer-perf-test --bootstrap-server BOOTSTRAP --topic perf --num-records {PERF_RECORDS}");
    player.tool("kafka-consumer-perf-test", Words, &consume)
}

fn verifiable(player: &mut Player) -> Result<()> {
    let produce =
        "kafka-verifiable-producer --bootstrap-server BOOTSTRAP --topic verified --max-messages 500 --acks -1";
    let output = player.output(produce, "")?;
    let kept: Vec<&str> = output.lines().filter(|line| !line.contains("\"tool_data\"")).collect();
    player.write_down("kafka-verifiable-producer", Kept, &kept.join("\n"));
    let consume = "kafka-verifiable-consumer --bootstrap-server BOOTSTRAP --topic verified --group-id verifiers \
                   --max-messages 500";
    let output = player.output(consume, "")?;
    player.write_down("kafka-verifiable-consumer", Kept, &consumed(&output)?);
    let describe = "kafka-consumer-groups --bootstrap-server BOOTSTRAP --describe --group verifiers";
    player.tool("kafka-consumer-groups after kafka-verifiable-consumer", Sorted, describe)
}

/// Records come in polls of any size: what counts is that all came, in order, and the kinds of events.
fn consumed(output: &str) -> Result<String> {
    let (mut next, mut in_order) = (0, true);
    let mut names = std::collections::BTreeSet::new();
    let mut other = Vec::new();
    for line in output.lines() {
        let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else {
            other.push(line.to_string());
            continue;
        };
        names.insert(event["name"].to_string());
        for part in event["partitions"].as_array().into_iter().flatten() {
            if event["name"] == "records_consumed" {
                in_order &= part["minOffset"].as_i64() == Some(next);
                next = part["maxOffset"].as_i64().unwrap_or(-1) + 1;
            }
        }
    }
    Ok(format!("{names:?}\n{next} records, in order: {in_order}\n{}", other.join("\n")))
}

fn delete_records(player: &mut Player) -> Result<()> {
    let create = "kafka-topics --bootstrap-server BOOTSTRAP --create --topic shortened --partitions 1";
    player.tool("kafka-topics --create shortened", Kept, create)?;
    let fill = "kafka-producer-perf-test --topic shortened --num-records 500 --record-size 100 --throughput -1 \
                --bootstrap-server BOOTSTRAP --command-property acks=all";
    let filled = player.output(fill, "")?.contains("500 records sent");
    player.write_down("kafka-producer-perf-test, shortened", Kept, &format!("all sent: {filled}"));
    let steps = [("some", 0, 100), ("everything", 0, -1), ("beyond the end", 0, 100_000)];
    for (step, partition, offset) in steps {
        let asked = serde_json::json!({ "topic": "shortened", "partition": partition, "offset": offset });
        let asked = serde_json::json!({ "version": 1, "partitions": [asked] }).to_string();
        let file = player.file("deleted.json", &asked)?;
        let delete = format!("kafka-delete-records --bootstrap-server BOOTSTRAP --offset-json-file {}", file.display());
        player.tool(&format!("kafka-delete-records, {step}"), Kept, &delete)?;
        let starts = "kafka-get-offsets --bootstrap-server BOOTSTRAP --topic shortened --time -2";
        player.tool(&format!("kafka-get-offsets after kafka-delete-records, {step}"), Kept, starts)?;
    }
    Ok(())
}

/// What is left of a compacted topic: a segment from each producer, of which the last stays the active one.
fn compaction(player: &mut Player) -> Result<()> {
    let create = "kafka-topics --bootstrap-server BOOTSTRAP --create --topic compacted --partitions 1 --config \
                  cleanup.policy=compact --config segment.ms=100 --config min.cleanable.dirty.ratio=0.01";
    player.tool("kafka-topics --create compacted", Kept, create)?;
    let produce = "kafka-console-producer --bootstrap-server BOOTSTRAP --topic compacted --reader-property parse.key=true \
                   --reader-property key.separator=: --reader-property null.marker=NULL";
    let inputs = ["a:old\nb:old\nc:old\nd:old\n", "a:new\nb:NULL\nc:new\nc:newest\n", "e:active\ne:again\n"];
    for (index, input) in inputs.into_iter().enumerate() {
        player.tool_with_input(&format!("kafka-console-producer, compacted {index}"), Kept, produce, input)?;
    }
    let consume = "kafka-console-consumer --bootstrap-server BOOTSTRAP --topic compacted --from-beginning --timeout-ms 3000 \
                   --formatter-property print.key=true --formatter-property print.offset=true \
                   --formatter-property null.literal=NULL";
    let until = Instant::now() + COMPACTION_LIMIT;
    let mut output = player.output(consume, "")?;
    while output.contains("\ta\told") && Instant::now() < until {
        output = player.output(consume, "")?;
    }
    player.write_down("kafka-console-consumer on a compacted topic", Kept, &output);
    let keyless = "kafka-console-producer --bootstrap-server BOOTSTRAP --topic compacted";
    let output = player.output(keyless, "no key\n")?;
    let refused = output.contains("Compacted topic cannot accept message without key");
    player.write_down("kafka-console-producer, without a key", Kept, &format!("refused: {refused}"));
    Ok(())
}

fn ends(player: &mut Player) -> Result<()> {
    let tool = "kafka-topics --bootstrap-server BOOTSTRAP";
    player.tool("kafka-topics --delete", Kept, &format!("{tool} --delete --topic perf"))?;
    player.tool("kafka-topics --describe, all", Kept, &format!("{tool} --describe --exclude-internal"))
}

fn files(player: &mut Player) -> Result<()> {
    let logs = player.files("orders", "log")?;
    player.dump("kafka-dump-log on segments", Kept, "--print-data-log", &logs)?;
    // What the tool says of gaps comes in the order of a hash of the files' names.
    player.dump(
        "kafka-dump-log on compacted segments",
        Sorted,
        "--print-data-log",
        &player.files("compacted", "log")?,
    )?;
    let indexes = [player.files("compacted", "index")?, player.files("compacted", "timeindex")?].concat();
    player.dump("kafka-dump-log on compacted indexes", Kept, "--index-sanity-check", &indexes)?;
    let indexes = [player.files("orders", "index")?, player.files("orders", "timeindex")?].concat();
    player.dump("kafka-dump-log on indexes", Kept, "--index-sanity-check", &indexes)?;
    player.dump("kafka-dump-log on producer snapshots", Kept, "", &player.files("verified", "snapshot")?)?;
    let offsets = player.files("__consumer_offsets", "log")?;
    let names: Vec<String> = offsets.iter().map(|file| file.display().to_string()).collect();
    let decode = format!("kafka-dump-log --offsets-decoder --print-data-log --files {}", names.join(","));
    let printed = normal::records_of_group(&player.output(&decode, "")?, "readers");
    player.write_down("kafka-dump-log --offsets-decoder", Set, &printed);
    Ok(())
}
