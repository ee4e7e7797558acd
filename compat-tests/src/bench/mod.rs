//! What a server costs beside the least it could cost: server CPU per GB and per million requests, against the floor and Apache Kafka.
//!
//! Servers take turns on one core, the load runs on the other; each cell is measured in several rounds and shown as the median with the
//! smallest and the largest. Absolute figures belong to the machine; the ratio to the floor of the same run is what to compare.

mod admin;
mod compaction;
mod floor;
pub mod frames;
mod generator;
pub mod process;
mod scale;
mod target;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::report::Report;
use admin::Admin;
use generator::{Load, Outcome, Work};
use target::{Subject, Target};

/// Measures servers against each other.
#[derive(clap::Args)]
pub struct Arguments {
    /// Whom to compare.
    #[arg(long, value_delimiter = ',', default_value = "floor,ottla")]
    against: Vec<Subject>,
    /// Cells to run, by the beginning of their names; all when none is named.
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// How often each cell is measured on each server, in turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measured time of a cell, in seconds; half as much comes before it as warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// The yardstick as a process.
#[derive(clap::Args)]
pub struct FloorArguments {
    /// Address to listen on.
    #[arg(long)]
    listen: String,
    /// Folder for its files.
    #[arg(long)]
    data: PathBuf,
}

/// Runs the yardstick until it is killed.
pub fn run_floor(arguments: &FloorArguments) -> Result<()> {
    floor::serve(&arguments.listen, &arguments.data)
}

#[derive(Clone, Copy)]
enum Kind {
    Produce { records: usize, acks: i16 },
    Fetch,
}

/// One row of the table.
struct Cell {
    name: &'static str,
    kind: Kind,
    connections: i32,
    window: usize,
}

const RECORD_BYTES: usize = 1024;
const FETCH_BYTES: i32 = 1 << 20;
/// What each partition of the fetch cell holds; together it stays in the page cache.
const FETCH_LOG_BYTES: usize = 64 << 20;
const READ_BACK_BYTES: usize = 16 << 20;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const FIRST_RECORD_LIMIT: Duration = Duration::from_secs(30);

const CELLS: &[Cell] = &[
    Cell { name: "produce-64k", kind: Kind::Produce { records: 62, acks: 1 }, connections: 4, window: 5 },
    Cell { name: "produce-16k", kind: Kind::Produce { records: 15, acks: 1 }, connections: 4, window: 5 },
    Cell { name: "produce-1k", kind: Kind::Produce { records: 1, acks: 1 }, connections: 64, window: 1 },
    Cell { name: "pipelined-1k", kind: Kind::Produce { records: 1, acks: 1 }, connections: 64, window: 5 },
    Cell { name: "all-1k", kind: Kind::Produce { records: 1, acks: -1 }, connections: 64, window: 1 },
    Cell { name: "fetch-1m", kind: Kind::Fetch, connections: 4, window: 1 },
];

/// What one round of one cell cost.
#[derive(Clone)]
struct Sample {
    cpu_s_per_gb: f64,
    cpu_us_per_request: f64,
    mb_per_s: f64,
    requests_per_s: f64,
    latency_p50_us: u64,
    latency_p99_us: u64,
}

/// Runs the cells and prints the tables; a wrong answer of a server is a failed check.
pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    for cell in CELLS.iter().filter(|cell| arguments.wants(cell.name)) {
        run_cell(arguments, cell, report)?;
    }
    if arguments.wants("start") {
        run_start(arguments, report)?;
    }
    if arguments.wants("idle") {
        run_idle(arguments, report)?;
    }
    if arguments.wants("compaction") {
        compaction::run(arguments, report)?;
    }
    scale::run(arguments, report)
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|cell| name.starts_with(cell.as_str()))
    }
}

fn run_cell(arguments: &Arguments, cell: &Cell, report: &Report) -> Result<()> {
    let mut samples: Vec<Vec<Option<Sample>>> = vec![Vec::new(); arguments.against.len()];
    let mut targets: Vec<Option<Target>> = arguments.against.iter().map(|_| None).collect();
    for round in 0..arguments.rounds {
        // Whoever comes first finds warmer memory and a quieter disk: the order turns from round to round.
        let mut order: Vec<usize> = (0..arguments.against.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let subject = arguments.against[index];
            let target = match targets[index].take() {
                Some(target) => target,
                None => Target::start(subject)?,
            };
            let name = format!("{} round {} on {}", cell.name, round + 1, subject.name());
            samples[index].push(report.check(name, measure(arguments, cell, &target, round)));
            if subject.warms_up_slowly() {
                targets[index] = Some(target);
                continue;
            }
            // Gone with its files before the next one starts, so that nothing of it is still being written beside it.
            drop(target);
            rustix::fs::sync();
        }
    }
    print_table(cell.name, &arguments.against, &samples);
    Ok(())
}

