//! A follower's log beside its leader's: verbatim copies, cuts by epoch, and what is refused.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;

/// A leader's log in a directory of its own, with `(epoch, records)` appended in turn.
fn log_of(root: &Path, appends: &[(i32, usize)]) -> Log {
    let (mut log, _) = At::new(root).open();
    for (epoch, count) in appends {
        log.begin_epoch(LeaderEpoch(*epoch));
        lead(&mut log, *epoch, *count);
    }
    log
}

fn lead(log: &mut Log, epoch: i32, count: usize) {
    for _ in 0..count {
        let validated = validate(batch(&["v"]), Origin::Client, log.options(), NOW).expect("a batch");
        log.append_as_leader(NOW, LeaderEpoch(epoch), &validated).expect("an append");
    }
}

fn bytes_from(log: &Log, offset: Offset) -> Bytes {
    let request = ReadRequest { offset, max_bytes: 1 << 20, upper_bound: log.log_end_offset(), min_one: true };
    log.reader().read(request).expect("a read").map_or(Bytes::new(), |region| region.read().expect("bytes").into())
}

/// What a leader answers of an epoch that a follower names.
fn answer(leader: &Log, follower: &Log) -> Option<(LeaderEpoch, Offset)> {
    let (asked, at) = (follower.last_fetched_epoch(), follower.log_end_offset());
    let (epoch, end) = leader.epoch_end_offset(asked).expect("an epoch that is known");
    (epoch < asked || end < at).then_some((epoch, end))
}

/// Cuts and fetches until the logs are the same; answers the offsets of the cuts.
fn reconcile(leader: &Log, follower: &mut Log, leader_epoch: i32) -> Vec<i64> {
    let mut cuts = Vec::new();
    while let Some((epoch, end)) = answer(leader, follower) {
        let offset = follower.truncation_offset(epoch, end);
        follower.truncate_to(offset, NOW).expect("a cut");
        cuts.push(offset.0);
        assert!(cuts.len() < 10, "a follower that goes round in circles");
    }
    let batches = ReplicatedBatches::check(bytes_from(leader, follower.log_end_offset())).expect("good batches");
    follower.append_as_follower(NOW, LeaderEpoch(leader_epoch), &batches).expect("they continue");
    assert_eq!(bytes_from(leader, Offset::ZERO), bytes_from(follower, Offset::ZERO), "logs that are the same");
    assert_eq!(leader.leader_epochs().entries(), follower.leader_epochs().entries());
    cuts
}

fn check(leader: &[(i32, usize)], follower: &[(i32, usize)], leader_epoch: i32, cuts: &[i64]) {
    let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut led = log_of(one.path(), leader);
    let mut follows = log_of(two.path(), follower);
    led.begin_epoch(LeaderEpoch(leader_epoch));
    lead(&mut led, leader_epoch, 1);
    assert_eq!(reconcile(&led, &mut follows, leader_epoch), cuts, "{leader:?} {follower:?}");
}

/// Two logs, told in lines: `leader 1:3 3:2` and `follower 1:4` have so many records of these epochs, one after the other; `lead 4`
/// has the leader begin an epoch and write a record; `reconcile` has the follower ask until the logs are the same.
fn play(text: &str) -> String {
    let (mut roots, mut logs) = (Vec::new(), BTreeMap::new());
    crate::tests::play_dialogue(text, |line| {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = |text: &str| text.parse::<i32>().expect("a number");
        match verb {
            "leader" | "follower" => {
                let root = tempfile::tempdir().expect("a directory");
                let appends = rest.split(' ').filter_map(|part| part.split_once(':'));
                let appends: Vec<_> =
                    appends.map(|(epoch, count)| (number(epoch), count.parse().expect("a count"))).collect();
                logs.insert(verb.to_owned(), log_of(root.path(), &appends));
                roots.push(root);
                String::new()
            }
            "lead" => {
                let leader = logs.get_mut("leader").expect("a leader");
                leader.begin_epoch(LeaderEpoch(number(rest)));
                lead(leader, number(rest), 1);
                String::new()
            }
            "reconcile" => {
                let mut follower = logs.remove("follower").expect("a follower");
                tell_reconciliation(&logs["leader"], &mut follower)
            }
            other => panic!("{other} is no event"),
        }
    })
}

fn tell_reconciliation(leader: &Log, follower: &mut Log) -> String {
    let mut told = String::new();
    while let Some((epoch, end)) = answer(leader, follower) {
        let (asked, at) = (follower.last_fetched_epoch(), follower.log_end_offset());
        let offset = follower.truncation_offset(epoch, end);
        follower.truncate_to(offset, NOW).expect("a cut");
        writeln!(told, "epoch {asked} at {at}? the leader's epoch {epoch} ends at {end} -> cut at {offset}")
            .expect("text");
        assert!(told.lines().count() < 10, "a follower that goes round in circles");
    }
    let (asked, at) = (follower.last_fetched_epoch(), follower.log_end_offset());
    let leader_epoch = leader.last_fetched_epoch();
    let batches = ReplicatedBatches::check(bytes_from(leader, at)).expect("good batches");
    follower.append_as_follower(NOW, leader_epoch, &batches).expect("they continue");
    assert_eq!(bytes_from(leader, Offset::ZERO), bytes_from(follower, Offset::ZERO), "logs that are the same");
    assert_eq!(leader.leader_epochs().entries(), follower.leader_epochs().entries());
    writeln!(told, "epoch {asked} at {at}? records up to {}", follower.log_end_offset()).expect("text");
    told
}

#[test]
fn dialogues_go_as_written() {
    crate::tests::check_dialogues("src/log/testdata", 3, play);
}

