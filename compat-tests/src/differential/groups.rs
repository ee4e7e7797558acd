//! FindCoordinator, the classic group protocol, and committed offsets.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::player::Player;
use super::records::{good, in_hex, request};
use super::topics::create;

const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const UNKNOWN_ID: &str = "BBBBBBBBBBBBBBBBBBBBBA";
/// A consumer's subscription, version 0: topic `log`, no user data.
const SUBSCRIPTION: &str = "hex:0000000000010003 6c6f67 ffffffff";
/// A consumer's assignment, version 0: partition 0 of `log`, no user data.
pub const ASSIGNMENT: &str = "hex:0000000000010003 6c6f67 0000000100000000 ffffffff";

pub fn play(player: &mut Player<'_>) -> Result<()> {
    let id = create(player, "log", 2)?;
    await_coordinator(player)?;
    find_coordinator(player)?;
    simple_consumer(player, &id)?;
    for version in 0..=9 {
        one_member(player, version, &id)?;
    }
    static_member(player, &id)?;
    bad_joins(player)?;
    outsiders(player, &id)?;
    describe_and_list(player)?;
    delete(player)
}

pub fn bytes(text: &str) -> String {
    text.replace(' ', "")
}

/// Waits until groups have a coordinator.
pub fn await_coordinator(player: &mut Player<'_>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while player.prepare("FindCoordinator", 0, &json!({ "key": "g" }))?["errorCode"] != 0 {
        ensure!(Instant::now() < until, "no coordinator");
        std::thread::sleep(Duration::from_millis(50));
    }
    await_coordinators(player)
}

fn find_coordinator(player: &mut Player<'_>) -> Result<()> {
    player.ask_each("of a group", "FindCoordinator", 0..=3, |_| json!({ "key": "g" }))?;
    player.ask_each("of two groups", "FindCoordinator", 4..=6, |_| json!({ "coordinatorKeys": ["g", "h"] }))?;
    player.ask_each("of an empty group id", "FindCoordinator", 0..=3, |_| json!({ "key": "" }))?;
    player.ask_each("of an empty group id", "FindCoordinator", 4..=6, |_| json!({ "coordinatorKeys": [""] }))?;
    player.ask_each("of nothing", "FindCoordinator", 4..=6, |_| json!({ "coordinatorKeys": [] }))?;
    player.ask_each("of an unknown type", "FindCoordinator", 1..=3, |_| json!({ "key": "g", "keyType": 9 }))?;
    let transaction = json!({ "key": "t", "keyType": 1 });
    let until = Instant::now() + Duration::from_secs(30);
    while player.prepare("FindCoordinator", 1, &transaction)?["errorCode"] == COORDINATOR_NOT_AVAILABLE {
        ensure!(Instant::now() < until, "no coordinator of transactions");
        std::thread::sleep(Duration::from_millis(50));
    }
    player.ask_each("of a transaction", "FindCoordinator", 1..=3, |_| transaction.clone())?;
    player.ask_each(
        "of a transaction",
        "FindCoordinator",
        4..=6,
        |_| json!({ "coordinatorKeys": ["t"], "keyType": 1 }),
    )?;
    player.ask_each(
        "of an unknown type",
        "FindCoordinator",
        4..=6,
        |_| json!({ "coordinatorKeys": ["g"], "keyType": 9 }),
    )
}

/// Every partition of the coordinator's topic loads for itself: waits until each takes a commit.
fn await_coordinators(player: &mut Player<'_>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    // Groups of one letter are spread over the partitions by the hash of that letter.
    for group in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let topic = json!({ "name": "log", "partitions": [{ "partitionIndex": 0, "committedOffset": 1 }] });
        let body = json!({ "groupId": group, "topics": [topic] });
        while player.prepare("OffsetCommit", 8, &body)?["topics"][0]["partitions"][0]["errorCode"] != 0 {
            ensure!(Instant::now() < until, "the coordinator of group {group} does not load");
            std::thread::sleep(Duration::from_millis(50));
        }
        player.prepare("DeleteGroups", 2, &json!({ "groupsNames": [group] }))?;
    }
    Ok(())
}

