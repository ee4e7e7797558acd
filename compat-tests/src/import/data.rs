//! What a Kafka holds that is imported: topics of every codec, compacted ones, shortened ones, groups of both protocols.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, DeleteRecordsRequest, DeleteTopicsRequest, GroupId, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, OffsetCommitRequest, ProduceRequest,
};
use ottla::model::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use ottla::protocol::record_batch::BatchIter;
use ottla::protocol::records::RecordBatchBuilder;

use super::state;
use super::transactions::Transactor;
use crate::cluster::admin;
use crate::connection::{Connection, text, topic_name};
use crate::{kafka, process};

/// The codecs that a topic is stored in.
const CODECS: [&str; 5] = ["uncompressed", "gzip", "snappy", "lz4", "zstd"];
pub const COMPACTED: &str = "compacted";
pub const SHORTENED: &str = "shortened";
pub const IDEMPOTENT: &str = "idempotent";
/// Two groups that read it to here, by one protocol each.
pub const READ: &str = "codec-zstd";
pub const READ_RECORDS: usize = 7;
/// A group whose positions were written without being a member.
pub const COMMITTED: &str = "g-committed";
/// A group whose position was written in a transaction that was committed, and then in one that was aborted.
pub const IN_TRANSACTIONS: &str = "g-transactions";

/// 2026-01-01, in ms: where the records' own times begin.
const FIRST_MS: i64 = 1_767_225_600_000;
const RECORDS: i64 = 20;
/// Longer than the `segment.ms` of these topics, so that the next append begins a segment.
const ROLL: Duration = Duration::from_millis(150);
const CLEANED_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The settings of a Kafka with two directories that cleans quickly, and writes snapshots of its metadata.
pub const SETTINGS: &[&str] = &[
    "log.dirs={data}/one,{data}/two",
    "log.cleaner.backoff.ms=100",
    "log.initial.task.delay.ms=100",
    "metadata.log.max.record.bytes.between.snapshots=2000",
    "group.consumer.session.timeout.ms=45000",
];

/// What the idempotent producer has sent last.
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
    pub next_sequence: i32,
    pub last_batch: Bytes,
    pub last_offset: i64,
}

/// Fills a Kafka that was just started.
pub fn fill(address: &str) -> Result<Producer> {
    for codec in CODECS {
        let configs = [("compression.type", codec), ("segment.ms", "100"), ("retention.ms", "-1")];
        create(address, &format!("codec-{codec}"), 3, &configs)?;
    }
    let compacted = [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")];
    create(address, COMPACTED, 1, &compacted)?;
    create(address, SHORTENED, 1, &[("segment.ms", "100"), ("retention.ms", "-1"), ("max.message.bytes", "300000")])?;
    create(address, IDEMPOTENT, 1, &[("retention.ms", "-1")])?;
    create(address, "gone", 2, &[("retention.ms", "1000")])?;
    create(address, "empty", 2, &[("message.timestamp.type", "LogAppendTime"), ("min.insync.replicas", "1")])?;
    let gone = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("gone")]).with_timeout_ms(20_000);
    Connection::open(address)?.ask(5, &gone)?;
    for round in 0..3 {
        for codec in CODECS {
            for partition in 0..3 {
                produce(address, &format!("codec-{codec}"), partition, &records(round))?;
            }
        }
        for name in [COMPACTED, SHORTENED] {
            produce(address, name, 0, &records(round))?;
        }
        std::thread::sleep(ROLL);
    }
    // The last batch begins a segment, so that all before it can be cleaned.
    produce(address, COMPACTED, 0, &records(9))?;
    shorten(address, SHORTENED, 25)?;
    let producer = produce_idempotently(address)?;
    alter(address)?;
    read_as_group(address, "g-classic", "classic", READ_RECORDS)?;
    read_as_group(address, "g-consumer", "consumer", READ_RECORDS)?;
    // The topic of groups is there by now.
    commit(address)?;
    let mut transactor = Transactor::new(address, "of-offsets")?;
    for (offset, is_committed) in [(5, true), (9, false)] {
        transactor.commit_offset(IN_TRANSACTIONS, "codec-gzip", offset)?;
        transactor.end(is_committed)?;
    }
    await_cleaning(address)?;
    Ok(producer)
}

