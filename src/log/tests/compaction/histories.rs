//! Random histories of compacted logs: whatever is cleaned, and whenever power goes, a reader ends with the same map.

use super::*;
use crate::io::sim_disk::SimRandom;

const KEYS: usize = 12;
const PRODUCERS: usize = 3;
const STEPS: usize = 70;

/// A record as it was appended.
#[derive(Clone, Debug)]
struct Appended {
    offset: Offset,
    timestamp_ms: i64,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    /// Index of its transaction, if it is in one.
    transaction: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open(Offset),
    Committed,
    Aborted,
}

struct History {
    random: SimRandom,
    fixture: Fixture,
    appended: Vec<Appended>,
    transactions: Vec<Fate>,
    /// Of each producer its open transaction.
    open: [Option<usize>; PRODUCERS],
    sequences: [i32; PRODUCERS],
    epoch: i32,
    /// When the first pass began that could have marked each tombstone.
    first_pass_ms: BTreeMap<Offset, i64>,
}

type Map = BTreeMap<Vec<u8>, (Offset, Vec<u8>)>;

impl History {
    fn new(seed: u64) -> History {
        History {
            random: SimRandom::new(seed),
            fixture: Fixture::new(),
            appended: Vec::new(),
            transactions: Vec::new(),
            open: [None; PRODUCERS],
            sequences: [0; PRODUCERS],
            epoch: 1,
            first_pass_ms: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        match self.random.below(14) {
            0..=6 => self.append(),
            7 => self.end_transaction(),
            8 => self.fixture.log.roll(self.fixture.now).expect("no fault"),
            9 => flush_and_checkpoint(&mut self.fixture.log, &self.fixture.log_dir),
            10 => self.fixture.later(i64::try_from(self.random.below(800)).expect("small")),
            11 => self.reopen(),
            _ => {
                self.clean();
                self.check();
            }
        }
    }

    fn append(&mut self) {
        let now_ms = self.fixture.now.wall_ms;
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), now_ms);
        let producer = self.random.below(2 * PRODUCERS);
        let count = 1 + self.random.below(4);
        let mut transaction = None;
        let base = self.fixture.log.log_end_offset();
        if producer < PRODUCERS {
            let id = ProducerId(i64::try_from(producer).expect("small"));
            builder = builder.producer(id, ProducerEpoch(0), Sequence(self.sequences[producer]));
            self.sequences[producer] += i32::try_from(count).expect("small");
            if self.open[producer].is_some() || self.random.below(3) == 0 {
                let index = *self.open[producer].get_or_insert_with(|| {
                    self.transactions.push(Fate::Open(base));
                    self.transactions.len() - 1
                });
                transaction = Some(index);
                builder = builder.transactional();
            }
        }
        for number in 0..count {
            let key = format!("key-{}", self.random.below(KEYS)).into_bytes();
            let len = self.random.below(60);
            let value = (self.random.below(4) > 0).then(|| vec![b'a' + u8::try_from(len % 26).expect("a letter"); len]);
            builder.append(now_ms, Some(&key), value.as_deref());
            let offset = base + i64::try_from(number).expect("small");
            self.appended.push(Appended { offset, timestamp_ms: now_ms, key, value, transaction });
        }
        let codecs = [Codec::None, Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
        let batch = in_codec(&builder.build(), codecs[self.random.below(codecs.len())]);
        self.append_bytes(batch);
    }

    fn append_bytes(&mut self, bytes: Bytes) {
        if self.random.below(10) == 0 {
            self.epoch += 1;
        }
        let Fixture { log, now, .. } = &mut self.fixture;
        let batches = validate(bytes, Origin::Coordinator, log.options(), *now).expect("a good batch");
        log.append_as_leader(*now, LeaderEpoch(self.epoch), &batches).expect("room");
    }

    fn end_transaction(&mut self) {
        let producer = self.random.below(PRODUCERS);
        let Some(index) = self.open[producer].take() else { return };
        let commits = self.random.below(2) == 0;
        self.transactions[index] = if commits { Fate::Committed } else { Fate::Aborted };
        let id = ProducerId(i64::try_from(producer).expect("small"));
        let builder = RecordBatchBuilder::new(LeaderEpoch(-1), self.fixture.now.wall_ms);
        let mut builder = builder.producer(id, ProducerEpoch(0), Sequence(-1)).transactional().control();
        let key = [0, 0, 0, u8::from(commits)];
        builder.append(self.fixture.now.wall_ms, Some(&key), Some(&[0, 0, 0, 0, 0, 0]));
        self.append_bytes(builder.build());
    }

