//! OffsetForLeaderEpoch (23), v2–4: where the records of a leader epoch end, so that a reader finds out what it has in common
//! with this log (KIP-101, KIP-279).
//! v2 current leader epoch (KIP-320) · v3 replica id · v4 flexible
//!
//! Source: `ReplicaManager.lastOffsetForLeaderEpoch`, `Partition.lastOffsetForLeaderEpoch`.

use std::ops::RangeInclusive;

use crate::api::{Api, Context, Reply};
use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use crate::protocol::message::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use crate::protocol::message::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    type Response = OffsetForLeaderEpochResponse;
    const KEY: ApiKey = ApiKey::OffsetForLeaderEpoch;
    const VERSIONS: RangeInclusive<i16> = 2..=4;
    const ACCESS: Access<OffsetForLeaderEpochRequest> = Access::Each(&[(Operation::Describe, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: OffsetForLeaderEpochRequest) -> Reply<OffsetForLeaderEpochResponse> {
        Reply::Now(answer_each(&request, |topic, asked| {
            let replica = cx.broker.replica(topic, PartitionIndex(asked.partition))?;
            replica.check_serving(LeaderEpoch(asked.current_leader_epoch))?;
            Ok(replica.with_log(|log, _| log.epoch_end_offset(LeaderEpoch(asked.leader_epoch))))
        }))
    }

    fn refuse(request: &OffsetForLeaderEpochRequest, code: ErrorCode) -> OffsetForLeaderEpochResponse {
        answer_each(request, |_, _| Err(code))
    }
}

fn answer_each(
    request: &OffsetForLeaderEpochRequest,
    find: impl Fn(&str, &OffsetForLeaderPartition) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode>,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let found = find(&topic.topic, asked);
            let code = found.err().unwrap_or(ErrorCode::None);
            // An epoch that this log never had is no error: nothing is known of it.
            let (epoch, end_offset) = found.ok().flatten().unwrap_or((LeaderEpoch(-1), Offset::NONE));
            EpochEndOffset::default()
                .with_error_code(code.code())
                .with_partition(asked.partition)
                .with_leader_epoch(epoch.0)
                .with_end_offset(end_offset.0)
        });
        OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions.collect())
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
