//! The server that a suite runs against: Ottla, or real Kafka to prove that the suite itself is right.

use std::path::PathBuf;

use crate::kafka::Kafka;
use crate::ottla::Ottla;

/// In a setting's value: the path of the data directory.
pub const DATA: &str = "{data}";

/// The setting of a server that has another log directory beside its first.
pub const TWO_DIRECTORIES: &str = "log.dirs={data},{data}-2";

/// Ottla's settings with which controllers have a listener of their own, as every node of Kafka's gives them.
pub const CONTROLLERS_APART: &[&str] = &[
    "listeners=PLAINTEXT://{address},CONTROLLER://{controllers}",
    "controller.listener.names=CONTROLLER",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "controller.quorum.voters=1@{controllers}",
];

/// Which server to test.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Against {
    /// The binary of this repository.
    Ottla,
    /// Apache Kafka 4.3.1.
    Kafka,
}

/// A server on a port of its own with data of its own; ended when dropped.
pub enum Server {
    Ottla(Ottla),
    Kafka(Kafka),
}

impl Server {
    /// Starts one; `settings` are `key=value`, by Kafka's names.
    pub fn start(against: Against, settings: &[&str]) -> anyhow::Result<Server> {
        match against {
            Against::Ottla => Ok(Server::Ottla(Ottla::start(settings)?)),
            Against::Kafka => Ok(Server::Kafka(Kafka::start(settings)?)),
        }
    }

    /// `127.0.0.1:PORT`, the same over restarts.
    pub fn address(&self) -> &str {
        match self {
            Server::Ottla(ottla) => ottla.address(),
            Server::Kafka(kafka) => kafka.address(),
        }
    }

    /// Where controllers are asked. A node of Ottla is both on one listener, unless they are [`CONTROLLERS_APART`].
    pub fn controller_address(&self) -> &str {
        match self {
            Server::Ottla(ottla) => ottla.controller_address(),
            Server::Kafka(kafka) => kafka.controller_address(),
        }
    }

    /// The data directory, with a folder for each partition.
    pub fn data(&self) -> PathBuf {
        match self {
            Server::Ottla(ottla) => ottla.data(),
            Server::Kafka(kafka) => kafka.data(),
        }
    }

    /// The file with all that it logged.
    pub fn log(&self) -> PathBuf {
        match self {
            Server::Ottla(ottla) => ottla.log(),
            Server::Kafka(kafka) => kafka.log(),
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Server::Ottla(ottla) => ottla.stop(),
            Server::Kafka(kafka) => kafka.stop(),
        }
    }

    /// SIGTERM, wait, start again.
    pub fn stop_and_start(&mut self) -> anyhow::Result<()> {
        match self {
            Server::Ottla(ottla) => ottla.stop().and_then(|()| ottla.resume()),
            Server::Kafka(kafka) => kafka.stop().and_then(|()| kafka.resume()),
        }
    }

    /// SIGKILL, start again.
    pub fn kill_and_start(&mut self) -> anyhow::Result<()> {
        match self {
            Server::Ottla(ottla) => ottla.kill().and_then(|()| ottla.resume()),
            Server::Kafka(kafka) => kafka.kill().and_then(|()| kafka.resume()),
        }
    }
}
