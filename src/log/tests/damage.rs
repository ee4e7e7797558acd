//! What stands beside the `.log` files is damaged, missing or left over: the log answers as a walk over its batches would.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rstest::rstest;

use super::sim::{DIR, open, open_in, options};
use super::*;
use crate::io::disk::Disk;
use crate::io::sim_disk::SimDisk;
use crate::model::BrokerId;

const BATCHES: i64 = 24;

/// When batch `number` was written: rising, but for every fifth.
fn time(number: i64) -> i64 {
    if number % 5 == 4 { 17 } else { 1000 + number * 100 }
}

/// A log of several segments with two records a batch; flushed.
fn filled() -> (SimDisk, LogOptions) {
    let disk = SimDisk::new();
    let options = LogOptions { retention_ms: -1, ..options() };
    let (_, mut log) = open(&disk, &options);
    for number in 0..BATCHES {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), time(number));
        for record in 0..2 {
            builder.append(time(number) + record, None, Some(format!("{number}/{record}").as_bytes()));
        }
        append(&mut log, builder.build()).unwrap();
    }
    log.close().unwrap();
    (disk, options)
}

fn files(disk: &SimDisk, suffix: &str) -> Vec<PathBuf> {
    let entries = disk.read_dir(Path::new(DIR)).unwrap();
    let names = entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(suffix));
    names.map(|name| Path::new(DIR).join(name)).collect()
}

fn write(disk: &SimDisk, path: &Path, content: &[u8]) {
    disk.write_atomically(path, content).unwrap();
}

/// Every offset and every time is found as the list of what was written says.
fn check(log: &Log) {
    let all: Vec<(i64, String)> =
        (0..BATCHES * 2).map(|offset| (offset, format!("{}/{}", offset / 2, offset % 2))).collect();
    let reader = log.reader();
    for offset in 0..BATCHES * 2 {
        let upper_bound = Offset(BATCHES * 2);
        let request = ReadRequest { offset: Offset(offset), max_bytes: 1, upper_bound, min_one: true };
        let region = reader.read(request).unwrap().unwrap();
        assert_eq!(region.base_offset.0, offset - offset % 2);
    }
    assert_eq!(read_all(log, 0), all);
    let times: Vec<i64> = (0..BATCHES * 2).map(|offset| time(offset / 2) + offset % 2).collect();
    for wanted in (0..1000 + BATCHES * 100).step_by(50) {
        let expected = times.iter().position(|time| *time >= wanted).map(|offset| (offset as i64, times[offset]));
        let found = reader.offset_for_timestamp(wanted).unwrap().map(|found| (found.offset.0, found.timestamp_ms));
        assert_eq!(found, expected, "time {wanted}");
    }
    let latest = times.iter().copied().enumerate().max_by_key(|(_, time)| *time).unwrap();
    let max = reader.max_timestamp().unwrap().unwrap();
    assert_eq!((max.offset.0, max.timestamp_ms), (latest.0 as i64, latest.1));
}

/// As after a crash, and as after a clean stop.
fn check_both(disk: &SimDisk, options: &LogOptions) {
    for recovery_point in [BATCHES * 2, 0] {
        let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
        let (log, recovered) = open_in(&log_dir, options, recovery_point).unwrap();
        assert_eq!(recovered.truncated_bytes, 0);
        check(&log);
    }
}

/// Power may have kept a later segment and lost one before it. Who kept it would pass for one that has all of it.
#[rstest]
#[case::plain(false, 2, false)]
#[case::compacted(true, 2, false)]
#[case::compacted_and_no_recovery_point(true, 0, true)]
fn nothing_is_kept_behind_a_lost_segment(#[case] is_compacted: bool, #[case] point: i64, #[case] is_kept: bool) {
    let (disk, options) = filled();
    let options = LogOptions { cleanup_compact: is_compacted, ..options };
    let logs = files(&disk, ".log");
    let lost = &logs[logs.len() - 2];
    disk.remove_file(lost).unwrap();
    let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    let (log, _) = open_in(&log_dir, &options, point).unwrap();
    let before: i64 = lost.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(log.log_end_offset().0, if is_kept { BATCHES * 2 } else { before });
}

