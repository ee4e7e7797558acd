//! Consensus on metadata records. The only room that names `openraft`.
//!
//! One voter is a quorum of one and takes the same path as three: a batch of records is appended to the log, flushed,
//! committed, applied to the image, and only then answered. It runs on a thread of its own; others call it from anywhere.
//!
//! A directory that holds no journal is formatted with one write: identity, a membership of this voter alone, and the vote
//! that an election among one would end with (Kafka's `kafka-storage format --standalone`). So a fresh node leads at once,
//! and so does one that comes back, since its committed vote says that it was the leader.
//!
//! Invariants:
//! - A batch that was answered is on stable storage of a majority of voters and part of the published image.
//! - The log is never cut below the snapshot: what is purged is in it.
//! - When the quorum's task dies, every call fails from then on and [`Quorum::died`] returns: the process must end.

mod journal;
mod log_store;
mod network;
mod options;
mod state_machine;
mod types;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use openraft::{Raft, RaftMetrics, ServerState};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::metadata::{Delta, Image, Record};
use crate::model::BrokerId;
use journal::{Journal, State};
use log_store::LogStore;
use state_machine::{Published, StateMachine};
use types::{Batch, Entry, Membership, TypeConfig, Vote, Voter};

pub use journal::JournalError;
pub use options::{Endpoint, Formation, QuorumOptions, Timing};
pub use state_machine::SnapshotError;

/// The name of the quorum's directory in the data directory. It is no `topic-partition`, so neither our log room nor a Kafka
/// that is started on the same directory takes it for a log.
pub const DIRECTORY: &str = "__ottla_metadata";

/// A filter for log lines: of the consensus library, only what a person should know.
pub const QUIET_LOGS: &str = "openraft=warn";

/// The period of a leader's heartbeats to its followers, in ms; it is also how often an idle quorum wakes up.
const HEARTBEAT_MS: u64 = 500;
/// A follower that hears nothing for 1 to 2 of these, in ms, stands for election (`controller.quorum.election.timeout.ms`).
const ELECTION_MS: u64 = 1000;
/// Entries that stay in the log although a snapshot holds them, for peers that are a little behind.
const KEPT_ENTRIES: u64 = 64;

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
    #[error("{dir}: the directory belongs to node {found}, and this is node {expected}")]
    OtherNode { dir: PathBuf, found: BrokerId, expected: BrokerId },
    #[error("{dir}: the log begins behind the snapshot: metadata is missing")]
    Gap { dir: PathBuf },
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
    /// The quorum has stopped; whether the records were committed is unknown.
    #[error("the quorum has stopped: {0}")]
    Stopped(String),
}

