//! Consensus on metadata records. The only room that names `openraft`.
//!
//! One voter is a quorum of one and takes the same path as three: a batch of records is appended to the log, flushed,
//! committed, applied to the image, and only then answered. It runs on a service of its own; others call it from anywhere, and
//! hand it the requests of other nodes ([`Quorum::handle_rpc`]).
//!
//! Who may form a quorum is said ([`Formation`]). A node on its own formats its directory with one write: identity, a membership
//! of this voter alone, and the vote that an election among one would end with (Kafka's `kafka-storage format --standalone`). So
//! a fresh node leads at once, and so does one that comes back, since its committed vote says that it was the leader. All others
//! ask around first.
//!
//! Invariants:
//! - A batch that was answered is on stable storage of a majority of voters and part of the published image.
//! - The log is never cut below the snapshot: what is purged is in it.
//! - A directory that was empty does not vote before it has formed the quorum or caught up with it.
//! - When the quorum's task dies, every call fails from then on and [`Quorum::died`] returns: the process must end.

mod core;
mod describe;
mod driver;
mod elections;
mod journal;
mod log_store;
mod members;
mod mistakes;
mod network;
mod options;
mod peers;
mod published;
mod rpc;
mod serve;
mod state_machine;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use openraft::{Raft, RaftMetrics, ServerState};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use self::core::Core;
use crate::io::{clock, threads};
use crate::metadata::{Delta, Image, Record};
use crate::model::{BrokerId, Offset};
use crate::peer::Address;
use driver::Driver;
use journal::{Journal, State};
use log_store::LogStore;
use network::Network;
use peers::Peers;
use published::Published;
use state_machine::StateMachine;
use types::{Batch, Entry, Membership, StoredMembership, Vote};

pub use describe::{Description, ReplicaState};
pub use journal::JournalError;
pub use members::VotersError;
pub use options::{Endpoint, Formation, FormedBy, QuorumOptions, Timing};
pub use state_machine::SnapshotError;
pub use types::Voter;

/// The name of the quorum's directory in the data directory. It is no `topic-partition`, so neither our log room nor a Kafka
/// that is started on the same directory takes it for a log.
pub const DIRECTORY: &str = "__ottla_metadata";

/// A filter for log lines: what a person should know of the consensus library is said here, once and not at every retry.
pub const QUIET_LOGS: &str = "openraft=off";

/// openraft's own timers: so long that they never end. What they would do is done by the driver.
const NEVER_MS: u64 = 1 << 40;

/// Entries that stay in the log although a snapshot holds them: a follower that was away for a restart catches up by them.
const KEPT_ENTRIES: u64 = if cfg!(feature = "sim") { 16 } else { 1024 };

/// Records that are committed together, in bytes: Kafka's `KafkaRaftClient.MAX_BATCH_SIZE_BYTES`.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What changed, told to the listener on the quorum's thread.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub old: &'a Arc<Image>,
    pub new: &'a Arc<Image>,
    pub delta: &'a Delta,
}

/// Called after the new image is published and before the write is answered. It holds up every later commit while it runs.
pub type Listener = Box<dyn Fn(Change<'_>) + Send>;

/// Why a quorum does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(
        "{dir}: the directory belongs to node {found}, and this is node {expected}: start with node.id={found}, or choose \
             another metadata.log.dir"
    )]
    OtherNode { dir: PathBuf, found: BrokerId, expected: BrokerId },
    #[error("{dir}: the log begins behind the snapshot: metadata is missing")]
    Gap { dir: PathBuf },
    #[error(
        "{dir}: the metadata is of cluster {found}, and the log directories are of {expected}: \
         start with directories that belong together"
    )]
    OtherCluster { dir: PathBuf, found: String, expected: String },
    #[error("the quorum did not start: {0}")]
    Consensus(String),
}

/// Why records were not committed, or not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Another node leads, if one is known. Nothing was written.
    #[error("this node does not lead the quorum, {0:?} does")]
    NotLeader(Option<BrokerId>),
    /// More than [`BATCH_BYTES_MAX`]. Nothing was written.
    #[error("too many metadata records at once")]
    TooLarge,
    /// This node led when the records were written and leads no more; whether they were or will be committed is unknown.
    #[error("this node has lost its leadership of the quorum meanwhile")]
    Lost,
    /// The quorum has stopped; whether the records were committed is unknown.
    #[error("the quorum has stopped: {0}")]
    Stopped(String),
}

