//! DeleteGroups (42), v0–2: deletes empty groups with their offsets. v2 flexible

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{Called, received, text, wire};
use crate::api::{Api, Context, Reply};
use crate::coordinator::group::Reply as GroupReply;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::delete_groups_response::DeletableGroupResult;
use crate::protocol::message::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};
use crate::security::{Access, Operation, ResourceType};

pub struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    type Response = DeleteGroupsResponse;
    const KEY: ApiKey = ApiKey::DeleteGroups;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<DeleteGroupsRequest> = Access::Each(&[(Operation::Delete, ResourceType::Group)]);

    fn handle(cx: &Context<'_>, request: DeleteGroupsRequest) -> Reply<DeleteGroupsResponse> {
        let calls = call(cx, &request);
        Reply::later(async move {
            let mut results = Vec::new();
            for (group_ids, called) in calls {
                let reply = match called {
                    Ok(receiver) => received(receiver).await,
                    Err(error) => Err(error),
                };
                match reply {
                    Ok(GroupReply::DeleteGroups(deleted)) => results.extend(deleted),
                    Ok(_) => results.extend(all(group_ids, ErrorCode::UnknownServerError)),
                    Err(error) => results.extend(all(group_ids, error)),
                }
            }
            respond(results)
        })
    }

    fn refuse(request: &DeleteGroupsRequest, code: ErrorCode) -> DeleteGroupsResponse {
        respond(all(request.groups_names.iter().map(|name| text(name)).collect(), code).collect())
    }
}

/// One call for each partition that has some of the groups, each named once. Kafka deletes the groups of one partition
/// together, and so do we: either all of their records are written or none.
fn call(cx: &Context<'_>, request: &DeleteGroupsRequest) -> Vec<(Vec<String>, Called)> {
    let (groups, image, now) = (cx.broker.groups(), cx.broker.image(), cx.now);
    let mut by_partition: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for group_id in request.groups_names.iter().map(|name| text(name)) {
        let of_partition = by_partition.entry(groups.partition_for(&image, &group_id)).or_default();
        if !of_partition.contains(&group_id) {
            of_partition.push(group_id);
        }
    }
    let calls = by_partition.into_iter().map(|(partition, group_ids)| {
        let asked = group_ids.clone();
        let called =
            groups.call_partition(cx.broker, now, partition, |machine, token| machine.delete_groups(now, asked, token));
        (group_ids, called)
    });
    calls.collect()
}

fn all(group_ids: Vec<String>, error: ErrorCode) -> impl Iterator<Item = (String, ErrorCode)> {
    group_ids.into_iter().map(move |group_id| (group_id, error))
}

fn respond(results: Vec<(String, ErrorCode)>) -> DeleteGroupsResponse {
    let results = results.into_iter().map(|(group_id, error)| {
        DeletableGroupResult::default().with_group_id(GroupId(wire(group_id))).with_error_code(error.code())
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
