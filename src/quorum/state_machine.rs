//! What committed entries are applied to: the published image, and the snapshot it starts from.
//!
//! Invariant: the image is published, and the listener has returned, before the write that caused it is answered. So whoever
//! was told that a topic exists finds it in the image, and its replicas on the broker.
//!
//! A snapshot is the image as records, the last applied log id and membership, in one file that is replaced as a whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::{AnyError, EntryPayload, OptionalSend, SnapshotMeta, StorageIOError};

use super::log_store::write_when_there_is_room;
use super::published::Published;
use super::types::{Bytes, Entry, LogId, StorageError, StoredMembership, TypeConfig, Voter};
use crate::io::bugs::{self, Bug};
use crate::io::disk::Disk;
use crate::metadata::{DecodeError, Delta, Image, Reader, Record, Writer};
use crate::model::Offset;

const FILE_NAME: &str = "snapshot";
const MAGIC: [u8; 4] = *b"OtS1";
const VERSION: u8 = 0;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path}: the snapshot is damaged: put a good copy of it back; a node of several may begin with an empty log.dirs \
         instead, and gets everything from the others"
    )]
    Damaged { path: PathBuf },
    #[error("{path}: the snapshot cannot be read: {source}")]
    Content { path: PathBuf, source: DecodeError },
}

/// See the head of this file.
pub struct StateMachine {
    storage: SnapshotFile,
    published: Arc<Published>,
    applied: Applied,
}

/// How far the state machine is.
#[derive(Clone, Debug, Default, PartialEq)]
struct Applied {
    log_id: Option<LogId>,
    membership: StoredMembership,
}

#[derive(Clone)]
struct SnapshotFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl StateMachine {
    /// Starts from the snapshot in the directory, if there is one, and publishes its image.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, published: Arc<Published>) -> Result<StateMachine, SnapshotError> {
        let path = dir.join(FILE_NAME);
        let storage = SnapshotFile { disk, path };
        let mut machine = StateMachine { storage, published, applied: Applied::default() };
        let Some(bytes) = machine.storage.read()? else { return Ok(machine) };
        let path = machine.storage.path.clone();
        let content = read_snapshot(&bytes);
        let (applied, records) = content.map_err(|source| SnapshotError::Content { path, source })?;
        machine.restore(applied, &records);
        Ok(machine)
    }

    /// The last log id that is part of the image.
    pub fn applied(&self) -> Option<LogId> {
        self.applied.log_id
    }

    /// The voters and learners as of the last applied entry.
    pub fn membership(&self) -> &StoredMembership {
        &self.applied.membership
    }

    fn restore(&mut self, applied: Applied, records: &[Record]) {
        let mut image = Image::default();
        let mut delta = Delta::default();
        for record in records {
            image.apply(record, &mut delta);
        }
        image.set_last_applied(applied.log_id.map_or(Offset::NONE, offset_of));
        self.applied = applied;
        self.published.replace(image);
    }

    /// Applies one committed entry and gives the image after it.
    fn apply_entry(&mut self, entry: &Entry) -> Arc<Image> {
        self.applied.log_id = Some(entry.log_id);
        if let EntryPayload::Membership(membership) = &entry.payload {
            self.applied.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
        }
        self.published.change(|image, delta| {
            image.set_last_applied(offset_of(entry.log_id));
            if let EntryPayload::Normal(batch) = &entry.payload {
                batch.0.iter().for_each(|record| image.apply(record, delta));
            }
        })
    }
}

/// The metadata log's offsets are openraft's indexes.
fn offset_of(log_id: LogId) -> Offset {
    Offset(i64::try_from(log_id.index).expect("an index far below 2^63"))
}

