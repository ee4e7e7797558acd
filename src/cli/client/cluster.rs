//! What Metadata tells: brokers, topics, who leads; and the offsets that only leaders know.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::{Client, Refused, address, check, text};
use crate::model::{ErrorCode, TopicId};
use crate::peer::Address;
use crate::protocol::message::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::protocol::message::metadata_request::MetadataRequestTopic;
use crate::protocol::message::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use crate::protocol::message::{ListOffsetsRequest, MetadataRequest, TopicName, WireBrokerId};

/// Partitions by topic and number.
pub type TopicPartitions = Vec<(String, i32)>;

/// The cluster as one broker knows it.
pub struct Cluster {
    pub brokers: BTreeMap<i32, Address>,
    pub topics: Vec<Topic>,
}

/// One topic.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    /// Zero when the broker is too old to tell.
    pub id: TopicId,
    pub is_internal: bool,
    pub error: ErrorCode,
    /// By their numbers.
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Clone, Debug)]
pub struct Partition {
    pub index: i32,
    /// -1 when there is none.
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
}

/// What ListOffsets has answered for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// -1 when no record is so late.
    pub offset: i64,
}

impl From<MetadataResponseTopic> for Topic {
    fn from(topic: MetadataResponseTopic) -> Topic {
        let mut partitions: Vec<Partition> = topic.partitions.into_iter().map(Partition::from).collect();
        partitions.sort_by_key(|partition| partition.index);
        Topic {
            name: topic.name.map(|name| name.to_string()).unwrap_or_default(),
            id: TopicId(topic.topic_id),
            is_internal: topic.is_internal,
            error: ErrorCode::from(topic.error_code),
            partitions,
        }
    }
}

impl From<MetadataResponsePartition> for Partition {
    fn from(partition: MetadataResponsePartition) -> Partition {
        let ids = |ids: Vec<WireBrokerId>| ids.into_iter().map(|id| id.0).collect();
        Partition {
            index: partition.partition_index,
            leader: partition.leader_id.0,
            replicas: ids(partition.replica_nodes),
            isr: ids(partition.isr_nodes),
        }
    }
}

impl Cluster {
    /// The topic. Errors: it is not there, or has no name that could be.
    pub fn topic(&self, name: &str) -> anyhow::Result<&Topic> {
        let topic = self.topics.iter().find(|topic| topic.name == name);
        let topic = topic.with_context(|| format!("topic {name}: the broker does not know of it"))?;
        check(format!("topic {name}"), topic.error.code(), None)?;
        Ok(topic)
    }

    /// Where a partition is led. Errors: LEADER_NOT_AVAILABLE.
    pub fn leader(&self, topic: &str, partition: i32) -> anyhow::Result<(i32, &Address)> {
        let what = || format!("partition {topic}-{partition}");
        let found = self.topic(topic)?.partitions.iter().find(|found| found.index == partition);
        let leader = found.with_context(|| format!("{}: the topic has no such partition", what()))?.leader;
        let address = self.brokers.get(&leader);
        let missing = || Refused { what: what(), code: ErrorCode::LeaderNotAvailable, message: String::new() };
        Ok((leader, address.ok_or_else(missing)?))
    }
}

impl Client {
    /// Asks about these topics, or all. What is not there is told by the topic's error.
    pub async fn cluster(&self, topics: Option<&[String]>) -> anyhow::Result<Cluster> {
        self.ask(topics, false).await
    }

    /// As [`Client::cluster`], but the topic is made when it is not there and brokers make topics on demand.
    pub async fn cluster_for_producer(&self, topic: &str) -> anyhow::Result<Cluster> {
        self.ask(Some(&[topic.to_owned()]), true).await
    }

    async fn ask(&self, topics: Option<&[String]>, may_create: bool) -> anyhow::Result<Cluster> {
        let node = self.any().await?;
        let named = |name: &String| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(may_create);
        let answer = self.call(&node, &request, 12).await?;
        let mut brokers = BTreeMap::new();
        for broker in answer.brokers {
            let address = address(&broker.host, broker.port)?;
            self.remember(&address);
            brokers.insert(broker.node_id.0, address);
        }
        let mut topics: Vec<Topic> = answer.topics.into_iter().map(Topic::from).collect();
        topics.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Cluster { brokers, topics })
    }

    /// Asks the leaders for offsets by time: -1 is the end, -2 the start, else the first record that is not earlier. What a leader
    /// refuses is an error that may pass.
    pub async fn positions(
        &self,
        cluster: &Cluster,
        partitions: &[(String, i32)],
        timestamp: i64,
        is_committed: bool,
    ) -> anyhow::Result<BTreeMap<(String, i32), Position>> {
        let mut by_leader: BTreeMap<&Address, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        for (topic, partition) in partitions {
            let (_, leader) = cluster.leader(topic, *partition)?;
            by_leader.entry(leader).or_default().entry(topic).or_default().push(*partition);
        }
        let mut found = BTreeMap::new();
        for (leader, topics) in by_leader {
            let request = list_offsets(topics, timestamp, is_committed);
            let answer = self.call(&self.node(leader), &request, 7).await?;
            for topic in answer.topics {
                for partition in topic.partitions {
                    let key = (topic.name.to_string(), partition.partition_index);
                    check(format!("offsets of {}-{}", key.0, key.1), partition.error_code, None)?;
                    found.insert(key, Position { offset: partition.offset });
                }
            }
        }
        Ok(found)
    }
}

fn list_offsets(topics: BTreeMap<&str, Vec<i32>>, timestamp: i64, is_committed: bool) -> ListOffsetsRequest {
    let asked = |index: i32| ListOffsetsPartition::default().with_partition_index(index).with_timestamp(timestamp);
    let topics = topics.into_iter().map(|(name, partitions)| {
        ListOffsetsTopic::default()
            .with_name(TopicName(text(name)))
            .with_partitions(partitions.into_iter().map(asked).collect())
    });
    ListOffsetsRequest::default()
        .with_replica_id(WireBrokerId(-1))
        .with_isolation_level(i8::from(is_committed))
        .with_topics(topics.collect())
}
