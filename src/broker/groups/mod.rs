//! The group coordinators of this broker: one machine for each partition of `__consumer_offsets` that it leads.
//!
//! A group belongs to the partition that its name hashes to. A request goes to that partition's [`Shard`], which holds the
//! machine and the replica; who asks gets a receiver for the reply. Shards are made when the broker starts, for partitions
//! that hold something, and at the first request otherwise; while a shard reads its log it answers
//! COORDINATOR_LOAD_IN_PROGRESS. A log that cannot be read is tried again, ever more rarely; until then the answer is
//! NOT_COORDINATOR.
//!
//! Locks: a shard's, then its replica's; never two shards.

mod loading;
mod shard;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::oneshot;

use super::Broker;
use super::replica::Replica;
use crate::config::Settings;
use crate::coordinator::group::{Coordinator, Options, Outcome, Reply};
use crate::io::clock::Clock;
use crate::metadata::{Image, Topic};
use crate::model::{ErrorCode, Now, PartitionIndex};
use shard::Shard;
use timers::Timers;

/// Kafka's `Topic.GROUP_METADATA_TOPIC_NAME`.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Whom a reply is for. Dropped without a reply when its shard breaks.
pub type Token = oneshot::Sender<Reply>;

/// See the head of this room.
pub struct GroupCoordinators {
    options: Options,
    /// `offsets.topic.num.partitions`, until the topic says otherwise.
    default_partition_count: usize,
    load_buffer_bytes: usize,
    shards: RwLock<BTreeMap<PartitionIndex, Arc<Shard>>>,
    timers: Arc<Timers>,
}

impl GroupCoordinators {
    /// Coordinators without shards, and the service of their timers.
    pub fn start(settings: &Settings, clock: Arc<dyn Clock>) -> std::io::Result<Arc<GroupCoordinators>> {
        let groups = Arc::new(GroupCoordinators {
            options: options(settings),
            default_partition_count: settings.get_usize("offsets.topic.num.partitions"),
            load_buffer_bytes: settings.get_usize("offsets.load.buffer.size"),
            shards: RwLock::default(),
            timers: Arc::new(Timers::new(clock)),
        });
        groups.timers.start(Arc::downgrade(&groups))?;
        Ok(groups)
    }

    /// The partition of `__consumer_offsets` that a group belongs to (`GroupCoordinatorService.partitionFor`).
    pub fn partition_for(&self, image: &Image, group_id: &str) -> PartitionIndex {
        let count = image.topic(OFFSETS_TOPIC).map_or(self.default_partition_count, |topic| topic.partitions.len());
        partition_of(group_id, count)
    }

    /// Gives an event of a group to its machine. Errors: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS,
    /// COORDINATOR_NOT_AVAILABLE.
    pub fn call(
        &self,
        broker: &Broker,
        now: Now,
        group_id: &str,
        event: impl FnOnce(&mut Coordinator<Token>, Token) -> Outcome<Token>,
    ) -> Result<oneshot::Receiver<Reply>, ErrorCode> {
        self.call_partition(broker, now, self.partition_for(&broker.image(), group_id), event)
    }

    /// As [`GroupCoordinators::call`], for events that name several groups of one partition.
    pub fn call_partition(
        &self,
        broker: &Broker,
        now: Now,
        partition: PartitionIndex,
        event: impl FnOnce(&mut Coordinator<Token>, Token) -> Outcome<Token>,
    ) -> Result<oneshot::Receiver<Reply>, ErrorCode> {
        let (token, receiver) = oneshot::channel();
        self.shard(broker, now, partition)?.run(now, |machine| event(machine, token))?;
        Ok(receiver)
    }

    /// Asks a group's machine for what is committed. Errors as [`GroupCoordinators::call`].
    pub fn read<R>(
        &self,
        broker: &Broker,
        now: Now,
        group_id: &str,
        question: impl FnOnce(&Coordinator<Token>) -> R,
    ) -> Result<R, ErrorCode> {
        let partition = self.partition_for(&broker.image(), group_id);
        self.shard(broker, now, partition)?.read(question)
    }

    /// Shows every machine of this broker that is loaded.
    pub fn for_each(&self, mut look: impl FnMut(&Coordinator<Token>)) {
        for shard in self.shards() {
            let _ = shard.read(&mut look);
        }
    }

