//! Reads Kafka's `__cluster_metadata-0`: the newest snapshot, and the log behind it up to its end.
//!
//! A node that is the only voter has committed all that is in its log; a torn tail was never acknowledged and is left out, as
//! `KafkaMetadataLog` cuts it. Of a transaction of metadata records (KIP-868) all count or none.

use std::path::{Path, PathBuf};

use super::ImportError;
use super::cluster::KafkaCluster;
use crate::io::disk::Disk;
use crate::model::Offset;
use crate::protocol::compression::decompress;
use crate::protocol::extra::cluster_metadata::{ClusterRecord, voter_count};
use crate::protocol::record_batch::{BatchIter, BatchView};
use crate::protocol::records::RecordIter;

pub(super) use crate::broker::directories::KAFKA_METADATA as DIRECTORY;

/// `ControlRecordType.KRAFT_VOTERS`.
const KRAFT_VOTERS: i16 = 6;
/// What one batch may grow to, in bytes; Kafka writes at most 8 MiB at once, and without compression.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// The cluster as of the end of the log, and how many bytes were torn there.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<(KafkaCluster, usize), ImportError> {
    let unreadable = |path: PathBuf| move |source| ImportError::Unreadable { path, source };
    let names = disk.read_dir(dir).map_err(unreadable(dir.to_owned()))?;
    let names: Vec<String> = names.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect();
    let mut replay = Replay::default();
    let snapshot = names.iter().filter_map(|name| Some((snapshot_end(name)?, name))).max();
    if let Some((_, name)) = snapshot {
        let path = dir.join(name);
        let bytes = disk.read(&path).map_err(unreadable(path.clone()))?;
        let torn = replay.read(&path, &bytes, Offset::ZERO)?;
        if torn > 0 {
            return Err(ImportError::Metadata { path, reason: "the snapshot is damaged".into() });
        }
    }
    let start = snapshot.map_or(Offset::ZERO, |((end, _), _)| end);
    let segments: Vec<(Offset, &String)> = names.iter().filter_map(|name| Some((segment_start(name)?, name))).collect();
    // A snapshot takes the place of the segments before it; those that it covers may be there yet.
    let first = segments.partition_point(|segment| segment.0 <= start).saturating_sub(1);
    if segments.get(first).is_some_and(|segment| segment.0 > start) {
        let reason = format!("the log begins at offset {}, and what comes before it is missing", segments[first].0);
        return Err(ImportError::Metadata { path: dir.to_owned(), reason });
    }
    let mut torn = 0;
    for (index, (_, name)) in segments.iter().enumerate().skip(first) {
        let path = dir.join(name);
        let bytes = disk.read(&path).map_err(unreadable(path.clone()))?;
        torn = replay.read(&path, &bytes, start)?;
        if torn > 0 && index + 1 < segments.len() {
            let reason = format!("it is damaged {torn} bytes before its end, and more of the log follows");
            return Err(ImportError::Metadata { path, reason });
        }
    }
    if snapshot.is_none() && segments.is_empty() {
        return Err(ImportError::Metadata { path: dir.to_owned(), reason: "there is no log in it".into() });
    }
    Ok((replay.cluster, torn))
}

/// `00000000000000000042-0000000003.checkpoint`: up to which offset, and the epoch of the last record.
fn snapshot_end(name: &str) -> Option<(Offset, i32)> {
    let (offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    (offset.len() == 20).then(|| Some((Offset(offset.parse().ok()?), epoch.parse().ok()?)))?
}

fn segment_start(name: &str) -> Option<Offset> {
    let offset = name.strip_suffix(".log")?;
    (offset.len() == 20).then(|| offset.parse().ok().map(Offset))?
}

#[derive(Default)]
struct Replay {
    cluster: KafkaCluster,
    /// The records of the open transaction.
    pending: Option<Vec<ClusterRecord>>,
}

impl Replay {
    /// Replays the batches of one file that lie at or behind an offset; the answer is the bytes behind the last whole batch.
    fn read(&mut self, path: &Path, bytes: &[u8], from: Offset) -> Result<usize, ImportError> {
        let mut whole = 0;
        for batch in BatchIter::new(bytes) {
            let Ok(batch) = batch else { break };
            if batch.validate().is_err() {
                break;
            }
            whole += batch.bytes().len();
            // The values in a snapshot are numbered for themselves.
            if batch.header.base_offset >= from {
                let failed = |reason| ImportError::Metadata { path: path.to_owned(), reason };
                self.replay(&batch).map_err(failed)?;
            }
        }
        Ok(bytes.len() - whole)
    }

    fn replay(&mut self, batch: &BatchView<'_>) -> Result<(), String> {
        let header = batch.header;
        let codec = header.codec().map_err(|error| error.to_string())?;
        let records = decompress(codec, batch.records(), BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
        for record in RecordIter::new(header, &records) {
            let record = record.map_err(|error| error.to_string())?;
            let at = |error: String| format!("offset {}: {error}", record.offset);
            let Some(value) = record.value else { continue };
            if header.is_control() {
                let control_type = record.key.and_then(|key| key.get(2..4));
                if control_type.is_some_and(|bytes| bytes == KRAFT_VOTERS.to_be_bytes()) {
                    let count = voter_count(value).map_err(|error| at(error.to_string()))?;
                    self.cluster.voter_count = Some(count);
                }
                continue;
            }
            self.apply(ClusterRecord::decode(value).map_err(|error| at(error.to_string()))?);
        }
        Ok(())
    }

    fn apply(&mut self, record: ClusterRecord) {
        match record {
            ClusterRecord::BeginTransaction => self.pending = Some(Vec::new()),
            ClusterRecord::AbortTransaction => self.pending = None,
            ClusterRecord::EndTransaction => {
                self.pending.take().into_iter().flatten().for_each(|record| self.cluster.apply(record));
            }
            record => match &mut self.pending {
                Some(pending) => pending.push(record),
                None => self.cluster.apply(record),
            },
        }
    }
}
