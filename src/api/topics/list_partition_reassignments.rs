//! ListPartitionReassignments (46), v0: the partitions that are moving between brokers (KIP-455). None ever is: there is one
//! broker.

use std::ops::RangeInclusive;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    type Response = ListPartitionReassignmentsResponse;
    const KEY: ApiKey = ApiKey::ListPartitionReassignments;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<ListPartitionReassignmentsRequest> = Access::Cluster(Operation::Describe);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(
        _cx: &Context<'_>,
        _request: ListPartitionReassignmentsRequest,
    ) -> Reply<ListPartitionReassignmentsResponse> {
        Reply::Now(ListPartitionReassignmentsResponse::default().with_error_message(None))
    }

    fn refuse(_request: &ListPartitionReassignmentsRequest, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default().with_error_code(code.code())
    }
}
