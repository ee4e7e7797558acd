//! What a start does to the disk: nothing, where nothing is to be made good. Ten thousand logs are opened then by reading alone.

use std::path::Path;

use rstest::rstest;

use super::sim::{open_in, options};
use super::*;
use crate::io::sim_disk::SimDisk;

/// A log of so many batches on a disk of its own, flushed.
fn filled(batches: i64) -> (SimDisk, Log) {
    let (disk, mut log) = filled_unflushed(batches);
    flush_all(&mut log);
    (disk, log)
}

fn filled_unflushed(batches: i64) -> (SimDisk, Log) {
    let disk = SimDisk::new();
    let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    let (mut log, _) = open_in(&log_dir, &small(), 0).unwrap();
    for number in 0..batches {
        let sequence = i32::try_from(number * 2).unwrap();
        append(&mut log, producer_batch(7, 0, sequence, 2)).unwrap();
    }
    (disk, log)
}

fn small() -> LogOptions {
    LogOptions { retention_ms: -1, ..options() }
}

/// Opens the log, and answers how often the disk was changed or flushed meanwhile.
fn start(disk: &SimDisk, clean_shutdown: bool, recovery_point: Offset) -> (Log, Recovered, u64) {
    let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    let open = OpenLog {
        name: "t-0",
        topic_id: TopicId::ZERO,
        options: Arc::new(small()),
        recovery_point,
        log_start_offset: Offset::ZERO,
        clean_shutdown,
        may_have_gaps: false,
        now: NOW,
    };
    let before = disk.operation_count();
    let (log, recovered) = Log::open(&log_dir, &open).unwrap();
    (log, recovered, disk.operation_count() - before)
}

#[rstest]
#[case::one_batch(1)]
#[case::few_in_one_index_interval(2)]
#[case::one_segment_with_an_index(4)]
#[case::several_segments(25)]
fn a_log_that_was_closed_in_order_is_only_read_from_then_on(#[case] batches: i64) {
    let (disk, mut log) = filled(batches);
    let (values, end) = (read_all(&log, 0), log.close().unwrap().offset());
    drop(log);
    // A stop, then a kill, then a stop and a kill again.
    for clean_shutdown in [true, false, false, true, false] {
        let (mut log, recovered, changes) = start(&disk, clean_shutdown, end);
        assert_eq!((recovered, changes), (Recovered::default(), 0), "clean: {clean_shutdown}");
        assert_eq!((log.log_end_offset(), read_all(&log, 0)), (end, values.clone()));
        let latest = log.reader().max_timestamp().unwrap().unwrap();
        assert_eq!(latest.timestamp_ms, NOW.wall_ms);
        let before = disk.operation_count();
        log.close().unwrap();
        assert_eq!(disk.operation_count() - before, 0, "a second stop has nothing to write");
    }
}

/// What a kill takes is what waits in memory. The active segment's indexes are written again then, and flushed when it is finished.
#[rstest]
#[case::nothing_waits(1, false, 0)]
#[case::entries_wait(4, false, 6)]
#[case::entries_were_written(4, true, 0)]
fn a_log_that_was_flushed_and_killed_is_not_flushed_again(
    #[case] batches: i64,
    #[case] is_written: bool,
    #[case] expected: u64,
) {
    let (disk, log) = filled(batches);
    if is_written {
        log.write_indexes();
    }
    let (values, end) = (read_all(&log, 0), log.durable_end().offset());
    drop(log);
    let (log, recovered, changes) = start(&disk, false, end);
    // Both files are made, cut and written, and that is all.
    assert_eq!((recovered.scanned_bytes, changes), (0, expected));
    assert_eq!(read_all(&log, 0), values);
}

/// What a stop flushes of a log that was flushed, and of one that was not: of a small one only what cannot be found again.
#[rstest]
#[case::small_and_flushed(1, true, 0)]
// The records, the topic's id, the epochs with the log's directory, and the directory of all logs.
#[case::small_and_unflushed(1, false, 5)]
// Snapshot and sidecar, both indexes, the directory.
#[case::with_an_index_and_flushed(4, true, 5)]
#[case::with_an_index_and_unflushed(4, false, 9)]
fn a_stop_flushes_what_a_start_could_not_find_again(
    #[case] batches: i64,
    #[case] is_flushed: bool,
    #[case] expected: u64,
) {
    let (disk, mut log) = filled_unflushed(batches);
    if is_flushed {
        flush_all(&mut log);
    }
    let before = disk.flush_count();
    let end = log.close().unwrap().offset();
    assert_eq!((disk.flush_count() - before, end), (expected, Offset(batches * 2)));
    let values = read_all(&log, 0);
    for seed in 0..40 {
        let disk = disk.cut(seed);
        let (mut log, recovered, _) = start(&disk, true, end);
        assert_eq!((recovered.truncated_bytes, read_all(&log, 0)), (0, values.clone()), "seed {seed}");
        let last = i32::try_from(batches * 2 - 2).unwrap();
        let again = append(&mut log, producer_batch(7, 0, last, 2)).unwrap();
        assert_eq!((again.duplicate, again.last_offset), (true, end + -1), "seed {seed}");
        let latest = log.reader().max_timestamp().unwrap().unwrap();
        assert_eq!(latest.timestamp_ms, NOW.wall_ms, "seed {seed}");
    }
}
