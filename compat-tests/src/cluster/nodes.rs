//! Several nodes as one cluster, of Ottla or of Apache Kafka: real processes with one `server.properties` each.
//!
//! Every node is broker and controller, as in the configuration that both document for small clusters. Whatever a node is told
//! here is told to its process by a signal. Nodes are counted from 0; their ids from 1.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::admin;
use super::network::Network;
use crate::kafka::Jvm;
use crate::port::Port;
use crate::process::{Process, run, tail};
use crate::server::Against;
use crate::{kafka, ottla};

const KAFKA_READY_LIMIT: Duration = Duration::from_secs(300);
const OTTLA_READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const PAUSE_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The file that takes the room of a disk.
const BALLAST: &str = "ballast";
const CLUSTER_ID: &str = "b3R0bGFfY29tcGF0XzAwMw";

/// One node, running or not.
struct Node {
    folder: PathBuf,
    /// For clients and for other brokers.
    address: String,
    controller_address: String,
    _ports: Vec<Port>,
    process: Option<Process>,
    is_paused: bool,
    /// Whether its data lie on a small disk of their own.
    has_disk: bool,
    /// Of its environment.
    variables: Vec<(String, String)>,
}

pub struct Cluster {
    against: Against,
    jvm: Jvm,
    // Processes go before the network they are in, and both before the files.
    nodes: Vec<Node>,
    network: Network,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Writes the configuration of `count` nodes; none of them runs yet. `settings` are lines of server.properties.
    pub fn new(against: Against, count: usize, network: Network, settings: &[&str]) -> Result<Cluster> {
        let mut folder = tempfile::Builder::new().prefix("ottla-compat-cluster-").tempdir()?;
        folder.disable_cleanup(std::env::var_os("OTTLA_COMPAT_KEEP").is_some());
        let mut nodes = Vec::new();
        for index in 0..count {
            let (address, controller_address, ports) = network.addresses(index)?;
            let home = folder.path().join(format!("node-{}", index + 1));
            std::fs::create_dir_all(home.join("disk"))?;
            nodes.push(Node {
                folder: home,
                address,
                controller_address,
                _ports: ports,
                process: None,
                is_paused: false,
                has_disk: false,
                variables: Vec::new(),
            });
        }
        let cluster = Cluster { against, jvm: Jvm::Small, folder, network, nodes };
        for (index, node) in cluster.nodes.iter().enumerate() {
            std::fs::write(node.properties(), cluster.properties(index, settings))?;
        }
        Ok(cluster)
    }

    /// As [`Cluster::new`], and all nodes started and ready.
    pub fn start(against: Against, count: usize, network: Network, settings: &[&str]) -> Result<Cluster> {
        let mut cluster = Cluster::new(against, count, network, settings)?;
        cluster.start_all()?;
        Ok(cluster)
    }

    /// As [`Cluster::start`], over this machine's loopback, for figures: Apache Kafka in the JVM it ships with.
    pub fn start_measured(against: Against, count: usize, settings: &[&str]) -> Result<Cluster> {
        let mut cluster = Cluster::new_measured(against, count, settings)?;
        cluster.start_all()?;
        Ok(cluster)
    }

    /// As [`Cluster::start_measured`], before the first start.
    pub fn new_measured(against: Against, count: usize, settings: &[&str]) -> Result<Cluster> {
        let mut cluster = Cluster::new(against, count, Network::Loopback, settings)?;
        cluster.jvm = Jvm::AsShipped;
        Ok(cluster)
    }

    /// Starts all nodes for the first time, and waits until they are ready.
    pub fn start_all(&mut self) -> Result<()> {
        self.format()?;
        for node in 0..self.nodes.len() {
            self.spawn(node)?;
        }
        self.await_ready()
    }

    /// Before the first start: each node's data lie on a disk of this size, in memory. Only inside of a sandbox.
    pub fn limit_disks(&mut self, bytes: u64) -> Result<()> {
        for node in &mut self.nodes {
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"]).arg(node.disk());
            run("mount", &mut mount)?;
            node.has_disk = true;
        }
        Ok(())
    }

    /// Takes all room that a node's disk has left.
    pub fn fill_disk(&self, node: usize) -> Result<()> {
        ensure!(self.nodes[node].has_disk, "node {} has no disk of its own", node + 1);
        let mut ballast = std::fs::File::create(self.nodes[node].disk().join(BALLAST))?;
        for size in [1 << 20, 4096, 1] {
            let block = vec![0; size];
            let error = loop {
                if let Err(error) = std::io::Write::write_all(&mut ballast, &block) {
                    break error;
                }
            };
            ensure!(error.kind() == std::io::ErrorKind::StorageFull, "node {}'s disk is not filled: {error}", node + 1);
        }
        Ok(())
    }

    /// Gives the room back.
    pub fn empty_disks(&self) -> Result<()> {
        for node in &self.nodes {
            let ballast = node.disk().join(BALLAST);
            if ballast.exists() {
                std::fs::remove_file(ballast)?;
            }
        }
        Ok(())
    }