fn meta_of(applied: &Applied) -> SnapshotMeta<Voter, openraft::BasicNode> {
    // Same log id, same image: the id need tell no more.
    let snapshot_id =
        applied.log_id.map_or_else(|| "empty".to_owned(), |id| format!("{}-{}", id.leader_id.term, id.index));
    SnapshotMeta { last_log_id: applied.log_id, last_membership: applied.membership.clone(), snapshot_id }
}

/// What a snapshot says of itself; for one that comes from a peer.
pub fn read_meta(content: &[u8]) -> Result<SnapshotMeta<Voter, openraft::BasicNode>, DecodeError> {
    read_snapshot(content).map(|(applied, _)| meta_of(&applied))
}

fn write_snapshot(applied: &Applied, image: &Image) -> Vec<u8> {
    let mut to = Writer::new();
    to.u8(VERSION);
    applied.log_id.write(&mut to);
    applied.membership.write(&mut to);
    to.blob(&Record::encode_all(&image.to_records()));
    to.into_bytes()
}

fn read_snapshot(bytes: &[u8]) -> Result<(Applied, Vec<Record>), DecodeError> {
    let mut from = Reader::new(bytes);
    let version = from.u8()?;
    if version != VERSION {
        return Err(DecodeError::Unknown { what: "snapshot version", value: version.into() });
    }
    let applied = Applied { log_id: Option::read(&mut from)?, membership: StoredMembership::read(&mut from)? };
    let records = Record::decode_all(from.blob()?)?;
    from.finish()?;
    Ok((applied, records))
}

impl SnapshotFile {
    fn read(&self) -> Result<Option<Vec<u8>>, SnapshotError> {
        if !self.disk.exists(&self.path) {
            return Ok(None);
        }
        let bytes =
            self.disk.read(&self.path).map_err(|source| SnapshotError::Io { path: self.path.clone(), source })?;
        let (head, content) = bytes.split_at_checked(8).unwrap_or((&[], &[]));
        if head.len() < 8 || head[..4] != MAGIC || head[4..] != crc32c::crc32c(content).to_be_bytes() {
            return Err(SnapshotError::Damaged { path: self.path.clone() });
        }
        Ok(Some(content.to_vec()))
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        if bugs::is_back(Bug::Kafka14238) {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(content.len() + 8);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&crc32c::crc32c(content).to_be_bytes());
        bytes.extend_from_slice(content);
        self.disk.write_atomically(&self.path, &bytes)
    }
}

/// Holds the image that is to become a snapshot; later changes do not touch it.
pub struct SnapshotBuilder {
    storage: SnapshotFile,
    applied: Applied,
    image: Arc<Image>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let content = write_snapshot(&self.applied, &self.image);
        // Entries are applied meanwhile; only the log cannot be shortened.
        let written = write_when_there_is_room("a metadata snapshot", || self.storage.replace(&content)).await;
        written.map_err(|error| StorageIOError::write_snapshot(None, AnyError::new(&error)))?;
        Ok(Snapshot { meta: meta_of(&self.applied), snapshot: Box::new(content) })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied.log_id, self.applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Arc<Image>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        Ok(entries.into_iter().map(|entry| self.apply_entry(&entry)).collect())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let image = self.published.image();
        SnapshotBuilder { storage: self.storage.clone(), applied: self.applied.clone(), image }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Vec<u8>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<Voter, openraft::BasicNode>,
        snapshot: Box<Vec<u8>>,
    ) -> Result<(), StorageError> {
        let content = read_snapshot(&snapshot);
        let (applied, records) =
            content.map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), AnyError::new(&error)))?;
        let written = write_when_there_is_room("a metadata snapshot", || self.storage.replace(&snapshot)).await;
        written.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), AnyError::new(&error)))?;
        self.restore(applied, &records);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let read = self.storage.read();
        let content = read.map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)))?;
        let Some(content) = content else { return Ok(None) };
        let (applied, _) =
            read_snapshot(&content).map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)))?;
        Ok(Some(Snapshot { meta: meta_of(&applied), snapshot: Box::new(content) }))
    }
}
