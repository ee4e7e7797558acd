//! Who belongs to the quorum: observers that join, voters that are added and removed, addresses that change (KIP-853).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::{BasicNode, ChangeMembers};
use uuid::Uuid;

use super::QuorumError;
use super::core::{Core, ServerMetrics, is_static, leads};
use super::options::Endpoint;
use super::peers::{endpoint_of, node_of};
use super::rpc::{Answer, Refusal};
use super::serve::not_leader;
use super::types::Voter;
use crate::io::clock;
use crate::model::BrokerId;

/// Why the voters stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VotersError {
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// The voters are those of `controller.quorum.voters`, for good.
    #[error("the voters are fixed by controller.quorum.voters")]
    Fixed,
    #[error("{0} is a voter")]
    Duplicate(Voter),
    #[error("{0} is no voter")]
    NotFound(Voter),
    #[error("{0} is the only voter")]
    LastVoter(Voter),
    /// Another change is under way.
    #[error("another change of the voters is under way")]
    InProgress,
    #[error("{0} cannot be reached, or has not caught up in time")]
    NotCaughtUp(Voter),
}

/// A node wants the log. Its own name has its directory, so whoever has that is the same node.
pub async fn join(core: &Core, from: Voter, endpoint: &str) -> Answer {
    let metrics = core.metrics();
    if !core.is_active(&metrics, clock::instant()) {
        return not_leader(core);
    }
    let node = BasicNode::new(endpoint);
    if endpoint_of(&node).is_none() {
        return Answer::Refused(Refusal::Malformed(format!("{endpoint:?} is no endpoint")));
    }
    let Ok(_changing) = core.changing.try_lock() else {
        return Answer::Refused(Refusal::Busy("another change of the members is under way".into()));
    };
    let metrics = core.metrics();
    let membership = metrics.membership_config.membership();
    if let Some(known) = membership.get_node(&from) {
        if *known == node {
            return Answer::Done;
        }
        tracing::info!(node = %from, from = known.addr, to = endpoint, "a node of the quorum has a new address");
        return done(core.change(ChangeMembers::SetNodes(BTreeMap::from([(from, node)])), true).await);
    }
    let namesakes: Vec<Voter> =
        membership.nodes().map(|(voter, _)| *voter).filter(|voter| voter.node_id == from.node_id).collect();
    if namesakes.iter().any(|voter| *voter == core.peers.me || core.peers.is_alive(voter)) {
        tracing::error!(node_id = %from.node_id, directory = %from.directory_id, "two nodes have this id: give one of them another node.id");
        return Answer::Refused(Refusal::DuplicateNode);
    }
    let voters: BTreeSet<Voter> = metrics.membership_config.voter_ids().collect();
    let stale: BTreeSet<Voter> = namesakes.into_iter().filter(|voter| !voters.contains(voter)).collect();
    if !stale.is_empty() {
        tracing::info!(nodes = ?stale, "a node observes the quorum with a new directory; its old one is forgotten");
        if let Err(error) = core.change(ChangeMembers::RemoveNodes(stale), true).await {
            return done(Err(error));
        }
    }
    tracing::info!(node = %from, endpoint, "a node observes the quorum");
    done(core.change(ChangeMembers::AddNodes(BTreeMap::from([(from, node)])), true).await)
}

fn done(changed: Result<(), QuorumError>) -> Answer {
    match changed {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Refused(Refusal::Busy(error.to_string())),
    }
}

/// An observer wants to vote (`controller.quorum.auto.join.enable`, KIP-1186). A voter of the same id with another directory goes:
/// the observer has its place.
pub async fn become_voter(core: &Core, from: Voter) -> Answer {
    let metrics = core.metrics();
    if !core.is_active(&metrics, clock::instant()) {
        return not_leader(core);
    }
    let namesake = metrics.membership_config.voter_ids().find(|voter| voter.node_id == from.node_id && *voter != from);
    let removed = match namesake {
        Some(namesake) => remove(core, namesake).await,
        None => Ok(()),
    };
    let added = match removed {
        Ok(()) => add(core, from, None, core.timing.fetch_timeout).await,
        Err(error) => Err(error),
    };
    match added {
        Ok(()) | Err(VotersError::Duplicate(_)) => Answer::Done,
        Err(error) => Answer::Refused(Refusal::Busy(error.to_string())),
    }
}

