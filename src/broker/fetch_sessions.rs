//! Fetch sessions (KIP-227): a client names its partitions once, and afterwards sends and gets only what changed.
//!
//! Source: `FetchManager`, `FetchSessionCache` and `CachedPartition` of Apache Kafka 4.3.1. A session knows what the client was
//! last told of each partition; a partition is answered when it has records, an error, or a moved high watermark or log start.
//!
//! Invariant: at most `slots_max` sessions, and at most [`PARTITIONS_MAX`] partitions in all of them; a client that gets no
//! session is served all the same, with session id 0. Where Kafka bounds sessions only, we bound their partitions too.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{ErrorCode, LeaderEpoch, Now, Offset, TopicId};

/// A session that nobody used for this long may be taken away by any new one
/// (`KafkaBroker.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICTION_MS: u64 = 120_000;
/// Partitions in all sessions together.
pub const PARTITIONS_MAX: usize = 1_000_000;
/// `FetchMetadata.INITIAL_EPOCH`: asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// `FetchMetadata.FINAL_EPOCH`: asks for no session, and closes the one that is named.
const FINAL_EPOCH: i32 = -1;
/// `FetchMetadata.INVALID_SESSION_ID`: none.
pub const NO_SESSION: i32 = 0;

/// How a request names a topic: by name before v13, by id from then on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FetchTopic {
    Name(Arc<str>),
    Id(TopicId),
}

/// What a client asks of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    pub topic: FetchTopic,
    pub partition: i32,
    /// -1: not checked.
    pub current_leader_epoch: LeaderEpoch,
    pub fetch_offset: Offset,
    /// A follower's; -1 from consumers.
    pub log_start: Offset,
    /// -1: the client does not ask whether its log diverged.
    pub last_fetched_epoch: LeaderEpoch,
    pub max_bytes: i32,
}

/// What one partition is answered, as far as a session cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchOutcome {
    pub error: ErrorCode,
    pub high_watermark: Offset,
    pub log_start: Offset,
    pub has_records: bool,
    pub diverges: bool,
}

#[derive(Debug)]
struct Cached {
    asked: FetchPartition,
    /// What the client was told last; [`Offset::NONE`] when it was told an error or nothing.
    high_watermark: Offset,
    log_start: Offset,
}

impl Cached {
    fn new(asked: FetchPartition) -> Cached {
        Cached { asked, high_watermark: Offset::NONE, log_start: Offset::NONE }
    }

    /// Whether the client must hear of the outcome (`CachedPartition.maybeUpdateResponseData`).
    fn take(&mut self, outcome: &FetchOutcome) -> bool {
        let told = (self.high_watermark, self.log_start);
        self.high_watermark = outcome.high_watermark;
        self.log_start = outcome.log_start;
        if outcome.error.is_error() {
            // So that the partition is answered again when the error goes away.
            self.high_watermark = Offset::NONE;
            return true;
        }
        outcome.has_records || outcome.diverges || told != (outcome.high_watermark, outcome.log_start)
    }
}

struct Session {
    uses_topic_ids: bool,
    epoch: i32,
    created_ms: u64,
    used_ms: u64,
    /// In the order in which they are read: one that just had records goes behind the others, so that each gets its turn.
    partitions: Vec<Cached>,
    positions: HashMap<(FetchTopic, i32), usize>,
}

impl Session {
    fn index(&mut self) {
        self.positions.clear();
        for (position, cached) in self.partitions.iter().enumerate() {
            self.positions.insert((cached.asked.topic.clone(), cached.asked.partition), position);
        }
    }

    fn update(&mut self, asked: Vec<FetchPartition>, forgotten: &[(FetchTopic, i32)]) {
        for partition in asked {
            let key = (partition.topic.clone(), partition.partition);
            match self.positions.get(&key) {
                Some(position) => self.partitions[*position].asked = partition,
                None => {
                    self.positions.insert(key, self.partitions.len());
                    self.partitions.push(Cached::new(partition));
                }
            }
        }
        if !forgotten.is_empty() {
            let gone: Vec<usize> = forgotten.iter().filter_map(|key| self.positions.remove(key)).collect();
            let mut position = 0;
            let gone: std::collections::BTreeSet<usize> = gone.into_iter().collect();
            self.partitions.retain(|_| {
                position += 1;
                !gone.contains(&(position - 1))
            });
            self.index();
        }
    }

