//! The directories that are filled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::ImportError;
use super::files::Plan;
use super::source::{FoundLog, Source};
use crate::broker::formation;
use crate::config::Settings;
use crate::io::disk::Disk;
use crate::io::{foreign, random};
use crate::log::{
    CLEANER_OFFSET_CHECKPOINT, HIGH_WATERMARK_CHECKPOINT, IMPORT_MARKER, LOG_START_OFFSET_CHECKPOINT, LogDir, LogError,
    MetaProperties, RECOVERY_POINT_CHECKPOINT,
};
use crate::metadata::Record;
use crate::model::{BrokerId, Offset, TopicId, TopicPartition};
use crate::peer::Address;
use crate::quorum::{self, Formation, Quorum, QuorumOptions};

/// An offset of each of some logs.
pub(super) type Offsets = BTreeMap<TopicPartition, Offset>;

/// Metadata records that are committed at once.
const RECORDS_AT_ONCE: usize = 1_000;

pub(super) struct Target {
    disk: Arc<dyn Disk>,
    dirs: Vec<Arc<LogDir>>,
    /// What each of `dirs` is called in the cluster.
    ids: Vec<Uuid>,
    /// Which of `dirs` takes what lies in each directory of the source.
    dir_of_source: Vec<usize>,
    /// Where the quorum's directory goes, when that is none of `dirs`.
    metadata_dir: Option<PathBuf>,
}

/// Refuses settings under which a server could not go on with what is imported.
pub(super) fn check_settings(settings: &Settings, source: &Source) -> Result<(), ImportError> {
    let (found, expected) = (source.node_id, BrokerId(settings.node_id()));
    if found != expected {
        return Err(ImportError::OtherNode { path: source.dirs[0].path.clone(), found, expected });
    }
    if !settings.is_broker() || !settings.is_controller() {
        return Err(ImportError::NotBoth);
    }
    match formation_of(settings) {
        Formation::Standalone => Ok(()),
        Formation::Voters(voters) if matches!(voters.as_slice(), [(id, _)] if *id == expected) => Ok(()),
        _ => Err(ImportError::NotAlone),
    }
}

fn own_address(settings: &Settings) -> (String, Address) {
    let listener = settings.controller_listener();
    let listener = settings.advertised_controller_listener(&listener.name).unwrap_or(listener);
    (listener.name, Address { host: listener.host, port: listener.port })
}

fn formation_of(settings: &Settings) -> Formation {
    formation::of(settings, &own_address(settings).1)
}

impl Target {
    /// Takes the directories that `log.dirs` names, which must be new or empty, or left by an import that did not end, and marks
    /// them.
    pub fn begin(settings: &Settings, disk: &Arc<dyn Disk>, source: &Source) -> Result<Target, ImportError> {
        let paths = settings.log_dirs();
        let metadata_dir =
            settings.get_text("metadata.log.dir").map(PathBuf::from).filter(|path| !paths.contains(path));
        for path in paths.iter().chain(&metadata_dir) {
            check_apart(path, source)?;
            check_empty(&**disk, path)?;
        }
        let mut dirs = Vec::new();
        for path in &paths {
            let dir = LogDir::open(Arc::clone(disk), path)?;
            dir.lock()?;
            dirs.push(dir);
        }
        // One that only holds the metadata takes no place among those with logs.
        let mut next = 0;
        let dir_of_source = source.dirs.iter().map(|dir| {
            let index = next % paths.len();
            next += usize::from(!dir.logs.is_empty());
            index
        });
        let dir_of_source: Vec<usize> = dir_of_source.collect();
        let ids = (0..dirs.len()).map(|index| directory_id(index, &dir_of_source, source)).collect();
        let target = Target { disk: Arc::clone(disk), dirs, ids, dir_of_source, metadata_dir };
        for path in target.all_paths() {
            disk.create_dir_all(path).map_err(LogError::io("create", path))?;
            clear_dir(&**disk, path)?;
            let marker = path.join(IMPORT_MARKER);
            disk.write_atomically(&marker, b"an import is under way\n").map_err(LogError::io("write", marker))?;
        }
        Ok(target)
    }

