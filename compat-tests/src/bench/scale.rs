//! What there being many costs: partitions at rest, connections at rest, and how soon a server with many partitions is back.
//!
//! Each figure is taken once a run: what is counted here are pages and thousands of things, which vary less than the clock does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kafka_protocol::messages::ApiVersionsRequest;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::admin::Admin;
use super::target::{Subject, Target};
use super::{Arguments, RECORD_BYTES, frames, process};
use crate::connection::Connection;
use crate::hostile::raise_open_files_limit;
use crate::report::Report;

const PARTITIONS: [i32; 3] = [1, 100, 10_000];
/// How many a server has that is started again.
const RESTART_PARTITIONS: i32 = 10_000;
/// More partitions than files that may be open, and what a server may take for them.
const CROWDED_PARTITIONS: i32 = 20_000;
const CROWDED_FILES: u64 = 20_000;
const CROWDED_MIB_MAX: f64 = 200.0;
const CONNECTIONS: [usize; 3] = [10, 1000, 10_000];
/// A topic has at most so many partitions here: what one request may create is limited in Kafka.
const TOPIC_PARTITIONS_MAX: i32 = 1000;
/// Longer than both servers need after the last request for what they do behind it.
const SETTLE: Duration = Duration::from_secs(8);
const WATCH: Duration = Duration::from_secs(10);
/// How many partitions are written to between the last checkpoint and the kill.
const WRITTEN_BEFORE_KILL: i32 = 10;
const SERVED_LIMIT: Duration = Duration::from_secs(180);
/// LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION: not yet.
const NOT_YET: [i16; 3] = [3, 5, 6];

/// Runs the cells that are wanted.
pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    let is_broker = |subject: &Subject| *subject != Subject::Floor;
    let mut brokers: Vec<Subject> = arguments.against.iter().copied().filter(is_broker).collect();
    let wants_partitions = |count: &i32| arguments.wants(&format!("partitions-{count}"));
    if PARTITIONS.iter().any(wants_partitions) || arguments.wants("restart") {
        run_partitions(arguments, &brokers, report);
    }
    let wants_connections = |count: &usize| arguments.wants(&format!("connections-{count}"));
    if CONNECTIONS.iter().any(wants_connections) {
        raise_open_files_limit()?;
        println!("\nconnections that have asked once, and then nothing; the server starts anew for each row");
        println!("| server | connections | MiB | KiB a connection | CPU of one core |");
        println!("|---|---|---|---|---|");
        for subject in &brokers {
            for count in CONNECTIONS.into_iter().filter(wants_connections) {
                report.check(format!("{count} connections to {}", subject.name()), with_connections(*subject, count));
            }
        }
    }
    // Kafka keeps every file open, and cannot do it.
    brokers.retain(|subject| *subject != Subject::Kafka);
    if arguments.wants("crowded") && !brokers.is_empty() {
        // The last of all: a limit that was lowered stays so.
        let limit = Rlimit { current: Some(CROWDED_FILES), maximum: Some(CROWDED_FILES) };
        setrlimit(Resource::Nofile, limit).context("lowering the limit of open files")?;
        println!("\nmore partitions than the {CROWDED_FILES} files that may be open, each written to twice");
        println!("{PARTITIONS_HEAD}");
        for subject in brokers {
            report.check(format!("{CROWDED_PARTITIONS} partitions on {}", subject.name()), crowded(subject));
        }
    }
    Ok(())
}

fn crowded(subject: Subject) -> Result<()> {
    let (target, _) = with_partitions(subject, CROWDED_PARTITIONS, None)?;
    let mut admin = Admin::connect(target.address()?)?;
    for (topic, partitions) in topics(CROWDED_PARTITIONS) {
        for partition in 0..partitions {
            write_one(&mut admin, &topic, partition)?;
            let end = admin.end_offset(&topic, partition)?;
            ensure!(end == 2, "partition {partition} of {topic} ends at {end}");
        }
    }
    let (mib, _) = at_rest(&target)?;
    let files = process::open_files(target.pid()?)?;
    println!("      after the second round: {mib:.1} MiB, {files} files");
    ensure!(mib <= CROWDED_MIB_MAX, "{mib:.1} MiB");
    Ok(())
}

const PARTITIONS_HEAD: &str =
    "| server | partitions | created and written, s | MiB | KiB a partition | CPU of one core | files |
|---|---|---|---|---|---|---|";

fn run_partitions(arguments: &Arguments, brokers: &[Subject], report: &Report) {
    println!("\npartitions, each with one record, and then nothing to do; the server starts anew for each row");
    println!("{PARTITIONS_HEAD}");
    let mut restarts = Vec::new();
    for subject in brokers {
        let mut one = None;
        for count in PARTITIONS {
            let restarts_after = count == RESTART_PARTITIONS && arguments.wants("restart");
            if !restarts_after && !arguments.wants(&format!("partitions-{count}")) {
                continue;
            }
            let name = format!("{count} partitions on {}", subject.name());
            let Some((target, mib)) = report.check(name, with_partitions(*subject, count, one)) else { continue };
            one = one.or((count == 1).then_some(mib));
            if restarts_after {
                let name = format!("restarts of {} with {count} partitions", subject.name());
                restarts.extend(report.check(name, restart_rows(*subject, target, count)).unwrap_or_default());
            }
        }
    }
    if !restarts.is_empty() {
        println!(
            "\nrestart with {RESTART_PARTITIONS} partitions: from the process's start until a record in each topic is acknowledged"
        );
        println!("| server | after | ms | CPU s | MB read |");
        println!("|---|---|---|---|---|");
        restarts.iter().for_each(|row| println!("{row}"));
    }
}

