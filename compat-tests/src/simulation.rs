//! Whole clusters in simulated time (`cargo sim`): so many seeds hold, a seed has one trace, lost flushes are seen, and so is each
//! bug of the bank.

use std::process::{Command, Output};

use anyhow::{Context, ensure};
use clap::Args;

use crate::cache;
use crate::report::Report;

/// Seeds that are run twice.
const SAME_TRACE_COUNT: u64 = 20;
/// Seeds that are run with flushes that do nothing.
const LYING_COUNT: u64 = 5;
/// Some two hundred seeds pay for a build that takes longer: each costs less than half.
const OPTIMISED: &str = "profile.dev.opt-level=1";
/// Seeds in which each bug of the bank must be found.
const BUG_COUNT: u64 = 200;

#[derive(Args)]
pub struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    count: u64,
}

/// Runs the simulator, in processes of its own.
pub fn run(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let Arguments { seed, count } = arguments;
    let output = simulate(&["--seed", &seed.to_string(), "--count", &count.to_string()])?;
    let held = traces(&output).len() as u64;
    ensure!(held > 0, "no seed has run: {}", String::from_utf8_lossy(&output.stderr));
    report.add("clusters keep their promises in simulated time", held, count.saturating_sub(held));
    for line in text(&output).lines().filter(|line| line.starts_with("replay:") || line.starts_with("    ")) {
        println!("      {line}");
    }
    let again = simulate(&["--seed", &seed.to_string(), "--count", &SAME_TRACE_COUNT.min(*count).to_string()])?;
    report.check("a seed has one trace", same(&traces(&output), &traces(&again)));
    let lying = simulate(&["--flushes-lie", "--seed", &seed.to_string(), "--count", &LYING_COUNT.to_string()])?;
    let unseen = traces(&lying);
    report.check("flushes that do nothing are noticed", none_holds(&unseen));
    let count = BUG_COUNT.to_string();
    let hunt = simulate(&["--bug", "all", "--expect-failure", "--seed", &seed.to_string(), "--count", &count])?;
    for line in text(&hunt).lines().filter(|line| line.contains(": found in ") || line.contains(": NOT FOUND ")) {
        println!("      {line}");
    }
    report.check("every bug of the bank is found", ended_well(&hunt));
    Ok(())
}

fn ended_well(output: &Output) -> anyhow::Result<()> {
    ensure!(output.status.success(), "{}{}", text(output), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn same(first: &[String], second: &[String]) -> anyhow::Result<()> {
    ensure!(!second.is_empty(), "nothing has run");
    for line in second {
        ensure!(first.contains(line), "another run came to {line}");
    }
    Ok(())
}

fn none_holds(held: &[String]) -> anyhow::Result<()> {
    ensure!(held.is_empty(), "nothing was noticed: {}", held.join("; "));
    Ok(())
}

/// The lines of the seeds that held, each with its trace.
fn traces(output: &Output) -> Vec<String> {
    text(output).lines().filter(|line| line.contains(", trace ")).map(str::to_owned).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn simulate(arguments: &[&str]) -> anyhow::Result<Output> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--config", OPTIMISED, "--features", "sim", "--bin", "ottla-sim", "--"]);
    command.args(arguments);
    command.current_dir(cache::repository()).output().context("cargo cannot be run")
}