    /// Kafka's storage must be formatted before the first start; Ottla has no such step.
    pub fn format(&self) -> Result<()> {
        if self.against == Against::Ottla {
            ottla::binary()?;
            return Ok(());
        }
        for node in &self.nodes {
            let mut format = kafka::java("kafka.tools.StorageTool")?;
            run("kafka-storage", format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(node.properties()))?;
        }
        Ok(())
    }

    fn properties(&self, index: usize, settings: &[&str]) -> String {
        let node = &self.nodes[index];
        let voter = |(index, node): (usize, &Node)| format!("{}@{}", index + 1, node.controller_address);
        let voters: Vec<String> = self.nodes.iter().enumerate().map(voter).collect();
        let replicas = self.nodes.len().min(3);
        let mut lines = vec![
            "process.roles=broker,controller".to_string(),
            format!("node.id={}", index + 1),
            format!("controller.quorum.voters={}", voters.join(",")),
            format!("listeners=PLAINTEXT://{},CONTROLLER://{}", node.address, node.controller_address),
            format!("advertised.listeners=PLAINTEXT://{}", node.address),
            "controller.listener.names=CONTROLLER".to_string(),
            "inter.broker.listener.name=PLAINTEXT".to_string(),
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_string(),
            format!("log.dirs={}", node.data().display()),
            format!("default.replication.factor={replicas}"),
            format!("offsets.topic.replication.factor={replicas}"),
            // The default of 50 costs seconds on a small machine and changes nothing that clients see.
            "offsets.topic.num.partitions=4".to_string(),
            "group.initial.rebalance.delay.ms=0".to_string(),
        ];
        lines.extend(settings.iter().map(ToString::to_string));
        lines.join("\n") + "\n"
    }

    /// Before its start: a line of a node's server.properties, in place of the one with this key; `None` takes that away.
    pub fn set(&self, node: usize, key: &str, value: Option<&str>) -> Result<()> {
        let file = self.nodes[node].properties();
        let properties = std::fs::read_to_string(&file)?;
        let begins = |line: &&str| line.starts_with(&format!("{key}="));
        let mut lines: Vec<String> = properties.lines().filter(|line| !begins(line)).map(str::to_string).collect();
        lines.extend(value.map(|value| format!("{key}={value}")));
        Ok(std::fs::write(file, lines.join("\n") + "\n")?)
    }

    /// For the next starts of a node: a variable of its environment.
    pub fn set_variable(&mut self, node: usize, name: &str, value: &str) {
        self.nodes[node].variables.push((name.to_string(), value.to_string()));
    }

