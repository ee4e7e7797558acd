//! What compaction costs: a log of records that are mostly outdated is compacted, and the CPU until it is small is counted.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::admin::Admin;
use super::target::{Subject, Target};
use super::{Arguments, RECORD_BYTES, frames, median, process};
use crate::report::Report;

/// What a round fills a log with: whole segments and a little, since the last one is not compacted.
const FILL_BYTES: usize = 260 << 20;
const SEGMENT_BYTES: usize = 32 << 20;
/// Each key comes some thirteen times.
const KEYS: usize = 20_000;
const BATCH_RECORDS: usize = 60;
/// A cleaner looks for work so often, on all servers.
pub const SETTINGS: &[&str] = &["log.cleaner.backoff.ms=200"];
const IDLE_WATCH: Duration = Duration::from_secs(3);
/// One of each key is a twelfth of it; a log is compacted when no more than a seventh is left, and it has not changed for so long.
const LEFT_PART: i64 = 7;
const STABLE: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(60);

/// What a round came to.
struct Sample {
    mb_per_cpu_s: f64,
    mb_per_s: f64,
    left_percent: f64,
}

/// Runs the cell.
pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    println!("\ncompaction of {} MB, of which {} keys are left: median (min–max)", FILL_BYTES / 1_000_000, KEYS);
    println!("| server | MB per CPU second | MB/s | left |");
    println!("|---|---|---|---|");
    for subject in arguments.against.iter().copied().filter(|subject| *subject != Subject::Floor) {
        let target = Target::start_with(subject, SETTINGS)?;
        let mut samples = Vec::new();
        for round in 0..arguments.rounds {
            let name = format!("compaction round {} on {}", round + 1, subject.name());
            samples.extend(report.check(name, measure(&target, round)));
        }
        let spread = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
        let (cpu, wall, left) = (
            spread(|sample| sample.mb_per_cpu_s),
            spread(|sample| sample.mb_per_s),
            spread(|sample| sample.left_percent),
        );
        println!(
            "| {} | {:.0} ({:.0}–{:.0}) | {:.0} ({:.0}–{:.0}) | {:.0} % |",
            subject.name(),
            cpu.0,
            cpu.1,
            cpu.2,
            wall.0,
            wall.1,
            wall.2,
            left.0
        );
    }
    Ok(())
}

fn measure(target: &Target, round: usize) -> Result<Sample> {
    let topic = format!("compaction-{round}");
    let mut admin = Admin::connect(target.address()?)?;
    let segment_bytes = SEGMENT_BYTES.to_string();
    admin.create_topic_with(&topic, 1, &[("segment.bytes", &segment_bytes), ("min.cleanable.dirty.ratio", "0.01")])?;
    fill(&mut admin, &topic)?;
    let full = admin.size_bytes(&topic)?;
    let pid = target.pid()?;
    let idle_before = process::cpu_seconds(pid)?;
    std::thread::sleep(IDLE_WATCH);
    let idle = (process::cpu_seconds(pid)? - idle_before) / IDLE_WATCH.as_secs_f64();
    let (cpu_before, begin) = (process::cpu_seconds(pid)?, Instant::now());
    admin.alter_topic(&topic, &[("cleanup.policy", "compact")])?;
    let (mut left, mut cpu, mut ended) = (full, cpu_before, begin);
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let size = admin.size_bytes(&topic)?;
        if size != left {
            (left, cpu, ended) = (size, process::cpu_seconds(pid)?, Instant::now());
        }
        if left < full / LEFT_PART && ended.elapsed() >= STABLE {
            break;
        }
        ensure!(begin.elapsed() < LIMIT, "{left} of {full} bytes are left after {LIMIT:?}");
    }
    let seconds = (ended - begin).as_secs_f64();
    let used = cpu - cpu_before - idle * seconds;
    admin.delete_topic(&topic)?;
    let mb = full as f64 / 1e6;
    Ok(Sample { mb_per_cpu_s: mb / used, mb_per_s: mb / seconds, left_percent: left as f64 / full as f64 * 100.0 })
}

fn fill(admin: &mut Admin, topic: &str) -> Result<()> {
    let mut written = 0;
    for number in 0.. {
        let batch = frames::keyed_batch(number * BATCH_RECORDS, BATCH_RECORDS, KEYS, RECORD_BYTES);
        let answer = admin.exchange(&frames::produce(topic, 0, 1, &batch))?;
        let code = frames::ProduceAnswer::read(&answer, topic).error_code;
        ensure!(code == 0, "filling: error code {code}");
        written += batch.len();
        if written >= FILL_BYTES {
            break;
        }
    }
    Ok(())
}
