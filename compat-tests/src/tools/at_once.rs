//! Settings that act at once on three nodes, of which one is away: how many replicas must be in sync, who may lead without having
//! been in sync, and how fast replicas move.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::nodes::{plan, verified};
use super::player::Order::Kept;
use super::player::Player;
use super::producer::produce;
use crate::cluster::admin::{self, Partition};

const GUARDED: &str = "guarded";
const SLOW: &str = "slow";
const LEADERLESS: &str = "leaderless";
const NONE: i16 = 0;
const NOT_ENOUGH_REPLICAS: i16 = 19;
/// Kafka's brokers hear of a setting when the controller has answered already; a leader elected uncleanly waits for the
/// controller's next look.
const HEARD_LIMIT: Duration = Duration::from_secs(20);
const MOVE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const RATES: &str = "--delete-config leader.replication.throttled.rate,follower.replication.throttled.rate";
/// What is written before replicas move: at 1000 bytes a second it takes longer than anybody waits.
const HEAVY_BYTES: usize = 500_000;

pub fn play(player: &mut Player) -> Result<()> {
    throttled(player)?;
    let tool = "kafka-topics --bootstrap-server BOOTSTRAP";
    let create = format!("{tool} --create --topic {GUARDED} --replica-assignment 1:2:3");
    player.tool("kafka-topics --create guarded", Kept, &create)?;
    player.await_in_sync(GUARDED, MOVE_LIMIT)?;
    player.stop_node(2).context("stopping node 3")?;
    min_isr(player)?;
    player.start_node(2).context("starting node 3")?;
    unclean(player)
}

fn configs(entity: &str, change: &str) -> String {
    format!("kafka-configs --bootstrap-server BOOTSTRAP {entity} --alter {change}")
}

/// Of three replicas two are in sync.
fn min_isr(player: &mut Player) -> Result<()> {
    acknowledged(player, "two of three in sync", NONE)?;
    let (topic, all) = (format!("--topic {GUARDED}"), "--entity-type brokers --entity-default");
    for (step, entity, change, code) in [
        ("of the topic", &*topic, "--add-config min.insync.replicas=3", NOT_ENOUGH_REPLICAS),
        ("of the topic, smaller", &topic, "--add-config min.insync.replicas=2", NONE),
        ("of all brokers, under the topic's own", all, "--add-config min.insync.replicas=3", NONE),
        ("of the topic, deleted", &topic, "--delete-config min.insync.replicas", NOT_ENOUGH_REPLICAS),
        ("of one broker", "--broker 1", "--add-config min.insync.replicas=1", NOT_ENOUGH_REPLICAS),
        ("of all brokers, deleted", all, "--delete-config min.insync.replicas", NOT_ENOUGH_REPLICAS),
        ("of all brokers, smaller", all, "--add-config min.insync.replicas=1", NONE),
    ] {
        let step = format!("min.insync.replicas {step}");
        player.tool(&format!("kafka-configs {step}"), Kept, &configs(entity, change))?;
        acknowledged(player, &step, code)?;
    }
    Ok(())
}

/// Writes down what a producer with acks=all is answered, as soon as that is what is expected, or at last.
fn acknowledged(player: &mut Player, step: &str, expected: i16) -> Result<()> {
    let until = Instant::now() + HEARD_LIMIT;
    let mut answered = produce(player, GUARDED, 10);
    while answered.as_ref().ok() != Some(&expected) && Instant::now() < until {
        std::thread::sleep(LOOK_AGAIN);
        answered = produce(player, GUARDED, 10);
    }
    player.write_down(&format!("acks=all with {step}"), Kept, &format!("error {}", answered?));
    Ok(())
}

/// A topic with one replica, on node 1, and so much in it that it does not move under a throttle.
fn heavy(player: &mut Player, topic: &str) -> Result<()> {
    let create = format!("kafka-topics --bootstrap-server BOOTSTRAP --create --topic {topic} --replica-assignment 1");
    player.tool(&format!("kafka-topics --create {topic}"), Kept, &create)?;
    for _ in 0..3 {
        let code = produce(player, topic, HEAVY_BYTES)?;
        player.write_down(&format!("acks=all to {topic}"), Kept, &format!("error {code}"));
    }
    Ok(())
}

