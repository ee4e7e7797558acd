//! The log as its users see it, on a directory of its own.

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
            now: NOW,
        };
        Log::open(&log_dir, &open).unwrap()
    }
}

pub(super) fn append(log: &mut Log, bytes: Bytes) -> Result<AppendInfo, AppendError> {
    let options = log.options().clone();
    log.append_as_leader(NOW, LeaderEpoch(1), &validate(bytes, Origin::Client, &options, NOW)?)
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
