//! One fetcher: the partitions that it has, and the loop that fetches them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Key;
use super::session::{Asked, Session};
use crate::broker::Broker;
use crate::broker::replica::{FetchPosition, Replica};
use crate::io::bugs::{self, Bug};
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Now, PartitionIndex, TopicId};
use crate::peer::{Address, Link, LinkOptions};
use crate::protocol::message::fetch_request::ReplicaState;
use crate::protocol::message::{ApiVersionsRequest, FetchRequest, FetchResponse, WireBrokerId};

/// The version of Fetch that brokers use with each other: v15's replica state, v17's directory ids.
const VERSION: i16 = 17;
const API_VERSIONS_VERSION: i16 = 0;
/// The first pause after a partition could not be fetched, in ms; it doubles up to `replica.fetch.backoff.ms`. After an election
/// followers often hear of the new epoch a moment before its leader does, and what is written meanwhile waits for them.
const BACKOFF_MIN_MS: u64 = 5;
/// The pause after a leader could not be reached, in ms.
const UNREACHABLE_MS: u64 = 50;
/// For each partition of a fetcher, how long a new one waits for others that come with it before a long poll is ended for it.
const HURRY_EACH: Duration = Duration::from_micros(20);
const HURRY_MAX: Duration = Duration::from_millis(100);
/// Below this no timer is set.
const TIMER_TICK: Duration = Duration::from_millis(1);
/// How long a fetcher without work sleeps, in ms, if nobody wakes it.
const IDLE_MS: u64 = 1000;
/// How long a partition rests, in ms, when the throttle of followers is exceeded.
const HELD_BACK_MS: u64 = 100;
/// How long an answer may take beyond the wait that was asked for, in ms, at most; Kafka waits for `replica.socket.timeout.ms`.
/// What is late is asked for again on a new connection, which a network that has healed carries at once.
const ANSWER_MAX_MS: u64 = 5000;

/// One partition of a fetcher.
#[derive(Clone)]
pub(super) struct Assignment {
    pub(super) replica: Arc<Replica>,
    pub(super) leader_epoch: LeaderEpoch,
    /// Not fetched before, by the monotonic clock.
    resting_until_ms: u64,
    failures: u32,
}

/// See the head of this file.
pub(super) struct Fetcher {
    leader: BrokerId,
    partitions: Mutex<BTreeMap<Key, Assignment>>,
    is_closing: AtomicBool,
    wake: Notify,
    closed: Notify,
}

/// What a round asks.
enum Round {
    Fetch(FetchRequest),
    /// Nothing can be fetched for so many ms.
    Rest(u64),
}

impl Fetcher {
    pub(super) fn new(leader: BrokerId) -> Fetcher {
        Fetcher {
            leader,
            partitions: Mutex::default(),
            is_closing: AtomicBool::new(false),
            wake: Notify::new(),
            closed: Notify::new(),
        }
    }

    pub(super) fn leader(&self) -> BrokerId {
        self.leader
    }

    pub(super) fn assign(&self, key: Key, replica: &Arc<Replica>, leader_epoch: LeaderEpoch) {
        let mut partitions = self.partitions.lock();
        let is_known = partitions
            .get(&key)
            .is_some_and(|known| known.leader_epoch == leader_epoch && Arc::ptr_eq(&known.replica, replica));
        if is_known {
            return;
        }
        let replica = Arc::clone(replica);
        partitions.insert(key, Assignment { replica, leader_epoch, resting_until_ms: 0, failures: 0 });
        drop(partitions);
        self.wake.notify_one();
    }

