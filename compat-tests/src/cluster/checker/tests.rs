//! A good history has no anomaly; each way to break it is found, and nothing else with it.

use std::time::Duration;

use super::Anomaly::*;
use super::*;
use crate::cluster::history::NO_GROUP;

const LIMITS: Limits = Limits { alone: Duration::from_secs(5), groups: Duration::from_secs(17) };

fn batch(producer: u32, first: u64, count: u32) -> Batch {
    Batch { producer, partition: 0, first, count }
}

fn sent(batch: Batch, manner: Manner, outcome: Outcome) -> Fact {
    Fact::Sent { batch, manner, outcome }
}

fn ok(batch: Batch, base_offset: i64) -> Fact {
    sent(batch, Manner::Idempotent, Outcome::Acknowledged { base_offset })
}

fn poll(position: i64, batches: Vec<(i64, Batch)>, high_watermark: i64) -> Poll {
    Poll {
        group: 1,
        member: 1,
        assignment: 1,
        partition: 0,
        leader_epoch: 5,
        position,
        batches,
        log_start_offset: 0,
        last_stable_offset: high_watermark,
        high_watermark,
    }
}

fn end(leader_epoch: i32, offset: i64) -> Fact {
    Fact::End { partition: 0, leader_epoch, offset }
}

fn id(number: u32) -> String {
    format!("id-{number}")
}

/// Facts one after the other: each is complete before the next begins.
fn found(facts: Vec<Fact>) -> Vec<Anomaly> {
    let stamped = facts.into_iter().zip((0..).step_by(2));
    let observation = |(fact, stamp)| Observation { invoked: stamp, completed: stamp + 1, fact };
    check(&History { observations: stamped.map(observation).collect() }, &LIMITS)
}

/// Producer 0 on partition 0, one group of one member, a producer without retries, a topic made and deleted.
fn good() -> Vec<Fact> {
    let (first, second, once, zombie) = (batch(0, 0, 3), batch(0, 3, 2), batch(100, 0, 1), batch(7, 0, 1));
    vec![
        Fact::Leader { partition: 0, leader: 1, leader_epoch: 5 },
        Fact::Leader { partition: 0, leader: 1, leader_epoch: 5 },
        Fact::Leader { partition: 0, leader: -1, leader_epoch: 6 },
        Fact::Leader { partition: 0, leader: 2, leader_epoch: 6 },
        Fact::Controller { leader: 3, epoch: 9 },
        Fact::Controller { leader: -1, epoch: 10 },
        Fact::Controller { leader: 2, epoch: 10 },
        Fact::Assigned { group: 1, member: 1, generation: 4, partitions: vec![0] },
        ok(first, 0),
        sent(once, Manner::Once, Outcome::Refused { error: 19 }),
        sent(batch(100, 1, 1), Manner::Once, Outcome::Unknown),
        end(5, 3),
        Fact::Polled(poll(0, vec![(0, first)], 3)),
        Fact::Polled(poll(3, vec![], 3)),
        ok(second, 3),
        Fact::Polled(Poll { leader_epoch: 6, ..poll(3, vec![(3, second)], 5) }),
        Fact::Polled(Poll { leader_epoch: 7, ..poll(5, vec![], 3) }),
        Fact::Polled(Poll { assignment: 2, ..poll(4, vec![(3, second)], 5) }),
        sent(zombie, Manner::Fenced, Outcome::Refused { error: 47 }),
        end(6, 5),
        Fact::CommitSent { group: 1, partition: 0, offset: 5 },
        Fact::Committed { group: 1, partition: 0, offset: 5 },
        Fact::OffsetFetched { group: 1, partition: 0, offset: 5 },
        Fact::Created { name: "a".into(), id: id(1) },
        Fact::Deleted { name: "a".into(), id: id(1) },
        Fact::Created { name: "a".into(), id: id(2) },
        Fact::Fault { name: "Roll [0]".into() },
        Fact::Exists { node: 0, name: "a".into(), id: id(2) },
        Fact::Stored { batch: first, base_offset: 0 },
        Fact::Stored { batch: second, base_offset: 3 },
        Fact::Stored { batch: batch(100, 1, 1), base_offset: 5 },
    ]
}

