//! Clusters that were set up wrongly: each mistake is refused with words that say what to do, or survived without harm.
//!
//! Whoever is refused ends with status 1, and its last words are on the last line of its log. The others serve on.

mod clock;
mod directories;
mod writer;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::admin;
use super::load::TOPIC;
use super::network::Network;
use super::nodes::Cluster;
use crate::process::run as run_command;
use crate::report::Report;
use crate::server::Against;
use writer::Writer;

/// How long a server may take to see that it must not go on, or to say what it waits for.
const SAYS_LIMIT: Duration = Duration::from_secs(30);
const WHOLE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A name that no resolver knows (RFC 6761).
const NOWHERE: &str = "no-such-host.invalid";

pub fn run(report: &Report) -> Result<()> {
    directories::run(report)?;
    report
        .check("a second node with the id of a live one ends, and says to give it another", second_node_with_one_id());
    report.check("a process with a copy of a live node's directory ends, and says where the other runs", copied_node());
    report.check("a cluster of its own that is told to join another ends, and names both", cluster_of_its_own(false));
    report.check("so does one that is listed as a voter of another", cluster_of_its_own(true));
    report.check("a voter with the directory of another cluster ends, and says to give it back", directory_of_others());
    report.check("two directories swapped between nodes are refused with whose they are", swapped_directories());
    report.check("a node with an old copy of its directory gets everything anew", older_directory());
    report.check("what three replicas had acknowledged survives the loss of any two of their disks", two_disks_lost());
    report.check("a voter that is missing is named, and missed only when there is no majority", missing_voter());
    report.check("a listener whose name has no address is refused with the name", listener_without_address());
    report.check("a voter whose name has no address is named by those who look for it", voter_without_address());
    report.check("clocks that are an hour off harm nothing", clock::an_hour_off());
    Ok(())
}

fn three() -> Result<Cluster> {
    Cluster::start(Against::Ottla, 3, Network::Loopback, &["min.insync.replicas=2"])
}

/// A node of its own that is set up as node `id` of this cluster.
fn beside(cluster: &Cluster, id: usize) -> Result<Cluster> {
    let node = Cluster::new(Against::Ottla, 1, Network::Loopback, &[])?;
    node.set(0, "node.id", Some(&id.to_string()))?;
    node.set(0, "controller.quorum.voters", Some(&voters(cluster)))?;
    Ok(node)
}

/// The cluster's `controller.quorum.voters`.
fn voters(cluster: &Cluster) -> String {
    let addresses = cluster.controller_addresses();
    let voters: Vec<String> = (1..).zip(addresses).map(|(id, address)| format!("{id}@{address}")).collect();
    voters.join(",")
}

/// A node ends by itself with status 1, and its last line has all these words.
fn ends(cluster: &mut Cluster, node: usize, words: &[&str]) -> Result<()> {
    let status = cluster.await_end(node, SAYS_LIMIT)?;
    let log = cluster.log(node);
    let last = log.lines().last().unwrap_or_default();
    ensure!(status.code() == Some(1), "it ended with {status}, and said: {last}");
    ensure!(last.starts_with("ottla: ") && has_all(last, words), "it ended, but its last words are: {last}");
    ensure!(!log.contains("panicked"), "it panicked:\n{log}");
    Ok(())
}

