//! Everything that proves Ottla against real parts: Apache Kafka, its tools, real clients, kills, and a benchmark.
//!
//! A suite is a module with an `Arguments` struct (clap) and a `run(&Arguments, &Report)`. To add one: a variant of
//! [`Suite`], a line in [`Suite::run`], and, when `verify` shall run it, its name in [`verify::SUITES`].

mod bench;
mod cache;
mod clients;
mod cluster;
mod commands;
mod connection;
mod differential;
mod failover;
mod fuzz;
mod hostile;
mod import;
mod kafka;
mod kill;
mod ottla;
mod port;
mod process;
mod random;
mod record_batch;
mod report;
mod server;
mod shapes;
mod simulation;
mod tools;
mod verify;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::Report;

#[derive(Parser)]
#[command(about = "Proves Ottla against Apache Kafka, its tools and real clients")]
struct Cli {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// Real clients produce, consume, join groups, and survive restarts of the server.
    Clients(clients::Arguments),
    /// Millions of frames, whole and broken, through header, guard, codec and readers.
    Fuzz(fuzz::Arguments),
    /// Idle, slow and boastful clients by the thousand, while others are served.
    Hostile(hostile::Arguments),
    /// Writes the guard's table of request shapes from Kafka's schemas.
    GenerateShapes(shapes::Arguments),
    /// The same requests to Ottla and to Apache Kafka, the answers compared field by field.
    Differential(differential::Arguments),
    /// What a server costs, beside the least it could cost and beside Apache Kafka.
    Bench(bench::Arguments),
    /// The yardstick of `bench`, as a server of its own.
    Floor(bench::FloorArguments),
    /// Producers under load, the server killed again and again, and what was acknowledged looked for.
    Kill(kill::Arguments),
    /// Three nodes under load, killed, paused, cut off and filled up, and everything that clients saw judged.
    Cluster(cluster::Arguments),
    /// Clusters that are set up wrongly: two nodes with one id, swapped directories, clocks that are off.
    Mistakes,
    /// A data directory of Apache Kafka, brought over by copy and by link, and everything that clients see of it compared.
    Import,
    /// How long three nodes keep clients waiting, and what replication costs.
    Failover(failover::Arguments),
    /// Kafka's command-line tools, their output compared with what they print against Apache Kafka.
    Tools(tools::Arguments),
    /// Ottla's commands for people, run against Ottla and against Apache Kafka.
    Commands(commands::Arguments),
    /// Clusters in simulated time, with everything that can go wrong.
    Simulation(simulation::Arguments),
    /// Everything: formatting, lints, unit tests, then every suite.
    Verify,
}

impl Suite {
    fn run(&self, report: &Report) -> anyhow::Result<()> {
        match self {
            Suite::Clients(arguments) => clients::run(arguments, report),
            Suite::Fuzz(arguments) => fuzz::run(arguments, report),
            Suite::Hostile(arguments) => hostile::run(arguments, report),
            Suite::GenerateShapes(arguments) => shapes::run(arguments, report),
            Suite::Differential(arguments) => differential::run(arguments, report),
            Suite::Bench(arguments) => bench::run(arguments, report),
            Suite::Floor(arguments) => bench::run_floor(arguments),
            Suite::Kill(arguments) => kill::run(arguments, report),
            Suite::Cluster(arguments) => cluster::run(arguments, report),
            Suite::Mistakes => cluster::mistakes::run(report),
            Suite::Import => import::run(report),
            Suite::Failover(arguments) => failover::run(arguments, report),
            Suite::Tools(arguments) => tools::run(arguments, report),
            Suite::Commands(arguments) => commands::run(arguments, report),
            Suite::Simulation(arguments) => simulation::run(arguments, report),
            Suite::Verify => verify::run(report),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    process::end_children_on_signal();
    let report = Report::default();
    if let Err(error) = cli.suite.run(&report) {
        report.fail("the suite runs to its end", &error);
    }
    report.finish()
}
