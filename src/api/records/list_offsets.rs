//! ListOffsets (2), v1–11: the offset of a time, or of one of the places that have no time.
//! v2 isolation level · v4 leader epochs (KIP-320) · v7 −3, the greatest timestamp (KIP-734) · v8 −4, the earliest local
//! offset (KIP-405) · v9 −5, the last tiered offset (KIP-1005) · v10 timeout · v11 −6, the earliest pending upload (KIP-1023)
//!
//! Sources: `ReplicaManager.fetchOffset`, `Partition.fetchOffsetForTimestamp`, `UnifiedLog.fetchOffsetByTimestamp`. There is no
//! tiered storage, so −4 is the log start, and −5 and −6 are nowhere. A new leader answers OFFSET_NOT_AVAILABLE until its high
//! watermark has reached what was there when its epoch began, so that the end never seems to go back (KIP-207). A replica id is
//! believed on the listener of the brokers only: replicas see the log's end.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::api::{Api, Context, Reply};
use crate::broker::replica::Replica;
use crate::config::Roles;
use crate::log::TimestampOffset;
use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::list_offsets_request::ListOffsetsPartition;
use crate::protocol::message::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::protocol::message::{ListOffsetsRequest, ListOffsetsResponse};
use crate::security::{Access, Operation, ResourceType};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Kafka's `ListOffsetsResponse.UNKNOWN_TIMESTAMP`.
const NO_TIMESTAMP: i64 = -1;
/// Isolation level of readers that see committed transactions only.
const READ_COMMITTED: i8 = 1;

/// See the head of this file.
pub struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    type Response = ListOffsetsResponse;
    const KEY: ApiKey = ApiKey::ListOffsets;
    const VERSIONS: RangeInclusive<i16> = 1..=11;
    const ACCESS: Access<ListOffsetsRequest> = Access::Each(&[(Operation::Describe, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: ListOffsetsRequest) -> Reply<ListOffsetsResponse> {
        let repeated = repeated(&request);
        // `IsolationLevel.forId` throws.
        if !(0..=READ_COMMITTED).contains(&request.isolation_level) {
            return Reply::Now(Self::refuse(&request, ErrorCode::UnknownServerError));
        }
        let bound = match request.isolation_level {
            _ if *request.replica_id >= 0 && cx.connection.roles.meet(Roles::INTER_BROKER) => Bound::LogEnd,
            READ_COMMITTED => Bound::LastStable,
            _ => Bound::HighWatermark,
        };
        Reply::Now(answer_each(&request, |topic, asked| {
            if repeated.contains(&(topic, asked.partition_index)) {
                return Err(ErrorCode::InvalidRequest);
            }
            if !is_supported(asked.timestamp, cx.version) {
                return Err(ErrorCode::UnsupportedVersion);
            }
            let replica = cx.broker.replica(topic, PartitionIndex(asked.partition_index))?;
            replica.check_serving(LeaderEpoch(asked.current_leader_epoch))?;
            let found = find(&replica, asked.timestamp, bound).map_err(|code| code_in(cx.version, code))?;
            Ok(as_told_in(cx.version, found))
        }))
    }

    fn refuse(request: &ListOffsetsRequest, code: ErrorCode) -> ListOffsetsResponse {
        answer_each(request, |_, _| Err(code))
    }
}

/// What is answered for a place or a time that is not there; not an error.
const NOWHERE: TimestampOffset =
    TimestampOffset { timestamp_ms: NO_TIMESTAMP, offset: Offset::NONE, leader_epoch: LeaderEpoch(-1) };

/// How far the one who asks may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    LogEnd,
    HighWatermark,
    LastStable,
}