/// A running quorum; see the head of this file. Dropping it does not stop it: [`Quorum::stop`] does.
pub struct Quorum {
    raft: Raft<TypeConfig>,
    published: Arc<Published>,
    voter: Voter,
    stop: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Quorum {
    /// Opens or formats the directory and starts the quorum's thread. A sole voter leads when this returns, and everything
    /// that was ever answered is in the image.
    pub fn start(options: QuorumOptions) -> Result<Quorum, StartError> {
        if options.formation != Formation::Standalone {
            return Err(StartError::Consensus("this version forms quorums of one voter only".into()));
        }
        let journal = open_or_format(&options)?;
        let voter = journal.state().identity.expect("a journal has an identity");
        let image = ArcSwap::from_pointee(Image::default());
        let published = Arc::new(Published { image, listener: Mutex::new(None) });
        let machine =
            StateMachine::open(Arc::clone(&options.disk), &options.dir, options.node_id, Arc::clone(&published))?;
        if journal.state().purged.is_some_and(|purged| machine.applied() < Some(purged)) {
            return Err(StartError::Gap { dir: options.dir });
        }
        let config = config(options.snapshot_entries);
        let (started, raft) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("quorum".into())
            .spawn(move || run(voter, config, LogStore::new(journal), machine, started, stopped))
            .map_err(|error| StartError::Consensus(error.to_string()))?;
        let raft = raft.recv().unwrap_or_else(|_| Err("its thread ended".into()));
        let raft = raft.map_err(StartError::Consensus)?;
        Ok(Quorum { raft, published, voter, stop: Mutex::new(Some((stop, thread))) })
    }

    /// Has a listener told of every change from now on, in place of an earlier one.
    pub fn listen(&self, listener: impl Fn(Change<'_>) + Send + 'static) {
        *self.published.listener.lock() = Some(Box::new(listener));
    }

    /// The newest image.
    pub fn image(&self) -> Arc<Image> {
        self.published.image.load_full()
    }

    /// The id of the quorum's directory, which `meta.properties` names too.
    pub fn directory_id(&self) -> Uuid {
        self.voter.directory_id
    }

    /// Commits records, all or none, and gives the image after them (which holds no later ones). Not cancelled when dropped:
    /// the records may be committed all the same.
    pub async fn submit(&self, records: Vec<Record>) -> Result<Arc<Image>, QuorumError> {
        if Record::encode_all(&records).len() > BATCH_BYTES_MAX {
            return Err(QuorumError::TooLarge);
        }
        match self.raft.client_write(Batch(records.into())).await {
            Ok(written) => Ok(written.data),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Returns when the quorum's task has died, with its last words. A stop on purpose is no death.
    pub async fn died(&self) -> String {
        let mut metrics: watch::Receiver<RaftMetrics<_, _>> = self.raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_and_update().running_state
                && !matches!(fatal, openraft::error::Fatal::Stopped)
            {
                return fatal.to_string();
            }
            if metrics.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether this node leads the quorum now.
    pub fn is_leader(&self) -> bool {
        self.raft.metrics().borrow().state == ServerState::Leader
    }

    /// Ends the quorum's thread and waits for it. Later calls fail.
    pub fn stop(&self) {
        let Some((stop, thread)) = self.stop.lock().take() else { return };
        // The thread may have died before; then there is nobody to tell.
        let _ = stop.send(());
        if thread.join().is_err() {
            tracing::error!("the quorum's thread panicked");
        }
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

fn open_or_format(options: &QuorumOptions) -> Result<Journal, StartError> {
    let disk = Arc::clone(&options.disk);
    if !Journal::exists(&*disk, &options.dir) {
        let voter = Voter { node_id: options.node_id, directory_id: options.directory_id };
        return Ok(Journal::create(disk, &options.dir, standalone(voter))?);
    }
    let journal = Journal::open(disk, &options.dir)?;
    let found = journal.state().identity.expect("a journal has an identity").node_id;
    if found != options.node_id {
        return Err(StartError::OtherNode { dir: options.dir.clone(), found, expected: options.node_id });
    }
    Ok(journal)
}

/// What an election among one voter leaves behind.
fn standalone(voter: Voter) -> State {
    let nodes = std::collections::BTreeMap::from([(voter, openraft::BasicNode::default())]);
    let membership = Membership::new(vec![std::collections::BTreeSet::from([voter])], nodes);
    let log_id = openraft::LogId::new(openraft::CommittedLeaderId::new(1, voter), 0);
    let entry = Entry { log_id, payload: openraft::EntryPayload::Membership(membership) };
    State {
        identity: Some(voter),
        vote: Some(Vote::new_committed(1, voter)),
        entries: std::collections::BTreeMap::from([(0, entry)]),
        ..State::default()
    }
}

/// The body of the quorum's thread.
fn run(
    voter: Voter,
    config: openraft::Config,
    log_store: LogStore,
    machine: StateMachine,
    started: mpsc::Sender<Result<Raft<TypeConfig>, String>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // The caller waits for the answer, so it is there to take it.
            let _ = started.send(Err(error.to_string()));
            return;
        }
    };
    let last_index = log_store.last_index();
    runtime.block_on(async move {
        let raft = Raft::new(voter, Arc::new(config), network::NoPeers, log_store, machine).await;
        let raft = match raft {
            Ok(raft) => raft,
            Err(error) => {
                let _ = started.send(Err(error.to_string()));
                return;
            }
        };
        if let Err(error) = catch_up_alone(&raft, voter, last_index).await {
            let _ = started.send(Err(error));
            return;
        }
        let _ = started.send(Ok(raft.clone()));
        // A dropped handle stops the thread too.
        let _ = stopped.await;
        if let Err(error) = raft.shutdown().await {
            tracing::error!(%error, "the quorum's task ended badly");
        }
    });
}

/// A sole voter has nobody to wait for: all that is in its log is committed as soon as it leads.
async fn catch_up_alone(raft: &Raft<TypeConfig>, voter: Voter, last_index: Option<u64>) -> Result<(), String> {
    let membership = Arc::clone(&raft.metrics().borrow().membership_config);
    if membership.voter_ids().any(|other| other != voter) {
        return Ok(());
    }
    if raft.metrics().borrow().state != ServerState::Leader {
        raft.trigger().elect().await.map_err(|error| error.to_string())?;
    }
    let caught_up = |metrics: &RaftMetrics<Voter, openraft::BasicNode>| {
        metrics.state == ServerState::Leader && metrics.last_applied.map(|applied| applied.index) >= last_index
    };
    let waited = raft.wait(None).metrics(caught_up, "a sole voter leads and has applied its log").await;
    waited.map(|_| ()).map_err(|error| error.to_string())
}

fn config(snapshot_entries: u64) -> openraft::Config {
    openraft::Config {
        cluster_name: "ottla".into(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS,
        election_timeout_max: 2 * ELECTION_MS,
        snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(snapshot_entries),
        max_in_snapshot_log_to_keep: KEPT_ENTRIES,
        ..openraft::Config::default()
    }
}

#[cfg(test)]
mod tests;