    /// Starts a node's process and does not wait for it to be ready.
    pub fn spawn(&mut self, node: usize) -> Result<()> {
        ensure!(self.nodes[node].process.is_none(), "node {} runs already", node + 1);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.nodes[node].log())?;
        let mut command = match self.against {
            Against::Kafka => kafka::java_in(self.jvm, "kafka.Kafka")?,
            Against::Ottla => Command::new(ottla::binary()?),
        };
        if self.against == Against::Ottla {
            command.args(["serve", "--config"]);
        }
        command.arg(self.nodes[node].properties());
        let mut command = self.network.command(node, &command);
        ottla::forget_settings(&mut command);
        command.envs(self.nodes[node].variables.iter().cloned()).current_dir(&self.nodes[node].folder);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.nodes[node].process = Some(Process::spawn(&format!("node {}", node + 1), &mut command)?);
        Ok(())
    }

    /// Waits until every node that was started answers, and names all of them, and a controller.
    pub fn await_ready(&mut self) -> Result<()> {
        let limit = if self.against == Against::Kafka { KAFKA_READY_LIMIT } else { OTTLA_READY_LIMIT };
        let until = Instant::now() + limit;
        loop {
            let mut started = (0..self.nodes.len()).filter(|node| self.nodes[*node].process.is_some());
            let Some(missing) = started.find(|node| !self.is_joined(*node)) else { return Ok(()) };
            for node in 0..self.nodes.len() {
                if let Some(status) = self.ended(node)? {
                    bail!("node {} ended with {status}; its log ends:\n{}", node + 1, self.tail(node));
                }
            }
            let tail = || self.tail(missing);
            ensure!(Instant::now() < until, "node {} is not ready; its log ends:\n{}", missing + 1, tail());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn is_joined(&self, node: usize) -> bool {
        let Ok(view) = admin::look(&self.nodes[node].address, None) else { return false };
        let running = self.nodes.iter().filter(|node| node.process.is_some());
        view.controller >= 0
            && running.clone().all(|node| view.brokers.values().any(|address| *address == node.address))
    }

    fn ended(&mut self, node: usize) -> Result<Option<std::process::ExitStatus>> {
        match &mut self.nodes[node].process {
            Some(process) => process.ended(),
            None => Ok(None),
        }
    }

    /// Starts again what does not run, and waits until all nodes are ready; whether any had to be started. A node that ended by
    /// itself is an error, unless it `may_end`.
    pub fn restore(&mut self, may_end: bool) -> Result<bool> {
        let mut has_started_some = false;
        for node in 0..self.nodes.len() {
            if self.nodes[node].process.is_none() {
                self.spawn(node)?;
                has_started_some = true;
            }
        }
        loop {
            let ready = self.await_ready();
            let mut ended = Vec::new();
            for node in 0..self.nodes.len() {
                if self.ended(node)?.is_some() {
                    ended.push(node);
                }
            }
            if ended.is_empty() || !may_end {
                return ready.map(|()| has_started_some);
            }
            has_started_some = true;
            for node in ended {
                println!("                node {} had ended by itself", node + 1);
                self.nodes[node].process = None;
                self.spawn(node)?;
            }
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].is_paused = false;
        self.nodes[node].process = None;
    }

    /// SIGKILL to all of these before the first of them is waited for.
    pub fn kill_at_once(&mut self, nodes: &[usize]) {
        for process in nodes.iter().filter_map(|node| self.nodes[*node].process.as_ref()) {
            // One that has ended by itself is gone too.
            let _ = process.signal(Signal::KILL);
        }
        nodes.iter().for_each(|node| self.kill(*node));
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self, node: usize) -> Result<()> {
        let process = self.nodes[node].process.take().with_context(|| format!("node {} does not run", node + 1))?;
        let status = process.stop(STOP_LIMIT)?;
        // Kafka exits with 143 then, which is no failure.
        let is_good = status.success() || self.against == Against::Kafka;
        ensure!(is_good, "node {} ended with {status} on SIGTERM; its log ends:\n{}", node + 1, self.tail(node));
        Ok(())
    }

    /// Waits until a node has ended by itself.
    pub fn await_end(&mut self, node: usize, limit: Duration) -> Result<std::process::ExitStatus> {
        let process = self.nodes[node].process.as_mut();
        let status = process.with_context(|| format!("node {} does not run", node + 1))?.wait(limit);
        let status = status.with_context(|| format!("its log ends:\n{}", self.tail(node)))?;
        self.nodes[node].process = None;
        Ok(status)
    }

    /// Everything that a node wrote to its log, over all its starts.
    pub fn log(&self, node: usize) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file(node)).unwrap_or_default()).into_owned()
    }

    /// The file with that log.
    pub fn log_file(&self, node: usize) -> PathBuf {
        self.nodes[node].log()
    }

    /// Where other controllers reach each node.
    pub fn controller_addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.controller_address.clone()).collect()
    }

    /// SIGTERM to all at once, and waits for their end.
    pub fn stop_all(&mut self) -> Result<()> {
        for node in &self.nodes {
            node.process.as_ref().map_or(Ok(()), |process| process.signal(Signal::TERM))?;
        }
        for node in &mut self.nodes {
            node.process.take().map_or(Ok(()), |mut process| process.wait(STOP_LIMIT).map(drop))?;
        }
        Ok(())
    }

    /// SIGSTOP; returns when the process stands still.
    pub fn pause(&mut self, node: usize) -> Result<()> {
        let paused = &mut self.nodes[node];
        let process = paused.process.as_ref().with_context(|| format!("node {} does not run", node + 1))?;
        paused.is_paused = true;
        process.signal(Signal::STOP)?;
        let until = Instant::now() + PAUSE_LIMIT;
        while !process.is_stopped()? {
            ensure!(Instant::now() < until, "node {} runs on after SIGSTOP", node + 1);
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// SIGCONT to all that are paused.
    pub fn unpause(&mut self) -> Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.is_paused) {
            node.is_paused = false;
            node.process.as_ref().map_or(Ok(()), |process| process.signal(Signal::CONT))?;
        }
        Ok(())
    }

    pub fn against(&self) -> Against {
        self.against
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How many nodes there are, running or not.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Where clients reach each node, the same over restarts.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address.clone()).collect()
    }

    /// All addresses as clients take them.
    pub fn bootstrap(&self) -> String {
        self.addresses().join(",")
    }

    /// All controllers' addresses.
    pub fn bootstrap_controllers(&self) -> String {
        let addresses: Vec<&str> = self.nodes.iter().map(|node| node.controller_address.as_str()).collect();
        addresses.join(",")
    }

    /// The node with this id.
    pub fn with_id(&self, id: i32) -> Option<usize> {
        usize::try_from(id - 1).ok().filter(|node| *node < self.nodes.len())
    }

    /// The log directory, with a folder for each partition.
    pub fn data(&self, node: usize) -> PathBuf {
        self.nodes[node].data()
    }

    /// Copies the files of all nodes to where they stay; that folder.
    pub fn keep(&self) -> Result<PathBuf> {
        let kept = tempfile::Builder::new().prefix("ottla-compat-kept-").tempdir()?.keep();
        run("cp", Command::new("cp").arg("-a").arg(self.folder.path()).arg(&kept))?;
        Ok(kept)
    }

    /// Process ids of what runs.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(|node| node.process.as_ref()).map(Process::id).collect()
    }

    fn tail(&self, node: usize) -> String {
        tail(&self.nodes[node].log(), 20)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.process = None;
            if node.has_disk {
                let _ = Command::new("umount").arg("-l").arg(node.disk()).status();
            }
        }
    }
}

impl Node {
    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("node.log")
    }
}
