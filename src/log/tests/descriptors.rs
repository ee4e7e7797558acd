//! Few descriptors for many segments: whatever is closed for others is opened again, and never for what came in its place.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::io::sim_disk::{SimDisk, SimRandom};
use crate::io::watched_disk::{Watch, WatchedDisk};
use crate::log::segment::Segment;
use crate::model::{PartitionIndex, TopicPartition};

const LIMIT: usize = 3;
/// `EMFILE`.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// A simulated disk that counts the files that are open, and refuses to open any more when told.
type CountingDisk = WatchedDisk<SimDisk, Counts>;

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    opened: AtomicUsize,
    /// Which opening is refused, and how many from there on.
    refused_from: AtomicUsize,
    refused_count: AtomicUsize,
}

impl CountingDisk {
    fn new(disk: SimDisk) -> CountingDisk {
        WatchedDisk { disk, watch: Arc::default() }
    }

    /// Refuses `count` openings after the next `after`.
    fn refuse(&self, after: usize, count: usize) {
        let opened = self.watch.opened.load(Ordering::Relaxed);
        self.watch.refused_from.store(opened + after, Ordering::Relaxed);
        self.watch.refused_count.store(count, Ordering::Relaxed);
    }

    fn open_count(&self) -> usize {
        self.watch.open.load(Ordering::Relaxed)
    }
}

impl Watch for Counts {
    fn opens(&self, _path: &Path) -> io::Result<()> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let refused_from = self.refused_from.load(Ordering::Relaxed);
        match (refused_from..refused_from + self.refused_count.load(Ordering::Relaxed)).contains(&number) {
            true => Err(io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES)),
            false => Ok(()),
        }
    }
    fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }
    fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A segment as a slow reader holds it, and its bytes at the time.
type Held = (Arc<Segment>, Vec<u8>);

struct History {
    disk: CountingDisk,
    random: SimRandom,
    descriptors: Arc<Descriptors>,
    log: Log,
    /// Key and value of every record that was appended and not cut away since.
    appended: BTreeMap<i64, (String, String)>,
    recovery_point: Offset,
    cleaned_to: Offset,
    held: Vec<Held>,
}

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 300,
        index_interval_bytes: 80,
        cleanup_compact: true,
        retention_bytes: 12_000,
        retention_ms: -1,
        ..LogOptions::default()
    }
}

fn open(disk: &CountingDisk, descriptors: &Arc<Descriptors>, recovery_point: Offset, clean_shutdown: bool) -> Log {
    let log_dir =
        LogDir::open_sharing(Arc::new(disk.clone()), Path::new("/data"), Arc::clone(descriptors)).expect("a directory");
    let open = OpenLog {
        name: "t-0",
        topic_id: TopicId::ZERO,
        options: Arc::new(options()),
        recovery_point,
        log_start_offset: Offset::ZERO,
        clean_shutdown,
        may_have_gaps: false,
        now: NOW,
    };
    Log::open(&log_dir, &open).expect("a log").0
}

