//! The directories of `log.dirs`: whose they are, whether they were left in order, and which partitions lie in them.
//!
//! Invariant: the marker of a clean stop is removed, and its removal flushed, before any log is touched (KAFKA-10471), and not
//! before it is known that the directories are ours: one of another node or cluster is refused and left as it was, and so is
//! one that holds files of somebody else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoints::Checkpoints;
use super::moves::FUTURE_SUFFIX;
use crate::io::disk::Disk;
use crate::io::random;
use crate::log::{Descriptors, IMPORT_MARKER, LogDir, LogError, MetaProperties};
use crate::model::{BrokerId, PartitionIndex, TopicId, TopicPartition};

/// One directory, as it was found.
pub struct Directory {
    pub log_dir: Arc<LogDir>,
    /// Whether its last owner stopped cleanly; known when [`take_markers`] has asked.
    pub was_clean: bool,
    pub meta: Option<MetaProperties>,
    /// Names of the partition directories in it.
    pub partitions: Vec<TopicPartition>,
    /// Names of the directories of copies that were to take a log's place.
    pub copies: Vec<String>,
    pub checkpoints: Checkpoints,
}

/// Why the directories cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} is not empty, and holds no data of a broker (no meta.properties, but {found}): choose another directory, or \
         empty it", path = path.display()
    )]
    Foreign { path: PathBuf, found: String },
    #[error("{path} holds an import that did not end: run `ottla import` on it once more, which begins anew, or empty it",
            path = path.display())]
    HalfImported { path: PathBuf },
    #[error("{path} belongs to node {found}, and this is node {expected}: start with node.id={found}, or choose another \
             directory", path = path.display())]
    OtherNode { path: PathBuf, found: BrokerId, expected: BrokerId },
    #[error("{path} belongs to cluster {found}, and the other directories to {expected}: start with directories that belong \
             together", path = path.display())]
    OtherCluster { path: PathBuf, found: String, expected: String },
    #[error("{path} is of Apache Kafka: stop that, and take its data over into another directory with ottla import --from {path} \
             --data DIR", path = path.display())]
    OfKafka { path: PathBuf },
    #[error("{path} cannot be told whose it is, {reason}: put its meta.properties back from a copy, or choose another directory \
             (--data)", path = path.display())]
    NoIdentity { path: PathBuf, reason: String },
    #[error("{path} holds partitions of cluster {cluster_id}, but the metadata of that cluster is not in {metadata}: name the \
             first of its directories first in log.dirs, or its metadata.log.dir",
            path = path.display(), metadata = metadata.display())]
    NoMetadata { path: PathBuf, cluster_id: String, metadata: PathBuf },
}

/// Where Kafka has its metadata log.
pub(super) const KAFKA_METADATA: &str = "__cluster_metadata-0";

/// Opens all directories, whose logs share `descriptors`: takes their locks, then reads what they say and whose they are. Changes
/// nothing in them.
///
/// One that cannot be made, locked or read because of its disk is offline from the start, and the others go on
/// (`LogManager.createAndValidateLogDirs`); but for the first, without which there is no metadata. One that belongs to somebody
/// else, or is in use, is never passed over.
pub fn open(
    disk: &Arc<dyn Disk>,
    paths: &[PathBuf],
    node_id: BrokerId,
    descriptors: &Arc<Descriptors>,
) -> Result<Vec<Directory>, DirectoryError> {
    let mut directories = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let opened = open_one(disk, path, node_id, descriptors);
        directories.push(match opened {
            Err(error) if index > 0 && error.is_of_the_disk() => {
                tracing::error!(directory = %path.display(), %error, "log directory is offline");
                Directory::offline(disk, path)
            }
            opened => opened?,
        });
    }
    check_one_cluster(&directories)?;
    Ok(directories)
}

fn open_one(
    disk: &Arc<dyn Disk>,
    path: &Path,
    node_id: BrokerId,
    descriptors: &Arc<Descriptors>,
) -> Result<Directory, DirectoryError> {
    let log_dir = LogDir::open_sharing(Arc::clone(disk), path, Arc::clone(descriptors))?;
    log_dir.lock()?;
    inspect(disk, log_dir, node_id)
}

/// Lets a failure of one directory's disk pass when there are others: that one is offline from here on.
pub fn unless_it_fails(count: usize, log_dir: &LogDir, outcome: Result<(), LogError>) -> Result<(), LogError> {
    match outcome {
        Err(LogError::Io { source, .. }) if count > 1 => {
            log_dir.poison(log_dir.path(), &source);
            Ok(())
        }
        outcome => outcome,
    }
}

