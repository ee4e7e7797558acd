//! The clients of a run: each is a thread that goes on over every fault and hands back what it saw.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::admin::{Partition, View};
use super::history::{Fact, NO_GROUP, Observation};
use crate::kill::batch::{Batch, Producer, decode_of};

mod clerk;
mod member;
mod once;
mod poller;
mod sender;
mod tail;
mod watcher;

pub use clerk::Clerk;
pub use member::Member;
pub use once::Once;
pub use poller::fetch;
pub use sender::{Sender, receive, request};
pub use tail::Tail;
pub use watcher::{Watcher, high_watermarks};

pub const TOPIC: &str = "campaign";
/// How long an answer to a client may take; less than most faults last, so that clients leave a node that is away.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
/// How long a client goes without an answer before the run is broken off.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);
/// Batches of producers that try once have a producer of their own each, from this number on: they are in no order.
const ONCE_FIRST: u32 = 1 << 24;
const RECORDS_MAX: u64 = 12;

/// What all clients of a run share.
pub struct Run {
    pub addresses: Vec<String>,
    pub partitions: i32,
    pub groups: u32,
    /// Time of every producer's record number 0, in ms.
    pub start_ms: i64,
    start: Instant,
    stopping: AtomicBool,
    shared: Mutex<Shared>,
    /// When each partition last acknowledged a batch, in ns since the start.
    last_acknowledged: Vec<AtomicU64>,
    /// The offset after the last record that each partition acknowledged.
    acknowledged_ends: Vec<AtomicI64>,
}

#[derive(Default)]
struct Shared {
    /// The newest that any node said of each partition.
    partitions: BTreeMap<i32, Partition>,
    brokers: BTreeMap<i32, String>,
    producers: Vec<Producer>,
    /// How far each group has read each partition, and those in no group.
    read: BTreeMap<(u32, i32), i64>,
    /// Where reading ends, once it is known.
    ends: Option<Vec<i64>>,
}