impl History {
    fn new(seed: u64) -> History {
        let (disk, descriptors) = (CountingDisk::new(SimDisk::new()), Descriptors::new(LIMIT));
        let log = open(&disk, &descriptors, Offset::ZERO, false);
        let random = SimRandom::new(seed);
        let (appended, held) = (BTreeMap::new(), Vec::new());
        let (recovery_point, cleaned_to) = (Offset::ZERO, Offset::ZERO);
        History { disk, random, descriptors, log, appended, recovery_point, cleaned_to, held }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..=8 => (0..=self.random.below(5)).for_each(|_| self.append()),
            9 | 10 => self.flush(),
            11 | 12 => self.hold(),
            13 => self.compact(),
            14 => self.retain(),
            15 => self.cut(),
            16 => self.restart(),
            17 => self.check_held(),
            _ => self.check(),
        }
        if self.descriptors.must_flush() {
            self.flush();
        }
    }

    fn append(&mut self) {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
        let next = self.log.log_end_offset().0;
        for offset in next..=next + i64::try_from(self.random.below(3)).expect("small") {
            let (key, value) = (format!("k{}", self.random.below(40)), format!("v{}", self.random.below(1 << 20)));
            builder.append(NOW.wall_ms, Some(key.as_bytes()), Some(value.as_bytes()));
            self.appended.insert(offset, (key, value));
        }
        append(&mut self.log, builder.build()).expect("room");
    }

    fn flush(&mut self) {
        flush_all(&mut self.log);
        self.recovery_point = self.log.durable_end().offset();
        let offsets = BTreeMap::from([(TopicPartition::new("t", PartitionIndex(0)), self.recovery_point)]);
        self.log.log_dir.write_offsets(RECOVERY_POINT_CHECKPOINT, &offsets).expect("no fault");
    }

    fn hold(&mut self) {
        let segments = self.log.reader().segments.load_full();
        let segment = Arc::clone(&segments[self.random.below(segments.len())]);
        let bytes = bytes_of(&segment);
        self.held.push((segment, bytes));
    }

    fn compact(&mut self) {
        self.flush();
        let lag = CompactionLag { min_ms: 0, max_ms: i64::MAX };
        let Some(cleanable) = self.log.cleanable(NOW, lag, self.log.log_end_offset()) else { return };
        let (delete_retention_ms, map_bytes, load_factor, io_buffer_bytes, seed) = (0, 1 << 16, 0.9, 200, 7);
        let options = PassOptions { now: NOW, delete_retention_ms, map_bytes, load_factor, io_buffer_bytes, seed };
        let mut pass = Pass::new(cleanable, options);
        loop {
            match pass.step().expect("a whole log") {
                Step::Worked { .. } => {}
                Step::Ready(cleaned) => {
                    cleaned.commit().expect("no fault");
                    self.log.exchange(&cleaned);
                }
                Step::Done(outcome) => {
                    self.cleaned_to = self.cleaned_to.max(outcome.cleaned_to);
                    return self.log.cleaned_up_to(outcome.cleaned_to);
                }
            }
        }
    }

    fn retain(&mut self) {
        let deleted = self.log.delete_old_segments(NOW, self.log.durable_end().offset()).expect("no fault");
        deleted.remove();
    }

    fn cut(&mut self) {
        // What was compacted is committed, and never cut.
        let start = self.log.log_start_offset().0.max(self.cleaned_to.0);
        let end = self.log.log_end_offset().0;
        let offset = Offset(end - i64::try_from(self.random.below(12)).expect("small")).max(Offset(start));
        // A reader that holds what is cut away may find the file cut too.
        self.held.clear();
        self.log.truncate_to(offset, NOW).expect("no fault");
        self.recovery_point = self.recovery_point.min(self.log.log_end_offset());
        self.appended.split_off(&self.log.log_end_offset().0);
    }

    fn restart(&mut self) {
        let how = self.random.below(3);
        let end = self.log.log_end_offset();
        let durable_end = self.log.durable_end().offset();
        if how == 0 {
            self.recovery_point = self.log.close().expect("no fault").offset();
        }
        self.held.clear();
        let log = open(&CountingDisk::new(SimDisk::new()), &Descriptors::new(1), Offset::ZERO, false);
        drop(std::mem::replace(&mut self.log, log));
        assert_eq!((self.disk.open_count(), self.descriptors.open_count()), (0, 0));
        if how == 2 {
            self.disk = CountingDisk::new(self.disk.disk.cut(self.random.next_u64()));
        }
        self.log = open(&self.disk, &self.descriptors, self.recovery_point, how == 0);
        assert_eq!(self.disk.open_count(), 0, "a start leaves no file open");
        let found = self.log.log_end_offset();
        assert!(found >= durable_end && (how == 2 || found == end), "{how}: {found} of {end}");
        self.appended.split_off(&found.0);
        if how == 2 {
            // Of what was not durable, a compacted log may have lost some before what it has kept.
            let kept: BTreeMap<i64, String> = read_all(&self.log, durable_end.0).into_iter().collect();
            self.appended.retain(|offset, _| *offset < durable_end.0 || kept.contains_key(offset));
        }
    }

    fn check_held(&mut self) {
        for (segment, bytes) in self.held.drain(..) {
            // An active one may have grown.
            assert!(
                bytes_of(&segment).starts_with(&bytes),
                "the segment at {} reads as another one",
                segment.base_offset
            );
        }
    }

    /// Whatever the log holds is what was appended, and of every key the last record is there.
    fn check(&mut self) {
        self.check_held();
        let start = self.log.log_start_offset().0;
        let found = read_all(&self.log, start);
        let mut last = BTreeMap::new();
        for (offset, (key, _)) in self.appended.range(start..) {
            last.insert(key, *offset);
        }
        for (offset, value) in &found {
            assert_eq!(self.appended.get(offset).map(|record| &record.1), Some(value), "offset {offset}");
        }
        for (key, offset) in last {
            assert!(found.iter().any(|(found, _)| *found == offset), "{key} at {offset} is lost");
        }
        self.flush();
        read_all(&self.log, start);
        assert!(self.descriptors.open_count() <= LIMIT, "{} files are open", self.descriptors.open_count());
        assert_eq!(self.disk.open_count(), self.descriptors.open_count());
    }
}

