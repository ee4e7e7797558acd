//! Brings the data of a stopped, single-node Apache Kafka over into empty directories of this server, by copy or by link.
//!
//! Kafka's segments are ours, so its partitions are taken as they are; its metadata is replayed into records of ours, under the
//! same ids, and the quorum begins with them. The source is only read, and held against a start of Kafka meanwhile.
//!
//! Invariant: a target is whole or refused. Each directory gets a marker first and loses it last, after everything is on stable
//! storage; no server starts on a directory with a marker, and another import begins anew in it.

mod cluster;
mod files;
mod metadata_log;
mod source;
mod target;
mod transactions;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::start::THREADS;
use super::topic_settings;
use crate::config::Settings;
use crate::io::clock::Clock;
use crate::io::disk::Disk;
use crate::io::threads;
use crate::log::{Log, LogError, OpenLog};
use crate::metadata::{Delta, Image};
use crate::model::{BrokerId, Offset, PartitionIndex, TopicId, is_internal_topic};
use crate::quorum;
use files::Plan;
use source::{FoundLog, Source};
use target::Target;
use transactions::Unfinished;

/// What to bring over, and where to.
pub struct ImportOptions {
    /// The settings that the server will have: its directories, its node id, its controllers' listener.
    pub settings: Settings,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    /// Kafka's directories, all of them.
    pub from: Vec<PathBuf>,
    /// Whether finished segments are linked and not copied.
    pub link: bool,
    /// Whether partitions are taken whose transactions were aborted or are open.
    pub allow_transactions: bool,
}

/// What was brought over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub cluster_id: String,
    pub node_id: i32,
    pub topics: usize,
    pub partitions: usize,
    /// Between log starts and log ends: as many records at most, fewer where a log is compacted.
    pub offsets: i64,
    pub copied_bytes: u64,
    pub linked_bytes: u64,
    /// Bytes of torn batches that the copies do not have.
    pub cut_bytes: u64,
    /// What is in the source and not in the target, or not as it was, in words.
    pub left_out: Vec<String>,
}

/// How far an import is.
pub struct Progress<'a> {
    done_bytes: u64,
    total_bytes: u64,
    tell: &'a mut dyn FnMut(u64, u64),
}

impl Progress<'_> {
    fn add(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        (self.tell)(self.done_bytes, self.total_bytes);
    }
}

