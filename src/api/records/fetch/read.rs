//! What a fetch finds in its partitions, within its limits.

use std::sync::Arc;

use crate::api::Context;
use crate::broker::Broker;
use crate::broker::fetch_sessions::{FetchContext, FetchOutcome, FetchPartition, FetchTopic};
use crate::broker::purgatory::{Watch, Watchers};
use crate::broker::replica::Replica;
use crate::config::Roles;
use crate::io::bugs::{self, Bug};
use crate::log::{ReadRequest, Region};
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use crate::partition::{FollowerFetch, Published};
use crate::protocol::fetch::Request;
use crate::quota::Kind as QuotaKind;

/// How much a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Up to the log's end: replicas, and tools that look at them (`FetchIsolation.LOG_END`).
    LogEnd,
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset (KIP-98).
    ReadCommitted,
}

impl Isolation {
    fn bound(self, published: &Published) -> Offset {
        match self {
            Isolation::LogEnd => published.log_end,
            Isolation::ReadUncommitted => published.high_watermark,
            Isolation::ReadCommitted => published.last_stable,
        }
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    isolation: Isolation,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Whether a follower may answer, too.
    Consumer {
        takes_followers: bool,
    },
    Replica {
        id: BrokerId,
        broker_epoch: i64,
    },
    /// It names a replica id where that is not believed.
    Impostor,
}

/// First version that lets a follower answer (KIP-392).
const FOLLOWERS_FROM: i16 = 11;
/// `FetchRequest.CONSUMER_REPLICA_ID`; other negative ids are tools that look at replicas.
const CONSUMER_REPLICA_ID: i32 = -1;

impl Asker {
    pub(super) fn of(cx: &Context<'_>, request: &Request) -> Asker {
        let id = request.replica_id;
        // Kafka's `IsolationLevel.forId`; the request's other numbers are not refused there either.
        let isolation = match request.isolation_level {
            _ if id != CONSUMER_REPLICA_ID => Isolation::LogEnd,
            1 => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        };
        let kind = match id {
            0.. if cx.connection.roles.meet(Roles::INTER_BROKER) => {
                Kind::Replica { id: BrokerId(id), broker_epoch: request.replica_epoch }
            }
            0.. => Kind::Impostor,
            CONSUMER_REPLICA_ID => Kind::Consumer { takes_followers: cx.version >= FOLLOWERS_FROM },
            _ => Kind::Consumer { takes_followers: true },
        };
        Asker { isolation, kind }
    }

    /// Whether a follower asks.
    pub(super) fn is_replica(self) -> bool {
        matches!(self.kind, Kind::Replica { .. })
    }

    /// `FetchParams.fetchOnlyLeader`.
    fn check(self, replica: &Replica, claimed: LeaderEpoch) -> Result<(), ErrorCode> {
        match self.kind {
            Kind::Consumer { takes_followers: true } => replica.check_readable(claimed).map(drop),
            _ => replica.check_serving(claimed),
        }
    }
}

/// Sizes of the whole answer, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    pub(super) min_bytes: usize,
}

impl Limits {
    /// What the request asks for, within `fetch.max.bytes` and what a consumer's quota could ever let through at once.
    pub(super) fn new(cx: &Context<'_>, request: &Request, asker: Asker) -> Limits {
        let quotas = cx.broker.quotas();
        let of_quota = match asker.is_replica() {
            true => None,
            false => quotas.bytes_max(QuotaKind::Fetch, &cx.connection.principal.name, cx.client_id_text()),
        };
        let of_quota = of_quota.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let size = |asked: i32| usize::try_from(asked).unwrap_or(0).min(cx.broker.fetch_max_bytes()).min(of_quota);
        Limits { max_bytes: size(request.max_bytes), min_bytes: size(request.min_bytes) }
    }
}

/// What was found in one partition.
pub(super) struct Found {
    pub(super) outcome: FetchOutcome,
    pub(super) last_stable: Offset,
    pub(super) region: Option<Region>,
    /// Epoch and end offset where the reader's history leaves ours.
    pub(super) diverging: Option<(LeaderEpoch, Offset)>,
    /// The bound of the read; what a waiting fetch compares.
    bound: Offset,
    /// Whether the error came before any replica was asked; Kafka's answer differs in a detail.
    pub(super) is_unknown: bool,
    /// The follower that the consumer should ask instead.
    pub(super) preferred: Option<BrokerId>,
}

