//! From directories to a broker that serves, and back to directories in order.
//!
//! Start: locks, identities checked, directories that do not work left out; the quorum, and with it the image; this broker's
//! registration, which raises the leader epochs; markers removed; the logs that are there, several at a time; then changes of
//! the image are acted on; at last the controller lets the broker in. Clients are answered nothing before that, so they never hear that a topic they know is
//! missing. A process that is only a controller (`process.roles`) is there when it knows the cluster.
//! Stop: nothing more is taken; what was written is flushed; checkpoints; markers.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::Mutex;

use uuid::Uuid;

use super::checkpoints::Checkpoints;
use super::controller_channel::ControllerChannel;
use super::directories::{self, Directory, DirectoryError};
use super::fetch_sessions::FetchSessions;
use super::fetchers::Fetchers;
use super::flusher::Flusher;
use super::formation;
use super::groups::GroupCoordinators;
use super::housekeeping::Housekeeper;
use super::initial;
use super::lifecycle::Lifecycle;
use super::opening::{Found, Offline};
use super::replicas::Replicas;
use super::{Broker, assignments, isr};
use crate::config::{ClusterConfig, Initial, Settings};
use crate::controller::SupportedLevels;
use crate::io::clock::Clock;
use crate::io::disk::{Disk, is_disk_full};
use crate::io::{process, random, threads};
use crate::log::{Descriptors, LogDir, LogError, MetaProperties};
use crate::metadata::{Endpoint, Image, Topic};
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId, TopicPartition};
use crate::peer::Address;
use crate::quorum::{self, Quorum, QuorumOptions};

/// What a broker needs to start.
pub struct StartOptions {
    pub settings: Arc<Settings>,
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<dyn Disk>,
    /// Where clients and other brokers reach this broker, with the ports that are really bound.
    pub endpoints: Vec<Endpoint>,
    /// Where controllers do.
    pub controller_endpoint: Endpoint,
}

/// A broker that has its directories and its part in the quorum, and serves no clients yet.
pub struct Opened {
    broker: Arc<Broker>,
    found: Vec<Directory>,
    initial: Initial,
}

impl Opened {
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Joins the cluster; returns when clients can be served. Waits for a controller as long as there is none. Blocks while
    /// logs are opened. After an error the broker has stopped.
    pub async fn join(self) -> Result<(), StartError> {
        let Opened { broker, mut found, initial } = self;
        let joined = broker.join_cluster(&mut found, &initial).await;
        if joined.is_err() {
            broker.give_up_start().await;
        }
        joined
    }
}

/// Features that work, and the level that is finalised with the first start of a broker that has them.
pub(super) const FEATURES: &[(&str, i16)] = &[("metadata.version", 30), ("eligible.leader.replicas.version", 1)];

/// The features that this software knows, each with its first and last level.
pub(super) const SUPPORTED_LEVELS: &[SupportedLevels] =
    &[("metadata.version", 7, 30), ("eligible.leader.replicas.version", 0, 1)];

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Quorum(#[from] quorum::StartError),
    #[error("{0}")]
    Initial(String),
    #[error("this broker is not admitted: {0}")]
    Refused(String),
    #[error(
        "the metadata of this node is of cluster {own}, and {server} belongs to cluster {theirs}: to join that one, choose an \
         empty log.dirs; to go on with its own, correct controller.quorum.bootstrap.servers (--join) or leave it away"
    )]
    OtherQuorum { own: String, server: String, theirs: String },
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error(
        "{path} belongs to cluster {found}, and the metadata to {expected}: start with directories that belong together, or \
             choose others (--data)"
    )]
    OtherCluster { path: String, found: String, expected: String },
}

