//! The way to the active controller: in this process when it is this node, else over a link to its controllers' listener.
//!
//! A call goes on until it has an answer of a controller that is active, or until its time is over: it follows the leadership
//! of the quorum, and tries again when a node says that it is not the controller (any more) or cannot be reached. So what is
//! asked must bear being asked twice, as in Kafka (`NodeToControllerChannelManager`).
//!
//! Requests for different purposes have links of their own: an AlterPartition never waits behind the creation of a topic.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Broker;
use crate::io::clock;
use crate::model::{BrokerId, ErrorCode, Offset};
use crate::peer::{Address, Link, LinkOptions};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{
    self, AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterPartitionRequest, AlterPartitionResponse,
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    BrokerRegistrationRequest, BrokerRegistrationResponse, EnvelopeRequest, EnvelopeResponse, RequestMessage,
};
use crate::protocol::wire::{self, Reader};
use crate::quorum::Leadership;
use crate::security::Principal;

/// The pause before a controller that refused or could not be reached is asked again; a change of leadership ends it.
const RETRY: Duration = Duration::from_millis(20);
/// How long is waited at most for what a forwarded request has changed to be seen here.
const READ_OWN_WRITES: Duration = Duration::from_secs(5);
/// The tagged field in which the controller adds to an Envelope's answer up to where its image holds what was done. Kafka's
/// brokers step over it.
pub const OFFSET_TAG: i32 = 10_000;

/// The tagged field in which a broker adds its id to an Envelope: some settings are changed only by the broker they belong to.
pub const ASKED_TAG: i32 = 10_001;

/// Carries out a request in this process as if it had come over the controllers' listener; `None` when that fails.
pub type Dispatch = fn(Arc<Broker>, ApiKey, i16, Bytes) -> Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// What a request to the controller is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// That this broker lives.
    Liveness,
    /// Changes of in-sync sets.
    Partitions,
    /// What clients want done.
    Requests,
}

/// A request that brokers ask the active controller.
pub trait ControllerRequest: RequestMessage + Sync {
    /// The version that it travels in.
    const VERSION: i16;
    const PURPOSE: Purpose;

    /// The code for the whole answer.
    fn error_code(response: &Self::Response) -> i16;
}

impl ControllerRequest for BrokerRegistrationRequest {
    const VERSION: i16 = 4;
    const PURPOSE: Purpose = Purpose::Liveness;

    fn error_code(response: &BrokerRegistrationResponse) -> i16 {
        response.error_code
    }
}

impl ControllerRequest for BrokerHeartbeatRequest {
    const VERSION: i16 = 2;
    const PURPOSE: Purpose = Purpose::Liveness;

    fn error_code(response: &BrokerHeartbeatResponse) -> i16 {
        response.error_code
    }
}

impl ControllerRequest for AlterPartitionRequest {
    const VERSION: i16 = 3;
    const PURPOSE: Purpose = Purpose::Partitions;

    fn error_code(response: &AlterPartitionResponse) -> i16 {
        response.error_code
    }
}

impl ControllerRequest for AssignReplicasToDirsRequest {
    const VERSION: i16 = 0;
    const PURPOSE: Purpose = Purpose::Partitions;

    fn error_code(response: &AssignReplicasToDirsResponse) -> i16 {
        response.error_code
    }
}

impl ControllerRequest for AllocateProducerIdsRequest {
    const VERSION: i16 = 0;
    const PURPOSE: Purpose = Purpose::Requests;

    fn error_code(response: &AllocateProducerIdsResponse) -> i16 {
        response.error_code
    }
}

impl ControllerRequest for EnvelopeRequest {
    const VERSION: i16 = 0;
    const PURPOSE: Purpose = Purpose::Requests;

    fn error_code(response: &EnvelopeResponse) -> i16 {
        response.error_code
    }
}

/// No active controller has answered in time. What was asked may be done all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no controller has answered: {0}")]
pub struct NoController(pub String);

/// The links to the controller, and the way to it in this process.
#[derive(Default)]
pub struct ControllerChannel {
    links: Mutex<Vec<(Purpose, Arc<Link>)>>,
    dispatch: OnceLock<Dispatch>,
}

