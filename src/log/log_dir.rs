//! One of `log.dirs`: the files at its top, its lock, and whether it can still be trusted.
//!
//! Invariant: after the first failed flush the directory is offline for good. The kernel may have dropped the dirty pages and
//! report success next time, so that a second try proves nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::io::bugs::{self, Bug};
use crate::io::disk::{Disk, DiskFile, DiskLock, is_disk_full, is_out_of_files};
use crate::log::checkpoint;
use crate::log::descriptors::Descriptors;
use crate::log::error::LogError;
use crate::model::{BrokerId, Offset, TopicId, TopicPartition};

/// `recovery-point-offset-checkpoint`: up to where each log has been flushed.
pub const RECOVERY_POINT_CHECKPOINT: &str = "recovery-point-offset-checkpoint";
/// `log-start-offset-checkpoint`: the first offset of each log that has had records deleted.
pub const LOG_START_OFFSET_CHECKPOINT: &str = "log-start-offset-checkpoint";
/// `replication-offset-checkpoint`: the high watermark of each partition.
pub const HIGH_WATERMARK_CHECKPOINT: &str = "replication-offset-checkpoint";

/// `cleaner-offset-checkpoint`: up to where each compacted log has been cleaned.
pub const CLEANER_OFFSET_CHECKPOINT: &str = "cleaner-offset-checkpoint";

/// In a directory that an import has not finished: nobody may start on it.
pub const IMPORT_MARKER: &str = ".ottla-import";

const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const LOCK: &str = ".lock";
const META_PROPERTIES: &str = "meta.properties";

/// The identity of a log directory: `meta.properties`, version 1 (KIP-853 and KIP-858).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: BrokerId,
    /// Names the directory itself, so that an emptied one is never taken for what it held.
    pub directory_id: TopicId,
}

/// A log directory. Shared by all logs in it.
pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    descriptors: Arc<Descriptors>,
    /// Known once it is read or chosen.
    id: OnceLock<Uuid>,
    poisoned: AtomicBool,
    /// The last append found no room.
    full: AtomicBool,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
    /// The recovery points written last, by the name of the log's directory.
    recovery_points: Mutex<BTreeMap<String, Offset>>,
    /// Counts the logs that were created here.
    names: AtomicU64,
    /// How many of them have their names on stable storage.
    names_synced: Mutex<u64>,
}

