//! The log as its users see it, on a directory of its own.

mod compaction;
mod damage;
mod descriptors;
mod disk_errors;
mod follower;
mod leaving;
mod producers;
mod sim;
mod start;
mod validation;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::io::disk::SystemDisk;
use crate::model::{LeaderEpoch, Now, Offset, ProducerEpoch, ProducerId, Sequence, TopicId};
use crate::protocol::record_batch::BatchIter;
use crate::protocol::records::{RecordBatchBuilder, RecordIter};

pub(super) const NOW: Now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };

pub(super) fn batch(records: &[&str]) -> Bytes {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
    for value in records {
        builder.append(NOW.wall_ms, None, Some(value.as_bytes()));
    }
    builder.build()
}

pub(super) fn producer_batch(id: i64, epoch: i16, sequence: i32, count: usize) -> Bytes {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms).producer(
        ProducerId(id),
        ProducerEpoch(epoch),
        Sequence(sequence),
    );
    for _ in 0..count {
        builder.append(NOW.wall_ms, None, Some(b"v"));
    }
    builder.build()
}

pub(super) struct At<'a> {
    pub root: &'a Path,
    pub options: LogOptions,
    pub recovery_point: i64,
    pub clean_shutdown: bool,
}

impl At<'_> {
    pub fn new(root: &Path) -> At<'_> {
        At { root, options: LogOptions::default(), recovery_point: 0, clean_shutdown: false }
    }

    pub fn open(&self) -> (Log, Recovered) {
        let log_dir = LogDir::open(Arc::new(SystemDisk), self.root).unwrap();
        let open = OpenLog {
            name: "t-0",
            topic_id: TopicId::ZERO,
            options: Arc::new(self.options.clone()),
            recovery_point: Offset(self.recovery_point),
            log_start_offset: Offset::ZERO,
            clean_shutdown: self.clean_shutdown,
            may_have_gaps: false,
            now: NOW,
        };
        Log::open(&log_dir, &open).unwrap()
    }
}

pub(super) fn append(log: &mut Log, bytes: Bytes) -> Result<AppendInfo, AppendError> {
    let options = log.options().clone();
    log.append_as_leader(NOW, LeaderEpoch(1), &validate(bytes, Origin::Client, &options, NOW)?)
}

fn flush_all(log: &mut Log) {
    let outcome = log.flush_ticket().run();
    log.flushed(outcome).unwrap();
}

/// All values from an offset on, with their offsets.
pub(super) fn read_all(log: &Log, from: i64) -> Vec<(i64, String)> {
    let reader = log.reader();
    let mut found = Vec::new();
    let mut offset = Offset(from);
    loop {
        let request = ReadRequest { offset, max_bytes: 1 << 20, upper_bound: reader.log_end_offset(), min_one: true };
        let Some(region) = reader.read(request).unwrap() else { return found };
        let bytes = region.read().unwrap();
        assert_eq!(bytes.len(), region.len);
        for batch in BatchIter::new(&bytes) {
            let Ok(batch) = batch else { break };
            batch.validate().unwrap();
            for record in RecordIter::new(batch.header, batch.records()) {
                let record = record.unwrap();
                if record.offset >= offset {
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    found.push((record.offset.0, value));
                }
            }
            offset = batch.header.next_offset();
        }
    }
}

#[test]
fn a_compacted_log_names_the_records_without_a_key() {
    let options = LogOptions { cleanup_compact: true, ..LogOptions::default() };
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
    for key in [Some(&b"k"[..]), None, Some(b""), None] {
        builder.append(NOW.wall_ms, key, Some(b"v"));
    }
    let refused = validate(builder.build(), Origin::Client, &options, NOW).unwrap_err();
    assert_eq!(refused, AppendError::NoKey { count: 2, indexes: vec![1, 3] });
    let many = batch(&["v"; 1001]);
    let AppendError::NoKey { count, indexes } = validate(many, Origin::Client, &options, NOW).unwrap_err() else {
        panic!("it has no keys")
    };
    assert_eq!((count, indexes.len(), indexes.last()), (1001, 1000, Some(&999)));
}

