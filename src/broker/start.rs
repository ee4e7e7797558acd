//! From directories to a broker that serves, and back to directories in order.
//!
//! Start: locks, identities checked; the quorum, and with it the image; markers removed; this broker's registration, which
//! raises the leader epochs; the logs that are there, several at a time; then changes of the image are listened to. Nothing is
//! answered before that, so a client never hears that a topic it knows is missing.
//! Stop: nothing more is taken; what was written is flushed; checkpoints; markers.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use uuid::Uuid;

use super::Broker;
use super::directories::{self, Directory, DirectoryError};
use super::fetch_sessions::FetchSessions;
use super::fetchers::Fetchers;
use super::flusher::Flusher;
use super::formation;
use super::groups::GroupCoordinators;
use super::housekeeping::{Checkpoints, Housekeeper};
use super::opening::{Found, Offline};
use super::replicas::Replicas;
use crate::config::Settings;
use crate::controller::{self, Registration};
use crate::io::clock::Clock;
use crate::io::disk::Disk;
use crate::io::{random, threads};
use crate::log::{LogDir, LogError, MetaProperties};
use crate::metadata::{Delta, Endpoint, Image, Topic};
use crate::model::{BrokerId, ErrorCode, Offset, TopicId, TopicPartition};
use crate::peer::Address;
use crate::quorum::{self, Quorum, QuorumError, QuorumOptions};

/// What a broker needs to start.
pub struct StartOptions {
    pub settings: Arc<Settings>,
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<dyn Disk>,
    /// Where others reach this broker, with the ports that are really bound.
    pub endpoints: Vec<Endpoint>,
}

