//! Producers, a reader and committing groups under load; SIGKILL at a random moment; restart on the same data; many times.
//!
//! What must hold over all of it is in [`history`]: nothing acknowledged is lost, nothing is there twice, no offset has two
//! records, high watermarks and committed offsets never go back. Some kills come while the server is still starting, and now
//! and then it is stopped in good order. A killed process leaves the page cache whole: power cuts are another test.

pub mod batch;
pub mod dump;
pub mod history;
mod load;
mod moved;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{CreateTopicsRequest, InitProducerIdRequest, ProducerId};

pub use dump::files;

use crate::connection::{Connection, text, topic_name};
use crate::ottla::Ottla;
use crate::random::Random;
use crate::report::Report;
use batch::Producer;
use history::{Anomaly, Fact, History, Observation};
use load::{Committer, Reader, Run, Sender, Sent, TOPIC};

const PARTITIONS: i32 = 4;
const PRODUCERS: u32 = 4;
/// Time under load before a kill, in ms.
const LOAD_MAX_MS: u64 = 900;
/// Every so many kills there is one more while the server starts, and every so many a stop in good order.
const KILL_AT_START_EVERY: u32 = 5;
const STOP_EVERY: u32 = 20;
const START_MAX_MS: u64 = 12;
/// Kafka's smallest, so that segments roll all the time.
const SEGMENT_BYTES: &str = "1048576";
/// Anomalies of a kind that are printed.
const SHOWN_MAX: usize = 5;

#[derive(clap::Args)]
pub struct Arguments {
    /// How often the server is killed.
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// The same seed makes the same requests and the same waits; 0 takes one from the clock.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// What threads hand back.
#[derive(Default)]
struct Seen {
    history: History,
    resent: u64,
}

pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    let clock_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let seed = if arguments.seed == 0 { u64::try_from(clock_ms)? } else { arguments.seed };
    println!("      kill --kills {} --seed {seed}", arguments.kills);
    let mut ottla = Ottla::start(&["offsets.topic.num.partitions=4"])?;
    let producers = prepare(ottla.address(), i64::try_from(clock_ms)?)?;
    let run = Run::new(ottla.address(), PARTITIONS, producers);
    let (restarts, seen) = std::thread::scope(|scope| {
        let clients = start_clients(scope, &run, seed);
        let restarts = kill_and_restart(&mut ottla, &run, arguments.kills, seed);
        run.stop();
        let (reader, committer, senders) = clients;
        (restarts, gather(reader.join(), committer.join(), senders.into_iter().map(|sender| sender.join())))
    });
    let name = format!("the server comes back after each of {} kills", arguments.kills);
    let Some(observations) = report.check(name, restarts) else {
        return Ok(());
    };
    let mut seen = seen?;
    seen.history.observations.extend(observations);
    ottla.kill()?;
    ottla.resume()?;
    seen.history.log = (0..).zip(Reader::read_all(&run)?).collect();
    report.check("there was a load to interrupt", check_load(&seen, arguments.kills));
    judge(&seen.history, report);
    ottla.stop()?;
    report.check("kafka-dump-log finds nothing wrong in what is on disk", dump::check(&ottla.data(), TOPIC));
    report.check("a log that moves to another directory gets there over kills", moved::check());
    Ok(())
}

/// Creates the topic and asks for producer ids. Half of the producers begin just before the last sequence there is.
fn prepare(address: &str, start_ms: i64) -> Result<Vec<Producer>> {
    let mut connection = Connection::open(address)?;
    let segment_bytes =
        CreatableTopicConfig::default().with_name(text("segment.bytes")).with_value(Some(text(SEGMENT_BYTES)));
    let topic = CreatableTopic::default()
        .with_name(topic_name(TOPIC))
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(1)
        .with_configs(vec![segment_bytes]);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = connection.ask(7, &request)?;
    let error = answer.topics.first().context("no topic in the answer")?.error_code;
    ensure!(error == 0, "CreateTopics answers error {error}");
    let mut producers = Vec::new();
    for index in 0..PRODUCERS {
        let nobody = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX);
        let answer = connection.ask(4, &nobody.with_producer_id(ProducerId(-1)).with_producer_epoch(-1))?;
        ensure!(answer.error_code == 0, "InitProducerId answers error {}", answer.error_code);
        let first_sequence = if index % 2 == 0 { 0 } else { i32::MAX - 2_000 };
        let (id, epoch) = (answer.producer_id.0, answer.producer_epoch);
        producers.push(Producer { index, id, epoch, first_sequence, start_ms });
    }
    Ok(producers)
}

type Handle<'scope, T> = std::thread::ScopedJoinHandle<'scope, Result<T>>;
type Clients<'scope> = (Handle<'scope, Vec<Observation>>, Handle<'scope, Vec<Observation>>, Vec<Handle<'scope, Sent>>);

fn start_clients<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    run: &'scope Run,
    seed: u64,
) -> Clients<'scope> {
    let reader = scope.spawn(|| Reader::new(run).read());
    let committer = scope.spawn(move || Committer::new(run, seed).commit());
    let sender = |producer: &Producer| {
        let sender = Sender::new(run, *producer, seed.wrapping_add(1 + u64::from(producer.index)));
        scope.spawn(move || sender.produce())
    };
    (reader, committer, run.producers.iter().map(sender).collect())
}

