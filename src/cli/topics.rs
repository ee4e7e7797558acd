//! `ottla topics`: what topics there are, and how they are made, changed and removed, on any broker that speaks Kafka's protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Cluster, ConnectionArguments, Partition, Topic, TopicPartitions, check, text};
use super::{Failure, client, run, settings, table};
use crate::model::ErrorCode;
use crate::protocol::message::create_partitions_request::CreatePartitionsTopic;
use crate::protocol::message::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::protocol::message::describe_configs_request::DescribeConfigsResource;
use crate::protocol::message::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::protocol::message::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, TopicName,
};

/// Kafka's `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;
/// `DescribeConfigsResponse.ConfigSource.TOPIC_CONFIG`.
const TOPIC_SOURCE: i8 = 1;
/// `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;
/// "Whatever the broker has for topics whose creator does not say" (KIP-464).
const BROKERS_CHOICE: i32 = -1;

#[derive(Args)]
pub(super) struct TopicsArguments {
    #[command(subcommand)]
    command: TopicsCommand,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum TopicsCommand {
    /// Name every topic.
    List {
        /// Also those that brokers keep for themselves.
        #[arg(long)]
        internal: bool,
    },
    /// Show partitions, leaders, offsets and settings.
    Describe {
        /// All topics when none is named.
        names: Vec<String>,
    },
    /// Make topics.
    Create {
        #[arg(required = true)]
        names: Vec<String>,
        /// Partitions of each; the broker chooses when it is not given.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// Replicas of each partition; the broker chooses when it is not given.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
        replication_factor: Option<i16>,
        /// A setting, such as retention.ms=60000; may be given several times.
        #[arg(long, value_name = "KEY=VALUE", value_parser = settings::key_and_value)]
        config: Vec<(String, String)>,
        /// A topic that is there is no error.
        #[arg(long)]
        if_not_exists: bool,
    },
    /// Remove topics and everything in them.
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
        /// A topic that is not there is no error.
        #[arg(long)]
        if_exists: bool,
    },
    /// Add partitions, or change settings.
    Alter {
        name: String,
        /// Partitions that it has afterwards; never fewer than before.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// A setting, such as retention.ms=60000; may be given several times.
        #[arg(long, value_name = "KEY=VALUE", value_parser = settings::key_and_value)]
        config: Vec<(String, String)>,
        /// A setting that returns to its default; may be given several times.
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
    },
}

pub(super) fn main(arguments: TopicsArguments) -> Result<(), Failure> {
    let TopicsArguments { command, connection, json } = arguments;
    if let TopicsCommand::Alter { partitions: None, config, unset, .. } = &command
        && config.is_empty()
        && unset.is_empty()
    {
        return Err(Failure::Usage("nothing to alter: give --partitions, --config or --unset".to_owned()));
    }
    let client = Client::new(&connection)?;
    run(async move {
        match command {
            TopicsCommand::List { internal } => list(&client, internal, json).await,
            TopicsCommand::Describe { names } => describe(&client, names, json).await,
            TopicsCommand::Create { names, partitions, replication_factor, config, if_not_exists } => {
                let topic = |name: &String| creatable(name, partitions, replication_factor, &config);
                create(&client, names.iter().map(topic).collect(), if_not_exists, json).await
            }
            TopicsCommand::Delete { names, if_exists } => delete(&client, names, if_exists, json).await,
            TopicsCommand::Alter { name, partitions, config, unset } => {
                // Two requests: what the second would refuse must not be found out when the first is done.
                for validates_only in [true, false] {
                    if let Some(count) = partitions {
                        add_partitions(&client, &name, count, validates_only).await?;
                    }
                    if !config.is_empty() || !unset.is_empty() {
                        change_settings(&client, &name, &config, &unset, validates_only).await?;
                    }
                }
                table::tell_done("altered", &[name], &[], json)
            }
        }
    })
}

