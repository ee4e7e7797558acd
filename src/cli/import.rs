//! `ottla import`: takes over the data of an Apache Kafka that was stopped.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::HumanBytes;

use super::Failure;
use super::progress::Progress;
use crate::broker::import::{ImportOptions, Summary, import};
use crate::config::Settings;
use crate::io::clock::SystemClock;
use crate::io::disk::SystemDisk;

#[derive(Args)]
pub(super) struct ImportArguments {
    /// A directory of Kafka's log.dirs; give each of them, and its metadata.log.dir if it has one.
    #[arg(long, value_name = "DIR", required = true)]
    from: Vec<PathBuf>,
    /// Link finished segments instead of copying them: fast, and no room is needed. Both must be on one file system.
    #[arg(long)]
    link: bool,
    /// Take partitions with aborted or open transactions too, whose records consumers will see like any others.
    #[arg(long)]
    allow_transactions: bool,
}

pub(super) fn run(arguments: ImportArguments, settings: Settings) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Runtime(format!("nothing was imported: {error}"));
    let ImportArguments { from, link, allow_transactions } = arguments;
    let into: Vec<String> = settings.log_dirs().iter().map(|dir| dir.display().to_string()).collect();
    let options = ImportOptions {
        settings,
        disk: Arc::new(SystemDisk),
        clock: Arc::new(SystemClock::new()),
        from,
        link,
        allow_transactions,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    let progress = Progress::of_bytes("importing");
    let imported = runtime.block_on(import(options, &mut |done, total| progress.set_bytes(done, total)));
    drop(progress);
    let summary = imported.map_err(|error| failed(&error))?;
    let text = shown(&summary, &into.join(", "));
    write!(std::io::stdout().lock(), "{text}").map_err(|error| Failure::Runtime(format!("cannot print: {error}")))
}

fn shown(summary: &Summary, into: &str) -> String {
    let Summary { cluster_id, node_id, topics, partitions, offsets, copied_bytes, linked_bytes, cut_bytes, left_out } =
        summary;
    let mut text = format!("imported cluster {cluster_id}, node {node_id}, into {into}\n");
    text += &format!("  {topics} topics, {partitions} partitions, {offsets} offsets\n");
    text += &format!("  {} copied, {} linked\n", HumanBytes(*copied_bytes), HumanBytes(*linked_bytes));
    if *cut_bytes > 0 {
        text += &format!("  {} of batches that were torn when Kafka ended are left out\n", HumanBytes(*cut_bytes));
    }
    if !left_out.is_empty() {
        text += "not taken over:\n";
        left_out.iter().for_each(|what| text += &format!("  - {what}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_told_line_by_line() {
        let summary = Summary {
            cluster_id: "c".into(),
            node_id: 1,
            topics: 2,
            partitions: 3,
            offsets: 4,
            copied_bytes: 2048,
            left_out: vec!["a".into(), "b".into()],
            ..Summary::default()
        };
        let expected = "imported cluster c, node 1, into ./data\n  2 topics, 3 partitions, 4 offsets\n  2.00 KiB copied, 0 B \
                        linked\nnot taken over:\n  - a\n  - b\n";
        assert_eq!(shown(&summary, "./data"), expected);
    }
}
