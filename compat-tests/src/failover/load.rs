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
use crate::cluster::network::Network;
use crate::cluster::nodes::Cluster;
use crate::connection::{Connection, topic_name};
use crate::server::Against;

const VERSION: i16 = 9;
const TOPIC: &str = "cpu";
/// As many as there are nodes: each leads one.
const PARTITIONS: i32 = 3;
const CONNECTIONS_A_PARTITION: usize = 2;
const UNDER_WAY: usize = 5;
const RECORDS: usize = 62;
const RECORD_BYTES: usize = 1024;
const PAUSE: Duration = Duration::from_millis(5);

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
        for (leader, partitions) in by_leader {
            let Some(address) = view.brokers.get(&leader) else { continue };
            let sent = Connection::open_within(address, limit)
                .and_then(|mut connection| connection.ask(VERSION, &request(topic, &partitions, &records)));
            let Ok(answer) = sent else { continue };
            for answer in answer.responses.iter().flat_map(|topic| &topic.partition_responses) {
                if answer.error_code == 0 {
                    left.remove(&answer.index);
                }
            }
        }
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
/// the page cache, as Kafka does.
pub fn cpu(arguments: &Arguments, against: Against) -> Result<String> {
    let settings: &[&str] = match against {
        Against::Ottla => &["min.insync.replicas=2", "acks.durability=page-cache"],
        Against::Kafka => &["min.insync.replicas=2"],
    };
    let cluster = Cluster::start(against, NODES, Network::Loopback, settings)?;
    create(&cluster, TOPIC, PARTITIONS)?;
    let view = admin::look_anywhere(&cluster.addresses(), Some(TOPIC))?;
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (is_over, sent) = (&is_over, &sent);
    let total = || -> Result<f64> { cluster.pids().into_iter().map(process::cpu_seconds).sum() };
    let (used, bytes, seconds) = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (partition, seen) in &view.partitions {
            let address = view.brokers.get(&seen.leader).context("no leader")?;
            for _ in 0..CONNECTIONS_A_PARTITION {
                threads.push(scope.spawn(move || send(address, *partition, sent, is_over)));
            }
        }
        let measured = Duration::from_secs_f64(arguments.seconds);
        std::thread::sleep(measured);
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

fn send(address: &str, partition: i32, sent: &AtomicU64, is_over: &AtomicBool) -> Result<()> {
    let records = Bytes::from(frames::batch(RECORDS, RECORD_BYTES));
    let request = request(TOPIC, &[partition], &records);
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
