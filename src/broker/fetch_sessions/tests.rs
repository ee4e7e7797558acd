//! Sessions against what a client without one would be told.

use super::*;

fn at(monotonic_ms: u64) -> Now {
    Now { wall_ms: 0, monotonic_ms }
}

fn ask(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        topic: FetchTopic::Name("t".into()),
        partition,
        current_leader_epoch: LeaderEpoch(-1),
        fetch_offset: Offset(offset),
        log_start: Offset::NONE,
        last_fetched_epoch: LeaderEpoch(-1),
        max_bytes: 100,
    }
}

fn outcome(high_watermark: i64, has_records: bool) -> FetchOutcome {
    FetchOutcome {
        error: ErrorCode::None,
        high_watermark: Offset(high_watermark),
        log_start: Offset(0),
        has_records,
        diverges: false,
    }
}

fn by_name(id: i32, epoch: i32) -> SessionRequest {
    SessionRequest { id, epoch, uses_topic_ids: false }
}

/// A session over partitions 0 to `count`, each with high watermark 5.
fn open(sessions: &FetchSessions, now: Now, count: i32, id: i32) -> i32 {
    let asked = (0..count).map(|partition| ask(partition, 0)).collect();
    let context = sessions.begin(now, by_name(0, 0), asked, &[]).expect("a full fetch");
    let outcomes = vec![outcome(5, false); usize::try_from(count).expect("small")];
    sessions.finish(now, context, &outcomes, || id).expect("a full fetch").0
}

#[test]
fn only_what_changed_is_answered() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, at(0), 3, 77);
    assert_eq!(id, 77);
    let context = sessions.begin(at(1), by_name(id, 1), vec![], &[]).expect("the session");
    assert_eq!(context.partitions, [ask(0, 0), ask(1, 0), ask(2, 0)]);
    let outcomes = [outcome(5, false), outcome(6, true), outcome(5, false)];
    let answer = sessions.finish(at(1), context, &outcomes, || 1).expect("the session");
    assert_eq!(answer, (77, vec![false, true, false]));
    // The one that had records goes to the end, with what the client now asks of it.
    let context = sessions.begin(at(2), by_name(id, 2), vec![ask(1, 6)], &[]).expect("the session");
    assert_eq!(context.partitions, [ask(0, 0), ask(2, 0), ask(1, 6)]);
    let outcomes = [outcome(5, false), outcome(5, false), outcome(6, false)];
    assert_eq!(sessions.finish(at(2), context, &outcomes, || 1).expect("the session"), (77, vec![false; 3]));
}

#[test]
fn an_error_is_answered_each_time_and_its_end_too() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, at(0), 1, 77);
    let failed = FetchOutcome { error: ErrorCode::KafkaStorageError, ..outcome(5, false) };
    for (epoch, told, expected) in
        [(1, failed, true), (2, failed, true), (3, outcome(5, false), true), (4, outcome(5, false), false)]
    {
        let context = sessions.begin(at(1), by_name(id, epoch), vec![], &[]).expect("the session");
        assert_eq!(sessions.finish(at(1), context, &[told], || 1), Ok((77, vec![expected])), "epoch {epoch}");
    }
}

#[test]
fn forgotten_partitions_leave_and_an_empty_session_ends() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, at(0), 3, 77);
    let gone = |partition| (FetchTopic::Name("t".into()), partition);
    let context = sessions.begin(at(1), by_name(id, 1), vec![ask(3, 9)], &[gone(1), gone(8)]).expect("ours");
    assert_eq!(context.partitions, [ask(0, 0), ask(2, 0), ask(3, 9)]);
    let context = sessions.begin(at(1), by_name(id, 2), vec![], &[gone(0), gone(2), gone(3)]).expect("ours");
    assert!(context.partitions.is_empty() && context.is_full());
    let lost = sessions.begin(at(1), by_name(id, 3), vec![], &[]).err();
    assert_eq!((lost, sessions.session_count()), (Some(ErrorCode::FetchSessionIdNotFound), 0));
    assert_eq!(sessions.cache.lock().partition_count, 0);
}

#[test]
fn a_request_that_does_not_fit_its_session_is_refused() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, at(0), 1, 77);
    let check = |request, expected| {
        assert_eq!(sessions.begin(at(1), request, vec![], &[]).err(), Some(expected), "{request:?}");
    };
    check(by_name(78, 1), ErrorCode::FetchSessionIdNotFound);
    check(by_name(id, 2), ErrorCode::InvalidFetchSessionEpoch);
    check(SessionRequest { uses_topic_ids: true, ..by_name(id, 1) }, ErrorCode::FetchSessionTopicIdError);
    // While a fetch waits, the client gives up on it and goes on: the late answer must not count as told.
    let late = sessions.begin(at(1), by_name(id, 1), vec![], &[]).expect("the session");
    let next = sessions.begin(at(2), by_name(id, 2), vec![], &[]).expect("the session");
    let told = sessions.finish(at(3), late, &[outcome(9, true)], || 1);
    assert_eq!(told, Err(ErrorCode::InvalidFetchSessionEpoch));
    assert_eq!(sessions.finish(at(3), next, &[outcome(9, true)], || 1), Ok((77, vec![true])));
}

#[test]
fn a_final_epoch_closes_the_session() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, at(0), 2, 77);
    let context = sessions.begin(at(1), by_name(id, -1), vec![ask(0, 0)], &[]).expect("without a session");
    let answer = sessions.finish(at(1), context, &[outcome(5, false)], || 1);
    assert_eq!((answer, sessions.session_count()), (Ok((NO_SESSION, vec![true])), 0));
}

#[test]
fn a_full_cache_gives_a_slot_only_to_who_deserves_it() {
    let sessions = FetchSessions::new(2);
    assert_eq!(open(&sessions, at(0), 2, 1), 1);
    assert_eq!(open(&sessions, at(0), 4, 2), 2);
    // Both are young.
    assert_eq!(open(&sessions, at(EVICTION_MS), 9, 3), NO_SESSION);
    // Both were used lately, and had their time: the smaller gives way to a larger one, and to no other.
    for id in [1, 2] {
        sessions.begin(at(EVICTION_MS), by_name(id, 1), vec![], &[]).expect("the session");
    }
    assert_eq!(open(&sessions, at(EVICTION_MS + 1), 2, 3), NO_SESSION);
    assert_eq!(open(&sessions, at(EVICTION_MS + 1), 3, 3), 3);
    // The one unused for longest gives way to any.
    assert_eq!(open(&sessions, at(3 * EVICTION_MS), 1, 4), 4);
    assert_eq!(
        sessions.begin(at(3 * EVICTION_MS), by_name(2, 2), vec![], &[]).err(),
        Some(ErrorCode::FetchSessionIdNotFound)
    );
}
