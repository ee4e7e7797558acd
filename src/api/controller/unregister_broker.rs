//! UnregisterBroker (64), v0: forgets a broker that will not come back (KIP-500, `kafka-cluster unregister`).
//!
//! Source: `ControllerApis.handleUnregisterBroker`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::Refusal;
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{StrBytes, UnregisterBrokerRequest, UnregisterBrokerResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct UnregisterBroker;

impl Api for UnregisterBroker {
    type Request = UnregisterBrokerRequest;
    type Response = UnregisterBrokerResponse;
    const KEY: ApiKey = ApiKey::UnregisterBroker;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<UnregisterBrokerRequest> = Access::Cluster(Operation::Alter);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(cx: &Context<'_>, request: UnregisterBrokerRequest) -> Reply<UnregisterBrokerResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            match broker.unregister_broker(BrokerId(request.broker_id.0)).await {
                // Kafka leaves the message empty instead of null.
                Ok(()) => UnregisterBrokerResponse::default().with_error_message(Some(StrBytes::default())),
                Err(refusal) => refused(refusal),
            }
        })
    }

    fn refuse(_: &UnregisterBrokerRequest, code: ErrorCode) -> UnregisterBrokerResponse {
        refused(Refusal { code, message: None })
    }

    fn not_controller(
        _cx: &Context<'_>,
        _request: UnregisterBrokerRequest,
        words: String,
    ) -> Reply<UnregisterBrokerResponse> {
        Reply::Now(refused(Refusal::new(ErrorCode::NotController, words)))
    }
}

fn refused(refusal: Refusal) -> UnregisterBrokerResponse {
    UnregisterBrokerResponse::default()
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message.map(StrBytes::from_string))
}