    /// The directory that a log goes to.
    pub fn dir_of(&self, log: &FoundLog) -> &Arc<LogDir> {
        &self.dirs[self.dir_of_source[log.dir]]
    }

    /// The id of that directory, when there are others.
    pub fn place(&self, log: &FoundLog) -> Option<Uuid> {
        (self.dirs.len() > 1).then(|| self.ids[self.dir_of_source[log.dir]])
    }

    /// Refuses to begin what the volumes have no room for.
    pub fn check_room(&self, plans: &[(&FoundLog, Plan)]) -> Result<(), ImportError> {
        for dir in &self.dirs {
            let here = plans.iter().filter(|(log, _)| Arc::ptr_eq(self.dir_of(log), dir));
            let needed_bytes = here.map(|(_, plan)| plan.copied_bytes()).sum();
            let space = self.disk.space(dir.path()).map_err(LogError::io("measure", dir.path()))?;
            if space.usable_bytes < needed_bytes {
                let (path, usable_bytes) = (dir.path().to_owned(), space.usable_bytes);
                return Err(ImportError::NoRoom { path, usable_bytes, needed_bytes });
            }
        }
        Ok(())
    }

    /// Writes down where the logs begin and end, all of it flushed and, on a node that is alone, committed.
    pub fn write_checkpoints(
        &self,
        ends: &Offsets,
        starts: &Offsets,
        source: &Source,
        logs: &[FoundLog],
    ) -> Result<(), ImportError> {
        for dir in &self.dirs {
            let here: Vec<&FoundLog> = logs.iter().filter(|log| Arc::ptr_eq(self.dir_of(log), dir)).collect();
            let of = |offsets: &Offsets| -> Offsets {
                let known = here
                    .iter()
                    .filter_map(|log| Some((log.topic_partition.clone(), *offsets.get(&log.topic_partition)?)));
                known.collect()
            };
            let mut cleaned = Offsets::new();
            for log in &here {
                let known = source.dirs[log.dir].cleaned_to.get(&log.topic_partition);
                if let Some(offset) = known {
                    cleaned.insert(log.topic_partition.clone(), (*offset).min(ends[&log.topic_partition]));
                }
            }
            dir.write_offsets(RECOVERY_POINT_CHECKPOINT, &of(ends))?;
            dir.write_offsets(HIGH_WATERMARK_CHECKPOINT, &of(ends))?;
            dir.write_offsets(LOG_START_OFFSET_CHECKPOINT, &of(starts))?;
            dir.write_offsets(CLEANER_OFFSET_CHECKPOINT, &cleaned)?;
        }
        Ok(())
    }

    /// Forms the quorum of this node and has it agree on the records.
    pub async fn write_metadata(
        &self,
        settings: &Settings,
        source: &Source,
        records: Vec<Record>,
    ) -> Result<(), ImportError> {
        let (listener, address) = own_address(settings);
        let parent = self.metadata_dir.as_deref().unwrap_or_else(|| self.dirs[0].path());
        let quorum = Quorum::start(QuorumOptions {
            dir: parent.join(quorum::DIRECTORY),
            node_id: source.node_id,
            directory_id: self.ids[0],
            cluster_id: Some(source.cluster_id.clone()),
            formation: formation_of(settings),
            endpoint: quorum::Endpoint { listener, address },
            disk: Arc::clone(&self.disk),
            snapshot_entries: QuorumOptions::SNAPSHOT_ENTRIES,
            formed_by: formation::formed_by(settings),
            timing: formation::timing(settings),
        })
        .await?;
        let mut written = Ok(());
        for records in records.chunks(RECORDS_AT_ONCE) {
            written = quorum.submit(records.to_vec()).await.map(drop);
            if written.is_err() {
                break;
            }
        }
        quorum.stop().await;
        Ok(written?)
    }

