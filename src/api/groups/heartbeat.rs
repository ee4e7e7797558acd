//! Heartbeat (12), v0–4: a member is alive; learns whether it has to join again.
//! v3 group_instance_id (KIP-345) · v4 flexible
//!
//! While the coordinator is loading the answer is NONE: a member that did nothing wrong goes on
//! (`GroupCoordinatorService.heartbeat`).

use std::ops::RangeInclusive;

use super::answer;
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::{MemberIdentity, Reply as GroupReply};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{HeartbeatRequest, HeartbeatResponse};
use crate::security::{Access, Operation, ResourceType};

pub struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    type Response = HeartbeatResponse;
    const KEY: ApiKey = ApiKey::Heartbeat;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const ACCESS: Access<HeartbeatRequest> =
        Access::on(Operation::Read, ResourceType::Group, |request| &request.group_id);

    fn handle(cx: &Context<'_>, request: HeartbeatRequest) -> Reply<HeartbeatResponse> {
        let member = MemberIdentity {
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            generation_id: request.generation_id,
        };
        let called = cx.broker.groups().call(cx.broker, cx.now, &request.group_id, |machine, token| {
            machine.heartbeat(cx.now, &request.group_id, member, token)
        });
        answer(called, |reply| {
            respond(match reply {
                Ok(GroupReply::Heartbeat(error)) => error,
                Ok(_) => ErrorCode::UnknownServerError,
                Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
                Err(error) => error,
            })
        })
    }

    fn refuse(_request: &HeartbeatRequest, code: ErrorCode) -> HeartbeatResponse {
        respond(code)
    }
}

fn respond(error: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(error.code())
}