    pub(super) fn release(&self, key: Key) {
        if !bugs::is_back(Bug::Redpanda17957) {
            self.partitions.lock().remove(&key);
        }
    }

    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.wake.notify_one();
        self.closed.notify_one();
    }

    /// Has the leader answer what waits there as soon as another partition is to be fetched from it. Never returns.
    async fn hurry(&self, link: &Link, timeout: Duration) {
        self.wake.notified().await;
        // A thousand that come one by one must not make a thousand rounds of a thousand partitions.
        let pause = HURRY_EACH * u32::try_from(self.partitions.lock().len()).unwrap_or(u32::MAX);
        if pause >= TIMER_TICK {
            tokio::time::sleep(pause.min(HURRY_MAX)).await;
        }
        // What the leader says to it does not matter: that there is something behind a long poll ends it.
        let _ = link.call(&ApiVersionsRequest::default(), API_VERSIONS_VERSION, timeout).await;
        std::future::pending().await
    }

    /// The assignment of a partition, if it is still the one that was asked for.
    pub(super) fn current(&self, key: &Key, asked: &Asked) -> Option<Assignment> {
        let partitions = self.partitions.lock();
        partitions.get(key).filter(|assignment| assignment.leader_epoch == asked.leader_epoch).cloned()
    }

    /// The partition went well.
    pub(super) fn succeeded(&self, key: &Key) {
        if let Some(assignment) = self.partitions.lock().get_mut(key) {
            assignment.failures = 0;
        }
    }

    /// The partition rests, longer each time.
    pub(super) fn rest(&self, key: &Key, now: Now, backoff_max_ms: u64) {
        if let Some(assignment) = self.partitions.lock().get_mut(key) {
            let pause_ms = BACKOFF_MIN_MS.saturating_mul(1 << assignment.failures.min(16)).min(backoff_max_ms);
            assignment.failures = assignment.failures.saturating_add(1);
            assignment.resting_until_ms = now.monotonic_ms.saturating_add(pause_ms);
        }
    }

    /// Every partition that may be fetched now, and until when the first of the others rests.
    fn wanted(&self, broker: &Broker, now: Now) -> (BTreeMap<Key, Asked>, u64) {
        let backoff_max_ms = broker.cluster.replication.backoff_max_ms;
        let assigned: Vec<(Key, Assignment)> =
            self.partitions.lock().iter().map(|(key, assignment)| (*key, assignment.clone())).collect();
        let mut wanted = BTreeMap::new();
        let mut rest_ms = IDLE_MS;
        for (key, assignment) in assigned {
            if assignment.resting_until_ms > now.monotonic_ms {
                rest_ms = rest_ms.min(assignment.resting_until_ms - now.monotonic_ms);
                continue;
            }
            if is_held_back(broker, &assignment, now) {
                rest_ms = rest_ms.min(HELD_BACK_MS);
                continue;
            }
            match position(broker, &assignment) {
                Some(asked) => drop(wanted.insert(key, asked)),
                None => {
                    self.rest(&key, now, backoff_max_ms);
                    rest_ms = rest_ms.min(BACKOFF_MIN_MS);
                }
            }
        }
        (wanted, rest_ms)
    }

    fn plan(&self, broker: &Broker, session: &mut Session) -> Round {
        let (wanted, rest_ms) = self.wanted(broker, broker.now());
        if wanted.is_empty() {
            return Round::Rest(rest_ms);
        }
        let config = &broker.cluster.replication;
        let named = session.name(wanted, config.partition_max_bytes);
        let image = broker.image();
        let own_epoch = image.broker(broker.node_id()).map_or(-1, |own| own.epoch);
        let state =
            ReplicaState::default().with_replica_id(WireBrokerId(broker.node_id().0)).with_replica_epoch(own_epoch);
        // One that rests must not wait behind a long poll of the others.
        let wait_ms = config.wait_max_ms.min(rest_ms);
        let request = FetchRequest::default()
            .with_cluster_id(None)
            .with_replica_id(WireBrokerId(-1))
            .with_replica_state(state)
            .with_max_wait_ms(i32::try_from(wait_ms).unwrap_or(i32::MAX))
            .with_min_bytes(config.min_bytes)
            .with_max_bytes(config.response_max_bytes)
            .with_session_id(named.session_id)
            .with_session_epoch(named.session_epoch)
            .with_topics(named.topics)
            .with_forgotten_topics_data(named.forgotten);
        Round::Fetch(request)
    }
}

/// Whether the replica takes in nothing now: it moves here under a throttle, and is not in sync.
fn is_held_back(broker: &Broker, assignment: &Assignment, now: Now) -> bool {
    let replica = &assignment.replica;
    let (partition, own) = (replica.topic_partition().partition, broker.node_id());
    if !replica.settings().follower_throttled.covers(partition, own) {
        return false;
    }
    let image = broker.image();
    let state = image.topic_by_id(replica.topic_id()).and_then(|topic| topic.partition(partition));
    let is_in_sync = state.is_some_and(|state| state.isr.contains(&own));
    !is_in_sync && broker.throttles().follower.is_exceeded(now)
}

