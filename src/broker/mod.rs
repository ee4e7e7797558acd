//! The shell: owns the partitions, carries out what their machines decide, and keeps the disk's promises.
//!
//! - [`Broker`] is one server's state; several fit in one process. What it knows of the cluster is the newest image.
//! - [`replica::Replica`] is one partition here: log and machine under one short mutex, offsets readable without it.
//! - A log is opened when the topic is created, in the background, or by the first request that needs it, whichever is first;
//!   so a new topic costs its creator one metadata record, and no files.
//! - [`flusher::Flusher`] is the group commit; [`housekeeping`] does what is due by the clock.
//! - [`cleaner`] compacts.
//! - `fetchers` follow other leaders, [`isr`] asks the controller for other in-sync sets, [`throttle`] holds both back on request.
//! - `assignments` tells the controller in which directory a log lies, as [`isr`] through an `outbox`; `moves` takes logs to another one.
//!
//! Locks, in this order: the moving of logs that leave, `opening` (which logs exist), a coordinator's, `checkpoints`, a replica's
//! `flushing`, a replica's; never two replicas. Changes of the image take `opening` too, so that a log is never opened for a topic
//! that was deleted meanwhile.

mod assignments;
mod changes;
mod checkpoints;
pub mod cleaner;
pub mod controller;
pub mod controller_channel;
pub mod cordoned;
pub mod delayed_produce;
pub mod delete_records;
pub mod directories;
pub mod directory_report;
mod elsewhere;
pub mod fetch_sessions;
mod fetchers;
pub mod flusher;
mod formation;
pub mod groups;
mod housekeeping;
pub mod import;
mod initial;
pub mod isr;
mod leaving;
mod lifecycle;
pub mod live;
mod moves;
mod offsets;
mod opening;
pub mod outbox;
pub mod producer_ids;
pub mod purgatory;
pub mod quotas;
pub mod replica;
pub mod replicas;
mod start;
pub mod throttle;
pub mod topic_settings;
pub mod waiter;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{ClusterConfig, Loggers, Settings};
use crate::io::clock::Clock;
use crate::io::disk::Disk;
use crate::log::{DeletedSegments, Descriptors, LogDir};
use crate::metadata::{Endpoint, Image, Partition, Topic};
use crate::metrics::BrokerMetrics;
use crate::model::{BrokerId, ErrorCode, Now, PartitionIndex, TopicId};
use crate::quorum::Quorum;
use checkpoints::Checkpoints;
use delayed_produce::DelayedProduces;
use fetch_sessions::FetchSessions;
use flusher::Flusher;
use groups::GroupCoordinators;
use housekeeping::Housekeeper;
use leaving::LeavingLogs;
use outbox::Outbox;
use producer_ids::ProducerIds;
use replica::Replica;
use replicas::Replicas;

use start::FEATURES;

pub use start::{Opened, StartError, StartOptions};

/// One broker: several fit in one process. See the head of this room.
pub struct Broker {
    settings: Arc<Settings>,
    /// What of them is looked up again and again.
    cluster: ClusterConfig,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    node_id: BrokerId,
    /// Its listeners, as they are advertised; a wildcard stays one here.
    endpoints: Vec<Endpoint>,
    /// The open files of all its logs.
    descriptors: Arc<Descriptors>,
    directories: Vec<Arc<LogDir>>,
    quorum: Quorum,
    lifecycle: lifecycle::Lifecycle,
    controller_channel: controller_channel::ControllerChannel,
    replicas: Arc<Replicas>,
    /// Held while a log is opened or put out of use, so that each is done once.
    opening: Mutex<()>,
    flusher: Arc<Flusher>,
    proposals: Arc<Outbox>,
    assignments: Arc<Outbox>,
    moves: Arc<moves::Moves>,
    fetchers: fetchers::Fetchers,
    throttles: Throttles,
    fetch_sessions: FetchSessions,
    fetch_max_bytes: usize,
    delayed_produces: DelayedProduces,
    producer_ids: ProducerIds,
    groups: Arc<GroupCoordinators>,
    metrics: Arc<BrokerMetrics>,
    housekeeper: Housekeeper,
    cleaner: Arc<cleaner::Cleaner>,
    controller: Arc<controller::Controller>,
    /// The levels of this process's log lines; without effect until [`Broker::set_loggers`].
    loggers: std::sync::OnceLock<Arc<Loggers>>,
    quotas: quotas::ClientQuotas,
    live: Mutex<Arc<live::LiveSettings>>,
    /// Logs of deleted topics that have yet to be moved out of the way.
    leaving: LeavingLogs,
    /// Directories out of use, and when they may be removed, by the monotonic clock.
    removals: Mutex<Vec<(u64, PathBuf)>>,
    /// As `removals`, for segments that retention took out of their logs.
    segment_removals: Mutex<Vec<(u64, DeletedSegments)>>,
    /// Logs that could not be opened at the start: offline until the next one, and never taken for new.
    offline: Mutex<Vec<opening::Offline>>,
    /// What the files of each directory hold.
    checkpoints: Mutex<Vec<Checkpoints>>,
}

