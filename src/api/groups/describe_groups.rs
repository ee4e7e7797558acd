//! DescribeGroups (15), v0–6: state and members of groups.
//! v3 authorized operations (KIP-430) · v4 group_instance_id (KIP-345) · v5 flexible · v6 GROUP_ID_NOT_FOUND and error
//! message (KIP-1043); before, a group that is not there is Dead.

use std::ops::RangeInclusive;

use super::wire;
use crate::api::{Api, Context, Reply};
use crate::coordinator::group;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use crate::protocol::message::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use crate::security::{Access, Operation, ResourceType};

const FIRST_VERSION_WITH_GROUP_INSTANCE_ID: i16 = 4;
const FIRST_VERSION_WITH_NOT_FOUND: i16 = 6;

pub struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    type Response = DescribeGroupsResponse;
    const KEY: ApiKey = ApiKey::DescribeGroups;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const ACCESS: Access<DescribeGroupsRequest> = Access::Each(&[(Operation::Describe, ResourceType::Group)]);

    fn handle(cx: &Context<'_>, request: DescribeGroupsRequest) -> Reply<DescribeGroupsResponse> {
        let groups = request.groups.iter().map(|group_id| {
            let described =
                cx.broker.groups().read(cx.broker, cx.now, group_id, |machine| machine.describe_group(group_id));
            let mut answer = match described {
                Ok(Some(group)) => respond(group, cx.version),
                Ok(None) => not_found(group_id, cx.version),
                Err(error) => DescribedGroup::default().with_error_code(error.code()),
            };
            if request.include_authorized_operations && answer.error_code == ErrorCode::None.code() {
                answer.authorized_operations = ResourceType::Group.every_operation();
            }
            answer.with_group_id(group_id.clone())
        });
        Reply::Now(DescribeGroupsResponse::default().with_groups(groups.collect()))
    }

    fn refuse(request: &DescribeGroupsRequest, code: ErrorCode) -> DescribeGroupsResponse {
        let refused =
            |group_id: &GroupId| DescribedGroup::default().with_group_id(group_id.clone()).with_error_code(code.code());
        DescribeGroupsResponse::default().with_groups(request.groups.iter().map(refused).collect())
    }
}

fn not_found(group_id: &GroupId, version: i16) -> DescribedGroup {
    let dead = DescribedGroup::default().with_group_state(wire("Dead".to_owned()));
    if version < FIRST_VERSION_WITH_NOT_FOUND {
        return dead;
    }
    dead.with_error_code(ErrorCode::GroupIdNotFound.code())
        .with_error_message(Some(wire(format!("Group {} not found.", group_id.as_str()))))
}

fn respond(group: group::DescribedGroup, version: i16) -> DescribedGroup {
    let members = group.members.into_iter().map(|member| {
        let instance_id =
            member.group_instance_id.filter(|_| version >= FIRST_VERSION_WITH_GROUP_INSTANCE_ID).map(wire);
        DescribedGroupMember::default()
            .with_member_id(wire(member.member_id))
            .with_group_instance_id(instance_id)
            .with_client_id(wire(member.client_id))
            .with_client_host(wire(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    DescribedGroup::default()
        .with_group_state(wire(group.state.name().to_owned()))
        .with_protocol_type(wire(group.protocol_type))
        .with_protocol_data(wire(group.protocol_data))
        .with_members(members.collect())
}