/// All bytes of a segment, found as a reader finds them.
fn bytes_of(segment: &Segment) -> Vec<u8> {
    let Some(first) = segment.locate(segment.base_offset).expect("readable") else { return Vec::new() };
    let mut bytes = vec![0; usize::try_from(segment.size_bytes() - first.position).expect("small")];
    let read = segment.file().expect("readable").read_at(&mut bytes, first.position).expect("readable");
    assert_eq!(read, bytes.len());
    bytes
}

#[test]
fn three_descriptors_serve_fifty_segments() {
    let mut segments_max = 0;
    for seed in 0..60 {
        let mut history = History::new(seed);
        for _ in 0..150 {
            history.step();
            segments_max = segments_max.max(history.log.segments.len());
        }
        history.check();
    }
    assert!(segments_max >= 50, "{segments_max} segments at most");
}

#[test]
fn a_reader_of_what_was_cut_away_is_given_no_file_of_what_came_in_its_place() {
    let (disk, descriptors) = (CountingDisk::new(SimDisk::new()), Descriptors::new(1));
    let mut log = open(&disk, &descriptors, Offset::ZERO, false);
    let put = |log: &mut Log, value: &str| {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
        builder.append(NOW.wall_ms, Some(b"k"), Some(value.as_bytes()));
        append(log, builder.build()).unwrap();
    };
    (0..20).for_each(|number| put(&mut log, &format!("old {number}")));
    flush_all(&mut log);
    let held = log.reader().segments.load_full();
    let cut = &held[1];
    log.truncate_to(cut.base_offset, NOW).unwrap();
    (0..20).for_each(|number| put(&mut log, &format!("new {number}")));
    flush_all(&mut log);
    read_all(&log, 0);
    assert!(log.segments.iter().any(|segment| segment.base_offset == cut.base_offset));
    assert_eq!(cut.file().err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    assert!(log.log_dir.check().is_ok());
}

#[test]
fn a_refused_descriptor_costs_no_record_and_no_directory() {
    let mut refused = 0;
    for after in 0..60 {
        for count in [1, 2, 5] {
            let (disk, descriptors) = (CountingDisk::new(SimDisk::new()), Descriptors::new(LIMIT));
            let mut log = open(&disk, &descriptors, Offset::ZERO, false);
            disk.refuse(after, count);
            let mut expected = Vec::new();
            for number in 0..20_i64 {
                let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
                builder.append(NOW.wall_ms, Some(b"k"), Some(format!("{number}").as_bytes()));
                match append(&mut log, builder.build()) {
                    Ok(info) => expected.push((info.first_offset.0, format!("{number}"))),
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error, AppendError::TooManyOpenFiles);
                    }
                }
                if number % 4 == 0 {
                    let outcome = log.flush_ticket().run();
                    refused += usize::from(!outcome.is_ok());
                    let _ = log.flushed(outcome);
                }
            }
            assert!(log.log_dir.check().is_ok(), "after {after}");
            disk.refuse(0, 0);
            flush_all(&mut log);
            assert_eq!(read_all(&log, 0), expected, "after {after}");
            let end = log.durable_end().offset();
            drop(log);
            let log = open(&CountingDisk::new(disk.disk.cut(after as u64)), &descriptors, end, false);
            assert_eq!(read_all(&log, 0), expected, "after {after}");
        }
    }
    assert!(refused > 20, "{refused} times");
}
