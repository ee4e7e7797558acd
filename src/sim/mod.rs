//! Whole clusters in simulated time: nodes, network, disks and clients in one thread, and everything that goes wrong drawn from
//! a seed. `cargo sim --seed 7` runs one seed, `cargo sim --seed 0 --count 100` a hundred, each in a process of its own.
//!
//! The server is the one that is shipped; what is swapped are the doors of `io` (feature `sim`). A run fails when an invariant
//! of [`watch`] breaks at any step, when a client learns something that [`history`] forbids, when anything panics, or when the
//! cluster does not come back after everything is healed. The same seed gives the same trace, whose hash is printed.
//!
//! `--flushes-lie` lets every flush do nothing: then runs must fail, or the simulation proves nothing.

mod campaign;
mod client;
mod history;
mod load;
mod node;
mod plan;
mod run;
mod trace;
mod watch;

use std::process::ExitCode;

use clap::Parser;

pub use run::{Report, RunOptions, run};

/// Simulates a cluster, clients and faults.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo sim")]
struct Options {
    /// The seed, or the first of several.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds; each runs in a process of its own.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Processes at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Nodes of the cluster; 0 draws 3 or 5 from the seed.
    #[arg(long, default_value_t = 1)]
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
    fn replay(&self, seed: u64) -> Vec<String> {
        let mut arguments = vec!["--seed".to_owned(), seed.to_string(), "--nodes".to_owned(), self.nodes.to_string()];
        if self.flushes_lie {
            arguments.push("--flushes-lie".to_owned());
        }
        arguments
    }

    fn node_count(&self) -> i32 {
        match self.nodes {
            0 if self.seed.is_multiple_of(3) => 5,
            0 => 3,
            count => count,
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