/// Who leads the quorum, as far as this node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// `None` when no leader is known, or not yet how it is reached.
    pub leader: Option<Node>,
    /// Never falls; there is at most one leader a term.
    pub term: u64,
    /// This node leads, an entry of its own term is applied, and a majority of the voters has lately followed: it may decide.
    pub is_active: bool,
}

/// A node of the quorum, and where its controller listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: BrokerId,
    pub host: String,
    pub port: u16,
}

/// A running quorum; see the head of this file. Dropping it ends its service too, but nobody waits for that.
pub struct Quorum {
    core: Arc<Core>,
    service: Mutex<Option<(oneshot::Sender<()>, threads::Service)>>,
}

impl Quorum {
    /// Opens or formats the directory and starts the quorum's service. A sole voter leads when this returns, and everything
    /// that was ever answered is in the image. All others may have to find each other first, for which the requests of other
    /// nodes must come to [`Quorum::handle_rpc`] from now on; [`Quorum::leadership`] and [`Quorum::images`] say how far it is.
    pub async fn start(options: QuorumOptions) -> Result<Quorum, StartError> {
        let prepared = prepare(options)?;
        let (started, starting) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let service = threads::service("quorum", move || run(prepared, started, stopped))
            .map_err(|error| StartError::Consensus(error.to_string()))?;
        let started = starting.await.unwrap_or_else(|_| Err("its service ended".into()));
        let core = started.map_err(StartError::Consensus)?;
        Ok(Quorum { core, service: Mutex::new(Some((stop, service))) })
    }

    /// Has a listener told of every change from now on, in place of an earlier one.
    pub fn listen(&self, listener: impl Fn(Change<'_>) + Send + 'static) {
        self.core.published.listen(Box::new(listener));
    }

    /// The newest image.
    pub fn image(&self) -> Arc<Image> {
        self.core.published.image()
    }

    /// Every image from now on, but for those that newer ones overtake.
    pub fn images(&self) -> watch::Receiver<Arc<Image>> {
        self.core.published.images()
    }

    /// The first image that has everything up to this offset. An error when the quorum has ended; else it may take for ever.
    pub async fn wait_for(&self, offset: Offset) -> Result<Arc<Image>, QuorumError> {
        let mut images = self.images();
        let mut metrics = self.core.raft.server_metrics();
        loop {
            let image = Arc::clone(&images.borrow_and_update());
            if image.last_applied() >= offset {
                return Ok(image);
            }
            tokio::select! {
                biased;
                _ = images.changed() => {}
                ended = metrics.changed() => if ended.is_err() { return Err(QuorumError::Stopped("it has ended".into())) },
            }
        }
    }

    /// Who leads, now and from now on.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.core.leadership.subscribe()
    }

    /// The id of the quorum's directory, which `meta.properties` names too.
    pub fn directory_id(&self) -> Uuid {
        self.core.peers.identity.directory_id
    }

    /// 0 when the voters are fixed by configuration, 1 when they can be changed (KIP-853).
    pub fn kraft_version(&self) -> i16 {
        i16::from(!core::is_static(&self.core.metrics().membership_config))
    }

    /// Commits records, all or none, and gives the image after them (which holds no later ones). Not cancelled when dropped:
    /// the records may be committed all the same.
    pub async fn submit(&self, records: Vec<Record>) -> Result<Arc<Image>, QuorumError> {
        let term = self.core.metrics().vote.leader_id.term;
        self.submit_in(term, records).await
    }

    /// As [`Quorum::submit`], for records that were decided on in this term: in another one, something that they do not know of
    /// may have been committed since.
    pub async fn submit_in(&self, term: u64, records: Vec<Record>) -> Result<Arc<Image>, QuorumError> {
        if Record::encode_all(&records).len() > BATCH_BYTES_MAX {
            return Err(QuorumError::TooLarge);
        }
        let metrics = self.core.metrics();
        if !core::leads(&metrics) || metrics.vote.leader_id.term != term {
            return Err(QuorumError::NotLeader(metrics.current_leader.map(|leader| leader.node_id)));
        }
        tokio::select! {
            biased;
            written = self.core.raft.client_write(Batch(records.into())) => match written {
                Ok(written) => Ok(written.data),
                Err(error) => Err(refusal(error)),
            },
            // openraft would wait until another leader's log says what became of the records.
            () = self.core.lost(term) => Err(QuorumError::Lost),
        }
    }

