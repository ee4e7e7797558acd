//! One client over three nodes, of which leaders are killed and paused and each is restarted: its application must notice
//! nothing.
//!
//! An idempotent producer sends round after round, a member of a group reads along and commits, and meanwhile nodes go and
//! come. Offsets show that nothing is sent twice. A member that stays in its generation over all of it has no reason to read a
//! record twice. An error in any answer fails the client.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;

use crate::clients::catalogue::{Client, Prepared};
use crate::clients::program::Program;
use crate::clients::record::{Record, numbered, records_of};
use crate::clients::topic::{Sending, Topic};
use crate::cluster::admin;
use crate::cluster::network::Network;
use crate::cluster::nodes::Cluster;
use crate::report::Report;
use crate::server::Against;

/// The clients that this is for.
pub const NAMES: &[&str] = &["java-4.3.1", "rdkafka", "franz-go", "sarama"];

/// Their members join anew when their coordinator is away, and may read again what they had not committed.
const REJOINING: &[&str] = &["sarama"];

const NODES: usize = 3;
const PARTITIONS: usize = 4;
const KILLS: usize = 3;
/// Long enough for another node to lead, also when the paused one was the controller.
const PAUSED: Duration = Duration::from_secs(8);
const ROUND_COUNT: usize = 20;
const TOPIC: &str = "carried-on";
const GROUP: &str = "readers-along";
const WHOLE_LIMIT: Duration = Duration::from_secs(90);
/// Time under load between faults, and in which a dead node stays away.
const CALM: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);
/// Between rounds: sarama's member commits every record by itself, and must keep up.
const ROUND_PAUSE: Duration = Duration::from_millis(150);
/// Of the member. A coordinator that is paused answers no heartbeat, and a client that waits for it must not be given up by the
/// next one: much longer than a pause, and shorter than the clients' own defaults of 45 s.
const SESSION: Duration = Duration::from_secs(30);
/// A member's session and a rebalance may pass before it reads on. One that commits every record by itself reads slowly on a machine
/// that has other things to do: from one record to the next counts, not the time for all.
const READ_LIMIT: Duration = Duration::from_secs(60);

pub fn run_one(client: &'static Client, prepared: &Prepared, against: Against, report: &Report) {
    let sentence = format!(
        "{} sends and reads everything once, without an error, while {KILLS} leaders are killed, one is paused, and every node \
         is restarted",
        client.name
    );
    report.check(sentence, carry_on(client, prepared, against));
}

fn carry_on(client: &'static Client, prepared: &Prepared, against: Against) -> Result<()> {
    let mut cluster = Cluster::start(against, NODES, Network::Loopback, &["min.insync.replicas=2"])?;
    let addresses = cluster.addresses();
    let created = admin::create_topic(&addresses[0], TOPIC, i32::try_from(PARTITIONS)?, i16::try_from(NODES)?, &[])?;
    created.map_err(|error| anyhow!("CreateTopics answers error {error}"))?;
    admin::await_in_sync(&addresses, TOPIC, WHOLE_LIMIT)?;
    let logs = tempfile::Builder::new().prefix("ottla-compat-client-").tempdir()?;
    let start = |role: &str| {
        let log = logs.path().join(format!("{role}.log"));
        Program::start(client, prepared.command(), &cluster.bootstrap(), &log)
    };
    let (mut producer, mut member) = (start("producer")?, start("member")?);
    member.tell(&json!({"do": "join", "group": GROUP, "topic": TOPIC, "session": SESSION.as_millis()}))?;
    let mut topic = Topic::unknown(TOPIC, PARTITIONS);
    let is_over = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&mut producer, &mut topic, &is_over));
        let (counted, count) = std::sync::mpsc::channel();
        let reading = scope.spawn(move || read_along(&mut member, &count));
        let disturbed = disturb(&mut cluster);
        is_over.store(true, Ordering::SeqCst);
        let sent = sending.join().map_err(|_| anyhow!("the sender panicked"))?;
        // Without a count the reader ends at once.
        let _ = sent.as_ref().map(|sent| counted.send(*sent));
        drop(counted);
        let read = reading.join().map_err(|_| anyhow!("the reader panicked"))?;
        disturbed.context("the cluster")?;
        sent.context("the producer")?;
        read.context("the member")
    })?;
    compare(&topic, &read)?;
    topic.read_all(&mut producer)
}

