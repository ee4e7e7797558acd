//! Everything that clients can ask of what was imported, so that two servers can be compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    BrokerId, DescribeClientQuotasRequest, DescribeConfigsRequest, FetchRequest, GroupId, ListOffsetsRequest,
    MetadataRequest, OffsetFetchRequest,
};
use ottla::protocol::record_batch::BatchIter;

use crate::connection::{Connection, text, topic_name};

const RETRY_LIMIT: Duration = Duration::from_secs(30);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const FETCH_BYTES: i32 = 8 << 20;
/// `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
/// The sources of settings that are stored in the cluster: of a topic, a broker, all brokers, a group.
const STORED: [i8; 4] = [1, 2, 3, 8];
/// The earliest, the latest, that of the greatest time; and some times between.
const TIMES: [i64; 6] = [-2, -1, -3, 1_767_225_660_000, 1_767_225_660_500, 1_767_225_720_500];

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    pub cluster_id: String,
    pub topics: BTreeMap<String, Topic>,
    pub broker_configs: BTreeMap<String, String>,
    pub group_configs: BTreeMap<String, String>,
    pub quotas: Vec<String>,
    /// Of each group: topic, partition, offset and metadata.
    pub positions: BTreeMap<String, Vec<(String, i32, i64, String)>>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: uuid::Uuid,
    pub configs: BTreeMap<String, String>,
    pub partitions: Vec<Partition>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// Offset and time for each of `TIMES`.
    pub offsets: Vec<(i64, i64)>,
    /// All batches as they lie on disk.
    pub batches: Bytes,
}

/// Asks for everything; the groups are those named.
pub fn of(address: &str, groups: &[&str]) -> Result<State> {
    let mut connection = Connection::open(address)?;
    let metadata = connection.ask(12, &MetadataRequest::default().with_topics(None))?;
    let mut topics = BTreeMap::new();
    for topic in &metadata.topics {
        let name = topic.name.as_ref().context("a topic has a name")?.to_string();
        let mut partitions = Vec::new();
        for partition in 0..i32::try_from(topic.partitions.len())? {
            partitions.push(partition_of(address, &name, partition)?);
        }
        let configs = configs(&mut connection, TOPIC, &name)?;
        topics.insert(name, Topic { id: topic.topic_id, configs, partitions });
    }
    let mut positions = BTreeMap::new();
    for group in groups {
        positions.insert((*group).to_owned(), retry(|| positions_of(address, group))?);
    }
    Ok(State {
        cluster_id: metadata.cluster_id.map(|id| id.to_string()).unwrap_or_default(),
        topics,
        broker_configs: configs(&mut connection, BROKER, "1")?,
        group_configs: configs(&mut connection, GROUP, "g-consumer")?,
        quotas: quotas(&mut connection)?,
        positions,
    })
}

/// Tries until it works or the limit is over: a coordinator that has just started loads.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let until = Instant::now() + RETRY_LIMIT;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => std::thread::sleep(RETRY_PAUSE),
        }
    }
}

fn partition_of(address: &str, topic: &str, partition: i32) -> Result<Partition> {
    let mut connection = Connection::open(address)?;
    let mut offsets = Vec::new();
    for time in TIMES {
        let asked = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(time);
        let asked = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked]);
        let answer = connection.ask(8, &request)?;
        let found = answer.topics.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
        ensure!(found.error_code == 0, "ListOffsets of {topic}-{partition} answers {}", found.error_code);
        offsets.push((found.offset, found.timestamp));
    }
    // Groups go on writing there by themselves.
    let batches = match topic {
        "__consumer_offsets" => Bytes::new(),
        _ => batches(address, topic, partition, offsets[0].0, offsets[1].0)?,
    };
    if topic == "__consumer_offsets" {
        offsets.clear();
    }
    Ok(Partition { offsets, batches })
}