/// The good history with one thing more at its end.
fn with(fact: Fact) -> Vec<Anomaly> {
    found([good(), vec![fact]].concat())
}

/// The good history without what matches.
fn without(unwanted: impl Fn(&Fact) -> bool) -> Vec<Anomaly> {
    found(good().into_iter().filter(|fact| !unwanted(fact)).collect())
}

#[test]
fn a_good_history_has_no_anomaly_and_survives_its_file() {
    assert_eq!(found(good()), vec![]);
    let observation = |fact| Observation { invoked: 1, completed: 2, fact };
    let history = History { observations: good().into_iter().map(observation).collect() };
    let mut file = Vec::new();
    history.write(&mut file).unwrap();
    assert_eq!(History::read(file.as_slice()).unwrap().observations, history.observations);
}

#[test]
fn an_acknowledged_batch_that_is_not_stored_is_lost() {
    let lost = without(|fact| matches!(fact, Fact::Stored { base_offset: 3.., .. }));
    let values = [3, 4].map(|number| (0, number));
    let lost_at = |(value, offset)| Single(single::Anomaly::Lost { partition: 0, value, offset });
    assert_eq!(lost, values.into_iter().zip(3..).map(lost_at).collect::<Vec<_>>());
}

#[test]
fn a_batch_stored_twice_and_a_commit_gone_back_are_found_too() {
    let twice = with(Fact::Stored { batch: batch(100, 1, 1), base_offset: 6 });
    assert_eq!(twice, vec![Single(single::Anomaly::Twice { partition: 0, value: (100, 1), offsets: [5, 6] })]);
    let back = with(Fact::OffsetFetched { group: 1, partition: 0, offset: 3 });
    assert_eq!(back, vec![Single(single::Anomaly::CommitWentBack { group: 1, partition: 0, seen: 5, then: 3 })]);
}

#[test]
fn an_idempotent_producer_may_not_be_refused() {
    let refused = with(sent(batch(0, 5, 1), Manner::Idempotent, Outcome::Refused { error: 45 }));
    assert_eq!(refused, vec![Single(single::Anomaly::Refused { batch: batch(0, 5, 1), error: 45 })]);
}

#[test]
fn a_poll_that_skips_is_found_within_an_answer_and_between_answers() {
    let gap = |expected, found| PollGap { member: 1, partition: 0, expected, found };
    assert_eq!(with(Fact::Polled(poll(6, vec![], 5))), vec![gap(5, 6)]);
    assert_eq!(with(Fact::Polled(poll(3, vec![], 5))), vec![gap(5, 3)]);
    let torn = Poll { assignment: 3, ..poll(0, vec![(0, batch(0, 0, 3)), (5, batch(100, 1, 1))], 5) };
    assert_eq!(with(Fact::Polled(torn)), vec![gap(3, 5)]);
    let again = Poll { assignment: 3, ..poll(0, vec![(0, batch(0, 0, 3)), (2, batch(0, 2, 2))], 5) };
    assert_eq!(with(Fact::Polled(again)), vec![gap(3, 2)]);
    let late = Poll { assignment: 3, ..poll(1, vec![(3, batch(0, 3, 2))], 5) };
    assert_eq!(with(Fact::Polled(late)), vec![gap(1, 3)]);
    let early = Poll { assignment: 3, ..poll(3, vec![(0, batch(0, 0, 3))], 5) };
    assert_eq!(with(Fact::Polled(early)), vec![gap(3, 0)]);
    let outside = Fact::OutOfRange { member: 1, partition: 0, position: 5 };
    assert_eq!(with(outside), vec![OutOfRange { member: 1, partition: 0, position: 5 }]);
}

#[test]
fn polls_are_judged_in_the_order_of_their_times() {
    let stamped = good().into_iter().zip((0..).step_by(2));
    let observation = |(fact, stamp)| Observation { invoked: stamp, completed: stamp + 1, fact };
    let is_stored = |observation: &Observation| matches!(observation.fact, Fact::Stored { .. });
    let (stored, mut others): (Vec<_>, Vec<_>) = stamped.map(observation).partition(is_stored);
    others.reverse();
    assert_eq!(check(&History { observations: [others, stored].concat() }, &LIMITS), vec![]);
}

