//! How a quorum is to start: whose it is, where it lies, and who may form it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::io::disk::Disk;
use crate::model::BrokerId;
use crate::peer::Address;

/// Where this node's controller listener is for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, which DescribeQuorum shows.
    pub listener: String,
    pub address: Address,
}

/// Who may form the quorum that a fresh directory belongs to. A directory that belongs to one already goes on with it: then the
/// addresses are only further places to ask for its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formation {
    /// This node alone, at once: a sole, dynamic voter. For a start with no quorum and no join setting.
    Standalone,
    /// `controller.quorum.voters`: these voters and no others, for good (kraft.version 0). A node that is not among them
    /// observes.
    Voters(Vec<(BrokerId, Address)>),
    /// `controller.quorum.bootstrap.servers` or `--join`: the quorum is found at these addresses, and this node observes it
    /// until it is made a voter.
    Join {
        addresses: Vec<Address>,
        /// Whether this node may form the quorum alone when the addresses (itself included) answer that they know of none, all or
        /// most of them ([`FormedBy`]): it is the first of them.
        may_form: bool,
        /// `controller.quorum.auto.join.enable`: this node asks to become a voter when it has caught up.
        auto_join: bool,
    },
}

impl Formation {
    /// Whether this node may be among the first.
    pub(super) fn lets_form(&self, node_id: BrokerId) -> bool {
        match self {
            Formation::Standalone => true,
            Formation::Voters(listed) => listed.iter().any(|(id, _)| *id == node_id),
            Formation::Join { may_form, .. } => *may_form,
        }
    }
}

/// Who has to be there when a quorum is formed for the first time; afterwards a majority is always enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormedBy {
    /// Everybody who is listed: nobody who is not heard can have anything of an earlier life of the quorum.
    #[default]
    All,
    /// A majority, when the others have been silent for some seconds. Somebody says by this that there was no quorum before.
    Majority,
}

/// How patient the quorum is. Shorter than Kafka's defaults: a cluster is without a controller for this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The period of the leader's heartbeats when it has peers.
    pub heartbeat: Duration,
    /// The longest wait for a peer's answer to anything small.
    pub request_timeout: Duration,
    /// No vote is given for this long after the leader was heard.
    pub lease: Duration,
    /// A follower that has heard nothing for this long asks the others, and stands for election at once when nobody listens
    /// at the leader's address any more.
    pub suspicion: Duration,
    /// A follower that has heard nothing for this long stands for election when a majority has not either; a leader that has
    /// not heard a majority for this long leads no more (`controller.quorum.fetch.timeout.ms`).
    pub fetch_timeout: Duration,
    /// A candidate that has not won after this long tries again (`controller.quorum.election.timeout.ms`).
    pub election_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(150),
            request_timeout: Duration::from_millis(500),
            lease: Duration::from_millis(300),
            suspicion: Duration::from_millis(400),
            fetch_timeout: Duration::from_millis(1500),
            election_timeout: Duration::from_millis(500),
        }
    }
}

impl Timing {
    /// The same where it can work; patience that is less than what it waits for is raised. No setting may leave a cluster that
    /// never has a leader.
    pub fn workable(self) -> Timing {
        let request_timeout = self.request_timeout.max(self.heartbeat);
        let lease = self.lease.max(self.heartbeat);
        let suspicion = self.suspicion.max(lease + Duration::from_millis(1));
        let fetch_timeout = self.fetch_timeout.max(2 * suspicion);
        Timing {
            request_timeout,
            lease,
            suspicion,
            fetch_timeout,
            election_timeout: self.election_timeout.max(lease),
            ..self
        }
    }
}

/// How to start.
pub struct QuorumOptions {
    /// The quorum's own directory; created when it is not there.
    pub dir: PathBuf,
    pub node_id: BrokerId,
    /// The directory's id when it is created now; an existing one keeps the id it has.
    pub directory_id: Uuid,
    /// The cluster that the node's directories belong to, when they say so; a quorum of another one is refused.
    pub cluster_id: Option<String>,
    pub formation: Formation,
    pub formed_by: FormedBy,
    /// Where the other voters reach this node.
    pub endpoint: Endpoint,
    pub disk: Arc<dyn Disk>,
    /// Log entries between two snapshots, [`QuorumOptions::SNAPSHOT_ENTRIES`] outside tests.
    pub snapshot_entries: u64,
    pub timing: Timing,
}

impl QuorumOptions {
    /// Often enough that a start replays little, seldom enough that a snapshot of 10,000 topics costs little; in simulated time,
    /// where a run is short, so that there are some.
    pub const SNAPSHOT_ENTRIES: u64 = if cfg!(feature = "sim") { 32 } else { 4096 };
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.listener, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_raised_to_what_it_waits_for_and_else_left_alone() {
        assert_eq!(Timing::default().workable(), Timing::default());
        let none = Duration::ZERO;
        let least = Timing { request_timeout: none, fetch_timeout: none, election_timeout: none, ..Timing::default() };
        let expected = Timing {
            request_timeout: Duration::from_millis(150),
            fetch_timeout: Duration::from_millis(800),
            election_timeout: Duration::from_millis(300),
            ..Timing::default()
        };
        assert_eq!(least.workable(), expected);
        let leased = Timing { lease: Duration::from_secs(30), ..Timing::default() };
        assert!(leased.workable().suspicion > leased.lease);
    }
}
