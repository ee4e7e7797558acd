//! Who leads now, beside an error that says that a client knows it wrong (KIP-951), for Produce and Fetch.
//!
//! Source: `KafkaApis.getCurrentLeader`. Each leader's address on the client's listener is told once an answer.

use crate::broker::Broker;
use crate::model::PartitionIndex;
use crate::protocol::leader::{CurrentLeader, NodeEndpoint};
use crate::protocol::topic_ref::TopicRef;

/// Whom an answer is for, and the leaders that it names.
pub(super) struct Leaders<'a> {
    listener: &'a str,
    pub(super) endpoints: Vec<NodeEndpoint>,
}

impl<'a> Leaders<'a> {
    /// Names none yet; costs nothing.
    pub(super) fn new(listener: &'a str) -> Leaders<'a> {
        Leaders { listener, endpoints: Vec::new() }
    }

    /// The leader of a partition, whose address goes into the answer too; nobody when the topic is not known.
    pub(super) fn current(&mut self, broker: &Broker, topic: TopicRef<'_>, partition: i32) -> CurrentLeader {
        let image = broker.image();
        let topic = match topic {
            TopicRef::Name(name) => image.topic(name),
            TopicRef::Id(id) => image.topic_by_id(id),
        };
        let partition = topic.and_then(|topic| topic.partition(PartitionIndex(partition)));
        let Some(partition) = partition else { return CurrentLeader::NONE };
        let leader = image.broker(partition.leader);
        let endpoint = leader.and_then(|leader| leader.endpoints.iter().find(|at| at.listener == self.listener));
        if let (Some(leader), Some(endpoint)) = (leader, endpoint)
            && self.endpoints.iter().all(|known| known.node_id != leader.id.0)
        {
            let (host, port) = (endpoint.host.clone(), i32::from(endpoint.port));
            self.endpoints.push(NodeEndpoint { node_id: leader.id.0, host, port, rack: leader.rack.clone() });
        }
        CurrentLeader { leader_id: partition.leader.0, leader_epoch: partition.leader_epoch.0 }
    }
}
