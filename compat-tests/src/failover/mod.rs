//! How long clients wait when a node dies, sleeps or hands over, what replication costs, and how fast a cluster is there:
//! three nodes of Ottla beside three of Apache Kafka, each with its own default timers.

mod load;
mod stream;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::cluster::admin;
use crate::cluster::nodes::Cluster;
use crate::random::Random;
use crate::report::Report;
use crate::server::Against;
use stream::Stream;

const NODES: usize = 3;
const SETTINGS: &[&str] = &["min.insync.replicas=2"];
const TOPIC: &str = "failover";
const MANY: &str = "many";
const MANY_PARTITIONS: i32 = 1_000;
const FLOW_LIMIT: Duration = Duration::from_secs(60);
const WHOLE_LIMIT: Duration = Duration::from_secs(120);
/// Time to settle before a fault.
const CALM: Duration = Duration::from_millis(500);
const STALL: Duration = Duration::from_secs(1);
const STALLS_A_NODE: usize = 2;

#[derive(clap::Args)]
pub struct Arguments {
    /// Whom to measure.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "ottla")]
    against: Vec<Against>,
    /// Figures to take, by the beginning of their names; all when none is named.
    #[arg(long, value_delimiter = ',')]
    figures: Vec<String>,
    /// How often the leader is killed.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// How often the leader is paused, leadership moved, and a cluster started.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load for the figure of CPU.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
}

type Figure = fn(&Arguments, Against) -> Result<String>;

const FIGURES: &[(&str, Figure)] = &[
    ("ready", ready),
    ("killed-leader", killed_leader),
    ("paused-leader", paused_leader),
    ("stalled", stalled),
    ("moved", moved),
    ("cpu", load::cpu),
    ("many", many),
];

pub fn run(arguments: &Arguments, report: &Report) -> Result<()> {
    let mut lines = Vec::new();
    for (name, figure) in FIGURES {
        if !arguments.figures.is_empty() && !arguments.figures.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            continue;
        }
        for against in &arguments.against {
            let server = if *against == Against::Kafka { "Apache Kafka" } else { "Ottla" };
            if let Some(line) = report.check(format!("{name} on {server}"), figure(arguments, *against)) {
                println!("      {line}");
                lines.push(format!("| {name} | {server} | {line} |"));
            }
        }
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

fn start(against: Against, topic: &str, partitions: i32) -> Result<Cluster> {
    let cluster = Cluster::start_measured(against, NODES, SETTINGS)?;
    create(&cluster, topic, partitions)?;
    Ok(cluster)
}

fn create(cluster: &Cluster, topic: &str, partitions: i32) -> Result<()> {
    let addresses = cluster.addresses();
    let created = admin::create_topic(&addresses[0], topic, partitions, i16::try_from(NODES)?, &[])?;
    created.map_err(|error| anyhow!("CreateTopics answers error {error}"))?;
    admin::await_in_sync(&addresses, topic, WHOLE_LIMIT)
}

/// Median, 99th of a hundred, and the longest.
fn spread(mut gaps: Vec<Duration>) -> String {
    gaps.sort();
    let at = |share: f64| {
        let place = ((gaps.len() as f64 * share).ceil() as usize).clamp(1, gaps.len());
        gaps[place - 1].as_secs_f64() * 1e3
    };
    format!("p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms of {}", at(0.5), at(0.99), at(1.0), gaps.len())
}

/// Processes of three nodes on empty directories, to all registered, and to the first record on three replicas.
fn ready(arguments: &Arguments, against: Against) -> Result<String> {
    let (mut joined, mut written) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let mut cluster = Cluster::new_measured(against, NODES, SETTINGS)?;
        cluster.format()?;
        let begin = Instant::now();
        for node in 0..NODES {
            cluster.spawn(node)?;
        }
        cluster.await_ready()?;
        joined.push(begin.elapsed());
        let addresses = cluster.addresses();
        let created = admin::create_topic(&addresses[0], TOPIC, 1, i16::try_from(NODES)?, &[])?;
        created.map_err(|error| anyhow!("CreateTopics answers error {error}"))?;
        load::first_record(&addresses, TOPIC)?;
        written.push(begin.elapsed());
    }
    Ok(format!("all joined: {}; first record: {}", spread(joined), spread(written)))
}

fn killed_leader(arguments: &Arguments, against: Against) -> Result<String> {
    let mut cluster = start(against, TOPIC, 1)?;
    let stream = Stream::new(TOPIC, cluster.addresses());
    let gaps = stream.flow(|| {
        let mut gaps = Vec::new();
        for kill in 0..arguments.kills {
            std::thread::sleep(CALM);
            let leader = stream.leader().0;
            let node = cluster.with_id(leader).context("no leader")?;
            stream.mark();
            cluster.kill(node);
            stream.await_other_leader(leader, FLOW_LIMIT)?;
            stream.await_flow(FLOW_LIMIT)?;
            gaps.push(stream.longest());
            println!("      kill {}: node {leader}, {} ms", kill + 1, stream.longest().as_millis());
            cluster.spawn(node)?;
            cluster.await_ready()?;
            admin::await_in_sync(&cluster.addresses(), TOPIC, WHOLE_LIMIT)?;
        }
        Ok(gaps)
    })?;
    ensure!(stream.errors() == 0, "{} errors that a client cannot retry", stream.errors());
    Ok(spread(gaps))
}