/// What holds replication back while partitions are moved.
#[derive(Default)]
pub struct Throttles {
    /// What leaders here send to followers that are not in sync.
    pub leader: throttle::Throttle,
    /// What followers here take in while they are not in sync.
    pub follower: throttle::Throttle,
    /// What is copied between directories.
    pub directories: throttle::Throttle,
}

impl Broker {
    pub fn throttles(&self) -> &Throttles {
        &self.throttles
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// What this broker counts.
    pub fn metrics(&self) -> &Arc<BrokerMetrics> {
        &self.metrics
    }

    /// Its directories, those that are out of use too.
    pub fn directories(&self) -> &[Arc<LogDir>] {
        &self.directories
    }

    /// Logs here that could not be opened.
    pub fn offline_log_count(&self) -> usize {
        self.offline.lock().len()
    }

    /// The clock that this broker lives by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub fn node_id(&self) -> BrokerId {
        self.node_id
    }

    /// Where clients and other brokers reach this broker. A host may be a wildcard: every address of this machine.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The cluster as this broker knows it.
    pub fn image(&self) -> Arc<Image> {
        self.quorum.image()
    }

    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    pub fn fetch_sessions(&self) -> &FetchSessions {
        &self.fetch_sessions
    }

    /// `fetch.max.bytes`: no answer to a Fetch is larger, but for a first batch.
    pub fn fetch_max_bytes(&self) -> usize {
        self.fetch_max_bytes
    }

    pub fn delayed_produces(&self) -> &DelayedProduces {
        &self.delayed_produces
    }

    pub fn producer_ids(&self) -> &ProducerIds {
        &self.producer_ids
    }

    /// The loggers of the process. Without any, levels are kept and shown only: several brokers may share a process.
    pub fn loggers(&self) -> &Loggers {
        self.loggers.get_or_init(|| Arc::new(Loggers::new(self.settings.get_str("logging.level"), |_| {})))
    }

    /// Hands the process's loggers over. Without effect when somebody has looked at them already.
    pub fn set_loggers(&self, loggers: Arc<Loggers>) {
        let _ = self.loggers.set(loggers);
    }

    /// What this broker goes by now of the settings that change while it runs.
    pub fn live(&self) -> Arc<live::LiveSettings> {
        Arc::clone(&self.live.lock())
    }

    /// How much clients may use.
    pub fn quotas(&self) -> &quotas::ClientQuotas {
        &self.quotas
    }

    /// The group coordinators.
    pub fn groups(&self) -> &GroupCoordinators {
        &self.groups
    }

    /// Every replica that was opened.
    pub fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// The replica here, whether it leads or follows. Opens its log if nobody has yet. Errors: UNKNOWN_TOPIC_OR_PARTITION,
    /// NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
    pub fn replica(&self, topic: &str, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        if let Some(replica) = self.replicas.get(topic, partition) {
            return Ok(replica);
        }
        let image = self.image();
        let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.open_hosted(topic, partition)
    }

    /// As [`Broker::replica`], but a topic that is not there is UNKNOWN_TOPIC_ID.
    pub fn replica_by_id(&self, id: TopicId, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        if let Some(replica) = self.replicas.get_by_id(id, partition) {
            return Ok(replica);
        }
        let image = self.image();
        let topic = image.topic_by_id(id).ok_or(ErrorCode::UnknownTopicId)?;
        self.open_hosted(topic, partition)
    }

    fn open_hosted(&self, topic: &Topic, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        let state = topic.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !self.hosts(state) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        self.open_replica(topic.id, partition)
    }

    /// Whether a replica of the partition belongs on this broker.
    fn hosts(&self, partition: &Partition) -> bool {
        partition.replicas.contains(&self.node_id)
    }

    fn leads(&self, partition: &Partition) -> bool {
        partition.leader == self.node_id
    }
}

#[cfg(test)]
mod tests;
