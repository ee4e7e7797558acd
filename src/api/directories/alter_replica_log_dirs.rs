//! AlterReplicaLogDirs (34), v1–2: moves logs of the broker that is asked to others of its directories (KIP-113).
//! v2 flexible
//!
//! The answer comes when the copies have begun; DescribeLogDirs shows how far they are. Source:
//! `KafkaApis.handleAlterReplicaLogDirsRequest`, `ReplicaManager.alterReplicaLogDirs`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::io::threads;
use crate::model::{ErrorCode, PartitionIndex, TopicPartition};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use crate::protocol::message::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct AlterReplicaLogDirs;

impl Api for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    type Response = AlterReplicaLogDirsResponse;
    const KEY: ApiKey = ApiKey::AlterReplicaLogDirs;
    const VERSIONS: RangeInclusive<i16> = 1..=2;
    const ACCESS: Access<AlterReplicaLogDirsRequest> = Access::Cluster(Operation::Alter);

    fn handle(cx: &Context<'_>, request: AlterReplicaLogDirsRequest) -> Reply<AlterReplicaLogDirsResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            // A copy's directory is made before the answer.
            let asked = request.clone();
            let altered = threads::run("move-log", move || {
                answer(&asked, |partition, path| broker.alter_replica_log_dir(partition, path))
            });
            altered.await.unwrap_or_else(|_| Self::refuse(&request, ErrorCode::UnknownServerError))
        })
    }

    fn refuse(request: &AlterReplicaLogDirsRequest, code: ErrorCode) -> AlterReplicaLogDirsResponse {
        answer(request, |_, _| Err(code))
    }
}

fn answer(
    request: &AlterReplicaLogDirsRequest,
    alter: impl Fn(&TopicPartition, &str) -> Result<(), ErrorCode>,
) -> AlterReplicaLogDirsResponse {
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for dir in &request.dirs {
        // A topic without partitions is not answered.
        for topic in dir.topics.iter().filter(|topic| !topic.partitions.is_empty()) {
            let place = results.iter().position(|result| result.topic_name == topic.name).unwrap_or_else(|| {
                results.push(AlterReplicaLogDirTopicResult::default().with_topic_name(topic.name.clone()));
                results.len() - 1
            });
            for index in &topic.partitions {
                let partition = TopicPartition::new(&topic.name, PartitionIndex(*index));
                let code = alter(&partition, &dir.path).err().unwrap_or(ErrorCode::None).code();
                results[place].partitions.push(
                    AlterReplicaLogDirPartitionResult::default().with_partition_index(*index).with_error_code(code),
                );
            }
        }
    }
    AlterReplicaLogDirsResponse::default().with_results(results)
}