    fn last_stable(&self) -> Offset {
        let open = self.transactions.iter().filter_map(|fate| match fate {
            Fate::Open(offset) => Some(*offset),
            _ => None,
        });
        open.min().unwrap_or(self.fixture.log.log_end_offset())
    }

    fn reopen(&mut self) {
        let (cleaned_to, producers) = (self.fixture.log.cleaned_to(), self.fixture.log.producers().clone());
        if self.random.below(2) == 0 {
            flush_and_checkpoint(&mut self.fixture.log, &self.fixture.log_dir);
        }
        self.fixture.reopen();
        if self.random.below(2) == 0 {
            self.fixture.log.set_cleaned_to(cleaned_to);
        }
        for (id, entry) in producers.iter() {
            let known = self.fixture.log.producers().get(id).expect("a producer that is not expired");
            assert_eq!((known.epoch, known.last_sequence()), (entry.epoch, entry.last_sequence()), "producer {id}");
        }
        self.check();
    }

    fn options(&mut self) -> PassOptions {
        // From one that holds two keys to one that holds them all.
        let map_bytes = 24 * (3 + self.random.below(2 * KEYS));
        let io_buffer_bytes = 1 + self.random.below(400);
        PassOptions { map_bytes, io_buffer_bytes, seed: self.random.next_u64(), ..pass_options(self.fixture.now) }
    }

    fn clean(&mut self) {
        let (now, options, last_stable) = (self.fixture.now, self.options(), self.last_stable());
        let log = &mut self.fixture.log;
        let Some(plan) = log.cleanable(now, NO_LAG, last_stable) else { return };
        assert!(plan.end <= last_stable);
        for record in self.appended.iter().filter(|record| record.offset < plan.end) {
            self.first_pass_ms.entry(record.offset).or_insert(now.wall_ms);
        }
        let mut pass = Pass::new(plan, options);
        let stops_after = if self.random.below(4) == 0 { self.random.below(3) } else { usize::MAX };
        let mut exchanged = 0;
        loop {
            match pass.step().expect("a whole log") {
                Step::Worked { .. } => {}
                Step::Ready(cleaned) if exchanged == stops_after => {
                    cleaned.discard();
                    return pass.give_up();
                }
                Step::Ready(cleaned) => {
                    exchanged += 1;
                    assert!(log.can_exchange(&cleaned));
                    cleaned.commit().expect("no fault");
                    log.exchange(&cleaned);
                }
                Step::Done(outcome) => return log.cleaned_up_to(outcome.cleaned_to),
            }
        }
    }

    fn counts(&self, record: &Appended) -> bool {
        record.transaction.is_none_or(|index| self.transactions[index] == Fate::Committed)
    }

    /// What a reader of committed records ends with, from the full log.
    fn map(&self) -> Map {
        let last_stable = self.last_stable();
        let mut map = Map::new();
        for record in self.appended.iter().filter(|record| record.offset < last_stable && self.counts(record)) {
            match &record.value {
                Some(value) => map.insert(record.key.clone(), (record.offset, value.clone())),
                None => map.remove(&record.key),
            };
        }
        map
    }

    fn check(&self) {
        let log = &self.fixture.log;
        assert_eq!(map_of(log, self.last_stable()), self.map());
        let known: BTreeMap<Offset, &Appended> = self.appended.iter().map(|record| (record.offset, record)).collect();
        let stored = read(log);
        for pair in stored.windows(2) {
            assert!(pair[0].offset < pair[1].offset);
        }
        for record in &stored {
            let original = known[&record.offset];
            let found = (record.timestamp_ms, record.key.as_ref(), record.value.as_ref());
            assert_eq!(found, (original.timestamp_ms, Some(&original.key), original.value.as_ref()));
        }
        self.check_tombstones(&stored);
    }

    /// A tombstone that is the last word on its key is there until the first pass that saw it is `delete.retention.ms` ago.
    fn check_tombstones(&self, stored: &[Stored]) {
        let last_stable = self.last_stable();
        let mut last: BTreeMap<&[u8], &Appended> = BTreeMap::new();
        for record in self.appended.iter().filter(|record| record.offset < last_stable && self.counts(record)) {
            last.insert(&record.key, record);
        }
        for record in last.values().filter(|record| record.value.is_none()) {
            let passed_ms = self.first_pass_ms.get(&record.offset);
            let may_go = passed_ms.is_some_and(|passed_ms| self.fixture.now.wall_ms >= passed_ms + RETENTION_MS);
            let is_there = stored.iter().any(|found| found.offset == record.offset);
            assert!(is_there || may_go, "the tombstone at {} went early", record.offset);
        }
    }
}