#[test]
fn a_follower_cuts_where_epochs_part_and_not_by_the_high_watermark() {
    // Nothing to cut.
    check(&[(1, 3)], &[(1, 3)], 2, &[]);
    check(&[(1, 3)], &[(1, 1)], 2, &[]);
    // What the old leader wrote and nobody else had.
    check(&[(1, 3)], &[(1, 5)], 2, &[3]);
}

#[test]
fn fast_failovers_are_reconciled_down_to_the_largest_common_epoch() {
    // KIP-279: both have written alone, in epochs that the other does not know.
    check(&[(1, 3), (3, 2)], &[(1, 4), (2, 3)], 4, &[3]);
    check(&[(1, 2), (2, 2), (5, 1)], &[(1, 2), (3, 2), (4, 2)], 6, &[2]);
    check(&[(1, 1), (4, 3)], &[(1, 2), (2, 2), (3, 2)], 5, &[1]);
}

#[test]
fn an_epoch_without_records_is_no_endless_divergence() {
    let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut led = log_of(one.path(), &[(1, 3)]);
    let mut follows = log_of(two.path(), &[(1, 3)]);
    // Elected, and replaced before it wrote anything.
    follows.begin_epoch(LeaderEpoch(2));
    led.begin_epoch(LeaderEpoch(3));
    lead(&mut led, 3, 2);
    assert_eq!(reconcile(&led, &mut follows, 3), [3]);
}

#[test]
fn what_does_not_continue_the_log_is_refused_and_nothing_of_it_stays() {
    let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let led = log_of(one.path(), &[(1, 2), (3, 2)]);
    let mut follows = log_of(two.path(), &[]);
    let all = ReplicatedBatches::check(bytes_from(&led, Offset::ZERO)).expect("good batches");
    // A leader of epoch 2 cannot have written in epoch 3.
    let refused = follows.append_as_follower(NOW, LeaderEpoch(2), &all);
    let (base_offset, end_offset) = (Offset(0), Offset(0));
    assert_eq!(refused, Err(AppendError::Unexpected { base_offset, epoch: LeaderEpoch(1), end_offset }));
    assert_eq!(follows.append_as_follower(NOW, LeaderEpoch(3), &all), Ok(Offset(4)));
    // The same answer once more, delayed.
    let refused = follows.append_as_follower(NOW, LeaderEpoch(3), &all);
    let end_offset = Offset(4);
    assert_eq!(refused, Err(AppendError::Unexpected { base_offset, epoch: LeaderEpoch(1), end_offset }));
    assert_eq!(follows.log_end_offset(), Offset(4));
}

#[test]
fn bytes_that_were_damaged_on_the_way_are_refused_and_a_cut_off_batch_is_left_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let led = log_of(dir.path(), &[(1, 3)]);
    let whole = bytes_from(&led, Offset::ZERO);
    let mut damaged = whole.to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert!(ReplicatedBatches::check(damaged.into()).is_err());
    let cut_off = ReplicatedBatches::check(whole.slice(..whole.len() - 1)).expect("two whole batches");
    assert_eq!(cut_off.size_bytes(), whole.len() / 3 * 2);
    assert!(ReplicatedBatches::check(whole.slice(..40)).expect("none").is_empty());
}

#[test]
fn producers_are_known_to_whoever_leads_next() {
    let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (mut led, mut follows) = (log_of(one.path(), &[]), log_of(two.path(), &[]));
    let first = validate(producer_batch(7, 0, 0, 2), Origin::Client, led.options(), NOW).expect("a batch");
    led.append_as_leader(NOW, LeaderEpoch(1), &first).expect("an append");
    let copied = ReplicatedBatches::check(bytes_from(&led, Offset::ZERO)).expect("good batches");
    follows.append_as_follower(NOW, LeaderEpoch(1), &copied).expect("it continues");
    let again = follows.append_as_leader(NOW, LeaderEpoch(2), &first).expect("a duplicate");
    assert!(again.duplicate);
    assert_eq!((again.first_offset, again.last_offset), (Offset(0), Offset(1)));
}

#[test]
fn a_copy_is_rolled_like_any_log_and_is_there_after_a_restart() {
    let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let led = log_of(one.path(), &[(1, 40)]);
    let small = At { options: LogOptions { segment_bytes: 700, ..LogOptions::default() }, ..At::new(two.path()) };
    let (mut follows, _) = small.open();
    let copied = ReplicatedBatches::check(bytes_from(&led, Offset::ZERO)).expect("good batches");
    follows.append_as_follower(NOW, LeaderEpoch(1), &copied).expect("it continues");
    assert!(follows.segments.len() > 3, "{} segments", follows.segments.len());
    follows.close().expect("a close");
    drop(follows);
    let (again, _) = small.open();
    assert_eq!(again.log_end_offset(), Offset(40));
    assert_eq!(again.leader_epochs().entries(), [(LeaderEpoch(1), Offset(0))]);
}

#[test]
fn a_log_begun_anew_has_nothing_of_the_old_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = log_of(dir.path(), &[(1, 2), (2, 2)]);
    let produced = validate(producer_batch(7, 0, 0, 2), Origin::Client, log.options(), NOW).expect("a batch");
    log.append_as_leader(NOW, LeaderEpoch(2), &produced).expect("an append");
    log.roll(NOW).expect("a segment");
    log.truncate_fully_and_start_at(Offset(20), NOW).expect("a new beginning");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(20), Offset(20)));
    assert_eq!(log.last_fetched_epoch(), LeaderEpoch(-1));
    assert!(log.producers().is_empty());
}