/// One of these nodes soon has a line with all these words in its log.
fn says(cluster: &Cluster, nodes: &[usize], words: &[&str]) -> Result<()> {
    let until = Instant::now() + SAYS_LIMIT;
    while !nodes.iter().any(|node| cluster.log(*node).lines().any(|line| has_all(line, words))) {
        let logs: Vec<String> = nodes.iter().map(|node| crate::process::tail(&cluster.log_file(*node), 8)).collect();
        ensure!(Instant::now() < until, "nobody says {words:?}; the logs end:\n{}", logs.join("\n--\n"));
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

fn has_all(line: &str, words: &[&str]) -> bool {
    words.iter().all(|word| line.contains(word))
}

/// A topic is made through this node.
fn serves(cluster: &Cluster, node: usize, topic: &str, replicas: i16) -> Result<()> {
    let created = admin::create_topic(&cluster.addresses()[node], topic, 1, replicas, &[])?;
    created.map(drop).map_err(|error| anyhow!("CreateTopics answers error {error}"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    run_command("cp", Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}

fn swap(one: &Path, other: &Path) -> Result<()> {
    let aside = one.with_extension("aside");
    std::fs::rename(one, &aside)?;
    std::fs::rename(other, one)?;
    Ok(std::fs::rename(&aside, other)?)
}

fn second_node_with_one_id() -> Result<()> {
    let cluster = three()?;
    let mut second = beside(&cluster, 2)?;
    second.spawn(0)?;
    ends(&mut second, 0, &["another live node 2", "another node.id"])?;
    serves(&cluster, 1, "goes-on", 3)
}

fn copied_node() -> Result<()> {
    let mut cluster = three()?;
    let mut second = beside(&cluster, 2)?;
    cluster.stop(1)?;
    copy(&cluster.data(1), &second.data(0))?;
    cluster.spawn(1)?;
    cluster.await_ready()?;
    second.spawn(0)?;
    let address = cluster.controller_addresses()[1].clone();
    ends(&mut second, 0, &["another process runs at", &address, "stop one of the two"])?;
    serves(&cluster, 1, "goes-on", 3)
}

fn cluster_of_its_own(is_listed: bool) -> Result<()> {
    let cluster = three()?;
    let id = if is_listed { 3 } else { 4 };
    let mut other = Cluster::new(Against::Ottla, 1, Network::Loopback, &[])?;
    other.set(0, "node.id", Some(&id.to_string()))?;
    let own = format!("{id}@{}", other.controller_addresses()[0]);
    other.set(0, "controller.quorum.voters", Some(&own))?;
    other.start_all()?;
    other.stop(0)?;
    if is_listed {
        other.set(0, "controller.quorum.voters", Some(&voters(&cluster)))?;
        other.spawn(0)?;
        // It is noticed at the address that is listed for this node, or by those who are asked whether they know it.
        ends(&mut other, 0, &["of cluster", "empty"])?;
        return serves(&cluster, 0, "goes-on", 3);
    }
    other.set(0, "controller.quorum.voters", None)?;
    let servers = cluster.bootstrap_controllers();
    other.set(0, "controller.quorum.bootstrap.servers", Some(&servers))?;
    other.spawn(0)?;
    ends(&mut other, 0, &["of cluster", "empty"])?;
    serves(&cluster, 0, "goes-on", 3)
}

fn directory_of_others() -> Result<()> {
    let (mut cluster, mut other) = (three()?, three()?);
    cluster.stop(2)?;
    other.stop(2)?;
    swap(&cluster.data(2), &other.data(2))?;
    cluster.spawn(2)?;
    ends(&mut cluster, 2, &["a majority of the voters is of cluster", "own directory back"])?;
    swap(&cluster.data(2), &other.data(2))?;
    cluster.spawn(2)?;
    cluster.await_ready()?;
    serves(&cluster, 2, "goes-on", 3)
}

fn swapped_directories() -> Result<()> {
    let mut cluster = three()?;
    let mut writer = Writer::new(&cluster)?;
    writer.write(5)?;
    cluster.stop(0)?;
    cluster.stop(1)?;
    swap(&cluster.data(0), &cluster.data(1))?;
    for (node, id, theirs) in [(0, 1, 2), (1, 2, 1)] {
        cluster.spawn(node)?;
        let (belongs, this) = (format!("belongs to node {theirs}"), format!("this is node {id}"));
        ends(&mut cluster, node, &[&belongs, &this, &format!("node.id={theirs}")])?;
    }
    swap(&cluster.data(0), &cluster.data(1))?;
    cluster.spawn(0)?;
    cluster.spawn(1)?;
    cluster.await_ready()?;
    admin::await_in_sync(&cluster.addresses(), TOPIC, WHOLE_LIMIT)?;
    writer.write(5)?;
    writer.check()
}

fn older_directory() -> Result<()> {
    let mut cluster = three()?;
    let mut writer = Writer::new(&cluster)?;
    writer.write(5)?;
    let old = cluster.data(2).with_extension("old");
    cluster.stop(2)?;
    copy(&cluster.data(2), &old)?;
    cluster.spawn(2)?;
    cluster.await_ready()?;
    admin::await_in_sync(&cluster.addresses(), TOPIC, WHOLE_LIMIT)?;
    writer.write(20)?;
    for topic in ["newer-1", "newer-2", "newer-3"] {
        serves(&cluster, 2, topic, 3)?;
    }
    cluster.stop(2)?;
    std::fs::remove_dir_all(cluster.data(2))?;
    std::fs::rename(&old, cluster.data(2))?;
    cluster.spawn(2)?;
    cluster.await_ready()?;
    says(&cluster, &[0, 1], &["of an earlier life than its last", "broker_id=3", "from the other replicas"])?;
    admin::await_in_sync(&cluster.addresses(), TOPIC, WHOLE_LIMIT)?;
    // As the leader it shows what it has.
    writer.lead_by(3)?;
    writer.check()?;
    writer.write(5)?;
    let known = admin::topics(&cluster.addresses()[2])?;
    ensure!(known.contains_key("newer-3"), "node 3 knows only {:?}", known.keys().collect::<Vec<_>>());
    writer.check()
}

/// Of five voters three hold the partition. Each of these is in turn the only one that keeps its disk.
fn two_disks_lost() -> Result<()> {
    let mut cluster = Cluster::start(Against::Ottla, 5, Network::Loopback, &["min.insync.replicas=2"])?;
    let mut writer = Writer::new(&cluster)?;
    let replicas = writer.replicas()?;
    ensure!(replicas.len() == 3, "there are {replicas:?}");
    for survivor in &replicas {
        writer.write(10)?;
        let lost = replicas.iter().filter(|id| *id != survivor);
        let lost = lost.map(|id| cluster.with_id(*id).context("a node")).collect::<Result<Vec<usize>>>()?;
        cluster.kill_at_once(&lost);
        for node in lost {
            std::fs::remove_dir_all(cluster.data(node))?;
            cluster.spawn(node)?;
        }
        cluster.await_ready()?;
        admin::await_in_sync(&cluster.addresses(), TOPIC, WHOLE_LIMIT)?;
        writer.check().with_context(|| format!("only node {survivor} has kept its disk"))?;
    }
    Ok(())
}

/// Who has to be there when a cluster begins.
const FORMATION: &str = "controller.quorum.formation";

fn missing_voter() -> Result<()> {
    let mut cluster = Cluster::new(Against::Ottla, 3, Network::Loopback, &[])?;
    cluster.spawn(0)?;
    says(
        &cluster,
        &[0],
        &["waiting for a controller", "a majority of controller.quorum.voters", "all of them to begin with"],
    )?;
    cluster.spawn(1)?;
    says(&cluster, &[0, 1], &["all that are listed must be there", &cluster.controller_addresses()[2], FORMATION])?;
    // Those that wait can be told to stop.
    for node in [0, 1] {
        cluster.stop(node)?;
        cluster.set(node, FORMATION, Some("majority"))?;
        cluster.spawn(node)?;
    }
    cluster.await_ready()?;
    for node in [0, 1] {
        cluster.set(node, FORMATION, None)?;
    }
    serves(&cluster, 0, "by-two-of-three", 2)?;
    says(&cluster, &[0, 1], &["a member of the metadata quorum does not answer", "node=3"])?;
    cluster.kill(1);
    says(&cluster, &[0], &["a majority of the voters must be in reach", "2@"])?;
    cluster.spawn(1)?;
    cluster.await_ready()?;
    serves(&cluster, 1, "by-two-again", 2)?;
    cluster.spawn(2)?;
    cluster.await_ready()?;
    serves(&cluster, 2, "by-three", 3)
}

fn listener_without_address() -> Result<()> {
    let mut cluster = Cluster::new(Against::Ottla, 1, Network::Loopback, &[])?;
    let controller = cluster.controller_addresses()[0].clone();
    let listeners = format!("PLAINTEXT://{NOWHERE}:19092,CONTROLLER://{controller}");
    cluster.set(0, "listeners", Some(&listeners))?;
    cluster.spawn(0)?;
    ends(&mut cluster, 0, &["listeners", NOWHERE, "correct the name"])
}

fn voter_without_address() -> Result<()> {
    let mut cluster = Cluster::new(Against::Ottla, 3, Network::Loopback, &[])?;
    let addresses = cluster.controller_addresses();
    let port = addresses[2].rsplit(':').next().context("a port")?.to_string();
    let voters = format!("1@{},2@{},3@{NOWHERE}:{port}", addresses[0], addresses[1]);
    for node in 0..3 {
        cluster.set(node, "controller.quorum.voters", Some(&voters))?;
        cluster.set(node, FORMATION, Some("majority"))?;
    }
    cluster.spawn(0)?;
    cluster.spawn(1)?;
    cluster.await_ready()?;
    serves(&cluster, 0, "by-two-of-three", 2)?;
    says(&cluster, &[0, 1], &["a member of the metadata quorum does not answer", NOWHERE])?;
    cluster.spawn(2)?;
    says(&cluster, &[2], &["no leader of the metadata quorum has been found", NOWHERE, "cannot be reached"])
}