/// The topics of so many partitions, and how many each has.
fn topics(count: i32) -> Vec<(String, i32)> {
    let each = count.min(TOPIC_PARTITIONS_MAX);
    (0..count / each).map(|number| (format!("many-{number}"), each)).collect()
}

/// A server with so many partitions, and its memory at rest in MiB.
fn with_partitions(subject: Subject, count: i32, one_mib: Option<f64>) -> Result<(Target, f64)> {
    let target = Target::start(subject)?;
    let begin = Instant::now();
    let mut admin = Admin::connect(target.address()?)?;
    for (topic, partitions) in topics(count) {
        admin.create_topic(&topic, partitions)?;
        for partition in 0..partitions {
            write_one(&mut admin, &topic, partition)?;
        }
    }
    let created = begin.elapsed();
    let (mib, percent) = at_rest(&target)?;
    let each = one_mib.map_or("–".to_owned(), |one| format!("{:.1}", (mib - one) * 1024.0 / f64::from(count - 1)));
    let files = process::open_files(target.pid()?)?;
    let seconds = created.as_secs_f64();
    println!("| {} | {count} | {seconds:.1} | {mib:.1} | {each} | {percent:.2} % | {files} |", subject.name());
    Ok((target, mib))
}

fn write_one(admin: &mut Admin, topic: &str, partition: i32) -> Result<()> {
    let frame = frames::produce(topic, partition, 1, &frames::batch(1, RECORD_BYTES));
    let until = Instant::now() + SERVED_LIMIT;
    loop {
        match frames::ProduceAnswer::read(&admin.exchange(&frame)?, topic).error_code {
            0 => return Ok(()),
            code if NOT_YET.contains(&code) && Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            code => bail!("partition {partition} of {topic}: error code {code}"),
        }
    }
}

/// Memory in MiB and CPU of one core in percent, when a server has come to rest.
fn at_rest(target: &Target) -> Result<(f64, f64)> {
    std::thread::sleep(SETTLE);
    let before = process::cpu_seconds(target.pid()?)?;
    std::thread::sleep(WATCH);
    let used = process::cpu_seconds(target.pid()?)? - before;
    Ok((process::resident_mib(target.pid()?)?, used / WATCH.as_secs_f64() * 100.0))
}

/// Stops it in order and starts it, kills it and starts it.
fn restart_rows(subject: Subject, mut target: Target, count: i32) -> Result<Vec<String>> {
    let topics = topics(count);
    let begin = Instant::now();
    target.stop()?;
    let stopped_ms = begin.elapsed().as_millis();
    let mut rows = vec![restarted(subject, &mut target, &topics, &format!("a stop, which took {stopped_ms} ms"))?];
    // Checkpoints are written meanwhile; then a few partitions get what is in none.
    std::thread::sleep(SETTLE);
    let mut admin = Admin::connect(target.address()?)?;
    for partition in 0..WRITTEN_BEFORE_KILL {
        write_one(&mut admin, &topics[0].0, partition)?;
    }
    target.kill()?;
    rows.push(restarted(subject, &mut target, &topics, "a kill")?);
    Ok(rows)
}

fn restarted(subject: Subject, target: &mut Target, topics: &[(String, i32)], after: &str) -> Result<String> {
    let begin = Instant::now();
    target.resume()?;
    let mut admin = Admin::connect(target.address()?)?;
    for (topic, partitions) in topics {
        write_one(&mut admin, topic, partitions - 1)?;
    }
    let ms = begin.elapsed().as_millis();
    let (cpu, read) = (process::cpu_seconds(target.pid()?)?, process::read_bytes(target.pid()?)?);
    // Nothing may be missing: each partition has the record that it was given at first.
    for (topic, partitions) in topics {
        for partition in (0..*partitions).step_by(97) {
            let end = admin.end_offset(topic, partition)?;
            ensure!(end >= 1, "partition {partition} of {topic} ends at {end}");
        }
    }
    Ok(format!("| {} | {after} | {ms} | {cpu:.2} | {:.1} |", subject.name(), read as f64 / 1e6))
}

fn with_connections(subject: Subject, count: usize) -> Result<()> {
    let target = Target::start(subject)?;
    let address = target.address()?;
    let first = connect(address)?;
    let (before, _) = at_rest(&target)?;
    let opened: Vec<Connection> = (0..count).map(|_| connect(address)).collect::<Result<_>>()?;
    let (mib, percent) = at_rest(&target)?;
    let each = (mib - before) * 1024.0 / count as f64;
    println!("| {} | {count} | {mib:.1} | {each:.1} | {percent:.2} % |", subject.name());
    drop((first, opened));
    Ok(())
}

/// A connection that was served once.
fn connect(address: SocketAddr) -> Result<Connection> {
    let mut connection = Connection::open(address)?;
    let answer = connection.ask(0, &ApiVersionsRequest::default()).context("asking for versions")?;
    ensure!(answer.error_code == 0, "error code {}", answer.error_code);
    Ok(connection)
}