/// Where the partition goes on. What is not flushed is flushed first: the leader counts on what the offset says.
fn position(broker: &Broker, assignment: &Assignment) -> Option<Asked> {
    let Assignment { replica, leader_epoch, .. } = assignment;
    let mut position = replica.fetch_position(*leader_epoch);
    if position == FetchPosition::MustFlush {
        broker.flush_now(replica);
        position = replica.fetch_position(*leader_epoch);
    }
    match position {
        FetchPosition::At { offset, last_fetched_epoch } => {
            let log_start = replica.published().log_start;
            Some(Asked { leader_epoch: *leader_epoch, offset, last_fetched_epoch, log_start })
        }
        FetchPosition::MustFlush | FetchPosition::None => None,
    }
}

/// Fetches until the fetcher is closed, or the broker is gone.
pub(super) async fn run(fetcher: Arc<Fetcher>, broker: Weak<Broker>) {
    let mut session = Session::default();
    let mut link: Option<Link> = None;
    while !fetcher.is_closing.load(Ordering::Acquire) {
        let Some(broker) = broker.upgrade() else { return };
        let rest_ms = match leader_address(&broker, fetcher.leader) {
            Some(address) => {
                let link = connected(&mut link, &mut session, &broker, address);
                match fetcher.plan(&broker, &mut session) {
                    Round::Fetch(request) => fetch(&fetcher, &broker, link, &mut session, request).await,
                    Round::Rest(ms) => ms,
                }
            }
            None => IDLE_MS,
        };
        drop(broker);
        if rest_ms > 0 {
            // Woken or not: the next round looks at everything.
            let _ = tokio::time::timeout(Duration::from_millis(rest_ms), fetcher.wake.notified()).await;
        }
    }
}

/// One request and its answer. How long to rest, in ms.
async fn fetch(
    fetcher: &Arc<Fetcher>,
    broker: &Arc<Broker>,
    link: &Link,
    session: &mut Session,
    request: FetchRequest,
) -> u64 {
    let timeout_ms = broker.cluster.replication.timeout_ms.min(ANSWER_MAX_MS);
    let timeout = Duration::from_millis(timeout_ms + u64::try_from(request.max_wait_ms).unwrap_or(0));
    let answered = tokio::select! {
        biased;
        () = fetcher.closed.notified() => return 0,
        answered = link.call(&request, VERSION, timeout) => answered,
        () = fetcher.hurry(link, timeout) => return 0,
    };
    let answer: FetchResponse = match answered {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(leader = %fetcher.leader, %error, "a leader cannot be fetched from");
            session.failed(None);
            return UNREACHABLE_MS;
        }
    };
    let code = ErrorCode::from(answer.error_code);
    if code.is_error() {
        tracing::debug!(leader = %fetcher.leader, %code, "a leader refuses a fetch");
        session.failed(Some(code));
        return BACKOFF_MIN_MS;
    }
    session.answered(answer.session_id);
    fetcher.take_in(broker, link, session, answer).await;
    0
}

/// Where the leader listens for brokers, as far as is known.
fn leader_address(broker: &Broker, leader: BrokerId) -> Option<Address> {
    let image = broker.image();
    let listener = &broker.cluster.replication.listener;
    let endpoint = image.broker(leader)?.endpoints.iter().find(|endpoint| endpoint.listener == *listener)?;
    Some(Address { host: endpoint.host.clone(), port: endpoint.port })
}

/// The link, a new one when the leader has moved.
fn connected<'a>(link: &'a mut Option<Link>, session: &mut Session, broker: &Broker, address: Address) -> &'a Link {
    if link.as_ref().is_none_or(|link| *link.address() != address) {
        session.failed(Some(ErrorCode::FetchSessionIdNotFound));
        let client_id = format!("broker-{}-fetcher", broker.node_id());
        let mut options = LinkOptions::new(address, client_id);
        // One batch may be larger than what was asked for: it comes whole.
        options.answer_bytes_max = broker.cluster.replication.answer_bytes_max;
        *link = None;
        return link.insert(Link::new(options));
    }
    link.as_ref().expect("made above")
}

/// The key of a partition of an answer.
pub(super) fn key_of(topic: uuid::Uuid, partition: i32) -> Key {
    (TopicId(topic), PartitionIndex(partition))
}
