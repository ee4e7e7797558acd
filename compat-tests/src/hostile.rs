//! Clients that want nothing, or no good: thousands that are idle, some that send a byte a second, some that announce far more than
//! they bring. Others are served meanwhile, memory stays small, and whoever is sent away is told of in the log.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bench::process::resident_mib;
use crate::connection::{Connection, Frames, topic_name};
use crate::ottla::Ottla;
use crate::report::Report;

#[derive(clap::Args)]
pub struct Arguments {
    /// Connections that are opened and left alone.
    #[arg(long, default_value_t = 2_000)]
    idle: u32,
}

/// What a server with all of them may take; at rest without any it takes about 10.
const RESIDENT_MIB_MAX: f64 = 48.0;
/// How long a client waits that means well.
const SERVED_LIMIT: Duration = Duration::from_secs(2);
const ANNOUNCERS: usize = 64;
const ANNOUNCED_BYTES: u32 = 100_000_000;
const BROUGHT_BYTES: usize = 64 << 10;
/// A request that is begun must go on within five seconds.
const SLOW_LIMIT: Duration = Duration::from_secs(15);

pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    raise_open_files_limit()?;
    let mut ottla = Ottla::start(&[])?;
    let opened = (0..arguments.idle).map(|_| Connection::open(ottla.address())).collect::<Result<Vec<_>>>();
    let mut idle = report.check(format!("{} connections are taken", arguments.idle), opened).unwrap_or_default();
    report.check("another client is served beside them", is_served(&ottla, "beside-idle"));
    report.check("memory stays small with them", is_small(&ottla));
    let announcers = (0..ANNOUNCERS).map(|_| announce(&ottla)).collect::<Result<Vec<_>>>();
    let announcers = report.check(format!("{ANNOUNCERS} announce 100 MB each and bring little"), announcers);
    report.check("another client is served beside these", is_served(&ottla, "beside-announcers"));
    report.check("memory is taken for what has come, not for what is announced", is_small(&ottla));
    drop(announcers);
    report.check("one that sends a byte a second is sent away", is_sent_away(&ottla));
    report.check("the idle ones are answered when they ask", idle.iter_mut().step_by(100).try_for_each(ask_something));
    drop(idle);
    let stopped = ottla.stop();
    report.check("the server stops in good order", stopped);
    report.check("the log says whom it sent away, and of no panic", check_log(&ottla));
    Ok(())
}

/// Both ends of nothing are ours: the server raises its own limit by itself.
pub fn raise_open_files_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raising the limit of open files")
}

/// A topic is made and has a leader, soon.
fn is_served(ottla: &Ottla, topic: &str) -> Result<()> {
    let begin = Instant::now();
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    let answer = Connection::open(ottla.address())?.ask(9, &request)?;
    let code = answer.topics.first().context("no topic in the answer")?.error_code;
    ensure!(code == 0, "error code {code}");
    ensure!(begin.elapsed() < SERVED_LIMIT, "it took {:?}", begin.elapsed());
    Ok(())
}

fn is_small(ottla: &Ottla) -> Result<()> {
    let resident = resident_mib(ottla.id().context("ottla runs")?)?;
    ensure!(resident < RESIDENT_MIB_MAX, "{resident:.1} MiB");
    Ok(())
}

/// The beginning of a Produce, and then nothing more.
fn announce(ottla: &Ottla) -> Result<Frames> {
    let mut frames = Frames::open(ottla.address())?;
    frames.send(&[&ANNOUNCED_BYTES.to_be_bytes()[..], &[0, 0, 0, 9], &vec![0; BROUGHT_BYTES]].concat())?;
    Ok(frames)
}

fn is_sent_away(ottla: &Ottla) -> Result<()> {
    let mut frames = Frames::open(ottla.address())?;
    let begin = Instant::now();
    frames.send(&1_000_u32.to_be_bytes())?;
    while frames.send(&[0]).is_ok() {
        ensure!(begin.elapsed() < SLOW_LIMIT, "it is still listened to after {SLOW_LIMIT:?}");
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn ask_something(connection: &mut Connection) -> Result<()> {
    let code = connection.ask(0, &ApiVersionsRequest::default())?.error_code;
    ensure!(code == 0, "error code {code}");
    Ok(())
}

fn check_log(ottla: &Ottla) -> Result<()> {
    let log = std::fs::read_to_string(ottla.log())?;
    ensure!(log.contains("a begun request made no progress"), "nobody was sent away:\n{log}");
    ensure!(!log.contains("panicked"), "it panicked:\n{log}");
    Ok(())
}
