//! RemoveRaftVoter (81), v0: makes a voter of the metadata quorum an observer (KIP-853).
//!
//! Source: `KafkaRaftClient.handleRemoveVoterRequest`, `RemoveVoterHandler`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Refusal, check_cluster, not_leader, refusal};
use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{RemoveRaftVoterRequest, RemoveRaftVoterResponse, StrBytes};
use crate::quorum::Voter;
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct RemoveRaftVoter;

impl Api for RemoveRaftVoter {
    type Request = RemoveRaftVoterRequest;
    type Response = RemoveRaftVoterResponse;
    const KEY: ApiKey = ApiKey::RemoveRaftVoter;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<RemoveRaftVoterRequest> = Access::Cluster(Operation::Alter);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(cx: &Context<'_>, request: RemoveRaftVoterRequest) -> Reply<RemoveRaftVoterResponse> {
        if let Err(refused) = check(&request, cx.broker.image().cluster_id()) {
            return Reply::Now(response(refused));
        }
        let broker = Arc::clone(cx.broker);
        let voter = Voter { node_id: BrokerId(request.voter_id), directory_id: request.voter_directory_id };
        Reply::later(async move {
            response(match broker.quorum().remove_voter(voter).await {
                Ok(()) => (ErrorCode::None, None),
                Err(error) => refusal(&error, "removing", &broker.quorum().voter_names()),
            })
        })
    }

    fn refuse(_request: &RemoveRaftVoterRequest, code: ErrorCode) -> RemoveRaftVoterResponse {
        response((code, None))
    }

    fn not_controller(
        cx: &Context<'_>,
        request: RemoveRaftVoterRequest,
        _words: String,
    ) -> Reply<RemoveRaftVoterResponse> {
        let checked = check_cluster(request.cluster_id.as_ref(), cx.broker.image().cluster_id());
        Reply::Now(response(checked.err().unwrap_or_else(not_leader)))
    }
}

fn check(request: &RemoveRaftVoterRequest, cluster_id: &str) -> Result<(), Refusal> {
    check_cluster(request.cluster_id.as_ref(), cluster_id)?;
    if request.voter_id < 0 || request.voter_directory_id.is_nil() {
        let words = StrBytes::from_static_str("Remove voter request didn't include a valid voter");
        return Err((ErrorCode::InvalidRequest, Some(words)));
    }
    Ok(())
}

fn response((code, words): Refusal) -> RemoveRaftVoterResponse {
    RemoveRaftVoterResponse::default().with_error_code(code.code()).with_error_message(words)
}
