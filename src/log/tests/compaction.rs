//! What compaction leaves: single rules here, random histories and crashes in `histories`.

mod histories;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::io::sim_disk::SimDisk;
use crate::log::records::for_each_record;
use crate::model::{PartitionIndex, TopicPartition};
use crate::protocol::compression::Compression;
use crate::protocol::rebuild::Rebuild;
use crate::protocol::record_batch::{BatchHeader, BatchView, Codec};

const RETENTION_MS: i64 = 1000;
const NO_LAG: CompactionLag = CompactionLag { min_ms: 0, max_ms: i64::MAX };

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 1500,
        index_interval_bytes: 150,
        cleanup_compact: true,
        cleanup_delete: false,
        retention_ms: -1,
        ..LogOptions::default()
    }
}

fn pass_options(now: Now) -> PassOptions {
    PassOptions {
        now,
        delete_retention_ms: RETENTION_MS,
        map_bytes: 1 << 16,
        load_factor: 0.9,
        io_buffer_bytes: 200,
        seed: 7,
    }
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", PartitionIndex(0))
}

struct Fixture {
    disk: SimDisk,
    log_dir: Arc<LogDir>,
    log: Log,
    now: Now,
}

impl Fixture {
    fn new() -> Fixture {
        let disk = SimDisk::new();
        let (log_dir, log) = open(&disk);
        Fixture { disk, log_dir, log, now: NOW }
    }

    fn put(&mut self, records: &[(&str, Option<&str>)]) {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), self.now.wall_ms);
        for (key, value) in records {
            builder.append(self.now.wall_ms, Some(key.as_bytes()), value.map(str::as_bytes));
        }
        self.append(builder.build());
    }

    fn append(&mut self, bytes: Bytes) {
        let batches = validate(bytes, Origin::Coordinator, self.log.options(), self.now).expect("a good batch");
        self.log.append_as_leader(self.now, LeaderEpoch(1), &batches).expect("room");
    }

    /// Ends the segment, and has everything before it on stable storage.
    fn settle(&mut self) {
        self.log.roll(self.now).expect("no fault");
        flush_and_checkpoint(&mut self.log, &self.log_dir);
    }

    fn clean(&mut self) -> Option<PassOutcome> {
        self.settle();
        clean(&mut self.log, pass_options(self.now))
    }

    fn later(&mut self, ms: i64) {
        self.now.wall_ms += ms;
    }

    fn left(&self) -> Vec<(i64, String, String)> {
        let text = |part: Option<Vec<u8>>| part.map_or("-".to_owned(), |part| String::from_utf8(part).expect("text"));
        read(&self.log).into_iter().map(|record| (record.offset.0, text(record.key), text(record.value))).collect()
    }

    fn reopen(&mut self) {
        (self.log_dir, self.log) = open(&self.disk);
    }
}

fn open(disk: &SimDisk) -> (Arc<LogDir>, Log) {
    // Fewer descriptors than segments.
    let opened = LogDir::open_sharing(Arc::new(disk.clone()), Path::new("/data"), Descriptors::new(2));
    let log_dir = opened.expect("a directory");
    let offsets = log_dir.read_offsets(RECOVERY_POINT_CHECKPOINT).expect("a checkpoint");
    let open = OpenLog {
        name: "t-0",
        topic_id: TopicId::ZERO,
        options: Arc::new(options()),
        recovery_point: offsets.get(&partition()).copied().unwrap_or(Offset::ZERO),
        log_start_offset: Offset::ZERO,
        clean_shutdown: false,
        may_have_gaps: false,
        now: NOW,
    };
    let (log, _) = Log::open(&log_dir, &open).expect("a log");
    (log_dir, log)
}

fn flush_and_checkpoint(log: &mut Log, log_dir: &LogDir) {
    let outcome = log.flush_ticket().run();
    let durable_end = log.flushed(outcome).expect("no fault").offset();
    let offsets = BTreeMap::from([(partition(), durable_end)]);
    log_dir.write_offsets(RECOVERY_POINT_CHECKPOINT, &offsets).expect("no fault");
}

