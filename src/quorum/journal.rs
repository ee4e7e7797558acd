//! One file that remembers everything the vote and the log promise: identity, votes, entries, truncations, purges.
//!
//! Every fact is a frame: magic, body length, CRC-32C, `durable_position`, kind, version, body. The last frame of a kind wins,
//! and a frame is either whole or not there, which makes a vote atomic without a file of its own. A purge replaces the file
//! as a whole by one that holds only what is left.
//!
//! Invariants:
//! - A promise is given (a vote answered, an entry acknowledged) only after `sync_data` returned for its frame. After the
//!   first failed write or sync the journal takes nothing more: what reached the disk is unknown from then on.
//! - Recovery cuts a torn tail, and only that. Each frame says up to which position the file was on stable storage when it
//!   was written, so a broken frame below such a position is damage to something promised, and the node must not start:
//!   it could vote twice in a term, or lose what it acknowledged.
//!
//! It does not know what an entry means, nor when it is committed.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::types::{Bytes, Entry, LogId, Vote, Voter};
use crate::io::bugs::{self, Bug};
use crate::io::disk::{Disk, DiskFile, is_disk_full};
use crate::metadata::{DecodeError, Reader, Writer};

const MAGIC: [u8; 4] = *b"OtQ1";
const VERSION: u8 = 0;
/// Magic, length, checksum, durable position, kind, version.
const HEADER_BYTES: usize = 4 + 4 + 4 + 8 + 1 + 1;
/// Where the bytes under the checksum begin.
const CHECKED_FROM: usize = 12;
const FILE_NAME: &str = "journal";

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path}: what was on stable storage is damaged at byte {position}: put a good copy of it back; a node of several may \
         begin with an empty log.dirs instead, and gets everything from the others"
    )]
    Damaged { path: PathBuf, position: u64 },
    #[error("{path}: the frame at byte {position} cannot be read: {source}")]
    Frame { path: PathBuf, position: u64, source: DecodeError },
    #[error("{path}: the journal does not say whose it is")]
    NoIdentity { path: PathBuf },
}

/// What the frames of a journal amount to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub identity: Option<Voter>,
    pub vote: Option<Vote>,
    /// All entries that are left, by index, without a hole.
    pub entries: BTreeMap<u64, Entry>,
    /// The last entry that was purged.
    pub purged: Option<LogId>,
    /// The last entry known to be committed; a hint, written without a sync.
    pub committed: Option<LogId>,
    /// The directory was empty and has not caught up with a quorum yet: it may stand for what an emptied one had promised, so it
    /// must not vote.
    pub is_waiting: bool,
}

impl State {
    fn take(&mut self, kind: u8, body: &[u8]) -> Result<(), DecodeError> {
        match kind {
            1 => self.identity = Some(Voter::from_bytes(body)?),
            2 => self.vote = Some(Vote::from_bytes(body)?),
            3 => {
                let entry = Entry::from_bytes(body)?;
                self.entries.insert(entry.log_id.index, entry);
            }
            4 => {
                let from = Reader::new(body).u64()?;
                self.entries.split_off(&from);
            }
            5 => self.purge(LogId::from_bytes(body)?),
            6 => self.committed = Option::from_bytes(body)?,
            7 => self.is_waiting = read_bool(body)?,
            kind => return Err(DecodeError::Unknown { what: "journal frame", value: kind.into() }),
        }
        Ok(())
    }

    fn purge(&mut self, upto: LogId) {
        self.entries = self.entries.split_off(&(upto.index + 1));
        self.purged = Some(upto);
    }

    /// The frames that a new file with this state begins with.
    fn frames(&self) -> Vec<u8> {
        let mut frames = Frames::new(0);
        if let Some(identity) = &self.identity {
            frames.push(Kind::Identity, &identity.to_bytes());
        }
        if let Some(vote) = &self.vote {
            frames.push(Kind::Vote, &vote.to_bytes());
        }
        if let Some(purged) = &self.purged {
            frames.push(Kind::Purged, &purged.to_bytes());
        }
        for entry in self.entries.values() {
            frames.push(Kind::Entry, &entry.to_bytes());
        }
        if self.committed.is_some() {
            frames.push(Kind::Committed, &self.committed.to_bytes());
        }
        if self.is_waiting {
            frames.push(Kind::Waiting, &[1]);
        }
        frames.bytes
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Identity = 1,
    Vote = 2,
    Entry = 3,
    TruncatedFrom = 4,
    Purged = 5,
    Committed = 6,
    Waiting = 7,
}

fn read_bool(body: &[u8]) -> Result<bool, DecodeError> {
    let mut from = Reader::new(body);
    let value = from.bool()?;
    from.finish()?;
    Ok(value)
}

/// Frames for one write.
struct Frames {
    durable_position: u64,
    bytes: Vec<u8>,
}

impl Frames {
    fn new(durable_position: u64) -> Frames {
        Frames { durable_position, bytes: Vec::new() }
    }