/// Makes a node a voter: first it observes, and when it has caught up it votes. Waits for that no longer than `patience`.
pub async fn add(
    core: &Core,
    voter: Voter,
    endpoint: Option<&Endpoint>,
    patience: Duration,
) -> Result<(), VotersError> {
    let _changing = may_change(core)?;
    let metrics = core.metrics();
    if let Some(known) = metrics.membership_config.voter_ids().find(|known| known.node_id == voter.node_id) {
        return Err(VotersError::Duplicate(known));
    }
    let is_member = metrics.membership_config.membership().get_node(&voter).is_some();
    match endpoint {
        Some(endpoint) if !is_member => {
            let nodes = BTreeMap::from([(voter, node_of(endpoint))]);
            core.change(ChangeMembers::AddNodes(nodes), true).await?;
        }
        None if !is_member => return Err(VotersError::NotFound(voter)),
        _ => {}
    }
    let target = core.log.last_log_id();
    let is_caught_up = |metrics: &openraft::RaftMetrics<Voter, BasicNode>| {
        metrics.replication.as_ref().is_none_or(|all| all.get(&voter).is_some_and(|matching| *matching >= target))
    };
    let waited = core.raft.wait(Some(patience)).metrics(is_caught_up, "a new voter catches up").await;
    let is_there = waited.is_ok_and(|metrics| metrics.replication.is_some());
    if !is_there {
        return Err(if leads(&core.metrics()) { VotersError::NotCaughtUp(voter) } else { QuorumError::Lost.into() });
    }
    tracing::info!(%voter, "a node becomes a voter of the metadata quorum");
    Ok(core.change(ChangeMembers::AddVoterIds(BTreeSet::from([voter])), true).await?)
}

/// As [`add`], but returns as soon as this node, as the leader, has written the change; then it may still be lost.
pub async fn begin_to_add(
    core: &Arc<Core>,
    voter: Voter,
    endpoint: Endpoint,
    patience: Duration,
) -> Result<(), VotersError> {
    let is_voter = |metrics: &ServerMetrics| metrics.membership_config.voter_ids().any(|known| known == voter);
    let mut metrics = core.raft.server_metrics();
    if is_voter(&metrics.borrow_and_update()) {
        return Err(VotersError::Duplicate(voter));
    }
    let adding = Arc::clone(core);
    let adding = tokio::spawn(async move { add(&adding, voter, Some(&endpoint), patience).await });
    tokio::select! {
        biased;
        // What panics has its own line in the log.
        added = adding => added.unwrap_or_else(|_| Err(QuorumError::Lost.into())),
        // The quorum has ended when this fails.
        written = metrics.wait_for(is_voter) => written.map(|_| ()).map_err(|_| QuorumError::Lost.into()),
    }
}

/// Gives a voter another address.
pub async fn update(core: &Core, voter: Voter, endpoint: &Endpoint) -> Result<(), VotersError> {
    let _changing = may_change(core)?;
    let metrics = core.metrics();
    if !metrics.membership_config.voter_ids().any(|known| known == voter) {
        return Err(VotersError::NotFound(voter));
    }
    let node = node_of(endpoint);
    if metrics.membership_config.membership().get_node(&voter) == Some(&node) {
        return Ok(());
    }
    tracing::info!(%voter, %endpoint, "a voter of the metadata quorum has a new address");
    Ok(core.change(ChangeMembers::SetNodes(BTreeMap::from([(voter, node)])), true).await?)
}

/// Makes a voter an observer. The leader can remove itself: it hands over when that is committed.
pub async fn remove(core: &Core, voter: Voter) -> Result<(), VotersError> {
    let _changing = may_change(core)?;
    let voters: BTreeSet<Voter> = core.metrics().membership_config.voter_ids().collect();
    if !voters.contains(&voter) {
        return Err(VotersError::NotFound(voter));
    }
    if voters.len() == 1 {
        return Err(VotersError::LastVoter(voter));
    }
    tracing::info!(%voter, "a node is a voter of the metadata quorum no more");
    Ok(core.change(ChangeMembers::RemoveVoters(BTreeSet::from([voter])), true).await?)
}

fn may_change(core: &Core) -> Result<tokio::sync::MutexGuard<'_, ()>, VotersError> {
    let metrics = core.metrics();
    if !core.is_active(&metrics, clock::instant()) {
        return Err(QuorumError::NotLeader(metrics.current_leader.map(|leader| leader.node_id)).into());
    }
    if is_static(&metrics.membership_config) {
        return Err(VotersError::Fixed);
    }
    core.changing.try_lock().map_err(|_| VotersError::InProgress)
}

/// Puts addresses right that this node, as the leader, knows better: its own, and those of fixed voters.
pub async fn correct_addresses(core: Arc<Core>, nodes: BTreeMap<Voter, BasicNode>) {
    let Ok(_changing) = core.changing.try_lock() else { return };
    if let Err(error) = core.change(ChangeMembers::SetNodes(nodes), true).await {
        tracing::debug!(%error, "addresses of the quorum's nodes stay as they were for now");
    }
}

/// Forgets observers that have long been silent.
pub async fn forget(core: Arc<Core>, nodes: BTreeSet<Voter>) {
    let Ok(_changing) = core.changing.try_lock() else { return };
    tracing::info!(?nodes, "observers of the quorum have been silent for long, and are forgotten");
    if let Err(error) = core.change(ChangeMembers::RemoveNodes(nodes), true).await {
        tracing::debug!(%error, "silent observers of the quorum are not forgotten yet");
    }
}

/// A fixed voter's name: its directory plays no part.
pub fn fixed(node_id: BrokerId) -> Voter {
    Voter { node_id, directory_id: Uuid::nil() }
}
