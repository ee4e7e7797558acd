//! What a fetch finds in its partitions, within its limits.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::fetch_sessions::{FetchContext, FetchOutcome, FetchPartition, FetchTopic};
use crate::broker::purgatory::Watch;
use crate::broker::replica::Replica;
use crate::log::{ReadRequest, Region};
use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use crate::partition::Published;
use crate::protocol::fetch::Request;

/// How much a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset (KIP-98).
    ReadCommitted,
}

impl Isolation {
    /// Kafka's `IsolationLevel.forId`; the request's other numbers are not refused there either.
    pub(super) fn of(level: i8) -> Isolation {
        if level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
    }

    fn bound(self, published: &Published) -> Offset {
        match self {
            Isolation::ReadUncommitted => published.high_watermark,
            Isolation::ReadCommitted => published.last_stable,
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
    /// What the request asks for, within `fetch.max.bytes`.
    pub(super) fn new(broker: &Broker, request: &Request) -> Limits {
        let size = |asked: i32| usize::try_from(asked).unwrap_or(0).min(broker.fetch_max_bytes());
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
}

impl Found {
    fn refused(code: ErrorCode) -> Found {
        let (high_watermark, log_start) = (Offset::NONE, Offset::NONE);
        let outcome = FetchOutcome { error: code, high_watermark, log_start, has_records: false, diverges: false };
        let (last_stable, bound) = (Offset::NONE, Offset::NONE);
        Found { outcome, last_stable, region: None, diverging: None, bound, is_unknown: false }
    }
}

/// The partitions of a fetch and what was found in them, in the order of its context.
pub(super) struct Reading {
    isolation: Isolation,
    is_follower: bool,
    replicas: Vec<Result<Arc<Replica>, ErrorCode>>,
    pub(super) found: Vec<Found>,
    bytes: usize,
}

impl Reading {
    pub(super) fn new(broker: &Broker, context: &FetchContext, isolation: Isolation, is_follower: bool) -> Reading {
        let find = |asked: &FetchPartition| {
            if is_follower {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            let partition = PartitionIndex(asked.partition);
            match &asked.topic {
                FetchTopic::Name(name) => broker.replica(name, partition),
                FetchTopic::Id(id) => broker.replica_by_id(*id, partition),
            }
        };
        let replicas = context.partitions.iter().map(find).collect();
        Reading { isolation, is_follower, replicas, found: Vec::new(), bytes: 0 }
    }

    pub(super) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Reads all partitions in order. Only the first batch of the whole answer may exceed the limits
    /// (`ReplicaManager.readFromLog`).
    pub(super) fn read(&mut self, context: &FetchContext, limits: Limits) {
        self.found.clear();
        self.bytes = 0;
        for (asked, replica) in context.partitions.iter().zip(&self.replicas) {
            let left = limits.max_bytes.saturating_sub(self.bytes);
            let max_bytes = usize::try_from(asked.max_bytes).unwrap_or(0).min(left);
            let found = match replica {
                Ok(replica) => {
                    let read = read_one(replica, asked, self.isolation, max_bytes, self.bytes == 0);
                    read.unwrap_or_else(Found::refused)
                }
                Err(code) => Found { is_unknown: !self.is_follower, ..Found::refused(*code) },
            };
            self.bytes += found.region.as_ref().map_or(0, |region| region.len);
            self.found.push(found);
        }
    }

    /// Whether the answer need not wait: enough bytes, or something that the client must hear at once.
    pub(super) fn is_enough(&self, limits: Limits) -> bool {
        self.bytes >= limits.min_bytes
            || self.found.iter().any(|found| found.outcome.error.is_error() || found.diverging.is_some())
    }

    pub(super) fn missing_bytes(&self, limits: Limits) -> i64 {
        i64::try_from(limits.min_bytes.saturating_sub(self.bytes)).unwrap_or(i64::MAX)
    }

    pub(super) fn watch(&self, watch: &Arc<Watch>) {
        for replica in self.replicas.iter().flatten() {
            replica.watchers().add(watch);
        }
    }

    pub(super) fn unwatch(&self, watch: &Arc<Watch>) {
        for replica in self.replicas.iter().flatten() {
            replica.watchers().remove(watch);
        }
    }

    /// Whether more is readable than was when it was read, or a partition serves no more.
    pub(super) fn has_moved(&self) -> bool {
        self.replicas.iter().zip(&self.found).any(|(replica, found)| {
            replica.as_ref().is_ok_and(|replica| {
                let bound = self.isolation.bound(&replica.published());
                bound != found.bound || replica.check_serving(LeaderEpoch(-1)).is_err()
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
    isolation: Isolation,
    max_bytes: usize,
    min_one: bool,
) -> Result<Found, ErrorCode> {
    replica.check_serving(asked.current_leader_epoch)?;
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
    let bound = isolation.bound(&published);
    let region = if diverging.is_some() || asked.fetch_offset >= bound {
        None
    } else {
        let request = ReadRequest { offset: asked.fetch_offset, max_bytes, upper_bound: bound, min_one };
        replica.reader().read(request).map_err(|error| {
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
    Ok(Found { outcome, last_stable: published.last_stable, region, diverging, bound, is_unknown: false })
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
    let (epoch, end_offset) = end.ok_or(ErrorCode::OffsetOutOfRange)?;
    if asked.fetch_offset < published.log_start {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let diverges = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
    Ok(diverges.then_some((epoch, end_offset)))
}