    /// Answers a request of another node: the body of API `Quorum`, and that of its answer. Only for the controller listener.
    pub fn handle_rpc(&self, body: Bytes) -> impl Future<Output = Bytes> + Send + 'static {
        let core = Arc::clone(&self.core);
        async move { Bytes::from(serve::answer(&core, &body).await) }
    }

    /// How the quorum stands; for its active leader only.
    pub fn describe(&self) -> Result<Description, QuorumError> {
        describe::describe(&self.core)
    }

    /// The voters' endpoints, as far as this node knows them.
    pub fn voters(&self) -> BTreeMap<BrokerId, Endpoint> {
        describe::nodes(&self.core.metrics())
    }

    /// Who votes, as far as this node knows.
    pub fn voter_names(&self) -> Vec<Voter> {
        core::voters(&self.core.metrics()).into_iter().collect()
    }

    /// Where this node's controllers' listener is for others.
    pub fn endpoint(&self) -> &Endpoint {
        &self.core.peers.endpoint
    }

    /// The endpoints of everybody who serves what controllers serve, as far as this node knows them: the voters, and the observers
    /// whose listener has the name of a voter's.
    pub fn controllers(&self) -> BTreeMap<BrokerId, Endpoint> {
        describe::controllers(&self.core.metrics())
    }

    /// Gives a voter another address; see [`VotersError`]. For the active leader only.
    pub async fn update_voter(&self, voter: Voter, listener: &str, address: Address) -> Result<(), VotersError> {
        members::update(&self.core, voter, &Endpoint { listener: listener.to_owned(), address }).await
    }

    /// Makes a node a voter, once it has caught up; see [`VotersError`]. For the active leader only.
    pub async fn add_voter(
        &self,
        voter: Voter,
        listener: &str,
        address: Address,
        patience: std::time::Duration,
    ) -> Result<(), VotersError> {
        let endpoint = Endpoint { listener: listener.to_owned(), address };
        members::add(&self.core, voter, Some(&endpoint), patience).await
    }

    /// As [`Quorum::add_voter`], but returns as soon as the leader has written the change.
    pub async fn begin_to_add_voter(
        &self,
        voter: Voter,
        listener: &str,
        address: Address,
        patience: std::time::Duration,
    ) -> Result<(), VotersError> {
        let endpoint = Endpoint { listener: listener.to_owned(), address };
        members::begin_to_add(&self.core, voter, endpoint, patience).await
    }

    /// Makes a voter an observer; see [`VotersError`]. For the active leader only, which may name itself.
    pub async fn remove_voter(&self, voter: Voter) -> Result<(), VotersError> {
        members::remove(&self.core, voter).await
    }

    /// Returns when the quorum's task has died, with its last words. A stop on purpose is no death.
    pub async fn died(&self) -> String {
        let mut metrics: watch::Receiver<RaftMetrics<_, _>> = self.core.raft.metrics();
        let mut fatal = self.core.peers.fatal.subscribe();
        loop {
            if let Some(reason) = &*fatal.borrow_and_update() {
                return reason.clone();
            }
            if let Err(fatal) = &metrics.borrow_and_update().running_state
                && !matches!(fatal, openraft::error::Fatal::Stopped)
            {
                return fatal.to_string();
            }
            tokio::select! {
                biased;
                _ = fatal.changed() => {}
                changed = metrics.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
            }
        }
    }

    /// Whether this node leads the quorum now, and may decide; see [`Leadership::is_active`].
    pub fn is_leader(&self) -> bool {
        self.core.is_active(&self.core.metrics(), clock::instant())
    }

    /// Ends the quorum's service and waits for it. A leader hands over first. Later calls fail.
    pub async fn stop(&self) {
        let service = self.service.lock().take();
        let Some((stop, service)) = service else { return };
        // The service may have ended before; then there is nobody to tell.
        let _ = stop.send(());
        service.ended().await;
    }
}

fn refusal(
    error: openraft::error::RaftError<Voter, openraft::error::ClientWriteError<Voter, openraft::BasicNode>>,
) -> QuorumError {
    use openraft::error::{ClientWriteError, RaftError};
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
            QuorumError::NotLeader(to.leader_id.map(|leader| leader.node_id))
        }
        RaftError::APIError(other) => QuorumError::Stopped(other.to_string()),
        RaftError::Fatal(fatal) => QuorumError::Stopped(fatal.to_string()),
    }
}