async fn list(client: &Client, internal: bool, json: bool) -> anyhow::Result<()> {
    let mut cluster = client.cluster(None).await?;
    cluster.topics.retain(|topic| internal || !topic.is_internal);
    let factor = |topic: &Topic| topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    if json {
        let topics = cluster.topics.iter().map(|topic| {
            json!({
                "name": topic.name, "id": topic.id.to_string(), "partitions": topic.partitions.len(),
                "replication_factor": factor(topic), "internal": topic.is_internal,
            })
        });
        return Ok(table::print_json(&topics.collect())?);
    }
    let rows = cluster
        .topics
        .iter()
        .map(|topic| vec![topic.name.clone(), topic.partitions.len().to_string(), factor(topic).to_string()]);
    Ok(table::print(&table::lines(&["topic", "partitions", "replicas"], rows))?)
}

/// First and next offset of each partition that has a leader.
type Extents = BTreeMap<(String, i32), (i64, i64)>;

async fn describe(client: &Arc<Client>, names: Vec<String>, json: bool) -> anyhow::Result<()> {
    let (cluster, extents, settings) = client.patiently(|| look(client, &names)).await?;
    if json {
        let topics = cluster.topics.iter().map(|topic| to_json(topic, &extents, settings.get(&topic.name)));
        return Ok(table::print_json(&topics.collect())?);
    }
    let mut page = Vec::new();
    for topic in &cluster.topics {
        page.push(to_text(topic, &extents, settings.get(&topic.name)));
    }
    Ok(table::print(&page.join("\n"))?)
}

/// The topics, the extents of their partitions, and the settings that were given to each itself.
async fn look(client: &Client, names: &[String]) -> anyhow::Result<(Cluster, Extents, OwnSettings)> {
    let cluster = client.cluster(Some(names).filter(|names| !names.is_empty())).await?;
    for name in names {
        cluster.topic(name)?;
    }
    let extents = extents(client, &cluster).await?;
    let settings = own_settings(client, &cluster).await?;
    Ok((cluster, extents, settings))
}

/// Names and values, by topic.
type OwnSettings = BTreeMap<String, BTreeMap<String, String>>;

async fn extents(client: &Client, cluster: &Cluster) -> anyhow::Result<Extents> {
    let mut partitions: TopicPartitions = Vec::new();
    for topic in &cluster.topics {
        let led = topic.partitions.iter().filter(|partition| cluster.brokers.contains_key(&partition.leader));
        partitions.extend(led.map(|partition| (topic.name.clone(), partition.index)));
    }
    let starts = client.positions(cluster, &partitions, -2, false).await?;
    let ends = client.positions(cluster, &partitions, -1, false).await?;
    let both = starts.into_iter().filter_map(|(key, start)| {
        let end = ends.get(&key)?.offset;
        Some((key, (start.offset, end)))
    });
    Ok(both.collect())
}

async fn own_settings(client: &Client, cluster: &Cluster) -> anyhow::Result<OwnSettings> {
    let resources = cluster.topics.iter().map(|topic| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(&topic.name))
            .with_configuration_keys(None)
    });
    let request = DescribeConfigsRequest::default().with_resources(resources.collect());
    let answer = client.call(&*client.any().await?, &request, 4).await?;
    let mut settings = BTreeMap::new();
    for result in answer.results {
        let name = result.resource_name.to_string();
        check(format!("settings of topic {name}"), result.error_code, result.error_message.as_ref())?;
        let own = result.configs.into_iter().filter(|config| config.config_source == TOPIC_SOURCE);
        let own = own.map(|config| {
            let value = config.value.map(|value| value.to_string());
            (config.name.to_string(), value.unwrap_or_else(|| "(hidden)".to_owned()))
        });
        settings.insert(name, own.collect());
    }
    Ok(settings)
}

