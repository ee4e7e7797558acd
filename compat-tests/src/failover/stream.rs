//! A thousand records a second with acks=all to one partition, wherever its leader is, and the longest time without an answer.
//!
//! Several threads send a record each and wait for its answer, so that one lost connection is not the whole stream. They leave
//! a leader as soon as any node names another one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

use crate::bench::frames;
use crate::cluster::admin;
use crate::connection::{Connection, topic_name};

const THREADS: u64 = 8;
const RECORDS_A_SECOND: u64 = 1_000;
const RECORD_BYTES: usize = 256;
const VERSION: i16 = 9;
/// A thread asks again, on a new connection, when an answer takes longer.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(2);
/// Errors that a client retries without its application noticing.
const RETRIABLE: &[i16] = &[3, 5, 6, 7, 13, 14, 15, 16, 19, 20, 56, 74, 75];

pub struct Stream {
    topic: String,
    addresses: Vec<String>,
    start: Instant,
    is_over: AtomicBool,
    /// Node id and epoch, as the newest answer has it.
    leader: Mutex<(i32, i32)>,
    last_ns: AtomicU64,
    longest_ns: AtomicU64,
    acknowledged: AtomicU64,
    /// Answers with an error that an application would see.
    errors: AtomicU64,
}

impl Stream {
    pub fn new(topic: &str, addresses: Vec<String>) -> Stream {
        Stream {
            topic: topic.to_string(),
            addresses,
            start: Instant::now(),
            is_over: AtomicBool::new(false),
            leader: Mutex::new((-1, -1)),
            last_ns: AtomicU64::new(0),
            longest_ns: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// Runs `during` while the stream flows.
    pub fn flow<T>(&self, during: impl FnOnce() -> Result<T>) -> Result<T> {
        std::thread::scope(|scope| {
            for address in &self.addresses {
                scope.spawn(|| self.watch(address));
            }
            for _ in 0..THREADS {
                scope.spawn(|| self.send());
            }
            let outcome = self.await_flow(Duration::from_secs(30)).and_then(|()| during());
            self.is_over.store(true, Ordering::SeqCst);
            outcome
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("a run lasts less than centuries")
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Id of the leader and its epoch.
    pub fn leader(&self) -> (i32, i32) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Errors so far that are not for a client to retry.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// From here on the longest gap counts anew.
    pub fn mark(&self) {
        self.longest_ns.store(0, Ordering::SeqCst);
    }

    /// The longest time without an answer since [`Stream::mark`], the one that lasts still included.
    pub fn longest(&self) -> Duration {
        let since_last = self.now().saturating_sub(self.last_ns.load(Ordering::SeqCst));
        Duration::from_nanos(self.longest_ns.load(Ordering::SeqCst).max(since_last))
    }

    /// Waits until as many records were acknowledged from now on as come in a quarter of a second.
    pub fn await_flow(&self, limit: Duration) -> Result<()> {
        let wanted = self.acknowledged.load(Ordering::SeqCst) + RECORDS_A_SECOND / 4;
        let until = Instant::now() + limit;
        while self.acknowledged.load(Ordering::SeqCst) < wanted {
            ensure!(Instant::now() < until, "the stream did not flow again in {} s", limit.as_secs());
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits until somebody else than `leader` leads.
    pub fn await_other_leader(&self, leader: i32, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        while self.leader().0 == leader || self.leader().0 < 0 {
            ensure!(Instant::now() < until, "node {leader} leads after {} s", limit.as_secs());
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn watch(&self, address: &str) {
        while !self.is_over() {
            let Ok(mut connection) = Connection::open_within(address, ANSWER_LIMIT) else {
                std::thread::sleep(LOOK_EVERY);
                continue;
            };
            while !self.is_over() {
                let Ok(view) = admin::look_on(&mut connection, Some(&self.topic)) else { break };
                if let Some(partition) = view.partitions.get(&0) {
                    let mut leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
                    if (partition.leader_epoch, partition.leader) > (leader.1, leader.0) {
                        *leader = (partition.leader, partition.leader_epoch);
                    }
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    fn send(&self) {
        let records = bytes::Bytes::from(frames::batch(1, RECORD_BYTES));
        let data = PartitionProduceData::default().with_index(0).with_records(Some(records));
        let topic = TopicProduceData::default().with_name(topic_name(&self.topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_transactional_id(None).with_acks(-1).with_timeout_ms(10_000);
        let request = request.with_topic_data(vec![topic]);
        let every = Duration::from_nanos(1_000_000_000 * THREADS / RECORDS_A_SECOND);
        while !self.is_over() {
            let leader = self.leader();
            let address = usize::try_from(leader.0 - 1).ok().and_then(|node| self.addresses.get(node));
            let connection = address.and_then(|address| Connection::open_within(address, ANSWER_LIMIT).ok());
            let Some(mut connection) = connection else {
                std::thread::sleep(PAUSE);
                continue;
            };
            let mut due = Instant::now();
            while !self.is_over() && self.leader() == leader {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due = (due + every).max(Instant::now());
                let Ok(answer) = connection.ask(VERSION, &request) else { break };
                let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
                match partition.map(|partition| partition.error_code) {
                    Some(0) => self.on_acknowledged(),
                    Some(error) if RETRIABLE.contains(&error) => break,
                    _ => drop(self.errors.fetch_add(1, Ordering::Relaxed)),
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn on_acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        let now = self.now();
        let last = self.last_ns.fetch_max(now, Ordering::SeqCst);
        if last > 0 {
            self.longest_ns.fetch_max(now.saturating_sub(last), Ordering::SeqCst);
        }
    }
}