/// Rounds until it is over, and one more; how many records.
fn send(producer: &mut Program, topic: &mut Topic, is_over: &AtomicBool) -> Result<usize> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    for round in 0.. {
        let is_last = is_over.load(Ordering::SeqCst);
        let how = Sending::safely(producer.client);
        topic.send(producer, how, numbered(&format!("round {round}"), ROUND_COUNT, PARTITIONS, now))?;
        if is_last {
            break;
        }
        std::thread::sleep(ROUND_PAUSE);
    }
    Ok(topic.count())
}

/// All that the member read, by partition and offset, until it has as many as `count` says.
fn read_along(
    member: &mut Program,
    count: &std::sync::mpsc::Receiver<usize>,
) -> Result<BTreeMap<(usize, i64), Record>> {
    let mut read = BTreeMap::new();
    let mut end: Option<usize> = None;
    let mut last = Instant::now();
    loop {
        if end.is_none() {
            match count.try_recv() {
                Ok(count) => (end, last) = (Some(count), Instant::now()),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(read),
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
            }
        }
        while let Some(answer) = member.poll()? {
            for record in records_of(&answer)? {
                let place = (record.partition, record.offset);
                if let Some(before) = read.insert(place, record.clone()) {
                    ensure!(before == record, "two records at {place:?}: {before:?} and {record:?}");
                    ensure!(REJOINING.contains(&member.client.name), "it read twice what is at {place:?}: {record:?}");
                } else {
                    last = Instant::now();
                }
            }
        }
        if let Some(count) = end {
            if read.len() >= count {
                return Ok(read);
            }
            let (known, limit_s) = (read.len(), READ_LIMIT.as_secs());
            ensure!(last.elapsed() < READ_LIMIT, "{known} of {count} records, and no other in {limit_s} s");
        }
        std::thread::sleep(PAUSE);
    }
}

fn disturb(cluster: &mut Cluster) -> Result<()> {
    let addresses = cluster.addresses();
    for kill in 0..KILLS {
        std::thread::sleep(CALM);
        let leader = leader(cluster, i32::try_from(kill % PARTITIONS)?)?;
        cluster.kill(leader);
        std::thread::sleep(CALM);
        cluster.spawn(leader)?;
        cluster.await_ready()?;
        admin::await_in_sync(&addresses, TOPIC, WHOLE_LIMIT)?;
    }
    std::thread::sleep(CALM);
    let paused = leader(cluster, 0)?;
    cluster.pause(paused)?;
    std::thread::sleep(PAUSED);
    let others: Vec<String> =
        addresses.iter().enumerate().filter(|(at, _)| *at != paused).map(|(_, a)| a.clone()).collect();
    let leads_on = admin::look_anywhere(&others, Some(TOPIC))?.partitions[&0].leader;
    cluster.unpause()?;
    // Apache Kafka waits for 9 s before it elects another one.
    let may_lead_on = cluster.against() == Against::Kafka;
    ensure!(
        may_lead_on || cluster.with_id(leads_on) != Some(paused),
        "node {leads_on} still led after a pause of {PAUSED:?}"
    );
    admin::await_in_sync(&addresses, TOPIC, WHOLE_LIMIT)?;
    for node in 0..cluster.count() {
        std::thread::sleep(CALM);
        cluster.stop(node)?;
        cluster.spawn(node)?;
        cluster.await_ready()?;
        admin::await_in_sync(&addresses, TOPIC, WHOLE_LIMIT)?;
    }
    Ok(())
}

/// The node that leads a partition.
fn leader(cluster: &Cluster, partition: i32) -> Result<usize> {
    let view = admin::look_anywhere(&cluster.addresses(), Some(TOPIC))?;
    cluster.with_id(view.partitions[&partition].leader).context("no leader")
}

fn compare(topic: &Topic, read: &BTreeMap<(usize, i64), Record>) -> Result<()> {
    for sent in topic.sent_after(0) {
        let found = read.get(&(sent.partition, sent.offset));
        ensure!(found == Some(sent), "sent {sent:?}, read {found:?}");
    }
    ensure!(read.len() == topic.count(), "{} records sent, and {} read", topic.count(), read.len());
    Ok(())
}
