//! What a handler knows besides the request: who asks, over which connection, when.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::quotas::QuotaClient;
use crate::config::Roles;
use crate::model::{BrokerId, Now};
use crate::protocol::message::StrBytes;
use crate::security::Principal;

use super::RawReply;
use super::slot::{SlotHome, SlotToken};

/// A connection, as far as handlers care.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Unique within the process's life of this server.
    pub id: u64,
    /// The name of the listener that accepted it, in capitals.
    pub listener: Arc<str>,
    /// What that listener is for: a peer's words are believed only on a listener of peers.
    pub roles: Roles,
    pub peer: SocketAddr,
    /// The address that the client has reached us by: what to advertise when the listener is a wildcard.
    pub local: SocketAddr,
    pub principal: Principal,
    /// The broker that the client asked, when that one has handed the request on; `None` when it is this one.
    pub asked: Option<BrokerId>,
}

/// The surroundings of one request.
pub struct Context<'a> {
    pub broker: &'a Arc<Broker>,
    pub connection: &'a ConnectionInfo,
    /// The version of the request and of its answer.
    pub version: i16,
    /// The number that the answer carries; only raw handlers need it.
    pub correlation_id: i32,
    pub client_id: Option<&'a StrBytes>,
    /// When the bytes of the request were read.
    pub now: Now,
    pub(crate) slots: &'a Arc<SlotHome>,
}

impl Context<'_> {
    /// A place in the order of answers that can be filled from any thread: hand the reply back, keep the token.
    pub fn open_slot(&self) -> (SlotToken, RawReply) {
        let token = self.slots.open();
        let reply = RawReply::Slot(token.id());
        (token, reply)
    }

    /// The broker that the client asked: some things a broker changes for itself alone.
    pub fn asked(&self) -> BrokerId {
        self.connection.asked.unwrap_or_else(|| self.broker.node_id())
    }

    /// The client as quotas know it; `strict_from` is the first version that knows THROTTLING_QUOTA_EXCEEDED.
    pub fn quota_client(&self, strict_from: i16) -> QuotaClient {
        QuotaClient {
            user: self.connection.principal.name.to_string(),
            client_id: self.client_id_text().to_owned(),
            is_strict: self.version >= strict_from,
        }
    }

    /// The client id as text; empty when it was null.
    pub fn client_id_text(&self) -> &str {
        self.client_id.map_or("", |id| id)
    }
}

/// The surroundings of several requests of one API; what differs between them is in their headers.
pub struct BurstContext<'a> {
    pub broker: &'a Arc<Broker>,
    pub connection: &'a ConnectionInfo,
    /// When the bytes of the requests were read.
    pub now: Now,
    pub(crate) slots: &'a Arc<SlotHome>,
}

impl BurstContext<'_> {
    /// As [`Context::open_slot`].
    pub fn open_slot(&self) -> (SlotToken, RawReply) {
        let token = self.slots.open();
        let reply = RawReply::Slot(token.id());
        (token, reply)
    }
}