/// An OffsetCommit of partition 0 of `log`; from v10 on topics go by id.
pub fn commit(version: i16, id: &str, group: &str, member: (&str, i32), offset: i64) -> Value {
    let partitions = json!([{ "partitionIndex": 0, "committedOffset": offset, "committedMetadata": "note" }]);
    let topic = if version >= 10 {
        json!({ "topicId": id, "partitions": partitions })
    } else {
        json!({ "name": "log", "partitions": partitions })
    };
    json!({ "groupId": group, "memberId": member.0, "generationIdOrMemberEpoch": member.1, "topics": [topic] })
}

fn fetch_offsets(version: i16, id: &str, group: &str, all: bool) -> Value {
    let topic = if version >= 10 { json!({ "topicId": id }) } else { json!({ "name": "log" }) };
    let mut topic = topic;
    topic["partitionIndexes"] = json!([0, 1]);
    let topics = if all { Value::Null } else { json!([topic]) };
    if version >= 8 {
        json!({ "groups": [{ "groupId": group, "topics": topics }] })
    } else {
        json!({ "groupId": group, "topics": topics })
    }
}

fn simple_consumer(player: &mut Player<'_>, id: &str) -> Result<()> {
    for version in 2..=10 {
        let group = format!("simple-{version}");
        player.ask("without a group", "OffsetCommit", version, &commit(version, id, &group, ("", -1), 5))?;
        let mut unknown = commit(version, UNKNOWN_ID, &group, ("", -1), 5);
        if version < 10 {
            unknown["topics"][0]["name"] = json!("gone");
        }
        player.ask("to an unknown topic", "OffsetCommit", version, &unknown)?;
        let mut large = commit(version, id, &group, ("", -1), 5);
        large["topics"][0]["partitions"][0]["committedMetadata"] = json!("m".repeat(5000));
        player.ask("with large metadata", "OffsetCommit", version, &large)?;
        let mut partition = commit(version, id, &group, ("", -1), 5);
        partition["topics"][0]["partitions"][0]["partitionIndex"] = json!(9);
        player.ask("to an unknown partition", "OffsetCommit", version, &partition)?;
        player.ask("with a generation", "OffsetCommit", version, &commit(version, id, &group, ("m", 3), 5))?;
        player.ask("of an empty group id", "OffsetCommit", version, &commit(version, id, "", ("", -1), 5))?;
        player.ask("of no topics", "OffsetCommit", version, &json!({ "groupId": group, "topics": [] }))?;
    }
    player.ask_each("what was committed", "OffsetFetch", 1..=10, |version| {
        fetch_offsets(version, id, "simple-5", false)
    })?;
    player.ask_each("all that was committed", "OffsetFetch", 2..=10, |version| {
        fetch_offsets(version, id, "simple-5", true)
    })?;
    player.ask_each("of a group that is not", "OffsetFetch", 1..=10, |version| {
        fetch_offsets(version, id, "gone", false)
    })?;
    player.ask_each("all of a group that is not", "OffsetFetch", 2..=10, |version| {
        fetch_offsets(version, id, "gone", true)
    })?;
    player.ask_each("of an empty group id", "OffsetFetch", 1..=10, |version| fetch_offsets(version, id, "", false))?;
    player.ask_each("of two groups", "OffsetFetch", 8..=10, |version| {
        let mut body = fetch_offsets(version, id, "simple-5", false);
        let other = fetch_offsets(version, id, "gone", true)["groups"][0].clone();
        body["groups"].as_array_mut().expect("an array").push(other);
        body
    })?;
    player.ask_each("stable ones only", "OffsetFetch", 7..=10, |version| {
        let mut body = fetch_offsets(version, id, "simple-5", false);
        body["requireStable"] = json!(true);
        body
    })?;
    player.ask_each("of an unknown topic", "OffsetFetch", 1..=10, |version| {
        let mut body = fetch_offsets(version, UNKNOWN_ID, "simple-5", false);
        let topic = if version >= 8 { &mut body["groups"][0]["topics"][0] } else { &mut body["topics"][0] };
        if version < 10 {
            topic["name"] = json!("gone");
        }
        body
    })
}

