//! ListGroups (16), v0–5: the groups whose coordinator this broker is.
//! v3 flexible · v4 states (KIP-518) · v5 types (KIP-848)

use std::ops::RangeInclusive;

use super::{text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::list_groups_response::ListedGroup;
use crate::protocol::message::{GroupId, ListGroupsRequest, ListGroupsResponse};
use crate::security::{Access, Operation, ResourceType};

const FIRST_VERSION_WITH_STATE: i16 = 4;
const FIRST_VERSION_WITH_TYPE: i16 = 5;

pub struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;
    const KEY: ApiKey = ApiKey::ListGroups;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const ACCESS: Access<ListGroupsRequest> =
        Access::Each(&[(Operation::Describe, ResourceType::Cluster), (Operation::Describe, ResourceType::Group)]);

    fn handle(cx: &Context<'_>, request: ListGroupsRequest) -> Reply<ListGroupsResponse> {
        let states: Vec<String> = request.states_filter.iter().map(text).collect();
        let types: Vec<String> = request.types_filter.iter().map(text).collect();
        let listed = cx.broker.groups().read_all(|machine| machine.list_groups(&states, &types));
        Reply::Now(match listed {
            Ok(groups) => {
                let groups = groups.into_iter().flatten().map(|group| respond(group, cx.version));
                ListGroupsResponse::default().with_groups(groups.collect())
            }
            Err(error) => ListGroups::refuse(&request, error),
        })
    }

    fn refuse(_request: &ListGroupsRequest, code: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse::default().with_error_code(code.code())
    }
}

fn respond(group: group::ListedGroup, version: i16) -> ListedGroup {
    let mut listed = ListedGroup::default()
        .with_group_id(GroupId(wire(group.group_id)))
        .with_protocol_type(wire(group.protocol_type));
    if version >= FIRST_VERSION_WITH_STATE {
        listed.group_state = wire(group.state.name().to_owned());
    }
    if version >= FIRST_VERSION_WITH_TYPE {
        listed.group_type = wire("classic".to_owned());
    }
    listed
}
