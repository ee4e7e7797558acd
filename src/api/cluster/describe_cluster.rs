//! DescribeCluster (60), v0–2: the brokers, the controller and the cluster's id, without topics (KIP-700).
//! v1 endpoint_type (KIP-919) · v2 fenced brokers (KIP-1073)
//!
//! Source: `AuthHelper.computeDescribeClusterResponse`.

use std::ops::RangeInclusive;

use super::view::{Node, View, wire};
use crate::api::{Api, Context, Reply};
use crate::broker::Broker;
use crate::config::Roles;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_cluster_response::DescribeClusterBroker;
use crate::protocol::message::{DescribeClusterRequest, DescribeClusterResponse, StrBytes};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct DescribeCluster;

/// Whose addresses are asked for: `EndpointType`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
enum EndpointType {
    Broker = 1,
    Controller = 2,
}

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    type Response = DescribeClusterResponse;
    const KEY: ApiKey = ApiKey::DescribeCluster;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<DescribeClusterRequest> = Access::Each(&[(Operation::Describe, ResourceType::Cluster)]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);

    fn handle(cx: &Context<'_>, request: DescribeClusterRequest) -> Reply<DescribeClusterResponse> {
        let image = cx.broker.image();
        let wanted = match wanted(request.endpoint_type, cx.connection.roles) {
            Ok(wanted) => wanted,
            Err((code, message)) => return Reply::Now(refusal(code, message)),
        };
        let (controller_id, nodes) = match wanted {
            EndpointType::Broker => {
                let view = View::new(cx.broker, &image, cx.connection);
                let nodes = view.all_nodes().filter(|node| !node.is_fenced || request.include_fenced_brokers);
                (view.controller(), nodes.map(described).collect())
            }
            EndpointType::Controller => (wire(image.controller_id()), controllers(cx.broker)),
        };
        let mut response = DescribeClusterResponse::default()
            .with_cluster_id(StrBytes::from_string(image.cluster_id().to_string()))
            .with_endpoint_type(wanted as i8)
            .with_controller_id(controller_id)
            .with_brokers(nodes);
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = ResourceType::Cluster.every_operation();
        }
        Reply::Now(response)
    }

    fn refuse(_request: &DescribeClusterRequest, code: ErrorCode) -> DescribeClusterResponse {
        DescribeClusterResponse::default().with_error_code(code.code())
    }
}

/// What is asked for, if it is asked where it can be answered: Kafka's brokers do not speak of controllers, nor controllers of
/// brokers. A listener of ours that is both does both.
fn wanted(endpoint_type: i8, roles: Roles) -> Result<EndpointType, (ErrorCode, String)> {
    let (wanted, role, here) = match endpoint_type {
        1 => (EndpointType::Broker, Roles::CLIENT, "CONTROLLER"),
        2 => (EndpointType::Controller, Roles::CONTROLLER, "BROKER"),
        other => {
            let message = format!("Unsupported endpoint type {other}");
            return Err((ErrorCode::UnsupportedEndpointType, message));
        }
    };
    if roles.meet(role) {
        return Ok(wanted);
    }
    let there = if here == "BROKER" { "CONTROLLER" } else { "BROKER" };
    let message =
        format!("The request was sent to an endpoint of type {here}, but we wanted an endpoint of type {there}");
    Err((ErrorCode::MismatchedEndpointType, message))
}

/// The controllers, those that only observe the quorum too, at the addresses by which they know each other
/// (`ControllerRegistrationsPublisher.describeClusterControllers`).
fn controllers(broker: &Broker) -> Vec<DescribeClusterBroker> {
    let voters = broker.quorum().controllers().into_iter().map(|(id, endpoint)| {
        DescribeClusterBroker::default()
            .with_broker_id(wire(id))
            .with_host(StrBytes::from_string(endpoint.address.host))
            .with_port(i32::from(endpoint.address.port))
            .with_rack(None)
    });
    voters.collect()
}

fn described(node: Node) -> DescribeClusterBroker {
    DescribeClusterBroker::default()
        .with_broker_id(node.id)
        .with_host(node.host)
        .with_port(node.port)
        .with_rack(node.rack)
        .with_is_fenced(node.is_fenced)
}

fn refusal(code: ErrorCode, message: String) -> DescribeClusterResponse {
    DescribeClusterResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}