pub fn join(version: i16, group: &str, member: &str) -> Value {
    let mut body = json!({
        "groupId": group, "sessionTimeoutMs": 10_000, "memberId": member, "protocolType": "consumer",
        "protocols": [{ "name": "range", "metadata": bytes(SUBSCRIPTION) }]
    });
    if version >= 1 {
        body["rebalanceTimeoutMs"] = json!(20_000);
    }
    body
}

/// A whole life of a member that is alone, in one version of JoinGroup and the matching versions of the others.
fn one_member(player: &mut Player<'_>, version: i16, id: &str) -> Result<()> {
    let group = format!("alone-{version}");
    let other = version.min(5);
    let mut answer = player.ask("a new member", "JoinGroup", version, &join(version, &group, ""))?;
    if version >= 4 {
        let member = answer["memberId"].as_str().unwrap_or("").to_owned();
        answer = player.ask("with the id it was given", "JoinGroup", version, &join(version, &group, &member))?;
    }
    let member = answer["memberId"].as_str().unwrap_or("").to_owned();
    let generation = answer["generationId"].as_i64().unwrap_or(-1);
    let assignments = json!([{ "memberId": member, "assignment": bytes(ASSIGNMENT) }]);
    let heartbeat = json!({ "groupId": group, "generationId": generation, "memberId": member });
    let mut sync = sync_as(&heartbeat, other);
    sync["assignments"] = assignments;
    let old_heartbeat = json!({ "groupId": group, "generationId": 77, "memberId": member });
    player.ask("before the assignment is there", "Heartbeat", other.min(4), &heartbeat)?;
    player.ask("the leader's assignment", "SyncGroup", other, &sync)?;
    player.ask("again", "SyncGroup", other, &sync)?;
    player.ask("of a member", "Heartbeat", other.min(4), &heartbeat)?;
    player.ask("of a wrong generation", "Heartbeat", other.min(4), &old_heartbeat)?;
    let mut late = sync.clone();
    late["generationId"] = json!(77);
    player.ask("of a wrong generation", "SyncGroup", other, &late)?;
    if other >= 5 {
        for (field, value) in [("protocolName", "sticky"), ("protocolType", "connect")] {
            let mut odd = sync.clone();
            odd[field] = json!(value);
            player.ask(&format!("of another {field}"), "SyncGroup", other, &odd)?;
        }
    }
    player.ask("of a stable group", "DescribeGroups", version.min(6), &json!({ "groups": [group] }))?;
    let commit_version = (version + 2).min(10);
    let member_epoch = (member.as_str(), i32::try_from(generation)?);
    player.ask("of a member", "OffsetCommit", commit_version, &commit(commit_version, id, &group, member_epoch, 9))?;
    player.ask(
        "of a wrong generation",
        "OffsetCommit",
        commit_version,
        &commit(commit_version, id, &group, (&member, 77), 9),
    )?;
    player.ask(
        "of an unknown member",
        "OffsetCommit",
        commit_version,
        &commit(commit_version, id, &group, ("x", 1), 9),
    )?;
    player.ask("by one outside", "OffsetCommit", commit_version, &commit(commit_version, id, &group, ("", -1), 9))?;
    let offsets = json!({ "groupId": group, "topics": [{ "name": "log", "partitions": [{ "partitionIndex": 0 }] }] });
    player.ask("of a topic that a member reads", "OffsetDelete", 0, &offsets)?;
    player.ask("of a group with members", "DeleteGroups", version.min(2), &json!({ "groupsNames": [group] }))?;
    let leave = if other >= 3 {
        json!({ "groupId": group, "members": [{ "memberId": member }, { "memberId": "nobody" }] })
    } else {
        json!({ "groupId": group, "memberId": member })
    };
    player.ask("a member and a stranger", "LeaveGroup", other, &leave)?;
    player.ask("again", "LeaveGroup", other, &leave)?;
    player.ask("of one that has left", "Heartbeat", other.min(4), &heartbeat)?;
    player.ask("of an empty group", "DescribeGroups", version.min(6), &json!({ "groups": [group] }))?;
    player.ask("of an empty group", "OffsetDelete", 0, &offsets)?;
    Ok(())
}