/// Features that work, and the level that is finalised with the first start of a broker that has them.
pub(super) const FEATURES: &[(&str, i16)] = &[("metadata.version", 30)];

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Quorum(#[from] quorum::StartError),
    #[error("this broker cannot be registered: {0}")]
    Registration(#[from] QuorumError),
    #[error("this broker is not admitted: {0}")]
    Refused(String),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{path} belongs to cluster {found}, and the metadata to {expected}")]
    OtherCluster { path: String, found: String, expected: String },
}

impl Broker {
    /// Opens the directories and starts a broker; returns when it can serve. Blocks while logs are opened.
    pub async fn start(options: StartOptions) -> Result<Arc<Broker>, StartError> {
        let StartOptions { settings, clock, disk, endpoints } = options;
        let node_id = BrokerId(settings.node_id());
        let mut found = directories::open(&disk, &settings.log_dirs(), node_id)?;
        let quorum = start_quorum(&settings, &disk, node_id, &found, &endpoints).await?;
        check_cluster(&found, &quorum)?;
        directories::take_markers(&mut found)?;
        let directory_ids = directory_ids(&found, &quorum);
        let known = found.iter().find_map(|directory| Some(directory.meta.as_ref()?.cluster_id.clone()));
        let new_cluster_id = known.unwrap_or_else(|| TopicId(random::uuid()).to_string());
        register(&quorum, node_id, &settings, &directory_ids, &new_cluster_id, endpoints).await?;
        write_identities(&found, &directory_ids, node_id, &quorum)?;
        let replicas = Arc::new(Replicas::default());
        // Replicas hold the flusher: it must not hold them.
        let of_flusher = Arc::downgrade(&replicas);
        let flusher = Flusher::start(move |directory| {
            if let Some(replicas) = of_flusher.upgrade() {
                take_offline(&replicas, directory);
            }
        })?;
        let slots_max = settings.get_usize("max.incremental.fetch.session.cache.slots");
        let groups = GroupCoordinators::start(&settings, Arc::clone(&clock))?;
        let broker = Arc::new(Broker {
            clock,
            disk,
            node_id,
            directories: found.iter().map(|directory| Arc::clone(&directory.log_dir)).collect(),
            quorum,
            replicas,
            opening: Mutex::new(()),
            flusher,
            proposals: Arc::default(),
            fetchers: Fetchers::default(),
            throttles: super::Throttles::default(),
            fetch_sessions: FetchSessions::new(slots_max),
            fetch_max_bytes: settings.get_usize("fetch.max.bytes"),
            delayed_produces: super::DelayedProduces::default(),
            producer_ids: super::ProducerIds::default(),
            groups,
            housekeeper: Housekeeper::new(),
            controller: super::controller::Controller::new(&settings, new_cluster_id),
            leaving: super::LeavingLogs::default(),
            removals: Mutex::default(),
            segment_removals: Mutex::default(),
            offline: Mutex::default(),
            checkpoints: Mutex::new(vec![Checkpoints::default(); found.len()]),
            settings,
        });
        broker.open_existing(&found)?;
        let listening = Arc::downgrade(&broker);
        broker.quorum.listen(move |change| {
            if let Some(broker) = listening.upgrade() {
                broker.on_change(change);
            }
        });
        // What has changed while the logs were opened.
        broker.reconcile();
        broker.fetchers.start(&broker);
        broker.groups.load_all(&broker);
        broker.housekeeper.start(Arc::downgrade(&broker))?;
        broker.start_controller()?;
        Ok(broker)
    }

    /// Stops cleanly: flushes, writes checkpoints and, where all of that worked, the marker. The caller has stopped taking
    /// requests.
    pub async fn close(self: &Arc<Broker>) {
        self.close_controller().await;
        self.groups.close().await;
        self.fetchers.close().await;
        self.housekeeper.close().await;
        self.flusher.close().await;
        let broker = Arc::clone(self);
        let closed = threads::run("closing", move || broker.close_logs()).await;
        self.quorum.stop().await;
        match closed {
            Ok(failed) => self.mark_clean_shutdown(&failed),
            Err(error) => tracing::error!(%error, "the next start will recover: the logs could not be closed"),
        }
    }

    /// Flushes all logs and writes the checkpoints. The answer is the directories where that has failed. Blocks for the disk.
    fn close_logs(&self) -> Vec<Arc<LogDir>> {
        self.move_leaving(None);
        let replicas = self.replicas.all();
        let failed = Mutex::new(Vec::new());
        threads::for_each_in_parallel(&replicas, THREADS, |replica| {
            if let Err(error) = replica.close() {
                tracing::error!(partition = %replica.topic_partition(), %error, "log cannot be flushed");
                failed.lock().push(Arc::clone(replica.directory()));
            }
        });
        self.write_checkpoints();
        failed.into_inner()
    }

    fn mark_clean_shutdown(&self, failed: &[Arc<LogDir>]) {
        for directory in &self.directories {
            // A log that stayed shut has yet to be recovered.
            let is_unrecovered = self.offline.lock().iter().any(|log| Arc::ptr_eq(&log.directory, directory));
            if directory.is_poisoned() || is_unrecovered || failed.iter().any(|other| Arc::ptr_eq(other, directory)) {
                continue;
            }
            if let Err(error) = directory.mark_clean_shutdown() {
                tracing::error!(%error, "the next start will recover, since this stop cannot be marked as clean");
            }
        }
    }

    /// Opens every log that is there, several at a time, and sets aside what belongs to no topic.
    fn open_existing(&self, found: &[Directory]) -> Result<(), StartError> {
        let image = self.image();
        let mut logs = Vec::new();
        for directory in found {
            for partition in &directory.partitions {
                match self.topic_of(&image, directory, partition) {
                    Some(topic) => logs.push((directory, topic, partition.partition)),
                    None => self.set_aside(directory, partition),
                }
            }
            self.queue_removals(directory);
        }
        for directory in found.iter().filter(|directory| !directory.was_clean && !directory.partitions.is_empty()) {
            let path = directory.log_dir.path().display();
            tracing::info!(directory = %path, logs = directory.partitions.len(), "the last stop was not clean, recovering");
        }
        threads::for_each_in_parallel(&logs, THREADS, |(directory, topic, partition)| {
            let key = TopicPartition { topic: Arc::clone(&topic.name), partition: *partition };
            let known = |offsets: &BTreeMap<TopicPartition, Offset>| offsets.get(&key).copied();
            let found = Found {
                recovery_point: known(&directory.recovery_points).unwrap_or(Offset::ZERO),
                log_start: known(&directory.log_starts).unwrap_or(Offset::ZERO),
                high_watermark: known(&directory.high_watermarks).unwrap_or(Offset::ZERO),
                was_clean: directory.was_clean,
            };
            if let Err(error) = self.open_log(&image, topic, *partition, &directory.log_dir, found) {
                tracing::error!(partition = %key, %error, "log cannot be opened, the partition is offline");
                let (topic_id, directory) = (topic.id, Arc::clone(&directory.log_dir));
                self.offline.lock().push(Offline { topic_id, topic_partition: key, directory, found });
            }
        });
        Ok(())
    }

    /// The topic whose partition lies in this directory. `None` when it belongs here no more, or when the id in it is another's:
    /// the topic was deleted, and perhaps created anew under its name.
    fn topic_of<'a>(&self, image: &'a Image, directory: &Directory, partition: &TopicPartition) -> Option<&'a Topic> {
        let topic = image.topic(&partition.topic)?;
        topic.partition(partition.partition).filter(|state| self.hosts(state))?;
        let path = directory.log_dir.path().join(partition.to_string());
        // Without a readable id the name decides: the file is written before anything else, and may be torn.
        let id = directories::read_topic_id(&*self.disk, &path).unwrap_or(topic.id);
        (id == topic.id).then_some(topic)
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
    endpoints: &[Endpoint],
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
    let endpoint = controller_endpoint(endpoints);
    let directory_id = first.meta.as_ref().map_or_else(random::uuid, |meta| meta.directory_id.0);
    Ok(Quorum::start(QuorumOptions {
        dir,
        node_id,
        directory_id,
        cluster_id: first.meta.as_ref().map(|meta| meta.cluster_id.clone()),
        formation: formation::of(settings, &endpoint.address),
        endpoint,
        disk: Arc::clone(disk),
        snapshot_entries: QuorumOptions::SNAPSHOT_ENTRIES,
        timing: formation::timing(settings),
    })
    .await?)
}

