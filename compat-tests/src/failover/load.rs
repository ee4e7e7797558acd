//! Loads for figures: one record, one record to each of many partitions, and as much as goes for the cost of replication.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

use super::{Arguments, NODES, create};
use crate::bench::{frames, process};
use crate::cluster::admin::{self, LIMIT, View};
use crate::cluster::nodes::Cluster;
use crate::connection::{Connection, topic_name};
use crate::server::Against;

const VERSION: i16 = 9;
/// As many as there are nodes: each leads one.
const PARTITIONS: i32 = 3;
const CONNECTIONS_A_PARTITION: usize = 2;
const UNDER_WAY: usize = 5;
const RECORDS: usize = 62;
const RECORD_BYTES: usize = 1024;
const PAUSE: Duration = Duration::from_millis(5);
/// Of the figure of CPU; only the last one counts.
const ROUNDS: usize = 4;
/// For a topic's files to go, and for a load to be under way.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(2);

fn request(topic: &str, partitions: &[i32], records: &Bytes) -> ProduceRequest {
    let data = |index: &i32| PartitionProduceData::default().with_index(*index).with_records(Some(records.clone()));
    let data = partitions.iter().map(data).collect();
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(data);
    let request = ProduceRequest::default().with_transactional_id(None).with_acks(-1).with_timeout_ms(10_000);
    request.with_topic_data(vec![topic])
}

/// Sends a record to each of these partitions on its leader, and again what fails, until all are acknowledged.
pub fn one_record_each(view: &View, addresses: &[String], topic: &str, limit: Duration) -> Result<()> {
    let until = Instant::now() + limit;
    let records = Bytes::from(frames::batch(1, 16));
    let mut left: BTreeSet<i32> = view.partitions.keys().copied().collect();
    let mut view = view.clone();
    while !left.is_empty() {
        ensure!(Instant::now() < until, "{} partitions take no record after {} s", left.len(), limit.as_secs());
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in &left {
            by_leader.entry(view.partitions[partition].leader).or_default().push(*partition);
        }
        // All leaders at once, as a client does.
        let (records, view_now) = (&records, &view);
        let written: BTreeSet<i32> = std::thread::scope(|scope| {
            let ask = |(leader, partitions): (i32, Vec<i32>)| {
                scope.spawn(move || {
                    let address = view_now.brokers.get(&leader)?;
                    let mut connection = Connection::open_within(address, limit).ok()?;
                    let answer = connection.ask(VERSION, &request(topic, &partitions, records)).ok()?;
                    let answers = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
                    Some(
                        answers
                            .filter(|answer| answer.error_code == 0)
                            .map(|answer| answer.index)
                            .collect::<Vec<i32>>(),
                    )
                })
            };
            let asked: Vec<_> = by_leader.into_iter().map(ask).collect();
            asked.into_iter().filter_map(|asked| asked.join().ok().flatten()).flatten().collect()
        });
        left.retain(|partition| !written.contains(partition));
        if !left.is_empty() {
            std::thread::sleep(PAUSE);
            view = admin::look_anywhere(addresses, Some(topic)).unwrap_or(view);
        }
    }
    Ok(())
}

/// Until the first record of a new topic is acknowledged by all replicas in sync.
pub fn first_record(addresses: &[String], topic: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    let view = loop {
        match admin::look_anywhere(addresses, Some(topic)) {
            Ok(view) if view.partitions.values().all(|partition| partition.leader >= 0) => break view,
            other => ensure!(Instant::now() < until, "the topic has no leader: {other:?}"),
        }
        std::thread::sleep(PAUSE);
    };
    one_record_each(&view, addresses, topic, Duration::from_secs(60))
}

/// CPU of all nodes for each GB that producers sent with acks=all to three replicas. Both servers count what they have in
/// the page cache, as Kafka does. The last of several rounds counts: a virtual machine pays for memory that it touches for the
/// first time, more than either server, and a JVM compiles what it runs often. So each round's topic goes before the next comes.
pub fn cpu(arguments: &Arguments, against: Against) -> Result<String> {
    let mut settings = vec!["min.insync.replicas=2", "log.segment.delete.delay.ms=100"];
    if against == Against::Ottla {
        settings.push("acks.durability=page-cache");
    }
    let cluster = Cluster::start_measured(against, NODES, &settings)?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let topic = format!("cpu-{round}");
        rounds.push(round_of(&cluster, &topic, Duration::from_secs_f64(arguments.seconds))?);
        let address = &cluster.addresses()[0];
        let id = admin::topics(address)?.remove(&topic).context("the topic has gone")?;
        let error = admin::delete_topic(address, id)?;
        ensure!(error == 0, "DeleteTopics answers error {error}");
        std::thread::sleep(BETWEEN_ROUNDS);
    }
    let cold = rounds.first().context("no round")?.clone();
    let warm = rounds.pop().context("no round")?;
    Ok(format!("{warm} after {} rounds, {cold} in the first", ROUNDS - 1))
}

/// A new topic, and a load on it: CPU for each GB, and how fast it went.
fn round_of(cluster: &Cluster, topic: &str, measured: Duration) -> Result<String> {
    create(cluster, topic, PARTITIONS)?;
    let view = admin::look_anywhere(&cluster.addresses(), Some(topic))?;
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (is_over, sent) = (&is_over, &sent);
    let total = || -> Result<f64> { cluster.pids().into_iter().map(process::cpu_seconds).sum() };
    let (used, bytes, seconds) = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (partition, seen) in &view.partitions {
            let address = view.brokers.get(&seen.leader).context("no leader")?;
            for _ in 0..CONNECTIONS_A_PARTITION {
                threads.push(scope.spawn(move || send(address, topic, *partition, sent, is_over)));
            }
        }
        std::thread::sleep(BETWEEN_ROUNDS);
        let (begin, cpu, bytes) = (Instant::now(), total()?, sent.load(Ordering::SeqCst));
        std::thread::sleep(measured);
        let used = (total()? - cpu, sent.load(Ordering::SeqCst) - bytes, begin.elapsed().as_secs_f64());
        is_over.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a producer panicked"))??;
        }
        anyhow::Ok(used)
    })?;
    let gb = bytes as f64 / 1e9;
    Ok(format!("{:.2} s/GB at {:.0} MB/s", used / gb, bytes as f64 / 1e6 / seconds))
}

fn send(address: &str, topic: &str, partition: i32, sent: &AtomicU64, is_over: &AtomicBool) -> Result<()> {
    let records = Bytes::from(frames::batch(RECORDS, RECORD_BYTES));
    let request = request(topic, &[partition], &records);
    let mut connection = Connection::open_within(address, LIMIT * 10)?;
    for _ in 0..UNDER_WAY {
        connection.send(VERSION, &request)?;
    }
    while !is_over.load(Ordering::SeqCst) {
        let answer = connection.receive::<ProduceRequest>(VERSION)?;
        let answer = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let error = answer.context("an empty answer")?.error_code;
        ensure!(error == 0, "Produce answers error {error}");
        sent.fetch_add(records.len() as u64, Ordering::SeqCst);
        connection.send(VERSION, &request)?;
    }
    Ok(())
}