impl StartError {
    /// What to do when the system refuses to let files be written.
    pub fn advice(&self) -> Option<&'static str> {
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return match error.kind() {
                    _ if is_disk_full(error) => Some("make room on its volume, or choose another directory (--data)"),
                    ErrorKind::ReadOnlyFilesystem => {
                        Some("mount its volume for writing, or choose another directory (--data)")
                    }
                    ErrorKind::PermissionDenied => {
                        Some("let this process's user read and write there, or choose another directory (--data)")
                    }
                    ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                        Some("what is there is no directory: choose another one (--data)")
                    }
                    _ => None,
                };
            }
            cause = error.source();
        }
        None
    }
}

impl Broker {
    /// Opens the directories and starts the quorum. From here on the controllers' listeners are to be served, since other
    /// nodes may need this one to elect a controller; [`Opened::join`] goes on.
    pub async fn open(options: StartOptions) -> Result<Opened, StartError> {
        let StartOptions { settings, clock, disk, endpoints, controller_endpoint } = options;
        let node_id = BrokerId(settings.node_id());
        let initial = initial::read(&settings, &*disk)?;
        let descriptors = Descriptors::for_process(process::open_files_max());
        let found = directories::open(&disk, &settings.log_dirs(), node_id, &descriptors)?;
        let quorum = start_quorum(&settings, &disk, node_id, &found, &controller_endpoint).await?;
        check_cluster(&found, &quorum)?;
        let known = found.iter().find_map(|directory| Some(directory.meta.as_ref()?.cluster_id.clone()));
        let new_cluster_id = known.unwrap_or_else(|| TopicId(random::uuid()).to_string());
        let replicas = Arc::new(Replicas::default());
        // Replicas hold the flusher: it must not hold them.
        let of_flusher = Arc::downgrade(&replicas);
        let housekeeper = Housekeeper::new();
        let wake = Arc::clone(housekeeper.wake());
        let flusher = Flusher::start(move |directory| {
            if let Some(replicas) = of_flusher.upgrade() {
                take_offline(&replicas, directory);
            }
            // Whether anything works at all, and who is to hear of it.
            wake.notify_one();
        })?;
        let slots_max = settings.get_usize("max.incremental.fetch.session.cache.slots");
        let groups = GroupCoordinators::start(&settings, Arc::clone(&clock))?;
        let broker = Arc::new(Broker {
            clock,
            disk,
            node_id,
            endpoints,
            descriptors,
            directories: found.iter().map(|directory| Arc::clone(&directory.log_dir)).collect(),
            quorum,
            lifecycle: Lifecycle::default(),
            controller_channel: ControllerChannel::default(),
            replicas,
            opening: Mutex::new(()),
            flusher,
            proposals: Arc::default(),
            assignments: Arc::default(),
            moves: Arc::default(),
            fetchers: Fetchers::default(),
            throttles: super::Throttles::default(),
            fetch_sessions: FetchSessions::new(slots_max),
            fetch_max_bytes: settings.get_usize("fetch.max.bytes"),
            delayed_produces: super::DelayedProduces::new(Arc::clone(housekeeper.wake())),
            producer_ids: super::ProducerIds::default(),
            groups,
            metrics: Arc::default(),
            housekeeper,
            cleaner: Arc::default(),
            controller: Arc::new(super::controller::Controller::new(&settings, new_cluster_id)),
            loggers: std::sync::OnceLock::new(),
            quotas: super::quotas::ClientQuotas::new(&settings),
            live: Mutex::new(Arc::new(super::live::LiveSettings::resolve(&settings, &Image::default(), node_id))),
            leaving: super::LeavingLogs::default(),
            removals: Mutex::default(),
            segment_removals: Mutex::default(),
            offline: Mutex::default(),
            checkpoints: Mutex::new(vec![Checkpoints::default(); found.len()]),
            cluster: ClusterConfig::of(&settings),
            settings,
        });
        broker.start_controller()?;
        Ok(Opened { broker, found, initial })
    }

    /// [`Broker::open`] and [`Opened::join`], for a broker that needs no other node.
    pub async fn start(options: StartOptions) -> Result<Arc<Broker>, StartError> {
        let opened = Broker::open(options).await?;
        let broker = Arc::clone(opened.broker());
        opened.join().await?;
        Ok(broker)
    }

