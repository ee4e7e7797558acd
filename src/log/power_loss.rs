//! Power goes at random moments of random histories: nothing below a durable end may be lost or changed.
//!
//! A history runs once on a simulated disk that takes an image, cut at random, before some of its operations. Each image is
//! then recovered, compared with what the history knew at that moment, cut and recovered once more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::io::sim_disk::{Image, SimDisk, SimRandom};
use crate::log::producers::Producers;
use crate::model::{
    LeaderEpoch, Now, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId, TopicPartition,
};
use crate::protocol::record_batch::{BatchHeader, BatchIter};
use crate::protocol::records::RecordBatchBuilder;

const NOW: Now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
const STEPS: usize = 60;
const PRODUCERS: usize = 3;

fn partition() -> TopicPartition {
    TopicPartition::new("t", PartitionIndex(0))
}

/// What must hold of an image that was taken while this was the newest expectation.
#[derive(Clone, Default)]
struct Expected {
    /// Every batch of the log's history, also those that retention has removed since, as stored.
    batches: Vec<Bytes>,
    durable_end: Offset,
    /// Retention may have come so far, and no further.
    log_start_max: Offset,
}

struct History {
    disk: SimDisk,
    random: SimRandom,
    log_dir: Arc<LogDir>,
    log: Option<Log>,
    now: Expected,
    expectations: Vec<Expected>,
    epoch: LeaderEpoch,
    sequences: [i32; PRODUCERS],
    recovery_point: Offset,
}

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 1500,
        index_interval_bytes: 150,
        retention_bytes: 4000,
        retention_ms: -1,
        ..LogOptions::default()
    }
}

fn open(disk: &SimDisk) -> Result<(Arc<LogDir>, Log), String> {
    let message = |error: LogError| format!("{error}");
    // Fewer descriptors than segments.
    let opened = LogDir::open_sharing(Arc::new(disk.clone()), Path::new("/data"), Descriptors::new(2));
    let log_dir = opened.map_err(message)?;
    let clean_shutdown = log_dir.take_clean_shutdown().map_err(message)?;
    let offset = |name| -> Result<Offset, String> {
        Ok(log_dir.read_offsets(name).map_err(message)?.get(&partition()).copied().unwrap_or(Offset::ZERO))
    };
    let open = OpenLog {
        name: "t-0",
        topic_id: TopicId::ZERO,
        options: Arc::new(options()),
        recovery_point: offset(RECOVERY_POINT_CHECKPOINT)?,
        log_start_offset: offset(LOG_START_OFFSET_CHECKPOINT)?,
        clean_shutdown,
        may_have_gaps: false,
        now: NOW,
    };
    let (log, _) = Log::open(&log_dir, &open).map_err(message)?;
    Ok((log_dir, log))
}

impl History {
    fn run(seed: u64, flushes_lie: bool) -> (Vec<Image>, Vec<Expected>) {
        let disk = SimDisk::new();
        disk.take_images(seed, 3);
        if flushes_lie {
            disk.let_flushes_lie();
        }
        let (log_dir, log) = open(&disk).expect("a new disk");
        let mut history = History {
            disk,
            random: SimRandom::new(!seed),
            log_dir,
            log: Some(log),
            now: Expected::default(),
            expectations: vec![Expected::default()],
            epoch: LeaderEpoch(0),
            sequences: [0; PRODUCERS],
            recovery_point: Offset::ZERO,
        };
        for _ in 0..STEPS {
            history.step();
        }
        (history.disk.images(), history.expectations)
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("closed only while it is opened again")
    }

    fn expect(&mut self, expected: Expected) {
        self.disk.mark(self.expectations.len() as u64);
        self.expectations.push(expected);
    }

    fn settle(&mut self) {
        self.now.durable_end = self.log().durable_end().offset();
        self.now.log_start_max = self.log().log_start_offset();
        self.expect(self.now.clone());
    }