    fn push(&mut self, kind: Kind, body: &[u8]) {
        let start = self.bytes.len();
        let len = u32::try_from(body.len()).expect("a batch of records is far below 4 GiB");
        self.bytes.extend_from_slice(&MAGIC);
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&self.durable_position.to_be_bytes());
        self.bytes.extend_from_slice(&[kind as u8, VERSION]);
        self.bytes.extend_from_slice(body);
        let checksum = crc32c::crc32c(&self.bytes[start + CHECKED_FROM..]);
        self.bytes[start + 8..start + CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A whole frame at the start of `bytes`.
struct Frame<'a> {
    durable_position: u64,
    kind: u8,
    version: u8,
    body: &'a [u8],
}

/// The frame that begins here, or `None` when none does that is whole and unharmed.
fn parse(bytes: &[u8]) -> Option<Frame<'_>> {
    let header = bytes.get(..HEADER_BYTES)?;
    if header[..4] != MAGIC {
        return None;
    }
    let len = usize::try_from(u32::from_be_bytes(header[4..8].try_into().ok()?)).ok()?;
    let whole = bytes.get(..HEADER_BYTES.checked_add(len)?)?;
    let checksum = u32::from_be_bytes(header[8..CHECKED_FROM].try_into().ok()?);
    if crc32c::crc32c(&whole[CHECKED_FROM..]) != checksum {
        return None;
    }
    let durable_position = u64::from_be_bytes(header[CHECKED_FROM..20].try_into().ok()?);
    Some(Frame { durable_position, kind: header[20], version: header[21], body: &whole[HEADER_BYTES..] })
}

/// See the head of this file.
pub struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    state: State,
    /// Where the next frame goes.
    end: u64,
    /// Everything below is on stable storage.
    durable: u64,
    /// Set for good by the first write or sync that failed, unless the disk was full and the file is as it was.
    failed: bool,
}

impl Journal {
    /// Whether a journal was ever created in the directory.
    pub fn exists(disk: &dyn Disk, dir: &Path) -> bool {
        disk.exists(&dir.join(FILE_NAME))
    }

