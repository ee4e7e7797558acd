//! DescribeCluster (60), v0–2: the brokers, the controller and the cluster's id, without topics (KIP-700).
//! v1 endpoint_type (KIP-919) · v2 fenced brokers (KIP-1073)
//!
//! Source: `AuthHelper.computeDescribeClusterResponse`.

use std::ops::RangeInclusive;

use super::view::View;
use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_cluster_response::DescribeClusterBroker;
use crate::protocol::message::{DescribeClusterRequest, DescribeClusterResponse, StrBytes};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct DescribeCluster;

/// `EndpointType.BROKER`: the only one that listens here.
const BROKER_ENDPOINT: i8 = 1;
const CONTROLLER_ENDPOINT: i8 = 2;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    type Response = DescribeClusterResponse;
    const KEY: ApiKey = ApiKey::DescribeCluster;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<DescribeClusterRequest> = Access::Each(&[(Operation::Describe, ResourceType::Cluster)]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);

    fn handle(cx: &Context<'_>, request: DescribeClusterRequest) -> Reply<DescribeClusterResponse> {
        match request.endpoint_type {
            BROKER_ENDPOINT => {}
            CONTROLLER_ENDPOINT => {
                let message =
                    "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
                return Reply::Now(refusal(ErrorCode::MismatchedEndpointType, message.into()));
            }
            other => {
                let message = format!("Unsupported endpoint type {other}");
                return Reply::Now(refusal(ErrorCode::UnsupportedEndpointType, message));
            }
        }
        let image = cx.broker.image();
        let view = View { image: &image, own_id: cx.broker.node_id(), connection: cx.connection };
        let brokers = view.nodes().into_iter().map(|node| {
            DescribeClusterBroker::default()
                .with_broker_id(node.id)
                .with_host(node.host)
                .with_port(node.port)
                .with_rack(node.rack)
        });
        let mut response = DescribeClusterResponse::default()
            .with_cluster_id(StrBytes::from_string(image.cluster_id().to_string()))
            .with_controller_id(view.controller())
            .with_brokers(brokers.collect());
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = ResourceType::Cluster.every_operation();
        }
        Reply::Now(response)
    }

    fn refuse(_request: &DescribeClusterRequest, code: ErrorCode) -> DescribeClusterResponse {
        DescribeClusterResponse::default().with_error_code(code.code())
    }
}

fn refusal(code: ErrorCode, message: String) -> DescribeClusterResponse {
    DescribeClusterResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}
