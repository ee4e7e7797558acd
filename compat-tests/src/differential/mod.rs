//! Same requests, same answers: scripts of raw requests played against Ottla and Apache Kafka, compared field by field.
//!
//! A script plays on a server of its own. Ids, addresses and the time of day are replaced by names in the order in which they appear
//! ([`normal`]), so that two servers that behave alike leave equal transcripts. What is known to differ stands with its reason in
//! `known_differences.txt`; a line there that no longer matches anything fails the run, so that the file can only shrink.

mod cluster;
mod configs;
mod frames;
mod groups;
mod known;
mod normal;
mod player;
mod records;
mod topics;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::report::Report;
use crate::server::{Against, Server};
use crate::wire::Schemas;
use known::KnownDifferences;
use player::{Player, Transcript};

/// Plays the same requests to Ottla and to Apache Kafka and compares the answers.
#[derive(clap::Args)]
pub struct Arguments {
    /// Scripts to play; all when none is named.
    scripts: Vec<String>,
    /// The server that is compared with Kafka; Kafka itself shows what is not normalised.
    #[arg(long, value_enum, default_value = "ottla")]
    against: Against,
    /// Print every difference of a case instead of the first ones.
    #[arg(long)]
    all: bool,
}

type Script = fn(&mut Player<'_>) -> Result<()>;

const SCRIPTS: &[(&str, Script)] = &[
    ("cluster", cluster::play),
    ("topics", topics::play),
    ("configs", configs::play),
    ("records", records::play),
    ("groups", groups::play),
    ("frames", frames::play),
];

/// What both servers are started with, beside what the harness sets.
const SETTINGS: &[&str] =
    &["node.id=1", "offsets.topic.num.partitions=8", "group.initial.rebalance.delay.ms=0", "num.partitions=2"];
const DIFFERENCES_SHOWN: usize = 6;

/// Plays the scripts; every case of every script is one check.
pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    let schemas = Schemas::load()?;
    let mut known = KnownDifferences::read()?;
    let wanted = |name: &str| arguments.scripts.is_empty() || arguments.scripts.iter().any(|script| script == name);
    for (name, script) in SCRIPTS.iter().filter(|(name, _)| wanted(name)) {
        let expected = transcript(&schemas, Against::Kafka, *script).with_context(|| format!("{name} on Kafka"))?;
        let found = match transcript(&schemas, arguments.against, *script) {
            Ok(found) => found,
            Err(error) => {
                report.fail(format!("script {name} plays on Ottla"), &error);
                continue;
            }
        };
        compare(arguments, name, &expected, &found, &mut known, report);
    }
    if arguments.scripts.is_empty() {
        for line in known.unused() {
            report.fail(format!("known difference {line:?}"), &anyhow::anyhow!("nothing differs there any more"));
        }
    }
    Ok(())
}

fn transcript(schemas: &Schemas, against: Against, script: Script) -> Result<Transcript> {
    let server = Server::start(against, SETTINGS)?;
    let mut player = Player::new(schemas, server.address());
    let outcome = script(&mut player);
    let (transcript, last_case) = player.finish();
    outcome.with_context(|| format!("after case {last_case:?}"))?;
    Ok(transcript)
}

fn compare(
    arguments: &Arguments,
    script: &str,
    expected: &Transcript,
    found: &Transcript,
    known: &mut KnownDifferences,
    report: &Report,
) {
    for (case, expected) in expected {
        let name = format!("{script}: {case}");
        let Some((_, found)) = found.iter().find(|(other, _)| other == case) else {
            report.fail(name, &anyhow::anyhow!("the case was played on Kafka only"));
            continue;
        };
        let mut differences = differences(expected, found);
        differences.retain(|difference| !known.covers(&name, &difference.path));
        if differences.is_empty() {
            report.pass(name);
            continue;
        }
        let shown = if arguments.all { differences.len() } else { DIFFERENCES_SHOWN };
        let lines: Vec<String> = differences.iter().take(shown).map(Difference::line).collect();
        let error = anyhow::anyhow!("{} differences\n        {}", differences.len(), lines.join("\n        "));
        report.fail(name, &error);
    }
}

struct Difference {
    path: String,
    kafka: String,
    ottla: String,
}

impl Difference {
    fn line(&self) -> String {
        format!("{}: kafka {} · ottla {}", self.path, self.kafka, self.ottla)
    }
}

fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    flatten("", expected, &mut left);
    flatten("", found, &mut right);
    let paths: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let absent = || "(absent)".to_owned();
    let mut differences = Vec::new();
    for path in paths {
        let (kafka, ottla) = (left.get(path), right.get(path));
        if kafka != ottla {
            let (kafka, ottla) = (kafka.cloned().unwrap_or_else(absent), ottla.cloned().unwrap_or_else(absent));
            differences.push(Difference { path: path.clone(), kafka, ottla });
        }
    }
    differences
}

/// Every scalar by its path; an empty array or object counts as one.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(&below(name), value, into);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for (index, value) in elements.iter().enumerate() {
                flatten(&below(&index.to_string()), value, into);
            }
        }
        scalar => {
            into.insert(path.to_owned(), scalar.to_string());
        }
    }
}
