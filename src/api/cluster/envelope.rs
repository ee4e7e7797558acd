//! Envelope (58), v0: a client's request in another broker's hands, for the active controller (KIP-590).
//!
//! Inside are the request's header and body, who sent it, and from where. It is carried out by its own row, for that
//! principal. The answer says, in a tagged field that Kafka's brokers step over, up to which offset the controller's image
//! holds what was done: the broker that forwarded waits for it, so that its client reads its own writes.
//!
//! Source: `ControllerApis.handleEnvelopeRequest`, `EnvelopeUtils.handleEnvelopeRequest`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;

use crate::api::{Api, ConnectionInfo, Context, Order, Reply, local, row_of};
use crate::broker::controller_channel::{ASKED_TAG, OFFSET_TAG, decode_asked, decode_principal, encode_offset};
use crate::config::Roles;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::{EnvelopeRequest, EnvelopeResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct Envelope;

impl Api for Envelope {
    type Request = EnvelopeRequest;
    type Response = EnvelopeResponse;
    const KEY: ApiKey = ApiKey::Envelope;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<EnvelopeRequest> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;
    /// The requests inside come from different clients: none waits for another's.
    const ORDER: Order = Order::Pipelined;

    fn handle(cx: &Context<'_>, request: EnvelopeRequest) -> Reply<EnvelopeResponse> {
        if !cx.broker.is_active_controller() {
            return Reply::Now(Self::refuse(&request, ErrorCode::NotController));
        }
        let opened = match open(cx, &request) {
            Ok(opened) => opened,
            Err(code) => return Reply::Now(Self::refuse(&request, code)),
        };
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            let answer = local::carry_out(&broker, &opened.connection, &opened.header, opened.body).await;
            let Some(answer) = answer else { return Self::refuse(&request, ErrorCode::UnknownServerError) };
            let offset = encode_offset(broker.image().last_applied());
            EnvelopeResponse::default()
                .with_response_data(Some(answer))
                .with_unknown_tagged_fields([(OFFSET_TAG, offset)].into())
        })
    }

    fn refuse(_: &EnvelopeRequest, code: ErrorCode) -> EnvelopeResponse {
        EnvelopeResponse::default().with_response_data(None).with_error_code(code.code())
    }
}

/// A request that was inside.
struct Opened {
    header: RequestHeader,
    body: Bytes,
    connection: ConnectionInfo,
}

fn open(cx: &Context<'_>, request: &EnvelopeRequest) -> Result<Opened, ErrorCode> {
    let mut body = request.request_data.clone();
    let header = RequestHeader::parse(&mut body).map_err(|_| ErrorCode::InvalidRequest)?;
    // What no broker forwards is nothing that a broker may ask for in its client's name.
    row_of(header.api_key).filter(|row| row.is_forwarded).ok_or(ErrorCode::InvalidRequest)?;
    let principal = request.request_principal.as_ref().and_then(|bytes| decode_principal(bytes));
    let principal = principal.ok_or(ErrorCode::PrincipalDeserializationFailure)?;
    let client = address(&request.client_host_address).ok_or(ErrorCode::InvalidRequest)?;
    // Not as on a listener of clients: a node that is not the controller any more must not hand it on once more.
    let roles = Roles::CONTROLLER;
    let asked = request.unknown_tagged_fields.get(&ASKED_TAG).and_then(decode_asked);
    let peer = SocketAddr::new(client, 0);
    let connection = ConnectionInfo { roles, principal, peer, asked, ..cx.connection.clone() };
    Ok(Opened { header, body, connection })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