impl Directory {
    /// The copies in it, each with this directory.
    pub fn copies(&self) -> impl Iterator<Item = (Arc<LogDir>, String)> + '_ {
        self.copies.iter().map(|name| (Arc::clone(&self.log_dir), name.clone()))
    }

    fn offline(disk: &Arc<dyn Disk>, path: &Path) -> Directory {
        Directory::of(LogDir::offline(Arc::clone(disk), path))
    }

    fn of(log_dir: Arc<LogDir>) -> Directory {
        Directory {
            log_dir,
            was_clean: false,
            meta: None,
            partitions: Vec::new(),
            copies: Vec::new(),
            checkpoints: Checkpoints::default(),
        }
    }
}

impl DirectoryError {
    /// Whether the disk refuses, rather than what is on it.
    fn is_of_the_disk(&self) -> bool {
        matches!(self, DirectoryError::Unreadable { .. } | DirectoryError::Log(LogError::Io { .. }))
    }
}

/// The broker epoch that the last clean stop left in every directory; -1 when one of them was not stopped so, or when they do
/// not agree (`LogManager.readBrokerEpochFromCleanShutdownFiles`).
pub fn clean_shutdown_epoch(directories: &[Directory]) -> Result<i64, DirectoryError> {
    let mut epochs = Vec::new();
    for directory in directories.iter().filter(|directory| !directory.log_dir.is_poisoned()) {
        epochs.push(directory.log_dir.clean_shutdown_epoch()?.unwrap_or(-1));
    }
    let is_same = epochs.iter().all(|epoch| Some(epoch) == epochs.first());
    Ok(epochs.first().copied().filter(|_| is_same).unwrap_or(-1))
}

/// Removes the markers of a clean stop, and notes which there were. Called when nothing speaks against these directories any
/// more, and before their logs are opened.
pub fn take_markers(directories: &mut [Directory]) -> Result<(), DirectoryError> {
    let count = directories.len();
    for directory in directories.iter_mut().filter(|directory| !directory.log_dir.is_poisoned()) {
        let taken = directory.log_dir.take_clean_shutdown();
        directory.was_clean = matches!(taken, Ok(true));
        unless_it_fails(count, &directory.log_dir, taken.map(|_| ()))?;
    }
    Ok(())
}

fn inspect(disk: &Arc<dyn Disk>, log_dir: Arc<LogDir>, node_id: BrokerId) -> Result<Directory, DirectoryError> {
    let path = log_dir.path().to_owned();
    if disk.exists(&path.join(IMPORT_MARKER)) {
        return Err(DirectoryError::HalfImported { path });
    }
    let meta = log_dir.read_meta_properties().map_err(|error| match error {
        LogError::Malformed { reason, .. } => DirectoryError::NoIdentity { path: path.clone(), reason },
        error => error.into(),
    })?;
    if disk.exists(&path.join(KAFKA_METADATA)) && !disk.exists(&path.join(crate::quorum::DIRECTORY)) {
        return Err(DirectoryError::OfKafka { path });
    }
    if let Some(meta) = &meta
        && meta.node_id != node_id
    {
        return Err(DirectoryError::OtherNode { path, found: meta.node_id, expected: node_id });
    }
    let entries = disk.read_dir(&path).map_err(|source| DirectoryError::Unreadable { path: path.clone(), source })?;
    if meta.is_none()
        && let Some(foreign) = entries.iter().find(|entry| !is_ours_when_new(&entry.name))
    {
        return Err(DirectoryError::Foreign { path, found: foreign.name.clone() });
    }
    let names = entries.iter().filter(|entry| entry.is_dir);
    let partitions = names.clone().filter_map(|entry| parse_partition(&entry.name)).collect();
    let copies = names.filter(|entry| entry.name.ends_with(FUTURE_SUFFIX)).map(|entry| entry.name.clone()).collect();
    let checkpoints = Checkpoints::read(&log_dir);
    Ok(Directory { meta, partitions, copies, checkpoints, ..Directory::of(log_dir) })
}

/// What a first start that was cut short may have left, and what file systems put into every new volume.
fn is_ours_when_new(name: &str) -> bool {
    matches!(name, ".lock" | "lost+found" | crate::quorum::DIRECTORY) || name.ends_with(".tmp")
}

fn check_one_cluster(directories: &[Directory]) -> Result<(), DirectoryError> {
    let mut ids = directories.iter().filter_map(|directory| Some((directory, &directory.meta.as_ref()?.cluster_id)));
    let Some((_, expected)) = ids.next() else { return Ok(()) };
    match ids.find(|(_, found)| *found != expected) {
        None => Ok(()),
        Some((directory, found)) => Err(DirectoryError::OtherCluster {
            path: directory.log_dir.path().to_owned(),
            found: found.clone(),
            expected: expected.clone(),
        }),
    }
}

