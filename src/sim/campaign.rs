//! Many seeds, one process each, a few at a time.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};

use super::bank;
use super::command::Options;
use crate::io::bugs::Bug;

/// Runs `options.count` seeds from `options.seed` on; answers how many failed.
pub fn run(options: &Options) -> anyhow::Result<usize> {
    let mut failed = Vec::new();
    each(options, |seed, output| {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            print!("{}", first_lines(&String::from_utf8_lossy(&output.stderr)));
            failed.push(seed);
        }
        true
    })?;
    println!("{} of {} seeds hold", options.count - failed.len() as u64, options.count);
    for seed in &failed {
        println!("replay: cargo sim {}", options.replay(*seed).join(" "));
    }
    Ok(failed.len())
}

/// Looks for each bug in up to `options.count` seeds; answers how many were not found.
pub fn hunt(options: &Options, bugs: &[(Bug, &str)]) -> anyhow::Result<usize> {
    let mut unfound = 0;
    for (bug, name) in bugs {
        let options = Options { bug: Some((*name).to_owned()), ..options.clone() };
        let (mut tried, mut found) = (0, None);
        each(&options, |seed, output| {
            tried += 1;
            let broken =
                String::from_utf8_lossy(&output.stdout).trim().rsplit_once("BROKEN ").map(|(_, it)| it.to_owned());
            if broken.as_ref().is_some_and(|broken| bank::is_found(*bug, broken)) {
                found = Some((seed, first_lines(&String::from_utf8_lossy(&output.stderr))));
            } else if let Some(broken) = broken {
                println!("{name}: seed {seed} fails for another reason, {broken}");
            }
            found.is_none()
        })?;
        match found {
            Some((seed, what)) => {
                println!("{name}: found in {tried} seeds: cargo sim {}", options.replay(seed).join(" "));
                print!("{}", what.lines().take(1).map(|line| format!("{line}\n")).collect::<String>());
            }
            None => {
                println!("{name}: NOT FOUND in {tried} seeds");
                unfound += 1;
            }
        }
    }
    println!("{} of {} bugs found", bugs.len() - unfound, bugs.len());
    Ok(unfound)
}

/// Runs seed after seed, and hands out what came of them in order, as long as `goes_on` says so.
fn each(options: &Options, mut goes_on: impl FnMut(u64, &Output) -> bool) -> anyhow::Result<()> {
    let mut seeds = options.seed..options.seed + options.count;
    let mut running: BTreeMap<u64, Child> = BTreeMap::new();
    loop {
        while running.len() < options.jobs
            && let Some(seed) = seeds.next()
        {
            running.insert(seed, start(options, seed)?);
        }
        let Some((seed, child)) = running.pop_first() else { return Ok(()) };
        if !goes_on(seed, &child.wait_with_output()?) {
            break;
        }
    }
    for (_, mut child) in running {
        // It may have ended by itself.
        let _ = child.kill();
        child.wait()?;
    }
    Ok(())
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