/// Why nothing was brought over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{path}: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{path} holds no data of Kafka: it has no meta.properties; --from takes a directory of log.dirs",
            path = path.display())]
    NotKafka { path: PathBuf },
    #[error("{path} is a directory of this server: start on it with --data", path = path.display())]
    IsOurs { path: PathBuf },
    #[error("{path} is of a Kafka with ZooKeeper: move that cluster to KRaft first", path = path.display())]
    ZooKeeper { path: PathBuf },
    #[error("{path} is in use: stop Kafka first, and leave it stopped until this is done", path = path.display())]
    InUse { path: PathBuf },
    #[error("{first} and {other} are not of one node: give the directories of one Kafka node",
            first = first.display(), other = other.display())]
    NotOneNode { first: PathBuf, other: PathBuf },
    #[error("there is no __cluster_metadata-0 in {path}, nor in another --from: name Kafka's metadata.log.dir with a \
             --from of its own", path = path.display())]
    NoMetadata { path: PathBuf },
    #[error("{path}: {reason}", path = path.display())]
    Metadata { path: PathBuf, reason: String },
    #[error(
        "the cluster has the brokers {brokers:?}, and only one of node {node_id} alone can be brought over: move all \
             partitions to that node, unregister the others (kafka-cluster unregister), and stop it"
    )]
    OtherBrokers { node_id: BrokerId, brokers: Vec<BrokerId> },
    #[error(
        "the metadata quorum has {count} voters, and only that of one can be brought over: what is in this node's log \
             may not be agreed upon; remove the others (kafka-metadata-quorum remove-controller) first"
    )]
    OtherVoters { count: usize },
    #[error(
        "node {node_id} has told of directories that were not given: {missing:?}; name each of its log.dirs with --from"
    )]
    MissingDirectories { node_id: BrokerId, missing: Vec<TopicId> },
    #[error("{partition} lies in {first} and in {other}: start and stop Kafka once, so that it settles which counts",
            first = first.display(), other = other.display())]
    Twice { partition: String, first: PathBuf, other: PathBuf },
    #[error("there is no log of {partition}: if no directory of log.dirs was forgotten, start and stop Kafka once")]
    MissingLog { partition: String },
    #[error("node {node_id} is not in sync on {partition}, only {in_sync:?} are: what is acknowledged may not be here")]
    NotInSync { partition: String, node_id: BrokerId, in_sync: Vec<BrokerId> },
    #[error("feature {name} is finalised at level {level}, and here it works from {first} to {last}")]
    Feature { name: String, level: i16, first: i16, last: i16 },
    #[error("{path} is of node {found}, and this server would be node {expected}: give --node-id={found}",
            path = path.display())]
    OtherNode { path: PathBuf, found: BrokerId, expected: BrokerId },
    #[error(
        "an imported node is its own quorum: leave controller.quorum.voters, controller.quorum.bootstrap.servers and \
             --join away, and have other nodes join later"
    )]
    NotAlone,
    #[error("process.roles must name broker and controller: an imported node is both")]
    NotBoth,
    #[error("{path} is not empty, it holds {found}: choose another directory with --data, or empty it",
            path = path.display())]
    NotEmpty { path: PathBuf, found: String },
    #[error("{inside} lies inside of {outside}: choose another directory with --data",
            inside = inside.display(), outside = outside.display())]
    Nested { inside: PathBuf, outside: PathBuf },
    #[error("{path} has room for {usable_bytes} bytes, and {needed_bytes} are to be copied: make room, choose another \
             directory, or take --link on the same file system", path = path.display())]
    NoRoom { path: PathBuf, usable_bytes: u64, needed_bytes: u64 },
    #[error("{from} cannot be copied to {to}: {source}", from = from.display(), to = to.display())]
    NotCopied { from: PathBuf, to: PathBuf, source: std::io::Error },
    #[error("{from} cannot be linked to {to}: {source}; --link wants both on one file system and the files to be yours: \
             leave it away to copy", from = from.display(), to = to.display())]
    NotLinked { from: PathBuf, to: PathBuf, source: std::io::Error },
    #[error("the log in {path} cannot be taken: {source}; start and stop Kafka once, so that it repairs it, and try again",
            path = path.display())]
    BadLog { path: PathBuf, source: LogError },
    #[error(
        "transactions do not work here yet, and these partitions have some that were aborted or are open: {partitions}; \
             with --allow-transactions they are taken, and consumers see the records of those transactions too"
    )]
    Transactions { partitions: String },
    #[error(transparent)]
    Quorum(#[from] quorum::StartError),
    #[error("the metadata cannot be written: {0}")]
    NotWritten(#[from] quorum::QuorumError),
}

/// Brings everything over; `tell` hears of bytes done and to do. Blocks for the disk. After an error the target directories are
/// as empty as they were, as far as the disk lets them be.
pub async fn import(options: ImportOptions, tell: &mut dyn FnMut(u64, u64)) -> Result<Summary, ImportError> {
    let mut source = Source::open(&options.disk, &options.from)?;
    let logs = source.logs(&*options.disk)?;
    target::check_settings(&options.settings, &source)?;
    let target = Target::begin(&options.settings, &options.disk, &source)?;
    let filled = fill(&options, &mut source, &logs, &target, tell).await;
    match filled {
        Ok(summary) => target.finish(&source).map(|()| summary),
        Err(error) => {
            target.clear();
            Err(error)
        }
    }
}

async fn fill(
    options: &ImportOptions,
    source: &mut Source,
    logs: &[FoundLog],
    target: &Target,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<Summary, ImportError> {
    let places: BTreeMap<(TopicId, PartitionIndex), Uuid> = logs
        .iter()
        .filter_map(|log| Some(((log.topic_id, log.topic_partition.partition), target.place(log)?)))
        .collect();
    let place = |id, partition| places.get(&(id, partition)).copied();
    let (records, left_out) = source.cluster.to_records(source.node_id, &source.cluster_id, place)?;
    let mut image = Image::default();
    records.iter().for_each(|record| image.apply(record, &mut Delta::default()));
    let (copied_bytes, linked_bytes) = carry_over(options, source, logs, target, tell)?;
    let opened = open_logs(options, source, logs, target, &image)?;
    if !options.allow_transactions && !opened.unfinished.is_empty() {
        return Err(ImportError::Transactions { partitions: opened.unfinished.join(", ") });
    }
    target.write_checkpoints(&opened.ends, &opened.starts, source, logs)?;
    target.write_metadata(&options.settings, source, records).await?;
    source.left_out.extend(left_out);
    if !opened.unfinished.is_empty() {
        source.left_out.push(format!("the outcome of transactions in {}", opened.unfinished.join(", ")));
    }
    let mut summary = Summary {
        cluster_id: source.cluster_id.clone(),
        node_id: source.node_id.0,
        topics: image.topic_count(),
        partitions: logs.len(),
        copied_bytes,
        linked_bytes,
        cut_bytes: opened.cut_bytes,
        left_out: std::mem::take(&mut source.left_out),
        offsets: 0,
    };
    summary.offsets = opened.ends.iter().map(|(partition, end)| *end - opened.starts[partition]).sum();
    Ok(summary)
}

/// Copies and links all files; the answer is the bytes of each kind.
fn carry_over(
    options: &ImportOptions,
    source: &Source,
    logs: &[FoundLog],
    target: &Target,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<(u64, u64), ImportError> {
    let mut plans = Vec::new();
    for log in logs {
        let dir = &source.dirs[log.dir];
        let recovered = || dir.recovery_points.get(&log.topic_partition).copied().unwrap_or(Offset::ZERO);
        let linkable_to = options.link.then(|| if dir.was_clean { Offset(i64::MAX) } else { recovered() });
        let name = log.topic_partition.to_string();
        plans.push((log, Plan::of(dir.path.join(&name), target.dir_of(log).path().join(name), linkable_to)?));
    }
    target.check_room(&plans)?;
    let copied_bytes = plans.iter().map(|(_, plan)| plan.copied_bytes()).sum();
    let linked_bytes = plans.iter().map(|(_, plan)| plan.linked_bytes()).sum();
    let mut progress = Progress { done_bytes: 0, total_bytes: copied_bytes + linked_bytes, tell };
    for (_, plan) in &plans {
        let failed = |source| ImportError::Unreadable { path: plan.to.clone(), source };
        options.disk.create_dir_all(&plan.to).map_err(failed)?;
        plan.carry_out(&mut progress)?;
    }
    Ok((copied_bytes, linked_bytes))
}

/// What opening all logs has found.
#[derive(Default)]
struct Opened {
    ends: target::Offsets,
    starts: target::Offsets,
    cut_bytes: u64,
    /// Partitions with transactions that were aborted or are open.
    unfinished: Vec<String>,
    failed: Option<ImportError>,
}

/// Opens every log in the target once, as a start does: what a crash of Kafka left is put right now, and a log that cannot be opened
/// is found before anything depends on it.
fn open_logs(
    options: &ImportOptions,
    source: &Source,
    logs: &[FoundLog],
    target: &Target,
    image: &Image,
) -> Result<Opened, ImportError> {
    let opened = Mutex::new(Opened::default());
    threads::for_each_in_parallel(logs, THREADS, |log| {
        let found = open_log(options, source, log, target, image);
        let mut opened = opened.lock();
        match found {
            Ok((log_start, log_end, cut_bytes, unfinished)) => {
                opened.starts.insert(log.topic_partition.clone(), log_start);
                opened.ends.insert(log.topic_partition.clone(), log_end);
                opened.cut_bytes += cut_bytes;
                if unfinished != Unfinished::None {
                    opened.unfinished.push(log.topic_partition.to_string());
                }
            }
            Err(error) => _ = opened.failed.get_or_insert(error),
        }
    });
    let mut opened = opened.into_inner();
    opened.unfinished.sort();
    match opened.failed.take() {
        Some(error) => Err(error),
        None => Ok(opened),
    }
}

fn open_log(
    options: &ImportOptions,
    source: &Source,
    log: &FoundLog,
    target: &Target,
    image: &Image,
) -> Result<(Offset, Offset, u64, Unfinished), ImportError> {
    let from = &source.dirs[log.dir];
    let known = |offsets: &target::Offsets| offsets.get(&log.topic_partition).copied().unwrap_or(Offset::ZERO);
    let name = log.topic_partition.to_string();
    let settings = topic_settings::resolve(&options.settings, image, source.node_id, &log.topic_partition.topic);
    let open = OpenLog {
        name: &name,
        topic_id: log.topic_id,
        options: settings.log,
        recovery_point: known(&from.recovery_points),
        log_start_offset: known(&from.log_starts),
        clean_shutdown: from.was_clean,
        may_have_gaps: true,
        now: options.clock.now(),
    };
    let bad = |source| ImportError::BadLog { path: from.path.join(&name), source };
    let (opened, recovered) = Log::open(target.dir_of(log), &open).map_err(bad)?;
    // Those who read them know what a marker means.
    let unfinished = match is_internal_topic(&log.topic_partition.topic) {
        true => Unfinished::None,
        false => transactions::look(&*options.disk, &from.path.join(&name), &opened).map_err(bad)?,
    };
    Ok((opened.log_start_offset(), opened.log_end_offset(), recovered.truncated_bytes, unfinished))
}

#[cfg(test)]
mod tests;