#[test]
fn what_is_appended_is_read_and_survives_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, recovered) = At::new(root.path()).open();
    assert!(recovered.created);
    let info = append(&mut log, batch(&["a", "b"])).unwrap();
    assert_eq!((info.first_offset, info.last_offset), (Offset(0), Offset(1)));
    let info = append(&mut log, batch(&["c"])).unwrap();
    assert_eq!((info.first_offset, info.last_offset), (Offset(2), Offset(2)));
    let expected = vec![(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())];
    assert_eq!(read_all(&log, 0), expected);
    assert_eq!(read_all(&log, 1), expected[1..]);
    assert_eq!(log.durable_end().offset(), Offset(0));
    let outcome = log.flush_ticket().run();
    assert_eq!(log.flushed(outcome).unwrap().offset(), Offset(3));
    drop(log);

    let (log, recovered) = At::new(root.path()).open();
    assert_eq!((recovered.created, recovered.truncated_bytes), (false, 0));
    assert!(recovered.scanned_bytes > 0);
    assert_eq!(read_all(&log, 0), expected);
    assert_eq!(log.durable_end().offset(), Offset(3));
    assert_eq!(log.leader_epochs().entries(), [(LeaderEpoch(1), Offset(0))]);
}

#[test]
fn segments_roll_and_are_read_across() {
    let root = tempfile::tempdir().unwrap();
    let mut at = At::new(root.path());
    at.options.segment_bytes = 200;
    at.options.index_interval_bytes = 0;
    let (mut log, _) = at.open();
    for number in 0..50 {
        append(&mut log, batch(&[&format!("v{number}")])).unwrap();
    }
    let expected: Vec<_> = (0..50).map(|number| (number, format!("v{number}"))).collect();
    for from in 0..50 {
        assert_eq!(read_all(&log, from), expected[usize::try_from(from).unwrap()..]);
    }
    let outcome = log.flush_ticket().run();
    log.flushed(outcome).unwrap();
    drop(log);
    for recovery_point in 0..=50 {
        at.recovery_point = recovery_point;
        let (log, _) = at.open();
        assert_eq!(read_all(&log, 0), expected, "recovery point {recovery_point}");
    }
}

#[test]
fn a_read_ends_at_its_upper_bound_with_a_whole_batch() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = At::new(root.path()).open();
    for number in 0..40 {
        append(&mut log, batch(&[&format!("{number:02}"), "x"])).unwrap();
    }
    let size = batch(&["00", "x"]).len();
    let reader = log.reader();
    let read = |offset, max_bytes, upper_bound, min_one| {
        let request = ReadRequest { offset: Offset(offset), max_bytes, upper_bound: Offset(upper_bound), min_one };
        reader.read(request).unwrap().map(|region| (region.base_offset.0, region.len))
    };
    assert_eq!(read(0, 1 << 20, 80, false), Some((0, 40 * size)));
    for committed in 0..40 {
        let expected = (committed > 0).then_some((0, usize::try_from(committed).unwrap() * size));
        assert_eq!(read(0, 1 << 20, committed * 2, false), expected);
    }
    assert_eq!(read(3, 1 << 20, 6, false), Some((2, 2 * size)));
    assert_eq!(read(3, size - 1, 80, false), None);
    assert_eq!(read(3, size - 1, 80, true), Some((2, size)));
    assert_eq!(read(3, size + 1, 80, true), Some((2, size + 1)));
    assert_eq!(read(80, 1 << 20, 80, true), None);
    let request = ReadRequest { offset: Offset(81), max_bytes: 1, upper_bound: Offset(200), min_one: true };
    assert_eq!(reader.read(request).unwrap_err().code(), crate::model::ErrorCode::OffsetOutOfRange);
}

