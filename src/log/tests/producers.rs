//! What an idempotent producer may append next, and what is answered to what it sends again.

use proptest::prelude::*;

use super::sim::{open, options};
use super::*;
use crate::io::sim_disk::SimDisk;
use crate::model::ErrorCode;

/// First offset, and whether the batch was there already; or what Kafka answers.
type Answer = Result<(i64, bool), ErrorCode>;

fn send(log: &mut Log, id: i64, epoch: i16, sequence: i32, count: usize) -> Answer {
    let answer = append(log, producer_batch(id, epoch, sequence, count));
    answer.map(|info| (info.first_offset.0, info.duplicate)).map_err(|error| error.code())
}

fn check(steps: &[(i16, i32, usize, Answer)]) {
    let (_, mut log) = open(&SimDisk::new(), &LogOptions::default());
    for (index, (epoch, sequence, count, expected)) in steps.iter().enumerate() {
        assert_eq!(send(&mut log, 7, *epoch, *sequence, *count), *expected, "step {index}");
    }
}

const GAP: Answer = Err(ErrorCode::OutOfOrderSequenceNumber);
const FENCED: Answer = Err(ErrorCode::InvalidProducerEpoch);

#[test]
fn a_sequence_must_follow_the_last_one() {
    check(&[
        (0, 0, 3, Ok((0, false))),
        (0, 4, 1, GAP),
        (0, 2, 1, GAP),
        (0, 0, 2, GAP),
        (0, i32::MAX, 1, GAP),
        (0, 3, 1, Ok((3, false))),
    ]);
}

#[test]
fn a_new_epoch_fences_the_old_one_and_begins_at_0() {
    check(&[
        (1, 0, 1, Ok((0, false))),
        (0, 1, 1, FENCED),
        (0, 0, 1, FENCED),
        (2, 1, 1, GAP),
        // A refused batch has not moved the epoch.
        (1, 1, 1, Ok((1, false))),
        (2, 0, 1, Ok((2, false))),
        (1, 2, 1, FENCED),
        // A duplicate by sequence, but of another epoch.
        (1, 1, 1, FENCED),
        (2, 0, 1, Ok((2, true))),
    ]);
}

#[test]
fn the_last_five_batches_are_answered_with_their_offsets() {
    let (_, mut log) = open(&SimDisk::new(), &LogOptions::default());
    for number in 0..6 {
        assert_eq!(send(&mut log, 7, 0, number * 2, 2), Ok((i64::from(number) * 2, false)));
    }
    assert_eq!(send(&mut log, 7, 0, 0, 2), GAP);
    for number in 1..6 {
        assert_eq!(send(&mut log, 7, 0, number * 2, 2), Ok((i64::from(number) * 2, true)));
        // Both ends must be those of the batch that was written.
        assert_eq!(send(&mut log, 7, 0, number * 2, 1), GAP);
        assert_eq!(send(&mut log, 7, 0, number * 2 + 1, 1), GAP);
    }
    assert_eq!(log.log_end_offset(), Offset(12));
}

#[test]
fn after_the_last_sequence_comes_0() {
    const LAST: i32 = i32::MAX;
    check(&[(0, LAST - 1, 1, Ok((0, false))), (0, LAST, 1, Ok((1, false))), (0, 0, 2, Ok((2, false)))]);
    // Within a batch: 2³¹−2, 2³¹−1, 0, 1.
    check(&[
        (0, LAST - 1, 4, Ok((0, false))),
        (0, LAST - 1, 4, Ok((0, true))),
        (0, 1, 1, GAP),
        (0, 2, 1, Ok((4, false))),
        (0, LAST - 1, 4, Ok((0, true))),
    ]);
    check(&[(0, LAST, 1, Ok((0, false))), (0, 1, 1, GAP), (0, LAST, 1, Ok((0, true))), (0, 0, 1, Ok((1, false)))]);
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    for sequence in [0, 1, 41, i32::MAX] {
        check(&[(3, sequence, 1, Ok((0, false))), (3, sequence, 1, Ok((0, true)))]);
    }
}

#[test]
fn a_silent_producer_is_forgotten_when_its_time_is_over() {
    let options = LogOptions { producer_id_expiration_ms: 1000, ..LogOptions::default() };
    let (_, mut log) = open(&SimDisk::new(), &options);
    assert_eq!(send(&mut log, 7, 4, 0, 1), Ok((0, false)));
    log.expire_producers(NOW.plus_ms(999));
    assert_eq!(send(&mut log, 7, 4, 9, 1), GAP);
    log.expire_producers(NOW.plus_ms(1000));
    assert!(log.producers().is_empty());
    // It is unknown now: any sequence, and any epoch too.
    assert_eq!(send(&mut log, 7, 3, 9, 1), Ok((1, false)));
}

