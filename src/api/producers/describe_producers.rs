//! DescribeProducers (61), v0: the idempotent producers that a partition knows (KIP-664).
//!
//! Source: `KafkaApis.handleDescribeProducersRequest`, `ReplicaManager.activeProducerState`.

use std::ops::RangeInclusive;

use crate::api::{Api, Context, Reply};
use crate::log::{ProducerEntry, Producers};
use crate::model::{ErrorCode, LeaderEpoch, PartitionIndex, ProducerId, check_topic_name};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use crate::protocol::message::{DescribeProducersRequest, DescribeProducersResponse, StrBytes, WireProducerId};
use crate::security::{Access, Operation, ResourceType};

/// Kafka's text for UNKNOWN_TOPIC_OR_PARTITION.
const UNKNOWN_TOPIC: &str = "This server does not host this topic-partition.";

/// See the head of this file.
pub struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;
    type Response = DescribeProducersResponse;
    const KEY: ApiKey = ApiKey::DescribeProducers;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<DescribeProducersRequest> = Access::Each(&[(Operation::Read, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: DescribeProducersRequest) -> Reply<DescribeProducersResponse> {
        let image = cx.broker.image();
        Reply::Now(answer_each(&request, |topic, partition| {
            if let Err(reason) = check_topic_name(topic) {
                return Err((ErrorCode::InvalidTopicException, Some(format!("Topic name is invalid: {reason}"))));
            }
            // A topic that is not there is answered with a text, a partition that is not there without one.
            if image.topic(topic).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, Some(UNKNOWN_TOPIC.to_owned())));
            }
            let replica = cx.broker.replica(topic, partition).map_err(|code| (code, None))?;
            // Whoever has the log knows its producers, followers too (`Partition.activeProducerState`).
            replica.check_readable(LeaderEpoch(-1)).map_err(|code| (code, None))?;
            Ok(replica.with_log(|log, _| states(log.producers())))
        }))
    }

    fn refuse(request: &DescribeProducersRequest, code: ErrorCode) -> DescribeProducersResponse {
        answer_each(request, |_, _| Err((code, None)))
    }
}

fn states(producers: &Producers) -> Vec<ProducerState> {
    producers.iter().map(|(id, entry)| state(id, entry)).collect()
}

fn state(id: ProducerId, entry: &ProducerEntry) -> ProducerState {
    ProducerState::default()
        .with_producer_id(WireProducerId(id.0))
        .with_producer_epoch(i32::from(entry.epoch.0))
        .with_last_sequence(entry.last_sequence().0)
        .with_last_timestamp(entry.last_timestamp_ms)
        .with_coordinator_epoch(entry.coordinator_epoch)
        // No transaction is ever open.
        .with_current_txn_start_offset(-1)
}

fn answer_each(
    request: &DescribeProducersRequest,
    describe: impl Fn(&str, PartitionIndex) -> Result<Vec<ProducerState>, (ErrorCode, Option<String>)>,
) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            let response = PartitionResponse::default().with_partition_index(*index);
            match describe(&topic.name, PartitionIndex(*index)) {
                Ok(producers) => response.with_active_producers(producers),
                Err((code, message)) => {
                    response.with_error_code(code.code()).with_error_message(message.map(StrBytes::from_string))
                }
            }
        });
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}