/// Where other voters reach this node: on its first listener.
fn controller_endpoint(endpoints: &[Endpoint]) -> quorum::Endpoint {
    let (listener, host, port) = match endpoints.first() {
        Some(endpoint) => (endpoint.listener.clone(), endpoint.host.clone(), endpoint.port),
        None => ("CONTROLLER".to_owned(), "localhost".to_owned(), 0),
    };
    quorum::Endpoint { listener, address: Address { host, port } }
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

/// Tells the cluster that this broker is here. Replaying it raises the leader epoch of all that it leads.
async fn register(
    quorum: &Quorum,
    broker_id: BrokerId,
    settings: &Settings,
    directory_ids: &[Uuid],
    new_cluster_id: &str,
    endpoints: Vec<Endpoint>,
) -> Result<(), StartError> {
    let mut records = controller::first_records(&quorum.image(), new_cluster_id, FEATURES);
    let mut image = Image::clone(&quorum.image());
    records.iter().for_each(|record| image.apply(record, &mut Delta::default()));
    let registration = Registration {
        broker_id,
        incarnation: random::uuid(),
        endpoints,
        rack: settings.get_text("broker.rack").map(str::to_owned),
        // Another id is refused where identities are compared, with the path of the directory that says so.
        cluster_id: String::new(),
        features: Vec::new(),
        directories: directory_ids.to_vec(),
        previous_broker_epoch: -1,
        is_controller: true,
    };
    let options = super::controller::options(settings);
    let decided = controller::register_broker(&image, &options, registration, false);
    records.extend(decided.map_err(|refusal| StartError::Refused(refusal.message.unwrap_or_default()))?.records);
    quorum.submit(records).await?;
    Ok(())
}

/// The id of each directory: the one it has, or the one it is to get.
fn directory_ids(found: &[Directory], quorum: &Quorum) -> Vec<Uuid> {
    let new = |index| if index == 0 { quorum.directory_id() } else { random::uuid() };
    let id = |(index, directory): (usize, &Directory)| {
        directory.meta.as_ref().map_or_else(|| new(index), |meta| meta.directory_id.0)
    };
    found.iter().enumerate().map(id).collect()
}

/// Writes `meta.properties` where it is missing.
fn write_identities(
    found: &[Directory],
    directory_ids: &[Uuid],
    node_id: BrokerId,
    quorum: &Quorum,
) -> Result<(), StartError> {
    // A node that joins learns only now which cluster it is in.
    check_cluster(found, quorum)?;
    let cluster_id = quorum.image().cluster_id().to_string();
    for (directory, id) in found.iter().zip(directory_ids) {
        if directory.meta.is_some() {
            continue;
        }
        let meta = MetaProperties { cluster_id: cluster_id.clone(), node_id, directory_id: TopicId(*id) };
        directory.log_dir.write_meta_properties(&meta)?;
    }
    Ok(())
}

pub(super) fn take_offline(replicas: &Replicas, directory: &Arc<LogDir>) {
    for replica in replicas.all() {
        if Arc::ptr_eq(replica.directory(), directory) {
            replica.fence(ErrorCode::KafkaStorageError);
        }
    }
}

/// Threads for opening and closing logs: more than cores, since most of their time goes into waiting for the disk.
const THREADS: usize = 8;
