//! A node of its own, others that join it, and Kafka's tool that makes one of them a voter and takes the vote away again.
//!
//! Kafka has no such cluster without a format step, so what is looked at here is what came of it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::kafka;
use crate::ottla::Ottla;
use crate::process;

const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub fn run() -> Result<()> {
    let first = Ottla::start(&["node.id=1"])?;
    let join = format!("controller.quorum.bootstrap.servers={}", first.address());
    let second = Ottla::start(&["node.id=2", &join, "controller.quorum.auto.join.enable=true"])?;
    let third = Ottla::start(&["node.id=3", &join])?;
    await_states(&first, [("1", "Leader"), ("2", "Follower"), ("3", "Observer")])?;
    let folder = tempfile::tempdir()?;
    let properties = folder.path().join("3.properties");
    std::fs::write(&properties, properties_of(&third, &first))?;
    let added = quorum(&first, &["--command-config", &shown(&properties), "add-controller"])?;
    ensure!(added.contains("Added controller 3 with directory id"), "{added}");
    await_states(&first, [("1", "Leader"), ("2", "Follower"), ("3", "Follower")])?;
    let id = directory_id(&third.data())?;
    let removed = quorum(&second, &["remove-controller", "--controller-id", "3", "--controller-directory-id", &id])?;
    ensure!(removed.contains("KRaft controller 3 with directory id"), "{removed}");
    await_states(&first, [("1", "Leader"), ("2", "Follower"), ("3", "Observer")])
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What the tool reads of the node that is to vote: its id, its directory, and where its controllers' listener is.
fn properties_of(node: &Ottla, first: &Ottla) -> String {
    format!(
        "node.id=3\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://{}\ncontroller.listener.names=PLAINTEXT\n\
         controller.quorum.bootstrap.servers={}\nlog.dirs={}\n",
        node.address(),
        first.address(),
        node.data().display()
    )
}

fn directory_id(data: &Path) -> Result<String> {
    let meta = std::fs::read_to_string(data.join("meta.properties"))?;
    let id = meta.lines().find_map(|line| line.strip_prefix("directory.id="));
    Ok(id.context("meta.properties has no directory.id")?.replace('\\', ""))
}

fn quorum(at: &Ottla, arguments: &[&str]) -> Result<String> {
    let mut tool = kafka::tool("kafka-metadata-quorum")?;
    process::run("kafka-metadata-quorum", tool.args(["--bootstrap-server", at.address()]).args(arguments))
}

/// Waits until the tool shows each node in its state, and nobody else.
fn await_states(at: &Ottla, expected: [(&str, &str); 3]) -> Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let described = quorum(at, &["describe", "--replication"])?;
        let words = described.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found: Vec<_> = words.filter(|words| !words.is_empty()).collect();
        let is_there = |(id, state): &(&str, &str)| {
            found.iter().any(|words| words.first() == Some(id) && words.last() == Some(state))
        };
        if found.len() == expected.len() && expected.iter().all(is_there) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "not {expected:?}:\n{described}");
        std::thread::sleep(LOOK_AGAIN);
    }
}
