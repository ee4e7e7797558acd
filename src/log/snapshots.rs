//! Finds and removes the producer snapshots of a log.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use crate::io::disk::{Disk, DiskFile};
use crate::log::error::{LogError, ReadError};
use crate::log::log_dir::LogDir;
use crate::log::producer_snapshot::{
    SIDECAR_SUFFIX, SNAPSHOT_SUFFIX, apply_sidecar, decode_open_transactions, decode_snapshot, encode_sidecar,
    encode_snapshot,
};
use crate::log::producers::Producers;
use crate::log::segment::{LOG_SUFFIX, Segment, file_path};
use crate::model::{Offset, ProducerId};

/// The offsets of the snapshots in a directory, rising.
pub(crate) fn list(log_dir: &LogDir, dir: &Path) -> Result<Vec<Offset>, LogError> {
    let entries = log_dir.disk().read_dir(dir).map_err(LogError::io("list", dir))?;
    Ok(offsets(entries.iter().map(|entry| &entry.name)))
}

/// The offsets of the snapshots among these files, rising.
pub(crate) fn offsets<'a>(names: impl Iterator<Item = &'a String>) -> Vec<Offset> {
    let offset = |name: &str| {
        let (offset, suffix) = name.split_once('.')?;
        let is_snapshot = suffix == SNAPSHOT_SUFFIX || suffix == SIDECAR_SUFFIX;
        (is_snapshot && offset.len() == 20).then(|| offset.parse().ok().map(Offset))?
    };
    let mut offsets: Vec<Offset> = names.filter_map(|name| offset(name)).collect();
    offsets.sort();
    offsets.dedup();
    offsets
}

/// Removes the snapshot at an offset, and what belongs to it.
pub(crate) fn remove(log_dir: &LogDir, dir: &Path, offset: Offset) -> Result<(), LogError> {
    for suffix in [SNAPSHOT_SUFFIX, SIDECAR_SUFFIX] {
        let path = file_path(dir, offset, suffix);
        if log_dir.disk().exists(&path) {
            log_dir.disk().remove_file(&path).map_err(LogError::io("remove", path))?;
        }
    }
    Ok(())
}

/// A snapshot and what belongs to it, as bytes that wait to be written.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub offset: Offset,
    snapshot: Arc<[u8]>,
    sidecar: Arc<[u8]>,
}

impl Snapshot {
    /// The producers' state as of an offset.
    pub fn new(producers: &Producers, offset: Offset) -> Snapshot {
        let snapshot = encode_snapshot(producers);
        let sidecar = encode_sidecar(producers, &snapshot);
        Snapshot { offset, snapshot: snapshot.into(), sidecar: sidecar.into() }
    }

    /// Writes and flushes both files; their names need a flush of the directory. Without them the state is rebuilt from the
    /// batches behind an older snapshot, but only as long as retention has left those.
    pub fn write(&self, log_dir: &LogDir, dir: &Path) -> Result<(), LogError> {
        self.write_each(log_dir, dir, |file, path| log_dir.sync_file(file, path))
    }

    /// As [`Snapshot::write`], and flushes nothing: what a power cut leaves of it is not believed.
    pub fn write_unflushed(&self, log_dir: &LogDir, dir: &Path) -> Result<(), LogError> {
        self.write_each(log_dir, dir, |_, _| Ok(()))
    }

    fn write_each(
        &self,
        log_dir: &LogDir,
        dir: &Path,
        flush: impl Fn(&dyn DiskFile, &Path) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        for (suffix, content) in [(SIDECAR_SUFFIX, &self.sidecar), (SNAPSHOT_SUFFIX, &self.snapshot)] {
            let path = file_path(dir, self.offset, suffix);
            let file = log_dir.open_file(&path, true).map_err(LogError::io("open", &path))?;
            let written = file.truncate(0).and_then(|()| file.write_all_at(&mut [IoSlice::new(content)], 0));
            written.map_err(LogError::io("write", &path))?;
            flush(&*file, &path)?;
        }
        Ok(())
    }
}

