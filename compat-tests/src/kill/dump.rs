//! Kafka's own judgement of files on disk: `kafka-dump-log` over every segment, index and producer snapshot of a topic.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::{kafka, process};

/// Fails unless every batch is valid, indexes agree with their segments, and snapshots can be read.
pub fn check(data: &Path, topic: &str) -> Result<()> {
    let logs = files(data, topic, &["log"])?;
    let segments = run(&logs, &[])?;
    let batches = segments.lines().filter(|line| line.contains("baseOffset:")).count();
    let valid = segments.lines().filter(|line| line.contains("isvalid: true")).count();
    ensure!(batches > 0, "no batch in {} segments:\n{segments}", logs.len());
    ensure!(batches == valid, "{} batches of {batches} are not valid", batches - valid);
    refuse_complaints(&segments)?;
    let indexes = files(data, topic, &["index", "timeindex"])?;
    ensure!(!indexes.is_empty(), "no index");
    refuse_complaints(&run(&indexes, &["--verify-index-only"])?)?;
    let sanity = run(&indexes, &["--index-sanity-check"])?;
    let passed = sanity.lines().filter(|line| line.ends_with("passed sanity check.")).count();
    ensure!(passed == indexes.len(), "{passed} of {} indexes pass:\n{sanity}", indexes.len());
    let snapshots = files(data, topic, &["snapshot"])?;
    ensure!(!snapshots.is_empty(), "no producer snapshot");
    let producers = run(&snapshots, &[])?;
    ensure!(producers.contains("producerId: "), "no producer in {} snapshots", snapshots.len());
    refuse_complaints(&producers)
}

/// Files with one of these extensions in all partitions of the topic, in order.
pub fn files(data: &Path, topic: &str, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(data)? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.rsplit_once('-').is_none_or(|(name, _)| name != topic) {
            continue;
        }
        for file in std::fs::read_dir(&folder)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What `kafka-dump-log` prints of these files.
pub fn run(files: &[PathBuf], options: &[&str]) -> Result<String> {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    process::run("kafka-dump-log", kafka::tool("kafka-dump-log")?.args(options).arg("--files").arg(names.join(",")))
}

/// What the tool says of indexes and segments that do not fit each other. Sources: `DumpLogSegments`, `TimeIndexDumpErrors`.
const COMPLAINTS: &[&str] = &[
    "isvalid: false",
    "Mismatches in",
    "Non-consecutive offsets in",
    "Found timestamp mismatch in",
    "Found out of order timestamp in",
    "Index offset: ",
    "are corrupted",
    "invalid bytes at the end",
    "is truncated",
    "Exception",
];

fn refuse_complaints(output: &str) -> Result<()> {
    let complaints: Vec<&str> =
        output.lines().filter(|line| COMPLAINTS.iter().any(|complaint| line.contains(complaint))).take(5).collect();
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(())
}
