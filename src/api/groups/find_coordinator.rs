//! FindCoordinator (10), v0–6: which broker to ask about a group.
//! v1 key type, error message · v3 flexible · v4 several keys (KIP-699) · v5 TRANSACTION_ABORTABLE (KIP-890) ·
//! v6 share partitions (KIP-932)
//!
//! The first question creates `__consumer_offsets`, and is answered when it has leaders; Kafka answers
//! COORDINATOR_NOT_AVAILABLE meanwhile and lets the client ask again. There is no transaction coordinator and none for
//! share partitions: the first is refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, on which every client gives up
//! instead of asking for ever (which ones and how is at the head of `init_producer_id.rs`); the second with INVALID_REQUEST,
//! as by a Kafka whose client is too old for it. Source: `KafkaApis.getCoordinator`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{text, wire};
use crate::api::cluster::view::{Node, View};
use crate::api::{Api, ConnectionInfo, Context, Reply};
use crate::broker::Broker;
use crate::broker::groups::OFFSETS_TOPIC;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::find_coordinator_response::Coordinator;
use crate::protocol::message::{FindCoordinatorRequest, FindCoordinatorResponse, StrBytes, WireBrokerId};
use crate::security::{Access, Operation, ResourceType};

const FIRST_VERSION_WITH_MESSAGE: i16 = 1;
const FIRST_VERSION_WITH_KEYS: i16 = 4;

/// Kafka's own texts for the two codes.
const INVALID_REQUEST: &str = "This most likely occurs because of a request being malformed by the client library or the \
                               message was sent to an incompatible broker. See the broker logs for more details.";
const NOT_AVAILABLE: &str = "The coordinator is not available.";
const NO_TRANSACTIONS: &str = "This server does not offer transactions.";

pub struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;
    const KEY: ApiKey = ApiKey::FindCoordinator;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const ACCESS: Access<FindCoordinatorRequest> = Access::Each(&[
        (Operation::Describe, ResourceType::Group),
        (Operation::Describe, ResourceType::TransactionalId),
        (Operation::ClusterAction, ResourceType::Cluster),
    ]);

    fn handle(cx: &Context<'_>, request: FindCoordinatorRequest) -> Reply<FindCoordinatorResponse> {
        let version = cx.version;
        let refusal = match KeyType::of(request.key_type) {
            // Kafka's reader of this byte throws on any other (`CoordinatorType.forId`).
            None => Some(Found { message: Some(INVALID_REQUEST), ..Found::error(ErrorCode::InvalidRequest) }),
            Some(KeyType::Transaction) => {
                let message = Some(NO_TRANSACTIONS);
                Some(Found { message, ..Found::error(ErrorCode::TransactionalIdAuthorizationFailed) })
            }
            Some(KeyType::Share) => Some(Found::error(ErrorCode::InvalidRequest)),
            Some(KeyType::Group) => None,
        };
        if let Some(refusal) = refusal {
            return Reply::Now(respond(&request, version, |_| refusal.clone()));
        }
        if cx.broker.image().topic(OFFSETS_TOPIC).is_some() {
            return Reply::Now(respond(&request, version, |key| find(cx.broker, cx.connection, key)));
        }
        let (broker, connection) = (Arc::clone(cx.broker), cx.connection.clone());
        Reply::later(async move {
            for (topic, created) in broker.auto_create(&[OFFSETS_TOPIC.to_owned()]).await {
                if let Err(refusal) = created {
                    tracing::warn!(topic, code = %refusal.code, message = refusal.message, "topic cannot be created");
                }
            }
            respond(&request, version, |key| find(&broker, &connection, key))
        })
    }

    fn refuse(request: &FindCoordinatorRequest, code: ErrorCode) -> FindCoordinatorResponse {
        let version = if request.coordinator_keys.is_empty() { 0 } else { FIRST_VERSION_WITH_KEYS };
        respond(request, version, |_| Found::error(code))
    }
}

/// `FindCoordinatorRequest.CoordinatorType`.
enum KeyType {
    Group,
    Transaction,
    Share,
}

impl KeyType {
    fn of(key_type: i8) -> Option<KeyType> {
        match key_type {
            0 => Some(KeyType::Group),
            1 => Some(KeyType::Transaction),
            2 => Some(KeyType::Share),
            _ => None,
        }
    }
}

/// Where a key's coordinator is, or why it is not known.
#[derive(Clone)]
struct Found {
    error: ErrorCode,
    message: Option<&'static str>,
    id: WireBrokerId,
    host: StrBytes,
    port: i32,
}

impl Found {
    /// With Kafka's `Node.noNode`.
    fn error(error: ErrorCode) -> Found {
        Found { error, message: None, id: WireBrokerId(-1), host: StrBytes::default(), port: -1 }
    }

    fn node(node: Node) -> Found {
        Found { error: ErrorCode::None, message: None, id: node.id, host: node.host, port: node.port }
    }
}

fn find(broker: &Broker, connection: &ConnectionInfo, group_id: &str) -> Found {
    let image = broker.image();
    let partition = broker.groups().partition_for(&image, group_id);
    let leader = image.topic(OFFSETS_TOPIC).and_then(|topic| topic.partition(partition)).map(|state| state.leader);
    let view = View::new(broker, &image, connection);
    let node = leader.and_then(|leader| view.nodes().into_iter().find(|node| node.id.0 == leader.0));
    node.map_or_else(|| Found::error(ErrorCode::CoordinatorNotAvailable), Found::node)
}

fn respond(request: &FindCoordinatorRequest, version: i16, find: impl Fn(&str) -> Found) -> FindCoordinatorResponse {
    if version < FIRST_VERSION_WITH_KEYS {
        let found = find(&request.key);
        // Of a success Kafka says "NONE", and of an error its text.
        let message = match found.error {
            ErrorCode::None => Some("NONE"),
            ErrorCode::CoordinatorNotAvailable => Some(NOT_AVAILABLE),
            ErrorCode::InvalidRequest => Some(INVALID_REQUEST),
            _ => found.message,
        };
        return FindCoordinatorResponse::default()
            .with_error_code(found.error.code())
            .with_error_message(
                message.filter(|_| version >= FIRST_VERSION_WITH_MESSAGE).map(StrBytes::from_static_str),
            )
            .with_node_id(found.id)
            .with_host(found.host)
            .with_port(found.port);
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        let found = find(key);
        Coordinator::default()
            .with_key(wire(text(key)))
            .with_error_code(found.error.code())
            // Kafka leaves it empty, save where it fails the request as a whole.
            .with_error_message(Some(StrBytes::from_static_str(found.message.unwrap_or_default())))
            .with_node_id(found.id)
            .with_host(found.host)
            .with_port(found.port)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
