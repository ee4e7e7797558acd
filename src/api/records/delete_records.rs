//! DeleteRecords (21), v0–2: moves the start of a log, and answers when no replica that is alive holds what lies below it.
//!
//! Sources: `KafkaApis.handleDeleteRecordsRequest`, `ReplicaManager.deleteRecords`. A partition that is named more than once counts
//! with its last offset, as in Kafka's map. The answer waits for the log start's checkpoint too: see [`Deletion`].

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::broker::Broker;
use crate::broker::delete_records::Deletion;
use crate::broker::replica::DeleteUpTo;
use crate::model::{ErrorCode, Offset, PartitionIndex, is_internal_topic};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use crate::protocol::message::{DeleteRecordsRequest, DeleteRecordsResponse};
use crate::security::{Access, Operation, ResourceType};

/// Kafka's `DeleteRecordsRequest.HIGH_WATERMARK`: everything that is committed.
const HIGH_WATERMARK: i64 = -1;

/// See the head of this file.
pub struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    type Response = DeleteRecordsResponse;
    const KEY: ApiKey = ApiKey::DeleteRecords;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<DeleteRecordsRequest> = Access::Each(&[(Operation::Delete, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, request: DeleteRecordsRequest) -> Reply<DeleteRecordsResponse> {
        let (mut begun, mut deletions) = (Vec::new(), Vec::new());
        for (topic, partition, offset) in asked(&request) {
            match begin(cx.broker, topic, partition, offset) {
                Ok(deletion) => {
                    begun.push(Begun::At(deletions.len()));
                    deletions.push(deletion);
                }
                Err(code) => begun.push(Begun::Refused(code)),
            }
        }
        if deletions.is_empty() {
            return Reply::Now(respond(&request, &begun, &deletions));
        }
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            let timeout_ms = u64::try_from(request.timeout_ms).unwrap_or(0);
            broker.await_deletions(&mut deletions, timeout_ms).await;
            respond(&request, &begun, &deletions)
        })
    }

    fn refuse(request: &DeleteRecordsRequest, code: ErrorCode) -> DeleteRecordsResponse {
        let refused: Vec<_> = asked(request).iter().map(|_| Begun::Refused(code)).collect();
        respond(request, &refused, &[])
    }
}

/// What became of a partition at once.
enum Begun {
    /// The place of its deletion.
    At(usize),
    Refused(ErrorCode),
}

/// Every partition once, in the order in which they are named first.
fn asked(request: &DeleteRecordsRequest) -> Vec<(&str, i32, i64)> {
    let mut places = HashMap::new();
    let mut asked: Vec<(&str, i32, i64)> = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let place = *places.entry((topic.name.as_str(), partition.partition_index)).or_insert(asked.len());
            match asked.get_mut(place) {
                Some(earlier) => earlier.2 = partition.offset,
                None => asked.push((topic.name.as_str(), partition.partition_index, partition.offset)),
            }
        }
    }
    asked
}

fn begin(broker: &Broker, topic: &str, partition: i32, offset: i64) -> Result<Deletion, ErrorCode> {
    let partition = PartitionIndex(partition);
    let image = broker.image();
    if image.topic(topic).and_then(|topic| topic.partition(partition)).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    // Only Kafka itself deletes there.
    if is_internal_topic(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let replica = broker.replica(topic, partition)?;
    let up_to = if offset == HIGH_WATERMARK { DeleteUpTo::HighWatermark } else { DeleteUpTo::Offset(Offset(offset)) };
    let required = replica.delete_records(up_to)?;
    Ok(Deletion::new(replica, required))
}

fn respond(request: &DeleteRecordsRequest, begun: &[Begun], deletions: &[Deletion]) -> DeleteRecordsResponse {
    let mut topics: Vec<DeleteRecordsTopicResult> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for ((topic, partition, _), begun) in asked(request).into_iter().zip(begun) {
        let (low_watermark, code) = match begun {
            Begun::At(place) => deletions[*place].outcome(),
            Begun::Refused(code) => (Offset::NONE, *code),
        };
        let result = DeleteRecordsPartitionResult::default()
            .with_partition_index(partition)
            .with_low_watermark(low_watermark.0)
            .with_error_code(code.code());
        let place = *places.entry(topic).or_insert(topics.len());
        if place == topics.len() {
            let name = request.topics.iter().find(|asked| asked.name.as_str() == topic).map(|asked| asked.name.clone());
            topics.push(DeleteRecordsTopicResult::default().with_name(name.unwrap_or_default()));
        }
        topics[place].partitions.push(result);
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
    use crate::protocol::message::{StrBytes, TopicName};

    #[test]
    fn a_partition_named_twice_counts_with_its_last_offset_and_is_answered_once() {
        let topic = |name: &'static str, partitions: &[(i32, i64)]| {
            let partition = |(index, offset): &(i32, i64)| {
                DeleteRecordsPartition::default().with_partition_index(*index).with_offset(*offset)
            };
            DeleteRecordsTopic::default()
                .with_name(TopicName(StrBytes::from_static_str(name)))
                .with_partitions(partitions.iter().map(partition).collect())
        };
        let topics = vec![topic("a", &[(0, 5), (1, 6), (0, 7)]), topic("b", &[(0, 1)]), topic("a", &[(1, 8), (2, 9)])];
        let request = DeleteRecordsRequest::default().with_topics(topics);
        assert_eq!(asked(&request), [("a", 0, 7), ("a", 1, 8), ("b", 0, 1), ("a", 2, 9)]);
        let refused = DeleteRecords::refuse(&request, ErrorCode::ClusterAuthorizationFailed);
        let answered: Vec<(&str, Vec<i32>)> = refused
            .topics
            .iter()
            .map(|topic| (topic.name.as_str(), topic.partitions.iter().map(|result| result.partition_index).collect()))
            .collect();
        assert_eq!(answered, [("a", vec![0, 1, 2]), ("b", vec![0])]);
        assert!(
            refused.topics[0].partitions.iter().all(|result| result.low_watermark == -1 && result.error_code == 31)
        );
    }
}