/// What a reader of committed records ends with, from what is stored below an offset.
fn map_of(log: &Log, last_stable: Offset) -> Map {
    let mut map = Map::new();
    let batches = batches(log);
    let headers: Vec<BatchHeader> = batches.iter().map(|batch| BatchHeader::parse(batch).expect("a batch")).collect();
    for (index, (bytes, header)) in batches.iter().zip(&headers).enumerate() {
        if header.is_control() || header.base_offset >= last_stable {
            continue;
        }
        // The next marker of its producer decides.
        let marker = (index..batches.len())
            .find(|next| headers[*next].is_control() && headers[*next].producer_id == header.producer_id);
        if header.is_transactional() && !marker.is_some_and(|marker| commits(&batches[marker])) {
            continue;
        }
        for_each_record(&BatchView::parse(bytes).expect("a batch"), |record| {
            let key = record.key.expect("a key").to_vec();
            match record.value {
                Some(value) => map.insert(key, (record.offset, value.to_vec())),
                None => map.remove(&key),
            };
            true
        })
        .expect("records");
    }
    map
}

/// A marker whose record has gone had no record left that it could speak of: it commits nothing.
fn commits(marker: &[u8]) -> bool {
    let mut commits = false;
    for_each_record(&BatchView::parse(marker).expect("a batch"), |record| {
        commits = record.key == Some(&[0, 0, 0, 1]);
        false
    })
    .expect("a record");
    commits
}

#[test]
fn whatever_is_cleaned_a_reader_ends_with_the_same_map() {
    let mut cleaned = 0;
    for seed in 0..150 {
        let mut history = History::new(seed);
        for _ in 0..STEPS {
            history.step();
        }
        cleaned += usize::from(read(&history.fixture.log).len() < history.appended.len());
        history.reopen();
    }
    assert!(cleaned > 75, "most histories have lost records, or nothing was tested: {cleaned}");
}

/// The images of one history, each taken before some operation on the disk, with the map that must be read from it.
fn cut_power(seed: u64) -> Vec<(SimDisk, Map, Offset, Offset)> {
    let mut history = History::new(seed);
    let mut images = Vec::new();
    for _ in 0..STEPS {
        if history.random.below(4) > 0 {
            history.step();
            continue;
        }
        flush_and_checkpoint(&mut history.fixture.log, &history.fixture.log_dir);
        let (map, last_stable, end) = (history.map(), history.last_stable(), history.fixture.log.log_end_offset());
        history.fixture.disk.take_images(history.random.next_u64(), 1);
        history.clean();
        history.fixture.disk.take_images(0, usize::MAX);
        history.check();
        let taken = history.fixture.disk.images().into_iter();
        images.extend(taken.map(|image| (image.disk, map.clone(), last_stable, end)));
    }
    images
}

#[test]
fn a_cut_of_power_at_any_step_of_an_exchange_leaves_the_old_or_the_new() {
    let mut count = 0;
    for seed in 0..25 {
        for (index, (disk, map, last_stable, end)) in cut_power(seed).into_iter().enumerate() {
            count += 1;
            let check = |disk: &SimDisk, log: &Log| {
                assert_eq!(log.log_end_offset(), end, "seed {seed}, image {index}");
                assert_eq!(map_of(log, last_stable), map, "seed {seed}, image {index}");
                let disk: &dyn crate::io::disk::Disk = disk;
                let names = disk.read_dir(Path::new("/data/t-0")).expect("a directory");
                let is_left = |name: &str| name.contains("cleaned") || name.contains("swap");
                assert!(!names.iter().any(|entry| is_left(&entry.name)), "seed {seed}, image {index}: {names:?}");
            };
            // Power goes once more while the start puts things right, at every step of that.
            disk.take_images(seed, 1);
            let (_, mut log) = open(&disk);
            check(&disk, &log);
            for again in disk.images() {
                let (_, log) = open(&again.disk);
                check(&again.disk, &log);
            }
            disk.take_images(0, usize::MAX);
            clean_below(&mut log, pass_options(NOW), last_stable);
            check(&disk, &log);
        }
    }
    assert!(count > 500, "{count}");
}
