//! All checks in one run: formatting, lints, unit tests, then every suite with its default arguments.

use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use regex::Regex;

use crate::report::Report;
use crate::{Cli, cache};

/// The suites that `verify` runs, cheapest first, by the name of their sub-command.
pub const SUITES: &[&[&str]] = &[
    &["generate-shapes", "--check"],
    &["fuzz"],
    &["hostile"],
    &["simulation"],
    &["kill"],
    &["mistakes"],
    &["import"],
    &["tools"],
    &["tools", "--cluster"],
    &["commands"],
    &["differential"],
    &["clients"],
    &["clients", "--cluster"],
    &["cluster"],
];

/// Runs everything; a suite that cannot run counts as one failure and the next one still runs.
pub fn run(report: &Report) -> anyhow::Result<()> {
    let start = Instant::now();
    report.check("cargo fmt finds nothing to change", succeeds(&["fmt", "--all", "--check"]));
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    report.check("clippy finds nothing to warn of", succeeds(&clippy));
    report.check("bash can read docker/prove.sh, which needs a Docker daemon to run", is_a_script("docker/prove.sh"));
    if let Err(error) = unit_tests(report) {
        report.fail("cargo test runs", &error);
    }
    println!("      lints and unit tests took {} s", start.elapsed().as_secs());
    for arguments in SUITES {
        let start = Instant::now();
        println!("\n{}", arguments.join(" "));
        let cli = Cli::try_parse_from([&["compat-tests"], *arguments].concat())?;
        if let Err(error) = cli.suite.run(report) {
            report.fail(format!("suite {} runs to its end", arguments[0]), &error);
        }
        println!("      {} took {} s", arguments.join(" "), start.elapsed().as_secs());
    }
    Ok(())
}

/// `cargo test` counts for itself; an ignored test is one that did not pass.
fn unit_tests(report: &Report) -> anyhow::Result<()> {
    let output = cargo(&["test", "--workspace", "--no-fail-fast"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let pattern = Regex::new(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored").expect("it is constant");
    let (mut passed, mut failed) = (0, 0);
    for line in pattern.captures_iter(&text) {
        passed += line[1].parse::<u64>()?;
        failed += line[2].parse::<u64>()? + line[3].parse::<u64>()?;
    }
    for line in text.lines().filter(|line| line.starts_with("test ") && !line.ends_with("... ok")) {
        println!("      {line}");
    }
    ensure!(passed > 0, "cargo test ran nothing:\n{}", String::from_utf8_lossy(&output.stderr));
    ensure!(failed > 0 || output.status.success(), "cargo test:\n{}", String::from_utf8_lossy(&output.stderr));
    report.add("cargo test", passed, failed);
    Ok(())
}

fn succeeds(arguments: &[&str]) -> anyhow::Result<()> {
    let output = cargo(arguments)?;
    let text = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&text));
    Ok(())
}

fn is_a_script(path: &str) -> anyhow::Result<()> {
    let output = Command::new("bash").args(["-n", path]).current_dir(cache::repository()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<Output> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(cache::repository()).output();
    output.with_context(|| format!("cannot run cargo {}", arguments.join(" ")))
}