    fn step(&mut self) {
        let kind = self.random.below(16);
        match kind {
            0..=6 => self.append(),
            7..=9 => self.flush(),
            10 => self.write_recovery_point(None),
            11 => self.truncate(),
            12 => self.retain(),
            13 => self.reopen(),
            14 => self.log().roll(NOW).expect("no fault is injected"),
            _ => self.advance_start(),
        }
        let log = self.log.as_ref().expect("open between steps");
        check_sidecars(log, &self.now).unwrap_or_else(|error| panic!("after step kind {kind}: {error}"));
        self.settle();
    }

    fn batch(&mut self, producers: &mut [i32; PRODUCERS]) -> Bytes {
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
        let producer = self.random.below(PRODUCERS + 1);
        let count = 1 + self.random.below(3);
        if producer < PRODUCERS {
            let id = ProducerId(i64::try_from(producer).expect("small"));
            builder = builder.producer(id, ProducerEpoch(0), Sequence(producers[producer]));
            producers[producer] += i32::try_from(count).expect("small");
        }
        for _ in 0..count {
            let len = if self.random.below(8) == 0 { 400 } else { self.random.below(60) };
            let value: Vec<u8> = (0..len).map(|_| u8::try_from(self.random.below(256)).expect("a byte")).collect();
            builder.append(NOW.wall_ms, None, Some(&value));
        }
        builder.build()
    }

    fn append(&mut self) {
        if self.random.below(6) == 0 {
            self.epoch = LeaderEpoch(self.epoch.0 + 1);
        }
        let mut expected = self.now.clone();
        let mut requests = Vec::new();
        let mut next_offset = self.log().log_end_offset();
        let mut sequences = self.sequences;
        for _ in 0..1 + self.random.below(3) {
            let batch = self.batch(&mut sequences);
            let header = BatchHeader::parse(&batch).expect("just built");
            let (base_offset, partition_leader_epoch) = (next_offset, self.epoch);
            let stored = BatchHeader { base_offset, partition_leader_epoch, ..header };
            next_offset = stored.next_offset();
            expected.batches.push([&stored.encode()[..], &batch[61..]].concat().into());
            requests.push(validate(batch, Origin::Client, &options(), NOW).expect("just built"));
        }
        self.expect(expected.clone());
        let mut outcomes = Vec::new();
        let epoch = self.epoch;
        self.log().append_many(NOW, epoch, &requests, &mut outcomes);
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|info| !info.duplicate)), "{outcomes:?}");
        self.sequences = sequences;
        self.now = expected;
    }

    /// Appends go on while a flush is on its way, and flushes overlap.
    fn flush(&mut self) {
        let ticket = self.log().flush_ticket();
        if self.random.below(2) == 0 {
            self.append();
        }
        let second = (self.random.below(3) == 0).then(|| self.log().flush_ticket());
        let outcome = ticket.run();
        if let Some(second) = second {
            let outcome = second.run();
            self.log().flushed(outcome).expect("no fault is injected");
            self.settle();
        }
        self.log().flushed(outcome).expect("no fault is injected");
    }

    fn write_recovery_point(&mut self, max: Option<Offset>) {
        let durable_end = self.log().durable_end().offset();
        self.recovery_point = max.map_or(durable_end, |max| durable_end.min(max));
        let offsets = BTreeMap::from([(partition(), self.recovery_point)]);
        self.log_dir.write_offsets(RECOVERY_POINT_CHECKPOINT, &offsets).expect("no fault is injected");
    }

    fn truncate(&mut self) {
        let (start, end) = (self.log().log_start_offset(), self.log().log_end_offset());
        if end - start < 2 || self.random.below(3) > 0 {
            return;
        }
        let span = usize::try_from(end - start).expect("rises");
        let cut = end + -i64::try_from(1 + self.random.below(span.min(12) - 1)).expect("small");
        let mut after = self.now.clone();
        after.batches.retain(|batch| BatchHeader::parse(batch).expect("stored").last_offset() < cut);
        let end =
            after.batches.last().map_or(Offset::ZERO, |batch| BatchHeader::parse(batch).expect("stored").next_offset());
        if end <= start {
            return;
        }
        let during = Expected { durable_end: self.now.durable_end.min(end), ..self.now.clone() };
        assert_eq!(self.log().end_after_cut(cut).expect("no fault is injected"), end);
        self.write_recovery_point(Some(end));
        self.expect(during);
        self.log().truncate_to(cut, NOW).expect("no fault is injected");
        self.now.batches = after.batches;
        assert_eq!(self.log().log_end_offset(), end);
        self.sequences = sequences_of(&self.now.batches);
    }

    fn retain(&mut self) {
        let high_watermark = self.log().durable_end().offset();
        let log_start_max = high_watermark.max(self.now.log_start_max);
        self.expect(Expected { log_start_max, ..self.now.clone() });
        self.log().delete_old_segments(NOW, high_watermark).expect("no fault is injected").remove();
    }

    fn advance_start(&mut self) {
        let (start, high_watermark) = (self.log().log_start_offset(), self.log().durable_end().offset());
        if high_watermark <= start || self.random.below(3) > 0 {
            return;
        }
        let span = usize::try_from(high_watermark - start).expect("rises");
        let to = start + i64::try_from(self.random.below(span)).expect("small");
        self.expect(Expected { log_start_max: to, ..self.now.clone() });
        self.log().advance_log_start_offset(to, high_watermark);
        let offsets = BTreeMap::from([(partition(), to)]);
        self.log_dir.write_offsets(LOG_START_OFFSET_CHECKPOINT, &offsets).expect("no fault is injected");
    }

    fn reopen(&mut self) {
        let mut log = self.log.take().expect("open between steps");
        if self.random.below(2) == 0 {
            self.recovery_point = log.close().expect("no fault is injected").offset();
            self.now.durable_end = self.recovery_point;
            self.expect(self.now.clone());
            let offsets = BTreeMap::from([(partition(), self.recovery_point)]);
            self.log_dir.write_offsets(RECOVERY_POINT_CHECKPOINT, &offsets).expect("no fault is injected");
            self.log_dir.mark_clean_shutdown(-1).expect("no fault is injected");
        }
        // Without a close the process died: the page cache, and so the log's end, survive it.
        let (log_dir, log) = open(&self.disk).expect("no fault is injected");
        (self.log_dir, self.log) = (log_dir, Some(log));
        check_log(self.log.as_ref().expect("just set"), &self.now).expect("nothing was lost");
    }
}

