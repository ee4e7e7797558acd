//! What users do with one client: create, send with every codec, read back, seek, restart the server in between.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::clients::group;
use crate::clients::program::Program;
use crate::clients::record::{mix, numbered};
use crate::clients::session::Session;
use crate::clients::stored::{CODECS, is_compressed_with};
use crate::clients::topic::{Sending, Topic};
use crate::server::Against;

const PARTITIONS: usize = 4;
const MIX_COUNT: usize = 120;

/// A client that is told a fatal error gives up at once; one that retries would go on for its own timeout, a minute or more.
const FATAL_LIMIT: Duration = Duration::from_secs(10);

/// Every scenario, in an order where the cheap ones come first.
pub fn run_all(session: &mut Session) {
    let creates = format!("creates a topic of {PARTITIONS} partitions and sees a leader for each");
    session.scenario(&creates, |_, program| Topic::create(program, "created", PARTITIONS).map(drop));
    for codec in CODECS {
        let sentence =
            format!("sends and reads back equal records in order, 1 MB and null values too, with codec {codec}");
        session.scenario(&sentence, |session, program| codec_round_trip(session, program, codec));
    }
    for acks in ["0", "1"] {
        let sentence = format!("sends with acks={acks} and reads everything back");
        session.scenario(&sentence, |_, program| acks_round_trip(program, acks));
    }
    session.scenario("sends to an unknown topic, which is created by that", |_, program| auto_create(program));
    session.scenario("seeks by offset", |_, program| seek_by_offset(program));
    session.scenario("seeks by timestamp", |_, program| seek_by_timestamp(program));
    let sentence = match session.client.idempotent {
        true => "goes on with the same idempotent producer after the server was stopped and started",
        false => "goes on with the same producer after the server was stopped and started",
    };
    session.scenario(sentence, send_over_restart);
    match session.against {
        Against::Ottla => session.scenario("gives up on transactions at once, with an error", transactions_fail_fast),
        Against::Kafka => session.scenario("initialises a transactional producer", transactions_begin),
    };
    group::run_all(session);
}

/// The first record's time: recent, so that retention lets it be, and in whole seconds, as seeks by time want round numbers.
fn an_hour_ago() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("the clock is not that late") * 1000 - 3_600_000
}

fn codec_round_trip(session: &mut Session, program: &mut Program, codec: &'static str) -> Result<()> {
    let mut topic = Topic::create(program, &format!("codec-{codec}"), PARTITIONS)?;
    topic.send(
        program,
        Sending { codec, ..Sending::safely(session.client) },
        mix(MIX_COUNT, PARTITIONS, an_hour_ago()),
    )?;
    topic.read_all(program)?;
    is_compressed_with(&session.server.data(), &topic.name, PARTITIONS, codec)
}

fn acks_round_trip(program: &mut Program, acks: &'static str) -> Result<()> {
    let safely = Sending::safely(program.client);
    let mut topic = Topic::create(program, &format!("acks-{acks}"), PARTITIONS)?;
    // Real Kafka may not lead a partition yet that its metadata show, and then drops records that ask for no answer.
    topic.send(program, safely, numbered("first", PARTITIONS, PARTITIONS, an_hour_ago()))?;
    topic.send(program, Sending { acks, idempotent: false, ..safely }, mix(MIX_COUNT, PARTITIONS, an_hour_ago()))?;
    topic.read_all(program)
}

fn auto_create(program: &mut Program) -> Result<()> {
    let how = Sending::safely(program.client);
    let mut topic = Topic::unknown("not-there-before", 1);
    topic.send(program, how, numbered("first", 10, 1, an_hour_ago()))?;
    topic.read_all(program)
}

fn seek_by_offset(program: &mut Program) -> Result<()> {
    let how = Sending::safely(program.client);
    let mut topic = Topic::create(program, "seek-offset", PARTITIONS)?;
    topic.send(program, how, numbered("seek", 100, PARTITIONS, an_hour_ago()))?;
    topic.read(program, &json!({"offset": 17}), |record| record.offset >= 17)
}

fn seek_by_timestamp(program: &mut Program) -> Result<()> {
    let how = Sending::safely(program.client);
    let first = an_hour_ago();
    let mut topic = Topic::create(program, "seek-timestamp", PARTITIONS)?;
    // In several requests, so that there are several batches to choose from.
    let records = mix(MIX_COUNT, PARTITIONS, first);
    for part in records.chunks(MIX_COUNT / 4) {
        topic.send(program, how, part.to_vec())?;
    }
    // Between two records: each partition begins with the first that is not earlier.
    let between = first + 70_500;
    topic.read(program, &json!({"timestamp": between}), |record| record.timestamp >= between)
}

fn send_over_restart(session: &mut Session, program: &mut Program) -> Result<()> {
    let how = Sending::safely(session.client);
    let mut topic = Topic::create(program, "restarted", PARTITIONS)?;
    topic.send(program, how, numbered("before", 40, PARTITIONS, an_hour_ago()))?;
    session.server.stop_and_start()?;
    if session.against == Against::Ottla {
        found_nothing_to_repair(session)?;
    }
    topic.send(program, how, numbered("after", 40, PARTITIONS, an_hour_ago()))?;
    topic.read_all(program)
}

/// A clean stop leaves indexes and snapshots whole; what is not is rebuilt at start, and told.
fn found_nothing_to_repair(session: &Session) -> Result<()> {
    let log = std::fs::read_to_string(session.server.log())?;
    let told: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    ensure!(told.is_empty(), "over a clean stop the server complains:\n{}", told.join("\n"));
    Ok(())
}

fn transactions_begin(_: &mut Session, program: &mut Program) -> Result<()> {
    program.ask(&json!({"do": "transactions", "id": "compat"})).map(drop)
}

fn transactions_fail_fast(_: &mut Session, program: &mut Program) -> Result<()> {
    let start = Instant::now();
    let Err(error) = program.ask(&json!({"do": "transactions", "id": "compat"})) else {
        bail!("a transactional producer was initialised, though Ottla has no transactions");
    };
    ensure!(start.elapsed() < FATAL_LIMIT, "it took {} s to fail: {error:#}", start.elapsed().as_secs());
    // The program must have answered: one that died did not give up in an orderly way.
    Topic::create(program, "after-transactions", 1).map(drop)
}
