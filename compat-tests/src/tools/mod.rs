//! Kafka's own command-line tools against Ottla and against Apache Kafka: what they print must be the same.
//!
//! The same steps are played on both servers at the same time. What differs from run to run (addresses, ids, times, speeds) is
//! replaced by names ([`normal`]); settings that are Ottla's own are left out. What is known to differ between the servers
//! stands in [`KNOWN`] with its reason, and a line there that matches nothing any more fails the run.

mod at_once;
mod directories;
mod entities;
mod features;
mod joining;
mod nodes;
mod normal;
mod player;
mod producer;
mod steps;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use regex::Regex;

use crate::cluster::network::Network;
use crate::cluster::nodes::Cluster;
use crate::ottla;
use crate::report::Report;
use crate::server::{Against, Server, TWO_DIRECTORIES};
use player::{Player, Subject, Transcript};

#[derive(clap::Args)]
pub struct Arguments {
    /// The server that is compared with Kafka; Kafka itself shows what is not normalised.
    #[arg(long, value_enum, default_value = "ottla")]
    against: Against,
    /// Three nodes instead of one, and what is done with tools on several.
    #[arg(long)]
    cluster: bool,
    /// Keep Kafka's transcript in this folder, and take it from there next time; to be emptied when the steps have changed.
    #[arg(long)]
    recorded: Option<PathBuf>,
}

/// What both servers are started with, beside what the harness sets.
const SETTINGS: &[&str] = &[
    "node.id=1",
    "offsets.topic.num.partitions=8",
    "group.initial.rebalance.delay.ms=0",
    "log.cleaner.backoff.ms=500",
];
/// Balance would move leaders between two looks, and so would a node that a slow machine keeps silent for longer than Ottla's own
/// timers allow: these are Kafka's. Kafka's controller looks every five minutes only for partitions that may be led uncleanly.
const CLUSTER_SETTINGS: &[&str] = &[
    "auto.leader.rebalance.enable=false",
    "broker.heartbeat.interval.ms=2000",
    "broker.session.timeout.ms=9000",
    "unclean.leader.election.interval.ms=500",
];
const NODES: usize = 3;
const LINES_SHOWN: usize = 8;

/// Known differences on one node or on several.
fn known(is_cluster: bool) -> &'static [Known] {
    if is_cluster { KNOWN_OF_CLUSTERS } else { KNOWN }
}

/// A step, lines of it (a regular expression) that only one of the servers prints, and why that is right.
struct Known {
    step: &'static str,
    line: &'static str,
    reason: &'static str,
}

const KNOWN: &[Known] = &[
    Known { step: "kafka-configs users, --describe", line: NO_SCRAM, reason: NO_SCRAM_REASON },
    Known { step: "kafka-configs users, --describe one", line: NO_SCRAM, reason: NO_SCRAM_REASON },
    Known { step: "kafka-configs users, --describe, after", line: NO_SCRAM, reason: NO_SCRAM_REASON },
];

/// The tool asks for a user's passwords beside its quotas, and those cannot be asked for here; the quotas are printed before.
const NO_SCRAM: &str = r"(DESCRIBE_USER_SCRAM_CREDENTIALS$|^Error while executing config command|^exit code )";
const NO_SCRAM_REASON: &str = "DescribeUserScramCredentials is not offered";

const KNOWN_OF_CLUSTERS: &[Known] = &[
    Known { step: "kafka-features describe through brokers", line: OTHER_FEATURES, reason: OTHER_FEATURES_REASON },
    Known { step: "kafka-features describe through controllers", line: OTHER_FEATURES, reason: OTHER_FEATURES_REASON },
];

const OTHER_FEATURES: &str = r"^Feature: (group|share|streams|transaction)\.version ";
const OTHER_FEATURES_REASON: &str = "a feature is named when what it stands for is offered";

pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    let (expected, found) = std::thread::scope(|scope| {
        let expected = scope.spawn(|| expected(arguments));
        let found = transcript(arguments.against, arguments.cluster);
        (expected.join(), found)
    });
    let expected = expected.map_err(|_| anyhow!("the player of Kafka panicked"))?.context("on Kafka")?;
    let found = found?;
    let known = known(arguments.cluster);
    let mut matched = vec![false; known.len()];
    for (step, lines) in &expected {
        let other = found.iter().find(|(name, _)| name == step).map(|(_, lines)| lines.as_slice());
        let (lines, mut other) = offered_by_both(lines, other.unwrap_or_default());
        other.retain(|line| !is_of_own_setting(line));
        report.check(format!("tools: {step}"), compare(step, &lines, &other, known, &mut matched)?);
    }
    if arguments.cluster && arguments.against == Against::Ottla {
        report.check(
            "tools: nodes that join, and one of them that is made a voter and an observer again",
            joining::run(),
        );
    }
    for (known, _) in known.iter().zip(matched).filter(|(_, matched)| !matched) {
        let name = format!("known difference {:?} of {:?} ({})", known.line, known.step, known.reason);
        report.fail(name, &anyhow!("no line differs so any more"));
    }
    Ok(())
}

/// What the tools print of Kafka: asked now, or recorded before.
fn expected(arguments: &Arguments) -> Result<Transcript> {
    let name = if arguments.cluster { "tools-cluster.json" } else { "tools.json" };
    let file = arguments.recorded.as_ref().map(|folder| folder.join(name));
    if let Some(file) = file.as_ref().filter(|file| file.exists()) {
        return Ok(serde_json::from_slice(&std::fs::read(file)?)?);
    }
    let transcript = transcript(Against::Kafka, arguments.cluster)?;
    if let Some(file) = file {
        std::fs::write(&file, serde_json::to_vec(&transcript)?).with_context(|| file.display().to_string())?;
    }
    Ok(transcript)
}

