//! The few requests around a run: create and delete a topic, ask for a log's end, read it back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeLogDirsRequest, IncrementalAlterConfigsRequest,
    ListOffsetsRequest, MetadataRequest,
};

use super::frames::{self, FetchAnswer};
use crate::connection::{Connection, text, topic_name};

/// A server that flushes what the benchmark has written may take its time.
const PATIENCE: Duration = Duration::from_secs(30);
const LATEST: i64 = -1;
/// ConfigResource.Type of Kafka.
const TOPIC_RESOURCE: i8 = 2;

/// A connection that waits for each answer.
pub struct Admin {
    connection: Connection,
}

impl Admin {
    pub fn connect(address: SocketAddr) -> Result<Admin> {
        let mut connection = Connection::open(address)?;
        connection.frames().set_patience(PATIENCE)?;
        Ok(Admin { connection })
    }

    /// Sends a frame and returns what follows the length prefix of its answer.
    pub fn exchange(&mut self, frame: &[u8]) -> Result<Bytes> {
        self.connection.frames().exchange(frame)
    }

    /// Creates a topic and waits until every partition has a leader.
    pub fn create_topic(&mut self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// As [`Admin::create_topic`], with settings.
    pub fn create_topic_with(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
        let config = |(name, value): &(&str, &str)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.iter().map(config).collect());
        let answer =
            self.connection.ask(5, &CreateTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![topic]))?;
        let code = answer.topics[0].error_code;
        ensure!(code == 0, "creating topic {name}: error code {code}");
        let until = Instant::now() + Duration::from_secs(30);
        // Kafka announces leaders that do not know of it yet.
        while !self.has_leaders(name)? || !(0..partitions).all(|partition| self.end_offset(name, partition).is_ok()) {
            ensure!(Instant::now() < until, "topic {name} got no leaders");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sets settings of a topic.
    pub fn alter_topic(&mut self, name: &str, configs: &[(&str, &str)]) -> Result<()> {
        let config = |(name, value): &(&str, &str)| {
            AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(name))
            .with_configs(configs.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let code = self.connection.ask(1, &request)?.responses[0].error_code;
        ensure!(code == 0, "altering topic {name}: error code {code}");
        Ok(())
    }

    /// Bytes of the first partition of a topic on disk.
    pub fn size_bytes(&mut self, name: &str) -> Result<i64> {
        let topic = DescribableLogDirTopic::default().with_topic(topic_name(name)).with_partitions(vec![0]);
        let answer = self.connection.ask(4, &DescribeLogDirsRequest::default().with_topics(Some(vec![topic])))?;
        let found = answer.results.iter().flat_map(|directory| &directory.topics).flat_map(|topic| &topic.partitions);
        found.map(|partition| partition.partition_size).max().context("the partition has a size")
    }

    fn has_leaders(&mut self, name: &str) -> Result<bool> {
        Ok(self.metadata(name)? == 0)
    }

    /// Asks for a topic, which a server may create then; the first error code of topic or partitions.
    pub fn metadata(&mut self, name: &str) -> Result<i16> {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
        let answer = self.connection.ask(9, &request)?;
        let topic = &answer.topics[0];
        let codes = topic.partitions.iter().map(|partition| partition.error_code);
        Ok(std::iter::once(topic.error_code).chain(codes).find(|code| *code != 0).unwrap_or(0))
    }

    pub fn delete_topic(&mut self, name: &str) -> Result<()> {
        let request = DeleteTopicsRequest::default().with_timeout_ms(30_000).with_topic_names(vec![topic_name(name)]);
        let code = self.connection.ask(4, &request)?.responses[0].error_code;
        ensure!(code == 0, "deleting topic {name}: error code {code}");
        Ok(())
    }

    /// The offset behind the last record that consumers may read.
    pub fn end_offset(&mut self, topic: &str, partition: i32) -> Result<i64> {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(LATEST);
        let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let answer = self.connection.ask(5, &request)?;
        let partition = &answer.topics[0].partitions[0];
        ensure!(partition.error_code == 0, "end offset: error code {}", partition.error_code);
        Ok(partition.offset)
    }

    /// Reads batches from offset 0 and checks that offsets follow on each other and that every CRC is right.
    /// Stops after `bytes_max` bytes; returns the offset behind the last batch it read.
    pub fn read_back(&mut self, topic: &str, partition: i32, end: i64, bytes_max: usize) -> Result<i64> {
        let (mut frame, offset_at) = frames::fetch(topic, partition, 1 << 20, 500);
        let (mut next, mut read) = (0i64, 0usize);
        while next < end && read < bytes_max {
            frame[offset_at..offset_at + 8].copy_from_slice(&next.to_be_bytes());
            let answer = self.exchange(&frame)?;
            let head = FetchAnswer::read(&answer, topic);
            ensure!(head.error_code == 0, "reading back: error code {}", head.error_code);
            ensure!(head.records_bytes > 0, "nothing at offset {next} though the log ends at {end}");
            // Behind the records stand the tags of partition, topic and answer: a byte each.
            let records = &answer[answer.len() - 3 - head.records_bytes..answer.len() - 3];
            next = check_batches(records, next)?;
            read += head.records_bytes;
        }
        Ok(next)
    }
}

/// Checks whole batches; what the size limit cut off at the end is left.
fn check_batches(mut records: &[u8], mut next: i64) -> Result<i64> {
    while records.len() >= 61 {
        let bytes = frames::i32_at(records, 8) as usize + 12;
        if records.len() < bytes {
            break;
        }
        let (batch, rest) = records.split_at(bytes);
        ensure!(frames::i64_at(batch, 0) == next, "offset {} where {next} comes next", frames::i64_at(batch, 0));
        ensure!(crc32c::crc32c(&batch[21..]) == frames::i32_at(batch, 17) as u32, "wrong CRC at offset {next}");
        next += i64::from(frames::i32_at(batch, 57));
        records = rest;
    }
    Ok(next)
}