impl Run {
    pub fn new(addresses: Vec<String>, partitions: i32, groups: u32, start_ms: i64) -> Run {
        Run {
            addresses,
            partitions,
            groups,
            start_ms,
            start: Instant::now(),
            stopping: AtomicBool::new(false),
            shared: Mutex::default(),
            last_acknowledged: (0..partitions).map(|_| AtomicU64::new(0)).collect(),
            acknowledged_ends: (0..partitions).map(|_| AtomicI64::new(0)).collect(),
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ns since the start, the same clock for all threads.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("a run lasts less than centuries")
    }

    /// Something just answered that was asked at `invoked`.
    pub fn observe(&self, invoked: u64, fact: Fact) -> Observation {
        Observation { invoked, completed: self.now(), fact }
    }

    /// Producers finish what they have under way and end; groups read on to [`Run::finish_at`].
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Groups end when they have read every partition up to here.
    pub fn finish_at(&self, ends: Vec<i64>) {
        self.shared().ends = Some(ends);
    }

    /// Whether this group has read all that it shall.
    pub fn has_finished(&self, group: u32) -> bool {
        let shared = self.shared();
        let Some(ends) = &shared.ends else { return false };
        let read = |partition| shared.read.get(&(group, partition)).copied().unwrap_or(0);
        (0..).zip(ends).all(|(partition, end)| read(partition) >= *end)
    }

    fn has_read(&self, group: u32, partition: i32, position: i64) {
        let mut shared = self.shared();
        let read = shared.read.entry((group, partition)).or_default();
        *read = (*read).max(position);
    }

    /// Takes over what a node says, where it is newer.
    pub fn learn(&self, view: View) {
        let mut shared = self.shared();
        for (index, partition) in view.partitions {
            let known = shared.partitions.get(&index);
            let is_newer =
                |known: &Partition| (partition.leader_epoch, partition.leader) >= (known.leader_epoch, known.leader);
            if known.is_none_or(is_newer) {
                shared.partitions.insert(index, partition);
            }
        }
        shared.brokers.extend(view.brokers);
    }

    /// Id, address and epoch of a partition's leader, as far as anybody said.
    pub fn leader(&self, partition: i32) -> Option<(i32, String, i32)> {
        let shared = self.shared();
        let known = shared.partitions.get(&partition)?;
        let address = shared.brokers.get(&known.leader)?;
        Some((known.leader, address.clone(), known.leader_epoch))
    }

    /// Enters a producer into the list.
    pub fn add_producer(&self, id: i64, epoch: i16, first_sequence: i32) -> Producer {
        let mut shared = self.shared();
        let index = u32::try_from(shared.producers.len()).expect("few producers");
        let producer = Producer { index, id, epoch, first_sequence, start_ms: self.start_ms };
        shared.producers.push(producer);
        producer
    }

    /// The producer at this place in the list.
    pub fn producer_at(&self, place: usize) -> Option<Producer> {
        self.shared().producers.get(place).copied()
    }

    /// How far groups have read, for messages.
    pub fn progress(&self) -> String {
        let shared = self.shared();
        format!("{:?} of {:?}", shared.read, shared.ends)
    }

    /// The producer of a batch.
    fn producer(&self, index: u32) -> Option<Producer> {
        if index >= ONCE_FIRST {
            return Some(Producer { index, id: -1, epoch: -1, first_sequence: 0, start_ms: self.start_ms });
        }
        self.shared().producers.get(usize::try_from(index).expect("32 bits fit")).copied()
    }

    /// Which batches these bytes of a partition hold; a batch that differs from what was sent is an error.
    pub fn decode(&self, bytes: &[u8], partition: i32) -> Result<Vec<(i64, Batch)>> {
        decode_of(bytes, partition, |index| self.producer(index))
    }

    /// A partition acknowledged a batch that ends before this offset.
    fn acknowledged(&self, partition: i32, end: i64) {
        let at = usize::try_from(partition).expect("partitions are counted from 0");
        self.acknowledged_ends[at].fetch_max(end, Ordering::Relaxed);
        self.last_acknowledged[at].store(self.now(), Ordering::Relaxed);
    }

    /// Waits, but not beyond `limit` after `since`, until readers without a group have all that is acknowledged by now; how
    /// long after `since` that was.
    pub fn await_seen(&self, since: u64, limit: Duration) -> Duration {
        let ends: Vec<i64> = self.acknowledged_ends.iter().map(|end| end.load(Ordering::Relaxed)).collect();
        loop {
            let waited = Duration::from_nanos(self.now() - since);
            let read = |partition| self.shared().read.get(&(NO_GROUP, partition)).copied().unwrap_or(0);
            if waited > limit || (0..).zip(&ends).all(|(partition, end)| read(partition) >= *end) {
                return waited;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until every partition has acknowledged a batch after `since`, in ns since the start; how long that took.
    pub fn await_acknowledgements(&self, since: u64, limit: Duration) -> Result<Duration> {
        loop {
            let last = self.last_acknowledged.iter().map(|at| at.load(Ordering::Relaxed));
            let late: Vec<usize> = last.enumerate().filter(|(_, at)| *at <= since).map(|(index, _)| index).collect();
            let waited = Duration::from_nanos(self.now() - since);
            if late.is_empty() {
                return Ok(waited);
            }
            if waited > limit {
                bail!("partitions {late:?} acknowledged nothing in {} s", limit.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Why a client gives up its connection.
enum Ended {
    /// The node went away, or answered an error that goes away by itself.
    Broken(anyhow::Error),
    /// An answer that no correct node gives: the run is over.
    Wrong(anyhow::Error),
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Ended {
        Ended::Broken(error)
    }
}

/// Notices when a client gets no answer for too long.
struct Patience {
    last: Instant,
}

impl Patience {
    fn new() -> Patience {
        Patience { last: Instant::now() }
    }

    fn renew(&mut self) {
        self.last = Instant::now();
    }

    /// Waits a moment after something failed; too many of these in a row break off the run.
    fn after(&self, error: anyhow::Error) -> Result<()> {
        if self.last.elapsed() > SILENCE_LIMIT {
            return Err(error.context(format!("no progress in {} s", SILENCE_LIMIT.as_secs())));
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
