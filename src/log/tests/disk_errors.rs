//! The disk is full, a write fails, a flush fails: what is answered, and what the log is afterwards.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::sim::{DIR, open, open_in, options, used_bytes};
use super::*;
use crate::io::disk::Disk;
use crate::io::sim_disk::SimDisk;
use crate::model::ErrorCode;

fn flush(log: &mut Log) -> Result<i64, LogError> {
    let outcome = log.flush_ticket().run();
    log.flushed(outcome).map(|end| end.offset().0)
}

fn send(log: &mut Log, sequence: i32) -> Result<AppendInfo, AppendError> {
    append(log, producer_batch(7, 0, sequence, 1))
}

fn log_bytes(disk: &SimDisk) -> Vec<u8> {
    disk.read(&Path::new(DIR).join("00000000000000000000.log")).unwrap()
}

#[test]
fn a_full_disk_refuses_an_append_and_takes_it_when_there_is_room() {
    let size = producer_batch(7, 0, 2, 1).len();
    for room in 0..=size {
        let disk = SimDisk::new();
        let (log_dir, mut log) = open(&disk, &LogOptions::default());
        for sequence in 0..2 {
            send(&mut log, sequence).unwrap();
        }
        let before = log_bytes(&disk);
        disk.set_capacity_bytes(used_bytes(&disk) + room);
        if room == size {
            assert_eq!(send(&mut log, 2).unwrap().first_offset, Offset(2));
            continue;
        }
        for _ in 0..2 {
            let error = send(&mut log, 2).unwrap_err();
            assert_eq!(error, AppendError::Storage { kind: ErrorKind::StorageFull });
            assert_eq!(error.code(), ErrorCode::KafkaStorageError);
            assert_eq!((log.log_end_offset(), log_bytes(&disk) == before), (Offset(2), true));
            assert_eq!((log_dir.is_poisoned(), log_dir.is_full()), (false, true));
        }
        // What stands in the log is still answered and read.
        assert!(send(&mut log, 1).unwrap().duplicate);
        assert_eq!(read_all(&log, 0).len(), 2);
        disk.set_capacity_bytes(usize::MAX);
        let info = send(&mut log, 2).unwrap();
        assert_eq!((info.first_offset, info.duplicate, log_dir.is_full()), (Offset(2), false, false));
        let expected = read_all(&log, 0);
        drop(log);
        let (_, log) = open(&disk, &LogOptions::default());
        assert_eq!((read_all(&log, 0), expected.len()), (expected, 3));
    }
}

