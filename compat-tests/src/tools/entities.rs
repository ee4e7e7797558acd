//! What can be altered about the things of a cluster: settings of every kind of entity, the partitions of a topic, its oldest records.

use anyhow::Result;

use super::player::Order::{Kept, Sorted};
use super::player::Player;

pub fn play(player: &mut Player) -> Result<()> {
    widen(player)?;
    delete_records(player)?;
    settings(player)?;
    quotas(player)
}

fn widen(player: &mut Player) -> Result<()> {
    let steps = [
        ("--create widened", "--create --topic widened --partitions 2 --config retention.bytes=1000000"),
        ("--alter --partitions", "--alter --topic widened --partitions 4"),
        ("--alter, fewer", "--alter --topic widened --partitions 3"),
        ("--alter, as many", "--alter --topic widened --partitions 4"),
        ("--alter, none", "--alter --topic widened --partitions 0"),
        ("--alter, unknown topic", "--alter --topic nobody --partitions 4"),
        ("--alter --if-exists, unknown topic", "--alter --if-exists --topic nobody --partitions 4"),
        (
            "--alter, replicas on unknown brokers",
            "--alter --topic widened --partitions 5 --replica-assignment 1,1,1,1,9",
        ),
        ("--alter, replicas of too few", "--alter --topic widened --partitions 7 --replica-assignment 1,1,1,1,1"),
        ("--alter, several topics", "--alter --topic wide.* --partitions 6"),
        ("--describe widened", "--describe --topic widened"),
        ("--describe --topics-with-overrides", "--describe --topics-with-overrides --exclude-internal"),
    ];
    player.tool_steps("kafka-topics", Kept, &steps)
}

/// Good and bad partitions together, and files that the tool itself may refuse.
fn delete_records(player: &mut Player) -> Result<()> {
    let fill = "kafka-console-producer --bootstrap-server BOOTSTRAP --topic shortened";
    player.tool_with_input("kafka-console-producer, shortened", Kept, fill, "one\ntwo\nthree\n")?;
    let asked = |topic: &str, partition: i32, offset: i64| serde_json::json!({ "topic": topic, "partition": partition, "offset": offset });
    let plan =
        |partitions: &[serde_json::Value]| serde_json::json!({ "version": 1, "partitions": partitions }).to_string();
    for (step, text) in [
        ("two partitions", plan(&[asked("shortened", 0, -1), asked("widened", 1, 0)])),
        ("a negative offset", plan(&[asked("widened", 0, -2)])),
        ("a partition twice", plan(&[asked("widened", 0, 0), asked("widened", 0, 0)])),
        ("nothing", plan(&[])),
        ("another version", "{\"version\":2,\"partitions\":[]}".to_owned()),
        ("no version", "{\"partitions\":[{\"topic\":\"widened\",\"partition\":0,\"offset\":0}]}".to_owned()),
        ("not JSON", "everything".to_owned()),
    ] {
        let file = player.file("deleted.json", &text)?;
        let delete = format!("kafka-delete-records --bootstrap-server BOOTSTRAP --offset-json-file {}", file.display());
        player.tool(&format!("kafka-delete-records, {step}"), Sorted, &delete)?;
    }
    Ok(())
}

