//! JoinGroup (11), v0–9: asks the coordinator to admit a member; answers when the rebalance ends.
//! v1 rebalance_timeout_ms · v4 MEMBER_ID_REQUIRED (KIP-394) · v5 group_instance_id (KIP-345) · v6 flexible ·
//! v7 protocol type in the answer, protocol name may be null · v8 reason (KIP-800) · v9 skip_assignment (KIP-814)

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::{answer, java_address, optional_text, text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::{JoinReply, JoinRequest, Protocol, Reply as GroupReply};
use crate::io::random;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::join_group_response::JoinGroupResponseMember;
use crate::protocol::message::{JoinGroupRequest, JoinGroupResponse};
use crate::security::{Access, Operation, ResourceType};

/// From this version on the answer names no protocol with null, before with an empty string.
const FIRST_VERSION_WITH_NULL_PROTOCOL: i16 = 7;

pub struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    type Response = JoinGroupResponse;
    const KEY: ApiKey = ApiKey::JoinGroup;
    const VERSIONS: RangeInclusive<i16> = 0..=9;
    const ACCESS: Access<JoinGroupRequest> =
        Access::on(Operation::Read, ResourceType::Group, |request| &request.group_id);

    fn handle(cx: &Context<'_>, request: JoinGroupRequest) -> Reply<JoinGroupResponse> {
        let (now, version) = (cx.now, cx.version);
        let request = translate(cx, &request);
        let called = cx
            .broker
            .groups()
            .call(cx.broker, now, &request.group_id, |machine, token| machine.join(now, &request, token));
        answer(called, move |reply| match reply {
            Ok(GroupReply::Join(reply)) => respond(reply, version),
            Ok(_) => respond(JoinReply::error(ErrorCode::UnknownServerError, ""), version),
            Err(error) => respond(JoinReply::error(error, ""), version),
        })
    }

    fn refuse(_request: &JoinGroupRequest, code: ErrorCode) -> JoinGroupResponse {
        respond(JoinReply::error(code, ""), 0)
    }
}

fn translate(cx: &Context<'_>, request: &JoinGroupRequest) -> JoinRequest {
    let protocols = request.protocols.iter().map(|protocol| Protocol {
        name: text(&protocol.name),
        // A slice of the frame would keep all of it in memory for as long as the member lives.
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    });
    JoinRequest {
        version: cx.version,
        client_id: cx.client_id_text().to_owned(),
        client_host: java_address(cx.connection.peer.ip()),
        new_member_uuid: random::uuid(),
        group_id: text(&request.group_id),
        member_id: text(&request.member_id),
        group_instance_id: optional_text(request.group_instance_id.as_ref()),
        protocol_type: text(&request.protocol_type),
        protocols: protocols.collect(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match cx.version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
    }
}

fn respond(reply: JoinReply, version: i16) -> JoinGroupResponse {
    let protocol_name = match reply.protocol_name {
        Some(name) if !name.is_empty() => Some(wire(name)),
        _ if version >= FIRST_VERSION_WITH_NULL_PROTOCOL => None,
        _ => Some(wire(String::new())),
    };
    let members = reply.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(wire(member.member_id))
            .with_group_instance_id(member.group_instance_id.map(wire))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(reply.error.code())
        .with_generation_id(reply.generation_id)
        .with_protocol_type(reply.protocol_type.map(wire))
        .with_protocol_name(protocol_name)
        .with_leader(wire(reply.leader))
        .with_skip_assignment(reply.skip_assignment)
        .with_member_id(wire(reply.member_id))
        .with_members(members.collect())
}