/// The producers that had a transaction open as of the newest whole snapshot up to `end_offset`, and that snapshot's offset. Only
/// Kafka's snapshots tell of transactions. Reads, and changes nothing.
pub fn open_transactions(
    disk: &dyn Disk,
    dir: &Path,
    end_offset: Offset,
) -> Result<(Option<Offset>, Vec<ProducerId>), LogError> {
    let entries = disk.read_dir(dir).map_err(LogError::io("list", dir))?;
    let offset = |name: &str| Some(Offset(name.strip_suffix(".snapshot")?.parse().ok()?));
    let mut offsets: Vec<Offset> = entries.iter().filter_map(|entry| offset(&entry.name)).collect();
    offsets.sort();
    for offset in offsets.into_iter().rev().filter(|offset| *offset <= end_offset) {
        let path = file_path(dir, offset, SNAPSHOT_SUFFIX);
        let snapshot = disk.read(&path).map_err(LogError::io("read", &path))?;
        if let Some(open) = decode_open_transactions(&snapshot) {
            return Ok((Some(offset), open));
        }
    }
    Ok((None, Vec::new()))
}

/// What [`rebuild`] has found.
pub(crate) struct Rebuilt {
    pub producers: Producers,
    /// The snapshot that the state was rebuilt from.
    pub snapshot_offset: Option<Offset>,
    /// The state at the start of each segment that was walked from its first batch on, and is not the first of the log.
    pub at_segments: Vec<Snapshot>,
}

/// Producer state as of the end of the segments: from the newest whole snapshot at or below `limit`, and the batches behind
/// it. Snapshots behind the end speak of a log that is no more, and are removed.
pub(crate) fn rebuild(
    log_dir: &LogDir,
    dir: &Path,
    segments: &[Arc<Segment>],
    limit: Offset,
    offsets: Vec<Offset>,
) -> Result<Rebuilt, LogError> {
    let end_offset = segments.last().expect("a log has a segment").end_offset();
    let newest = load_newest(log_dir, dir, limit, end_offset, offsets)?;
    let snapshot_offset = newest.as_ref().map(|newest| newest.1);
    let (mut producers, from) = newest.unwrap_or((Producers::default(), segments[0].base_offset));
    let mut at_segments = Vec::new();
    for segment in segments {
        if segment.base_offset > from {
            at_segments.push(Snapshot::new(&producers, segment.base_offset));
        }
        if segment.end_offset() <= from {
            continue;
        }
        let failed = |error: ReadError| LogError::io("read", segment.path(LOG_SUFFIX))(std::io::Error::other(error));
        let Some(located) = segment.locate(from).map_err(failed)? else { continue };
        let mut scan = segment.scan_from(located.position).map_err(|error| failed(error.into()))?;
        while let Some(batch) = scan.next().map_err(|error| failed(error.into()))? {
            producers.note(&batch.header);
        }
    }
    Ok(Rebuilt { producers, snapshot_offset, at_segments })
}

/// The newest whole snapshot at or below `limit`, with its offset. Those behind `end_offset` speak of a log that is no more,
/// and are removed.
fn load_newest(
    log_dir: &LogDir,
    dir: &Path,
    limit: Offset,
    end_offset: Offset,
    offsets: Vec<Offset>,
) -> Result<Option<(Producers, Offset)>, LogError> {
    for offset in offsets.iter().filter(|offset| **offset > end_offset) {
        remove(log_dir, dir, *offset)?;
    }
    for offset in offsets.into_iter().rev().filter(|offset| *offset <= limit) {
        let path = file_path(dir, offset, SNAPSHOT_SUFFIX);
        let read = |path: &Path| log_dir.disk().read(path).ok();
        let Some(snapshot) = read(&path) else { continue };
        let Some(mut producers) = decode_snapshot(&snapshot) else {
            warn!(path = %path.display(), "producer snapshot is damaged, using an older one");
            continue;
        };
        if let Some(sidecar) = read(&file_path(dir, offset, SIDECAR_SUFFIX)) {
            apply_sidecar(&mut producers, &snapshot, &sidecar);
        }
        return Ok(Some((producers, offset)));
    }
    Ok(None)
}
