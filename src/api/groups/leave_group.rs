//! LeaveGroup (13), v0–5: members leave, or are removed by an administrator.
//! v3 several members, by instance id too (KIP-345) · v4 flexible · v5 reason (KIP-800)

use std::ops::RangeInclusive;

use super::{answer, optional_text, text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::{LeaveReply, LeavingMember, Reply as GroupReply};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::leave_group_response::MemberResponse;
use crate::protocol::message::{LeaveGroupRequest, LeaveGroupResponse};
use crate::security::{Access, Operation, ResourceType};

/// From this version on a request names several members.
const FIRST_VERSION_WITH_MEMBERS: i16 = 3;

pub struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    type Response = LeaveGroupResponse;
    const KEY: ApiKey = ApiKey::LeaveGroup;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const ACCESS: Access<LeaveGroupRequest> =
        Access::on(Operation::Read, ResourceType::Group, |request| &request.group_id);

    fn handle(cx: &Context<'_>, request: LeaveGroupRequest) -> Reply<LeaveGroupResponse> {
        let (now, version) = (cx.now, cx.version);
        let members = leaving(&request, version);
        let called = cx.broker.groups().call(cx.broker, now, &request.group_id, |machine, token| {
            machine.leave(now, &request.group_id, members, token)
        });
        answer(called, move |reply| match reply {
            Ok(GroupReply::Leave(reply)) => respond(reply, version),
            Ok(_) => refuse(ErrorCode::UnknownServerError),
            Err(error) => refuse(error),
        })
    }

    fn refuse(_request: &LeaveGroupRequest, code: ErrorCode) -> LeaveGroupResponse {
        refuse(code)
    }
}

fn leaving(request: &LeaveGroupRequest, version: i16) -> Vec<LeavingMember> {
    if version < FIRST_VERSION_WITH_MEMBERS {
        return vec![LeavingMember { member_id: text(&request.member_id), group_instance_id: None }];
    }
    let members = request.members.iter().map(|member| LeavingMember {
        member_id: text(&member.member_id),
        group_instance_id: optional_text(member.group_instance_id.as_ref()),
    });
    members.collect()
}

fn refuse(code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse::default().with_error_code(code.code())
}

/// Old versions know one error, which is that of the one member, or of the whole (`LeaveGroupResponse`).
fn respond(reply: LeaveReply, version: i16) -> LeaveGroupResponse {
    if version < FIRST_VERSION_WITH_MEMBERS {
        let of_member = reply.members.first().map_or(ErrorCode::None, |(_, error)| *error);
        return refuse(if reply.error.is_error() { reply.error } else { of_member });
    }
    let members = reply.members.into_iter().map(|(member, error)| {
        MemberResponse::default()
            .with_member_id(wire(member.member_id))
            .with_group_instance_id(member.group_instance_id.map(wire))
            .with_error_code(error.code())
    });
    refuse(reply.error).with_members(members.collect())
}