    /// Which outcomes the client must hear of; `outcomes` are in the order of `partitions`.
    fn answer(&mut self, outcomes: &[FetchOutcome]) -> Vec<bool> {
        let told: Vec<bool> =
            self.partitions.iter_mut().zip(outcomes).map(|(cached, outcome)| cached.take(outcome)).collect();
        let served = outcomes.iter().any(|outcome| outcome.has_records);
        if served && !outcomes.iter().all(|outcome| outcome.has_records) {
            let mut outcomes = outcomes.iter();
            let (mut first, mut last) = (Vec::with_capacity(self.partitions.len()), Vec::new());
            for cached in self.partitions.drain(..) {
                let has_records = outcomes.next().is_some_and(|outcome| outcome.has_records);
                if has_records { last.push(cached) } else { first.push(cached) }
            }
            first.append(&mut last);
            self.partitions = first;
            self.index();
        }
        told
    }
}

/// What a request turned out to ask for.
pub struct FetchContext {
    /// What to read, in this order.
    pub partitions: Vec<FetchPartition>,
    kind: Kind,
}

enum Kind {
    Sessionless,
    /// Everything is answered, and a session is made of it.
    Full {
        uses_topic_ids: bool,
    },
    Incremental {
        id: i32,
        epoch: i32,
    },
}

impl FetchContext {
    /// Whether every partition is answered, changed or not.
    pub fn is_full(&self) -> bool {
        !matches!(self.kind, Kind::Incremental { .. })
    }
}

/// The sessions of a broker.
pub struct FetchSessions {
    slots_max: usize,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    sessions: HashMap<i32, Session>,
    partition_count: usize,
}

/// The session fields of a Fetch request.
#[derive(Clone, Copy, Debug)]
pub struct SessionRequest {
    pub id: i32,
    pub epoch: i32,
    pub uses_topic_ids: bool,
}

impl FetchSessions {
    /// `slots_max` is `max.incremental.fetch.session.cache.slots`.
    pub fn new(slots_max: usize) -> FetchSessions {
        FetchSessions { slots_max, cache: Mutex::default() }
    }

    pub fn session_count(&self) -> usize {
        self.cache.lock().sessions.len()
    }

    /// Finds out what the request asks for. Errors: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
    /// FETCH_SESSION_TOPIC_ID_ERROR. Source: `FetchManager.newContext`.
    pub fn begin(
        &self,
        now: Now,
        request: SessionRequest,
        asked: Vec<FetchPartition>,
        forgotten: &[(FetchTopic, i32)],
    ) -> Result<FetchContext, ErrorCode> {
        if request.epoch == INITIAL_EPOCH || request.epoch == FINAL_EPOCH {
            if request.id != NO_SESSION {
                self.cache.lock().remove(request.id);
            }
            let kind = match request.epoch {
                FINAL_EPOCH => Kind::Sessionless,
                _ => Kind::Full { uses_topic_ids: request.uses_topic_ids },
            };
            return Ok(FetchContext { partitions: asked, kind });
        }
        self.cache.lock().resume(now, request, asked, forgotten)
    }

    /// The session id to answer a request with that is told nothing for now: what the session knows stays as it is, and a new one is
    /// not begun. Error: as [`FetchSessions::finish`].
    pub fn throttled(&self, context: &FetchContext) -> Result<i32, ErrorCode> {
        let Kind::Incremental { id, epoch } = context.kind else { return Ok(NO_SESSION) };
        let cache = self.cache.lock();
        let is_current = cache.sessions.get(&id).is_some_and(|session| session.epoch == epoch);
        if is_current { Ok(id) } else { Err(ErrorCode::InvalidFetchSessionEpoch) }
    }

