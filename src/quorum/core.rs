//! What the quorum's callers, its driver and the answers to other nodes share: openraft's handle and what surrounds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::metrics::RaftServerMetrics;
use openraft::{ChangeMembers, Raft, ServerState};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::log_store::LogStore;
use super::options::{Formation, FormedBy, Timing};
use super::peers::{Peers, endpoint_of};
use super::published::Published;
use super::rpc::Outlook;
use super::serve::Receiving;
use super::types::{LogId, StoredMembership, TypeConfig, Vote, Voter};
use super::{Leadership, Node, QuorumError};
use crate::io::clock;
use crate::metadata::Partition;
use crate::model::BrokerId;

pub type ServerMetrics = RaftServerMetrics<Voter, openraft::BasicNode>;

/// Votes for nobody: below every node, so that every candidate of the same term outbids it.
pub const NOBODY: Voter = Voter { node_id: BrokerId(i32::MIN), directory_id: uuid::Uuid::nil() };

/// See the head of this file.
pub struct Core {
    pub raft: Raft<TypeConfig>,
    pub peers: Arc<Peers>,
    pub log: LogStore,
    pub published: Arc<Published>,
    pub timing: Timing,
    pub formation: Formation,
    pub formed_by: FormedBy,
    pub leadership: watch::Sender<Leadership>,
    /// One change of the membership at a time.
    pub changing: tokio::sync::Mutex<()>,
    /// The snapshot that is coming in.
    pub receiving: Mutex<Option<Receiving>>,
}

impl Core {
    pub fn metrics(&self) -> ServerMetrics {
        self.raft.server_metrics().borrow().clone()
    }

    /// Whether this node leads, what it leads has an entry of its own term applied, and a majority has lately followed.
    pub fn is_active(&self, metrics: &ServerMetrics, now: Instant) -> bool {
        if !leads(metrics) {
            return false;
        }
        let applied = self.raft.data_metrics().borrow().last_applied;
        applied.is_some_and(|applied| applied.leader_id == metrics.vote.leader_id)
            && self.majority_acked_at(metrics, now).is_some_and(|at| now - at < self.timing.fetch_timeout)
    }

    /// When a majority of the voters last certainly followed; `None` when they never did.
    pub fn majority_acked_at(&self, metrics: &ServerMetrics, now: Instant) -> Option<Instant> {
        self.peers.majority_acked_at(metrics.membership_config.membership().get_joint_config(), now)
    }

    /// Publishes who leads.
    pub fn refresh(&self, metrics: &ServerMetrics, now: Instant) {
        let leader = metrics.current_leader.filter(|leader| *leader != NOBODY);
        let next = Leadership {
            leader: leader.and_then(|leader| self.node(metrics, &leader)),
            term: metrics.vote.leader_id.term,
            is_active: self.is_active(metrics, now),
        };
        self.published.set_controller(leader.map_or(Partition::NO_LEADER, |leader| leader.node_id));
        self.leadership.send_if_modified(|leadership| {
            let is_changed = *leadership != next;
            if is_changed {
                let controller = leader.map(|leader| leader.node_id.0);
                tracing::info!(controller, term = next.term, is_active = next.is_active, "metadata quorum");
                *leadership = next;
            }
            is_changed
        });
    }

    fn node(&self, metrics: &ServerMetrics, voter: &Voter) -> Option<Node> {
        let known = metrics.membership_config.membership().get_node(voter).and_then(endpoint_of);
        let own = (*voter == self.peers.me).then(|| self.peers.endpoint.clone());
        let address = own.or(known)?.address;
        Some(Node { id: voter.node_id, host: address.host, port: address.port })
    }

    /// How this node sees the quorum, for a survey.
    pub fn outlook(&self) -> Outlook {
        let now = clock::instant();
        let metrics = self.metrics();
        let (vote, last_log_id) = (self.log.vote(), self.log.last_log_id());
        let has_entries = last_log_id.is_some_and(|last| last.index > 0);
        let silence = self.peers.leader_silence(now);
        Outlook {
            // A first entry that says who votes, and votes, are all that a quorum that is being formed has.
            knows_quorum: has_entries || silence.is_some_and(|silence| silence < self.timing.fetch_timeout),
            cluster_id: self.peers.cluster_id(),
            may_vote: !self.log.is_waiting(),
            vote,
            last_log_id,
            leader_heard_ms: silence.map(|silence| u64::try_from(silence.as_millis()).unwrap_or(u64::MAX)),
            is_active: self.is_active(&metrics, now),
        }
    }

    /// Returns when this node leads no more in the term.
    pub async fn lost(&self, term: u64) {
        let mut metrics = self.raft.server_metrics();
        // The sender is gone when the quorum has ended: that is a loss too.
        let _ = metrics.wait_for(|metrics| !leads(metrics) || metrics.vote.leader_id.term != term).await;
    }

    /// Changes the membership; waits until the change is committed.
    pub async fn change(
        &self,
        changes: ChangeMembers<Voter, openraft::BasicNode>,
        retain: bool,
    ) -> Result<(), QuorumError> {
        let metrics = self.metrics();
        if !leads(&metrics) {
            return Err(QuorumError::NotLeader(metrics.current_leader.map(|leader| leader.node_id)));
        }
        tokio::select! {
            biased;
            changed = self.raft.change_membership(changes, retain) => changed.map(|_| ()).map_err(super::refusal),
            () = self.lost(metrics.vote.leader_id.term) => Err(QuorumError::Lost),
        }
    }

    /// Gives leadership up: votes for nobody in the next term. False when the vote was refused, and this node leads on.
    pub async fn resign(&self, metrics: &ServerMetrics) -> bool {
        let term = metrics.vote.leader_id.term;
        let vote = Vote::new(term + 1, NOBODY);
        let request = openraft::raft::VoteRequest::new(vote, self.log.last_log_id());
        let is_granted = self.raft.vote(request).await.is_ok_and(|response| response.vote_granted);
        if is_granted {
            tracing::info!(term, "leads the metadata quorum no more");
        }
        is_granted
    }
}

/// Whether this node leads, in its own opinion.
pub fn leads(metrics: &ServerMetrics) -> bool {
    metrics.state == ServerState::Leader || metrics.current_leader == Some(metrics.id)
}

/// Whether a membership has fixed voters: they have no directory (kraft.version 0).
pub fn is_static(membership: &StoredMembership) -> bool {
    membership.voter_ids().any(|voter| voter.directory_id.is_nil())
}

/// Everybody in the membership but this node.
pub fn others(metrics: &ServerMetrics) -> BTreeMap<Voter, openraft::BasicNode> {
    let nodes = metrics.membership_config.nodes().filter(|(voter, _)| **voter != metrics.id);
    nodes.map(|(voter, node)| (*voter, node.clone())).collect()
}

/// The voters, all configurations together.
pub fn voters(metrics: &ServerMetrics) -> BTreeSet<Voter> {
    metrics.membership_config.voter_ids().collect()
}

/// Whether an entry of the leader of this vote is committed: until one is, what it knows to be committed may be too little.
pub fn knows_committed(vote: &Vote, committed: Option<LogId>) -> bool {
    committed.is_some_and(|committed| committed.leader_id == vote.leader_id)
}