impl LogDir {
    /// A log directory, created when missing. Its logs keep open what they have opened.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Arc<LogDir>, LogError> {
        LogDir::open_sharing(disk, path, Descriptors::for_process(None))
    }

    /// As [`LogDir::open`], of logs that close files for each other and for those of other directories.
    pub fn open_sharing(
        disk: Arc<dyn Disk>,
        path: &Path,
        descriptors: Arc<Descriptors>,
    ) -> Result<Arc<LogDir>, LogError> {
        let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !disk.exists(ancestor)).collect();
        disk.create_dir_all(path).map_err(LogError::io("create", path))?;
        // The names that lead here must survive as surely as what lies here.
        for parent in missing.iter().filter_map(|missing| missing.parent()) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            disk.sync_dir(parent).map_err(LogError::io("flush directory", parent))?;
        }
        Ok(Arc::new(LogDir::new(disk, path, descriptors, false)))
    }

    /// A log directory that cannot be used: offline from the first. Touches nothing.
    pub fn offline(disk: Arc<dyn Disk>, path: &Path) -> Arc<LogDir> {
        Arc::new(LogDir::new(disk, path, Descriptors::for_process(None), true))
    }

    fn new(disk: Arc<dyn Disk>, path: &Path, descriptors: Arc<Descriptors>, is_offline: bool) -> LogDir {
        LogDir {
            disk,
            path: path.to_owned(),
            descriptors,
            id: OnceLock::new(),
            poisoned: AtomicBool::new(is_offline),
            full: AtomicBool::new(false),
            lock: Mutex::new(None),
            recovery_points: Mutex::new(BTreeMap::new()),
            names: AtomicU64::new(0),
            names_synced: Mutex::new(0),
        }
    }

    /// What it is called in the cluster; `None` before [`LogDir::set_id`], and for one that could not be read.
    pub fn id(&self) -> Option<Uuid> {
        self.id.get().copied()
    }

    /// Names the directory, once.
    pub fn set_id(&self, id: Uuid) {
        let _ = self.id.set(id);
    }

    /// Takes the lock that Kafka takes, held until [`LogDir::unlock`], or as long as this `LogDir` lives.
    pub fn lock(&self) -> Result<(), LogError> {
        let path = self.path.join(LOCK);
        let lock = self.disk.lock(&path).map_err(LogError::io("lock", &path))?;
        *self.lock.lock() = Some(lock.ok_or_else(|| LogError::Locked { path: self.path.clone() })?);
        Ok(())
    }

    /// Lets the lock go. For an owner that writes no more, whoever may still hold this `LogDir` for reading.
    pub fn unlock(&self) {
        *self.lock.lock() = None;
    }

    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open files of the logs here.
    pub fn descriptors(&self) -> &Arc<Descriptors> {
        &self.descriptors
    }

    /// Whether a flush has failed since the process began.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Takes the directory offline until the process ends.
    pub fn poison(&self, path: &Path, error: &io::Error) {
        if !self.poisoned.swap(true, Ordering::AcqRel) {
            error!(directory = %self.path.display(), path = %path.display(), %error, "log directory is offline");
        }
    }

    /// As [`Disk::open`], with a descriptor of another file when there is none left.
    pub(crate) fn open_file(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.descriptors.with_room(|| self.disk.open(path, create))
    }

    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.is_poisoned() { Err(LogError::Poisoned { path: self.path.clone() }) } else { Ok(()) }
    }

    pub(crate) fn sync_file(&self, file: &dyn DiskFile, path: &Path) -> Result<(), LogError> {
        self.check()?;
        let mut synced = file.sync_data();
        if synced.is_err() && bugs::is_back(Bug::Fsyncgate) {
            synced = file.sync_data();
        }
        synced.map_err(|error| self.failed_flush("flush", path, error))
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> Result<(), LogError> {
        self.check()?;
        let synced = self.descriptors.with_room(|| self.disk.sync_dir(path));
        synced.map_err(|error| self.failed_flush("flush directory", path, error))
    }

    /// The directory of a log was created here.
    pub(crate) fn note_name(&self) {
        self.names.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes the names of the logs survive that were there before the call. Many new logs share one flush: whoever waits while
    /// another one flushes is served by the next one.
    pub(crate) fn sync_names(&self) -> Result<(), LogError> {
        let wanted = self.names.load(Ordering::Acquire);
        let mut synced = self.names_synced.lock();
        if *synced >= wanted && wanted > 0 {
            return self.check();
        }
        let covered = self.names.load(Ordering::Acquire);
        self.sync_dir(&self.path)?;
        *synced = covered;
        Ok(())
    }

    /// Renames a directory inside of this one; the new name is on stable storage when this returns.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), LogError> {
        self.check()?;
        self.disk.rename(from, to).map_err(LogError::io("rename", from))?;
        self.sync_dir(&self.path)
    }

    /// Notes that the disk had no room for an append. Clients try again and again: it is told once, until there is room.
    pub(crate) fn note_full(&self, segment: &Path, error: &io::Error) {
        if !self.full.swap(true, Ordering::Relaxed) {
            warn!(directory = %self.path.display(), segment = %segment.display(), %error, "the disk is full: appends are refused until there is room");
        }
    }

    /// Notes that an append found room.
    pub(crate) fn note_room(&self) {
        if self.full.load(Ordering::Relaxed) && self.full.swap(false, Ordering::Relaxed) {
            info!(directory = %self.path.display(), "there is room on the disk again: appends are taken");
        }
    }

    /// Whether the last append found no room.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// A full disk while writing a small file is not a failed flush: nothing that counts was in it.
    pub(crate) fn write_atomically(&self, path: &Path, content: &[u8]) -> Result<(), LogError> {
        self.check()?;
        let written = self.descriptors.with_room(|| self.disk.write_atomically(path, content));
        written.map_err(|error| match is_disk_full(&error) {
            true => LogError::io("write", path)(error),
            false => self.failed_flush("write", path, error),
        })
    }

    fn failed_flush(&self, action: &'static str, path: &Path, error: io::Error) -> LogError {
        // What could not even be opened has not failed: it is as dirty as before.
        if !is_out_of_files(&error) {
            self.poison(path, &error);
        }
        LogError::io(action, path)(error)
    }

    /// Whether the last owner stopped cleanly. The marker is gone, on stable storage, before this returns: a crash from here
    /// on must look like one.
    pub fn take_clean_shutdown(&self) -> Result<bool, LogError> {
        let path = self.path.join(CLEAN_SHUTDOWN);
        if !self.disk.exists(&path) {
            return Ok(false);
        }
        if bugs::is_back(Bug::Kafka10471) {
            return Ok(true);
        }
        self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
        self.sync_dir(&self.path)?;
        Ok(true)
    }

    /// The broker epoch in the marker of a clean stop; -1 when the marker says none, `None` without a marker.
    pub fn clean_shutdown_epoch(&self) -> Result<Option<i64>, LogError> {
        let path = self.path.join(CLEAN_SHUTDOWN);
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let bytes = self.disk.read(&path).map_err(LogError::io("read", &path))?;
        // A marker of an older Kafka is an empty file.
        let text = String::from_utf8_lossy(&bytes);
        let epoch = text.split_once("\"brokerEpoch\":").map(|(_, rest)| rest.trim_start());
        let end = |rest: &str| rest.find(|char: char| !char.is_ascii_digit() && char != '-').unwrap_or(rest.len());
        Ok(Some(epoch.and_then(|rest| rest[..end(rest)].parse().ok()).unwrap_or(-1)))
    }

    /// Marks the directory as cleanly stopped, in this broker epoch (-1 for none). Every log in it must have been closed, and
    /// the recovery points written.
    pub fn mark_clean_shutdown(&self, broker_epoch: i64) -> Result<(), LogError> {
        // `CleanShutdownFileHandler` of Kafka reads and writes the same.
        let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
        self.write_atomically(&self.path.join(CLEAN_SHUTDOWN), text.as_bytes())
    }

    /// One of the three checkpoints; a missing one is empty. Write only offsets that a finished flush covers.
    pub fn write_offsets(&self, name: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), LogError> {
        self.write_atomically(&self.path.join(name), checkpoint::encode_offsets(offsets).as_bytes())?;
        if name == RECOVERY_POINT_CHECKPOINT {
            *self.recovery_points.lock() =
                offsets.iter().map(|(partition, offset)| (partition.to_string(), *offset)).collect();
        }
        Ok(())
    }

    /// The recovery point of a log that was written last in this process's life, by its directory's name.
    pub(crate) fn recovery_point(&self, name: &str) -> Option<Offset> {
        self.recovery_points.lock().get(name).copied()
    }

    /// Reads a checkpoint. A malformed one is an error that names it: the caller decides whether it can do without.
    pub fn read_offsets(&self, name: &str) -> Result<BTreeMap<TopicPartition, Offset>, LogError> {
        let path = self.path.join(name);
        if !self.disk.exists(&path) {
            return Ok(BTreeMap::new());
        }
        let text = self.disk.read(&path).map_err(LogError::io("read", &path))?;
        checkpoint::decode_offsets(&text).map_err(|reason| LogError::Malformed { path, reason })
    }

    /// `meta.properties`; `None` when there is none.
    pub fn read_meta_properties(&self) -> Result<Option<MetaProperties>, LogError> {
        let path = self.path.join(META_PROPERTIES);
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let text = self.disk.read(&path).map_err(LogError::io("read", &path))?;
        let fields = parse_properties(&String::from_utf8_lossy(&text));
        let malformed = |reason| LogError::Malformed { path: path.clone(), reason };
        let fields = fields.map_err(malformed)?;
        match fields.get("version").map(String::as_str) {
            None | Some("1") => meta_properties(fields).map(Some).map_err(malformed),
            Some(other) => Err(LogError::OtherVersion { path, found: other.to_owned() }),
        }
    }

    pub fn write_meta_properties(&self, meta: &MetaProperties) -> Result<(), LogError> {
        let MetaProperties { cluster_id, node_id, directory_id } = meta;
        let text = format!("cluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id={node_id}\nversion=1\n");
        self.write_atomically(&self.path.join(META_PROPERTIES), text.as_bytes())
    }
}

/// Java properties as Kafka writes them: `key=value` lines, `#` comments, `\` before a special character.
fn parse_properties(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut fields = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!'])) {
        let (key, value) = line.split_once('=').ok_or_else(|| format!("line '{line}'"))?;
        fields.insert(key.trim().to_owned(), value.trim().replace('\\', ""));
    }
    Ok(fields)
}

fn meta_properties(mut fields: BTreeMap<String, String>) -> Result<MetaProperties, String> {
    let mut field = |key: &str| fields.remove(key).ok_or_else(|| format!("no {key}"));
    field("version")?;
    Ok(MetaProperties {
        cluster_id: field("cluster.id")?,
        node_id: BrokerId(field("node.id")?.parse().map_err(|_| "node.id is not a number")?),
        directory_id: field("directory.id")?.parse().map_err(|reason| format!("directory.id: {reason}"))?,
    })
}