    /// Closes a request: the session id to answer, and for each outcome whether it is part of the answer.
    /// Error: INVALID_FETCH_SESSION_EPOCH, when the session moved on while this request waited.
    pub fn finish(
        &self,
        now: Now,
        context: FetchContext,
        outcomes: &[FetchOutcome],
        session_id: impl Fn() -> i32,
    ) -> Result<(i32, Vec<bool>), ErrorCode> {
        assert_eq!(context.partitions.len(), outcomes.len(), "each partition has its outcome");
        match context.kind {
            Kind::Sessionless => Ok((NO_SESSION, vec![true; outcomes.len()])),
            Kind::Full { uses_topic_ids } => {
                let mut cache = self.cache.lock();
                let id = cache.create(now, self.slots_max, uses_topic_ids, context.partitions, outcomes, session_id);
                Ok((id.unwrap_or(NO_SESSION), vec![true; outcomes.len()]))
            }
            Kind::Incremental { id, epoch } => {
                let mut cache = self.cache.lock();
                let session = cache.sessions.get_mut(&id).filter(|session| session.epoch == epoch);
                let session = session.ok_or(ErrorCode::InvalidFetchSessionEpoch)?;
                Ok((id, session.answer(outcomes)))
            }
        }
    }
}

impl Cache {
    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partition_count -= session.partitions.len();
        }
    }

    fn resume(
        &mut self,
        now: Now,
        request: SessionRequest,
        asked: Vec<FetchPartition>,
        forgotten: &[(FetchTopic, i32)],
    ) -> Result<FetchContext, ErrorCode> {
        let session = self.sessions.get_mut(&request.id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.partitions.len();
        session.update(asked, forgotten);
        let after = session.partitions.len();
        session.used_ms = now.monotonic_ms;
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        let epoch = session.epoch;
        let partitions: Vec<FetchPartition> = session.partitions.iter().map(|cached| cached.asked.clone()).collect();
        self.partition_count = self.partition_count + after - before;
        if after == 0 || self.partition_count > PARTITIONS_MAX {
            self.remove(request.id);
            return Ok(FetchContext { partitions, kind: Kind::Sessionless });
        }
        Ok(FetchContext { partitions, kind: Kind::Incremental { id: request.id, epoch } })
    }

    /// Source: `FetchSessionCacheShard.maybeCreateSession`.
    fn create(
        &mut self,
        now: Now,
        slots_max: usize,
        uses_topic_ids: bool,
        asked: Vec<FetchPartition>,
        outcomes: &[FetchOutcome],
        session_id: impl Fn() -> i32,
    ) -> Option<i32> {
        let count = asked.len();
        if count == 0 || self.partition_count.saturating_add(count) > PARTITIONS_MAX {
            return None;
        }
        if self.sessions.len() >= slots_max && !self.evict(now, count) {
            return None;
        }
        let id = std::iter::repeat_with(session_id).find(|id| *id > 0 && !self.sessions.contains_key(id))?;
        let mut partitions: Vec<Cached> = asked.into_iter().map(Cached::new).collect();
        for (cached, outcome) in partitions.iter_mut().zip(outcomes) {
            cached.take(outcome);
        }
        let (created_ms, used_ms) = (now.monotonic_ms, now.monotonic_ms);
        let positions = HashMap::with_capacity(count);
        let mut session = Session { uses_topic_ids, epoch: 1, created_ms, used_ms, partitions, positions };
        session.index();
        self.partition_count += count;
        self.sessions.insert(id, session);
        Some(id)
    }

    /// Takes away the session that was used longest ago, if that is long ago; or else the smallest of those that had their
    /// time, if it is smaller than the one that needs its slot.
    fn evict(&mut self, now: Now, size: usize) -> bool {
        let is_old = |since_ms: u64| now.monotonic_ms.saturating_sub(since_ms) > EVICTION_MS;
        let oldest = self.sessions.iter().min_by_key(|(id, session)| (session.used_ms, **id));
        let stale = oldest.filter(|(_, session)| is_old(session.used_ms)).map(|(id, _)| *id);
        let smaller = || {
            let had_their_time = self.sessions.iter().filter(|(_, session)| is_old(session.created_ms));
            let smallest = had_their_time.min_by_key(|(id, session)| (session.partitions.len(), **id));
            smallest.filter(|(_, session)| session.partitions.len() < size).map(|(id, _)| *id)
        };
        let Some(id) = stale.or_else(smaller) else { return false };
        self.remove(id);
        true
    }
}

#[cfg(test)]
#[path = "fetch_sessions/tests.rs"]
mod tests;
