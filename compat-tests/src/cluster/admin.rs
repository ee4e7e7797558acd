//! Short questions and orders to a cluster, each on a connection of its own with a limit of its own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeQuorumRequest,
    ElectLeadersRequest, InitProducerIdRequest, MetadataRequest, ProducerId,
};
use uuid::Uuid;

use crate::connection::{Connection, text, topic_name};

/// How long a node may take for a short answer before it counts as away.
pub const LIMIT: Duration = Duration::from_secs(2);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
const CREATE_LIMIT: Duration = Duration::from_secs(30);
const METADATA_VERSION: i16 = 12;

/// What one node says of the cluster.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub brokers: BTreeMap<i32, String>,
    /// Less than 0 is none.
    pub controller: i32,
    /// Of the topic that was asked for.
    pub topic_id: Uuid,
    pub partitions: BTreeMap<i32, Partition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Less than 0 is none.
    pub leader: i32,
    pub leader_epoch: i32,
    pub isr: Vec<i32>,
    pub replicas: Vec<i32>,
}

/// Asks the node at this address for the cluster, and for a topic that exists.
pub fn look(address: &str, topic: Option<&str>) -> Result<View> {
    look_on(&mut Connection::open_within(address, LIMIT)?, topic)
}

/// As [`look`], on a connection that is open.
pub fn look_on(connection: &mut Connection, topic: Option<&str>) -> Result<View> {
    let wanted = topic.map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
    let request = MetadataRequest::default().with_topics(Some(wanted.into_iter().collect()));
    let answer = connection.ask(METADATA_VERSION, &request.with_allow_auto_topic_creation(false))?;
    let broker = |broker: &kafka_protocol::messages::metadata_response::MetadataResponseBroker| {
        (broker.node_id.0, format!("{}:{}", broker.host.as_str(), broker.port))
    };
    let mut view = View { brokers: answer.brokers.iter().map(broker).collect(), ..View::default() };
    view.controller = answer.controller_id.0;
    if topic.is_some() {
        let topic = answer.topics.first().context("no topic in the answer")?;
        ensure!(topic.error_code == 0, "Metadata answers error {} for the topic", topic.error_code);
        view.topic_id = topic.topic_id;
        for partition in &topic.partitions {
            let ids = |nodes: &[BrokerId]| nodes.iter().map(|node| node.0).collect();
            let seen = Partition {
                leader: partition.leader_id.0,
                leader_epoch: partition.leader_epoch,
                isr: ids(&partition.isr_nodes),
                replicas: ids(&partition.replica_nodes),
            };
            view.partitions.insert(partition.partition_index, seen);
        }
    }
    Ok(view)
}

/// The first of these nodes that answers; with `topic`, one that knows it.
pub fn look_anywhere(addresses: &[String], topic: Option<&str>) -> Result<View> {
    let mut last = None;
    for address in addresses {
        match look(address, topic) {
            Ok(view) => return Ok(view),
            Err(error) => last = Some(error),
        }
    }
    Err(last.context("no addresses")?)
}

/// The names and ids of all topics that a node knows.
pub fn topics(address: &str) -> Result<BTreeMap<String, Uuid>> {
    let request = MetadataRequest::default().with_topics(None);
    let answer = Connection::open_within(address, LIMIT)?.ask(METADATA_VERSION, &request)?;
    let named = answer.topics.iter().filter(|topic| topic.error_code == 0);
    Ok(named.filter_map(|topic| Some((topic.name.as_ref()?.to_string(), topic.topic_id))).collect())
}