fn settings(player: &mut Player) -> Result<()> {
    let file = player.file("settings.properties", "retention.ms=7200000\ncleanup.policy=compact,delete\n")?;
    let from_file = format!("--topic widened --alter --add-config-file {}", file.display());
    let steps = [
        ("topic, --alter --add-config-file", from_file.as_str()),
        (
            "topic, --alter, both at once",
            "--topic widened --alter --add-config segment.ms=3600000 --delete-config retention.ms",
        ),
        ("topic, a list", "--topic widened --alter --add-config cleanup.policy=[compact,delete]"),
        ("topic, wrong type", "--topic widened --alter --add-config retention.ms=soon"),
        ("topic, out of range", "--topic widened --alter --add-config min.insync.replicas=0"),
        ("topic, nothing to delete", "--topic widened --alter --delete-config flush.ms"),
        ("topic, unknown, --alter", "--topic nobody --alter --add-config retention.ms=1"),
        ("topic, unknown, --describe", "--topic nobody --describe"),
        ("topics, --describe", "--entity-type topics --describe"),
        ("topic, default", "--entity-type topics --entity-default --alter --add-config retention.ms=1"),
        ("broker, unknown, --describe", "--broker 9 --describe"),
        ("broker, not a number", "--entity-type brokers --entity-name one --describe"),
        (
            "broker defaults, --alter",
            "--broker-defaults --alter --add-config log.retention.ms=7200000,log.cleaner.threads=2",
        ),
        ("broker defaults, read-only setting", "--broker-defaults --alter --add-config node.id=2"),
        ("broker defaults, out of range", "--broker-defaults --alter --add-config num.io.threads=0"),
        ("broker defaults, too many threads", "--broker-defaults --alter --add-config num.io.threads=100"),
        ("broker defaults, no connections", "--broker-defaults --alter --add-config max.connections=0"),
        ("broker defaults, unknown setting", "--broker-defaults --alter --add-config no.such.setting=1"),
        ("brokers, --describe", "--entity-type brokers --describe"),
        (
            "broker defaults, --alter --delete-config",
            "--broker-defaults --alter --delete-config log.retention.ms,log.cleaner.threads",
        ),
        ("broker logger, default", "--entity-type broker-loggers --entity-default --describe"),
        ("group, unknown setting", "--group readers --alter --add-config no.such.setting=1"),
        ("groups, --describe", "--entity-type groups --describe"),
        ("group, --alter --delete-config", "--group readers --alter --delete-config consumer.session.timeout.ms"),
        ("group, --describe, after", "--group readers --describe"),
        ("group, default", "--entity-type groups --entity-default --describe"),
        ("client metrics, unknown setting", "--client-metrics m --alter --add-config no.such.setting=1"),
        ("client metrics, out of range", "--client-metrics m --alter --add-config interval.ms=1"),
        ("client metrics, no match", "--client-metrics m --alter --add-config match=[no_such_field=1]"),
        ("client metrics, all, --describe", "--entity-type client-metrics --describe"),
        ("client metrics, --alter --delete-config", "--client-metrics m --alter --delete-config interval.ms,metrics"),
        ("client metrics, --describe, after", "--client-metrics m --describe"),
        ("unknown entity type", "--entity-type planets --describe"),
        ("no entity", "--describe"),
        ("nothing to alter", "--topic widened --alter"),
    ];
    player.tool_steps("kafka-configs", Sorted, &steps)
}

fn quotas(player: &mut Player) -> Result<()> {
    let steps = [
        ("clients, default", "--client-defaults --alter --add-config producer_byte_rate=1024,consumer_byte_rate=2048"),
        ("clients, --describe default", "--client-defaults --describe"),
        ("clients, --describe one", "--client loader --describe"),
        ("clients, --describe a stranger", "--client stranger --describe"),
        ("clients, fraction of a byte", "--client loader --alter --add-config producer_byte_rate=1.5"),
        ("clients, not a number", "--client loader --alter --add-config producer_byte_rate=fast"),
        ("clients, --delete-config", "--client loader --alter --delete-config consumer_byte_rate"),
        (
            "clients, --delete-config, default",
            "--client-defaults --alter --delete-config producer_byte_rate,consumer_byte_rate",
        ),
        ("clients, --describe, after", "--entity-type clients --describe"),
        ("users, no such user and client", "--user nobody --client nobody --alter --add-config request_percentage=1"),
        (
            "users and clients, default client",
            "--user alice --client-defaults --alter --add-config request_percentage=50",
        ),
        ("users and clients, --describe one", "--user alice --client loader --describe"),
        (
            "users and clients, --delete-config",
            "--user alice --client loader --alter --delete-config controller_mutation_rate",
        ),
        ("users and ips", "--user alice --ip 127.0.0.9 --describe"),
        ("ips, --describe one", "--ip 127.0.0.9 --describe"),
        ("ips, unknown key", "--ip 127.0.0.9 --alter --add-config producer_byte_rate=1"),
        ("ips, --delete-config", "--ip 127.0.0.9 --alter --delete-config connection_creation_rate"),
        ("ips, --delete-config, default", "--ip-defaults --alter --delete-config connection_creation_rate"),
        ("ips, --describe, after", "--entity-type ips --describe"),
    ];
    player.tool_steps("kafka-configs", Sorted, &steps)
}
