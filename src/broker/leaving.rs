//! Logs of deleted topics: out of service at once, their directories out of the way a little later, their files later still.
//!
//! Moving a directory waits for a flush that is running there, so it is not done where changes of the image are heard: nothing
//! else would be committed meanwhile. The housekeeper does it, or whoever opens a log of the same name before.
//!
//! Invariant: no log is opened under a name while one of that name has yet to leave.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Broker;
use super::directories::out_of_use_name;
use super::replica::Replica;
use super::topic_settings;
use crate::log::LogDir;
use crate::model::{ErrorCode, TopicId, TopicPartition};

/// Logs that are out of service and still have their topic's name.
#[derive(Default)]
pub(super) struct LeavingLogs {
    logs: Mutex<Vec<Arc<LeavingLog>>>,
    /// Held while some are moved, so that who needs a name waits for the one who is about to free it.
    moving: Mutex<()>,
}

struct LeavingLog {
    topic_partition: TopicPartition,
    directory: Arc<LogDir>,
    /// `None` when it could not be opened.
    replica: Option<Arc<Replica>>,
    delete_delay_ms: u64,
}

impl Broker {
    /// Takes a deleted topic's logs out of service. Blocks for nothing; the caller holds `opening`.
    pub(super) fn retire_topic(&self, id: TopicId) {
        let mut leaving = Vec::new();
        for replica in self.replicas.remove(id) {
            self.fetchers.release(&replica);
            leaving.push(retire(replica, ErrorCode::UnknownTopicOrPartition));
        }
        if let Some(log) = leaving.first() {
            self.metrics.topics.forget(&log.topic_partition.topic);
        }
        for log in self.offline.lock().extract_if(.., |log| log.topic_id == id) {
            let topic = &log.topic_partition.topic;
            let settings = topic_settings::resolve(&self.settings, &self.image(), self.node_id, topic);
            leaving.push(LeavingLog {
                topic_partition: log.topic_partition,
                directory: log.directory,
                delete_delay_ms: settings.log.file_delete_delay_ms,
                replica: None,
            });
        }
        self.leaving.logs.lock().extend(leaving.into_iter().map(Arc::new));
        self.housekeeper.wake().notify_one();
    }

    /// As [`Broker::retire_topic`], for one partition that has moved to other brokers.
    pub(super) fn retire_replica(&self, replica: &Arc<Replica>) {
        let leaving = retire(Arc::clone(replica), ErrorCode::NotLeaderOrFollower);
        self.leaving.logs.lock().push(Arc::new(leaving));
        self.housekeeper.wake().notify_one();
    }

    /// Moves the directories of logs that leave out of the way: of this name, or of all. Blocks for the disk; the caller holds
    /// no lock.
    pub(super) fn move_leaving(&self, name: Option<&TopicPartition>) {
        let is_meant = |log: &Arc<LeavingLog>| name.is_none_or(|name| *name == log.topic_partition);
        if !self.leaving.logs.lock().iter().any(is_meant) {
            return;
        }
        let _moving = self.leaving.moving.lock();
        let meant: Vec<_> = self.leaving.logs.lock().iter().filter(|log| is_meant(log)).cloned().collect();
        // A topic created anew under the name must not find the recovery point of this one.
        self.write_checkpoints();
        for log in &meant {
            self.move_away(log);
        }
        self.leaving.logs.lock().retain(|log| !meant.iter().any(|moved| Arc::ptr_eq(moved, log)));
    }

    fn move_away(&self, log: &LeavingLog) {
        let LeavingLog { topic_partition, directory, replica, delete_delay_ms } = log;
        if let Some(replica) = replica {
            replica.retire(ErrorCode::UnknownTopicOrPartition);
        }
        let from = directory.path().join(topic_partition.to_string());
        let to = directory.path().join(out_of_use_name(topic_partition, "delete"));
        if let Err(error) = self.disk.rename(&from, &to) {
            tracing::error!(partition = %topic_partition, %error, "deleted log cannot be moved out of the way");
            return;
        }
        let due_ms = self.now().monotonic_ms.saturating_add(*delete_delay_ms);
        self.removals.lock().push((due_ms, to));
    }
}

fn retire(replica: Arc<Replica>, code: ErrorCode) -> LeavingLog {
    replica.fence(code);
    LeavingLog {
        topic_partition: replica.topic_partition().clone(),
        directory: replica.directory(),
        delete_delay_ms: replica.settings().log.file_delete_delay_ms,
        replica: Some(replica),
    }
}