#[test]
fn the_log_is_cut_behind_its_last_whole_batch() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = At::new(root.path()).open();
    for number in 0..5 {
        append(&mut log, batch(&[&format!("v{number}")])).unwrap();
    }
    drop(log);
    let path = root.path().join("t-0/00000000000000000000.log");
    let whole = std::fs::read(&path).unwrap();
    let size = whole.len() / 5;
    for cut in (0..whole.len()).rev() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (log, recovered) = At::new(root.path()).open();
        assert_eq!(log.log_end_offset().0, i64::try_from(cut / size).unwrap());
        assert_eq!(recovered.truncated_bytes, (cut % size) as u64);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), (cut - cut % size) as u64);
        let (_, again) = At::new(root.path()).open();
        assert_eq!(again.truncated_bytes, 0);
    }
}

#[test]
fn a_cut_log_goes_on_from_there() {
    let root = tempfile::tempdir().unwrap();
    let mut at = At::new(root.path());
    at.options.segment_bytes = 300;
    at.options.index_interval_bytes = 0;
    for cut in 0..=21 {
        let (mut log, _) = at.open();
        log.truncate_fully_and_start_at(Offset::ZERO, NOW).unwrap();
        for number in 0..20 {
            append(&mut log, producer_batch(7, 0, number, 1)).unwrap();
        }
        let outcome = log.flush_ticket().run();
        log.flushed(outcome).unwrap();
        let stale = log.flush_ticket();
        log.truncate_to(Offset(cut), NOW).unwrap();
        let end = cut.min(20);
        assert_eq!((log.log_end_offset().0, log.durable_end().offset().0), (end, end));
        let outcome = stale.run();
        assert_eq!(log.flushed(outcome).unwrap().offset().0, end);
        assert_eq!(read_all(&log, 0).len(), usize::try_from(end).unwrap());
        let next = i32::try_from(end).unwrap();
        assert_eq!(append(&mut log, producer_batch(7, 0, next, 1)).unwrap().first_offset.0, end);
        at.recovery_point = 0;
        drop(log);
        let (log, recovered) = at.open();
        assert_eq!((log.log_end_offset().0, recovered.truncated_bytes), (end + 1, 0));
    }
}

#[test]
fn old_segments_go_by_size_by_time_and_below_the_start() {
    let root = tempfile::tempdir().unwrap();
    let mut at = At::new(root.path());
    at.options.segment_bytes = 150;
    at.recovery_point = 20;
    let (mut log, _) = at.open();
    let check = |log: &mut Log, now, high_watermark, count, start| {
        let deleted = log.delete_old_segments(now, Offset(high_watermark)).unwrap();
        assert_eq!((deleted.segment_count, log.log_start_offset().0), (count, start));
        deleted.remove();
    };
    for number in 0..20 {
        append(&mut log, batch(&[&format!("{number:02}")])).unwrap();
    }
    flush_all(&mut log);
    let size = u64::try_from(batch(&["00"]).len()).unwrap();
    assert_eq!(log.size_bytes(), 20 * size);
    check(&mut log, NOW, 20, 0, 0);
    let bytes = i64::try_from(16 * size).unwrap();
    log.set_options(Arc::new(LogOptions { retention_bytes: bytes, ..at.options.clone() }));
    check(&mut log, NOW, 1, 0, 0);
    check(&mut log, NOW, 3, 1, 2);
    check(&mut log, NOW, 20, 1, 4);
    assert_eq!(log.size_bytes(), 16 * size);
    log.set_options(Arc::new(at.options.clone()));
    assert_eq!(log.advance_log_start_offset(Offset(9), Offset(20)), Offset(9));
    check(&mut log, NOW, 20, 2, 9);
    // Both clocks agree that a week has passed: all goes, and the log goes on behind what it had.
    let later = NOW.plus_ms(7 * 24 * 60 * 60 * 1000 + 1);
    check(&mut log, later, 20, 5, 18);
    // What the begun segment needs to know of producers is not flushed yet.
    flush_all(&mut log);
    check(&mut log, later, 20, 1, 20);
    assert_eq!(log.log_end_offset(), Offset(20));
    assert_eq!(append(&mut log, batch(&["x"])).unwrap().log_start_offset, Offset(20));
    drop(log);
    let names: Vec<_> =
        std::fs::read_dir(root.path().join("t-0")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.iter().filter(|name| name.to_string_lossy().ends_with(".log")).count(), 1, "{names:?}");
}

