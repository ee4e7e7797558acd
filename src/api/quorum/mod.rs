//! APIs about the metadata quorum: how it stands, and who votes in it.

mod add_raft_voter;
mod describe_quorum;
mod remove_raft_voter;
mod update_raft_voter;

use super::row::{Row, row};
use crate::model::{ErrorCode, TopicId};
use crate::protocol::message::StrBytes;
use crate::quorum::{QuorumError, Voter, VotersError};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<describe_quorum::DescribeQuorum>(),
    row::<add_raft_voter::AddRaftVoter>(),
    row::<remove_raft_voter::RemoveRaftVoter>(),
    row::<update_raft_voter::UpdateRaftVoter>(),
];

/// A code, and Kafka's words for it.
type Refusal = (ErrorCode, Option<StrBytes>);

/// As Kafka prints a `ReplicaKey`.
fn name(voter: &Voter) -> String {
    let directory_id = TopicId(voter.directory_id).to_string();
    let directory_id = if voter.directory_id.is_nil() { "<undefined>" } else { &directory_id };
    format!("ReplicaKey(id={}, directoryId={directory_id})", voter.node_id)
}

/// The cluster of a request, if it names one, must be ours (`KafkaRaftClient.hasValidClusterId`).
fn check_cluster(asked: Option<&StrBytes>, ours: &str) -> Result<(), Refusal> {
    match asked {
        Some(asked) if **asked != *ours => Err((
            ErrorCode::InconsistentClusterId,
            Some(StrBytes::from_string(format!(
                "The given id \"{}\" doesn't match the cluster id \"{ours}\"",
                &**asked
            ))),
        )),
        _ => Ok(()),
    }
}

/// Kafka leaves the message empty (`KafkaRaftClient.validateLeaderOnlyRequest`).
fn not_leader() -> Refusal {
    (ErrorCode::NotLeaderOrFollower, Some(StrBytes::default()))
}

/// Kafka's code and words (`AddVoterHandler`, `RemoveVoterHandler`); `doing` is "adding" or "removing".
fn refusal(error: &VotersError, doing: &str, voters: &[Voter]) -> Refusal {
    let all = || voters.iter().map(name).collect::<Vec<_>>().join(", ");
    let (code, words) = match error {
        VotersError::Quorum(QuorumError::NotLeader(_) | QuorumError::Lost) => {
            return not_leader();
        }
        VotersError::Quorum(_) => return (ErrorCode::UnknownServerError, None),
        VotersError::Fixed => (
            ErrorCode::UnsupportedVersion,
            format!("Cluster doesn't support {doing} voter because the kraft.version feature is 0"),
        ),
        VotersError::Duplicate(voter) => (
            ErrorCode::DuplicateVoter,
            format!("The voter id for {} is already part of the set of voters [{}].", name(voter), all()),
        ),
        VotersError::NotFound(voter) | VotersError::LastVoter(voter) => (
            ErrorCode::VoterNotFound,
            format!("Cannot remove voter {} from the set of voters [{}]", name(voter), all()),
        ),
        VotersError::InProgress => (
            ErrorCode::RequestTimedOut,
            "Request timed out waiting for leader to handle previous voter change request".to_owned(),
        ),
        VotersError::NotCaughtUp(voter) => (
            ErrorCode::RequestTimedOut,
            format!("Aborted add voter operation for {} since it is lagging behind", name(voter)),
        ),
    };
    (code, Some(StrBytes::from_string(words)))
}

#[cfg(test)]
mod tests;
