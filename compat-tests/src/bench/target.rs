//! The servers that are compared, each on one core of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::kafka::{Jvm, Kafka};
use crate::ottla::Ottla;
use crate::process::Process;

/// Which servers a run compares.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// The yardstick of `floor.rs`.
    Floor,
    /// The binary of this repository, with Kafka's rule of what an acknowledgement means.
    Ottla,
    /// The binary of this repository as it starts by default: what is acknowledged with acks=all is flushed.
    OttlaFlushed,
    /// Apache Kafka.
    Kafka,
}

impl Subject {
    pub fn name(self) -> &'static str {
        match self {
            Subject::Floor => "floor",
            Subject::Ottla => "ottla",
            Subject::OttlaFlushed => "ottla-flushed",
            Subject::Kafka => "kafka",
        }
    }

    /// Whether a fresh process would be measured before it is at its best: one is kept for all rounds.
    pub fn warms_up_slowly(self) -> bool {
        self == Subject::Kafka
    }

    /// Builds or fetches what it is started from, so that this is not measured.
    pub fn prepare(self) -> Result<()> {
        match self {
            Subject::Floor => Ok(()),
            Subject::Ottla | Subject::OttlaFlushed => crate::ottla::binary().map(drop),
            Subject::Kafka => crate::kafka::jars().map(drop),
        }
    }
}

/// A running server; ended and its data removed when dropped.
pub enum Target {
    Floor { process: Process, address: SocketAddr, _folder: tempfile::TempDir },
    Ottla(Ottla),
    Kafka(Kafka),
}

/// The load runs on one core, servers on another, from their first instruction on: they start as many threads as they see cores.
const LOAD_CORE: usize = 0;
const SERVER_CORE: usize = 1;

/// Pins the calling thread, and with it what it starts from now on.
fn pin_to(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("two cores are needed, and core {core} is not ours"))
}

impl Target {
    /// Starts a server, and leaves the calling thread on the core of the load.
    pub fn start(subject: Subject) -> Result<Target> {
        Target::start_with(subject, &[])
    }

    /// As [`Target::start`], with settings `key=value` that all brokers know.
    pub fn start_with(subject: Subject, settings: &[&str]) -> Result<Target> {
        subject.prepare()?;
        pin_to(SERVER_CORE)?;
        let target = match subject {
            Subject::Floor => floor(),
            Subject::Ottla => Ottla::start(&[&["acks.durability=page-cache"], settings].concat()).map(Target::Ottla),
            Subject::OttlaFlushed => Ottla::start(settings).map(Target::Ottla),
            Subject::Kafka => Kafka::start_in(Jvm::AsShipped, settings).map(Target::Kafka),
        };
        pin_to(LOAD_CORE)?;
        target
    }

    /// Stops a broker in order.
    pub fn stop(&mut self) -> Result<()> {
        match self {
            Target::Floor { .. } => bail!("the yardstick does not stop"),
            Target::Ottla(ottla) => ottla.stop(),
            Target::Kafka(kafka) => kafka.stop(),
        }
    }

    /// Kills a broker.
    pub fn kill(&mut self) -> Result<()> {
        match self {
            Target::Floor { .. } => bail!("the yardstick is not killed"),
            Target::Ottla(ottla) => ottla.kill(),
            Target::Kafka(kafka) => kafka.kill(),
        }
    }

    /// Starts a broker again on its data, on its core.
    pub fn resume(&mut self) -> Result<()> {
        pin_to(SERVER_CORE)?;
        let resumed = match self {
            Target::Floor { .. } => bail!("the yardstick does not start again"),
            Target::Ottla(ottla) => ottla.resume(),
            Target::Kafka(kafka) => kafka.resume(),
        };
        pin_to(LOAD_CORE)?;
        resumed
    }

    pub fn pid(&self) -> Result<u32> {
        match self {
            Target::Floor { process, .. } => Ok(process.id()),
            Target::Ottla(ottla) => ottla.id().context("ottla runs"),
            Target::Kafka(kafka) => kafka.id().context("kafka runs"),
        }
    }

    pub fn address(&self) -> Result<SocketAddr> {
        match self {
            Target::Floor { address, .. } => Ok(*address),
            Target::Ottla(ottla) => Ok(ottla.address().parse()?),
            Target::Kafka(kafka) => Ok(kafka.address().parse()?),
        }
    }

    /// Whether it knows the requests of administration, which the yardstick does without.
    pub fn is_broker(&self) -> bool {
        !matches!(self, Target::Floor { .. })
    }
}

fn floor() -> Result<Target> {
    let folder = tempfile::Builder::new().prefix("ottla-floor-").tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path()).stdout(Stdio::piped());
    let mut process = Process::spawn("floor", &mut command)?;
    let stdout = process.take_pipes().1.context("its output was asked for")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim().strip_prefix("floor ready on ").context("the line of the yardstick")?.parse()?;
    Ok(Target::Floor { process, address, _folder: folder })
}