fn static_member(player: &mut Player<'_>, id: &str) -> Result<()> {
    for version in 5..=9 {
        let group = format!("static-{version}");
        let mut body = join(version, &group, "");
        body["groupInstanceId"] = json!("one");
        let first = player.ask("a static member", "JoinGroup", version, &body)?;
        let (member, generation) = (first["memberId"].clone(), first["generationId"].clone());
        let sync = json!({
            "groupId": group, "generationId": generation, "memberId": member, "groupInstanceId": "one",
            "assignments": [{ "memberId": member, "assignment": bytes(ASSIGNMENT) }]
        });
        player.ask("of a static member", "SyncGroup", 4, &sync)?;
        let again = player.ask("a static member comes back", "JoinGroup", version, &body)?;
        player.ask("of a stable group", "DescribeGroups", 5, &json!({ "groups": [group] }))?;
        let mut fenced = join(version, &group, member.as_str().unwrap_or(""));
        fenced["groupInstanceId"] = json!("one");
        player.ask("a static member that was replaced", "JoinGroup", version, &fenced)?;
        let heartbeat = json!({
            "groupId": group, "generationId": again["generationId"], "memberId": member, "groupInstanceId": "one"
        });
        player.ask("of a static member that was replaced", "Heartbeat", 4, &heartbeat)?;
        player.ask_each("of a static member that was replaced", "SyncGroup", 3..=5, |version| {
            sync_as(&heartbeat, version)
        })?;
        let leaves = json!({ "groupId": group, "members": [{ "memberId": member, "groupInstanceId": "one" }] });
        player.ask_each("a static member that was replaced", "LeaveGroup", 3..=5, |_| leaves.clone())?;
        let generation = i32::try_from(again["generationId"].as_i64().unwrap_or(-1))?;
        player.ask_each("of a static member that was replaced", "OffsetCommit", 7..=10, |version| {
            let mut body = commit(version, id, &group, (member.as_str().unwrap_or(""), generation), 9);
            body["groupInstanceId"] = json!("one");
            body
        })?;
        let leave = json!({ "groupId": group, "members": [{ "memberId": "", "groupInstanceId": "one" }] });
        let leave_version = 3 + version % 3;
        player.ask("a static member by its instance", "LeaveGroup", leave_version, &leave)?;
        player.ask("a static member by its instance, again", "LeaveGroup", leave_version, &leave)?;
    }
    Ok(())
}

fn bad_joins(player: &mut Player<'_>) -> Result<()> {
    for version in [0, 4, 5, 9] {
        let mut cases = vec![
            ("an empty group id", join(version, "", "")),
            ("an unknown member id", join(version, "bad", "stranger")),
        ];
        let mut body = join(version, "bad", "");
        body["sessionTimeoutMs"] = json!(1);
        cases.push(("a session timeout below the limit", body.clone()));
        body["sessionTimeoutMs"] = json!(i32::MAX);
        cases.push(("a session timeout above the limit", body));
        let mut body = join(version, "bad", "");
        body["protocols"] = json!([]);
        cases.push(("no protocols", body));
        let mut body = join(version, "bad", "");
        body["protocolType"] = json!("");
        cases.push(("an empty protocol type", body));
        for (case, body) in cases {
            player.ask(case, "JoinGroup", version, &body)?;
        }
    }
    await_listed(player, "bad")
}