fn transcript(against: Against, is_cluster: bool) -> Result<Transcript> {
    if is_cluster {
        let cluster = Cluster::start(against, NODES, Network::Loopback, CLUSTER_SETTINGS)?;
        let mut player = Player::new(Subject::Several(cluster))?;
        nodes::play(&mut player)?;
        at_once::play(&mut player)?;
        features::play(&mut player)?;
        return Ok(player.finish());
    }
    let mut player = Player::new(Subject::One(Server::start(against, SETTINGS)?))?;
    steps::play(&mut player)?;
    let mut transcript = player.finish();
    let settings = [SETTINGS, &[TWO_DIRECTORIES]].concat();
    let mut player = Player::new(Subject::One(Server::start(against, &settings)?))?;
    directories::play(&mut player)?;
    transcript.extend(player.finish());
    Ok(transcript)
}

/// Without what `kafka-broker-api-versions` says of APIs that Ottla does not advertise: the README's table names them.
fn offered_by_both(kafka: &[String], ottla: &[String]) -> (Vec<String>, Vec<String>) {
    let api = |line: &str| line.split_once(": ").map(|(api, _)| api.to_string());
    let is_missing = |line: &&String| line.trim_end_matches(',').ends_with(": UNSUPPORTED");
    let missing: Vec<_> = ottla.iter().filter(is_missing).map(|line| api(line)).collect();
    let offered = |lines: &[String]| {
        let kept = lines.iter().filter(|line| api(line).is_none_or(|api| !missing.contains(&Some(api))));
        kept.cloned().collect()
    };
    (offered(kafka), offered(ottla))
}

/// Whether a line shows the value of a setting that Kafka does not have.
fn is_of_own_setting(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| ottla::is_own_setting(name))
}

/// Lines that one server prints and the other does not; those that are known are let through and ticked off.
fn compare(
    step: &str,
    kafka: &[String],
    ottla: &[String],
    known: &[Known],
    matched: &mut [bool],
) -> Result<Result<()>> {
    if kafka.is_empty() {
        return Ok(Err(anyhow!("Kafka printed nothing to compare with")));
    }
    let mut differences = Vec::new();
    let (only_kafka, only_ottla) = (without(kafka, ottla), without(ottla, kafka));
    let marked = only_kafka.iter().map(|line| ("kafka", line)).chain(only_ottla.iter().map(|line| ("ottla", line)));
    for (server, line) in marked {
        let mut is_known = false;
        for (entry, matched) in known.iter().zip(matched.iter_mut()) {
            if entry.step == step && Regex::new(entry.line)?.is_match(line) {
                (is_known, *matched) = (true, true);
            }
        }
        if !is_known {
            differences.push(format!("{server}: {line}"));
        }
    }
    if differences.is_empty() && only_kafka.is_empty() && only_ottla.is_empty() && kafka != ottla {
        differences.push(format!("the same lines in another order: {ottla:?}, Kafka: {kafka:?}"));
    }
    if differences.is_empty() {
        return Ok(Ok(()));
    }
    let count = differences.len();
    differences.truncate(LINES_SHOWN);
    Ok(Err(anyhow!("{count} lines differ\n        {}", differences.join("\n        "))))
}

/// The lines of `these` that are not matched by one of `others`, each of which matches once.
fn without(these: &[String], others: &[String]) -> Vec<String> {
    let mut others: Vec<&String> = others.iter().collect();
    let mut left = Vec::new();
    for line in these {
        match others.iter().position(|other| *other == line) {
            Some(place) => drop(others.swap_remove(place)),
            None => left.push(line.clone()),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_string).collect()
    }

    fn outcome(kafka: &str, ottla: &str) -> Option<String> {
        compare("step", &lines(kafka), &lines(ottla), &[], &mut []).unwrap().err().map(|error| error.to_string())
    }

    #[test]
    fn only_the_same_lines_in_the_same_order_are_equal() {
        assert_eq!(outcome("a b b", "a b b"), None);
        assert_eq!(outcome("a b b", "a b").unwrap(), "1 lines differ\n        kafka: b");
        assert_eq!(outcome("a", "a c").unwrap(), "1 lines differ\n        ottla: c");
        assert_eq!(outcome("", "").unwrap(), "Kafka printed nothing to compare with");
        assert!(outcome("a b", "b a").unwrap().contains("another order"));
    }

    #[test]
    fn only_settings_that_kafka_lacks_are_left_out() {
        assert!(is_of_own_setting("acks.durability=flushed sensitive=false synonyms={}"));
        assert!(!is_of_own_setting("cleanup.policy=delete sensitive=false synonyms={}"));
        assert!(!is_of_own_setting("acks.durability"));
    }

    #[test]
    fn only_apis_that_ottla_says_it_lacks_are_left_out() {
        let kafka = ["A(1): 0 to 3,".to_string(), "B(2): 0 [usable: 0],".to_string(), "end".to_string()];
        let ottla = ["A(1): 0 to 2,".to_string(), "B(2): UNSUPPORTED,".to_string(), "end".to_string()];
        let (kafka, ottla) = offered_by_both(&kafka, &ottla);
        assert_eq!(kafka, ["A(1): 0 to 3,", "end"]);
        assert_eq!(ottla, ["A(1): 0 to 2,", "end"]);
    }
}