#[test]
fn a_record_of_another_partition_does_not_stand_for_one_that_was_not_seen() {
    let once = Batch { partition: 1, ..batch(0, 0, 3) };
    let unseen = with(ok(once, 0)).into_iter().filter(|anomaly| matches!(anomaly, Unseen { .. }));
    let one = |(number, offset)| Unseen { group: 1, partition: 1, value: (0, number), offset };
    assert_eq!(unseen.collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 2)].map(one));
}

#[test]
fn a_record_that_a_group_never_saw_is_unseen() {
    let unseen = without(|fact| matches!(fact, Fact::Polled(poll) if poll.leader_epoch > 5 || poll.assignment > 1));
    let one = |(number, offset)| Unseen { group: 1, partition: 0, value: (0, number), offset };
    assert_eq!(unseen, vec![one((3, 3)), one((4, 4))]);
}

#[test]
fn a_group_that_saw_nothing_at_all_is_not_overlooked() {
    let assigned = Fact::Assigned { group: 2, member: 5, generation: 1, partitions: vec![0] };
    let unseen = |(number, offset)| Unseen { group: 2, partition: 0, value: (0, number), offset };
    assert_eq!(with(assigned), (0..5).zip(0..).map(unseen).collect::<Vec<_>>());
}

#[test]
fn acknowledged_offsets_that_fall_are_found() {
    let mut facts = good();
    facts.retain(|fact| !matches!(fact, Fact::Stored { .. } | Fact::Polled(_) | Fact::Assigned { .. }));
    let early = ok(batch(0, 5, 1), 2);
    facts.retain(|fact| *fact != ok(batch(0, 0, 3), 0));
    facts.push(early);
    let backwards = SentBackwards { partition: 0, producer: 0, earlier: 3, later: 2 };
    assert_eq!(found(facts), vec![backwards]);
    let mut anomalies = Vec::new();
    let acknowledged = [ok(batch(0, 0, 1), 3), ok(batch(0, 1, 1), 3)];
    let observation = |fact| Observation { invoked: 0, completed: 1, fact };
    check_sends(&History { observations: acknowledged.map(observation).into() }, &mut anomalies);
    assert_eq!(anomalies, vec![SentBackwards { partition: 0, producer: 0, earlier: 3, later: 3 }]);
}

#[test]
fn high_watermark_and_log_start_only_grow_within_an_epoch() {
    let back = |what, seen, then| EndWentBack { partition: 0, what, seen, then };
    let lower = Poll { leader_epoch: 6, assignment: 3, ..poll(0, vec![], 4) };
    assert_eq!(with(Fact::Polled(lower)), vec![back("high watermark", 5, 4), back("last stable offset", 5, 4)]);
    assert_eq!(with(end(7, 4)), vec![back("end of ListOffsets", 5, 4)]);
    // An old leader that is cut off knows no better.
    assert_eq!(with(end(5, 3)), vec![]);
    assert_eq!(with(end(5, 2)), vec![back("end of ListOffsets", 3, 2)]);
    let mut facts = good();
    facts.insert(0, Fact::Polled(Poll { assignment: 9, log_start_offset: 1, ..poll(1, vec![], 1) }));
    assert_eq!(found(facts), vec![back("log start offset", 1, 0)]);
    let log_start = |leader_epoch, log_start_offset| {
        Fact::Polled(Poll { leader_epoch, assignment: 9, log_start_offset, ..poll(2, vec![], 5) })
    };
    assert_eq!(found(vec![log_start(5, 2), log_start(6, 1)]), vec![back("log start offset", 2, 1)]);
    let behind = Poll { leader_epoch: 8, assignment: 3, log_start_offset: 6, ..poll(5, vec![], 5) };
    let ends = EndsCrossed { partition: 0, log_start_offset: 6, last_stable_offset: 5, high_watermark: 5 };
    assert_eq!(with(Fact::Polled(behind)), vec![ends]);
    let crossed = Poll { leader_epoch: 8, assignment: 3, last_stable_offset: 7, ..poll(5, vec![], 6) };
    let crossed = with(Fact::Polled(crossed));
    assert_eq!(
        crossed,
        vec![EndsCrossed { partition: 0, log_start_offset: 0, last_stable_offset: 7, high_watermark: 6 }]
    );
}

