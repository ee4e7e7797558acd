//! A replica's log gives way to its copy in another directory, while the replica goes on.
//!
//! The last records are copied and the two directories renamed under the mutex, so that whoever appends waits for that and then
//! appends to the copy. Leadership, high watermark and everyone who waits stay as they are: a client notices a pause.
//!
//! Invariant: at each moment the partition's name leads to a log with everything that was flushed. The copy gets the name before
//! the log loses it, each on stable storage before the next step.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Replica;
use crate::log::{CopyError, Log, LogDir, LogError, OpenLog};
use crate::model::{ErrorCode, Now, Offset};
use crate::partition::Event;

/// About as much is read and written at once.
pub const COPY_BYTES: usize = 1 << 20;

/// Why a log stays where it is.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the replica is out of service")]
    OutOfService,
}

/// Names of directories during a move.
#[derive(Clone, Debug)]
pub struct MoveNames {
    /// Of the copy, until it takes the log's place.
    pub future: String,
    /// Of the old log, when it has lost its place.
    pub aside: String,
}

impl Replica {
    /// How often the log was cut: a copy that has seen fewer may hold what is gone.
    pub fn cut_count(&self) -> u64 {
        self.held.lock().cut_count
    }

    /// Puts a copy that has almost caught up in the log's place. Answers where the old log lies now. Blocks for the disk.
    pub fn replace_log(
        &self,
        now: Now,
        mut copy: Log,
        cuts_seen: u64,
        target: &Arc<LogDir>,
        names: &MoveNames,
    ) -> Result<PathBuf, MoveError> {
        let is_retired = self.flushing.lock();
        if *is_retired {
            return Err(MoveError::OutOfService);
        }
        let mut held = self.held.lock();
        let replaced = self.contained(&mut held, |held| {
            if held.machine.fence().is_some() || held.cut_count != cuts_seen {
                return Err(MoveError::OutOfService);
            }
            while copy.copy_from(now, &held.log.reader(), COPY_BYTES)? > 0 {}
            copy.finish_copy(&held.log)?;
            drop(copy);
            let from = self.directory();
            let name = self.topic_partition.to_string();
            let aside = swap(&held.log, &from, target, &name, names)?;
            let (end_offset, log_start_offset) = (held.log.log_end_offset(), held.log.log_start_offset());
            let open = OpenLog {
                name: &name,
                topic_id: self.topic_id,
                options: Arc::clone(held.log.options()),
                recovery_point: end_offset,
                log_start_offset,
                clean_shutdown: true,
                may_have_gaps: false,
                now,
            };
            let (log, _) = Log::open(target, &open).inspect_err(|_| {
                // Whole, but not to be had before the next start.
                self.step(held, Event::Fence { code: ErrorCode::KafkaStorageError });
            })?;
            assert_eq!(log.log_end_offset(), end_offset, "the copy is whole");
            self.reader.store(log.reader());
            self.directory.store(Arc::clone(target));
            held.log = log;
            self.step(held, Event::Flushed { durable_end: durable_end(&held.log) });
            Ok(aside)
        });
        self.finish(held);
        drop(is_retired);
        self.run_completions();
        replaced.unwrap_or(Err(MoveError::OutOfService))
    }
}

fn durable_end(log: &Log) -> Offset {
    log.durable_end().offset()
}

/// Gives the copy the log's name, and the log another one. Fails with everything as it was, or, when the log's own disk fails,
/// with that directory offline.
fn swap(old: &Log, from: &LogDir, to: &LogDir, name: &str, names: &MoveNames) -> Result<PathBuf, LogError> {
    let (future, place) = (to.path().join(&names.future), to.path().join(name));
    to.rename(&future, &place)?;
    old.leave_place();
    let (log, aside) = (from.path().join(name), from.path().join(&names.aside));
    if let Err(error) = from.rename(&log, &aside) {
        // Two logs of one name, of which one counts: the next start would set one aside.
        let _ = to.rename(&place, &future);
        from.poison(Path::new(name), &std::io::Error::other(error.to_string()));
        return Err(error);
    }
    Ok(aside)
}
