//! A good history has no anomaly; each way to break it is found, and nothing else with it.

use super::Anomaly::*;
use super::*;

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
    check(&History { observations: stamped.map(observation).collect() })
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
    let late = Poll { assignment: 3, ..poll(1, vec![(3, batch(0, 3, 2))], 5) };
    assert_eq!(with(Fact::Polled(late)), vec![gap(1, 3)]);
    let early = Poll { assignment: 3, ..poll(3, vec![(0, batch(0, 0, 3))], 5) };
    assert_eq!(with(Fact::Polled(early)), vec![gap(3, 0)]);
    let outside = Fact::OutOfRange { member: 1, partition: 0, position: 5 };
    assert_eq!(with(outside), vec![OutOfRange { member: 1, partition: 0, position: 5 }]);
}

#[test]
fn a_record_that_a_group_never_saw_is_unseen() {
    let unseen = without(|fact| matches!(fact, Fact::Polled(poll) if poll.leader_epoch > 5 || poll.assignment > 1));
    let one = |(number, offset)| Unseen { group: 1, partition: 0, value: (0, number), offset };
    assert_eq!(unseen, vec![one((3, 3)), one((4, 4))]);
}

#[test]
fn acknowledged_offsets_that_fall_are_found() {
    let mut facts = good();
    facts.retain(|fact| !matches!(fact, Fact::Stored { .. } | Fact::Polled(_)));
    let early = ok(batch(0, 5, 1), 2);
    facts.retain(|fact| *fact != ok(batch(0, 0, 3), 0));
    facts.push(early);
    let backwards = SentBackwards { partition: 0, producer: 0, earlier: 3, later: 2 };
    assert_eq!(found(facts), vec![backwards]);
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
    assert_eq!(check(&history), vec![]);
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