/// A join that is refused makes the group nevertheless, and is answered before that is committed.
fn await_listed(player: &mut Player<'_>, group: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = player.prepare("ListGroups", 0, &json!({}))?;
        let mut groups = answer["groups"].as_array().into_iter().flatten();
        if groups.any(|listed| listed["groupId"] == group) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{group} is not listed: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A SyncGroup request of whoever would send this heartbeat.
fn sync_as(heartbeat: &Value, version: i16) -> Value {
    let mut body = heartbeat.clone();
    if version >= 5 {
        body["protocolType"] = json!("consumer");
        body["protocolName"] = json!("range");
    }
    body
}

fn outsiders(player: &mut Player<'_>, id: &str) -> Result<()> {
    let nameless = json!({ "groupId": "", "generationId": 1, "memberId": "m" });
    player.ask_each("of an empty group id", "Heartbeat", 0..=4, |_| nameless.clone())?;
    player.ask_each("of an empty group id", "SyncGroup", 0..=5, |version| sync_as(&nameless, version))?;
    player.ask_each("of an empty group id", "LeaveGroup", 0..=5, |version| match version {
        0..3 => json!({ "groupId": "", "memberId": "m" }),
        _ => json!({ "groupId": "", "members": [{ "memberId": "m" }] }),
    })?;
    let topics = json!([{ "name": "log", "partitions": [{ "partitionIndex": 0 }] }]);
    player.ask("of an empty group id", "OffsetDelete", 0, &json!({ "groupId": "", "topics": topics }))?;
    player.ask_each("to positions of groups", "Produce", 3..=12, |version| {
        request(version, ("__consumer_offsets", UNKNOWN_ID), 0, -1, &in_hex(&good()))
    })?;
    let unknown = json!({ "groupId": "gone", "generationId": 1, "memberId": "m" });
    player.ask_each("of an unknown group", "Heartbeat", 0..=4, |_| unknown.clone())?;
    player.ask_each("of an unknown group", "SyncGroup", 0..=5, |version| sync_as(&unknown, version))?;
    player.ask_each("of an unknown group", "LeaveGroup", 0..=2, |_| json!({ "groupId": "gone", "memberId": "m" }))?;
    player.ask_each(
        "of an unknown group",
        "LeaveGroup",
        3..=5,
        |_| json!({ "groupId": "gone", "members": [{ "memberId": "m" }] }),
    )?;
    player.ask_each("of a member of an unknown group", "OffsetCommit", 2..=10, |version| {
        commit(version, id, "gone", ("m", 1), 3)
    })?;
    let offsets = json!({ "groupId": "gone", "topics": [{ "name": "log", "partitions": [{ "partitionIndex": 0 }] }] });
    player.ask("of an unknown group", "OffsetDelete", 0, &offsets)?;
    Ok(())
}

fn describe_and_list(player: &mut Player<'_>) -> Result<()> {
    player.ask_each("of an unknown group", "DescribeGroups", 0..=6, |_| json!({ "groups": ["gone"] }))?;
    player.ask_each("of an empty group id", "DescribeGroups", 0..=6, |_| json!({ "groups": [""] }))?;
    player.ask_each(
        "with authorised operations",
        "DescribeGroups",
        3..=6,
        |_| json!({ "groups": ["simple-5"], "includeAuthorizedOperations": true }),
    )?;
    player.ask_each("all", "ListGroups", 0..=5, |_| json!({}))?;
    player.ask_each("empty ones", "ListGroups", 4..=5, |_| json!({ "statesFilter": ["Empty"] }))?;
    player.ask_each(
        "states in small letters",
        "ListGroups",
        4..=5,
        |_| json!({ "statesFilter": ["empty", "stable"] }),
    )?;
    player.ask_each("of an unknown state", "ListGroups", 4..=5, |_| json!({ "statesFilter": ["Sleeping"] }))?;
    player.ask("of the classic type", "ListGroups", 5, &json!({ "typesFilter": ["classic"] }))?;
    player.ask("of the consumer type", "ListGroups", 5, &json!({ "typesFilter": ["consumer"] }))?;
    player.ask("of an unknown type", "ListGroups", 5, &json!({ "typesFilter": ["odd"] }))?;
    Ok(())
}

fn delete(player: &mut Player<'_>) -> Result<()> {
    for version in 0..=2 {
        let groups = json!({ "groupsNames": [format!("simple-{}", version + 5), "gone", ""] });
        player.ask("one that is, one that is not, one without a name", "DeleteGroups", version, &groups)?;
        player.ask("again", "DeleteGroups", version, &groups)?;
        let one = json!({ "groupsNames": [format!("simple-{}", version + 8)] });
        player.ask("one that is", "DeleteGroups", version, &one)?;
    }
    Ok(())
}