fn sequences_of(batches: &[Bytes]) -> [i32; PRODUCERS] {
    let mut sequences = [0; PRODUCERS];
    for batch in batches {
        let header = BatchHeader::parse(batch).expect("stored");
        if let Ok(producer) = usize::try_from(header.producer_id.0) {
            sequences[producer] = header.last_sequence().0 + 1;
        }
    }
    sequences
}

/// Compares a log with what is expected of it; answers its batches from the expected start on.
fn check_log(log: &Log, expected: &Expected) -> Result<Vec<Bytes>, String> {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    if end < expected.durable_end {
        return Err(format!("the log ends at {end}, {} was durable", expected.durable_end));
    }
    if start.min(expected.durable_end) > expected.log_start_max {
        return Err(format!("the log starts at {start}, beyond {}", expected.log_start_max));
    }
    // Before the first flush a segment's name may be lost and the next one's not: then the log begins later.
    let from = expected.log_start_max.max(start);
    let header = |batch: &Bytes| BatchHeader::parse(batch).expect("stored");
    let known: Vec<&Bytes> = expected.batches.iter().filter(|batch| header(batch).last_offset() >= from).collect();
    let found = if from < end { read_from(log, from)? } else { Vec::new() };
    for (index, batch) in found.iter().enumerate() {
        if known.get(index) != Some(&batch) {
            return Err(format!("batch {index} from offset {from} on differs: {:?}", header(batch)));
        }
    }
    if found.last().map_or(from.min(end), |batch| header(batch).next_offset()) != end && from < end {
        return Err(format!("the log ends at {end}, its batches do not"));
    }
    Ok(found)
}

