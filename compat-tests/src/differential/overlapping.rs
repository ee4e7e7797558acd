//! Requests that meet: several in one piece, some that are not answered, and some that others must come for.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::groups::{ASSIGNMENT, await_coordinator, bytes, commit, join};
use super::player::Player;
use super::records::{good, in_hex, offsets_request, request};
use super::topics::create;
use crate::record_batch::Batch;

const REBALANCE_IN_PROGRESS: i64 = 27;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let id = create(player, "log", 2)?;
    unanswered(player, &id)?;
    at_once(player, &id)?;
    long_poll(player, &id)?;
    await_coordinator(player)?;
    for version in [0, 3, 5, 9] {
        two_members(player, version, &id)?;
    }
    Ok(())
}

/// Produce with acks=0: nothing is answered, and what is refused closes the connection, as there is no other way to tell.
fn unanswered(player: &mut Player<'_>, id: &str) -> Result<()> {
    let (log, batch) = (("log", id), in_hex(&good()));
    for version in 3..=13 {
        player.ask_unanswered("acks=0", "Produce", version, &request(version, log, 0, 0, &batch))?;
    }
    let wrong = in_hex(&Batch { crc: Some(1), ..good() });
    for version in [3, 9, 13] {
        player.ask_unanswered("acks=0, a wrong CRC", "Produce", version, &request(version, log, 0, 0, &wrong))?;
        player.ask_unanswered(
            "acks=0, an unknown partition",
            "Produce",
            version,
            &request(version, log, 9, 0, &batch),
        )?;
        let mut body = request(version, log, 0, 0, &batch);
        body["transactionalId"] = json!("a-transaction");
        player.ask_unanswered("acks=0, a transactional id", "Produce", version, &body)?;
    }
    // Its offset tells how many of those before it were taken.
    player.ask("after all with acks=0", "Produce", 9, &request(9, log, 0, -1, &batch))?;
    Ok(())
}

fn at_once(player: &mut Player<'_>, id: &str) -> Result<()> {
    let batch = in_hex(&good());
    let produce = |partition: i32, acks: i16| ("Produce", 9, request(9, ("log", id), partition, acks, &batch));
    let end = ("ListOffsets", 6, offsets_request(6, "log", 1, -1));
    player.ask_at_once("writes, then a question", &[produce(1, -1), produce(1, 1), produce(1, -1), end.clone()])?;
    player.ask_at_once("a bad write between good ones", &[produce(1, -1), produce(7, -1), produce(1, -1), end])?;
    let topic = ("Metadata", 9, json!({ "topics": [{ "name": "log" }] }));
    player.ask_at_once("questions of several kinds", &[topic, ("DescribeCluster", 0, json!({})), produce(1, -1)])
}

/// A fetch at the end of the log is answered by the write that it waits for, with what was written.
fn long_poll(player: &mut Player<'_>, id: &str) -> Result<()> {
    for version in [4, 7, 12, 13, 18] {
        let answer = player.prepare("ListOffsets", 6, &offsets_request(6, "log", 1, -1))?;
        let end = answer["topics"][0]["partitions"][0]["offset"].clone();
        let topic = if version >= 13 { json!({ "topicId": id }) } else { json!({ "topic": "log" }) };
        let mut topic = topic;
        topic["partitions"] = json!([{ "partition": 1, "fetchOffset": end, "partitionMaxBytes": 100_000 }]);
        let body = json!({ "maxWaitMs": 15_000, "minBytes": 1, "maxBytes": 100_000, "topics": [topic] });
        let waiting = player.begin("waits for a write", "Fetch", version, &body)?;
        player.ask("that a fetch waits for", "Produce", 9, &request(9, ("log", id), 1, -1, &in_hex(&good())))?;
        player.settle(waiting)?;
    }
    Ok(())
}

/// The versions of one life of a group, by that of JoinGroup.
struct Life<'a> {
    group: &'a str,
    join: i16,
    sync: i16,
    heartbeat: i16,
}