fn find(replica: &Replica, timestamp: i64, seen: Bound) -> Result<TimestampOffset, ErrorCode> {
    let published = replica.published();
    let bound = match seen {
        Bound::LogEnd => published.log_end,
        Bound::HighWatermark => published.high_watermark,
        Bound::LastStable => published.last_stable,
    };
    let depends_on_end = timestamp == LATEST || timestamp >= 0;
    if seen != Bound::LogEnd && depends_on_end && !replica.has_committed_start() {
        return Err(ErrorCode::OffsetNotAvailable);
    }
    let place = |offset, leader_epoch| TimestampOffset { timestamp_ms: NO_TIMESTAMP, offset, leader_epoch };
    let found = match timestamp {
        LATEST => return Ok(place(bound, published.leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let epoch = replica.with_log(|log, _| log.leader_epochs().epoch_for_offset(published.log_start));
            return Ok(place(published.log_start, epoch.unwrap_or(LeaderEpoch(-1))));
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(NOWHERE),
        MAX_TIMESTAMP => replica.reader().max_timestamp(),
        time => replica.reader().offset_for_timestamp(time),
    };
    let found = found.map_err(|error| {
        tracing::warn!(partition = %replica.topic_partition(), %error, "offset lookup failed");
        error.code()
    })?;
    // A record that consumers cannot read yet is not told either.
    Ok(found.filter(|found| found.offset < bound).unwrap_or(NOWHERE))
}

/// First version that knows OFFSET_NOT_AVAILABLE; older clients try again on LEADER_NOT_AVAILABLE.
fn code_in(version: i16, code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::OffsetNotAvailable && version < 5 { ErrorCode::LeaderNotAvailable } else { code }
}

/// `ReplicaManager.isListOffsetsTimestampUnsupported`.
fn is_supported(timestamp: i64, version: i16) -> bool {
    let since = match timestamp {
        0.. => return true,
        LATEST | EARLIEST => 1,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => return false,
    };
    version >= since
}

/// Versions below 4 have no room for the leader epoch, and the codec refuses to leave out one that is known.
fn as_told_in(version: i16, found: TimestampOffset) -> TimestampOffset {
    if version < 4 { TimestampOffset { leader_epoch: LeaderEpoch(-1), ..found } } else { found }
}

/// Partitions that are named more than once; each of their answers is INVALID_REQUEST.
fn repeated(request: &ListOffsetsRequest) -> HashSet<(&str, i32)> {
    let mut seen = HashSet::new();
    let named = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.partition_index)));
    named.filter(|name| !seen.insert(*name)).collect()
}

fn answer_each(
    request: &ListOffsetsRequest,
    find: impl Fn(&str, &ListOffsetsPartition) -> Result<TimestampOffset, ErrorCode>,
) -> ListOffsetsResponse {
    // A partition that is named twice is answered once: Kafka answers from a map.
    let mut answered = HashSet::new();
    let topics = request.topics.iter().map(|topic| {
        let name = topic.name.as_str();
        let first = topic.partitions.iter().filter(|asked| answered.insert((name, asked.partition_index)));
        let partitions = first.map(|asked| {
            let found = find(name, asked);
            let code = found.err().unwrap_or(ErrorCode::None);
            let TimestampOffset { timestamp_ms, offset, leader_epoch } = found.unwrap_or(NOWHERE);
            ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(code.code())
                .with_timestamp(timestamp_ms)
                .with_offset(offset.0)
                .with_leader_epoch(leader_epoch.0)
        });
        ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::list_offsets_request::ListOffsetsTopic;
    use crate::protocol::message::{StrBytes, TopicName};

    #[test]
    fn every_version_has_room_for_what_it_is_told() {
        let found = TimestampOffset { timestamp_ms: 7, offset: Offset(3), leader_epoch: LeaderEpoch(5) };
        for version in ListOffsets::VERSIONS {
            let told = as_told_in(version, found);
            assert_eq!((told.timestamp_ms, told.offset), (7, Offset(3)));
            assert_eq!(told.leader_epoch, LeaderEpoch(if version < 4 { -1 } else { 5 }), "v{version}");
        }
    }

    #[test]
    fn each_place_has_its_first_version() {
        let check = |timestamp, first: i16| {
            for version in ListOffsets::VERSIONS {
                assert_eq!(is_supported(timestamp, version), version >= first, "{timestamp} in v{version}");
            }
        };
        check(0, 1);
        check(i64::MAX, 1);
        check(LATEST, 1);
        check(EARLIEST, 1);
        check(MAX_TIMESTAMP, 7);
        check(EARLIEST_LOCAL, 8);
        check(LATEST_TIERED, 9);
        check(EARLIEST_PENDING_UPLOAD, 11);
        check(-7, 12);
        check(i64::MIN, 12);
    }

    #[test]
    fn a_partition_named_twice_is_answered_once() {
        let partition = |index| ListOffsetsPartition::default().with_partition_index(index);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![partition(0), partition(1), partition(0)]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let repeated = repeated(&request);
        assert_eq!(repeated, HashSet::from([("t", 0)]));
        let response = answer_each(&request, |_, _| Ok(NOWHERE));
        let answered: Vec<i32> = response.topics[0].partitions.iter().map(|found| found.partition_index).collect();
        assert_eq!(answered, [0, 1]);
    }
}
