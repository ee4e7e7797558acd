//! Settings of replication act at once: how many must be in sync, and what moving replicas may use.

use super::live::{set_of_all_brokers, set_of_topic};
use super::replication::{Trio, state};
use crate::model::{ErrorCode, Offset};
use crate::partition::RequiredAcks;

const TOPIC: &str = "t";

#[test]
fn what_a_producer_must_be_promised_is_asked_of_the_newest_settings() {
    let trio = Trio::start(&[]).create();
    // Of three replicas two are in sync; nobody fetches, since the others do not know who leads.
    trio.elect(&[1], state(1, 1, &[1, 2]));
    let node = &trio.nodes[0];
    let refusal = || trio.try_append(1, "a", RequiredAcks::All).err();
    assert_eq!(refusal(), None);
    set_of_all_brokers(node, "min.insync.replicas", "3");
    assert_eq!(refusal(), Some(ErrorCode::NotEnoughReplicas));
    // A topic's own goes first, whatever all brokers have.
    set_of_topic(node, TOPIC, "min.insync.replicas", "2");
    assert_eq!(refusal(), None);
    set_of_topic(node, TOPIC, "min.insync.replicas", "3");
    set_of_all_brokers(node, "min.insync.replicas", "1");
    assert_eq!(refusal(), Some(ErrorCode::NotEnoughReplicas));
    trio.append(1, "with acks=1", RequiredAcks::Leader);
}

#[test]
fn a_smaller_minimum_commits_what_is_there_at_once() {
    let trio = Trio::start(&[("min.insync.replicas", "2")]).create();
    trio.elect(&[1], state(1, 1, &[1]));
    let node = &trio.nodes[0];
    trio.append(1, "promised to nobody", RequiredAcks::Leader);
    assert_eq!(trio.replica(1).published().high_watermark, Offset(0));
    // The one in sync is enough now: what it has is committed without anything more to come.
    set_of_topic(node, TOPIC, "min.insync.replicas", "1");
    trio.eventually(1, "it is committed", |trio| trio.replica(1).published().high_watermark == Offset(1));
    let required = trio.append(1, "b", RequiredAcks::All);
    assert_eq!(trio.acknowledged(1, required), Ok(()));
}

/// A replica that is not in sync is held back by a rate of one byte a second, until that is lifted. `throttled` names where.
fn held_back_until_lifted(throttled: usize, replicas: &'static str, rate: &'static str) {
    // Each answer to a follower holds one batch.
    let one_batch = [("replica.fetch.max.bytes", "1"), ("replica.fetch.response.max.bytes", "1")];
    let mut trio = Trio::start(&one_batch).create();
    let node = &trio.nodes[throttled - 1];
    set_of_topic(node, TOPIC, replicas, "*");
    set_of_all_brokers(node, rate, "1");
    trio.elect(&[1], state(1, 1, &[1]));
    for value in ["a", "b", "c"] {
        trio.append(1, value, RequiredAcks::Leader);
    }
    // A follower that has all that is committed would be in sync, and held back by nothing.
    trio.eventually(1, "they are committed", |trio| trio.replica(1).published().high_watermark == Offset(3));
    trio.elect(&[3], state(1, 1, &[1]));
    // What has been saved up lets one batch through. A topic that is not throttled goes on beside it.
    trio.eventually(3, "the first batch comes", |trio| !trio.stored(3).is_empty());
    let held = trio.topic();
    trio.create_another("u", 8, state(1, 1, &[1]));
    for value in ["d", "e", "f"] {
        trio.append(1, value, RequiredAcks::Leader);
    }
    trio.eventually(3, "the other topic comes", |trio| trio.stored(3) == ["d@1", "e@1", "f@1"]);
    trio.turn_to(held);
    assert_eq!(trio.stored(3), ["a@1"]);
    assert_eq!([1, 3].map(|node| trio.replica(node).follower_lag()), [0, 2]);
    set_of_all_brokers(&trio.nodes[throttled - 1], rate, "1000000");
    trio.eventually(3, "the rest comes", |trio| trio.stored(3) == ["a@1", "b@1", "c@1"]);
    assert_eq!(trio.replica(3).follower_lag(), 0);
}

#[test]
fn a_throttle_of_followers_acts_and_is_lifted_at_once() {
    held_back_until_lifted(3, "follower.replication.throttled.replicas", "follower.replication.throttled.rate");
}

#[test]
fn a_throttle_of_leaders_acts_and_is_lifted_at_once() {
    held_back_until_lifted(1, "leader.replication.throttled.replicas", "leader.replication.throttled.rate");
}