fn paused_leader(arguments: &Arguments, against: Against) -> Result<String> {
    let mut cluster = start(against, TOPIC, 1)?;
    let stream = Stream::new(TOPIC, cluster.addresses());
    let gaps = stream.flow(|| {
        let mut gaps = Vec::new();
        for _ in 0..arguments.rounds {
            std::thread::sleep(CALM);
            let leader = stream.leader().0;
            stream.mark();
            cluster.pause(cluster.with_id(leader).context("no leader")?)?;
            let flows = stream.await_other_leader(leader, FLOW_LIMIT).and_then(|()| stream.await_flow(FLOW_LIMIT));
            gaps.push(stream.longest());
            cluster.unpause()?;
            flows?;
            cluster.await_ready()?;
            admin::await_in_sync(&cluster.addresses(), TOPIC, WHOLE_LIMIT)?;
        }
        Ok(gaps)
    })?;
    ensure!(stream.errors() == 0, "{} errors that a client cannot retry", stream.errors());
    Ok(spread(gaps))
}

/// Every node sleeps for a second, and none may be taken for dead.
fn stalled(_: &Arguments, against: Against) -> Result<String> {
    let mut cluster = start(against, TOPIC, 1)?;
    let stream = Stream::new(TOPIC, cluster.addresses());
    let gaps = stream.flow(|| {
        let mut gaps = Vec::new();
        let before = stream.leader();
        for stall in 0..NODES * STALLS_A_NODE {
            std::thread::sleep(CALM);
            stream.mark();
            cluster.pause(stall % NODES)?;
            std::thread::sleep(STALL);
            cluster.unpause()?;
            stream.await_flow(FLOW_LIMIT)?;
            gaps.push(stream.longest());
            let now = stream.leader();
            ensure!(
                now == before,
                "node {} slept, and leader and epoch are {now:?}, not {before:?}",
                stall % NODES + 1
            );
            cluster.await_ready()?;
        }
        Ok(gaps)
    })?;
    Ok(format!("nobody fenced; {}", spread(gaps)))
}

/// Another replica is made the preferred one and elected.
fn moved(arguments: &Arguments, against: Against) -> Result<String> {
    let cluster = start(against, TOPIC, 1)?;
    let addresses = cluster.addresses();
    let stream = Stream::new(TOPIC, addresses.clone());
    let mut random = Random::new(1);
    let gaps = stream.flow(|| {
        let mut gaps = Vec::new();
        for _ in 0..arguments.rounds.max(10) {
            std::thread::sleep(CALM);
            let leader = stream.leader().0;
            let mut replicas: Vec<i32> = (1..=i32::try_from(NODES)?).filter(|id| *id != leader).collect();
            replicas.swap(0, random.index(NODES - 1));
            replicas.push(leader);
            let error = admin::reassign(&addresses[0], TOPIC, 0, &replicas)?;
            ensure!(error == 0, "AlterPartitionReassignments answers error {error}");
            std::thread::sleep(CALM);
            stream.mark();
            let error = admin::elect_preferred(&addresses[0], TOPIC, 0)?;
            ensure!(error == 0, "ElectLeaders answers error {error}");
            stream.await_other_leader(leader, FLOW_LIMIT)?;
            stream.await_flow(FLOW_LIMIT)?;
            gaps.push(stream.longest());
        }
        Ok(gaps)
    })?;
    ensure!(stream.errors() == 0, "{} errors that a client cannot retry", stream.errors());
    Ok(spread(gaps))
}

/// A node dies that leads a third of a thousand partitions with a record each: until each has another leader, and until each takes
/// a record again.
fn many(_: &Arguments, against: Against) -> Result<String> {
    let mut cluster = start(against, MANY, MANY_PARTITIONS)?;
    let whole = admin::look_anywhere(&cluster.addresses(), Some(MANY))?;
    load::one_record_each(&whole, &cluster.addresses(), MANY, WHOLE_LIMIT)?;
    std::thread::sleep(CALM);
    let dead = 1;
    let alive: Vec<String> = cluster
        .addresses()
        .into_iter()
        .enumerate()
        .filter(|(node, _)| *node != dead)
        .map(|(_, address)| address)
        .collect();
    let begin = Instant::now();
    cluster.kill(dead);
    let id = i32::try_from(dead)? + 1;
    let view = loop {
        ensure!(begin.elapsed() < FLOW_LIMIT, "partitions without a leader after {} s", FLOW_LIMIT.as_secs());
        let view = admin::look(&alive[0], Some(MANY));
        if let Ok(view) = view
            && view.partitions.values().all(|partition| partition.leader >= 0 && partition.leader != id)
        {
            break view;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let led = begin.elapsed();
    load::one_record_each(&view, &alive, MANY, FLOW_LIMIT)?;
    let written = begin.elapsed();
    Ok(format!("all led after {} ms, all written to after {} ms", led.as_millis(), written.as_millis()))
}
