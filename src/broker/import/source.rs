//! The directories of a stopped Kafka node: whose they are, that nobody writes in them meanwhile, and which logs lie there.
//!
//! Invariant: nothing in them is opened for writing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cluster::KafkaCluster;
use super::{ImportError, metadata_log};
use crate::broker::directories::{parse_partition, read_topic_id};
use crate::io::disk::Disk;
use crate::io::foreign;
use crate::log::{
    CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, LogDir, MetaProperties, RECOVERY_POINT_CHECKPOINT,
};
use crate::model::{BrokerId, Offset, TopicId, TopicPartition};
use crate::quorum;

/// Kafka's log of the votes and voters of its metadata quorum.
const QUORUM_STATE: &str = "quorum-state";

/// One directory, guarded against its owner as long as this lives.
pub(super) struct SourceDir {
    pub path: PathBuf,
    pub meta: MetaProperties,
    /// Whether Kafka was stopped in order.
    pub was_clean: bool,
    pub logs: Vec<TopicPartition>,
    pub recovery_points: BTreeMap<TopicPartition, Offset>,
    pub log_starts: BTreeMap<TopicPartition, Offset>,
    pub cleaned_to: BTreeMap<TopicPartition, Offset>,
    _guard: Option<foreign::Guard>,
}

/// All directories of a node.
pub(super) struct Source {
    pub dirs: Vec<SourceDir>,
    pub node_id: BrokerId,
    pub cluster_id: String,
    pub cluster: KafkaCluster,
    /// What is there and not brought over, in words.
    pub left_out: Vec<String>,
}

/// One partition that is brought over: which directory it lies in, and its topic.
pub(super) struct FoundLog {
    pub dir: usize,
    pub topic_id: TopicId,
    pub topic_partition: TopicPartition,
}

impl Source {
    /// Guards and reads directories. Errors: whatever speaks against taking them for the whole of a one-node cluster.
    pub fn open(disk: &Arc<dyn Disk>, paths: &[PathBuf]) -> Result<Source, ImportError> {
        let mut dirs = Vec::new();
        for path in paths {
            dirs.push(open_one(disk, path)?);
        }
        let first = &dirs[0];
        let (node_id, cluster_id) = (first.meta.node_id, first.meta.cluster_id.clone());
        if let Some(other) = dirs.iter().find(|dir| (dir.meta.node_id, &dir.meta.cluster_id) != (node_id, &cluster_id))
        {
            return Err(ImportError::NotOneNode { first: first.path.clone(), other: other.path.clone() });
        }
        let Some(metadata) = dirs.iter().map(|dir| dir.path.join(metadata_log::DIRECTORY)).find(|dir| disk.exists(dir))
        else {
            return Err(ImportError::NoMetadata { path: first.path.clone() });
        };
        let (cluster, torn_bytes) = metadata_log::read(&**disk, &metadata)?;
        check_alone(&**disk, &metadata, node_id, &cluster)?;
        check_complete(&dirs, &cluster, node_id)?;
        let mut left_out = Vec::new();
        if torn_bytes > 0 {
            left_out
                .push(format!("{torn_bytes} torn bytes at the end of the metadata log, which were never acknowledged"));
        }
        Ok(Source { dirs, node_id, cluster_id, cluster, left_out })
    }

    /// The logs of the cluster's partitions, by rising name. What else lies there is left out, and said.
    pub fn logs(&mut self, disk: &dyn Disk) -> Result<Vec<FoundLog>, ImportError> {
        let topic_ids = self.cluster.topic_ids();
        let mut found: Vec<FoundLog> = Vec::new();
        for (index, dir) in self.dirs.iter().enumerate() {
            for log in &dir.logs {
                let path = dir.path.join(log.to_string());
                let id = topic_ids.get(&*log.topic).copied();
                let is_known = |id: TopicId| {
                    let count = self.cluster.topic(id).map_or(0, |topic| topic.1);
                    usize::try_from(log.partition.0).is_ok_and(|partition| partition < count)
                };
                // Without a readable id the name decides, as at every start.
                match id.filter(|id| is_known(*id) && read_topic_id(disk, &path).is_none_or(|found| found == *id)) {
                    Some(topic_id) => found.push(FoundLog { dir: index, topic_id, topic_partition: log.clone() }),
                    None => self.left_out.push(format!("{}: a log that belongs to no topic", path.display())),
                }
            }
        }
        found.sort_by(|left, right| left.topic_partition.cmp(&right.topic_partition));
        if let Some(pair) = found.windows(2).find(|pair| pair[0].topic_partition == pair[1].topic_partition) {
            let path = |log: &FoundLog| self.dirs[log.dir].path.clone();
            let (first, other) = (path(&pair[0]), path(&pair[1]));
            return Err(ImportError::Twice { partition: pair[0].topic_partition.to_string(), first, other });
        }
        let there: BTreeSet<(TopicId, i32)> =
            found.iter().map(|log| (log.topic_id, log.topic_partition.partition.0)).collect();
        for (name, id) in topic_ids {
            let count = self.cluster.topic(id).map_or(0, |topic| topic.1);
            let missing = (0..).take(count).find(|partition| !there.contains(&(id, *partition)));
            if let Some(partition) = missing {
                return Err(ImportError::MissingLog { partition: format!("{name}-{partition}") });
            }
        }
        Ok(found)
    }
}

