//! Opening logs.

use std::sync::Arc;

use super::Broker;
use super::replica::{Replica, ReplicaParts, ReplicaSettings};
use super::topic_settings;
use crate::log::{Log, LogDir, LogError, OpenLog, Recovered};
use crate::metadata::{Image, Partition, Topic};
use crate::model::{ErrorCode, Offset, PartitionIndex, TopicId, TopicPartition};

/// What the checkpoints and the directory say about a log that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub recovery_point: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub cleaned_to: Offset,
    pub was_clean: bool,
}

impl Found {
    /// Nothing: the log is new.
    pub(super) const NEW: Found = Found {
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        high_watermark: Offset::ZERO,
        cleaned_to: Offset::ZERO,
        was_clean: false,
    };
}

/// A log that is there and could not be opened. Its records were acknowledged, so that nothing may be made in its place, and
/// what the checkpoints say of it must not be lost.
#[derive(Clone, Debug)]
pub(super) struct Offline {
    pub topic_id: TopicId,
    pub topic_partition: TopicPartition,
    pub directory: Arc<LogDir>,
    pub found: Found,
}

impl Broker {
    /// Opens the log of a partition that belongs here, unless it is open. Errors as of [`Broker::replica`].
    pub(super) fn open_replica(&self, id: TopicId, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        let name = self.image().topic_by_id(id).map(|topic| Arc::clone(&topic.name));
        let topic = name.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        // Before the lock is taken: this may wait for a flush, and changes of the image wait for the lock.
        self.move_leaving(Some(&TopicPartition { topic, partition }));
        let _opening = self.opening.lock();
        // Only the image of now counts: the caller's may be from before the topic was deleted.
        let image = self.image();
        let topic = image.topic_by_id(id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if let Some(replica) = self.replicas.get_by_id(id, partition) {
            return Ok(replica);
        }
        let is_offline = |log: &Offline| log.topic_id == id && log.topic_partition.partition == partition;
        if self.offline.lock().iter().any(is_offline) {
            return Err(ErrorCode::KafkaStorageError);
        }
        let state = topic.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let directory =
            self.directory_for_new_log(&topic.name, partition, state).ok_or(ErrorCode::KafkaStorageError)?;
        self.open_log(&image, topic, partition, &directory, Found::NEW).map_err(|error| {
            tracing::error!(topic = %topic.name, %partition, %error, "log cannot be opened");
            error.code()
        })
    }

    /// Opens a log in a directory, and leads or follows as the image says. The caller holds `opening`, or is the only thread.
    pub(super) fn open_log(
        &self,
        image: &Image,
        topic: &Topic,
        partition: PartitionIndex,
        directory: &Arc<LogDir>,
        found: Found,
    ) -> Result<Arc<Replica>, LogError> {
        let topic_partition = TopicPartition { topic: Arc::clone(&topic.name), partition };
        let settings = self.settings_of(image, topic);
        let open = OpenLog {
            name: &topic_partition.to_string(),
            topic_id: topic.id,
            options: Arc::clone(&settings.log),
            recovery_point: found.recovery_point,
            log_start_offset: found.log_start,
            clean_shutdown: found.was_clean,
            may_have_gaps: false,
            now: self.now(),
        };
        let (mut log, recovered) = Log::open(directory, &open)?;
        log.set_cleaned_to(found.cleaned_to);
        report(&topic_partition, found.was_clean, recovered);
        let parts = ReplicaParts {
            broker_id: self.node_id,
            topic_partition,
            topic_id: topic.id,
            directory: Arc::clone(directory),
            settings,
            flusher: Arc::clone(&self.flusher),
            proposals: Arc::clone(&self.proposals),
            metrics: Arc::clone(&self.metrics),
            high_watermark: found.high_watermark,
        };
        let opened = Replica::new(parts, log);
        let admitted = self.replicas.admit(topic);
        let place = admitted.place(partition).expect("the image has the partition");
        let replica = Arc::clone(place.get_or_init(|| opened));
        if let Some(state) = topic.partition(partition) {
            self.take_role(&replica, state);
        }
        self.tell_directory(&replica);
        Ok(replica)
    }

    /// A topic's settings, which its replicas share. What another one of them has is as new as what this broker has acted upon:
    /// what changes later reaches them all.
    fn settings_of(&self, image: &Image, topic: &Topic) -> Arc<ReplicaSettings> {
        let known = self.replicas.topic_by_id(topic.id).and_then(|replicas| Some(replicas.any()?.settings()));
        known.unwrap_or_else(|| Arc::new(topic_settings::resolve(&self.settings, image, self.node_id, &topic.name)))
    }

    /// The directory with the fewest logs, of those that still work and are not cordoned. When all are cordoned none is: the
    /// partition is here already, as far as the cluster is concerned (`LogManager.nextLogDirs`).
    ///
    /// A partition that was told to lie in a directory is made there again, and nowhere else while one does not work: it may be
    /// that one.
    fn directory_for_new_log(&self, topic: &Arc<str>, index: PartitionIndex, state: &Partition) -> Option<Arc<LogDir>> {
        let partition = TopicPartition { topic: Arc::clone(topic), partition: index };
        if let Some(preferred) = self.moves.take_preferred(&partition).filter(|preferred| !preferred.is_poisoned()) {
            return Some(preferred);
        }
        if let Some(told) = state.directory_of(self.node_id) {
            let is_told = |directory: &&Arc<LogDir>| directory.id() == Some(told) && !directory.is_poisoned();
            if let Some(directory) = self.directories.iter().find(is_told) {
                return Some(Arc::clone(directory));
            }
            if self.directories.iter().any(|directory| directory.is_poisoned()) {
                return None;
            }
        }
        let mut working: Vec<_> = self.directories.iter().filter(|directory| !directory.is_poisoned()).collect();
        let image = self.image();
        if working.iter().any(|directory| !self.is_cordoned(&image, directory)) {
            working.retain(|directory| !self.is_cordoned(&image, directory));
        }
        if let [only] = working[..] {
            return Some(Arc::clone(only));
        }
        let replicas = self.replicas.all();
        let logs_in = |directory: &&&Arc<LogDir>| replicas.iter().filter(|replica| replica.lies_in(directory)).count();
        working.iter().min_by_key(logs_in).map(|directory| Arc::clone(directory))
    }
}

/// Bytes that were cut are told, and anything to do after a clean stop. After a kill the last index entries were still in
/// memory, so that almost every log has an index to rebuild: a thousand lines of that would hide the one that matters.
fn report(partition: &TopicPartition, was_clean: bool, recovered: Recovered) {
    let Recovered { scanned_bytes, truncated_bytes, indexes_rebuilt, .. } = recovered;
    if truncated_bytes > 0 || (was_clean && indexes_rebuilt > 0) {
        tracing::warn!(%partition, was_clean, scanned_bytes, truncated_bytes, indexes_rebuilt, "log was recovered");
    } else if scanned_bytes > 0 || indexes_rebuilt > 0 {
        tracing::debug!(%partition, scanned_bytes, indexes_rebuilt, "log was recovered whole");
    }
}
