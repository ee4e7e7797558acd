//! The command line: `cargo sim`.

use std::process::ExitCode;

use clap::Parser;

use super::invariant::Broken;
use super::node::Voters;
use super::run::{Report, RunOptions, run};
use super::{bank, campaign};
use crate::io::bugs::Bug;

/// Simulates a cluster, clients and faults.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo sim")]
pub struct Options {
    /// The seed, or the first of several.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How many seeds; each runs in a process of its own.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
    /// Processes at a time.
    #[arg(long, default_value_t = 2)]
    pub jobs: usize,
    /// Nodes of the cluster; 0 takes 1, 3 or 5, by the seed.
    #[arg(long, default_value_t = 0)]
    pub nodes: i32,
    /// Flushes answer success and do nothing.
    #[arg(long)]
    pub flushes_lie: bool,
    /// A bug of the bank that is put back, such as `kip-101`; `all` takes one after the other.
    #[arg(long)]
    pub bug: Option<String>,
    /// Ends well when a seed shows the bug, and badly when none does.
    #[arg(long, requires = "bug")]
    pub expect_failure: bool,
    /// Prints what happens.
    #[arg(long)]
    pub trace: bool,
    /// What the servers log, such as `info` or `ottla::broker=debug`, on standard error.
    #[arg(long, default_value = "off")]
    pub log: String,
}

impl Options {
    /// The arguments that run one seed of these.
    pub fn replay(&self, seed: u64) -> Vec<String> {
        let mut arguments = vec!["--seed".to_owned(), seed.to_string(), "--nodes".to_owned(), self.nodes.to_string()];
        if self.flushes_lie {
            arguments.push("--flushes-lie".to_owned());
        }
        if let Some(bug) = &self.bug {
            arguments.extend(["--bug".to_owned(), bug.clone()]);
        }
        arguments
    }

    fn voters(&self) -> Voters {
        if self.seed % 3 == 2 { Voters::Dynamic } else { Voters::Static }
    }

    fn node_count(&self) -> i32 {
        match (self.nodes, self.seed % 8) {
            (0, 0) => 1,
            (0, 3 | 6) => 5,
            (0, _) => 3,
            (count, _) => count,
        }
    }
}

/// The command line: `cargo sim`.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let bugs = options.bug.as_deref().map(bank::named);
    if bugs.as_ref().is_some_and(Vec::is_empty) {
        let names: Vec<_> = bank::named("all").into_iter().map(|(_, name)| name).collect();
        eprintln!("there is no such bug; there are {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let outcome = match bugs {
        Some(bugs) if options.expect_failure => campaign::hunt(&options, &bugs),
        _ if options.count != 1 => campaign::run(&options),
        bugs => return one(&options, bugs.unwrap_or_default().first().map(|(bug, _)| *bug)),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One seed, in this process.
fn one(options: &Options, bug: Option<Bug>) -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(&options.log).without_time().with_writer(std::io::stderr).init();
    let (seed, node_count) = (options.seed, options.node_count());
    let voters = if node_count == 1 { Voters::Static } else { options.voters() };
    let (flushes_lie, is_traced) = (options.flushes_lie, options.trace);
    match run(RunOptions { seed, node_count, voters, bug, flushes_lie, is_traced }) {
        Ok(Report { trace_hash, acked, read, simulated_ms }) => {
            println!(
                "seed {seed}: {node_count} nodes, {simulated_ms} ms, {acked} acknowledged, {read} read, trace {trace_hash:016x}"
            );
            ExitCode::SUCCESS
        }
        Err(Broken { invariant, what }) => {
            println!("seed {seed}: {node_count} nodes, BROKEN {}", invariant.name());
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}