fn open_one(disk: &Arc<dyn Disk>, path: &Path) -> Result<SourceDir, ImportError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ImportError::Unreadable { path, source }
    };
    let entries = foreign::list(path).map_err(unreadable(path))?;
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    if has(quorum::DIRECTORY) {
        return Err(ImportError::IsOurs { path: path.to_owned() });
    }
    let lock = path.join(".lock");
    // Without one nobody runs here, and nobody can be kept from it without writing.
    let guard = match has(".lock") {
        true => Some(foreign::guard(&lock).map_err(unreadable(&lock))?.ok_or_else(|| in_use(path))?),
        false => None,
    };
    let properties = path.join("meta.properties");
    if !has("meta.properties") {
        return Err(ImportError::NotKafka { path: path.to_owned() });
    }
    let text = disk.read(&properties).map_err(unreadable(&properties))?;
    if String::from_utf8_lossy(&text).lines().any(|line| line.trim_start().starts_with("broker.id")) {
        return Err(ImportError::ZooKeeper { path: properties });
    }
    let log_dir = LogDir::open(Arc::clone(disk), path)?;
    let meta = log_dir.read_meta_properties()?.ok_or_else(|| ImportError::NotKafka { path: path.to_owned() })?;
    let is_log = |name: &&str| *name != metadata_log::DIRECTORY;
    let names = entries.iter().filter(|entry| entry.is_dir).map(|entry| entry.name.as_str());
    Ok(SourceDir {
        path: path.to_owned(),
        meta,
        was_clean: has(".kafka_cleanshutdown"),
        logs: names.filter(is_log).filter_map(parse_partition).collect(),
        recovery_points: log_dir.read_offsets(RECOVERY_POINT_CHECKPOINT)?,
        log_starts: log_dir.read_offsets(LOG_START_OFFSET_CHECKPOINT)?,
        // Without it more is cleaned than need be. Kafka creates it empty.
        cleaned_to: log_dir.read_offsets(CLEANER_OFFSET_CHECKPOINT).unwrap_or_default(),
        _guard: guard,
    })
}

fn in_use(path: &Path) -> ImportError {
    ImportError::InUse { path: path.to_owned() }
}

/// A cluster is brought over whole or not at all: another node may have what this one lacks, and other voters may not have
/// agreed to what is in this one's log.
fn check_alone(disk: &dyn Disk, metadata: &Path, node_id: BrokerId, cluster: &KafkaCluster) -> Result<(), ImportError> {
    let brokers = cluster.broker_ids();
    if brokers != [node_id] {
        return Err(ImportError::OtherBrokers { node_id, brokers });
    }
    let voters = cluster.voter_count.or_else(|| static_voter_count(disk, &metadata.join(QUORUM_STATE)));
    match voters {
        Some(count) if count > 1 => Err(ImportError::OtherVoters { count }),
        _ => Ok(()),
    }
}

/// How many voters `quorum-state` lists, where they are fixed by configuration (its data version 0).
fn static_voter_count(disk: &dyn Disk, path: &Path) -> Option<usize> {
    let text = disk.read(path).ok()?;
    let state: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(state.get("currentVoters")?.as_array()?.len())
}

/// Every directory that the broker has told of must have been given.
fn check_complete(dirs: &[SourceDir], cluster: &KafkaCluster, node_id: BrokerId) -> Result<(), ImportError> {
    let is_given = |id: &&uuid::Uuid| dirs.iter().any(|dir| dir.meta.directory_id.0 == **id);
    let told = cluster.directories_of(node_id);
    let missing: Vec<TopicId> = told.iter().filter(|id| !is_given(id)).map(|id| TopicId(*id)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(ImportError::MissingDirectories { node_id, missing }),
    }
}