/// A start after a kill flushes what it has changed: of thousands of small logs, none.
#[test]
fn a_small_segment_without_an_index_lacks_nothing() {
    let disk = SimDisk::new();
    let (log_dir, mut log) = open(&disk, &options());
    append(&mut log, batch(&["a"])).unwrap();
    drop(log);
    drop(log_dir);
    assert_eq!(files(&disk, "index"), Vec::<PathBuf>::new());
    let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    let (log, recovered) = open_in(&log_dir, &options(), 1).unwrap();
    assert_eq!((recovered.indexes_rebuilt, recovered.scanned_bytes, log.log_end_offset()), (0, 0, Offset(1)));
}

#[test]
fn a_missing_index_is_written_again() {
    let (whole, options) = filled();
    for suffix in [".index", ".timeindex"] {
        for path in files(&whole, suffix) {
            let (disk, _) = filled();
            let before = disk.read(&path).unwrap();
            disk.remove_file(&path).unwrap();
            let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
            let (mut log, recovered) = open_in(&log_dir, &options, BATCHES * 2).unwrap();
            assert_eq!((recovered.indexes_rebuilt, recovered.truncated_bytes), (1, 0), "{path:?}");
            check(&log);
            log.close().unwrap();
            assert_eq!(disk.read(&path).unwrap(), before, "{path:?}");
        }
    }
}

#[test]
fn an_emptied_or_zeroed_index_is_not_believed() {
    let (whole, _) = filled();
    for suffix in [".index", ".timeindex"] {
        for path in files(&whole, suffix) {
            for zeros in [0, whole.read(&path).unwrap().len()] {
                let (disk, options) = filled();
                write(&disk, &path, &vec![0; zeros]);
                check_both(&disk, &options);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Remove,
    Truncate(usize),
    Flip(usize, u8),
    Zero(usize, usize),
    Append(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Remove),
        any::<usize>().prop_map(Damage::Truncate),
        (any::<usize>(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<usize>(), 1..40usize).prop_map(|(at, count)| Damage::Zero(at, count)),
        proptest::collection::vec(any::<u8>(), 1..30).prop_map(Damage::Append),
    ]
}

fn apply(disk: &SimDisk, path: &Path, damage: &Damage) {
    let mut content = disk.read(path).unwrap_or_default();
    let len = content.len();
    match damage {
        Damage::Remove if disk.exists(path) => return disk.remove_file(path).unwrap(),
        // Within an entry, or to nothing: whole entries lost from the end of a time index cannot always be seen.
        Damage::Truncate(to) => {
            let to = to % (len + 1);
            content.truncate(if to.is_multiple_of(12) || to.is_multiple_of(8) { 0 } else { to });
        }
        Damage::Flip(at, bits) if len > 0 => content[at % len] ^= bits,
        Damage::Zero(at, count) if len > 0 => {
            let at = at % len;
            content[at..(at + count).min(len)].fill(0);
        }
        Damage::Append(bytes) => content.extend(bytes),
        _ => {}
    }
    write(disk, path, &content);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_index_answers_as_a_walk(
        damages in proptest::collection::vec((any::<prop::sample::Index>(), damage()), 1..5),
    ) {
        let (disk, options) = filled();
        let mut paths = files(&disk, ".index");
        paths.extend(files(&disk, ".timeindex"));
        for (at, damage) in &damages {
            apply(&disk, &paths[at.index(paths.len())], damage);
        }
        check_both(&disk, &options);
    }
}

#[test]
fn leftovers_of_deletion_and_compaction_go_or_take_their_place() {
    let names =
        |disk: &SimDisk| disk.read_dir(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect::<Vec<_>>();
    let (disk, options) = filled();
    drop(open(&disk, &options));
    let whole = names(&disk);
    let logs = files(&disk, ".log");
    // A deletion that stopped, a compaction that stopped before its set was whole, and an index without its log.
    let second = disk.read(&logs[1]).unwrap();
    for name in [
        "00000000000000000900.log.deleted",
        "00000000000000000900.timeindex.deleted",
        "00000000000000000000.log.cleaned",
        "00000000000000000000.log.swap",
        "00000000000000000900.index",
    ] {
        write(&disk, &Path::new(DIR).join(name), &second);
    }
    let (_, log) = open(&disk, &options);
    check(&log);
    assert_eq!(names(&disk), whole);
    drop(log);
    // A whole set: the two first segments in one file replace both.
    let mut merged = disk.read(&logs[0]).unwrap();
    merged.extend(&second);
    write(&disk, &Path::new(DIR).join("00000000000000000000.log.swap"), &merged);
    let (_, log) = open(&disk, &options);
    check(&log);
    assert_eq!(disk.read(&logs[0]).unwrap(), merged);
    assert!(!disk.exists(&logs[1]));
    assert!(!names(&disk).iter().any(|name| name.ends_with(".swap")));
}

#[test]
fn log_append_time_is_the_brokers() {
    let options = LogOptions {
        message_timestamp_type: crate::protocol::record_batch::TimestampType::LogAppendTime,
        ..LogOptions::default()
    };
    let disk = SimDisk::new();
    let (_, mut log) = open(&disk, &options);
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), 5);
    for time in [5, 9] {
        builder.append(time, None, Some(b"v"));
    }
    let now = NOW.plus_ms(7);
    let validated = validate(builder.build(), Origin::Client, &options, now).unwrap();
    let info = log.append_as_leader(now, LeaderEpoch(1), &validated).unwrap();
    assert_eq!(info.log_append_time_ms, now.wall_ms);
    let bytes = disk.read(&files(&disk, ".log")[0]).unwrap();
    let stored = BatchIter::new(&bytes).next().unwrap().unwrap();
    stored.validate().unwrap();
    assert_eq!(stored.header.max_timestamp_ms, now.wall_ms);
    let times: Vec<i64> =
        RecordIter::new(stored.header, stored.records()).map(|record| record.unwrap().timestamp_ms).collect();
    assert_eq!(times, [now.wall_ms; 2]);
    let found = log.reader().offset_for_timestamp(now.wall_ms).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp_ms), (Offset(0), now.wall_ms));
    assert_eq!(log.reader().offset_for_timestamp(now.wall_ms + 1).unwrap(), None);
}