/// After each restart, what is committed up to the last answer must be there: asked before the next kill.
fn kill_and_restart(ottla: &mut Ottla, run: &Run, kills: u32, seed: u64) -> Result<Vec<Observation>> {
    let mut random = Random::new(!seed);
    let mut observations = Vec::new();
    let mut slowest = Duration::ZERO;
    for kill in 1..=kills {
        std::thread::sleep(Duration::from_millis(random.below(LOAD_MAX_MS)));
        ottla.kill()?;
        if kill % KILL_AT_START_EVERY == 0 {
            ottla.start_and_kill(Duration::from_millis(random.below(START_MAX_MS)))?;
        }
        let before = Instant::now();
        ottla.resume().with_context(|| format!("after kill {kill}"))?;
        slowest = slowest.max(before.elapsed());
        observations.extend(look_at_ends(run).with_context(|| format!("after kill {kill}"))?);
        if kill % STOP_EVERY == 0 {
            ottla.stop()?;
            ottla.resume()?;
            observations.extend(look_at_ends(run)?);
        }
    }
    println!("      slowest restart: {} ms", slowest.as_millis());
    Ok(observations)
}

fn look_at_ends(run: &Run) -> Result<Vec<Observation>> {
    let mut connection = Connection::open(&run.address)?;
    let invoked = run.stamp();
    let ends = load::high_watermarks(&mut connection, PARTITIONS)?;
    let fact = |(partition, offset)| run.observe(invoked, Fact::HighWatermark { partition, offset });
    Ok((0..).zip(ends).map(fact).collect())
}

type Joined<T> = std::thread::Result<Result<T>>;

fn gather(
    reader: Joined<Vec<Observation>>,
    committer: Joined<Vec<Observation>>,
    senders: impl Iterator<Item = Joined<Sent>>,
) -> Result<Seen> {
    let mut seen = Seen::default();
    for observations in [reader, committer] {
        seen.history.observations.extend(observations.map_err(|_| anyhow!("a client panicked"))??);
    }
    for sent in senders {
        let sent = sent.map_err(|_| anyhow!("a producer panicked"))??;
        seen.history.observations.extend(sent.observations);
        seen.history.sent.extend(sent.counts);
        seen.resent += sent.resent;
    }
    Ok(seen)
}

/// A run in which kills met nobody at work would prove nothing.
fn check_load(seen: &Seen, kills: u32) -> Result<()> {
    let records: u64 = seen.history.sent.values().sum();
    let commits = seen.history.observations.iter();
    let commits = commits.filter(|observation| matches!(observation.fact, Fact::Committed { .. })).count();
    println!("      {records} records, {commits} offsets committed, {} requests sent once more", seen.resent);
    ensure!(records > u64::from(kills) * 100, "{records} records over {kills} kills");
    ensure!(commits > usize::try_from(kills)? * 10, "{commits} offsets committed over {kills} kills");
    ensure!(seen.resent >= u64::from(kills), "{} requests were interrupted by {kills} kills", seen.resent);
    Ok(())
}

/// One check for each promise.
fn judge(history: &History, report: &Report) {
    let mut broken: BTreeMap<&str, Vec<Anomaly>> = PROMISES.iter().map(|promise| (*promise, Vec::new())).collect();
    for anomaly in history::check(history) {
        broken.entry(promise(&anomaly)).or_default().push(anomaly);
    }
    for promise in PROMISES {
        let anomalies = &broken[promise];
        let shown = &anomalies[..anomalies.len().min(SHOWN_MAX)];
        let outcome = if anomalies.is_empty() { Ok(()) } else { Err(anyhow!("{} times: {shown:?}", anomalies.len())) };
        report.check(promise, outcome);
    }
}

pub const LOST: &str = "no acknowledged record and none that was read is lost";
pub const TWICE: &str = "no record is there twice";
pub const OFFSET: &str = "no offset is used twice, and what was acknowledged at an offset stays there";
pub const ORDER: &str = "a producer's records are in its order, and only what was sent is there";
pub const HOLE: &str = "offsets have no holes";
const HIGH_WATERMARK: &str = "no high watermark goes back";
pub const COMMIT: &str = "no committed offset goes back, and none is invented";
pub const REFUSED: &str = "no producer is refused";
const PROMISES: &[&str] = &[LOST, TWICE, OFFSET, ORDER, HOLE, HIGH_WATERMARK, COMMIT, REFUSED];

/// What this anomaly breaks.
pub fn promise(anomaly: &Anomaly) -> &'static str {
    match anomaly {
        Anomaly::Lost { .. } => LOST,
        Anomaly::Twice { .. } => TWICE,
        Anomaly::OffsetReused { .. } | Anomaly::Moved { .. } => OFFSET,
        Anomaly::Disordered { .. } | Anomaly::NeverSent { .. } => ORDER,
        Anomaly::Hole { .. } => HOLE,
        Anomaly::HighWatermarkWentBack { .. } => HIGH_WATERMARK,
        Anomaly::CommitWentBack { .. } | Anomaly::NeverCommitted { .. } => COMMIT,
        Anomaly::Refused { .. } => REFUSED,
    }
}