impl Found {
    fn refused(code: ErrorCode) -> Found {
        let (high_watermark, log_start) = (Offset::NONE, Offset::NONE);
        let outcome = FetchOutcome { error: code, high_watermark, log_start, has_records: false, diverges: false };
        let (last_stable, bound) = (Offset::NONE, Offset::NONE);
        Found { outcome, last_stable, region: None, diverging: None, bound, is_unknown: false, preferred: None }
    }

    /// The same with the offsets of now, if it was neither records nor an error, and a read would find no more.
    fn if_unchanged(mut self, replica: &Replica, asked: &FetchPartition, asker: Asker) -> Option<Found> {
        let published = replica.published();
        let has_nothing = !self.outcome.has_records && !self.outcome.diverges && !self.outcome.error.is_error();
        let may_stay =
            has_nothing && self.preferred.is_none() && asker.check(replica, asked.current_leader_epoch).is_ok();
        let is_same = asker.isolation.bound(&published) == self.bound && asked.fetch_offset >= published.log_start;
        // Of a log that is read to its end, the end says whether there is more; elsewhere the limits of the answer kept it back.
        if !may_stay || !is_same || asked.fetch_offset < self.bound {
            return None;
        }
        self.outcome.high_watermark = published.high_watermark;
        self.outcome.log_start = published.log_start;
        self.last_stable = published.last_stable;
        Some(self)
    }
}

/// The partitions of a fetch and what was found in them, in the order of its context.
pub(super) struct Reading {
    asker: Asker,
    replicas: Vec<Result<Arc<Replica>, ErrorCode>>,
    pub(super) found: Vec<Found>,
    bytes: usize,
}

impl Reading {
    pub(super) fn new(broker: &Broker, context: &FetchContext, asker: Asker) -> Reading {
        let find = |asked: &FetchPartition| {
            if matches!(asker.kind, Kind::Impostor) {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            let partition = PartitionIndex(asked.partition);
            match &asked.topic {
                FetchTopic::Name(name) => broker.replica(name, partition),
                FetchTopic::Id(id) => broker.replica_by_id(*id, partition),
            }
        };
        let replicas = context.partitions.iter().map(find).collect();
        Reading { asker, replicas, found: Vec::new(), bytes: 0 }
    }

    pub(super) fn isolation(&self) -> Isolation {
        self.asker.isolation
    }

    /// Each partition as it was asked for, its replica if there is one, and what was found.
    pub(super) fn each<'a>(
        &'a mut self,
        context: &'a FetchContext,
    ) -> impl Iterator<Item = (&'a FetchPartition, &'a Arc<Replica>, &'a mut Found)> {
        let found = context.partitions.iter().zip(&self.replicas).zip(&mut self.found);
        found.filter_map(|((asked, replica), found)| Some((asked, replica.as_ref().ok()?, found)))
    }

    /// Tells the leaders here how far a follower is, by a fetch that was found in order, and the follower what that has moved.
    /// Once a request: what is read after waiting says nothing new of the follower (`ReplicaManager.readFromLog`,
    /// `DelayedFetch.onComplete`).
    pub(super) fn report(&mut self, cx: &Context<'_>, context: &FetchContext) {
        let Kind::Replica { id, broker_epoch } = self.asker.kind else { return };
        let image = cx.broker.image();
        let registered = image.broker(id);
        // What an earlier registration says is of a log that this one may have lost.
        if registered.is_some_and(|broker| broker_epoch < broker.epoch) {
            return;
        }
        let is_eligible = registered.is_some_and(|broker| broker.is_active() && broker.epoch == broker_epoch);
        for (asked, replica, found) in self.each(context) {
            // Without the epoch nobody knows which leader's log the offset speaks of.
            if found.outcome.error.is_error() || found.diverging.is_some() || asked.current_leader_epoch.0 < 0 {
                continue;
            }
            let (offset, log_start) = (asked.fetch_offset, asked.log_start);
            let fetch = FollowerFetch { follower: id, broker_epoch, is_eligible, offset, log_start, now: cx.now };
            replica.follower_fetched(asked.current_leader_epoch, fetch);
            let published = replica.published();
            found.outcome.high_watermark = published.high_watermark;
            found.last_stable = published.last_stable;
        }
    }

