//! BrokerRegistration (62), v0–4: a broker that starts asks the active controller for its broker epoch (KIP-631).
//! v1 ZooKeeper migration · v2 log directories (KIP-858) · v3 the epoch of the last clean stop (KIP-966) · v4 features from 0
//!
//! Source: `ControllerApis.handleBrokerRegistration`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{Registration, SupportedFeature};
use crate::metadata::Endpoint;
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{BrokerRegistrationRequest, BrokerRegistrationResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct BrokerRegistration;

impl Api for BrokerRegistration {
    type Request = BrokerRegistrationRequest;
    type Response = BrokerRegistrationResponse;
    const KEY: ApiKey = ApiKey::BrokerRegistration;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const ACCESS: Access<BrokerRegistrationRequest> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;

    fn handle(cx: &Context<'_>, request: BrokerRegistrationRequest) -> Reply<BrokerRegistrationResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            match broker.register_broker(registration(&request)).await {
                Ok(epoch) => BrokerRegistrationResponse::default().with_broker_epoch(epoch),
                Err(refusal) => Self::refuse(&request, refusal.code),
            }
        })
    }

    fn refuse(_: &BrokerRegistrationRequest, code: ErrorCode) -> BrokerRegistrationResponse {
        BrokerRegistrationResponse::default().with_error_code(code.code()).with_broker_epoch(-1)
    }
}

fn registration(request: &BrokerRegistrationRequest) -> Registration {
    let endpoints = request.listeners.iter().map(|listener| Endpoint {
        listener: listener.name.to_string(),
        host: listener.host.to_string(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    });
    let features = request.features.iter().map(|feature| SupportedFeature {
        name: feature.name.to_string(),
        min: feature.min_supported_version,
        max: feature.max_supported_version,
    });
    Registration {
        broker_id: BrokerId(request.broker_id.0),
        incarnation: request.incarnation_id,
        endpoints: endpoints.collect(),
        rack: request.rack.as_ref().map(|rack| rack.to_string()),
        cluster_id: request.cluster_id.to_string(),
        features: features.collect(),
        directories: request.log_dirs.clone(),
        previous_broker_epoch: request.previous_broker_epoch,
        is_controller: false,
    }
}
