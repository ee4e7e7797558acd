//! Dialogues with the machine: an event a line, the whole outcome below it. Those of several replicas are files of `testdata`.

mod dialogue;

use std::fmt::Write;

use super::*;
use crate::config::Durability;
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Now, Offset};

/// Every file of `testdata` is a dialogue; `UPDATE_EXPECT=1` writes down what the machine says today.
#[test]
fn dialogues_go_as_written() {
    crate::tests::check_dialogues("src/partition/testdata", 10, dialogue::run);
}

fn at(monotonic_ms: u64) -> Now {
    Now { wall_ms: 0, monotonic_ms }
}

struct Dialogue {
    partition: Partition<&'static str>,
    text: String,
}

impl Dialogue {
    fn new(durability: Durability, log_start: i64, log_end: i64) -> Dialogue {
        let opened = OpenedLog { log_start: Offset(log_start), log_end: Offset(log_end), high_watermark: Offset::ZERO };
        let partition = Partition::new(BrokerId(1), durability, opened);
        Dialogue { partition, text: String::new() }
    }

    /// A leader alone in its in-sync set.
    fn leading(durability: Durability, log_start: i64, log_end: i64) -> Dialogue {
        Dialogue::new(durability, log_start, log_end).leads(3, &[1], 1)
    }

    fn leads(self, leader_epoch: i32, in_sync: &[i32], min_in_sync: usize) -> Dialogue {
        let isr: Vec<BrokerId> = in_sync.iter().copied().map(BrokerId).collect();
        let replicas = vec![BrokerId(1), BrokerId(2), BrokerId(3)];
        let replicas = if isr.len() == 1 && min_in_sync == 1 { isr.clone() } else { replicas };
        self.on(Event::BecomeLeader(Leadership {
            leader_epoch: LeaderEpoch(leader_epoch),
            partition_epoch: leader_epoch,
            isr,
            replicas,
            min_in_sync,
            now: at(0),
        }))
    }

    fn on(mut self, event: Event<&'static str>) -> Dialogue {
        let mut effects = Effects::default();
        self.partition.step(event, &mut effects);
        if let Some(Advance { high_watermark, bytes }) = effects.advanced {
            writeln!(self.text, "high watermark {high_watermark} (+{bytes} bytes)").expect("a string");
        }
        for (waiter, result) in effects.completed {
            let outcome = result.map_or_else(|code| code.to_string(), |()| "committed".into());
            writeln!(self.text, "{waiter}: {outcome}").expect("a string");
        }
        self
    }

    fn append(self, log_end: i64, bytes: u64) -> Dialogue {
        self.on(Event::Appended { log_end: Offset(log_end), bytes })
    }

    fn flush(self, durable_end: i64) -> Dialogue {
        self.on(Event::Flushed { durable_end: Offset(durable_end) })
    }

    fn wait(self, required: i64, waiter: &'static str) -> Dialogue {
        self.on(Event::Await { required: Offset(required), waiter })
    }

    fn fetched(self, follower: i32, offset: i64) -> Dialogue {
        self.on(Event::FollowerFetched(FollowerFetch {
            follower: BrokerId(follower),
            broker_epoch: 1,
            is_eligible: true,
            offset: Offset(offset),
            log_start: Offset::ZERO,
            now: at(0),
        }))
    }

    fn says(mut self, expected: &str) -> Dialogue {
        let expected: String =
            expected.lines().map(str::trim).filter(|line| !line.is_empty()).fold(String::new(), |mut text, line| {
                text.push_str(line);
                text.push('\n');
                text
            });
        assert_eq!(self.text, expected);
        self.text.clear();
        self
    }
}

#[test]
fn a_leader_alone_commits_what_its_recovery_kept() {
    Dialogue::new(Durability::Flushed, 5, 9).leads(1, &[1], 1).says("high watermark 9 (+0 bytes)");
}

#[test]
fn with_the_page_cache_an_append_is_committed_at_once() {
    Dialogue::leading(Durability::PageCache, 0, 0)
        .append(3, 300)
        .wait(3, "producer")
        .says("high watermark 3 (+300 bytes)\nproducer: committed");
}

#[test]
fn a_durable_append_is_committed_by_the_flush_that_covers_it() {
    Dialogue::leading(Durability::Flushed, 0, 0)
        .append(1, 100)
        .wait(1, "first")
        .append(2, 100)
        .wait(2, "second")
        .says("")
        .flush(1)
        .says("high watermark 1 (+100 bytes)\nfirst: committed")
        .flush(2)
        .says("high watermark 2 (+100 bytes)\nsecond: committed")
        // A round that began earlier and ended later takes nothing back.
        .flush(1)
        .says("");
}

#[test]
fn the_answer_to_a_duplicate_waits_for_the_original() {
    Dialogue::leading(Durability::Flushed, 0, 0)
        .append(1, 1)
        .append(2, 1)
        .wait(2, "new")
        .wait(1, "duplicate")
        .wait(0, "older duplicate")
        .says("older duplicate: committed")
        .flush(2)
        .says("high watermark 2 (+2 bytes)\nduplicate: committed\nnew: committed");
}