fn read_from(log: &Log, from: Offset) -> Result<Vec<Bytes>, String> {
    let reader = log.reader();
    let mut found: Vec<Bytes> = Vec::new();
    let mut offset = from;
    while offset < log.log_end_offset() {
        let request = ReadRequest { offset, max_bytes: 700, upper_bound: log.log_end_offset(), min_one: true };
        let region = reader.read(request).map_err(|error| format!("reading at {offset}: {error}"))?;
        let region = region.ok_or_else(|| format!("nothing to read at {offset}"))?;
        let bytes = region.read().map_err(|error| error.to_string())?;
        let before = offset;
        for batch in BatchIter::new(&bytes) {
            let Ok(batch) = batch else { break };
            batch.validate().map_err(|error| format!("at {offset}: {error}"))?;
            found.push(Bytes::copy_from_slice(batch.bytes()));
            offset = batch.header.next_offset();
        }
        if offset == before {
            return Err(format!("no whole batch at {offset}"));
        }
    }
    Ok(found)
}

/// Producers and epochs are what the batches up to the log's end make them.
fn check_sidecars(log: &Log, expected: &Expected) -> Result<(), String> {
    let end = log.log_end_offset();
    let mut producers = Producers::default();
    let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
    for batch in &expected.batches {
        let header = BatchHeader::parse(batch).expect("stored");
        if header.next_offset() > end {
            break;
        }
        producers.note(&header);
        if epochs.last().is_none_or(|last| last.0 < header.partition_leader_epoch) {
            epochs.push((header.partition_leader_epoch, header.base_offset));
        }
    }
    for (id, entry) in producers.iter() {
        let known = log.producers().get(id).ok_or_else(|| {
            let (start, recovery_point) = (log.log_start_offset(), log.opened_recovery_point);
            format!("producer {id} is forgotten: log {start}..{end}, recovery point {recovery_point}, {entry:?}")
        })?;
        // A sidecar that the cut has torn costs the older batches, as in Kafka.
        if known.epoch != entry.epoch || !entry.batches.ends_with(&known.batches) || known.batches.is_empty() {
            return Err(format!("producer {id} is {known:?}, should be {entry:?}"));
        }
    }
    let start = log.log_start_offset();
    for offset in start.0.max(expected.log_start_max.0)..end.0 {
        let offset = Offset(offset);
        let should = epochs.iter().rev().find(|entry| entry.1 <= offset).map(|entry| entry.0);
        if log.leader_epochs().epoch_for_offset(offset) != should {
            let entries = log.leader_epochs().entries();
            return Err(format!("offset {offset} should have epoch {should:?}, epochs are {entries:?}"));
        }
    }
    Ok(())
}

fn check_image(image: &Image, expected: &Expected, seed: u64) -> Result<(), String> {
    let (_, log) = open(&image.disk)?;
    let found = check_log(&log, expected)?;
    let (end, durable_end) = (log.log_end_offset(), log.durable_end().offset());
    let start = log.log_start_offset();
    let begins_early = start <= expected.log_start_max;
    if begins_early {
        check_sidecars(&log, expected)?;
    }
    drop(log);
    // What was recovered is flushed: a second cut takes nothing of it.
    let (_, again) = open(&image.disk.cut(seed))?;
    let log_start_max = expected.log_start_max.max(start);
    let recovered = Expected { durable_end: end, log_start_max, ..expected.clone() };
    let found_again = check_log(&again, &recovered)?;
    if begins_early {
        check_sidecars(&again, expected)?;
    }
    // A log that was not there yet waits for its first flush; it is empty.
    if (end, &found) != (again.log_end_offset(), &found_again) || durable_end != end {
        return Err(format!("recovered to {end}, then to {}", again.log_end_offset()));
    }
    Ok(())
}

/// Runs histories until there were so many cuts; answers what was wrong first.
fn cut_power(first_seed: u64, cuts: usize, flushes_lie: bool) -> Result<(), String> {
    let mut done = 0;
    let mut seed = first_seed;
    while done < cuts {
        let (images, expectations) = History::run(seed, flushes_lie);
        for (index, image) in images.iter().enumerate() {
            let mark = usize::try_from(image.mark).expect("few steps");
            check_image(image, &expectations[mark], seed)
                .map_err(|error| format!("seed {seed}, image {index}, step {mark}: {error}"))?;
        }
        done += images.len();
        seed += 1;
    }
    Ok(())
}

