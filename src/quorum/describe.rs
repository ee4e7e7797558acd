//! How the quorum stands, for DescribeQuorum.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::QuorumError;
use super::core::{Core, ServerMetrics, voters};
use super::options::Endpoint;
use super::peers::endpoint_of;
use super::types::Voter;
use crate::io::clock;
use crate::model::{BrokerId, Offset};

/// The quorum as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub leader_id: BrokerId,
    /// The term.
    pub leader_epoch: u64,
    /// One past the last committed and applied entry.
    pub high_watermark: Offset,
    pub voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
    /// The voters' endpoints.
    pub nodes: BTreeMap<BrokerId, Endpoint>,
}

/// How far one node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// Its directory is nil when voters are fixed.
    pub replica: Voter,
    /// One past the last entry that it has on stable storage; -1 when that is not known.
    pub log_end_offset: Offset,
    /// How long ago it last followed; `None` when it has not under this leader.
    pub last_fetch: Option<Duration>,
    /// How long ago it last had all that was committed; `None` when it never had under this leader.
    pub last_caught_up: Option<Duration>,
}

/// See [`super::Quorum::describe`].
pub fn describe(core: &Core) -> Result<Description, QuorumError> {
    let (server, now) = (core.metrics(), clock::instant());
    if !core.is_active(&server, now) {
        return Err(QuorumError::NotLeader(server.current_leader.map(|leader| leader.node_id)));
    }
    let me = core.peers.me;
    let state = |replica: Voter| {
        if replica == me {
            let log_end_offset = Offset(core.log.last_log_id().map_or(0, |last| index(last.index + 1)));
            let at_once = Some(Duration::ZERO);
            return ReplicaState { replica, log_end_offset, last_fetch: at_once, last_caught_up: at_once };
        }
        let ack = core.peers.ack_of(&replica);
        let matching = ack.and_then(|ack| ack.matching);
        ReplicaState {
            replica,
            log_end_offset: matching.map_or(Offset::NONE, |matching| Offset(index(matching.index + 1))),
            last_fetch: ack.map(|ack| now - ack.sent_at),
            last_caught_up: ack.and_then(|ack| ack.caught_up_at).map(|at| now - at),
        }
    };
    let voters = voters(&server);
    let membership = server.membership_config.membership();
    Ok(Description {
        leader_id: me.node_id,
        leader_epoch: server.vote.leader_id.term,
        high_watermark: Offset(core.published.load().last_applied().0 + 1),
        observers: membership.learner_ids().map(state).collect(),
        nodes: nodes(&server),
        voters: voters.into_iter().map(state).collect(),
    })
}

/// The voters' endpoints.
pub fn nodes(metrics: &ServerMetrics) -> BTreeMap<BrokerId, Endpoint> {
    let voters = voters(metrics);
    let nodes = metrics.membership_config.membership().nodes().filter(|(voter, _)| voters.contains(voter));
    nodes.filter_map(|(voter, node)| Some((voter.node_id, endpoint_of(node)?))).collect()
}

/// See [`super::Quorum::controllers`].
pub fn controllers(metrics: &ServerMetrics) -> BTreeMap<BrokerId, Endpoint> {
    let mut all = nodes(metrics);
    let listeners: BTreeSet<String> = all.values().map(|endpoint| endpoint.listener.clone()).collect();
    let membership = metrics.membership_config.membership();
    let members = membership.nodes().filter_map(|(voter, node)| Some((voter.node_id, endpoint_of(node)?)));
    for (id, endpoint) in members.filter(|(_, endpoint)| listeners.contains(&endpoint.listener)) {
        all.entry(id).or_insert(endpoint);
    }
    all
}

fn index(index: u64) -> i64 {
    i64::try_from(index).expect("an index far below 2^63")
}