/// What the service starts from.
struct Prepared {
    options: QuorumOptions,
    /// Our node and directory.
    identity: Voter,
    /// Our name in votes and memberships.
    me: Voter,
    log: LogStore,
    machine: StateMachine,
    published: Arc<Published>,
}

fn prepare(options: QuorumOptions) -> Result<Prepared, StartError> {
    let mut journal = open_or_format(&options)?;
    let identity = journal.state().identity.expect("a journal has an identity");
    let published = Arc::new(Published::default());
    let machine = StateMachine::open(Arc::clone(&options.disk), &options.dir, Arc::clone(&published))?;
    if journal.state().purged.is_some_and(|purged| machine.applied() < Some(purged)) {
        return Err(StartError::Gap { dir: options.dir });
    }
    let membership = membership(journal.state(), machine.membership()).clone();
    let me = name(&options.formation, identity, &membership);
    let is_alone = membership.voter_ids().eq([me]);
    // Before anything is written, the vote of a sole voter included: what is refused stays as it is.
    let found = cluster_id(journal.state(), is_alone).unwrap_or_else(|| published.load().cluster_id().to_string());
    if let Some(expected) = &options.cluster_id
        && !found.is_empty()
        && found != *expected
    {
        return Err(StartError::OtherCluster { dir: options.dir, found, expected: expected.clone() });
    }
    // openraft has a node that led lead on in its term after a restart. If its directory is a copy that was put back, it would
    // give entries that others have another content. And an entry of its term is applied already: it would decide on an image that
    // lacks what it had proposed and not yet committed. With other voters it has to be elected, which wants the longest log.
    if !is_alone {
        journal.forget_leading(me);
    }
    Ok(Prepared { options, identity, me, log: LogStore::new(journal), machine, published })
}

fn open_or_format(options: &QuorumOptions) -> Result<Journal, StartError> {
    let disk = Arc::clone(&options.disk);
    if !Journal::exists(&*disk, &options.dir) {
        let voter = Voter { node_id: options.node_id, directory_id: options.directory_id };
        let state = match &options.formation {
            Formation::Standalone => standalone(voter, voter, &options.endpoint),
            // Whoever is the only one listed has nobody to ask either.
            Formation::Voters(listed) if matches!(listed.as_slice(), [(id, _)] if *id == options.node_id) => {
                let endpoint = Endpoint { address: listed[0].1.clone(), ..options.endpoint.clone() };
                standalone(voter, members::fixed(options.node_id), &endpoint)
            }
            _ => State { identity: Some(voter), is_waiting: true, ..State::default() },
        };
        return Ok(Journal::create(disk, &options.dir, state)?);
    }
    let journal = Journal::open(disk, &options.dir)?;
    let found = journal.state().identity.expect("a journal has an identity").node_id;
    if found != options.node_id {
        return Err(StartError::OtherNode { dir: options.dir.clone(), found, expected: options.node_id });
    }
    Ok(journal)
}

/// Under which name this node votes: that which the quorum knows it by, and before there is one, that which it will.
fn name(formation: &Formation, identity: Voter, membership: &Membership) -> Voter {
    let fixed = members::fixed(identity.node_id);
    let is_listed = matches!(formation, Formation::Voters(listed) if listed.iter().any(|(id, _)| *id == fixed.node_id));
    if membership.nodes().next().is_none() {
        return if is_listed { fixed } else { identity };
    }
    let is_fixed = membership.get_node(&fixed).is_some();
    if is_listed && !is_fixed {
        tracing::warn!("controller.quorum.voters has no effect: the quorum has been formed otherwise");
    }
    if is_fixed { fixed } else { identity }
}

/// The id of the cluster by what is committed in the log; all of it is where one voter is alone.
fn cluster_id(state: &State, is_alone: bool) -> Option<String> {
    let committed = state.entries.values().filter(|entry| is_alone || Some(entry.log_id) <= state.committed);
    committed.rev().find_map(|entry| match &entry.payload {
        openraft::EntryPayload::Normal(batch) => batch.0.iter().rev().find_map(|record| match record {
            Record::ClusterCreated { cluster_id } => Some(cluster_id.to_string()),
            _ => None,
        }),
        _ => None,
    })
}

/// The last membership in the log, or else the one that is applied.
fn membership<'a>(state: &'a State, applied: &'a StoredMembership) -> &'a Membership {
    let in_log = state.entries.values().rev().find_map(|entry| match &entry.payload {
        openraft::EntryPayload::Membership(membership) => Some(membership),
        _ => None,
    });
    in_log.unwrap_or(applied.membership())
}