fn measure(arguments: &Arguments, cell: &Cell, target: &Target, round: usize) -> Result<Sample> {
    let topic = format!("{}-{round}", cell.name);
    let address = target.address()?;
    let mut admin = Admin::connect(address)?;
    if target.is_broker() {
        admin.create_topic(&topic, cell.connections)?;
    }
    let batch = match cell.kind {
        Kind::Produce { records, .. } => frames::batch(records, RECORD_BYTES),
        Kind::Fetch => fill(&mut admin, &topic, cell.connections)?,
    };
    let work = (0..cell.connections).map(|partition| work(cell.kind, &topic, partition, &batch)).collect();
    let load = Load {
        address,
        topic: topic.clone(),
        window: cell.window,
        warm_up: Duration::from_secs_f64(arguments.seconds / 2.0),
        measured: Duration::from_secs_f64(arguments.seconds),
    };
    let pid = target.pid()?;
    let (mut before, mut after) = (0.0, 0.0);
    let outcome = generator::run(
        &load,
        work,
        || before = process::cpu_seconds(pid).unwrap_or(f64::NAN),
        || after = process::cpu_seconds(pid).unwrap_or(f64::NAN),
    )?;
    if target.is_broker() {
        if matches!(cell.kind, Kind::Produce { .. }) {
            check_log(&mut admin, &topic, &outcome)?;
        }
        admin.delete_topic(&topic)?;
    }
    Ok(sample(&outcome, after - before))
}

/// The log must have grown by what was acknowledged, and what it holds must read back whole.
fn check_log(admin: &mut Admin, topic: &str, outcome: &Outcome) -> Result<()> {
    for (partition, end) in (0..).zip(&outcome.ends) {
        let until = Instant::now() + Duration::from_secs(10);
        while admin.end_offset(topic, partition)? < *end {
            ensure!(Instant::now() < until, "partition {partition} ends before acknowledged offset {end}");
            std::thread::sleep(Duration::from_millis(10));
        }
        ensure!(admin.end_offset(topic, partition)? == *end, "partition {partition} holds more than was sent");
    }
    let end = outcome.ends[0];
    let read_to = admin.read_back(topic, 0, end, READ_BACK_BYTES)?;
    ensure!(read_to > 0 && read_to <= end, "read back to {read_to} of {end}");
    Ok(())
}

fn work(kind: Kind, topic: &str, partition: i32, batch: &[u8]) -> Work {
    match kind {
        Kind::Produce { records, acks } => {
            Work::Produce { frame: frames::produce(topic, partition, acks, batch), records: records as i64 }
        }
        Kind::Fetch => {
            let (frame, offset_at) = frames::fetch(topic, partition, FETCH_BYTES, 500);
            let batch_records = i64::from(frames::i32_at(batch, 57));
            Work::Fetch { frame, offset_at, batch_bytes: batch.len(), batch_records }
        }
    }
}

/// Fills every partition for the fetch cell; returns the batch that it repeats.
fn fill(admin: &mut Admin, topic: &str, partitions: i32) -> Result<Vec<u8>> {
    let batch = frames::batch(62, RECORD_BYTES);
    for partition in 0..partitions {
        let frame = frames::produce(topic, partition, -1, &batch);
        for _ in 0..FETCH_LOG_BYTES / batch.len() {
            let answer = admin.exchange(&frame)?;
            let code = frames::ProduceAnswer::read(&answer, topic).error_code;
            ensure!(code == 0, "filling: error code {code}");
        }
    }
    Ok(batch)
}

fn sample(outcome: &Outcome, cpu_seconds: f64) -> Sample {
    let seconds = outcome.elapsed.as_secs_f64();
    Sample {
        cpu_s_per_gb: cpu_seconds / (outcome.bytes as f64 / 1e9),
        cpu_us_per_request: cpu_seconds * 1e6 / outcome.requests as f64,
        mb_per_s: outcome.bytes as f64 / 1e6 / seconds,
        requests_per_s: outcome.requests as f64 / seconds,
        latency_p50_us: outcome.latency_us.value_at_quantile(0.5),
        latency_p99_us: outcome.latency_us.value_at_quantile(0.99),
    }
}