    /// Whether the leader here may send a follower nothing now: it is moved under a throttle, and not in sync.
    fn is_held_back(&self, broker: &Broker, replica: &Replica) -> bool {
        self.throttled_follower(broker, replica).is_some_and(|follower| {
            let is_in_sync = replica.in_sync().is_some_and(|sets| sets.committed.contains(&follower));
            !is_in_sync && broker.throttles().leader.is_exceeded(broker.now())
        })
    }

    /// Whether a broker asks, to follow the leaders here.
    pub(super) fn is_for_follower(&self) -> bool {
        matches!(self.asker.kind, Kind::Replica { .. })
    }

    fn throttled_follower(&self, broker: &Broker, replica: &Replica) -> Option<BrokerId> {
        let Kind::Replica { id, .. } = self.asker.kind else { return None };
        let partition = replica.topic_partition().partition;
        replica.settings().leader_throttled.covers(partition, broker.node_id()).then_some(id)
    }

    /// Counts what is about to be sent under a throttle.
    pub(super) fn charge(&self, broker: &Broker) {
        for (replica, found) in self.replicas.iter().zip(&self.found) {
            if let (Ok(replica), Some(region)) = (replica, &found.region)
                && self.throttled_follower(broker, replica).is_some()
            {
                broker.throttles().leader.charge(broker.now(), region.len);
            }
        }
    }

    /// Counts what is about to be sent, and what was refused.
    pub(super) fn count(&self, broker: &Broker) {
        let metrics = broker.metrics();
        let is_follower = matches!(self.asker.kind, Kind::Replica { .. });
        for (replica, found) in self.replicas.iter().zip(&self.found) {
            let traffic = replica.as_ref().map_or(metrics.topics.elsewhere(), |replica| replica.traffic());
            traffic.fetch_requests.add(1);
            if found.outcome.error.is_error() {
                traffic.fetch_failures.add(1);
            }
            if let Some(region) = &found.region {
                let bytes = if is_follower { &metrics.replication_bytes_out } else { &traffic.bytes_out };
                bytes.add(region.len);
            }
        }
    }

    /// Reads all partitions in order. Only the first batch of the whole answer may exceed the limits
    /// (`ReplicaManager.readFromLog`). When it is called again, what had nothing to read and has not changed is not read again: of
    /// a thousand partitions that a fetch waits for, few have.
    pub(super) fn read(&mut self, broker: &Broker, context: &FetchContext, limits: Limits) {
        let mut before = std::mem::take(&mut self.found).into_iter();
        self.found.reserve(self.replicas.len());
        self.bytes = 0;
        for (asked, replica) in context.partitions.iter().zip(&self.replicas) {
            let kept = before.next().and_then(|found| found.if_unchanged(replica.as_ref().ok()?, asked, self.asker));
            let found = kept.unwrap_or_else(|| self.read_within(broker, asked, replica, limits));
            self.bytes += found.region.as_ref().map_or(0, |region| region.len);
            self.found.push(found);
        }
    }

    fn read_within(
        &self,
        broker: &Broker,
        asked: &FetchPartition,
        replica: &Result<Arc<Replica>, ErrorCode>,
        limits: Limits,
    ) -> Found {
        let left = limits.max_bytes.saturating_sub(self.bytes);
        let max_bytes = usize::try_from(asked.max_bytes).unwrap_or(0).min(left);
        match replica {
            Ok(replica) => {
                let is_held_back = self.is_held_back(broker, replica);
                let max_bytes = if is_held_back { 0 } else { max_bytes };
                let min_one = self.bytes == 0 && !is_held_back;
                let read = read_one(replica, asked, self.asker, max_bytes, min_one);
                read.unwrap_or_else(Found::refused)
            }
            Err(code) => {
                // One that is known and elsewhere is refused by the log's side.
                let is_elsewhere = *code == ErrorCode::NotLeaderOrFollower;
                let is_unknown = !is_elsewhere && !matches!(self.asker.kind, Kind::Impostor);
                Found { is_unknown, ..Found::refused(*code) }
            }
        }
    }

