//! Requests that reach their row without a frame of their own: this node's own to its controller, and what an Envelope holds.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::broker::Broker;
use crate::config::Roles;
use crate::io::mailbox::Mailbox;
use crate::protocol::api_key::ApiKey;
use crate::protocol::frame::LENGTH_BYTES;
use crate::protocol::guard;
use crate::protocol::header::RequestHeader;
use crate::security::Principal;

use super::answer::{Answer, Chunk};
use super::context::{ConnectionInfo, Context};
use super::row::Handler;
use super::slot::SlotHome;
use super::{RawReply, find};

/// Carries out a request of this broker to the controller that it is itself; the body of the answer.
pub fn dispatch(
    broker: Arc<Broker>,
    api_key: ApiKey,
    api_version: i16,
    body: Bytes,
) -> Pin<Box<dyn Future<Output = Option<Bytes>> + Send>> {
    Box::pin(async move {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let connection = ConnectionInfo {
            id: u64::MAX,
            listener: broker.settings().controller_listener().name.into(),
            roles: Roles::CONTROLLER,
            peer: nowhere,
            local: nowhere,
            principal: Principal::anonymous(),
            asked: None,
        };
        let header = RequestHeader { api_key, api_version, correlation_id: 0, client_id: None };
        let answer = carry_out(&broker, &connection, &header, body).await?;
        let header_bytes = if api_key.response_header_version(api_version) >= 1 { 5 } else { 4 };
        (answer.len() >= header_bytes).then(|| answer.slice(header_bytes..))
    })
}

/// Carries out one request of an API whose messages the codec reads, whoever sent it: the answer from its header on. `None`
/// when the row is not served for the connection's roles, or the body is malformed; the reason is logged.
pub async fn carry_out(
    broker: &Arc<Broker>,
    connection: &ConnectionInfo,
    header: &RequestHeader,
    body: Bytes,
) -> Option<Bytes> {
    let RequestHeader { api_key, api_version, correlation_id, .. } = *header;
    let refuse = |reason: &str| {
        tracing::warn!(api = %api_key, version = api_version, peer = %connection.peer, reason, "refused a request");
    };
    let Some(Handler::Decoded(handle)) = find(api_key, api_version, connection.roles).map(|row| &row.handler) else {
        refuse("it is not served so");
        return None;
    };
    let decode_bytes_max = broker.settings().get_usize("request.decode.max.bytes");
    if let Err(error) = guard::check_within(api_key, api_version, &body, decode_bytes_max) {
        refuse(&error.to_string());
        return None;
    }
    let reply = {
        let cx = Context {
            broker,
            connection,
            version: api_version,
            correlation_id,
            client_id: header.client_id.as_ref(),
            now: broker.now(),
            slots: &SlotHome::new(Arc::new(Mailbox::new())),
        };
        handle(&cx, body)
    };
    let answer = match reply {
        RawReply::Now(answer) => answer,
        RawReply::Later(answer) | RawReply::Impatient(answer, _) => answer.await,
        RawReply::Close(reason) => {
            refuse(&reason);
            return None;
        }
        RawReply::Slot(_) | RawReply::None => return None,
    };
    without_length(answer)
}

/// The bytes of an answer that is not empty and lies in memory, from its header on.
fn without_length(answer: Answer) -> Option<Bytes> {
    let mut bytes = BytesMut::with_capacity(answer.len());
    for chunk in answer.chunks {
        match chunk {
            Chunk::Bytes(chunk) => bytes.extend_from_slice(&chunk),
            Chunk::File { .. } => return None,
        }
    }
    (bytes.len() > LENGTH_BYTES).then(|| bytes.freeze().slice(LENGTH_BYTES..))
}