#[test]
fn all_requests_of_a_refused_write_fail_and_their_duplicates_too() {
    let disk = SimDisk::new();
    let (_, mut log) = open(&disk, &LogOptions::default());
    send(&mut log, 0).unwrap();
    let validated =
        |sequence| validate(producer_batch(7, 0, sequence, 1), Origin::Client, &LogOptions::default(), NOW).unwrap();
    let requests = [0, 1, 2, 1, 9].map(validated);
    let answers = |log: &mut Log| {
        let mut outcomes = Vec::new();
        log.append_many(NOW, LeaderEpoch(1), &requests, &mut outcomes);
        let answer = |outcome: Result<AppendInfo, AppendError>| match outcome {
            Ok(info) => Ok((info.first_offset.0, info.duplicate)),
            Err(error) => Err(error.code()),
        };
        outcomes.into_iter().map(answer).collect::<Vec<_>>()
    };
    disk.set_capacity_bytes(used_bytes(&disk) + 100);
    let (full, gap) = (Err(ErrorCode::KafkaStorageError), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(answers(&mut log), [Ok((0, true)), full, full, full, gap]);
    assert_eq!(log.log_end_offset(), Offset(1));
    disk.set_capacity_bytes(usize::MAX);
    assert_eq!(answers(&mut log), [Ok((0, true)), Ok((1, false)), Ok((2, false)), Ok((1, true)), gap]);
}

#[test]
fn a_full_disk_delays_a_flush_and_costs_nothing() {
    let options = options();
    let mut refused = 0;
    for room in (0..400).step_by(7) {
        let disk = SimDisk::new();
        let (log_dir, mut log) = open(&disk, &options);
        // Several segments, so that snapshots and epochs wait for the flush.
        for sequence in 0..20 {
            send(&mut log, sequence).unwrap();
        }
        disk.set_capacity_bytes(used_bytes(&disk) + room);
        let flushed = flush(&mut log);
        assert!(!log_dir.is_poisoned(), "room {room}");
        assert_eq!(log.durable_end().offset().0, flushed.as_ref().copied().unwrap_or(0));
        refused += usize::from(flushed.is_err());
        disk.set_capacity_bytes(usize::MAX);
        assert_eq!(flush(&mut log).unwrap(), 20);
        assert_eq!(send(&mut log, 20).unwrap().first_offset, Offset(20));
        let cut = disk.cut(room as u64);
        let (_, log) = open(&cut, &options);
        assert!(log.log_end_offset() >= Offset(20), "room {room}");
    }
    assert!(refused > 10, "{refused} flushes met a full disk");
}

#[test]
fn a_failed_flush_takes_the_directory_offline_for_good() {
    let options = options();
    let mut failures = 0;
    for operation in 0.. {
        let disk = SimDisk::new();
        let (log_dir, mut log) = open(&disk, &options);
        for sequence in 0..5 {
            send(&mut log, sequence).unwrap();
        }
        assert_eq!(flush(&mut log).unwrap(), 5);
        for sequence in 5..20 {
            send(&mut log, sequence).unwrap();
        }
        disk.fail_after(operation, ErrorKind::Other);
        let outcome = log.flush_ticket().run();
        if outcome.is_ok() {
            break;
        }
        failures += 1;
        log.flushed(outcome).unwrap_err();
        assert!(log_dir.is_poisoned(), "operation {operation}");
        // The disk works again from here on. Nobody asks it.
        let refused = send(&mut log, 20).unwrap_err();
        assert_eq!((&refused, refused.code()), (&AppendError::Offline, ErrorCode::KafkaStorageError));
        assert!(matches!(flush(&mut log), Err(LogError::Poisoned { .. })));
        assert!(matches!(log.close(), Err(LogError::Poisoned { .. })));
        assert_eq!((log.durable_end().offset(), log.log_end_offset()), (Offset(5), Offset(20)));
        assert_eq!(read_all(&log, 0).len(), 20);
        assert!(matches!(open_in(&log_dir, &options, 0), Err(LogError::Poisoned { .. })));
        let cut = disk.cut(operation);
        assert!(open(&cut, &options).1.log_end_offset() >= Offset(5));
    }
    assert!(failures > 5, "{failures} operations of a flush failed");
}

#[test]
fn a_failed_write_leaves_no_trace_and_takes_the_directory_offline() {
    let disk = SimDisk::new();
    let (log_dir, mut log) = open(&disk, &LogOptions::default());
    send(&mut log, 0).unwrap();
    let before = log_bytes(&disk);
    disk.fail_after(0, ErrorKind::Other);
    let refused = send(&mut log, 1).unwrap_err();
    assert_eq!(refused, AppendError::Storage { kind: ErrorKind::Other });
    assert_eq!((log.log_end_offset(), log_bytes(&disk) == before), (Offset(1), true));
    assert!(log_dir.is_poisoned());
    assert_eq!(send(&mut log, 1).unwrap_err(), AppendError::Offline);
    assert!(flush(&mut log).is_err());
    assert_eq!(read_all(&log, 0).len(), 1);
    drop((log, log_dir));
    // A new process finds what was whole and goes on with the same offset.
    let (_, mut log) = open(&disk, &LogOptions::default());
    assert_eq!(send(&mut log, 1).unwrap().first_offset, Offset(1));
}

#[test]
fn a_log_directory_in_use_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let log_dir = || LogDir::open(Arc::new(SystemDisk), root.path()).unwrap();
    let (first, second) = (log_dir(), log_dir());
    first.lock().unwrap();
    assert!(matches!(second.lock(), Err(LogError::Locked { path }) if path == root.path()));
    drop(first);
    second.lock().unwrap();
}

#[test]
fn a_finished_segments_indexes_are_flushed_though_its_records_were_flushed_before_it_was_finished() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let (_log_dir, mut log) = open(&disk, &LogOptions { index_interval_bytes: 100, ..LogOptions::default() });
        for sequence in 0..8 {
            send(&mut log, sequence).unwrap();
        }
        flush(&mut log).unwrap();
        log.roll(NOW).unwrap();
        send(&mut log, 8).unwrap();
        flush(&mut log).unwrap();
        let indexes = |disk: &SimDisk| {
            ["index", "timeindex"].map(|kind| disk.read(&Path::new(DIR).join(format!("{:020}.{kind}", 0))).unwrap())
        };
        let before = indexes(&disk);
        assert!(before.iter().all(|index| !index.is_empty()));
        assert_eq!(indexes(&disk.cut(seed)), before, "seed {seed}");
    }
}

#[test]
fn a_snapshot_that_a_full_disk_kept_from_being_replaced_goes_with_the_next_flush() {
    let disk = SimDisk::new();
    let (log_dir, mut log) = open(&disk, &LogOptions::default());
    let snapshot_at_the_end = |log: &mut Log, sequence| {
        send(log, sequence).unwrap();
        log.queue_snapshot();
    };
    let left = || crate::log::snapshots::list(&log_dir, Path::new(DIR)).unwrap();
    snapshot_at_the_end(&mut log, 0);
    flush(&mut log).unwrap();
    assert_eq!(left(), [Offset(1)]);
    disk.set_capacity_bytes(used_bytes(&disk) + producer_batch(7, 0, 1, 1).len());
    snapshot_at_the_end(&mut log, 1);
    assert!(flush(&mut log).is_err(), "there is no room for the new one");
    disk.set_capacity_bytes(usize::MAX);
    // Two that were never replaced: neither may be forgotten.
    snapshot_at_the_end(&mut log, 2);
    flush(&mut log).unwrap();
    assert_eq!(left(), [Offset(3)]);
}