/// `topic-3` as a partition; `None` for every other name (`UnifiedLog.parseTopicPartitionName`).
pub fn parse_partition(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let is_number = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || crate::model::check_topic_name(topic).is_err() {
        return None;
    }
    Some(TopicPartition::new(topic, PartitionIndex(partition.parse().ok()?)))
}

/// The id in a directory's `partition.metadata`; `None` when there is none that can be read.
pub fn read_topic_id(disk: &dyn Disk, partition_dir: &Path) -> Option<TopicId> {
    let text = disk.read(&partition_dir.join("partition.metadata")).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("topic_id:"))?.trim().parse().ok()
}

/// A name that no partition has, for a directory that is out of use (`UnifiedLog.logDirNameWithSuffixCappedLength`):
/// `<topic>-<partition>.<32 hex digits>-<suffix>`, at most 255 characters.
pub fn out_of_use_name(partition: &TopicPartition, suffix: &str) -> String {
    let tail = format!("-{}.{}-{suffix}", partition.partition, random::uuid().simple());
    let topic_bytes = partition.topic.len().min(255 - tail.len());
    format!("{}{tail}", &partition.topic[..topic_bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sim_disk::SimDisk;
    use crate::model::TopicId;

    #[test]
    fn a_directory_of_another_node_or_cluster_is_refused() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let paths = [PathBuf::from("/a"), PathBuf::from("/b")];
        let descriptors = Descriptors::for_process(None);
        let write = |path: &Path, node_id, cluster_id: &str| {
            let meta = MetaProperties { cluster_id: cluster_id.into(), node_id, directory_id: TopicId::ZERO };
            let log_dir = LogDir::open(Arc::clone(&disk), path).unwrap();
            log_dir.write_meta_properties(&meta).unwrap();
            log_dir.mark_clean_shutdown(7).unwrap();
        };
        let was_clean = |directories: &[Directory]| -> Vec<bool> {
            directories.iter().map(|directory| directory.was_clean).collect()
        };
        let (one, two) = (BrokerId(1), BrokerId(2));
        write(&paths[0], one, "x");
        // The second directory is new: it takes the identity of the first.
        let found = open(&disk, &paths, one, &descriptors).unwrap();
        assert_eq!(found.iter().map(|directory| directory.meta.is_some()).collect::<Vec<_>>(), [true, false]);
        assert!(matches!(
            open(&disk, &paths, two, &descriptors),
            Err(DirectoryError::OtherNode { path, found, expected }) if (&path, found, expected) == (&paths[0], one, two)
        ));
        write(&paths[1], one, "y");
        assert!(matches!(
            open(&disk, &paths, one, &descriptors),
            Err(DirectoryError::OtherCluster { path, found, expected })
                if (path.as_path(), &*found, &*expected) == (&*paths[1], "y", "x")
        ));
        write(&paths[1], one, "x");
        // Whoever was refused has taken no marker away.
        let mut found = open(&disk, &paths, one, &descriptors).unwrap();
        take_markers(&mut found).unwrap();
        assert_eq!(was_clean(&found), [true, true]);
        take_markers(&mut found).unwrap();
        assert_eq!(was_clean(&found), [false, false]);
    }

    #[test]
    fn only_a_topic_and_a_number_name_a_partition() {
        let check = |name, expected: Option<(&str, i32)>| {
            let expected = expected.map(|(topic, partition)| TopicPartition::new(topic, PartitionIndex(partition)));
            assert_eq!(parse_partition(name), expected, "{name}");
        };
        check("t-0", Some(("t", 0)));
        check("a-b-12", Some(("a-b", 12)));
        check("__consumer_offsets-49", Some(("__consumer_offsets", 49)));
        check("t", None);
        check("t-", None);
        check("-0", None);
        check("t--1", Some(("t-", 1)));
        check("t-+1", None);
        check("t-99999999999", None);
        check("t-0.0123456789abcdef-delete", None);
        check("a b-0", None);
    }

    #[test]
    fn a_directory_out_of_use_has_a_name_that_fits() {
        let name = out_of_use_name(&TopicPartition::new("t", PartitionIndex(3)), "delete");
        assert!(name.starts_with("t-3.") && name.ends_with("-delete"), "{name}");
        assert_eq!(parse_partition(&name), None);
        let name = out_of_use_name(&TopicPartition::new(&"x".repeat(249), PartitionIndex(i32::MAX)), "delete");
        assert_eq!(name.len(), 255);
    }
}
