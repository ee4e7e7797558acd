//! A client of the simulated cluster: it finds leaders and coordinators, and asks them, on links of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::history::Partition;
use super::node::{CLIENT_PORT, name_of};
use crate::io::simulated;
use crate::peer::{Address, Link, LinkOptions};
use crate::protocol::message::find_coordinator_response::Coordinator;
use crate::protocol::message::metadata_request::MetadataRequestTopic;
use crate::protocol::message::{FindCoordinatorRequest, MetadataRequest, RequestMessage, StrBytes, TopicName};

/// How long any request may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The name of the group of those who commit without being members.
pub const GROUP: &str = "group";

/// Why there is no answer; the client tries again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

/// See the head of this file.
pub struct Client {
    node_count: i32,
    links: BTreeMap<i32, Link>,
    /// With the leader epoch in which they lead.
    leaders: BTreeMap<Partition, (i32, i32)>,
    /// The newest leader epoch heard of: a node that is behind is not believed (KIP-320, `Metadata.updateLatestMetadata`).
    epochs: BTreeMap<Partition, i32>,
    coordinator: Option<i32>,
}

impl Client {
    pub fn new(node_count: i32) -> Client {
        let link = |id| {
            let address = Address { host: name_of(id), port: CLIENT_PORT };
            let connect_timeout = TIMEOUT;
            Link::new(LinkOptions { connect_timeout, ..LinkOptions::new(address, "sim") })
        };
        let links = (1..=node_count).map(|id| (id, link(id))).collect();
        Client { node_count, links, leaders: BTreeMap::new(), epochs: BTreeMap::new(), coordinator: None }
    }

    /// Asks one node.
    pub async fn ask<R: RequestMessage>(&self, node: i32, request: &R, version: i16) -> Result<R::Response, Failed> {
        let link = self.links.get(&node).ok_or_else(|| Failed(format!("there is no node {node}")))?;
        link.call(request, version, TIMEOUT).await.map_err(|error| Failed(error.to_string()))
    }

    /// Any node, to ask for what each of them knows.
    pub fn any_node(&self) -> i32 {
        let count = u64::try_from(self.node_count).expect("a count");
        i32::try_from(simulated::next_random() % count).expect("below a count") + 1
    }

    /// Asks any node.
    pub async fn ask_any<R: RequestMessage>(&self, request: &R, version: i16) -> Result<R::Response, Failed> {
        self.ask(self.any_node(), request, version).await
    }

    /// The node that leads the partition, as far as this client knows, and in which leader epoch.
    pub async fn leader(&mut self, partition: Partition) -> Result<(i32, i32), Failed> {
        if let Some(leader) = self.leaders.get(&partition) {
            return Ok(*leader);
        }
        let (topic, index) = partition;
        let name = Some(TopicName(StrBytes::from_static_str(topic)));
        let topics = Some(vec![MetadataRequestTopic::default().with_name(name)]);
        let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
        let response = self.ask_any(&request, 12).await?;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let found = partitions.filter(|found| found.partition_index == index).find(|found| found.leader_id.0 > 0);
        let found = found.ok_or_else(|| Failed("no leader".into()))?;
        let epoch = self.epochs.entry(partition).or_insert(found.leader_epoch);
        if found.leader_epoch < *epoch {
            return Err(Failed("the node is behind".into()));
        }
        *epoch = found.leader_epoch;
        let leader = (found.leader_id.0, found.leader_epoch);
        self.leaders.insert(partition, leader);
        Ok(leader)
    }

    /// Where the leader or the coordinator was is not believed any more.
    pub fn forget(&mut self, partition: Partition) {
        self.leaders.remove(&partition);
    }

    /// The coordinator of a group; one client has to do with one group at a time.
    pub async fn coordinator(&mut self, group: &'static str) -> Result<i32, Failed> {
        if let Some(node) = self.coordinator {
            return Ok(node);
        }
        let keys = vec![StrBytes::from_static_str(group)];
        let request = FindCoordinatorRequest::default().with_coordinator_keys(keys);
        let response = self.ask_any(&request, 4).await?;
        match response.coordinators.first() {
            Some(Coordinator { error_code: 0, node_id, .. }) => {
                self.coordinator = Some(node_id.0);
                Ok(node_id.0)
            }
            other => Err(Failed(format!("no coordinator: {:?}", other.map(|other| other.error_code)))),
        }
    }

    pub fn forget_coordinator(&mut self) {
        self.coordinator = None;
    }
}