/// Replicas that a throttle holds back move when its rates are taken away, and not before.
fn throttled(player: &mut Player) -> Result<()> {
    heavy(player, SLOW)?;
    let tool = "kafka-reassign-partitions --bootstrap-server BOOTSTRAP";
    let file = plan(player, "slow.json", SLOW, &[(0, &[2, 3])])?;
    let file = file.display();
    let execute = format!("{tool} --execute --throttle 1000 --reassignment-json-file {file}");
    player.tool("kafka-reassign-partitions --execute, slow", Kept, &execute)?;
    let verify = format!("{tool} --verify --preserve-throttles --reassignment-json-file {file}");
    player.tool("kafka-reassign-partitions --verify, slow", Kept, &verify)?;
    for broker in 1..=3 {
        let command = configs(&format!("--broker {broker}"), RATES);
        player.tool(&format!("kafka-configs, the throttle of broker {broker} lifted"), Kept, &command)?;
    }
    let is_moved = |partition: &Partition| partition.replicas == [2, 3] && partition.isr.len() == 2;
    await_partition(player, SLOW, is_moved, MOVE_LIMIT)?;
    verified(
        player,
        "kafka-reassign-partitions --verify, not slow any more",
        &format!("{tool} --verify --reassignment-json-file {file}"),
    )?;
    let describe = format!("kafka-configs --bootstrap-server BOOTSTRAP --topic {SLOW} --describe");
    player.tool("kafka-configs --describe, not slow any more", Kept, &describe)
}

/// Waits until partition 0 is as wanted, as all nodes that answer see it.
fn await_partition(player: &Player, topic: &str, is_right: impl Fn(&Partition) -> bool, limit: Duration) -> Result<()> {
    let until = Instant::now() + limit;
    for address in player.addresses() {
        loop {
            let Ok(view) = admin::look(&address, Some(topic)) else { break };
            if view.partitions.get(&0).is_some_and(&is_right) || Instant::now() > until {
                break;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    Ok(())
}

/// The only replica in sync goes; those that were to follow it may lead when the topic says so.
fn unclean(player: &mut Player) -> Result<()> {
    heavy(player, LEADERLESS)?;
    let file = plan(player, "leaderless.json", LEADERLESS, &[(0, &[2, 3])])?;
    let execute = format!(
        "kafka-reassign-partitions --bootstrap-server BOOTSTRAP --execute --throttle 1000 --reassignment-json-file {}",
        file.display()
    );
    player.tool("kafka-reassign-partitions --execute, leaderless", Kept, &execute)?;
    player.stop_node(0).context("stopping node 1")?;
    await_partition(player, LEADERLESS, |partition| partition.leader < 0, HEARD_LIMIT)?;
    let describe = format!("kafka-topics --bootstrap-server BOOTSTRAP --describe --topic {LEADERLESS}");
    player.tool("kafka-topics --describe without a leader", Kept, &describe)?;
    // What is copied from the new leader is to be there soon.
    for broker in 2..=3 {
        let command = configs(&format!("--broker {broker}"), RATES);
        player.tool(&format!("kafka-configs, no throttle of broker {broker}"), Kept, &command)?;
    }
    let allow = configs(&format!("--topic {LEADERLESS}"), "--add-config unclean.leader.election.enable=true");
    player.tool("kafka-configs unclean.leader.election.enable", Kept, &allow)?;
    let is_whole = |partition: &Partition| partition.leader >= 0 && partition.isr.len() == 2;
    await_partition(player, LEADERLESS, is_whole, MOVE_LIMIT)?;
    player.tool("kafka-topics --describe with a leader that was not in sync", Kept, &describe)?;
    player.start_node(0).context("starting node 1")?;
    player.tool(
        "kafka-topics --delete leaderless",
        Kept,
        &format!("kafka-topics --bootstrap-server BOOTSTRAP --delete --topic {LEADERLESS}"),
    )
}
