//! Many seeds, one process each, a few at a time.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use super::command::Options;

/// Runs `options.count` seeds from `options.seed` on; answers how many failed.
pub fn run(options: &Options) -> anyhow::Result<usize> {
    let mut seeds = options.seed..options.seed + options.count;
    let mut running: BTreeMap<u64, Child> = BTreeMap::new();
    let mut failed = Vec::new();
    loop {
        while running.len() < options.jobs
            && let Some(seed) = seeds.next()
        {
            running.insert(seed, start(options, seed)?);
        }
        let Some((seed, child)) = running.pop_first() else { break };
        let output = child.wait_with_output()?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            print!("{}", first_lines(&String::from_utf8_lossy(&output.stderr)));
            failed.push(seed);
        }
    }
    println!("{} of {} seeds hold", options.count - failed.len() as u64, options.count);
    for seed in &failed {
        println!("replay: cargo sim {}", options.replay(*seed).join(" "));
    }
    Ok(failed.len())
}

fn start(options: &Options, seed: u64) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(options.replay(seed)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// Enough to see what it is about.
fn first_lines(text: &str) -> String {
    text.lines().take(20).map(|line| format!("    {line}\n")).collect()
}
