//! Brokers, topics and partitions as one client sees them: by the listener it came through.
//!
//! A broker that has no such listener is not there for this client. A broker that listens on every address of its machine
//! advertises the one that this client has reached it by, which it can evidently reach; `0.0.0.0` is never told to anyone.

use crate::api::ConnectionInfo;
use crate::metadata::{Broker, Image, Partition, Replicas};
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::message::{StrBytes, WireBrokerId};

/// The cluster through the eyes of one connection.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub image: &'a Image,
    /// This broker, which is not reached like the others.
    pub own_id: BrokerId,
    pub connection: &'a ConnectionInfo,
}

/// Where this client should connect to reach a broker.
pub struct Node {
    pub id: WireBrokerId,
    pub host: StrBytes,
    pub port: i32,
    pub rack: Option<StrBytes>,
}

/// A partition's leader and what is wrong with it, for this client.
pub struct Leadership {
    pub error: ErrorCode,
    pub leader: BrokerId,
}

impl View<'_> {
    /// The brokers that have this client's listener, by id.
    pub fn nodes(&self) -> Vec<Node> {
        self.image.brokers().filter_map(|broker| self.node(broker)).collect()
    }

    /// A broker for requests that only the controller can carry out. In a KRaft cluster clients are given any broker, which
    /// forwards (`KRaftMetadataCache.getRandomAliveBrokerId`); the one that is asked is as good as any.
    pub fn controller(&self) -> WireBrokerId {
        wire(self.own_id)
    }

    /// Whether this client could connect to the broker.
    pub fn can_reach(&self, id: BrokerId) -> bool {
        self.image.broker(id).is_some_and(|broker| self.endpoint_index(broker).is_some())
    }

    /// Source: `KRaftMetadataCache.partitionMetadata`. `names_listener` says whether the client knows LISTENER_NOT_FOUND.
    pub fn leadership(&self, partition: &Partition, names_listener: bool) -> Leadership {
        if self.can_reach(partition.leader) {
            return Leadership { error: ErrorCode::None, leader: partition.leader };
        }
        let is_registered = self.image.broker(partition.leader).is_some();
        let error = match is_registered && names_listener {
            true => ErrorCode::ListenerNotFound,
            false => ErrorCode::LeaderNotAvailable,
        };
        Leadership { error, leader: Partition::NO_LEADER }
    }

    /// The replicas on brokers that this client cannot connect to.
    pub fn offline(&self, replicas: &Replicas) -> Vec<WireBrokerId> {
        replicas.iter().filter(|id| !self.can_reach(**id)).map(|id| wire(*id)).collect()
    }

    fn endpoint_index(&self, broker: &Broker) -> Option<usize> {
        broker.endpoints.iter().position(|endpoint| *endpoint.listener == *self.connection.listener)
    }

    fn node(&self, broker: &Broker) -> Option<Node> {
        let endpoint = &broker.endpoints[self.endpoint_index(broker)?];
        let host = match broker.id == self.own_id && is_wildcard(&endpoint.host) {
            true => self.connection.local.ip().to_canonical().to_string(),
            false => endpoint.host.clone(),
        };
        Some(Node {
            id: wire(broker.id),
            host: StrBytes::from_string(host),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone().map(StrBytes::from_string),
        })
    }
}

fn is_wildcard(host: &str) -> bool {
    host.is_empty() || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_unspecified())
}

/// A broker's id as messages carry it.
pub fn wire(id: BrokerId) -> WireBrokerId {
    WireBrokerId(id.0)
}

/// A list of brokers as messages carry it.
pub fn wire_all(ids: &[BrokerId]) -> Vec<WireBrokerId> {
    ids.iter().map(|id| wire(*id)).collect()
}