    /// Stops cleanly: flushes, writes checkpoints and, where all of that worked, the marker. The caller has stopped taking
    /// requests.
    pub async fn close(self: &Arc<Broker>) {
        self.close_services().await;
        let broker = Arc::clone(self);
        let closed = threads::run("closing", move || broker.close_logs()).await;
        self.quorum.stop().await;
        match closed {
            Ok(failed) => self.mark_clean_shutdown(&failed),
            Err(error) => tracing::error!(%error, "the next start will recover: the logs could not be closed"),
        }
        self.unlock_directories();
    }

    /// Stops a broker that did not get to serve; its directories are left as they are.
    pub async fn give_up_start(self: &Arc<Broker>) {
        self.close_services().await;
        self.quorum.stop().await;
        self.unlock_directories();
    }

    /// A connection or a scrape that is just ending may hold this broker for a moment yet: whoever starts next need not wait for it.
    fn unlock_directories(&self) {
        self.directories.iter().for_each(|directory| directory.unlock());
    }

    async fn close_services(self: &Arc<Broker>) {
        self.close_heartbeats().await;
        self.close_controller().await;
        self.groups.close().await;
        self.fetchers.close().await;
        self.proposals.close().await;
        self.cleaner.close().await;
        self.assignments.close().await;
        self.moves.close().await;
        self.housekeeper.close().await;
        self.flusher.close().await;
    }

    /// Flushes all logs and writes the checkpoints. The answer is the directories where that has failed. Blocks for the disk.
    fn close_logs(&self) -> Vec<Arc<LogDir>> {
        self.move_leaving(None);
        let replicas = self.replicas.all();
        let failed = Mutex::new(Vec::new());
        threads::for_each_in_parallel(&replicas, CLOSING_THREADS, |replica| {
            if let Err(error) = replica.close() {
                tracing::error!(partition = %replica.topic_partition(), %error, "log cannot be flushed");
                failed.lock().push(replica.directory());
            }
        });
        self.write_checkpoints();
        failed.into_inner()
    }

    fn mark_clean_shutdown(&self, failed: &[Arc<LogDir>]) {
        // A controller alone has taken no marker away, and knows nothing of the logs that may lie there.
        if !self.settings.is_broker() {
            return;
        }
        for directory in &self.directories {
            // A log that stayed shut has yet to be recovered.
            let is_unrecovered = self.offline.lock().iter().any(|log| Arc::ptr_eq(&log.directory, directory));
            if directory.is_poisoned() || is_unrecovered || failed.iter().any(|other| Arc::ptr_eq(other, directory)) {
                continue;
            }
            if let Err(error) = directory.mark_clean_shutdown(self.broker_epoch()) {
                tracing::error!(%error, "the next start will recover, since this stop cannot be marked as clean");
            }
        }
    }

    async fn join_cluster(self: &Arc<Broker>, found: &mut [Directory], initial: &Initial) -> Result<(), StartError> {
        self.await_now("a controller of the cluster");
        tokio::try_join!(biased; self.check_joined_cluster(), async {
            self.wait_for_controller().await;
            Ok(())
        })?;
        check_cluster(found, &self.quorum)?;
        name_directories(found, &self.quorum);
        let directory_ids: Vec<Uuid> = online(found).filter_map(|directory| directory.log_dir.id()).collect();
        if !self.settings.is_broker() {
            return self.join_as_controller(found).await;
        }
        self.set_previous_epoch(directories::clean_shutdown_epoch(found)?);
        let cluster_id = found.iter().find_map(|directory| Some(directory.meta.as_ref()?.cluster_id.clone()));
        self.await_now("the controller to register this broker");
        self.register(&directory_ids, cluster_id.as_deref()).await?;
        self.start_heartbeats()?;
        write_identities(found, self.node_id, &self.quorum)?;
        directories::take_markers(found)?;
        self.await_now("its logs to be opened");
        self.listen_from_opening(found)?;
        self.groups.load_all(self);
        self.housekeeper.start(Arc::downgrade(self))?;
        self.start_cleaner()?;
        self.logs_are_open();
        self.await_now("the controller to let this broker in");
        self.wait_until_let_in().await;
        self.create_initial(initial).await?;
        self.set_serving();
        Ok(())
    }

