//! AddRaftVoter (80), v0–1: makes an observer of the metadata quorum a voter (KIP-853).
//! v1 ack_when_committed (KIP-1186)
//!
//! Source: `KafkaRaftClient.handleAddVoterRequest`, `AddVoterHandler`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{Refusal, check_cluster, not_leader, refusal};
use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::model::{BrokerId, ErrorCode};
use crate::peer::Address;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::add_raft_voter_request::Listener;
use crate::protocol::message::{AddRaftVoterRequest, AddRaftVoterResponse, StrBytes, waits_for_commit};
use crate::quorum::Voter;
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct AddRaftVoter;

impl Api for AddRaftVoter {
    type Request = AddRaftVoterRequest;
    type Response = AddRaftVoterResponse;
    const KEY: ApiKey = ApiKey::AddRaftVoter;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const ACCESS: Access<AddRaftVoterRequest> = Access::Cluster(Operation::Alter);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn timeout_ms(request: &AddRaftVoterRequest) -> Option<i32> {
        Some(request.timeout_ms)
    }

    fn handle(cx: &Context<'_>, request: AddRaftVoterRequest) -> Reply<AddRaftVoterResponse> {
        let default = cx.broker.quorum().endpoint().listener.clone();
        if let Err(refused) = check(&request, cx.broker.image().cluster_id(), &default) {
            return Reply::Now(response(refused));
        }
        let broker = Arc::clone(cx.broker);
        let voter = Voter { node_id: BrokerId(request.voter_id), directory_id: request.voter_directory_id };
        let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        Reply::later(async move {
            let is_default = |listener: &&Listener| *listener.name == *default;
            let listener = request.listeners.iter().find(is_default).expect("checked above");
            let address = Address { host: listener.host.to_string(), port: listener.port };
            let quorum = broker.quorum();
            let added = if waits_for_commit(&request) {
                quorum.add_voter(voter, &listener.name, address, patience).await
            } else {
                quorum.begin_to_add_voter(voter, &listener.name, address, patience).await
            };
            response(match added {
                Ok(()) => (ErrorCode::None, None),
                Err(error) => refusal(&error, "adding", &broker.quorum().voter_names()),
            })
        })
    }

    fn refuse(_request: &AddRaftVoterRequest, code: ErrorCode) -> AddRaftVoterResponse {
        response((code, None))
    }

    fn not_controller(cx: &Context<'_>, request: AddRaftVoterRequest, _words: String) -> Reply<AddRaftVoterResponse> {
        let checked = check_cluster(request.cluster_id.as_ref(), cx.broker.image().cluster_id());
        Reply::Now(response(checked.err().unwrap_or_else(not_leader)))
    }
}

/// `default` is the name of the leader's own listener: by that voters speak to each other.
fn check(request: &AddRaftVoterRequest, cluster_id: &str, default: &str) -> Result<(), Refusal> {
    check_cluster(request.cluster_id.as_ref(), cluster_id)?;
    let invalid = |words: &'static str| Err((ErrorCode::InvalidRequest, Some(StrBytes::from_static_str(words))));
    if request.voter_id < 0 || request.voter_directory_id.is_nil() {
        return invalid("Add voter request didn't include a valid voter");
    }
    if request.listeners.is_empty() {
        return invalid("Add voter request didn't include an endpoint");
    }
    if !request.listeners.iter().any(|listener| *listener.name == *default) {
        let named = |listener: &Listener| {
            format!("ListenerName({})={}/<unresolved>:{}", &*listener.name, &*listener.host, listener.port)
        };
        let endpoints: Vec<String> = request.listeners.iter().map(named).collect();
        let words = format!(
            "Add voter request didn't include the endpoint (Endpoints(endpoints={{{}}})) for the default listener \
             ListenerName({default})",
            endpoints.join(", ")
        );
        return Err((ErrorCode::InvalidRequest, Some(StrBytes::from_string(words))));
    }
    Ok(())
}

fn response((code, words): Refusal) -> AddRaftVoterResponse {
    AddRaftVoterResponse::default().with_error_code(code.code()).with_error_message(words)
}
