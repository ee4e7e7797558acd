//! The command line: `cargo sim`.

use std::process::ExitCode;

use clap::Parser;

use super::campaign;
use super::run::{Report, RunOptions, run};

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
    nodes: i32,
    /// Flushes answer success and do nothing.
    #[arg(long)]
    flushes_lie: bool,
    /// Prints what happens.
    #[arg(long)]
    trace: bool,
    /// What the servers log, such as `info` or `ottla::broker=debug`, on standard error.
    #[arg(long, default_value = "off")]
    log: String,
}

impl Options {
    /// The arguments that run one seed of these.
    pub fn replay(&self, seed: u64) -> Vec<String> {
        let mut arguments = vec!["--seed".to_owned(), seed.to_string(), "--nodes".to_owned(), self.nodes.to_string()];
        if self.flushes_lie {
            arguments.push("--flushes-lie".to_owned());
        }
        arguments
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
    if options.count != 1 {
        return match campaign::run(&options) {
            Ok(0) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    tracing_subscriber::fmt().with_env_filter(&options.log).without_time().with_writer(std::io::stderr).init();
    let run_options = RunOptions {
        seed: options.seed,
        node_count: options.node_count(),
        flushes_lie: options.flushes_lie,
        is_traced: options.trace,
    };
    let (seed, nodes) = (options.seed, run_options.node_count);
    match run(run_options) {
        Ok(Report { trace_hash, acked, read, simulated_ms }) => {
            println!(
                "seed {seed}: {nodes} nodes, {simulated_ms} ms, {acked} acknowledged, {read} read, trace {trace_hash:016x}"
            );
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("seed {seed}: {nodes} nodes, BROKEN");
            eprintln!("{broken}");
            ExitCode::FAILURE
        }
    }
}
