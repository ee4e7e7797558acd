//! AllocateProducerIds (67), v0: a broker asks the active controller for a block of producer ids (KIP-730).
//!
//! Source: `ControllerApis.handleAllocateProducerIdsRequest`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{AllocateProducerIdsRequest, AllocateProducerIdsResponse, WireProducerId};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct AllocateProducerIds;

impl Api for AllocateProducerIds {
    type Request = AllocateProducerIdsRequest;
    type Response = AllocateProducerIdsResponse;
    const KEY: ApiKey = ApiKey::AllocateProducerIds;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<AllocateProducerIdsRequest> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;

    fn handle(cx: &Context<'_>, request: AllocateProducerIdsRequest) -> Reply<AllocateProducerIdsResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            match broker.allocate_producer_ids(BrokerId(request.broker_id.0), request.broker_epoch).await {
                Ok((first, count)) => AllocateProducerIdsResponse::default()
                    .with_producer_id_start(WireProducerId(first.0))
                    .with_producer_id_len(i32::try_from(count).expect("a block of a thousand")),
                Err(refusal) => Self::refuse(&request, refusal.code),
            }
        })
    }

    fn refuse(_: &AllocateProducerIdsRequest, code: ErrorCode) -> AllocateProducerIdsResponse {
        AllocateProducerIdsResponse::default().with_error_code(code.code())
    }
}
