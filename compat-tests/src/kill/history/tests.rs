//! A good history has no anomaly; each way to break it is found, and nothing else with it.

use super::Anomaly::*;
use super::Fact::*;
use super::*;

fn batch(producer: u32, first: u64, count: u32) -> Batch {
    Batch { producer, partition: 0, first, count }
}

/// Facts one after the other: each is complete before the next begins.
fn in_turn(facts: Vec<Fact>) -> Vec<Observation> {
    let stamped = facts.into_iter().zip((0..).step_by(2));
    stamped.map(|(fact, stamp)| Observation { invoked: stamp, completed: stamp + 1, fact }).collect()
}

/// Two producers on partition 0; the batch of producer 1 was never acknowledged, which is no fault.
fn good() -> (Vec<Fact>, Vec<(i64, Batch)>) {
    let facts = vec![
        Acknowledged { batch: batch(0, 0, 3), base_offset: 0 },
        HighWatermark { partition: 0, offset: 3 },
        Read { batch: batch(0, 0, 3), base_offset: 0 },
        CommitSent { group: 9, partition: 0, offset: 2 },
        Committed { group: 9, partition: 0, offset: 2 },
        OffsetFetched { group: 9, partition: 0, offset: 2 },
        Acknowledged { batch: batch(0, 3, 1), base_offset: 5 },
        Acknowledged { batch: batch(0, 3, 1), base_offset: 5 },
        HighWatermark { partition: 0, offset: 6 },
    ];
    (facts, vec![(0, batch(0, 0, 3)), (3, batch(1, 0, 2)), (5, batch(0, 3, 1))])
}

fn found(facts: Vec<Fact>, log: Vec<(i64, Batch)>) -> Vec<Anomaly> {
    let sent = BTreeMap::from([((0, 0), 4), ((1, 0), 2)]);
    check(&History { observations: in_turn(facts), sent, log: BTreeMap::from([(0, log)]) })
}

#[test]
fn a_good_history_has_no_anomaly() {
    let (facts, log) = good();
    assert_eq!(found(facts, log), vec![]);
}

#[test]
fn an_acknowledged_record_that_is_gone_is_lost() {
    let (facts, mut log) = good();
    log.pop();
    assert_eq!(found(facts, log), vec![Lost { partition: 0, value: (0, 3), offset: 5 }]);
}

#[test]
fn a_record_that_was_read_and_is_gone_is_lost() {
    let (mut facts, mut log) = good();
    facts.retain(|fact| !matches!(fact, Acknowledged { base_offset: 5, .. }));
    facts.insert(0, Read { batch: batch(0, 3, 1), base_offset: 5 });
    facts.truncate(1);
    log.pop();
    assert_eq!(found(facts, log), vec![Lost { partition: 0, value: (0, 3), offset: 5 }]);
}

#[test]
fn a_retry_that_was_stored_again_is_twice() {
    let (facts, mut log) = good();
    log.push((6, batch(0, 3, 1)));
    assert_eq!(found(facts, log), vec![Twice { partition: 0, value: (0, 3), offsets: [5, 6] }]);
}

#[test]
fn another_record_at_an_acknowledged_offset_is_an_offset_reused() {
    let (mut facts, log) = good();
    facts.push(Read { batch: batch(1, 0, 1), base_offset: 5 });
    let reused = OffsetReused { partition: 0, offset: 5, values: [(0, 3), (1, 0)] };
    let moved = Moved { partition: 0, value: (1, 0), seen: 5, stored: 3 };
    assert_eq!(found(facts, log), vec![reused, moved]);
}

#[test]
fn a_duplicate_answered_with_another_offset_has_moved() {
    let (mut facts, log) = good();
    facts.push(Acknowledged { batch: batch(0, 3, 1), base_offset: 8 });
    assert_eq!(found(facts, log), vec![Moved { partition: 0, value: (0, 3), seen: 8, stored: 5 }]);
}

#[test]
fn a_batch_before_its_forerunner_is_disordered() {
    let log = vec![(0, batch(0, 3, 1)), (1, batch(0, 0, 3))];
    let disordered = Disordered { partition: 0, earlier: (0, 3), later: (0, 0) };
    assert_eq!(found(vec![], log), vec![disordered]);
}

#[test]
fn a_record_behind_the_last_sent_was_never_sent() {
    let (facts, mut log) = good();
    log.push((6, batch(0, 4, 1)));
    assert_eq!(found(facts, log), vec![NeverSent { partition: 0, value: (0, 4), offset: 6 }]);
}

#[test]
fn offsets_that_nobody_has_are_a_hole() {
    let log = vec![(0, batch(0, 0, 3)), (4, batch(1, 0, 2))];
    assert_eq!(found(vec![], log), vec![Hole { partition: 0, expected: 3, found: 4 }]);
}

#[test]
fn a_high_watermark_under_an_acknowledged_record_went_back() {
    let (mut facts, log) = good();
    facts.push(HighWatermark { partition: 0, offset: 5 });
    assert_eq!(found(facts, log), vec![HighWatermarkWentBack { partition: 0, seen: 6, then: 5 }]);
}

#[test]
fn a_high_watermark_asked_for_before_the_acknowledgement_may_be_lower() {
    let (facts, log) = good();
    let mut observations = in_turn(facts);
    let fact = HighWatermark { partition: 0, offset: 0 };
    observations.push(Observation { invoked: 0, completed: 1_000, fact });
    let sent = BTreeMap::from([((0, 0), 4), ((1, 0), 2)]);
    assert_eq!(check(&History { observations, sent, log: BTreeMap::from([(0, log)]) }), vec![]);
}

#[test]
fn a_committed_offset_under_the_last_went_back() {
    let (mut facts, log) = good();
    facts.push(OffsetFetched { group: 9, partition: 0, offset: -1 });
    assert_eq!(found(facts, log), vec![CommitWentBack { group: 9, partition: 0, seen: 2, then: -1 }]);
}

#[test]
fn a_commit_that_was_fetched_once_may_not_vanish_though_never_acknowledged() {
    let sent = CommitSent { group: 1, partition: 0, offset: 5 };
    let fetched = |offset| OffsetFetched { group: 1, partition: 0, offset };
    let anomalies = found(vec![sent, fetched(5), fetched(-1)], good().1);
    assert_eq!(anomalies, vec![CommitWentBack { group: 1, partition: 0, seen: 5, then: -1 }]);
}

#[test]
fn an_unanswered_commit_may_have_been_carried_out_or_not() {
    let sent = CommitSent { group: 1, partition: 0, offset: 5 };
    for offset in [-1, 5] {
        let fetched = OffsetFetched { group: 1, partition: 0, offset };
        assert_eq!(found(vec![sent.clone(), fetched], good().1), vec![]);
    }
}

#[test]
fn a_committed_offset_that_nobody_sent_is_found() {
    let (mut facts, log) = good();
    facts.push(OffsetFetched { group: 9, partition: 0, offset: 3 });
    assert_eq!(found(facts, log), vec![NeverCommitted { group: 9, partition: 0, offset: 3 }]);
}

#[test]
fn an_error_for_a_correct_producer_is_refused() {
    let (mut facts, log) = good();
    facts.push(Fact::Refused { batch: batch(0, 3, 1), error: 45 });
    assert_eq!(found(facts, log), vec![Anomaly::Refused { batch: batch(0, 3, 1), error: 45 }]);
}
