//! openraft's log and votes, kept by the [`Journal`].
//!
//! Writes happen on the quorum's own thread, in the order openraft asks for them, and are on stable storage when they are
//! answered: a thread that only agrees on metadata has nothing better to do than wait for its disk. While the disk is full this
//! voter agrees on nothing, others go on without it, and it follows when there is room.

use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader, StorageIOError};
use parking_lot::Mutex;

use crate::io::disk::is_disk_full;

use super::journal::{Journal, State};
use super::types::{Bytes, Entry, LogId, StorageError, TypeConfig, Vote};

/// Entries that one read for a follower returns at most, so that catching it up does not copy the whole log at once.
const READ_ENTRIES_MAX: usize = 1024;

/// Bytes of entries that one read for a follower returns, unless the first entry alone has more: what one request carries.
const READ_BYTES_MAX: usize = 1 << 20;

/// A handle to the journal; copies share it.
#[derive(Clone)]
pub struct LogStore {
    journal: Arc<Mutex<Journal>>,
}

impl LogStore {
    pub fn new(journal: Journal) -> LogStore {
        LogStore { journal: Arc::new(Mutex::new(journal)) }
    }

    /// The last entry that is on stable storage, also when it has been purged since.
    pub fn last_log_id(&self) -> Option<LogId> {
        last_log_id(self.journal.lock().state())
    }

    /// The vote that is on stable storage; the least of all when there was none.
    pub fn vote(&self) -> Vote {
        self.journal.lock().state().vote.unwrap_or_default()
    }

    /// Whether the directory must not vote; see [`State::is_waiting`].
    pub fn is_waiting(&self) -> bool {
        self.journal.lock().state().is_waiting
    }

    /// See [`Journal::end_waiting`].
    pub fn end_waiting(&self) -> std::io::Result<()> {
        self.journal.lock().end_waiting()
    }
}

/// How long a write waits that found the disk full.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// Writes, again and again while the disk is full.
pub async fn write_when_there_is_room(
    what: &'static str,
    mut write: impl FnMut() -> std::io::Result<()> + Send,
) -> std::io::Result<()> {
    let mut is_told = false;
    loop {
        match write() {
            Err(error) if is_disk_full(&error) => {
                if !is_told {
                    tracing::error!(what, "the disk is full: this node goes on with its metadata when there is room");
                }
                is_told = true;
                tokio::time::sleep(ROOM_WAIT).await;
            }
            written => return written,
        }
    }
}

impl LogStore {
    async fn write(&self, mut write: impl FnMut(&mut Journal) -> std::io::Result<()> + Send) -> std::io::Result<()> {
        write_when_there_is_room("the metadata log", || write(&mut self.journal.lock())).await
    }
}

fn last_log_id(state: &State) -> Option<LogId> {
    state.entries.last_key_value().map(|(_, entry)| entry.log_id).or(state.purged)
}

fn write_logs(error: std::io::Error) -> StorageError {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let journal = self.journal.lock();
        Ok(journal.state().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        let journal = self.journal.lock();
        let mut bytes = 0;
        let entries = journal.state().entries.range(start..end).take(READ_ENTRIES_MAX);
        let within = entries.take_while(|(index, entry)| {
            bytes += entry.to_bytes().len();
            **index == start || bytes <= READ_BYTES_MAX
        });
        Ok(within.map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let journal = self.journal.lock();
        let state = journal.state();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: last_log_id(state) })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let saved = self.write(|journal| journal.save_vote(*vote)).await;
        saved.map_err(|error| StorageIOError::write_vote(AnyError::new(&error)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.journal.lock().state().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.write(|journal| journal.save_committed(committed)).await.map_err(write_logs)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.journal.lock().state().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let appended = self.write(|journal| journal.append(entries.clone())).await;
        callback.log_io_completed(appended);
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.write(|journal| journal.truncate_from(log_id.index)).await.map_err(write_logs)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.write(|journal| journal.purge(log_id)).await.map_err(write_logs)
    }
}
