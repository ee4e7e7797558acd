//! The servers that are compared, each on one core of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::kafka::Kafka;
use crate::ottla::Ottla;
use crate::process::{Process, run};

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
}

/// A running server; ended and its data removed when dropped.
pub enum Target {
    Floor { process: Process, address: SocketAddr, _folder: tempfile::TempDir },
    Ottla(Ottla),
    Kafka(Kafka),
}

/// The core that servers run on; the load runs on core 0.
const SERVER_CORE: &str = "1";

impl Target {
    pub fn start(subject: Subject) -> Result<Target> {
        let target = match subject {
            Subject::Floor => floor()?,
            Subject::Ottla => Target::Ottla(Ottla::start(&["acks.durability=page-cache"])?),
            Subject::OttlaFlushed => Target::Ottla(Ottla::start(&[])?),
            Subject::Kafka => Target::Kafka(Kafka::start(&[])?),
        };
        let mut taskset = Command::new("taskset");
        run("taskset", taskset.args(["-a", "-p", "-c", SERVER_CORE, &target.pid()?.to_string()]))?;
        Ok(target)
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
