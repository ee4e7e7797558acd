//! What may be wrong with how a quorum was set up, and what its owner is told: nodes of different clusters, two nodes with one
//! id or one directory, addresses behind which nobody is.
//!
//! A node ends only when it is proven that it, and not another one, is wrong: one that has no part in the quorum yet, one that
//! a majority of its voters takes for a stranger, or one at whose address another process speaks in its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::core::{Core, ServerMetrics, voters};
use super::options::Formation;
use super::peers::{AskError, Purpose, endpoint_of};
use super::rpc::{Question, Refusal};
use super::types::Voter;
use crate::peer::Address;

/// What a refusal means for a node that wants to join: it may be one that lasts.
pub fn on_refusal(core: &Core, address: &Address, error: &AskError) {
    let AskError::Refused(refusal) = error else { return };
    match refusal {
        Refusal::OtherCluster(theirs) => core.peers.die(format!(
            "the quorum at {address} is of cluster {theirs}, and the directory of this node of cluster {}: \
             correct the address, or start with an empty directory",
            core.peers.cluster_id()
        )),
        // Also this node itself, before its directory was emptied, is another one until it is forgotten.
        Refusal::DuplicateNode if core.peers.is_refused_for_long() => core.peers.die(format!(
            "the quorum at {address} has another live node {}: give this one another node.id",
            core.peers.me.node_id
        )),
        Refusal::DuplicateNode => {}
        Refusal::WrongNode | Refusal::Busy(_) | Refusal::Malformed(_) => {}
    }
}

/// What it means for a voter that others refuse it.
pub fn on_voters_refusals(core: &Core, metrics: &ServerMetrics, failures: &BTreeMap<Voter, AskError>) {
    on_strangers(core, failures.values(), voters(metrics).len());
}

/// When a majority of the voters is of another cluster, this node is the stranger, and else they may be.
fn on_strangers<'a>(core: &Core, failures: impl Iterator<Item = &'a AskError>, voter_count: usize) {
    let strangers = failures.filter_map(|error| match error {
        AskError::Refused(Refusal::OtherCluster(theirs)) => Some(theirs.as_str()),
        _ => None,
    });
    let strangers: Vec<&str> = strangers.collect();
    let Some(theirs) = strangers.first() else { return };
    let own = core.peers.cluster_id();
    if 2 * strangers.len() > voter_count {
        core.peers.die(format!(
            "a majority of the voters is of cluster {theirs}, and the directory of this node of cluster {own}: give this \
             node its own directory back, or an empty one"
        ));
    } else if core.peers.may_complain() {
        let count = strangers.len();
        tracing::warn!(
            theirs,
            own,
            count,
            "voters are of another cluster: have they, or this node, the wrong directory?"
        );
    }
}

/// Asks those who are listed as voters, when the directory is part of a quorum already, whether that is theirs.
pub async fn check_listed(core: Arc<Core>) {
    let Formation::Voters(listed) = &core.formation else { return };
    let others = listed.iter().filter(|(id, _)| *id != core.peers.me.node_id);
    let others: Vec<Address> = others.map(|(_, address)| address.clone()).collect();
    let answers = super::driver::survey_addresses(&core, &others).await;
    on_strangers(&core, answers.iter().filter_map(|(_, answer)| answer.as_ref().err()), listed.len());
}

/// Asks at the addresses under which others know this node who is there, where they are not what it listens on itself: a
/// process that has a copy of the directory would vote in this node's name.
pub async fn check_own_addresses(core: &Core, metrics: &ServerMetrics) {
    let peers = &core.peers;
    let known = metrics.membership_config.membership().get_node(&peers.me).and_then(endpoint_of);
    let listed = match &core.formation {
        Formation::Voters(listed) => listed.iter().find(|(id, _)| *id == peers.me.node_id),
        Formation::Standalone | Formation::Join { .. } => None,
    };
    let addresses =
        known.map(|endpoint| endpoint.address).into_iter().chain(listed.map(|(_, address)| address.clone()));
    let elsewhere: BTreeSet<Address> = addresses.filter(|address| *address != peers.endpoint.address).collect();
    for address in elsewhere {
        let heard_before = peers.questions_to_itself();
        match peers.ask(&address, None, Purpose::Control, Question::Survey).await {
            // An address that leads here by a detour is right: this process has answered itself.
            Ok(response) if response.from_directory != peers.identity.directory_id => {}
            Ok(_) if peers.questions_to_itself() != heard_before => {}
            Ok(_) => peers.die(format!(
                "another process runs at {address} as node {} with the directory of this one, or a copy of it: stop one of \
                 the two; for a further node, give this one another node.id and an empty directory",
                peers.me.node_id
            )),
            // Others may remember an earlier life of this node; who answers there in its name lives.
            Err(AskError::Refused(Refusal::DuplicateNode)) => peers.die(format!(
                "another live node {} runs at {address}: give this one another node.id",
                peers.me.node_id
            )),
            Err(error) => on_refusal(core, &address, &error),
        }
    }
}

/// Who does not answer, each with the reason.
pub fn unanswered(
    metrics: &ServerMetrics,
    failures: &BTreeMap<Voter, AskError>,
    missing: &BTreeSet<Voter>,
) -> Vec<String> {
    let told = |voter: &Voter| {
        let node = metrics.membership_config.membership().get_node(voter);
        let name = format!("{}@{}", voter.node_id, node.map_or("", |node| &node.addr));
        failures.get(voter).map_or(name.clone(), |error| format!("{name}: {error}"))
    };
    missing.iter().map(told).collect()
}

/// What each address was good for, when no leader has been found at any.
pub async fn asked(core: &Arc<Core>, addresses: &BTreeSet<Address>) -> Vec<String> {
    let addresses: Vec<Address> = addresses.iter().cloned().collect();
    let answers = super::driver::survey_addresses(core, &addresses).await;
    let told = answers.into_iter().map(|(address, answer)| match answer {
        Ok(outlook) if outlook.knows_quorum => format!("{address} knows the quorum"),
        Ok(_) => format!("{address} knows of no quorum"),
        Err(error) => error.to_string(),
    });
    told.collect()
}
