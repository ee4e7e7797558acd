//! DescribeLogDirs (35), v1–5: the directories of the broker that is asked, and how large the logs in them are (KIP-113).
//! v2 flexible · v3 a code for the whole · v4 size of the volumes (KIP-827) · v5 whether a directory is cordoned (KIP-1066)
//!
//! Source: `KafkaApis.handleDescribeLogDirsRequest`, `ReplicaManager.describeLogDirs`. Partitions that are not here are left
//! out, and so is a directory's list when it is offline.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::broker::directory_report::{DirectoryContent, DirectoryReport, LogReport};
use crate::io::threads;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::extra::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic, VERSIONS,
};
use crate::protocol::message::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    type Response = DescribeLogDirsResponse;
    const KEY: ApiKey = ApiKey::DescribeLogDirs;
    const VERSIONS: RangeInclusive<i16> = VERSIONS;
    const ACCESS: Access<DescribeLogDirsRequest> = Access::Cluster(Operation::Describe);

    fn handle(cx: &Context<'_>, request: DescribeLogDirsRequest) -> Reply<DescribeLogDirsResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            // The size of a volume comes from the file system, which may be slow, or far away.
            let reports = threads::run("log-dirs", move || broker.describe_directories()).await;
            match reports {
                Ok(reports) => DescribeLogDirsResponse {
                    results: reports.into_iter().map(|report| result(report, &request)).collect(),
                    ..Default::default()
                },
                Err(_) => Self::refuse(&request, ErrorCode::UnknownServerError),
            }
        })
    }

    fn refuse(_request: &DescribeLogDirsRequest, code: ErrorCode) -> DescribeLogDirsResponse {
        DescribeLogDirsResponse { error_code: code.code(), ..Default::default() }
    }
}

fn result(report: DirectoryReport, request: &DescribeLogDirsRequest) -> DescribeLogDirsResult {
    let log_dir = report.path.display().to_string().into();
    match report.content {
        Err(code) => DescribeLogDirsResult { error_code: code.code(), log_dir, ..Default::default() },
        Ok(DirectoryContent { space, is_cordoned, logs }) => DescribeLogDirsResult {
            error_code: ErrorCode::None.code(),
            log_dir,
            topics: topics(logs, request),
            total_bytes: signed(space.total_bytes),
            usable_bytes: signed(space.usable_bytes),
            is_cordoned,
        },
    }
}

/// The logs that are asked for, which come sorted, by topic.
fn topics(logs: Vec<LogReport>, request: &DescribeLogDirsRequest) -> Vec<DescribeLogDirsTopic> {
    let is_asked = |log: &LogReport| {
        let asked = request.topics.as_deref();
        let names = |topic: &str, partitions: &[i32]| {
            *topic == *log.topic_partition.topic && partitions.contains(&log.topic_partition.partition.0)
        };
        asked.is_none_or(|asked| asked.iter().any(|asked| names(&asked.topic, &asked.partitions)))
    };
    let mut topics: Vec<DescribeLogDirsTopic> = Vec::new();
    for log in logs.into_iter().filter(is_asked) {
        let name = &*log.topic_partition.topic;
        if topics.last().is_none_or(|last| *last.name != *name) {
            topics.push(DescribeLogDirsTopic { name: name.to_owned().into(), partitions: Vec::new() });
        }
        let topic = topics.last_mut().expect("it was just pushed");
        topic.partitions.push(DescribeLogDirsPartition {
            partition_index: log.topic_partition.partition.0,
            partition_size: signed(log.size_bytes),
            offset_lag: log.offset_lag,
            is_future_key: log.is_future,
        });
    }
    topics
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