/// One pass, if there is anything to clean.
fn clean(log: &mut Log, options: PassOptions) -> Option<PassOutcome> {
    let end = log.log_end_offset();
    clean_below(log, options, end)
}

fn clean_below(log: &mut Log, options: PassOptions, last_stable: Offset) -> Option<PassOutcome> {
    let mut pass = Pass::new(log.cleanable(options.now, NO_LAG, last_stable)?, options);
    loop {
        match pass.step().expect("a whole log") {
            Step::Worked { .. } => {}
            Step::Ready(cleaned) => {
                assert!(log.can_exchange(&cleaned));
                cleaned.commit().expect("no fault");
                log.exchange(&cleaned);
            }
            Step::Done(outcome) => {
                log.cleaned_up_to(outcome.cleaned_to);
                return Some(outcome);
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    offset: Offset,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    /// Of which batch.
    header: BatchHeader,
}

fn batches(log: &Log) -> Vec<Vec<u8>> {
    let reader = log.reader();
    let (mut found, mut offset) = (Vec::new(), log.log_start_offset());
    while offset < log.log_end_offset() {
        let request = ReadRequest { offset, max_bytes: 700, upper_bound: log.log_end_offset(), min_one: true };
        let region = reader.read(request).expect("a read").unwrap_or_else(|| panic!("a gap up to the end at {offset}"));
        for batch in BatchIter::new(&region.read().expect("bytes")) {
            let Ok(batch) = batch else { break };
            assert_eq!(batch.validate(), Ok(()));
            assert!(batch.header.last_offset() >= offset, "batches rise");
            offset = batch.header.next_offset();
            found.push(batch.bytes().to_vec());
        }
    }
    found
}

/// Every record but control records, also those of transactions that were aborted.
fn read(log: &Log) -> Vec<Stored> {
    let mut found = Vec::new();
    for bytes in batches(log) {
        let batch = BatchView::parse(&bytes).expect("a batch");
        if batch.header.is_control() {
            continue;
        }
        for_each_record(&batch, |record| {
            found.push(Stored {
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                header: batch.header,
            });
            true
        })
        .expect("records");
    }
    found
}

/// The same records in another codec.
fn in_codec(batch: &Bytes, codec: Codec) -> Bytes {
    let view = BatchView::parse(batch).expect("a batch");
    let mut rebuild = Rebuild::new(&view.header, None);
    for record in RecordIter::new(view.header, view.records()) {
        rebuild.push(&record.expect("a record"));
    }
    rebuild.finish(Compression::of(codec)).into()
}

fn entry(offset: i64, key: &str, value: &str) -> (i64, String, String) {
    (offset, key.to_owned(), value.to_owned())
}

#[test]
fn of_each_key_the_last_record_stays_where_it_was() {
    let mut fixture = Fixture::new();
    fixture.put(&[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]);
    fixture.put(&[("c", Some("1")), ("b", Some("2"))]);
    fixture.put(&[("a", Some("3"))]);
    let before = fixture.log.log_end_offset();
    let outcome = fixture.clean().expect("dirty");
    assert_eq!(outcome.cleaned_to, Offset(6));
    let expected = [entry(3, "c", "1"), entry(4, "b", "2"), entry(5, "a", "3")];
    assert_eq!(fixture.left(), expected);
    assert_eq!((fixture.log.log_start_offset(), fixture.log.log_end_offset()), (Offset(0), before));
    assert!(fixture.clean().is_none(), "nothing is dirty any more");
    fixture.reopen();
    assert_eq!(fixture.left(), expected);
    // What is in the active segment is not touched, and counts in no map.
    fixture.put(&[("c", Some("2"))]);
    flush_and_checkpoint(&mut fixture.log, &fixture.log_dir);
    assert!(clean(&mut fixture.log, pass_options(fixture.now)).is_some(), "cleaned anew: no checkpoint was read");
    assert_eq!(fixture.left().len(), 4);
}

#[test]
fn a_tombstone_goes_when_its_horizon_has_passed_and_not_before() {
    let mut fixture = Fixture::new();
    fixture.put(&[("a", Some("1")), ("b", Some("1"))]);
    fixture.put(&[("a", None), ("c", Some("1"))]);
    fixture.clean().expect("dirty");
    let with_tombstone = [entry(1, "b", "1"), entry(2, "a", "-"), entry(3, "c", "1")];
    assert_eq!(fixture.left(), with_tombstone);
    let header = read(&fixture.log)[1].header;
    assert_eq!((header.has_delete_horizon(), header.base_timestamp_ms), (true, NOW.wall_ms + RETENTION_MS));
    assert_eq!(read(&fixture.log)[1].timestamp_ms, NOW.wall_ms, "times are what they were");
    fixture.later(RETENTION_MS - 1);
    fixture.put(&[("d", Some("1"))]);
    fixture.clean().expect("dirty");
    assert_eq!(fixture.left()[..3], with_tombstone);
    fixture.later(1);
    fixture.put(&[("d", Some("2"))]);
    fixture.clean().expect("dirty");
    assert_eq!(fixture.left(), [entry(1, "b", "1"), entry(3, "c", "1"), entry(5, "d", "2")]);
}

#[test]
fn a_record_without_a_key_goes() {
    let mut fixture = Fixture::new();
    fixture.append(batch(&["unkeyed"]));
    fixture.put(&[("a", Some("1"))]);
    fixture.clean().expect("dirty");
    assert_eq!(fixture.left(), [entry(1, "a", "1")]);
}

#[test]
fn a_producers_last_batch_stays_empty_and_a_retry_of_it_is_still_a_duplicate() {
    let mut fixture = Fixture::new();
    let keyed = |sequence: i32, key: &str| {
        let builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
        let mut builder = builder.producer(ProducerId(9), ProducerEpoch(0), Sequence(sequence));
        builder.append(NOW.wall_ms, Some(key.as_bytes()), Some(b"v"));
        builder.append(NOW.wall_ms, Some(key.as_bytes()), Some(b"w"));
        builder.build()
    };
    for sequence in [0, 2, 4] {
        fixture.append(keyed(sequence, "a"));
    }
    fixture.put(&[("a", Some("last")), ("z", Some("1"))]);
    fixture.clean().expect("dirty");
    assert_eq!(fixture.left(), [entry(6, "a", "last"), entry(7, "z", "1")]);
    let headers: Vec<_> = batches(&fixture.log).iter().map(|batch| BatchHeader::parse(batch).expect("ok")).collect();
    assert_eq!((headers[0].record_count, headers[0].last_sequence()), (0, Sequence(5)));
    // Also when only the log is left to tell.
    let dir = Path::new("/data/t-0");
    let disk: &dyn crate::io::disk::Disk = &fixture.disk;
    for name in disk.read_dir(dir).expect("a directory") {
        if name.name.ends_with(".snapshot") || name.name.ends_with(".producers") {
            disk.remove_file(&dir.join(&name.name)).expect("removed");
        }
    }
    fixture.reopen();
    let retried = validate(keyed(4, "a"), Origin::Client, &options(), NOW).expect("a good batch");
    let answered = fixture.log.append_as_leader(NOW, LeaderEpoch(1), &retried).expect("known");
    assert!(answered.duplicate);
    assert_eq!((answered.first_offset, answered.last_offset), (Offset(4), Offset(5)));
    let next = validate(keyed(6, "a"), Origin::Client, &options(), NOW).expect("a good batch");
    assert!(!fixture.log.append_as_leader(NOW, LeaderEpoch(1), &next).expect("the next").duplicate);
}

#[test]
fn batches_keep_their_codec_and_segments_become_one() {
    let mut fixture = Fixture::new();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd, Codec::None] {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
        builder.append(NOW.wall_ms, Some(b"same"), Some(b"goes"));
        builder.append(NOW.wall_ms, Some(format!("{codec:?}").as_bytes()), Some(&[b'x'; 300]));
        fixture.append(in_codec(&builder.build(), codec));
        fixture.settle();
    }
    fixture.put(&[("same", Some("stays"))]);
    let files = |fixture: &Fixture| {
        let disk: &dyn crate::io::disk::Disk = &fixture.disk;
        let names = disk.read_dir(Path::new("/data/t-0")).expect("a directory").into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with(".log")).collect::<Vec<_>>()
    };
    assert_eq!(files(&fixture).len(), 6);
    fixture.clean().expect("dirty");
    assert_eq!(files(&fixture).len(), 2, "one, and the active one: {:?}", files(&fixture));
    let codecs: Vec<_> = read(&fixture.log).iter().map(|record| record.header.codec().expect("known")).collect();
    assert_eq!(codecs, [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd, Codec::None, Codec::None]);
}

#[test]
fn readers_that_hold_an_old_segment_finish_with_it() {
    let mut fixture = Fixture::new();
    for number in 0..20 {
        fixture.put(&[("a", Some(&format!("value {number}"))), ("b", Some("x"))]);
    }
    fixture.settle();
    let reader = fixture.log.reader();
    let held = reader.segments.load_full();
    let upper_bound = fixture.log.log_end_offset();
    let request = ReadRequest { offset: Offset(0), max_bytes: 1 << 20, upper_bound, min_one: true };
    let region = reader.read(request).expect("a read").expect("records");
    let before = region.read().expect("bytes");
    let end_of_first = held[0].end_offset();
    fixture.clean().expect("dirty");
    assert_eq!(region.read().expect("bytes"), before);
    for offset in 0..end_of_first.0 {
        let located = held[0].locate(Offset(offset)).expect("found").expect("there");
        assert!(located.header.base_offset <= Offset(offset) && located.header.last_offset() >= Offset(offset));
    }
    assert_eq!(fixture.left().len(), 2);
}

#[test]
fn what_may_not_be_cleaned_is_not() {
    let mut fixture = Fixture::new();
    fixture.put(&[("a", Some("1")), ("a", Some("2"))]);
    fixture.log.roll(fixture.now).expect("no fault");
    let end = fixture.log.log_end_offset();
    assert!(fixture.log.cleanable(NOW, NO_LAG, end).is_none(), "above the recovery point");
    flush_and_checkpoint(&mut fixture.log, &fixture.log_dir);
    assert!(fixture.log.cleanable(NOW, NO_LAG, Offset(1)).is_none(), "above the last stable offset");
    let young = CompactionLag { min_ms: 100, max_ms: i64::MAX };
    assert!(fixture.log.cleanable(NOW, young, end).is_none());
    let later = |ms: i64| Now { wall_ms: NOW.wall_ms + ms, ..NOW };
    assert!(fixture.log.cleanable(later(99), young, end).is_none());
    let plan = fixture.log.cleanable(later(100), young, end).expect("old enough");
    assert_eq!((plan.first_dirty, plan.end, plan.clean_bytes), (Offset(0), Offset(2), 0));
    assert!((plan.dirty_ratio() - 1.0).abs() < f64::EPSILON);
    let lag = |max_ms| CompactionLag { min_ms: 0, max_ms };
    assert!(!plan.is_overdue(later(50), lag(i64::MAX)).expect("read"));
    assert!(!plan.is_overdue(later(50), lag(50)).expect("read"));
    assert!(plan.is_overdue(later(51), lag(50)).expect("read"));
}

#[test]
fn a_log_that_is_compacted_and_deleted_loses_old_segments_too() {
    let mut fixture = Fixture::new();
    fixture.put(&[("a", Some("1")), ("b", Some("1"))]);
    fixture.put(&[("a", Some("2"))]);
    fixture.clean().expect("dirty");
    fixture.later(501);
    fixture.put(&[("c", Some("1"))]);
    flush_and_checkpoint(&mut fixture.log, &fixture.log_dir);
    let mut retain = |options: LogOptions| {
        fixture.log.set_options(Arc::new(LogOptions { retention_ms: 500, ..options }));
        let end = fixture.log.log_end_offset();
        fixture.log.delete_old_segments(fixture.now, end).expect("no fault").remove();
        fixture.left()
    };
    let compacted = [entry(1, "b", "1"), entry(2, "a", "2"), entry(3, "c", "1")];
    assert_eq!(retain(options()), compacted, "time takes nothing from a log that is only compacted");
    assert_eq!(retain(LogOptions { cleanup_delete: true, ..options() }), [entry(3, "c", "1")]);
    assert_eq!(fixture.log.log_start_offset(), Offset(3));
}

#[test]
fn a_map_too_small_for_all_keys_cleans_in_several_passes() {
    let mut fixture = Fixture::new();
    for number in 0..60 {
        fixture.put(&[(&format!("key {}", number % 20), Some(&format!("value {number}")))]);
    }
    fixture.settle();
    let mut passes = 0;
    let options = PassOptions { map_bytes: 8 * 24, ..pass_options(fixture.now) };
    let mut last = Offset::ZERO;
    while let Some(outcome) = clean(&mut fixture.log, options) {
        assert!(outcome.cleaned_to > last, "every pass gets on");
        (last, passes) = (outcome.cleaned_to, passes + 1);
    }
    assert!(passes > 3, "{passes}");
    assert_eq!(last, Offset(60));
    let values: Vec<_> = fixture.left().into_iter().map(|record| record.0).collect();
    assert_eq!(values, (40..60).collect::<Vec<_>>());
}

#[test]
fn a_log_that_is_cut_meanwhile_is_not_exchanged() {
    let mut fixture = Fixture::new();
    for number in 0..10 {
        fixture.put(&[("a", Some(&format!("value {number}")))]);
    }
    fixture.settle();
    fixture.put(&[("b", Some("1"))]);
    let plan = fixture.log.cleanable(NOW, NO_LAG, fixture.log.log_end_offset()).expect("dirty");
    let mut pass = Pass::new(plan, pass_options(NOW));
    let cleaned = loop {
        if let Step::Ready(cleaned) = pass.step().expect("a whole log") {
            break cleaned;
        }
    };
    fixture.log.truncate_to(Offset(5), NOW).expect("a cut");
    assert!(!fixture.log.can_exchange(&cleaned));
    cleaned.discard();
    pass.give_up();
    assert_eq!(fixture.left().len(), 5);
    let disk: &dyn crate::io::disk::Disk = &fixture.disk;
    let names = disk.read_dir(Path::new("/data/t-0")).expect("a directory");
    assert!(names.iter().all(|entry| !entry.name.contains("cleaned") && !entry.name.contains("swap")), "{names:?}");
}

#[test]
fn a_broken_batch_ends_the_pass_and_changes_nothing() {
    let mut fixture = Fixture::new();
    for number in 0..10 {
        fixture.put(&[("a", Some(&format!("value {number}")))]);
    }
    fixture.settle();
    let disk: &dyn crate::io::disk::Disk = &fixture.disk;
    let file = disk.open(Path::new("/data/t-0/00000000000000000000.log"), false).expect("the log");
    file.write_all_at(&mut [std::io::IoSlice::new(b"?")], 100).expect("no fault");
    let plan = fixture.log.cleanable(NOW, NO_LAG, fixture.log.log_end_offset()).expect("dirty");
    let mut pass = Pass::new(plan, pass_options(NOW));
    let error = loop {
        match pass.step() {
            Ok(Step::Worked { .. }) => {}
            Ok(_) => panic!("a broken log was cleaned"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CompactionError::Read(ReadError::Batch(_))), "{error}");
    pass.give_up();
}