/// Creates a topic through this node; its id. Error codes are in the error's text.
pub fn create_topic(
    address: &str,
    name: &str,
    partitions: i32,
    replicas: i16,
    configs: &[(&str, &str)],
) -> Result<Result<Uuid, i16>> {
    let config = |(name, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
        .with_configs(configs.iter().map(config).collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(20_000);
    let answer = Connection::open_within(address, CREATE_LIMIT)?.ask(7, &request)?;
    let topic = answer.topics.first().context("no topic in the answer")?;
    Ok(if topic.error_code == 0 { Ok(topic.topic_id) } else { Err(topic.error_code) })
}

/// Deletes a topic by its id through this node; the error code, 0 for none.
pub fn delete_topic(address: &str, id: Uuid) -> Result<i16> {
    let topic = DeleteTopicState::default().with_name(None).with_topic_id(id);
    let request = DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = Connection::open_within(address, CREATE_LIMIT)?.ask(6, &request)?;
    Ok(answer.responses.first().context("no topic in the answer")?.error_code)
}

/// A producer id that nobody had, and its epoch.
pub fn producer_id(addresses: &[String]) -> Result<(i64, i16)> {
    let until = Instant::now() + CREATE_LIMIT;
    loop {
        for address in addresses {
            let asked = Connection::open_within(address, LIMIT).and_then(|mut connection| {
                let nobody = InitProducerIdRequest::default().with_transactional_id(None);
                let nobody = nobody.with_transaction_timeout_ms(i32::MAX).with_producer_id(ProducerId(-1));
                connection.ask(4, &nobody.with_producer_epoch(-1))
            });
            if let Ok(answer) = asked
                && answer.error_code == 0
            {
                return Ok((answer.producer_id.0, answer.producer_epoch));
            }
        }
        ensure!(Instant::now() < until, "no node hands out producer ids");
        std::thread::sleep(SETTLE_PAUSE);
    }
}

/// Leader and epoch of the metadata quorum, as this node knows it.
pub fn quorum(address: &str) -> Result<(i32, i32)> {
    let metadata = TopicData::default()
        .with_topic_name(topic_name("__cluster_metadata"))
        .with_partitions(vec![PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![metadata]);
    let answer = Connection::open_within(address, LIMIT)?.ask(1, &request)?;
    ensure!(answer.error_code == 0, "DescribeQuorum answers error {}", answer.error_code);
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
    ensure!(partition.error_code == 0, "DescribeQuorum answers error {}", partition.error_code);
    Ok((partition.leader_id.0, partition.leader_epoch))
}

/// Sets the replicas of one partition, the preferred leader first; the error code, 0 for none.
pub fn reassign(address: &str, topic: &str, partition: i32, replicas: &[i32]) -> Result<i16> {
    let wanted = ReassignablePartition::default()
        .with_partition_index(partition)
        .with_replicas(Some(replicas.iter().map(|id| BrokerId(*id)).collect()));
    let topic = ReassignableTopic::default().with_name(topic_name(topic)).with_partitions(vec![wanted]);
    let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = Connection::open_within(address, CREATE_LIMIT)?.ask(0, &request)?;
    let partition = answer.responses.first().and_then(|topic| topic.partitions.first());
    Ok(partition.map_or(answer.error_code, |partition| partition.error_code))
}

/// Elects the preferred leader of one partition; the error code, 0 for none.
pub fn elect_preferred(address: &str, topic: &str, partition: i32) -> Result<i16> {
    let wanted = TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(vec![partition]);
    let request = ElectLeadersRequest::default().with_election_type(0).with_timeout_ms(10_000);
    let answer =
        Connection::open_within(address, CREATE_LIMIT)?.ask(2, &request.with_topic_partitions(Some(vec![wanted])))?;
    let partition = answer.replica_election_results.first().and_then(|topic| topic.partition_result.first());
    Ok(partition.map_or(answer.error_code, |partition| partition.error_code))
}

/// Waits until every partition of the topic has a leader and all its replicas in sync, as all these nodes see it.
pub fn await_in_sync(addresses: &[String], topic: &str, limit: Duration) -> Result<()> {
    let until = Instant::now() + limit;
    for address in addresses {
        loop {
            let view = look(address, Some(topic));
            let is_whole =
                |partition: &Partition| partition.leader >= 0 && partition.isr.len() == partition.replicas.len();
            if let Ok(view) = &view
                && !view.partitions.is_empty()
                && view.partitions.values().all(is_whole)
            {
                break;
            }
            ensure!(Instant::now() < until, "after {} s {address} says of {topic}: {view:?}", limit.as_secs());
            std::thread::sleep(SETTLE_PAUSE);
        }
    }
    Ok(())
}