    /// A controller alone has no part in what brokers do: it registers nowhere, and whatever partitions lie in its directories
    /// stay as they are.
    async fn join_as_controller(&self, found: &[Directory]) -> Result<(), StartError> {
        self.await_now("what the cluster has decided");
        self.see_cluster().await;
        write_identities(found, self.node_id, &self.quorum)?;
        self.set_serving();
        Ok(())
    }

    /// Opens the logs that are there, and acts on every change from then on; what has changed meanwhile is made good.
    fn listen_from_opening(self: &Arc<Broker>, found: &[Directory]) -> Result<(), StartError> {
        self.open_existing(found)?;
        let listening = Arc::downgrade(self);
        self.quorum.listen(move |change| {
            if let Some(broker) = listening.upgrade() {
                broker.on_change(change);
            }
        });
        self.reconcile();
        self.fetchers.start(self);
        self.proposals.start("alter-partition", Arc::downgrade(self), isr::send)?;
        self.assignments.start("assign-dirs", Arc::downgrade(self), assignments::send)?;
        self.resume_moves(online(found).flat_map(Directory::copies).collect());
        self.moves.start(Arc::downgrade(self))?;
        Ok(())
    }

    /// Opens every log that is there, several at a time, and sets aside what belongs to no topic.
    fn open_existing(&self, found: &[Directory]) -> Result<(), StartError> {
        let image = self.image();
        let mut logs = Vec::new();
        // Where there is one directory, opening asks for the id: a second look at each of ten thousand files costs its time.
        let asks_id = found.len() > 1;
        for directory in online(found) {
            for partition in &directory.partitions {
                match self.topic_of(&image, directory, partition, asks_id) {
                    Some(topic) => logs.push((directory, topic, partition.partition)),
                    None => self.set_aside(directory, partition),
                }
            }
            self.queue_removals(directory);
        }
        self.set_doubles_aside(&mut logs);
        self.note_unreachable(&image, found, &logs);
        for directory in online(found).filter(|directory| !directory.was_clean && !directory.partitions.is_empty()) {
            let path = directory.log_dir.path().display();
            tracing::info!(directory = %path, logs = directory.partitions.len(), "the last stop was not clean, recovering");
        }
        threads::for_each_in_parallel(&logs, THREADS, |(directory, topic, partition)| {
            let key = TopicPartition { topic: Arc::clone(&topic.name), partition: *partition };
            let found = directory.checkpoints.found(&key, directory.was_clean);
            match self.open_log(&image, topic, *partition, &directory.log_dir, found) {
                Ok(_) => {}
                Err(LogError::InconsistentTopicId { .. }) => self.set_aside(directory, &key),
                Err(error) => {
                    tracing::error!(partition = %key, %error, "log cannot be opened, the partition is offline");
                    let (topic_id, directory) = (topic.id, Arc::clone(&directory.log_dir));
                    self.offline.lock().push(Offline { topic_id, topic_partition: key, directory, found });
                }
            }
        });
        self.take_over_checkpoints(found.iter().map(|directory| directory.checkpoints.clone()));
        Ok(())
    }