#[test]
fn a_wall_clock_that_jumps_deletes_one_segment() {
    let root = tempfile::tempdir().unwrap();
    let mut at = At::new(root.path());
    at.options.segment_bytes = 150;
    at.recovery_point = 20;
    let (mut log, _) = at.open();
    for _ in 0..20 {
        append(&mut log, batch(&["v"])).unwrap();
    }
    flush_all(&mut log);
    assert_eq!(log.delete_old_segments(NOW, Offset(20)).unwrap().segment_count, 0);
    let jumped = Now { wall_ms: NOW.wall_ms * 2, monotonic_ms: NOW.monotonic_ms + 1000 };
    assert_eq!(log.delete_old_segments(jumped, Offset(20)).unwrap().segment_count, 1);
}

#[test]
fn offsets_are_found_by_time() {
    let root = tempfile::tempdir().unwrap();
    let mut at = At::new(root.path());
    at.options.segment_bytes = 500;
    at.options.index_interval_bytes = 100;
    at.options.retention_ms = -1;
    let (mut log, _) = at.open();
    assert_eq!(log.reader().offset_for_timestamp(0).unwrap(), None);
    assert_eq!(log.reader().max_timestamp().unwrap(), None);
    // Two records a batch; times rise, but for every third batch.
    let times: Vec<[i64; 2]> =
        (0..30).map(|n| if n % 3 == 2 { [10, 20] } else { [n * 100 + 50, n * 100 + 10] }).collect();
    let mut records = Vec::new();
    for batch_times in &times {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), batch_times[0]);
        for time in batch_times {
            builder.append(*time, None, Some(b"v"));
            records.push(*time);
        }
        append(&mut log, builder.build()).unwrap();
    }
    let check = |log: &Log| {
        for time in (0..3100).step_by(5) {
            let expected =
                records.iter().position(|found| *found >= time).map(|offset| (offset as i64, records[offset]));
            let found = log.reader().offset_for_timestamp(time).unwrap();
            assert_eq!(found.map(|found| (found.offset.0, found.timestamp_ms)), expected, "time {time}");
        }
        let max = log.reader().max_timestamp().unwrap().unwrap();
        assert_eq!((max.offset, max.timestamp_ms), (Offset(56), 2850));
    };
    check(&log);
    at.recovery_point = log.close().unwrap().offset().0;
    at.clean_shutdown = true;
    check(&at.open().0);
}

#[test]
fn a_clean_stop_leaves_nothing_to_do() {
    let root = tempfile::tempdir().unwrap();
    let mut at = At::new(root.path());
    at.options.segment_bytes = 500;
    at.options.index_interval_bytes = 100;
    let (mut log, _) = at.open();
    for number in 0..30 {
        append(&mut log, producer_batch(3, 0, number, 1)).unwrap();
    }
    at.recovery_point = log.close().unwrap().offset().0;
    at.clean_shutdown = true;
    let files = |root: &Path| -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let dir = root.join("t-0");
        let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).collect();
        files.sort_by_key(|entry| entry.file_name());
        files.into_iter().map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
    };
    let before = files(root.path());
    for _ in 0..3 {
        let (mut log, recovered) = at.open();
        assert_eq!(recovered, Recovered::default());
        assert!(!log.needs_flush());
        assert_eq!(log.producers().iter().next().unwrap().1.batches.len(), 5);
        assert_eq!(log.close().unwrap().offset().0, 30);
        assert_eq!(files(root.path()), before);
    }
    // What recovery makes of the same bytes is the same.
    at.clean_shutdown = false;
    at.recovery_point = 0;
    let (mut log, _) = at.open();
    log.close().unwrap();
    assert_eq!(files(root.path()), before);
}