    /// Creates the journal with its first state, on stable storage when this returns.
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, state: State) -> Result<Journal, JournalError> {
        let path = dir.join(FILE_NAME);
        let fail = |source| JournalError::Io { path: path.clone(), source };
        disk.create_dir_all(dir).map_err(fail)?;
        let frames = state.frames();
        disk.write_atomically(&path, &frames).map_err(fail)?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(fail)?;
        }
        let file = disk.open(&path, false).map_err(fail)?;
        let end = frames.len() as u64;
        Ok(Journal { disk, path, file, state, end, durable: end, failed: false })
    }

    /// Opens an existing journal, cuts a torn tail, and puts what is left on stable storage.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Journal, JournalError> {
        let path = dir.join(FILE_NAME);
        let fail = |source| JournalError::Io { path: path.clone(), source };
        let bytes = disk.read(&path).map_err(fail)?;
        let (state, end) = recover(&path, &bytes)?;
        if state.identity.is_none() {
            return Err(JournalError::NoIdentity { path });
        }
        let file = disk.open(&path, false).map_err(fail)?;
        if end < bytes.len() {
            tracing::warn!(path = %path.display(), end, found = bytes.len(), "cut a torn tail off the metadata journal");
            file.truncate(end as u64).map_err(fail)?;
        }
        // What was read may never have been synced; it is about to be promised again.
        file.sync_data().map_err(fail)?;
        let end = end as u64;
        Ok(Journal { disk, path, file, state, end, durable: end, failed: false })
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Makes a vote for this node one that was given, and not one that won: who led goes on as a follower. Not written: the
    /// next vote is of a later term in any case.
    pub fn forget_leading(&mut self, me: Voter) {
        if let Some(vote) = self.state.vote.as_mut().filter(|vote| vote.leader_id.node_id == me) {
            vote.committed = false;
        }
    }

    /// Puts a vote on stable storage.
    pub fn save_vote(&mut self, vote: Vote) -> io::Result<()> {
        let mut frames = Frames::new(self.durable);
        frames.push(Kind::Vote, &vote.to_bytes());
        self.write(&frames)?;
        self.sync()?;
        self.state.vote = Some(vote);
        Ok(())
    }

    /// Puts on stable storage that this directory may vote from now on.
    pub fn end_waiting(&mut self) -> io::Result<()> {
        let mut frames = Frames::new(self.durable);
        frames.push(Kind::Waiting, &[0]);
        self.write(&frames)?;
        self.sync()?;
        self.state.is_waiting = false;
        Ok(())
    }

    /// Puts entries on stable storage.
    pub fn append(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        let mut frames = Frames::new(self.durable);
        for entry in &entries {
            frames.push(Kind::Entry, &entry.to_bytes());
        }
        self.write(&frames)?;
        self.sync()?;
        for entry in entries {
            self.state.entries.insert(entry.log_id.index, entry);
        }
        Ok(())
    }

    /// Takes back all entries from this index on.
    pub fn truncate_from(&mut self, index: u64) -> io::Result<()> {
        let mut frames = Frames::new(self.durable);
        let mut body = Writer::new();
        body.u64(index);
        frames.push(Kind::TruncatedFrom, &body.into_bytes());
        self.write(&frames)?;
        self.sync()?;
        self.state.entries.split_off(&index);
        Ok(())
    }

    /// Remembers how far entries are committed. Not synced: losing it costs nothing but a later replay.
    pub fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut frames = Frames::new(self.durable);
        frames.push(Kind::Committed, &committed.to_bytes());
        self.write(&frames)?;
        self.state.committed = committed;
        Ok(())
    }

    /// Forgets the entries up to this one, included: the file is replaced by one without them. On a full disk the file keeps
    /// them until the next purge, and so may a restart: that costs room and nothing else. Only when a snapshot took the place of
    /// entries that never came there would be a hole: then a full disk is an error, and nothing has changed.
    pub fn purge(&mut self, upto: LogId) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("the metadata journal has failed before"));
        }
        let mut state = self.state.clone();
        state.purge(upto);
        let frames = state.frames();
        let leaves_hole = self.state.entries.last_key_value().is_none_or(|(last, _)| *last < upto.index);
        let replaced = self.disk.write_atomically(&self.path, &frames);
        // Which of the two files is there now is asked of the disk: an error can come before the change of names, or after it.
        let file = self.disk.open(&self.path, false).and_then(|file| Ok((file.len()?, file)));
        match (replaced, file) {
            (Ok(()), Ok((_, file))) => {
                self.file = file;
                self.state = state;
                self.end = frames.len() as u64;
                self.durable = self.end;
                Ok(())
            }
            (Err(error), Ok((len, _))) if is_disk_full(&error) && len == self.end => {
                if leaves_hole {
                    return Err(error);
                }
                tracing::warn!(path = %self.path.display(), "the disk is full: the metadata log is shortened later");
                self.state = state;
                Ok(())
            }
            (Err(error), _) | (Ok(()), Err(error)) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    fn write(&mut self, frames: &Frames) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("the metadata journal has failed before"));
        }
        if let Err(error) = self.file.write_all_at(&mut [IoSlice::new(&frames.bytes)], self.end) {
            // What a full disk took goes again: the next write may be shorter, and the rest must not pass for frames of its own.
            self.failed = !is_disk_full(&error) || self.file.truncate(self.end).is_err();
            return Err(error);
        }
        self.end += frames.bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if bugs::is_back(Bug::Robustmq2039) {
            self.durable = self.end;
            return Ok(());
        }
        if let Err(error) = self.file.sync_data() {
            // Some disks find room only now. What was written since the last sync is written anew, and never taken for synced.
            self.failed = !is_disk_full(&error) || self.file.truncate(self.durable).is_err();
            self.end = self.durable;
            return Err(error);
        }
        self.durable = self.end;
        Ok(())
    }
}

/// Replays the frames; gives the state and the end of the last whole frame.
fn recover(path: &Path, bytes: &[u8]) -> Result<(State, usize), JournalError> {
    let mut state = State::default();
    let mut position = 0;
    while let Some(frame) = parse(&bytes[position..]) {
        let fail = |source| JournalError::Frame { path: path.to_owned(), position: position as u64, source };
        if frame.version != VERSION {
            return Err(fail(DecodeError::Unknown { what: "frame version", value: frame.version.into() }));
        }
        state.take(frame.kind, frame.body).map_err(fail)?;
        position += HEADER_BYTES + frame.body.len();
    }
    if proves_durable(&bytes[position..], position) {
        return Err(JournalError::Damaged { path: path.to_owned(), position: position as u64 });
    }
    Ok((state, position))
}

/// Whether a whole frame behind a broken one says that the broken one had been on stable storage.
fn proves_durable(rest: &[u8], position: usize) -> bool {
    rest.windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| **window == MAGIC)
        .filter_map(|(start, _)| parse(&rest[start..]))
        .any(|frame| frame.durable_position > position as u64)
}

#[cfg(test)]
mod tests;