    /// The topic whose partition lies in this directory. `None` when it belongs here no more, or, if that is asked, when the id in
    /// it is another's: the topic was deleted, and perhaps created anew under its name.
    fn topic_of<'a>(
        &self,
        image: &'a Image,
        directory: &Directory,
        partition: &TopicPartition,
        asks_id: bool,
    ) -> Option<&'a Topic> {
        let topic = image.topic(&partition.topic)?;
        topic.partition(partition.partition).filter(|state| self.hosts(state))?;
        if !asks_id {
            return Some(topic);
        }
        let path = directory.log_dir.path().join(partition.to_string());
        // Without a readable id the name decides: the file is written before anything else, and may be torn.
        let id = directories::read_topic_id(&*self.disk, &path).unwrap_or(topic.id);
        (id == topic.id).then_some(topic)
    }

    /// Of two logs of one partition the one counts that lies where the cluster was told; without word, the first. The other
    /// stays as evidence under another name. (Kafka does not start.)
    fn set_doubles_aside(&self, logs: &mut Vec<(&Directory, &Topic, PartitionIndex)>) {
        let is_told = |(directory, topic, index): &(&Directory, &Topic, PartitionIndex)| {
            let told = topic.partition(*index).and_then(|state| state.directory_of(self.node_id));
            told.is_some() && told == directory.log_dir.id()
        };
        logs.sort_by_key(|log| (log.1.id, log.2, !is_told(log)));
        logs.dedup_by(|double, kept| {
            let is_double = (double.1.id, double.2) == (kept.1.id, kept.2);
            if is_double {
                let key = TopicPartition { topic: Arc::clone(&double.1.name), partition: double.2 };
                tracing::error!(partition = %key, kept = %kept.0.log_dir.path().display(), "two directories have a log of it");
                self.set_aside(double.0, &key);
            }
            is_double
        });
    }

    /// Partitions whose log lies in a directory that does not work stay offline: nothing may be made in their place.
    fn note_unreachable(&self, image: &Image, found: &[Directory], logs: &[(&Directory, &Topic, PartitionIndex)]) {
        let Some(away) = found.iter().find(|directory| directory.log_dir.is_poisoned()) else { return };
        let there: BTreeSet<_> = logs.iter().map(|(_, topic, index)| (topic.id, *index)).collect();
        for (topic, index, state) in image.partitions_on(self.node_id) {
            let counts = state.isr.contains(&self.node_id) || state.elr.contains(&self.node_id);
            let is_away = match state.directory_of(self.node_id) {
                Some(told) => online(found).all(|directory| directory.log_dir.id() != Some(told)),
                // It may lie anywhere, and somebody counts on it.
                None => counts,
            };
            if !is_away || there.contains(&(topic.id, index)) {
                continue;
            }
            let topic_partition = TopicPartition { topic: Arc::clone(&topic.name), partition: index };
            tracing::error!(partition = %topic_partition, "its log directory does not work, the partition is offline");
            let directory = Arc::clone(&away.log_dir);
            self.offline.lock().push(Offline { topic_id: topic.id, topic_partition, directory, found: Found::NEW });
        }
    }

    fn set_aside(&self, directory: &Directory, partition: &TopicPartition) {
        let from = directory.log_dir.path().join(partition.to_string());
        let to = directory.log_dir.path().join(directories::out_of_use_name(partition, "stray"));
        match self.disk.rename(&from, &to) {
            Ok(()) => tracing::warn!(%partition, to = %to.display(), "a log that belongs to no topic is set aside"),
            Err(error) => tracing::error!(%partition, %error, "a log that belongs to no topic cannot be set aside"),
        }
    }

    /// What an earlier run deleted and did not get to remove.
    fn queue_removals(&self, directory: &Directory) {
        let path = directory.log_dir.path();
        let entries = self.disk.read_dir(path).unwrap_or_default();
        let deleted = entries.iter().filter(|entry| entry.is_dir && entry.name.ends_with("-delete"));
        let due_ms = self.now().monotonic_ms;
        self.removals.lock().extend(deleted.map(|entry| (due_ms, path.join(&entry.name))));
    }
}