#[test]
fn batches_without_a_producer_id_are_never_duplicates() {
    let (_, mut log) = open(&SimDisk::new(), &LogOptions::default());
    for offset in 0..3 {
        let info = append(&mut log, batch(&["same"])).unwrap();
        assert_eq!((info.first_offset, info.duplicate), (Offset(offset), false));
    }
    assert!(log.producers().is_empty());
}

/// First and last sequence, first offset.
type KnownBatch = (i64, i64, i64);

/// Everything each producer has written in its epoch.
#[derive(Default)]
struct Model {
    producers: std::collections::BTreeMap<i64, (i16, Vec<KnownBatch>)>,
    end: i64,
}

const SEQUENCES: i64 = 1 << 31;

impl Model {
    fn send(&mut self, id: i64, epoch: i16, sequence: i64, count: i64) -> Answer {
        let last = (sequence + count - 1) % SEQUENCES;
        if let Some((known_epoch, written)) = self.producers.get(&id) {
            let kept = &written[written.len().saturating_sub(5)..];
            let same = kept.iter().find(|batch| (batch.0, batch.1) == (sequence, last));
            match (epoch.cmp(known_epoch), same) {
                (std::cmp::Ordering::Less, _) => return FENCED,
                (std::cmp::Ordering::Equal, Some(batch)) => return Ok((batch.2, true)),
                (std::cmp::Ordering::Equal, None) if sequence != (written[written.len() - 1].1 + 1) % SEQUENCES => {
                    return GAP;
                }
                (std::cmp::Ordering::Greater, _) if sequence != 0 => return GAP,
                _ => {}
            }
        }
        let known = self.producers.entry(id).or_insert_with(|| (epoch, Vec::new()));
        if known.0 != epoch {
            *known = (epoch, Vec::new());
        }
        known.1.push((sequence, last, self.end));
        self.end += count;
        Ok((self.end - count, false))
    }

    /// A sequence `distance` from the next one; for an unknown producer shortly before the wrap.
    fn sequence(&self, id: i64, distance: i64) -> i64 {
        let next = self.producers.get(&id).map_or(SEQUENCES - 6, |known| known.1[known.1.len() - 1].1 + 1);
        (next + distance).rem_euclid(SEQUENCES)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send {
        id: i64,
        epoch: i16,
        distance: i64,
        count: i64,
    },
    /// The `back`th batch from the end once more.
    Again {
        id: i64,
        back: usize,
    },
    NewEpoch {
        id: i64,
        sequence: i64,
    },
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..3i64;
    prop_oneof![
        6 => (id(), 1..4i64).prop_map(|(id, count)| Step::Send { id, epoch: -1, distance: 0, count }),
        2 => (id(), -1..4i16, -8..4i64, 1..4i64)
            .prop_map(|(id, epoch, distance, count)| Step::Send { id, epoch, distance, count }),
        3 => (id(), 1..8usize).prop_map(|(id, back)| Step::Again { id, back }),
        1 => (id(), 0..2i64).prop_map(|(id, sequence)| Step::NewEpoch { id, sequence }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The log keeps, over rolls, flushes and restarts, what a list of everything written would tell.
    #[test]
    fn the_log_answers_as_a_list_of_all_batches_would(steps in proptest::collection::vec(step(), 1..80)) {
        let disk = SimDisk::new();
        let options = options();
        let (mut log_dir, mut log) = open(&disk, &options);
        let mut model = Model::default();
        for step in steps {
            let (id, epoch, sequence, count) = match step {
                Step::Send { id, epoch, distance, count } => {
                    let known_epoch = model.producers.get(&id).map_or(1, |known| known.0);
                    (id, if epoch < 0 { known_epoch } else { epoch }, model.sequence(id, distance), count)
                }
                Step::Again { id, back } => {
                    let Some((epoch, written)) = model.producers.get(&id) else { continue };
                    let (first, last, _) = written[written.len().saturating_sub(back)];
                    (id, *epoch, first, (last - first).rem_euclid(SEQUENCES) + 1)
                }
                Step::NewEpoch { id, sequence } => (id, model.producers.get(&id).map_or(0, |known| known.0 + 1), sequence, 1),
                Step::Flush => {
                    let outcome = log.flush_ticket().run();
                    log.flushed(outcome).unwrap();
                    continue;
                }
                Step::Reopen => {
                    drop((log, log_dir));
                    (log_dir, log) = open(&disk, &options);
                    continue;
                }
            };
            let expected = model.send(id, epoch, sequence, count);
            let found = send(&mut log, id, epoch, i32::try_from(sequence).unwrap(), usize::try_from(count).unwrap());
            prop_assert_eq!(found, expected, "id {} epoch {} sequence {} count {}", id, epoch, sequence, count);
            prop_assert_eq!(log.log_end_offset().0, model.end);
        }
    }
}