/// A log with one producer's batch, which is flushed, below the recovery point, and too old.
fn with_one_producer() -> (SimDisk, Log) {
    let disk = SimDisk::new();
    let (log_dir, mut log) = open(&disk).expect("a new disk");
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
    builder = builder.producer(ProducerId(7), ProducerEpoch(0), Sequence(0));
    builder.append(NOW.wall_ms, None, Some(b"value"));
    let request = validate(builder.build(), Origin::Client, &options(), NOW).expect("just built");
    log.append_as_leader(NOW, LeaderEpoch(0), &request).expect("no fault is injected");
    let outcome = log.flush_ticket().run();
    let end = log.flushed(outcome).expect("no fault is injected").offset();
    let offsets = BTreeMap::from([(partition(), end)]);
    log_dir.write_offsets(RECOVERY_POINT_CHECKPOINT, &offsets).expect("no fault is injected");
    log.set_options(Arc::new(LogOptions { retention_ms: 1, ..options() }));
    (disk, log)
}

fn assert_knows_producer_after_cuts(disk: &SimDisk) {
    for seed in 0..200 {
        let (_, log) = open(&disk.cut(seed)).expect("a log");
        assert_eq!(log.log_end_offset(), Offset(1), "seed {seed}");
        assert!(log.producers().get(ProducerId(7)).is_some(), "seed {seed}: the producer is forgotten");
    }
}

#[test]
fn retention_leaves_what_alone_knows_a_producer() {
    let (disk, mut log) = with_one_producer();
    let later = NOW.plus_ms(1000);
    // It is all too old: a segment is begun, at whose start the producers' state is not flushed yet.
    let deleted = log.delete_old_segments(later, Offset(1)).expect("no fault is injected");
    assert_eq!((deleted.segment_count, deleted.waits_for_flush), (0, true));
    deleted.remove();
    assert_knows_producer_after_cuts(&disk);
    let again = log.delete_old_segments(later, Offset(1)).expect("no fault is injected");
    assert_eq!((again.segment_count, again.waits_for_flush), (0, true));
    let outcome = log.flush_ticket().run();
    log.flushed(outcome).expect("no fault is injected");
    let deleted = log.delete_old_segments(later, Offset(1)).expect("no fault is injected");
    assert_eq!((deleted.segment_count, deleted.waits_for_flush), (1, false));
    deleted.remove();
    assert_eq!(log.log_start_offset(), Offset(1));
    assert_knows_producer_after_cuts(&disk);
}

#[test]
fn no_cut_of_power_takes_what_was_durable() {
    cut_power(1, 20_000, false).unwrap();
}

#[test]
fn a_flush_that_is_left_out_is_noticed() {
    assert!(cut_power(1, 500, true).is_err());
}

/// The name of an empty segment is as little on stable storage after a kill as before it.
#[test]
fn a_segment_begun_before_a_kill_is_there_after_a_cut_of_power() {
    let (disk, mut log) = with_one_producer();
    // The state at the new segment's start is there already, so that the start after the kill has nothing to write.
    log.queue_snapshot();
    log.close().expect("no fault is injected");
    log.roll(NOW).expect("no fault is injected");
    drop(log);
    let (_, mut log) = open(&disk).expect("a log");
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), NOW.wall_ms);
    builder.append(NOW.wall_ms, None, Some(b"value"));
    let request = validate(builder.build(), Origin::Client, &options(), NOW).expect("just built");
    log.append_as_leader(NOW, LeaderEpoch(0), &request).expect("no fault is injected");
    let outcome = log.flush_ticket().run();
    assert_eq!(log.flushed(outcome).expect("no fault is injected").offset(), Offset(2));
    for seed in 0..200 {
        let (_, log) = open(&disk.cut(seed)).expect("a log");
        assert_eq!(log.log_end_offset(), Offset(2), "seed {seed}");
    }
}