impl ControllerChannel {
    /// The link for a purpose. There is one at a time: that of an earlier controller is dropped.
    fn link(&self, purpose: Purpose, address: Address, client_id: String) -> Arc<Link> {
        let mut links = self.links.lock();
        if let Some((_, link)) = links.iter().find(|(other, link)| *other == purpose && *link.address() == address) {
            return Arc::clone(link);
        }
        let link = Arc::new(Link::new(LinkOptions::new(address, client_id)));
        links.retain(|(other, _)| *other != purpose);
        links.push((purpose, Arc::clone(&link)));
        link
    }
}

impl Broker {
    /// Whether this node decides for the cluster now.
    pub fn is_active_controller(&self) -> bool {
        self.quorum().leadership().borrow().is_active
    }

    /// Sets how requests to the controller are carried out when this node is it. Only the first call counts.
    pub fn set_dispatch(&self, dispatch: Dispatch) {
        // The server sets it once, and every server of a process sets the same.
        let _ = self.controller_channel.dispatch.set(dispatch);
    }

    /// Asks the active controller, wherever it is. See the head of this file.
    pub async fn controller_call<R: ControllerRequest>(
        self: &Arc<Broker>,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, NoController> {
        let deadline = clock::instant() + timeout;
        let mut body = BytesMut::new();
        request.write(&mut body, R::VERSION).map_err(|error| NoController(error.to_string()))?;
        let body = body.freeze();
        let mut leadership = self.quorum().leadership();
        loop {
            let known = leadership.borrow_and_update().clone();
            let attempted = tokio::select! {
                biased;
                attempted = self.attempt::<R>(&known, body.clone(), deadline) => attempted,
                () = another_leader(&mut leadership, &known) => Err(NoController("the controller has changed".to_owned())),
            };
            let error = match attempted {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if clock::instant() >= deadline {
                return Err(error);
            }
            tokio::select! {
                biased;
                () = another_leader(&mut leadership, &known) => {}
                () = tokio::time::sleep_until(deadline.min(clock::instant() + RETRY)) => {}
            }
        }
    }

    async fn attempt<R: ControllerRequest>(
        self: &Arc<Broker>,
        known: &Leadership,
        body: Bytes,
        deadline: Instant,
    ) -> Result<R::Response, NoController> {
        let remaining = deadline.saturating_duration_since(clock::instant());
        let answer = if known.is_active {
            let dispatch = self.controller_channel.dispatch.get();
            let dispatch = dispatch.ok_or_else(|| NoController("this node serves nobody yet".to_owned()))?;
            let answered = tokio::time::timeout(remaining, dispatch(Arc::clone(self), R::KEY, R::VERSION, body)).await;
            let answered = answered.map_err(|_| NoController("it has not answered in time".to_owned()))?;
            answered.ok_or_else(|| NoController("its answer cannot be read".to_owned()))?
        } else {
            let leader = known.leader.as_ref().filter(|leader| leader.id != self.node_id());
            let Some(leader) = leader else {
                tokio::time::sleep_until(deadline).await;
                return Err(NoController("none is elected".to_owned()));
            };
            let address = Address { host: leader.host.clone(), port: leader.port };
            let client_id = format!("broker-{}", self.node_id());
            let link = self.controller_channel.link(R::PURPOSE, address, client_id);
            let answered = link.call_raw(R::KEY, R::VERSION, body, remaining).await;
            answered.map_err(|error| NoController(error.to_string()))?
        };
        let response = message::decode_response::<R::Response>(R::VERSION, answer);
        let response = response.map_err(|error| NoController(error.to_string()))?;
        if R::error_code(&response) == ErrorCode::NotController.code() {
            return Err(NoController("whom the quorum names does not decide (yet)".to_owned()));
        }
        Ok(response)
    }

    /// Hands a client's request, header and body, to the active controller; the answer is header and body too. When it comes,
    /// this node's image holds what was done (bounded by [`READ_OWN_WRITES`]). Errors: REQUEST_TIMED_OUT, and those that
    /// Envelope has.
    pub async fn forward(
        self: &Arc<Broker>,
        request: Bytes,
        principal: &Principal,
        client: IpAddr,
        timeout: Duration,
    ) -> Result<Bytes, ErrorCode> {
        let address = match client.to_canonical() {
            IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
            IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
        };
        let envelope = EnvelopeRequest::default()
            .with_request_data(request)
            .with_request_principal(Some(encode_principal(principal)))
            .with_client_host_address(address)
            .with_unknown_tagged_field(ASKED_TAG, Bytes::copy_from_slice(&self.node_id().0.to_be_bytes()));
        let answered = self.controller_call(&envelope, timeout).await.map_err(|error| {
            tracing::warn!(%error, "a request cannot be forwarded");
            ErrorCode::RequestTimedOut
        })?;
        if answered.error_code != ErrorCode::None.code() {
            return Err(ErrorCode::from(answered.error_code));
        }
        if let Some(offset) = answered.unknown_tagged_fields.get(&OFFSET_TAG).and_then(decode_offset) {
            // Past its bound the answer is still true; only a read here may be behind it.
            let _ = tokio::time::timeout(READ_OWN_WRITES, self.quorum().wait_for(offset)).await;
        }
        answered.response_data.ok_or(ErrorCode::UnknownServerError)
    }
}

/// Returns when somebody else leads than was known, or when whoever leads has become active.
async fn another_leader(leadership: &mut watch::Receiver<Leadership>, known: &Leadership) {
    let is_another = |now: &Leadership| now.leader != known.leader || now.is_active != known.is_active;
    if leadership.wait_for(is_another).await.is_err() {
        // The quorum has ended, and with it all leadership: the caller's deadline decides.
        std::future::pending::<()>().await;
    }
}

/// The offset as [`OFFSET_TAG`] carries it.
pub fn encode_offset(offset: Offset) -> Bytes {
    Bytes::copy_from_slice(&offset.0.to_be_bytes())
}

fn decode_offset(bytes: &Bytes) -> Option<Offset> {
    Some(Offset(i64::from_be_bytes(bytes.as_ref().try_into().ok()?)))
}

/// The broker that [`ASKED_TAG`] names.
pub fn decode_asked(bytes: &Bytes) -> Option<BrokerId> {
    Some(BrokerId(i32::from_be_bytes(bytes.as_ref().try_into().ok()?)))
}

/// A principal as Kafka's brokers write it into an Envelope: `DefaultPrincipalData` v0 after its version.
pub fn encode_principal(principal: &Principal) -> Bytes {
    let mut out = BytesMut::from(&[0, 0][..]);
    wire::put_string(&mut out, principal.kind, true);
    wire::put_string(&mut out, &principal.name, true);
    // Not authenticated by a delegation token.
    out.extend_from_slice(&[0]);
    wire::put_no_tagged_fields(&mut out, true);
    out.freeze()
}

/// Reads what [`encode_principal`] writes; `None` for anything that cannot be read, and for types that nobody has here.
pub fn decode_principal(bytes: &[u8]) -> Option<Principal> {
    let mut reader = Reader::new(bytes);
    if reader.int16().ok()? != 0 {
        return None;
    }
    let kind = reader.string(true).ok()?;
    let name = reader.string(true).ok()?;
    reader.boolean().ok()?;
    reader.skip_tagged_fields(true).ok()?;
    (kind == "User").then(|| Principal { kind: "User", name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_travels_in_kafkas_bytes() {
        let bytes = encode_principal(&Principal::anonymous());
        // `DefaultKafkaPrincipalBuilder.serialize` of Apache Kafka 4.3.1.
        assert_eq!(bytes.as_ref(), b"\x00\x00\x05User\x0aANONYMOUS\x00\x00");
        assert_eq!(decode_principal(&bytes), Some(Principal::anonymous()));
        for length in 0..bytes.len() {
            assert_eq!(decode_principal(&bytes[..length]), None, "{length}");
        }
        assert_eq!(decode_principal(b"\x00\x00\x05Role\x02a\x00\x00"), None);
        assert_eq!(decode_principal(b"\x00\x01\x05User\x02a\x00\x00"), None);
    }
}