async fn start_quorum(
    settings: &Settings,
    disk: &Arc<dyn Disk>,
    node_id: BrokerId,
    found: &[Directory],
    endpoint: &Endpoint,
) -> Result<Quorum, StartError> {
    let first = found.first().expect("log.dirs names at least one directory");
    let configured = settings.get_text("metadata.log.dir").map(std::path::PathBuf::from);
    let dir = configured.unwrap_or_else(|| first.log_dir.path().to_owned()).join(quorum::DIRECTORY);
    let orphan = found.iter().find(|directory| directory.meta.is_some() && !directory.partitions.is_empty());
    if let Some(Directory { log_dir, meta: Some(meta), .. }) = orphan
        && !disk.exists(&dir)
    {
        let (path, cluster_id) = (log_dir.path().to_owned(), meta.cluster_id.clone());
        return Err(DirectoryError::NoMetadata { path, cluster_id, metadata: dir }.into());
    }
    let address = Address { host: endpoint.host.clone(), port: endpoint.port };
    let directory_id = first.meta.as_ref().map_or_else(random::uuid, |meta| meta.directory_id.0);
    Ok(Quorum::start(QuorumOptions {
        dir,
        node_id,
        directory_id,
        cluster_id: found.iter().find_map(|directory| Some(directory.meta.as_ref()?.cluster_id.clone())),
        formation: formation::of(settings, &address),
        endpoint: quorum::Endpoint { listener: endpoint.listener.clone(), address },
        disk: Arc::clone(disk),
        snapshot_entries: QuorumOptions::SNAPSHOT_ENTRIES,
        formed_by: formation::formed_by(settings),
        timing: formation::timing(settings),
    })
    .await?)
}

/// Refuses directories of another cluster than the metadata's, which knows none before its first start.
fn check_cluster(found: &[Directory], quorum: &Quorum) -> Result<(), StartError> {
    let expected = quorum.image().cluster_id().to_string();
    let other = |directory: &&Directory| directory.meta.as_ref().is_some_and(|meta| meta.cluster_id != expected);
    match found.iter().find(other) {
        Some(Directory { log_dir, meta: Some(meta), .. }) if !expected.is_empty() => {
            let path = log_dir.path().display().to_string();
            Err(StartError::OtherCluster { path, found: meta.cluster_id.clone(), expected })
        }
        _ => Ok(()),
    }
}

/// Gives each directory that works its id: the one it has, or a new one.
fn name_directories(found: &[Directory], quorum: &Quorum) {
    for (index, directory) in found.iter().enumerate().filter(|(_, directory)| !directory.log_dir.is_poisoned()) {
        let new = || if index == 0 { quorum.directory_id() } else { random::uuid() };
        directory.log_dir.set_id(directory.meta.as_ref().map_or_else(new, |meta| meta.directory_id.0));
    }
}

/// The directories that work.
fn online(found: &[Directory]) -> impl Iterator<Item = &Directory> {
    found.iter().filter(|directory| !directory.log_dir.is_poisoned())
}

/// Writes `meta.properties` where it is missing. A directory that does not take it is offline from here on.
fn write_identities(found: &[Directory], node_id: BrokerId, quorum: &Quorum) -> Result<(), StartError> {
    // A node that joins learns only now which cluster it is in.
    check_cluster(found, quorum)?;
    let cluster_id = quorum.image().cluster_id().to_string();
    for directory in online(found).filter(|directory| directory.meta.is_none()) {
        let Some(id) = directory.log_dir.id() else { continue };
        let meta = MetaProperties { cluster_id: cluster_id.clone(), node_id, directory_id: TopicId(id) };
        let written = directory.log_dir.write_meta_properties(&meta);
        directories::unless_it_fails(found.len(), &directory.log_dir, written)?;
    }
    Ok(())
}

pub(super) fn take_offline(replicas: &Replicas, directory: &Arc<LogDir>) {
    for replica in replicas.all() {
        if replica.lies_in(directory) && replica.check_readable(LeaderEpoch(-1)) != Err(ErrorCode::KafkaStorageError) {
            replica.fence(ErrorCode::KafkaStorageError);
        }
    }
}

/// Threads for closing logs, which wait for the disk only: flushes side by side share the file system's commits.
const CLOSING_THREADS: usize = 32;

/// Threads for opening logs: more than cores, since some of their time goes into waiting for the disk.
pub(super) const THREADS: usize = 8;