    /// Asks every machine of this broker. Error: COORDINATOR_LOAD_IN_PROGRESS when one of them is still being loaded.
    pub fn read_all<R>(&self, mut question: impl FnMut(&Coordinator<Token>) -> R) -> Result<Vec<R>, ErrorCode> {
        let mut answers = Vec::new();
        for shard in self.shards() {
            match shard.read(&mut question) {
                Ok(answer) => answers.push(answer),
                Err(ErrorCode::NotCoordinator) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    /// Loads the shards of a broker that starts, in the background. Those of empty partitions wait for a first request.
    pub fn load_all(&self, broker: &Broker) {
        let image = broker.image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else { return };
        let mut loads = Vec::new();
        for index in (0..).map(PartitionIndex).take(topic.partitions.len()) {
            let Some(replica) = broker.replicas().get_by_id(topic.id, index) else { continue };
            let published = replica.published();
            if replica.check_serving(published.leader_epoch).is_ok() && published.log_start < published.log_end {
                let shard = self.new_shard(&replica, 0);
                self.shards.write().insert(index, Arc::clone(&shard));
                loads.push(shard);
            }
        }
        loading::load_in_background(loads, Arc::clone(broker.clock()), self.load_buffer_bytes);
    }

    /// Topics were deleted: the offsets of their consumers go. If one of them is `__consumer_offsets`, everything goes.
    pub fn on_topics_deleted(&self, now: Now, topics: &[Arc<Topic>]) {
        if topics.is_empty() {
            return;
        }
        for shard in self.shards() {
            if topics.iter().any(|topic| topic.id == shard.replica().topic_id()) {
                shard.unload();
                continue;
            }
            shard.topics_deleted(now, topics.iter().map(|topic| (topic.name.to_string(), topic.id)));
        }
    }

    /// A partition got another leader, or this broker leads it at another epoch: its shard ends, and what this broker leads from
    /// now on is read in the background. Does nothing for other topics' partitions.
    pub fn on_moved(&self, broker: &Broker, replica: &Arc<Replica>) {
        if &*replica.topic_partition().topic != OFFSETS_TOPIC {
            return;
        }
        let (index, published) = (replica.topic_partition().partition, replica.published());
        let mut shards = self.shards.write();
        if shards.get(&index).is_some_and(|shard| shard.is_current(broker.now())) {
            return;
        }
        let leads = replica.check_serving(published.leader_epoch).is_ok();
        let is_filled = published.log_start < published.log_end;
        let loading = (leads && is_filled).then(|| self.new_shard(replica, 0));
        let ended = match &loading {
            Some(shard) => shards.insert(index, Arc::clone(shard)),
            None => shards.remove(&index),
        };
        drop(shards);
        if let Some(ended) = ended {
            ended.unload();
        }
        loading::load_in_background(loading.into_iter().collect(), Arc::clone(broker.clock()), self.load_buffer_bytes);
    }

    /// Ends the timers; everyone who waits is told to look for another coordinator.
    pub async fn close(&self) {
        self.timers.close().await;
        for shard in self.shards() {
            shard.unload();
        }
    }

    pub(self) fn shards(&self) -> Vec<Arc<Shard>> {
        self.shards.read().values().cloned().collect()
    }

    fn shard(&self, broker: &Broker, now: Now, partition: PartitionIndex) -> Result<Arc<Shard>, ErrorCode> {
        if let Some(shard) = self.shards.read().get(&partition).filter(|shard| shard.is_current(now)) {
            return Ok(Arc::clone(shard));
        }
        // Kafka's runtime knows no coordinator for a partition that is not led here, or does not exist.
        let replica = broker.replica(OFFSETS_TOPIC, partition).map_err(|_| ErrorCode::NotCoordinator)?;
        replica.check_serving(replica.published().leader_epoch).map_err(|_| ErrorCode::NotCoordinator)?;
        let mut shards = self.shards.write();
        if let Some(shard) = shards.get(&partition).filter(|shard| shard.is_current(now)) {
            return Ok(Arc::clone(shard));
        }
        let failed_loads = shards.get(&partition).map_or(0, |failed| failed.failed_loads());
        let shard = self.new_shard(&replica, failed_loads);
        let replaced = shards.insert(partition, Arc::clone(&shard));
        drop(shards);
        if let Some(replaced) = replaced {
            replaced.unload();
        }
        let published = replica.published();
        if published.log_start == published.log_end {
            shard.load(now, self.load_buffer_bytes);
        } else {
            loading::load_in_background(vec![Arc::clone(&shard)], Arc::clone(broker.clock()), self.load_buffer_bytes);
        }
        Ok(shard)
    }

    fn new_shard(&self, replica: &Arc<Replica>, failed_loads: u32) -> Arc<Shard> {
        Shard::new(Arc::clone(replica), self.options.clone(), Arc::clone(&self.timers), failed_loads)
    }
}

fn options(settings: &Settings) -> Options {
    let defaults = Options::default();
    Options {
        initial_rebalance_delay_ms: settings.get_u64("group.initial.rebalance.delay.ms"),
        session_timeout_ms: settings.get_i32("group.min.session.timeout.ms")
            ..=settings.get_i32("group.max.session.timeout.ms"),
        group_max_size: settings.get_usize("group.max.size"),
        offset_metadata_max_bytes: settings.get_usize("offset.metadata.max.bytes"),
        offsets_retention_ms: settings.get_i64("offsets.retention.minutes").saturating_mul(60_000),
        offsets_retention_check_interval_ms: settings.get_u64("offsets.retention.check.interval.ms"),
        commit_timeout_ms: settings.get_u64("offsets.commit.timeout.ms"),
        ..defaults
    }
}

/// `Utils.abs(groupId.hashCode()) % count`, with Java's hash of UTF-16 units.
fn partition_of(group_id: &str, count: usize) -> PartitionIndex {
    let unit = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    let hash = group_id.encode_utf16().fold(0, unit);
    let count = i32::try_from(count).unwrap_or(i32::MAX).max(1);
    PartitionIndex(hash.checked_abs().unwrap_or(0) % count)
}

#[cfg(test)]
mod tests;