/// What an election among one voter leaves behind. A fixed voter's name is not its identity: it has no directory.
fn standalone(identity: Voter, voter: Voter, endpoint: &Endpoint) -> State {
    let nodes = BTreeMap::from([(voter, peers::node_of(endpoint))]);
    let membership = Membership::new(vec![BTreeSet::from([voter])], nodes);
    let log_id = openraft::LogId::new(openraft::CommittedLeaderId::new(1, voter), 0);
    let entry = Entry { log_id, payload: openraft::EntryPayload::Membership(membership) };
    State {
        identity: Some(identity),
        vote: Some(Vote::new_committed(1, voter)),
        entries: BTreeMap::from([(0, entry)]),
        ..State::default()
    }
}

/// The body of the quorum's service.
async fn run(prepared: Prepared, started: oneshot::Sender<Result<Arc<Core>, String>>, stopped: oneshot::Receiver<()>) {
    let core = match start_consensus(prepared).await {
        Ok(core) => core,
        Err(error) => {
            // The caller waits for the answer, unless it has given up.
            let _ = started.send(Err(error));
            return;
        }
    };
    let driver = Driver::new(Arc::clone(&core));
    // A caller that has given up has dropped its end of `stopped` too.
    let _ = started.send(Ok(Arc::clone(&core)));
    driver.run(stopped).await;
    if let Err(error) = core.raft.shutdown().await {
        tracing::error!(%error, "the quorum's task ended badly");
    }
}

async fn start_consensus(prepared: Prepared) -> Result<Arc<Core>, String> {
    let Prepared { options, identity, me, log, machine, published } = prepared;
    let QuorumOptions { timing, endpoint, cluster_id, formation, formed_by, snapshot_entries, .. } = options;
    let timing = timing.workable();
    let peers = Arc::new(Peers::new(me, identity, endpoint, timing, cluster_id, Arc::clone(&published)));
    let config = Arc::new(config(snapshot_entries, &timing));
    let network = Network { peers: Arc::clone(&peers) };
    let last_index = log.last_log_id().map(|last| last.index);
    let raft = Raft::new(me, config, network, log.clone(), machine).await.map_err(|error| error.to_string())?;
    let core = Arc::new(Core {
        raft,
        peers,
        log,
        published,
        timing,
        formation,
        formed_by,
        leadership: watch::Sender::default(),
        changing: tokio::sync::Mutex::default(),
        receiving: Mutex::default(),
    });
    catch_up_alone(&core, last_index).await?;
    core.refresh(&core.metrics(), clock::instant());
    Ok(core)
}

/// A sole voter has nobody to wait for: all that is in its log is committed as soon as it leads.
async fn catch_up_alone(core: &Core, last_index: Option<u64>) -> Result<(), String> {
    // What openraft has read from the disk is in its metrics a moment later.
    let is_read = |metrics: &RaftMetrics<Voter, openraft::BasicNode>| metrics.last_log_index >= last_index;
    let read = core.raft.wait(None).metrics(is_read, "the log is read").await.map_err(|error| error.to_string())?;
    if !read.membership_config.voter_ids().eq([core.peers.me]) {
        return Ok(());
    }
    if read.state != ServerState::Leader {
        core.raft.trigger().elect().await.map_err(|error| error.to_string())?;
    }
    let caught_up = |metrics: &RaftMetrics<Voter, openraft::BasicNode>| {
        metrics.state == ServerState::Leader && metrics.last_applied.map(|applied| applied.index) >= last_index
    };
    let waited = core.raft.wait(None).metrics(caught_up, "a sole voter leads and has applied its log").await;
    waited.map(|_| ()).map_err(|error| error.to_string())
}

fn config(snapshot_entries: u64, timing: &Timing) -> openraft::Config {
    let lease_ms = u64::try_from(timing.lease.as_millis()).unwrap_or(u64::MAX);
    openraft::Config {
        cluster_name: "ottla".into(),
        enable_tick: false,
        enable_heartbeat: false,
        enable_elect: false,
        heartbeat_interval: NEVER_MS,
        // The least and the greatest of these are also the patience with votes, and the lease.
        election_timeout_min: lease_ms,
        election_timeout_max: lease_ms + 1,
        snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(snapshot_entries),
        max_in_snapshot_log_to_keep: KEPT_ENTRIES,
        ..openraft::Config::default()
    }
}

#[cfg(test)]
mod tests;
