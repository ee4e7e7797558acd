//! What there is to say of the log directories: the room on their volumes, and the logs in them (`ReplicaManager.describeLogDirs`).

use std::path::PathBuf;
use std::sync::Arc;

use super::Broker;
use super::replica::Replica;
use crate::io::disk::Space;
use crate::log::LogDir;
use crate::model::{ErrorCode, TopicPartition};

/// One directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryReport {
    /// Absolute.
    pub path: PathBuf,
    /// KAFKA_STORAGE_ERROR when it is offline, or its volume cannot be asked.
    pub content: Result<DirectoryContent, ErrorCode>,
}

/// A directory that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryContent {
    pub space: Space,
    /// Whether `cordoned.log.dirs` keeps new partitions away.
    pub is_cordoned: bool,
    /// Sorted by topic and partition.
    pub logs: Vec<LogReport>,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    pub topic_partition: TopicPartition,
    /// Of all its segments, in bytes.
    pub size_bytes: u64,
    /// How far the log's end lies behind the high watermark. Of a future log, behind the current log's end.
    pub offset_lag: i64,
    pub is_future: bool,
}

impl Broker {
    /// All directories in the order in which they are configured. Blocks for the file system.
    pub fn describe_directories(&self) -> Vec<DirectoryReport> {
        let replicas = self.replicas.all();
        self.directories.iter().map(|directory| self.describe_directory(directory, &replicas)).collect()
    }

    fn describe_directory(&self, directory: &Arc<LogDir>, replicas: &[Arc<Replica>]) -> DirectoryReport {
        let path = std::path::absolute(directory.path()).unwrap_or_else(|_| directory.path().to_owned());
        if directory.is_poisoned() {
            return DirectoryReport { path, content: Err(ErrorCode::KafkaStorageError) };
        }
        let space = self.disk.space(directory.path()).map_err(|error| {
            tracing::error!(directory = %path.display(), %error, "the size of the volume cannot be read");
            ErrorCode::KafkaStorageError
        });
        let content = space.map(|space| {
            let here = replicas.iter().filter(|replica| replica.lies_in(directory));
            let mut logs: Vec<_> = here.map(|replica| log_report(replica)).collect();
            logs.extend(self.moves.reports(directory));
            logs.sort_by(|left, right| left.topic_partition.cmp(&right.topic_partition));
            DirectoryContent { space, is_cordoned: self.is_cordoned(&self.image(), directory), logs }
        });
        DirectoryReport { path, content }
    }
}

fn log_report(replica: &Replica) -> LogReport {
    let (size_bytes, published) = replica.with_log(|log, published| (log.size_bytes(), published));
    LogReport {
        topic_partition: replica.topic_partition().clone(),
        size_bytes,
        offset_lag: (published.high_watermark.0 - published.log_end.0).max(0),
        is_future: false,
    }
}
