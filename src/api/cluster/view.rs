//! Brokers, topics and partitions as one client sees them: by the listener it came through.
//!
//! A broker that has no such listener is not there for this client. This broker, when it listens on every address of its
//! machine, advertises the one that this client has reached it by, which it can evidently reach; `0.0.0.0` is never told to
//! anyone. Others have registered with their machines' names then.
//!
//! Source: `KRaftMetadataCache`.

use crate::api::ConnectionInfo;
use crate::broker::Broker as Shell;
use crate::io::net;
use crate::metadata::{Broker, Endpoint, Image, Partition};
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::message::{StrBytes, WireBrokerId};

/// The cluster through the eyes of one connection.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub image: &'a Image,
    /// This broker, which is not reached like the others.
    own_id: BrokerId,
    own_endpoints: &'a [Endpoint],
    connection: &'a ConnectionInfo,
}

/// Where this client should connect to reach a broker.
pub struct Node {
    pub id: WireBrokerId,
    pub host: StrBytes,
    pub port: i32,
    pub rack: Option<StrBytes>,
    /// Whether the controller keeps clients away from it, because it is silent, starting or stopping.
    pub is_fenced: bool,
}

/// A partition's leader and what is wrong with it, for this client.
pub struct Leadership {
    pub error: ErrorCode,
    pub leader: BrokerId,
}

impl<'a> View<'a> {
    /// What a connection of this broker is shown of an image.
    pub fn new(broker: &'a Shell, image: &'a Image, connection: &'a ConnectionInfo) -> View<'a> {
        View { image, own_id: broker.node_id(), own_endpoints: broker.endpoints(), connection }
    }

    /// The brokers that have this client's listener and that clients may turn to, by id (`getAliveBrokerNodes`).
    pub fn nodes(&self) -> Vec<Node> {
        self.all_nodes().filter(|node| !node.is_fenced).collect()
    }

    /// The brokers that have this client's listener, fenced ones too, by id (`getBrokerNodes`).
    pub fn all_nodes(&self) -> impl Iterator<Item = Node> {
        self.image.brokers().filter_map(|broker| self.node(broker))
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

    /// The replicas on brokers that are fenced or that this client cannot connect to, and those in directories that do not work
    /// (`isReplicaOffline`).
    pub fn offline(&self, partition: &Partition) -> Vec<WireBrokerId> {
        let is_online = |id: BrokerId| {
            let broker = self.image.broker(id).filter(|broker| !broker.fenced);
            broker.is_some_and(|broker| broker.has_replica_online(partition) && self.endpoint_index(broker).is_some())
        };
        partition.replicas.iter().filter(|id| !is_online(**id)).map(|id| wire(*id)).collect()
    }

    fn endpoint_index(&self, broker: &Broker) -> Option<usize> {
        broker.endpoints.iter().position(|endpoint| *endpoint.listener == *self.connection.listener)
    }

    fn node(&self, broker: &Broker) -> Option<Node> {
        let endpoint = &broker.endpoints[self.endpoint_index(broker)?];
        let listens_everywhere = |own: &Endpoint| own.listener == endpoint.listener && net::is_wildcard_host(&own.host);
        let is_own = broker.id == self.own_id;
        let host = match is_own && self.own_endpoints.iter().any(listens_everywhere) {
            true => self.connection.local.ip().to_canonical().to_string(),
            false => endpoint.host.clone(),
        };
        Some(Node {
            id: wire(broker.id),
            host: StrBytes::from_string(host),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone().map(StrBytes::from_string),
            is_fenced: broker.fenced,
        })
    }
}

/// A broker's id as messages carry it.
pub fn wire(id: BrokerId) -> WireBrokerId {
    WireBrokerId(id.0)
}

/// A list of brokers as messages carry it.
pub fn wire_all(ids: &[BrokerId]) -> Vec<WireBrokerId> {
    ids.iter().map(|id| wire(*id)).collect()
}