fn create(address: &str, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
    match admin::create_topic(address, name, partitions, 1, configs)? {
        Ok(_) => Ok(()),
        Err(code) => bail!("CreateTopics of {name} answers {code}"),
    }
}

/// Twenty records: keys that come again in every round, tombstones, headers, times that rise and fall.
fn records(round: i64) -> Bytes {
    let mut batch = RecordBatchBuilder::new(LeaderEpoch(-1), FIRST_MS);
    for number in 0..RECORDS {
        let time = FIRST_MS + round * 60_000 + (number * 37) % 1000;
        let (key, value) =
            (format!("key-{}", number % 7), format!("round {round} number {number} {}", "x".repeat(200)));
        let value = (number % 10 != 9).then_some(value.as_bytes());
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1")), (b"none", None)];
        batch.append_with_headers(time, Some(key.as_bytes()), value, if number % 2 == 0 { headers } else { &[] });
    }
    batch.build()
}

/// Sends one batch with acks=all; the answer is its offset.
pub fn produce(address: &str, topic: &str, partition: i32, batch: &Bytes) -> Result<i64> {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.clone()));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(20_000).with_topic_data(vec![topic]);
    let answer = Connection::open(address)?.ask(9, &request)?;
    let partition = &answer.responses.first().and_then(|topic| topic.partition_responses.first());
    let partition = partition.context("no partition in the answer")?;
    ensure!(partition.error_code == 0, "Produce answers error {}", partition.error_code);
    Ok(partition.base_offset)
}

/// A batch of two records, for who goes on after the import.
pub fn two_records() -> Bytes {
    let mut batch = RecordBatchBuilder::new(LeaderEpoch(-1), FIRST_MS);
    batch.append(FIRST_MS + 1_000_000, Some(b"later"), Some(b"1"));
    batch.append(FIRST_MS + 1_000_001, Some(b"later"), Some(b"2"));
    batch.build()
}

fn shorten(address: &str, topic: &str, offset: i64) -> Result<()> {
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(20_000);
    let answer = Connection::open(address)?.ask(2, &request)?;
    let code = answer.topics.first().and_then(|topic| topic.partitions.first()).map(|partition| partition.error_code);
    ensure!(code == Some(0), "DeleteRecords answers {code:?}");
    Ok(())
}

/// A producer id of a server's choice.
pub fn new_producer_id(address: &str) -> Result<(i64, i16)> {
    let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
    let answer = Connection::open(address)?.ask(4, &request)?;
    ensure!(answer.error_code == 0, "InitProducerId answers {}", answer.error_code);
    Ok((answer.producer_id.0, answer.producer_epoch))
}

/// The next batch of an idempotent producer. Of now: who has written nothing for a day, by the records' times, is forgotten.
pub fn sequenced(id: i64, epoch: i16, sequence: i32) -> Bytes {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    let batch = RecordBatchBuilder::new(LeaderEpoch(-1), now_ms);
    let mut batch = batch.producer(ProducerId(id), ProducerEpoch(epoch), Sequence(sequence));
    batch.append(now_ms, None, Some(format!("sequence {sequence}").as_bytes()));
    batch.build()
}

fn produce_idempotently(address: &str) -> Result<Producer> {
    let (id, epoch) = state::retry(|| new_producer_id(address))?;
    let mut producer = Producer { id, epoch, next_sequence: 0, last_batch: Bytes::new(), last_offset: -1 };
    for sequence in 0..3 {
        producer.last_batch = sequenced(id, epoch, sequence);
        producer.last_offset = produce(address, IDEMPOTENT, 0, &producer.last_batch)?;
        producer.next_sequence = sequence + 1;
    }
    Ok(producer)
}