    /// Whether the answer need not wait: enough bytes, or something that the client must hear at once.
    pub(super) fn is_enough(&self, limits: Limits) -> bool {
        self.bytes >= limits.min_bytes
            || self
                .found
                .iter()
                .any(|found| found.outcome.error.is_error() || found.diverging.is_some() || found.preferred.is_some())
    }

    pub(super) fn missing_bytes(&self, limits: Limits) -> i64 {
        i64::try_from(limits.min_bytes.saturating_sub(self.bytes)).unwrap_or(i64::MAX)
    }

    pub(super) fn watch(&self, watch: &Arc<Watch>) {
        for replica in self.replicas.iter().flatten() {
            self.watchers(replica).add(watch);
        }
    }

    pub(super) fn unwatch(&self, watch: &Arc<Watch>) {
        for replica in self.replicas.iter().flatten() {
            self.watchers(replica).remove(watch);
        }
    }

    fn watchers<'a>(&self, replica: &'a Replica) -> &'a Watchers {
        match self.asker.isolation {
            Isolation::LogEnd => replica.log_end_watchers(),
            _ => replica.watchers(),
        }
    }

    /// Whether more is readable than was when it was read, or a partition serves no more.
    pub(super) fn has_moved(&self) -> bool {
        self.replicas.iter().zip(&self.found).any(|(replica, found)| {
            replica.as_ref().is_ok_and(|replica| {
                let bound = self.asker.isolation.bound(&replica.published());
                bound != found.bound || self.asker.check(replica, LeaderEpoch(-1)).is_err()
            })
        })
    }

    pub(super) fn outcomes(&self) -> Vec<FetchOutcome> {
        self.found.iter().map(|found| found.outcome).collect()
    }
}

fn read_one(
    replica: &Replica,
    asked: &FetchPartition,
    asker: Asker,
    max_bytes: usize,
    min_one: bool,
) -> Result<Found, ErrorCode> {
    asker.check(replica, asked.current_leader_epoch)?;
    let published = replica.published();
    let diverging = diverging_epoch(replica, asked, &published)?;
    // Kafka answers out of range by the log's end, not by what this reader may see of it: ahead of that there is just nothing.
    if asked.fetch_offset < published.log_start || asked.fetch_offset > published.log_end {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    // `LogSegment.read` throws.
    if asked.max_bytes < 0 {
        return Err(ErrorCode::UnknownServerError);
    }
    let bound = asker.isolation.bound(&published);
    let region = if diverging.is_some() || asked.fetch_offset >= bound {
        None
    } else {
        let request = ReadRequest { offset: asked.fetch_offset, max_bytes, upper_bound: bound, min_one };
        replica.read(request).map_err(|error| {
            // Its topic may have been deleted since it was asked; that is no failure.
            if let Err(code) = replica.check_serving(LeaderEpoch(-1)) {
                return code;
            }
            tracing::warn!(partition = %replica.topic_partition(), %error, "fetch failed");
            error.code()
        })?
    };
    let outcome = FetchOutcome {
        error: ErrorCode::None,
        high_watermark: published.high_watermark,
        log_start: published.log_start,
        has_records: region.is_some(),
        diverges: diverging.is_some(),
    };
    let last_stable = published.last_stable;
    Ok(Found { outcome, last_stable, region, diverging, bound, is_unknown: false, preferred: None })
}

/// Where the reader's history leaves ours, if it says what it has read last (`Partition.readRecords`).
fn diverging_epoch(
    replica: &Replica,
    asked: &FetchPartition,
    published: &Published,
) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    if asked.last_fetched_epoch.0 < 0 {
        return Ok(None);
    }
    let end = replica.with_log(|log, _| log.epoch_end_offset(asked.last_fetched_epoch));
    let (epoch, mut end_offset) = end.ok_or(ErrorCode::OffsetOutOfRange)?;
    if bugs::is_back(Bug::Kafka12460) && epoch < published.leader_epoch {
        end_offset = end_offset.min(published.high_watermark);
    }
    if asked.fetch_offset < published.log_start {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let diverges = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
    Ok(diverges.then_some((epoch, end_offset)))
}