fn print_table(cell: &str, subjects: &[Subject], samples: &[Vec<Option<Sample>>]) {
    println!("\n{cell}: server CPU, median (min–max) of the rounds; the ratio is taken within each round");
    println!("| server | CPU s/GB | CPU µs/request | to floor | MB/s | requests/s | p50 µs | p99 µs |");
    println!("|---|---|---|---|---|---|---|---|");
    let floor = subjects.iter().position(|subject| *subject == Subject::Floor).map(|index| &samples[index]);
    for (subject, samples) in subjects.iter().zip(samples) {
        let good: Vec<&Sample> = samples.iter().flatten().collect();
        if good.is_empty() {
            println!("| {} | failed |", subject.name());
            continue;
        }
        let whole = |figure: fn(&Sample) -> f64| median(good.iter().map(|sample| figure(sample)).collect()).0;
        let spread = |figure: fn(&Sample) -> f64| median(good.iter().map(|sample| figure(sample)).collect());
        let (gb, request) = (spread(|sample| sample.cpu_s_per_gb), spread(|sample| sample.cpu_us_per_request));
        println!(
            "| {} | {:.2} ({:.2}–{:.2}) | {:.1} ({:.1}–{:.1}) | {} | {:.0} | {:.0} | {:.0} | {:.0} |",
            subject.name(),
            gb.0,
            gb.1,
            gb.2,
            request.0,
            request.1,
            request.2,
            ratio(samples, floor),
            whole(|sample| sample.mb_per_s),
            whole(|sample| sample.requests_per_s),
            whole(|sample| sample.latency_p50_us as f64),
            whole(|sample| sample.latency_p99_us as f64),
        );
    }
}

/// CPU a request beside the floor's of the same round.
fn ratio(samples: &[Option<Sample>], floor: Option<&Vec<Option<Sample>>>) -> String {
    let Some(floor) = floor else { return "–".to_owned() };
    let ratios = samples
        .iter()
        .zip(floor)
        .filter_map(|(sample, floor)| Some(sample.as_ref()?.cpu_us_per_request / floor.as_ref()?.cpu_us_per_request));
    let (middle, least, most) = median(ratios.collect());
    format!("{middle:.2}× ({least:.2}–{most:.2})")
}

/// Median, smallest and largest.
fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => (f64::NAN, f64::NAN, f64::NAN),
        sorted => (sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1]),
    }
}

/// From the start of the process on an empty directory to the first acknowledged record of a topic made by asking for it.
fn run_start(arguments: &Arguments, report: &Report) -> Result<()> {
    println!("\nstart: ms from the start of the process to the first acknowledged record, median (min–max)");
    for subject in &arguments.against {
        let mut times = Vec::new();
        for _ in 0..arguments.rounds.max(5) {
            let started = report.check(format!("start of {}", subject.name()), first_record(*subject));
            times.extend(started.map(|(_, elapsed)| elapsed.as_secs_f64() * 1e3));
        }
        let (middle, least, most) = median(times);
        println!("| {} | {middle:.0} ({least:.0}–{most:.0}) |", subject.name());
    }
    Ok(())
}

/// The server, and how long it took from nothing to the acknowledgement of its first record.
fn first_record(subject: Subject) -> Result<(Target, Duration)> {
    subject.prepare()?;
    let begin = Instant::now();
    let target = Target::start(subject)?;
    let mut admin = Admin::connect(target.address()?)?;
    if target.is_broker() {
        while admin.metadata("first")? != 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let frame = frames::produce("first", 0, -1, &frames::batch(1, RECORD_BYTES));
    loop {
        let answer = admin.exchange(&frame)?;
        let elapsed = begin.elapsed();
        match frames::ProduceAnswer::read(&answer, "first").error_code {
            0 => return Ok((target, elapsed)),
            // Kafka announces leaders that do not know of it yet.
            NOT_LEADER_OR_FOLLOWER if elapsed < FIRST_RECORD_LIMIT => std::thread::sleep(Duration::from_millis(1)),
            code => bail!("error code {code}"),
        }
    }
}

/// Memory and CPU of a server that has had one record and then nothing to do.
fn run_idle(arguments: &Arguments, report: &Report) -> Result<()> {
    const SETTLE: Duration = Duration::from_secs(3);
    const WATCH: Duration = Duration::from_secs(10);
    println!("\nidle: resident MiB, CPU of one core in percent");
    for subject in &arguments.against {
        let started = report.check(format!("idle {}", subject.name()), first_record(*subject));
        let Some((target, _)) = started else { continue };
        std::thread::sleep(SETTLE);
        let before = process::cpu_seconds(target.pid()?)?;
        std::thread::sleep(WATCH);
        let used = process::cpu_seconds(target.pid()?)? - before;
        let percent = used / WATCH.as_secs_f64() * 100.0;
        println!("| {} | {:.1} MiB | {percent:.3} % |", subject.name(), process::resident_mib(target.pid()?)?);
    }
    Ok(())
}