/// Settings of a broker, of all brokers and of a group, and quotas.
fn alter(address: &str) -> Result<()> {
    let resource = |resource_type: i8, name: &str, key: &str, value: &str| {
        let config = AlterableConfig::default().with_name(text(key)).with_value(Some(text(value)));
        AlterConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_configs(vec![config])
    };
    let resources = vec![
        resource(4, "", "log.cleaner.threads", "2"),
        resource(4, "1", "max.connections.per.ip", "5000"),
        resource(32, "g-consumer", "consumer.heartbeat.interval.ms", "6000"),
    ];
    let answer =
        Connection::open(address)?.ask(1, &IncrementalAlterConfigsRequest::default().with_resources(resources))?;
    let codes: Vec<i16> = answer.responses.iter().map(|response| response.error_code).collect();
    ensure!(codes == [0, 0, 0], "IncrementalAlterConfigs answers {codes:?}");
    let entry = |parts: &[(&str, Option<&str>)], key: &str, value: f64| {
        let part = |(kind, name): &(&str, Option<&str>)| {
            EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
        };
        EntryData::default()
            .with_entity(parts.iter().map(part).collect())
            .with_ops(vec![OpData::default().with_key(text(key)).with_value(value)])
    };
    let entries = vec![
        entry(&[("user", Some("alice")), ("client-id", None)], "producer_byte_rate", 1_048_576.0),
        entry(&[("client-id", Some("c"))], "request_percentage", 12.5),
        entry(&[("ip", Some("10.0.0.1"))], "connection_creation_rate", 10.0),
    ];
    let answer = Connection::open(address)?.ask(1, &AlterClientQuotasRequest::default().with_entries(entries))?;
    let codes: Vec<i16> = answer.entries.iter().map(|entry| entry.error_code).collect();
    ensure!(codes == [0, 0, 0], "AlterClientQuotas answers {codes:?}");
    Ok(())
}

fn commit(address: &str) -> Result<()> {
    let partition = |index: i32| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(i64::from(index) * 10 + 3)
            .with_committed_metadata(Some(text(&format!("position of {index}"))))
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name("codec-gzip"))
        .with_partitions((0..3).map(partition).collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(COMMITTED)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    state::retry(|| {
        let answer = Connection::open(address)?.ask(8, &request)?;
        let code = answer.topics.first().and_then(|topic| topic.partitions.first()).map(|found| found.error_code);
        ensure!(code == Some(0), "OffsetCommit answers {code:?}");
        Ok(())
    })
}

/// Reads so many records as a member of a group, with Kafka's own consumer, and commits; the answer is what it printed.
pub fn read_as_group(address: &str, group: &str, protocol: &str, records: usize) -> Result<String> {
    let mut command = kafka::tool("kafka-console-consumer")?;
    command.args(["--bootstrap-server", address, "--topic", READ, "--group", group, "--timeout-ms", "20000"]);
    command.args(["--max-messages", &records.to_string()]);
    for property in [format!("group.protocol={protocol}"), "auto.offset.reset=earliest".to_owned()] {
        command.args(["--command-property", &property]);
    }
    for property in ["print.partition=true", "print.offset=true", "print.value=false", "print.timestamp=true"] {
        command.args(["--formatter-property", property]);
    }
    process::run("kafka-console-consumer", &mut command)
}

/// Waits until keys of the first rounds are gone.
fn await_cleaning(address: &str) -> Result<()> {
    let until = Instant::now() + CLEANED_LIMIT;
    loop {
        let bytes = state::batches(address, COMPACTED, 0, 0, RECORDS * 4)?;
        let count: i32 = BatchIter::new(&bytes).map_while(Result::ok).map(|batch| batch.header.record_count).sum();
        if i64::from(count) < RECORDS * 2 {
            return Ok(());
        }
        ensure!(Instant::now() < until, "Kafka has not cleaned: {count} records are left");
        std::thread::sleep(LOOK_AGAIN);
    }
}