#[test]
fn every_member_of_the_in_sync_set_holds_the_high_watermark_back() {
    Dialogue::new(Durability::Flushed, 0, 0)
        .leads(1, &[1, 2, 3], 2)
        .append(5, 50)
        .wait(5, "producer")
        .flush(5)
        .fetched(2, 5)
        .says("")
        .fetched(3, 4)
        .says("high watermark 4 (+0 bytes)")
        // A broker outside the in-sync set moves nothing.
        .fetched(4, 5)
        .says("")
        .fetched(3, 5)
        .says("high watermark 5 (+50 bytes)\nproducer: committed");
}

#[test]
fn under_the_minimum_nothing_is_promised() {
    let dialogue = Dialogue::new(Durability::PageCache, 0, 0).leads(1, &[1], 2).append(2, 20).says("");
    assert_eq!(dialogue.partition.admit(RequiredAcks::All), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(dialogue.partition.admit(RequiredAcks::Leader), Ok(()));
    dialogue
        .on(Event::Configure { durability: Durability::PageCache, min_in_sync: 1, lag_max_ms: LAG_MAX_MS })
        .says("high watermark 2 (+20 bytes)");
}

#[test]
fn a_fenced_replica_refuses_everyone() {
    let dialogue = Dialogue::leading(Durability::Flushed, 0, 0)
        .append(1, 1)
        .wait(1, "waiting")
        .on(Event::Fence { code: ErrorCode::KafkaStorageError })
        .says("waiting: KAFKA_STORAGE_ERROR")
        .wait(1, "late")
        .says("late: KAFKA_STORAGE_ERROR")
        // Neither a flush nor an election makes a failed disk good again.
        .flush(1)
        .leads(9, &[1], 1)
        .says("");
    assert_eq!(dialogue.partition.admit(RequiredAcks::None), Err(ErrorCode::KafkaStorageError));
}

#[test]
fn a_replica_that_nobody_made_leader_refuses() {
    let partition = Dialogue::new(Durability::Flushed, 0, 4).partition;
    assert_eq!(partition.admit(RequiredAcks::Leader), Err(ErrorCode::NotLeaderOrFollower));
}

#[test]
fn the_last_stable_offset_stops_at_the_first_open_transaction() {
    let check = |first: Option<i64>, expected: i64| {
        let dialogue = Dialogue::leading(Durability::PageCache, 2, 10);
        let dialogue = dialogue.on(Event::FirstUnstable { offset: first.map(Offset) });
        assert_eq!(dialogue.partition.last_stable_offset(), Offset(expected), "{first:?}");
    };
    check(None, 10);
    check(Some(7), 7);
    check(Some(10), 10);
    check(Some(12), 10);
}

#[test]
fn the_start_of_the_log_never_goes_back() {
    let dialogue = Dialogue::leading(Durability::PageCache, 0, 10)
        .on(Event::LogStartMoved { log_start: Offset(6) })
        .on(Event::LogStartMoved { log_start: Offset(4) });
    let expected = Published {
        log_start: Offset(6),
        last_stable: Offset(10),
        high_watermark: Offset(10),
        log_end: Offset(10),
        leader_epoch: LeaderEpoch(3),
    };
    assert_eq!(dialogue.partition.published(), expected);
}

#[test]
fn leader_epochs_are_checked_as_kafka_does() {
    let check = |claimed, expected| {
        assert_eq!(Partition::<()>::check_leader_epoch(LeaderEpoch(5), LeaderEpoch(claimed)), expected);
    };
    check(-1, Ok(()));
    check(5, Ok(()));
    check(4, Err(ErrorCode::FencedLeaderEpoch));
    check(6, Err(ErrorCode::UnknownLeaderEpoch));
}

#[test]
fn a_breach_panics_and_the_fence_serves_nobody() {
    let mut partition = Dialogue::leading(Durability::Flushed, 0, 0).append(1, 1).wait(1, "waiting").partition;
    let breach = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        partition.step(Event::Flushed { durable_end: Offset(2) }, &mut Effects::default());
    }));
    assert!(breach.is_err());
    let mut effects = Effects::default();
    partition.fence_after_breach(&mut effects);
    assert_eq!(effects.completed, [("waiting", Err(ErrorCode::KafkaStorageError))]);
    assert_eq!(partition.admit(RequiredAcks::Leader), Err(ErrorCode::KafkaStorageError));
}

#[test]
fn many_small_appends_keep_their_count_of_bytes() {
    let mut dialogue = Dialogue::leading(Durability::Flushed, 0, 0);
    for end in 1..=3000 {
        dialogue = dialogue.append(end, 10);
    }
    dialogue.flush(3000).says("high watermark 3000 (+30000 bytes)");
}
