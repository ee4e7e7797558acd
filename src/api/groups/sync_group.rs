//! SyncGroup (14), v0–5: the leader brings the assignment, every member takes its part; answers when it is committed.
//! v3 group_instance_id (KIP-345) · v4 flexible · v5 protocol type and name on both ways (KIP-559)

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::{answer, optional_text, text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::{Assignment, Reply as GroupReply, SyncReply, SyncRequest};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{SyncGroupRequest, SyncGroupResponse};
use crate::security::{Access, Operation, ResourceType};

/// From this version on a member says which protocol it believes to be chosen.
const FIRST_VERSION_WITH_PROTOCOL: i16 = 5;

pub struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    type Response = SyncGroupResponse;
    const KEY: ApiKey = ApiKey::SyncGroup;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const ACCESS: Access<SyncGroupRequest> =
        Access::on(Operation::Read, ResourceType::Group, |request| &request.group_id);

    fn handle(cx: &Context<'_>, request: SyncGroupRequest) -> Reply<SyncGroupResponse> {
        let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
        if cx.version >= FIRST_VERSION_WITH_PROTOCOL && !names_protocol {
            return Reply::Now(SyncGroup::refuse(&request, ErrorCode::InconsistentGroupProtocol));
        }
        let now = cx.now;
        let request = translate(&request);
        let called = cx
            .broker
            .groups()
            .call(cx.broker, now, &request.group_id, |machine, token| machine.sync(now, &request, token));
        answer(called, |reply| match reply {
            Ok(GroupReply::Sync(reply)) => respond(reply),
            Ok(_) => respond(SyncReply::error(ErrorCode::UnknownServerError)),
            Err(error) => respond(SyncReply::error(error)),
        })
    }

    fn refuse(_request: &SyncGroupRequest, code: ErrorCode) -> SyncGroupResponse {
        respond(SyncReply::error(code))
    }
}

fn translate(request: &SyncGroupRequest) -> SyncRequest {
    let assignments = request.assignments.iter().map(|given| Assignment {
        member_id: text(&given.member_id),
        // Copied, since it outlives the frame that it came in.
        assignment: Bytes::copy_from_slice(&given.assignment),
    });
    SyncRequest {
        group_id: text(&request.group_id),
        generation_id: request.generation_id,
        member_id: text(&request.member_id),
        group_instance_id: optional_text(request.group_instance_id.as_ref()),
        protocol_type: optional_text(request.protocol_type.as_ref()),
        protocol_name: optional_text(request.protocol_name.as_ref()),
        assignments: assignments.collect(),
    }
}

fn respond(reply: SyncReply) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(reply.error.code())
        .with_protocol_type(reply.protocol_type.map(wire))
        .with_protocol_name(reply.protocol_name.map(wire))
        .with_assignment(reply.assignment)
}