    /// Puts everything on stable storage, and has the directories be a server's that was stopped in order.
    pub fn finish(self, source: &Source) -> Result<(), ImportError> {
        for (dir, id) in self.dirs.iter().zip(&self.ids) {
            // No broker of ours has had an epoch yet.
            dir.mark_clean_shutdown(-1)?;
            let (cluster_id, node_id, directory_id) = (source.cluster_id.clone(), source.node_id, TopicId(*id));
            dir.write_meta_properties(&MetaProperties { cluster_id, node_id, directory_id })?;
        }
        for path in self.all_paths() {
            foreign::sync_volume(path).map_err(LogError::io("flush", path))?;
        }
        for path in self.all_paths() {
            let marker = path.join(IMPORT_MARKER);
            self.disk.remove_file(&marker).map_err(LogError::io("remove", marker))?;
            self.disk.sync_dir(path).map_err(LogError::io("flush directory", path))?;
        }
        Ok(())
    }

    /// Takes everything away again; the markers last. What cannot be removed stays marked, and is told at the next start.
    pub fn clear(self) {
        for path in self.all_paths() {
            let cleared = clear_dir(&*self.disk, path);
            let marker = path.join(IMPORT_MARKER);
            if cleared.is_err() || self.disk.remove_file(&marker).is_err() {
                tracing::warn!(directory = %path.display(), "what was imported so far cannot be removed");
            }
        }
    }

    fn all_paths(&self) -> impl Iterator<Item = &Path> {
        self.dirs.iter().map(|dir| dir.path()).chain(self.metadata_dir.as_deref())
    }
}

/// A directory keeps the id of the source's first that it takes the place of.
fn directory_id(dir: usize, dir_of_source: &[usize], source: &Source) -> Uuid {
    let of_source = dir_of_source.iter().position(|target| *target == dir);
    of_source.map_or_else(random::uuid, |index| source.dirs[index].meta.directory_id.0)
}

/// A target inside of a source, or around it, would be copied into itself.
fn check_apart(path: &Path, source: &Source) -> Result<(), ImportError> {
    // One that is not there yet is where the nearest directory above it is.
    let there = path.ancestors().find_map(|above| {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        foreign::real_path(above).ok()
    });
    let Some(target) = there else { return Ok(()) };
    for dir in &source.dirs {
        let Ok(from) = foreign::real_path(&dir.path) else { continue };
        if target.starts_with(&from) {
            return Err(ImportError::Nested { inside: path.to_owned(), outside: dir.path.clone() });
        }
    }
    Ok(())
}

fn check_empty(disk: &dyn Disk, path: &Path) -> Result<(), ImportError> {
    if !disk.exists(path) || disk.exists(&path.join(IMPORT_MARKER)) {
        return Ok(());
    }
    let entries = disk.read_dir(path).map_err(LogError::io("list", path))?;
    match entries.into_iter().find(|entry| !is_nothing(&entry.name)) {
        Some(entry) => Err(ImportError::NotEmpty { path: path.to_owned(), found: entry.name }),
        None => Ok(()),
    }
}

/// What may lie in an empty directory: our lock, and what file systems put into every new volume.
fn is_nothing(name: &str) -> bool {
    matches!(name, ".lock" | "lost+found")
}

/// Removes what an import has put there, but for its marker.
fn clear_dir(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    let entries = disk.read_dir(path).map_err(LogError::io("list", path))?;
    for entry in entries.into_iter().filter(|entry| !is_nothing(&entry.name) && entry.name != IMPORT_MARKER) {
        let path = path.join(&entry.name);
        let removed = if entry.is_dir { disk.remove_dir_all(&path) } else { disk.remove_file(&path) };
        removed.map_err(LogError::io("remove", path))?;
    }
    Ok(())
}