/// A second member comes, the first lets it in, a stranger is refused, the first goes, and the second is alone.
fn two_members(player: &mut Player<'_>, version: i16, id: &str) -> Result<()> {
    let group = format!("pair-{version}");
    let life = Life { group: &group, join: version, sync: version.min(5), heartbeat: version.min(4) };
    let one = life.admit(player, "the first member")?;
    let answer = player.ask("the first member, alone", "JoinGroup", version, &join(version, &group, &one))?;
    let one = answer["memberId"].as_str().unwrap_or("").to_owned();
    player.ask("alone", "SyncGroup", life.sync, &life.sync_body(&one, &answer, &[&one]))?;
    let two = life.admit(player, "the second member")?;
    let waiting = player.begin("the second member", "JoinGroup", version, &join(version, &group, &two))?;
    life.await_rebalance(player, &one, &answer)?;
    player.ask("in a rebalance", "DescribeGroups", version.min(6), &json!({ "groups": [group] }))?;
    let generation = i32::try_from(answer["generationId"].as_i64().unwrap_or(-1))?;
    player.ask("in a rebalance", "OffsetCommit", 8, &commit(8, id, &group, (&one, generation), 3))?;
    player.ask("in a rebalance", "SyncGroup", life.sync, &life.sync_body(&one, &answer, &[]))?;
    let first = player.ask("the first member again", "JoinGroup", version, &join(version, &group, &one))?;
    let second = player.settle(waiting)?;
    let two = second["memberId"].as_str().unwrap_or("").to_owned();
    player.ask("before the leader's", "OffsetCommit", 8, &commit(8, id, &group, (&two, generation + 1), 4))?;
    let waiting = player.begin("the follower", "SyncGroup", life.sync, &life.sync_body(&two, &second, &[]))?;
    player.ask("the leader, for both", "SyncGroup", life.sync, &life.sync_body(&one, &first, &[&one, &two]))?;
    player.settle(waiting)?;
    for (case, member) in [("the leader", &one), ("the follower", &two)] {
        player.ask(case, "Heartbeat", life.heartbeat, &life.heartbeat_body(member, &first))?;
    }
    player.ask("of two members", "DescribeGroups", version.min(6), &json!({ "groups": [group] }))?;
    let mut stranger = join(version, &group, "");
    stranger["protocols"][0]["name"] = json!("nobody-elses");
    player.ask("a protocol that nobody shares", "JoinGroup", version, &stranger)?;
    stranger["protocolType"] = json!("connect");
    player.ask("another type of group", "JoinGroup", version, &stranger)?;
    player.ask("the leader", "LeaveGroup", life.sync, &life.leave_body(&one))?;
    player.ask("after the leader left", "Heartbeat", life.heartbeat, &life.heartbeat_body(&two, &second))?;
    player.ask("the last one", "JoinGroup", version, &join(version, &group, &two))?;
    player.ask("the last one", "LeaveGroup", life.sync, &life.leave_body(&two))?;
    Ok(())
}

impl Life<'_> {
    /// The id that a member is to join with: from v4 on the coordinator gives it one first (KIP-394).
    fn admit(&self, player: &mut Player<'_>, case: &str) -> Result<String> {
        if self.join < 4 {
            return Ok(String::new());
        }
        let answer =
            player.ask(&format!("{case} asks for an id"), "JoinGroup", self.join, &join(self.join, self.group, ""))?;
        Ok(answer["memberId"].as_str().unwrap_or("").to_owned())
    }

    /// A member learns from a heartbeat that another wants to come in.
    fn await_rebalance(&self, player: &mut Player<'_>, member: &str, joined: &Value) -> Result<()> {
        let body = self.heartbeat_body(member, joined);
        let until = Instant::now() + Duration::from_secs(10);
        while player.prepare("Heartbeat", self.heartbeat, &body)?["errorCode"] != REBALANCE_IN_PROGRESS {
            ensure!(Instant::now() < until, "no rebalance begins");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn heartbeat_body(&self, member: &str, joined: &Value) -> Value {
        json!({ "groupId": self.group, "generationId": joined["generationId"], "memberId": member })
    }

    fn sync_body(&self, member: &str, joined: &Value, assigned: &[&String]) -> Value {
        let assignment = |member: &&String| json!({ "memberId": member, "assignment": bytes(ASSIGNMENT) });
        let assignments: Vec<Value> = assigned.iter().map(assignment).collect();
        let mut body = self.heartbeat_body(member, joined);
        body["assignments"] = json!(assignments);
        if self.sync >= 5 {
            body["protocolType"] = json!("consumer");
            body["protocolName"] = json!("range");
        }
        body
    }

    fn leave_body(&self, member: &str) -> Value {
        if self.sync >= 3 {
            return json!({ "groupId": self.group, "members": [{ "memberId": member }] });
        }
        json!({ "groupId": self.group, "memberId": member })
    }
}