#[test]
fn an_end_asked_for_before_the_higher_one_was_known_may_be_lower() {
    let observation = |invoked, completed, offset| Observation { invoked, completed, fact: end(0, offset) };
    let history = History { observations: vec![observation(0, 10, 1), observation(1, 2, 5)] };
    assert_eq!(check(&history, &LIMITS), vec![]);
}

#[test]
fn owners_and_zombies_of_a_group_are_found() {
    let second = Fact::Assigned { group: 1, member: 2, generation: 4, partitions: vec![0] };
    assert_eq!(with(second), vec![TwoOwners { group: 1, generation: 4, partition: 0 }]);
    let next = Fact::Assigned { group: 1, member: 2, generation: 5, partitions: vec![0] };
    assert_eq!(with(next), vec![]);
    let zombie = Fact::ZombieCommitted { group: 1, generation: 3 };
    assert_eq!(with(zombie), vec![ZombieCommit { group: 1, generation: 3 }]);
}

#[test]
fn a_fenced_producer_must_not_be_acknowledged() {
    let zombie = sent(batch(100, 1, 1), Manner::Fenced, Outcome::Acknowledged { base_offset: 5 });
    let mut facts = good();
    facts.push(zombie);
    facts.push(Fact::Polled(poll(5, vec![(5, batch(100, 1, 1))], 6)));
    assert_eq!(found(facts), vec![ZombieWrite { batch: batch(100, 1, 1) }]);
}

#[test]
fn a_refused_batch_that_is_stored_is_found() {
    let stored = with(Fact::Stored { batch: batch(100, 0, 1), base_offset: 6 });
    let disordered = single::Anomaly::Disordered { partition: 0, earlier: (100, 1), later: (100, 0) };
    let refused = RefusedAndStored { partition: 0, value: (100, 0), error: 19, offset: 6 };
    assert_eq!(stored, vec![Single(disordered), refused]);
}

#[test]
fn two_leaders_in_one_epoch_are_found() {
    let second = with(Fact::Leader { partition: 0, leader: 3, leader_epoch: 6 });
    assert_eq!(second, vec![TwoLeaders { partition: 0, leader_epoch: 6, leaders: [2, 3] }]);
    let second = with(Fact::Controller { leader: 1, epoch: 9 });
    assert_eq!(second, vec![TwoControllers { epoch: 9, leaders: [1, 3] }]);
}

#[test]
fn topic_ids_come_once_and_deleted_topics_stay_away() {
    let reused = with(Fact::Created { name: "b".into(), id: id(2) });
    assert_eq!(reused, vec![TopicIdReused { id: id(2) }]);
    let back = with(Fact::Exists { node: 2, name: "a".into(), id: id(1) });
    assert_eq!(back, vec![TopicResurrected { node: 2, name: "a".into(), id: id(1) }]);
}

/// What happened from one second to another.
fn at(from_s: u64, to_s: u64, fact: Fact) -> Observation {
    Observation { invoked: from_s * 1_000_000_000, completed: to_s * 1_000_000_000, fact }
}

fn fault(from_s: u64, to_s: u64) -> Observation {
    at(from_s, to_s, Fact::Fault { name: "KillLeader [1]".into() })
}

/// A batch of one record, acknowledged at this time.
fn acknowledged_at_s(second: u64) -> Observation {
    at(0, second, ok(batch(0, 0, 1), 0))
}

/// What is wrong when a reader of this group gets the batch at this time; whatever else is not asked for.
fn stale(group: u32, seen_s: u64, others: Vec<Observation>) -> Vec<Anomaly> {
    let poll = Poll { group, ..poll(0, vec![(0, batch(0, 0, 1))], 1) };
    let stored = at(99, 99, Fact::Stored { batch: batch(0, 0, 1), base_offset: 0 });
    let own = [at(0, seen_s, Fact::Polled(poll)), stored];
    check(&History { observations: own.into_iter().chain(others).collect() }, &LIMITS)
}

