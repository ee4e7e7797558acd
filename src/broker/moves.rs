//! Logs on their way from one directory of this broker to another (AlterReplicaLogDirs, KIP-113).
//!
//! A move copies the log into `<topic>-<partition>.<id>-future` of the other directory, a piece at a time, and puts the copy in the
//! log's place when it has caught up ([`Replica::replace_log`]). Until then the log is used as before, and DescribeLogDirs shows the
//! copy as a future log with its lag. A copy that a stop or a crash left is made anew by the next start: whatever has the
//! partition's name is whole. Source: `ReplicaManager.alterReplicaLogDirs`, `ReplicaAlterLogDirsThread`, `Partition`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Broker;
use super::directories::out_of_use_name;
use super::directory_report::LogReport;
use super::replica::{COPY_BYTES, MoveError, MoveNames, Replica};
use crate::io::threads::{self, Service};
use crate::log::{Log, LogDir, LogError, OpenLog};
use crate::model::{ErrorCode, LeaderEpoch, Now, Offset, PartitionIndex, TopicId, TopicPartition};

/// The pause when no copy could go on: all are held back by their throttle.
const REST: Duration = Duration::from_millis(50);
/// The longest name that a directory can have.
const NAME_MAX_BYTES: usize = 255;
/// What a future log's name adds to the partition's: a dot, an id, a suffix.
const FUTURE_TAIL_BYTES: usize = 1 + 32 + FUTURE_SUFFIX.len();
/// Ends the name of a copy's directory.
pub(super) const FUTURE_SUFFIX: &str = "-future";

/// The moves under way, and the service that carries them out.
#[derive(Default)]
pub(super) struct Moves {
    active: Mutex<BTreeMap<(TopicId, PartitionIndex), Arc<Move>>>,
    /// Where partitions are to be made that are not here yet.
    preferred: Mutex<HashMap<TopicPartition, Arc<LogDir>>>,
    /// How many are under way.
    count: watch::Sender<usize>,
    wake: Notify,
    is_closing: AtomicBool,
    service: Mutex<Option<Service>>,
}

/// One log on its way.
struct Move {
    replica: Arc<Replica>,
    target: Arc<LogDir>,
    /// The copy's directory.
    name: String,
    copy: Mutex<Copy>,
}

struct Copy {
    /// `None` when it has taken the log's place, or has been given up.
    log: Option<Log>,
    /// What the replica's count of cuts was when the copy was begun.
    cuts_seen: u64,
}

/// What came of one piece of work on a move.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Copied,
    Waits,
    Done,
}

impl Moves {
    /// Carries moves out from now on, until [`Moves::close`] or the broker's end.
    pub fn start(self: &Arc<Moves>, broker: Weak<Broker>) -> std::io::Result<()> {
        let moves = Arc::clone(self);
        let run = async move {
            while moves.wait().await {
                let Some(broker) = broker.upgrade() else { return };
                let all: Vec<_> = moves.active.lock().values().cloned().collect();
                let steps: Vec<Step> = all.iter().map(|moving| broker.advance(moving)).collect();
                let pause = if steps.contains(&Step::Copied) { Duration::ZERO } else { REST };
                drop(broker);
                tokio::time::sleep(pause).await;
            }
        };
        *self.service.lock() = Some(threads::service("move-logs", || run)?);
        Ok(())
    }