#[test]
fn meta_properties_are_read_as_written_and_as_kafka_writes_them() {
    let disk = SimDisk::new();
    let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    assert_eq!(log_dir.read_meta_properties().unwrap(), None);
    let id: TopicId = "AAAAAAAAAAAAAAAAAAAAZQ".parse().unwrap();
    let meta = MetaProperties { cluster_id: "4L6g3nShT-eMCtK--X86sw".into(), node_id: BrokerId(3), directory_id: id };
    log_dir.write_meta_properties(&meta).unwrap();
    assert_eq!(log_dir.read_meta_properties().unwrap(), Some(meta.clone()));
    let path = Path::new("/data/meta.properties");
    let kafka = "#\n#Fri Nov 21 10:00:00 UTC 2025\nnode.id=3\ndirectory.id=AAAAAAAAAAAAAAAAAAAAZQ\nversion=1\n\
                 cluster.id=4L6g3nShT-eMCtK--X86sw\n";
    write(&disk, path, kafka.as_bytes());
    assert_eq!(log_dir.read_meta_properties().unwrap(), Some(meta));
    for (from, to) in
        [("version=1", "vision=1"), ("node.id=3", "node.id=x"), ("cluster.id=", "c="), ("AAAAAAA", "?"), ("=1", "")]
    {
        write(&disk, path, kafka.replacen(from, to, 1).as_bytes());
        assert!(matches!(log_dir.read_meta_properties(), Err(LogError::Malformed { .. })), "{from} as {to}");
    }
    for other in ["0", "2"] {
        // Its other fields may have other names.
        write(&disk, path, format!("version={other}\nbroker.id=3\n").as_bytes());
        let read = log_dir.read_meta_properties();
        assert!(matches!(&read, Err(LogError::OtherVersion { found, .. }) if found == other), "{read:?}");
    }
}