fn waited(group: u32, seconds: u64) -> Vec<Anomaly> {
    vec![Stale { group, partition: 0, value: (0, 0), offset: 0, waited_ms: seconds * 1_000 }]
}

#[test]
fn an_acknowledged_record_is_seen_soon_when_no_fault_is_on() {
    assert_eq!(stale(NO_GROUP, 7, vec![acknowledged_at_s(2)]), vec![]);
    assert_eq!(stale(NO_GROUP, 8, vec![acknowledged_at_s(2)]), waited(NO_GROUP, 6));
    assert_eq!(stale(1, 19, vec![acknowledged_at_s(2)]), vec![]);
    assert_eq!(stale(1, 20, vec![acknowledged_at_s(2)]), waited(1, 18));
    // A read may be complete before the acknowledgement is.
    assert_eq!(stale(NO_GROUP, 1, vec![acknowledged_at_s(2)]), vec![]);
}

#[test]
fn time_counts_from_the_healing_to_the_next_fault() {
    let between = |faults: &[(u64, u64)]| {
        let faults = faults.iter().map(|(from, to)| fault(*from, *to));
        faults.chain([acknowledged_at_s(10)]).collect::<Vec<_>>()
    };
    assert_eq!(stale(NO_GROUP, 45, between(&[(11, 40)])), vec![]);
    assert_eq!(stale(NO_GROUP, 46, between(&[(11, 40)])), waited(NO_GROUP, 6));
    assert_eq!(stale(NO_GROUP, 16, between(&[(5, 8)])), waited(NO_GROUP, 6));
    // The longest calm counts, not the sum, and not what was before the acknowledgement or after the poll.
    assert_eq!(stale(NO_GROUP, 29, between(&[(2, 3), (14, 20), (24, 25), (28, 40)])), vec![]);
    assert_eq!(stale(NO_GROUP, 30, between(&[(11, 20), (27, 40)])), waited(NO_GROUP, 7));
    // Whoever polls first has seen it, and the order in which all this was written down does not count.
    let mut polled_before = between(&[(20, 22), (11, 13)]);
    polled_before.push(at(
        0,
        14,
        Fact::Polled(Poll { group: NO_GROUP, assignment: 2, ..poll(0, vec![(0, batch(0, 0, 1))], 1) }),
    ));
    assert_eq!(stale(NO_GROUP, 30, polled_before), vec![]);
    assert_eq!(stale(NO_GROUP, 19, between(&[(20, 22), (11, 13)])), waited(NO_GROUP, 6));
    // A fault within another's time changes nothing.
    assert_eq!(stale(NO_GROUP, 45, between(&[(11, 40), (12, 13)])), vec![]);
}

#[test]
fn a_record_that_is_never_seen_was_unseen_to_the_end() {
    let mut observations = vec![at(0, 1, Fact::Polled(Poll { group: NO_GROUP, ..poll(0, vec![], 0) }))];
    observations.extend([acknowledged_at_s(2), at(9, 9, Fact::Stored { batch: batch(0, 0, 1), base_offset: 0 })]);
    let unseen = Unseen { group: NO_GROUP, partition: 0, value: (0, 0), offset: 0 };
    assert_eq!(check(&History { observations }, &LIMITS), [vec![unseen], waited(NO_GROUP, 7)].concat());
}

#[test]
fn the_worst_is_told_of_every_group_with_faults_and_without() {
    let poll = |group, seen_s| at(0, seen_s, Fact::Polled(Poll { group, ..poll(0, vec![(0, batch(0, 0, 1))], 1) }));
    let observations = vec![acknowledged_at_s(2), fault(3, 12), poll(1, 4), poll(NO_GROUP, 13)];
    let worst_of = |ever, calm| lag::Worst { ever: Duration::from_secs(ever), calm: Duration::from_secs(calm) };
    let expected = BTreeMap::from([(1, worst_of(2, 1)), (NO_GROUP, worst_of(11, 1))]);
    assert_eq!(worst(&History { observations }), expected);
}