    /// Ends the service and waits for it. Copies stay as they are, for the next start to begin anew.
    pub async fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.wake.notify_one();
        let service = self.service.lock().take();
        if let Some(service) = service {
            service.ended().await;
        }
    }

    /// Where a partition was asked to be made, if it was; counts once.
    pub fn take_preferred(&self, partition: &TopicPartition) -> Option<Arc<LogDir>> {
        self.preferred.lock().remove(partition)
    }

    /// The copies in a directory.
    pub fn reports(&self, directory: &Arc<LogDir>) -> Vec<LogReport> {
        let active: Vec<_> = self.active.lock().values().cloned().collect();
        let here = active.iter().filter(|moving| Arc::ptr_eq(&moving.target, directory));
        here.filter_map(|moving| moving.report()).collect()
    }

    /// Waits until there is something to do; false when it closes.
    async fn wait(&self) -> bool {
        while !self.is_closing.load(Ordering::Acquire) {
            if !self.active.lock().is_empty() {
                return true;
            }
            self.wake.notified().await;
        }
        false
    }

    fn forget(&self, moving: &Arc<Move>) {
        let mut active = self.active.lock();
        if active.get(&moving.key()).is_some_and(|other| Arc::ptr_eq(other, moving)) {
            active.remove(&moving.key());
            let _ = self.count.send_replace(active.len());
        }
    }

    fn insert(&self, moving: Arc<Move>) {
        let mut active = self.active.lock();
        active.insert(moving.key(), moving);
        let _ = self.count.send_replace(active.len());
        self.wake.notify_one();
    }

    /// Returns when nothing is under way.
    #[cfg(test)]
    pub async fn idle(&self) {
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Move {
    fn key(&self) -> (TopicId, PartitionIndex) {
        (self.replica.topic_id(), self.replica.topic_partition().partition)
    }

    fn report(&self) -> Option<LogReport> {
        let copy = self.copy.lock();
        let log = copy.log.as_ref()?;
        Some(LogReport {
            topic_partition: self.replica.topic_partition().clone(),
            size_bytes: log.size_bytes(),
            offset_lag: self.replica.published().log_end.0 - log.log_end_offset().0,
            is_future: true,
        })
    }
}

impl Broker {
    /// Has the log of a partition moved to the directory of this path; to the one that it is in, ends a move. Returns when the
    /// copy has begun. Blocks for the disk.
    ///
    /// Errors: INVALID_TOPIC_EXCEPTION for a name that is too long, LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR,
    /// INVALID_REPLICA_ASSIGNMENT for a directory that is cordoned, UNKNOWN_TOPIC_OR_PARTITION, and REPLICA_NOT_AVAILABLE where the replica is elsewhere: if it comes, it is made in that
    /// directory.
    pub fn alter_replica_log_dir(self: &Arc<Broker>, partition: &TopicPartition, path: &str) -> Result<(), ErrorCode> {
        if partition.to_string().len() + FUTURE_TAIL_BYTES > NAME_MAX_BYTES {
            return Err(ErrorCode::InvalidTopicException);
        }
        let is_named = |directory: &&Arc<LogDir>| {
            std::path::absolute(directory.path()).is_ok_and(|absolute| absolute == Path::new(path))
        };
        let target = self.directories.iter().find(is_named).ok_or(ErrorCode::LogDirNotFound)?;
        if target.is_poisoned() {
            return Err(ErrorCode::KafkaStorageError);
        }
        if self.is_cordoned(&self.image(), target) {
            return Err(ErrorCode::InvalidReplicaAssignment);
        }
        let replica = match self.replica(&partition.topic, partition.partition) {
            Ok(replica) => replica,
            Err(ErrorCode::NotLeaderOrFollower) => {
                self.moves.preferred.lock().insert(partition.clone(), Arc::clone(target));
                return Err(ErrorCode::ReplicaNotAvailable);
            }
            Err(code) => return Err(code),
        };
        if replica.check_readable(LeaderEpoch(-1)) == Err(ErrorCode::KafkaStorageError) {
            return Err(ErrorCode::KafkaStorageError);
        }
        self.begin_move(&replica, target)
    }

    /// Moves a replica's log, unless it is there or on its way there. Blocks for the disk.
    pub(super) fn begin_move(&self, replica: &Arc<Replica>, target: &Arc<LogDir>) -> Result<(), ErrorCode> {
        let key = (replica.topic_id(), replica.topic_partition().partition);
        let under_way = self.moves.active.lock().get(&key).cloned();
        if let Some(moving) = under_way {
            if Arc::ptr_eq(&moving.target, target) && Arc::ptr_eq(&moving.replica, replica) {
                return Ok(());
            }
            self.give_up_move(&moving);
        }
        if replica.lies_in(target) {
            return Ok(());
        }
        let name = out_of_use_name(replica.topic_partition(), &FUTURE_SUFFIX[1..]);
        let cuts_seen = replica.cut_count();
        let opened = self.open_copy(replica, target, &name).map_err(|error| {
            tracing::error!(partition = %replica.topic_partition(), %error, "a log cannot be moved");
            error.code()
        })?;
        let copy = Mutex::new(Copy { log: Some(opened), cuts_seen });
        let moving = Arc::new(Move { replica: Arc::clone(replica), target: Arc::clone(target), name, copy });
        let to = target.path().display();
        tracing::info!(partition = %replica.topic_partition(), %to, "moving a log to another directory");
        self.moves.insert(moving);
        Ok(())
    }

    fn open_copy(&self, replica: &Replica, target: &Arc<LogDir>, name: &str) -> Result<Log, LogError> {
        let open = OpenLog {
            name,
            topic_id: replica.topic_id(),
            options: Arc::clone(&replica.settings().log),
            recovery_point: Offset::ZERO,
            log_start_offset: Offset::ZERO,
            clean_shutdown: false,
            may_have_gaps: false,
            now: self.now(),
        };
        Ok(Log::open(target, &open)?.0)
    }

    /// One piece of a move.
    fn advance(&self, moving: &Arc<Move>) -> Step {
        let (id, partition) = moving.key();
        let is_here = self.replicas.get_by_id(id, partition).is_some_and(|here| Arc::ptr_eq(&here, &moving.replica));
        if !is_here || moving.target.is_poisoned() || moving.replica.check_readable(LeaderEpoch(-1)).is_err() {
            self.give_up_move(moving);
            return Step::Done;
        }
        let now = self.now();
        if self.throttles.directories.is_exceeded(now) {
            return Step::Waits;
        }
        match self.copy_some(moving, now) {
            Ok(step) => step,
            Err(MoveError::OutOfService) => Step::Waits,
            Err(error) => {
                tracing::error!(partition = %moving.replica.topic_partition(), %error, "a log cannot be moved");
                self.give_up_move(moving);
                Step::Done
            }
        }
    }

    fn copy_some(&self, moving: &Arc<Move>, now: Now) -> Result<Step, MoveError> {
        let mut copy = moving.copy.lock();
        let cuts = moving.replica.cut_count();
        let begins_anew = copy.cuts_seen != cuts;
        copy.cuts_seen = cuts;
        let Some(log) = &mut copy.log else { return Ok(Step::Done) };
        let source = moving.replica.reader();
        if begins_anew {
            // What was cut may be in the copy.
            log.truncate_fully_and_start_at(source.log_start_offset(), now)?;
        }
        let copied_bytes = log.copy_from(now, &source, COPY_BYTES)?;
        self.throttles.directories.charge(now, copied_bytes);
        let outcome = log.flush_ticket().run();
        log.flushed(outcome)?;
        if log.log_end_offset() < source.log_end_offset() {
            return Ok(Step::Copied);
        }
        self.finish_move(moving, &mut copy, now)
    }

    /// Puts the copy in the log's place. Who gives the move up meanwhile waits for that: a directory whose files vanish while they
    /// are written to would count as failed.
    fn finish_move(&self, moving: &Arc<Move>, copy: &mut Copy, now: Now) -> Result<Step, MoveError> {
        let Some(log) = copy.log.take() else { return Ok(Step::Done) };
        let replica = &moving.replica;
        let partition = replica.topic_partition();
        let names = MoveNames { future: moving.name.clone(), aside: out_of_use_name(partition, "delete") };
        let aside = match replica.replace_log(now, log, copy.cuts_seen, &moving.target, &names) {
            Err(MoveError::OutOfService) => {
                // It was cut meanwhile, or has stopped: the next look says which.
                let reopened = self.open_copy(replica, &moving.target, &moving.name)?;
                *copy = Copy { log: Some(reopened), cuts_seen: u64::MAX };
                return Ok(Step::Waits);
            }
            replaced => replaced?,
        };
        self.moves.forget(moving);
        let due_ms = now.monotonic_ms.saturating_add(replica.settings().log.file_delete_delay_ms);
        self.removals.lock().push((due_ms, aside));
        // The old directory's must not speak for a log that comes back there.
        self.write_checkpoints();
        self.tell_directory(replica);
        tracing::info!(%partition, to = %moving.target.path().display(), "a log has moved");
        Ok(Step::Done)
    }

    /// Ends a move: the log stays where it is.
    fn give_up_move(&self, moving: &Arc<Move>) {
        self.moves.forget(moving);
        moving.copy.lock().log = None;
        self.remove_copy(&moving.target, &moving.name);
    }

    fn remove_copy(&self, directory: &LogDir, name: &str) {
        let path = directory.path().join(name);
        if self.disk.exists(&path)
            && let Err(error) = self.disk.remove_dir_all(&path)
        {
            tracing::error!(path = %path.display(), %error, "the copy of a log cannot be removed");
        }
    }

    /// Begins moves anew that the last stop has interrupted. Called when all logs are open.
    pub(super) fn resume_moves(&self, interrupted: Vec<(Arc<LogDir>, String)>) {
        for (directory, name) in interrupted {
            self.remove_copy(&directory, &name);
            let Some(partition) = partition_of(&name) else { continue };
            if let Some(replica) = self.replicas.get(&partition.topic, partition.partition) {
                // What fails is logged, and asked for again by whoever misses it.
                let _ = self.begin_move(&replica, &directory);
            }
        }
    }
}

/// The partition that a copy's directory is named after.
fn partition_of(name: &str) -> Option<TopicPartition> {
    let (partition, _) = name.strip_suffix(FUTURE_SUFFIX)?.rsplit_once('.')?;
    super::directories::parse_partition(partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_named_after_its_partition() {
        let partition = TopicPartition::new("a.b-c", PartitionIndex(12));
        let name = out_of_use_name(&partition, &FUTURE_SUFFIX[1..]);
        assert_eq!(partition_of(&name), Some(partition));
        assert_eq!(partition_of("a-0"), None);
        assert_eq!(partition_of("a-0.0123-delete"), None);
    }
}