fn to_json(topic: &Topic, extents: &Extents, settings: Option<&BTreeMap<String, String>>) -> Value {
    let partition = |partition: &Partition| {
        let extent = extents.get(&(topic.name.clone(), partition.index));
        json!({
            "partition": partition.index,
            "leader": Some(partition.leader).filter(|leader| *leader >= 0),
            "replicas": partition.replicas, "isr": partition.isr,
            "start_offset": extent.map(|extent| extent.0), "end_offset": extent.map(|extent| extent.1),
        })
    };
    json!({
        "name": topic.name, "id": topic.id.to_string(), "internal": topic.is_internal, "config": settings,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

fn to_text(topic: &Topic, extents: &Extents, settings: Option<&BTreeMap<String, String>>) -> String {
    let settings: Vec<String> = settings.into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
    let settings = if settings.is_empty() { String::new() } else { format!("  {}", settings.join(" ")) };
    let rows = topic.partitions.iter().map(|partition| {
        let extent = extents.get(&(topic.name.clone(), partition.index));
        vec![
            partition.index.to_string(),
            table::or_dash(Some(partition.leader).filter(|leader| *leader >= 0)),
            table::list(&partition.replicas),
            table::list(&partition.isr),
            table::or_dash(extent.map(|extent| extent.0)),
            table::or_dash(extent.map(|extent| extent.1)),
        ]
    });
    let head = ["partition", "leader", "replicas", "isr", "start", "end"];
    format!("{}{settings}\n{}", topic.name, table::lines(&head, rows))
}

fn creatable(
    name: &str,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    config: &[(String, String)],
) -> CreatableTopic {
    let config = config
        .iter()
        .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
    CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions.unwrap_or(BROKERS_CHOICE))
        .with_replication_factor(replication_factor.unwrap_or(-1))
        .with_configs(config.collect())
}

async fn create(client: &Client, topics: Vec<CreatableTopic>, may_exist: bool, json: bool) -> anyhow::Result<()> {
    let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(timeout_ms(client));
    let answer = client.call(&*client.any().await?, &request, 7).await?;
    let (mut created, mut refused) = (Vec::new(), Vec::new());
    for topic in answer.topics {
        let name = topic.name.to_string();
        if may_exist && ErrorCode::from(topic.error_code) == ErrorCode::TopicAlreadyExists {
            continue;
        }
        match check(format!("topic {name}"), topic.error_code, topic.error_message.as_ref()) {
            Ok(()) => created.push(name),
            Err(error) => refused.push(error),
        }
    }
    table::tell_done("created", &created, &refused, json)
}

async fn delete(client: &Client, names: Vec<String>, may_lack: bool, json: bool) -> anyhow::Result<()> {
    let named = names.iter().map(|name| TopicName(text(name)));
    let request = DeleteTopicsRequest::default().with_topic_names(named.collect()).with_timeout_ms(timeout_ms(client));
    let answer = client.call(&*client.any().await?, &request, 5).await?;
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for topic in answer.responses {
        let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
        if may_lack && ErrorCode::from(topic.error_code) == ErrorCode::UnknownTopicOrPartition {
            continue;
        }
        match check(format!("topic {name}"), topic.error_code, topic.error_message.as_ref()) {
            Ok(()) => deleted.push(name),
            Err(error) => refused.push(error),
        }
    }
    table::tell_done("deleted", &deleted, &refused, json)
}

async fn add_partitions(client: &Client, name: &str, count: i32, validates_only: bool) -> anyhow::Result<()> {
    let topic =
        CreatePartitionsTopic::default().with_name(TopicName(text(name))).with_count(count).with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(timeout_ms(client))
        .with_validate_only(validates_only);
    let answer = client.call(&*client.any().await?, &request, 3).await?;
    for result in answer.results {
        check(format!("topic {name}"), result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

async fn change_settings(
    client: &Client,
    name: &str,
    set: &[(String, String)],
    unset: &[String],
    validates_only: bool,
) -> anyhow::Result<()> {
    let change = |name: &str, operation: i8, value: Option<&str>| {
        AlterableConfig::default().with_name(text(name)).with_config_operation(operation).with_value(value.map(text))
    };
    let set = set.iter().map(|(name, value)| change(name, SET, Some(value)));
    let unset = unset.iter().map(|name| change(name, DELETE, None));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(name))
        .with_configs(set.chain(unset).collect());
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(validates_only);
    let answer = client.call(&*client.any().await?, &request, 1).await?;
    for response in answer.responses {
        check(format!("topic {name}"), response.error_code, response.error_message.as_ref())?;
    }
    Ok(())
}

fn timeout_ms(client: &client::Client) -> i32 {
    i32::try_from(client.timeout.as_millis()).unwrap_or(i32::MAX)
}