/// All whole batches between two offsets, as they came.
pub fn batches(address: &str, topic: &str, partition: i32, start: i64, end: i64) -> Result<Bytes> {
    let mut connection = Connection::open(address)?;
    let (mut offset, mut all) = (start, Vec::new());
    while offset < end {
        let asked = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(FETCH_BYTES);
        let asked = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![asked]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(1000)
            .with_max_bytes(FETCH_BYTES)
            .with_topics(vec![asked]);
        let answer = connection.ask(12, &request)?;
        let found = answer.responses.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
        ensure!(found.error_code == 0, "Fetch of {topic}-{partition} answers {}", found.error_code);
        let records = found.records.clone().unwrap_or_default();
        let before = offset;
        for batch in BatchIter::new(&records).map_while(Result::ok) {
            all.extend_from_slice(batch.bytes());
            offset = batch.header.next_offset().0;
        }
        if offset == before {
            break;
        }
    }
    Ok(all.into())
}

/// The settings of a resource that are stored in the cluster.
fn configs(connection: &mut Connection, resource_type: i8, name: &str) -> Result<BTreeMap<String, String>> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let answer = connection.ask(4, &DescribeConfigsRequest::default().with_resources(vec![resource]))?;
    let result = answer.results.first().context("no resource")?;
    ensure!(result.error_code == 0, "DescribeConfigs of {name:?} answers {}", result.error_code);
    let stored = result.configs.iter().filter(|config| STORED.contains(&config.config_source));
    Ok(stored.map(|config| (config.name.to_string(), format!("{} {:?}", config.config_source, config.value))).collect())
}

fn quotas(connection: &mut Connection) -> Result<Vec<String>> {
    let answer = connection.ask(1, &DescribeClientQuotasRequest::default())?;
    ensure!(answer.error_code == 0, "DescribeClientQuotas answers {}", answer.error_code);
    let mut quotas = Vec::new();
    for entry in answer.entries.unwrap_or_default() {
        let mut parts: Vec<String> =
            entry.entity.iter().map(|part| format!("{:?}={:?}", part.entity_type, part.entity_name)).collect();
        parts.sort();
        let mut values: Vec<String> =
            entry.values.iter().map(|value| format!("{:?}={}", value.key, value.value)).collect();
        values.sort();
        quotas.push(format!("{parts:?}: {values:?}"));
    }
    quotas.sort();
    Ok(quotas)
}

fn positions_of(address: &str, group: &str) -> Result<Vec<(String, i32, i64, String)>> {
    let request = OffsetFetchRequest::default().with_group_id(GroupId(text(group))).with_topics(None);
    let answer = Connection::open(address)?.ask(7, &request)?;
    ensure!(answer.error_code == 0, "OffsetFetch of {group} answers {}", answer.error_code);
    let mut positions = Vec::new();
    for topic in &answer.topics {
        for partition in &topic.partitions {
            let metadata = partition.metadata.as_ref().map(|metadata| metadata.to_string()).unwrap_or_default();
            positions.push((topic.name.to_string(), partition.partition_index, partition.committed_offset, metadata));
        }
    }
    positions.sort();
    Ok(positions)
}

/// What differs, in as few words as say where.
pub fn difference(expected: &State, found: &State) -> Option<String> {
    for (name, topic) in &expected.topics {
        let Some(other) = found.topics.get(name) else { return Some(format!("topic {name} is missing")) };
        if (topic.id, &topic.configs) != (other.id, &other.configs) {
            let (here, there) = ((topic.id, &topic.configs), (other.id, &other.configs));
            return Some(format!("topic {name} has {there:?}, not {here:?}"));
        }
        if topic.partitions.len() != other.partitions.len() {
            return Some(format!("topic {name} has {} partitions", other.partitions.len()));
        }
        for (index, (partition, other)) in topic.partitions.iter().zip(&other.partitions).enumerate() {
            if partition.offsets != other.offsets {
                return Some(format!("{name}-{index} has offsets {:?}, not {:?}", other.offsets, partition.offsets));
            }
            if partition.batches != other.batches {
                return Some(format!("{name}-{index} has {} other bytes", other.batches.len()));
            }
        }
    }
    if let Some(name) = found.topics.keys().find(|name| !expected.topics.contains_key(*name)) {
        return Some(format!("topic {name} is there"));
    }
    let rest = |state: &State| {
        let State { cluster_id, broker_configs, group_configs, quotas, positions, .. } = state;
        format!("{cluster_id} {broker_configs:?} {group_configs:?} {quotas:?} {positions:?}")
    };
    (rest(expected) != rest(found)).then(|| format!("{}\ninstead of\n{}", rest(found), rest(expected)))
}
