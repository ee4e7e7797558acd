//! UpdateRaftVoter (82), v0: a voter of the metadata quorum has another address (KIP-853).
//!
//! Our controllers tell their addresses with words of their own; this is for whoever else knows better. A voter that hears of an
//! address that is not its own puts it right.
//!
//! Source: `KafkaRaftClient.handleUpdateVoterRequest`, `UpdateVoterHandler`. Kafka 4.3.1 ends when the voter is the leader itself
//! ("Received a FETCH/FETCH_SNAPSHOT request from the leader itself"); here that is a change like any other. Fixed voters are where
//! the configuration says, and answer UNSUPPORTED_VERSION as to every other change of them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{check_cluster, refusal};
use crate::api::{Api, Context, Reply};
use crate::broker::Broker;
use crate::config::Roles;
use crate::model::{BrokerId, ErrorCode};
use crate::peer::Address;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::update_raft_voter_request::Listener;
use crate::protocol::message::update_raft_voter_response::CurrentLeader;
use crate::protocol::message::{StrBytes, UpdateRaftVoterRequest, UpdateRaftVoterResponse, WireBrokerId};
use crate::quorum::{Leadership, Voter};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct UpdateRaftVoter;

/// The kraft.version of a quorum whose voters can be changed, which every voter must know.
const DYNAMIC: i16 = 1;

impl Api for UpdateRaftVoter {
    type Request = UpdateRaftVoterRequest;
    type Response = UpdateRaftVoterResponse;
    const KEY: ApiKey = ApiKey::UpdateRaftVoter;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<UpdateRaftVoterRequest> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;

    fn handle(cx: &Context<'_>, request: UpdateRaftVoterRequest) -> Reply<UpdateRaftVoterResponse> {
        let broker = Arc::clone(cx.broker);
        let listener = match check(&broker, &request) {
            Ok(listener) => listener.clone(),
            Err(code) => return Reply::Now(response(&broker, code)),
        };
        Reply::later(async move {
            let voter = Voter { node_id: BrokerId(request.voter_id), directory_id: request.voter_directory_id };
            let address = Address { host: listener.host.to_string(), port: listener.port };
            let code = match broker.quorum().update_voter(voter, &listener.name, address).await {
                Ok(()) => ErrorCode::None,
                Err(error) => refusal(&error, "updating", &[]).0,
            };
            response(&broker, code)
        })
    }

    fn refuse(_request: &UpdateRaftVoterRequest, code: ErrorCode) -> UpdateRaftVoterResponse {
        UpdateRaftVoterResponse::default().with_error_code(code.code())
    }
}

/// What is wrong with a request, in Kafka's order; else the endpoint that is wanted.
fn check<'a>(broker: &Broker, request: &'a UpdateRaftVoterRequest) -> Result<&'a Listener, ErrorCode> {
    check_cluster(request.cluster_id.as_ref(), broker.image().cluster_id()).map_err(|(code, _)| code)?;
    let leadership = broker.quorum().leadership().borrow().clone();
    check_leader(&leadership, request.current_leader_epoch)?;
    if broker.quorum().kraft_version() < DYNAMIC {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let default = &broker.quorum().endpoint().listener;
    let listener = request.listeners.iter().find(|listener| *listener.name == **default);
    let levels = &request.k_raft_version_feature;
    let knows_dynamic = (levels.min_supported_version..=levels.max_supported_version).contains(&DYNAMIC);
    let names_voter = request.voter_id >= 0 && !request.voter_directory_id.is_nil();
    listener.filter(|_| names_voter && knows_dynamic).ok_or(ErrorCode::InvalidRequest)
}

/// `KafkaRaftClient.validateLeaderOnlyRequest`.
fn check_leader(leadership: &Leadership, epoch: i32) -> Result<(), ErrorCode> {
    let ours = i32::try_from(leadership.term).unwrap_or(i32::MAX);
    match epoch.cmp(&ours) {
        std::cmp::Ordering::Less => Err(ErrorCode::FencedLeaderEpoch),
        std::cmp::Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
        std::cmp::Ordering::Equal if leadership.is_active => Ok(()),
        std::cmp::Ordering::Equal => Err(ErrorCode::NotLeaderOrFollower),
    }
}

fn response(broker: &Broker, code: ErrorCode) -> UpdateRaftVoterResponse {
    let leadership = broker.quorum().leadership().borrow().clone();
    let epoch = i32::try_from(leadership.term).unwrap_or(i32::MAX);
    let leader = match &leadership.leader {
        Some(node) => CurrentLeader::default()
            .with_leader_id(WireBrokerId(node.id.0))
            .with_host(StrBytes::from_string(node.host.clone()))
            .with_port(i32::from(node.port)),
        None => CurrentLeader::default().with_leader_id(WireBrokerId(-1)),
    };
    UpdateRaftVoterResponse::default().with_error_code(code.code()).with_current_leader(leader.with_leader_epoch(epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_leader_of_this_epoch_is_asked() {
        let leadership = |is_active| Leadership { leader: None, term: 7, is_active };
        let cases = [
            (true, 7, Ok(())),
            (true, 6, Err(ErrorCode::FencedLeaderEpoch)),
            (true, -1, Err(ErrorCode::FencedLeaderEpoch)),
            (true, 8, Err(ErrorCode::UnknownLeaderEpoch)),
            (false, 7, Err(ErrorCode::NotLeaderOrFollower)),
            (false, 6, Err(ErrorCode::FencedLeaderEpoch)),
        ];
        for (is_active, epoch, expected) in cases {
            assert_eq!(check_leader(&leadership(is_active), epoch), expected, "{is_active} {epoch}");
        }
    }
}
