//! Same requests, same answers: scripts of raw requests played against Ottla and Apache Kafka, compared field by field.
//!
//! A script plays on a server of its own. Ids, addresses and the time of day are replaced by names in the order in which they appear
//! ([`normal`]), so that two servers that behave alike leave equal transcripts. What is known to differ stands with its reason in
//! `known_differences.txt`; which settings are Ottla's own, its catalogue says. A line there that no longer matches anything fails the run, so that the file can only shrink.

mod absent;
mod alterations;
mod catalogue;
mod cluster;
mod configs;
mod controllers;
mod coverage;
mod directories;
mod errors;
mod features;
mod frames;
mod groups;
mod known;
mod life;
mod mixed;
mod moving;
mod normal;
mod offline;
mod overlapping;
mod player;
mod quorum;
mod quotas;
mod records;
mod topics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::ottla;
use crate::report::Report;
use crate::server::{Against, CONTROLLERS_APART, Server, TWO_DIRECTORIES};
use crate::wire::Schemas;
use known::KnownDifferences;
use player::{Case, Player, Transcript};

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
    /// Keep Kafka's answers in this folder, and take them from there next time; to be emptied when a script has changed.
    #[arg(long)]
    recorded: Option<PathBuf>,
}

type Script = fn(&mut Player<'_>) -> Result<()>;

const SCRIPTS: &[(&str, Script)] = &[
    ("cluster", cluster::play),
    ("topics", topics::play),
    ("moving", moving::play),
    ("quorum", quorum::play),
    (CONTROLLERS, controllers::play),
    ("configs", configs::play),
    ("directories", directories::play),
    (MOVES, directories::play_moves),
    (OFFLINE, offline::play),
    ("alterations", alterations::play),
    ("catalogue", catalogue::play),
    ("features", features::play),
    ("quotas", quotas::play),
    ("records", records::play),
    ("life", life::play),
    ("groups", groups::play),
    ("mixed", mixed::play),
    ("overlapping", overlapping::play),
    ("frames", frames::play),
];

/// The scripts that are played on two log directories.
const MOVES: &str = "moves";
const OFFLINE: &str = "offline";
/// The script in which controllers have a listener of their own with Ottla too, and nobody is fenced for being silent.
const CONTROLLERS: &str = "controllers";
const PATIENCE: &str = "broker.session.timeout.ms=600000";

/// What both servers are started with, beside what the harness sets.
const SETTINGS: &[&str] = &[
    "node.id=1",
    "offsets.topic.num.partitions=8",
    "group.initial.rebalance.delay.ms=0",
    "num.partitions=2",
    "offsets.topic.replication.factor=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
];
/// Kafka's node is a sole voter that its configuration fixes; so is Ottla's then. Nobody connects to the address.
const FIXED_VOTER: &str = "controller.quorum.voters=1@127.0.0.1:9093";
const DIFFERENCES_SHOWN: usize = 6;

/// Plays the scripts; every case of every script is one check.
pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    let schemas = Schemas::load()?;
    let mut known = KnownDifferences::read()?;
    let mut played = Vec::new();
    let wanted = |name: &str| arguments.scripts.is_empty() || arguments.scripts.iter().any(|script| script == name);
    for (name, script) in SCRIPTS.iter().filter(|(name, _)| wanted(name)) {
        let expected = expected(&schemas, arguments.recorded.as_deref(), name, *script)?;
        let found = match transcript(&schemas, arguments.against, name, *script) {
            Ok(found) => found,
            Err(error) => {
                report.fail(format!("script {name} plays on Ottla"), &error);
                continue;
            }
        };
        compare(arguments, name, &expected, &found, &mut known, report);
        played.extend(expected);
    }
    if arguments.scripts.is_empty() {
        report.check("every version of every API was asked well and badly", coverage::check(&schemas, &played));
        report
            .check("the errors that Kafka answers with are those of the tables, each of them", errors::check(&played));
        for line in known.unused() {
            report.fail(format!("known difference {line:?}"), &anyhow::anyhow!("nothing differs there any more"));
        }
    }
    Ok(())
}

/// What Kafka answers to a script: asked now, or recorded before.
fn expected(schemas: &Schemas, recorded: Option<&Path>, name: &str, script: Script) -> Result<Transcript> {
    let file = recorded.map(|folder| folder.join(format!("{name}.json")));
    if let Some(file) = file.as_ref().filter(|file| file.exists()) {
        return Ok(serde_json::from_slice(&std::fs::read(file)?)?);
    }
    let transcript = transcript(schemas, Against::Kafka, name, script).with_context(|| format!("{name} on Kafka"))?;
    if let Some(file) = file {
        std::fs::write(&file, serde_json::to_vec(&transcript)?).with_context(|| file.display().to_string())?;
    }
    Ok(transcript)
}

fn transcript(schemas: &Schemas, against: Against, name: &str, script: Script) -> Result<Transcript> {
    let mut settings = SETTINGS.to_vec();
    settings.extend([MOVES, OFFLINE].contains(&name).then_some(TWO_DIRECTORIES));
    settings.extend((name == CONTROLLERS).then_some(PATIENCE));
    match against {
        Against::Ottla if name == CONTROLLERS => settings.extend(CONTROLLERS_APART),
        Against::Ottla => settings.push(FIXED_VOTER),
        Against::Kafka => {}
    }
    let server = Server::start(against, &settings)?;
    let mut player = Player::new(schemas, server.address(), server.controller_address(), server.data());
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
    for Case { name: case, outcome: expected, .. } in expected {
        let name = format!("{script}: {case}");
        let Some(Case { outcome: found, .. }) = found.iter().find(|other| other.name == *case) else {
            report.fail(name, &anyhow::anyhow!("the case was played on Kafka only"));
            continue;
        };
        let mut differences = differences(expected, found);
        differences.retain(|difference| !is_of_own_setting(&difference.path) && !known.covers(&name, &difference.path));
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

/// Whether a path leads into what is told of a setting that Kafka does not have.
fn is_of_own_setting(path: &str) -> bool {
    let Some((_, setting)) = path.split_once(".configs.") else { return false };
    setting.match_indices('.').any(|(end, _)| ottla::is_own_setting(&setting[..end]))
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

#[cfg(test)]
mod tests {
    use super::is_of_own_setting;

    #[test]
    fn only_what_is_told_of_our_own_settings_is_expected() {
        for path in ["topics.0.configs.acks.durability.name", "results.0.configs.records.validation.synonyms.0.value"] {
            assert!(is_of_own_setting(path), "{path}");
        }
        for path in ["results.0.configs.retention.ms.value", "results.0.configs.acks.durable.name", "topics.0.name", ""]
        {
            assert!(!is_of_own_setting(path), "{path}");
        }
    }
}
