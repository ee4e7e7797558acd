//! BrokerHeartbeat (63), v0–2: a broker says that it lives and how far it is, and is told whether it may serve or stop (KIP-631).
//! v1 directories that went offline (KIP-858) · v2 directories that take no new replicas (KIP-1066)
//!
//! Source: `ControllerApis.handleBrokerHeartBeatRequest`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::broker::controller::clocks::{CLOCK_TAG, decode_clock};
use crate::broker::cordoned::{self, CORDONED_TAG};
use crate::config::Roles;
use crate::controller::Heartbeat;
use crate::model::{BrokerId, ErrorCode, Offset};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use crate::security::{Access, Operation};

/// First version that tells of cordoned directories.
const CORDONED_FROM: i16 = 2;

/// See the head of this file.
pub struct BrokerHeartbeat;

impl Api for BrokerHeartbeat {
    type Request = BrokerHeartbeatRequest;
    type Response = BrokerHeartbeatResponse;
    const KEY: ApiKey = ApiKey::BrokerHeartbeat;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<BrokerHeartbeatRequest> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;

    fn handle(cx: &Context<'_>, request: BrokerHeartbeatRequest) -> Reply<BrokerHeartbeatResponse> {
        let broker = Arc::clone(cx.broker);
        if let Some(wall_ms) = request.unknown_tagged_fields.get(&CLOCK_TAG).and_then(decode_clock) {
            broker.compare_clocks(cx.now, BrokerId(request.broker_id.0), wall_ms);
        }
        let cordoned = request.unknown_tagged_fields.get(&CORDONED_TAG).filter(|_| cx.version >= CORDONED_FROM);
        let cordoned_directories = cordoned.and_then(cordoned::decode);
        Reply::later(async move {
            let heartbeat = Heartbeat {
                broker_id: BrokerId(request.broker_id.0),
                broker_epoch: request.broker_epoch,
                metadata_offset: Offset(request.current_metadata_offset),
                wants_fence: request.want_fence,
                wants_shutdown: request.want_shut_down,
                offline_directories: request.offline_log_dirs.clone(),
                cordoned_directories,
            };
            match broker.broker_heartbeat(heartbeat).await {
                Ok(answer) => BrokerHeartbeatResponse::default()
                    .with_is_caught_up(answer.is_caught_up)
                    .with_is_fenced(answer.is_fenced)
                    .with_should_shut_down(answer.should_shut_down),
                Err(refusal) => Self::refuse(&request, refusal.code),
            }
        })
    }

    fn refuse(_: &BrokerHeartbeatRequest, code: ErrorCode) -> BrokerHeartbeatResponse {
        BrokerHeartbeatResponse::default().with_error_code(code.code())
    }
}
