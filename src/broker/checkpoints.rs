//! The checkpoints: what is written down of the logs of one directory, so that a start need not look for it.
//!
//! Invariant: a file names no log that is not there under this name any more before another can be made under it, and no offset
//! that the log may lose. After a crash the new log would be held against what is said of the old one, and taken for damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Broker;
use super::opening::Found;
use super::replica::{Cut, FollowError, Replica};
use crate::log::{
    CLEANER_OFFSET_CHECKPOINT, HIGH_WATERMARK_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, LogDir, LogError,
    RECOVERY_POINT_CHECKPOINT,
};
use crate::model::{LeaderEpoch, Now, Offset, TopicPartition};

/// The offsets that one directory's checkpoints hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    recovery_points: BTreeMap<TopicPartition, Offset>,
    log_starts: BTreeMap<TopicPartition, Offset>,
    high_watermarks: BTreeMap<TopicPartition, Offset>,
    cleaned_to: BTreeMap<TopicPartition, Offset>,
}

impl Checkpoints {
    /// What a directory's files hold. They save work and hold no truth: where one cannot be read, more is scanned.
    pub fn read(directory: &LogDir) -> Checkpoints {
        let read = |name| {
            directory.read_offsets(name).unwrap_or_else(|error| {
                tracing::warn!(checkpoint = name, %error, "checkpoint is unreadable, recovering without it");
                BTreeMap::new()
            })
        };
        Checkpoints {
            recovery_points: read(RECOVERY_POINT_CHECKPOINT),
            log_starts: read(LOG_START_OFFSET_CHECKPOINT),
            high_watermarks: read(HIGH_WATERMARK_CHECKPOINT),
            cleaned_to: read(CLEANER_OFFSET_CHECKPOINT),
        }
    }

    /// What they say of one log; zeros where they say nothing.
    pub(super) fn found(&self, partition: &TopicPartition, was_clean: bool) -> Found {
        let of = |offsets: &BTreeMap<TopicPartition, Offset>| offsets.get(partition).copied().unwrap_or(Offset::ZERO);
        Found {
            recovery_point: of(&self.recovery_points),
            log_start: of(&self.log_starts),
            high_watermark: of(&self.high_watermarks),
            cleaned_to: of(&self.cleaned_to),
            was_clean,
        }
    }

    fn note(&mut self, partition: &TopicPartition, log: &Found) {
        self.recovery_points.insert(partition.clone(), log.recovery_point);
        self.high_watermarks.insert(partition.clone(), log.high_watermark);
        if log.log_start > Offset::ZERO {
            self.log_starts.insert(partition.clone(), log.log_start);
        }
        if log.cleaned_to > Offset::ZERO {
            self.cleaned_to.insert(partition.clone(), log.cleaned_to);
        }
    }

    /// The same, with nothing said of one log past `end`.
    fn lowered(&self, partition: &TopicPartition, end: Offset) -> Checkpoints {
        let mut lowered = self.clone();
        for offsets in [&mut lowered.recovery_points, &mut lowered.high_watermarks, &mut lowered.cleaned_to] {
            if let Some(offset) = offsets.get_mut(partition) {
                *offset = end.min(*offset);
            }
        }
        lowered
    }

    /// Writes the files that do not hold this yet.
    fn write(self, directory: &LogDir, written: &mut Checkpoints) -> Result<(), LogError> {
        let files = [
            (RECOVERY_POINT_CHECKPOINT, &self.recovery_points, &written.recovery_points),
            (LOG_START_OFFSET_CHECKPOINT, &self.log_starts, &written.log_starts),
            (HIGH_WATERMARK_CHECKPOINT, &self.high_watermarks, &written.high_watermarks),
            (CLEANER_OFFSET_CHECKPOINT, &self.cleaned_to, &written.cleaned_to),
        ];
        for (name, offsets, before) in files {
            if offsets != before {
                directory.write_offsets(name, offsets)?;
            }
        }
        *written = self;
        Ok(())
    }
}

impl Broker {
    /// Notes what the files of each directory hold, once the logs are open that they speak of, and writes what is so no more:
    /// nothing after a clean stop, unless a log was set aside.
    pub(super) fn take_over_checkpoints(&self, found: impl Iterator<Item = Checkpoints>) {
        let mut written = self.checkpoints.lock();
        *written = found.collect();
        self.write_checkpoints_held(&mut written);
    }

    /// Writes the checkpoints that moved. They hold flushed offsets only.
    pub(super) fn write_checkpoints(&self) {
        self.write_checkpoints_held(&mut self.checkpoints.lock());
    }

    fn write_checkpoints_held(&self, all_written: &mut [Checkpoints]) {
        // Listed under the lock: an older list could bring back what a deleted topic's name has lost.
        let (replicas, now) = (self.replicas.all(), self.now());
        for (directory, written) in self.directories.iter().zip(all_written) {
            let mut current = Checkpoints::default();
            for replica in replicas.iter().filter(|replica| replica.lies_in(directory)) {
                current.note(replica.topic_partition(), &self.checkpoint(replica, now));
            }
            for log in self.offline.lock().iter().filter(|log| Arc::ptr_eq(&log.directory, directory)) {
                current.note(&log.topic_partition, &log.found);
            }
            if current == *written || directory.is_poisoned() {
                continue;
            }
            if let Err(error) = current.write(directory, written) {
                tracing::error!(%error, "checkpoints cannot be written");
            }
        }
    }

    /// What is to be written of a log. On the way its indexes are written, and what has waited long enough is flushed.
    fn checkpoint(&self, replica: &Arc<Replica>, now: Now) -> Found {
        let (log, must_flush) = replica.with_log(|log, published| {
            let must_flush = log.needs_flush() && replica.must_flush_by_now(log, now);
            log.write_indexes();
            let recovery_point = log.durable_end().offset();
            let log = Found {
                recovery_point,
                log_start: published.log_start,
                high_watermark: published.high_watermark.min(recovery_point),
                cleaned_to: log.cleaned_to(),
                was_clean: false,
            };
            (log, must_flush)
        });
        if must_flush {
            self.flusher.submit(replica);
        }
        log
    }

    /// Cuts a follower's log. The recovery point is lowered first, and not written anew meanwhile: after a crash it must not
    /// claim what is gone. Blocks.
    pub(super) fn cut_log(&self, replica: &Replica, leader_epoch: LeaderEpoch, cut: Cut) -> Result<(), FollowError> {
        let end = replica.end_after(cut)?;
        let mut all_written = self.checkpoints.lock();
        let mut places = self.directories.iter().zip(all_written.iter_mut());
        if let Some((directory, written)) = places.find(|(directory, _)| replica.lies_in(directory)) {
            let lowered = written.lowered(replica.topic_partition(), end);
            lowered.write(directory, written)?;
        }
        replica.cut(self.now(), leader_epoch, cut)
    }
}
