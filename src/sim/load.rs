//! What the clients of a simulation do: producers, consumers that commit, and an auditor at the end.
//!
//! Idempotent producers go on until a record is acknowledged by all: one whose answer was lost is sent again under its old
//! sequence. Hasty ones wait for the leader only, and send nothing twice: what they leave on leaders and followers that the
//! others lack is what elections must clear up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::client::{Client, Failed, GROUP};
use super::commits::{Committer, commit, committed};
use super::history::{History, Partition, Sent};
use super::invariant::Invariant;
use super::members;
use crate::io::simulated::{self, Host};
use crate::model::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::protocol::message::create_topics_request::CreatableTopic;
use crate::protocol::message::fetch_request::{FetchPartition, FetchTopic};
use crate::protocol::message::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::message::{
    CreateTopicsRequest, FetchRequest, InitProducerIdRequest, ProduceRequest, StrBytes, TopicName, WireBrokerId,
    WireProducerId,
};
use crate::protocol::record_batch::BatchIter;
use crate::protocol::records::{RecordBatchBuilder, RecordIter};

/// The one topic, and its partitions.
pub const TOPIC: &str = "data";
pub const PARTITIONS: [Partition; 2] = [(TOPIC, 0), (TOPIC, 1)];
/// Producers, spread over the partitions.
pub const PRODUCERS: u32 = 4;

/// Before the next try.
pub const RETRY: Duration = Duration::from_millis(50);
/// The longest pause between two batches of a producer, in ms.
const PAUSE_MAX_MS: u64 = 40;
const HASTY_PAUSE_MAX_MS: u64 = 20;
/// What hasty producers send is a few blocks of a disk long, or none.
const HASTY_VALUE_STEP_BYTES: usize = 700;
const FETCH_BYTES: i32 = 1 << 16;

/// What all clients share.
pub struct Load {
    pub node_count: i32,
    pub history: Arc<History>,
    is_calm: AtomicBool,
    is_over: AtomicBool,
}

impl Load {
    pub fn new(node_count: i32, history: Arc<History>) -> Arc<Load> {
        Arc::new(Load { node_count, history, is_calm: AtomicBool::new(false), is_over: AtomicBool::new(false) })
    }

    /// Has partitions stay where they are, and voters and members stay.
    pub fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    /// Has producers and consumers end when their requests are answered.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// A code that this client cannot get when all is well: it would end an application.
    fn fatal(&self, who: &str, partition: Partition, code: ErrorCode) {
        let what = format!("{who} of {}-{} is told {code}", partition.0, partition.1);
        self.history.violate(Invariant::ClientsAgree, what);
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(simulated::next_random() % PAUSE_MAX_MS)).await;
}

/// Creates the topic.
pub async fn create_topic(load: Arc<Load>, host: Arc<Host>) -> turmoil::Result {
    host.enter();
    let client = Client::new(load.node_count);
    let topic = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_num_partitions(i32::try_from(PARTITIONS.len())?)
        .with_replication_factor(i16::try_from(load.node_count.min(3))?);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000);
    loop {
        let answer = client.ask_any(&request, 7).await;
        let code = answer.ok().and_then(|answer| answer.topics.first().map(|topic| ErrorCode::from(topic.error_code)));
        if matches!(code, Some(ErrorCode::None | ErrorCode::TopicAlreadyExists)) {
            return Ok(());
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// An idempotent producer: one batch of a few records after the other, each until it is acknowledged.
pub async fn produce(load: Arc<Load>, host: Arc<Host>, producer: u32) -> turmoil::Result {
    host.enter();
    let partition = PARTITIONS[usize::try_from(producer)? % PARTITIONS.len()];
    let mut client = Client::new(load.node_count);
    let id = producer_id(&load, &client).await;
    let mut number = 0;
    while let (Some(id), false) = (id, load.is_over()) {
        let count = 1 + simulated::next_random() % 3;
        let batch = batch(id, producer, number, count);
        while let Err(Failed(_)) = send(&load, &mut client, partition, &batch, producer, number, count).await {
            client.forget(partition);
            if load.is_over() {
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
        number += count;
        pause().await;
    }
    Ok(())
}

async fn producer_id(load: &Load, client: &Client) -> Option<(ProducerId, ProducerEpoch)> {
    let (producer_id, producer_epoch) = (WireProducerId(-1), -1);
    let request = InitProducerIdRequest::default().with_producer_id(producer_id).with_producer_epoch(producer_epoch);
    let request = request.with_transactional_id(None);
    while !load.is_over() {
        match client.ask_any(&request, 4).await {
            Ok(answer) if answer.error_code == 0 => {
                return Some((ProducerId(answer.producer_id.0), ProducerEpoch(answer.producer_epoch)));
            }
            _ => tokio::time::sleep(RETRY).await,
        }
    }
    None
}

fn batch((id, epoch): (ProducerId, ProducerEpoch), producer: u32, number: u64, count: u64) -> Bytes {
    let sequence = Sequence(i32::try_from(number).expect("a short run"));
    // Of now: a producer that has been silent for a day is forgotten.
    let now_ms = simulated::wall_ms();
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), now_ms).producer(id, epoch, sequence);
    for number in number..number + count {
        builder.append(now_ms, None, Some(Sent { producer, number }.value().as_bytes()));
    }
    builder.build()
}

/// One try to send a batch; an error means to try again.
async fn send(
    load: &Load,
    client: &mut Client,
    partition: Partition,
    batch: &Bytes,
    producer: u32,
    number: u64,
    count: u64,
) -> Result<(), Failed> {
    let (leader, _) = client.leader(partition).await?;
    let answer = client.ask(leader, &request(partition, batch, -1), 10).await?;
    let answer = answer.responses.first().and_then(|topic| topic.partition_responses.first());
    let answer = answer.ok_or_else(|| Failed("an empty answer".into()))?;
    match ErrorCode::from(answer.error_code) {
        ErrorCode::None => {
            for (offset, number) in (answer.base_offset..).zip(number..number + count) {
                load.history.acked(partition, offset, Sent { producer, number });
            }
            Ok(())
        }
        ErrorCode::DuplicateSequenceNumber => {
            load.history.acked_somewhere(partition);
            Ok(())
        }
        code => {
            if !code.is_retriable() {
                load.fatal("a producer", partition, code);
            }
            Err(Failed(code.to_string()))
        }
    }
}

fn request(partition: Partition, batch: &Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition.1).with_records(Some(batch.clone()));
    let name = TopicName(StrBytes::from_static_str(partition.0));
    let topic = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks)
        .with_timeout_ms(1_500)
        .with_topic_data(vec![topic])
}

/// A producer that waits for the leader only, and gives up on what is not answered.
pub async fn produce_hastily(load: Arc<Load>, host: Arc<Host>, producer: u32, partition: Partition) -> turmoil::Result {
    host.enter();
    let mut client = Client::new(load.node_count);
    let mut number = 0;
    while !load.is_over() {
        let now_ms = simulated::wall_ms();
        let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), now_ms);
        let length = usize::try_from(number % 4)? * HASTY_VALUE_STEP_BYTES;
        builder.append(now_ms, None, Some(Sent { producer, number }.long_value(length).as_bytes()));
        number += 1;
        if send_hastily(&mut client, partition, &builder.build()).await.is_err() {
            client.forget(partition);
            tokio::time::sleep(RETRY).await;
        }
        tokio::time::sleep(Duration::from_millis(simulated::next_random() % HASTY_PAUSE_MAX_MS)).await;
    }
    Ok(())
}

async fn send_hastily(client: &mut Client, partition: Partition, batch: &Bytes) -> Result<(), Failed> {
    let (leader, _) = client.leader(partition).await?;
    let answer = client.ask(leader, &request(partition, batch, 1), 10).await?;
    let answer = answer.responses.first().and_then(|topic| topic.partition_responses.first());
    match answer.map(|answer| ErrorCode::from(answer.error_code)) {
        Some(ErrorCode::None) => Ok(()),
        other => Err(Failed(format!("{other:?}"))),
    }
}

/// Reads a partition from its beginning, and commits now and then where it is.
pub async fn consume(load: Arc<Load>, host: Arc<Host>, partition: Partition) -> turmoil::Result {
    host.enter();
    let mut client = Client::new(load.node_count);
    let alone = Committer::alone(GROUP);
    let mut position = 0;
    while !load.is_over() {
        match fetch(&load, &mut client, partition, position).await {
            Ok(next) => position = next,
            Err(_) => {
                client.forget(partition);
                tokio::time::sleep(RETRY).await;
            }
        }
        let random = simulated::next_random();
        if random.is_multiple_of(4) && commit(&load, &mut client, &alone, partition, position).await.is_err() {
            client.forget_coordinator();
        }
        if random.is_multiple_of(16) && committed(&load, &mut client, GROUP, partition).await.is_err() {
            client.forget_coordinator();
        }
        pause().await;
    }
    Ok(())
}

/// Reads every partition from its beginning to behind the last acknowledged record, and asks what is committed.
pub async fn audit(load: Arc<Load>, host: Arc<Host>) -> turmoil::Result {
    host.enter();
    let mut client = Client::new(load.node_count);
    for partition in PARTITIONS {
        let mut position = 0;
        while position < load.history.acked_end(partition) {
            match fetch(&load, &mut client, partition, position).await {
                Ok(next) => position = next,
                Err(_) => {
                    client.forget(partition);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        for group in [GROUP, members::GROUP] {
            client.forget_coordinator();
            while committed(&load, &mut client, group, partition).await.is_err() {
                client.forget_coordinator();
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    Ok(())
}

/// Fetches once from `position`, tells what it was given, and where to go on.
async fn fetch(load: &Load, client: &mut Client, partition: Partition, position: i64) -> Result<i64, Failed> {
    // A node that led in this epoch and follows in a later one must say so: it may be read, and have less.
    let (leader, leader_epoch) = client.leader(partition).await?;
    let wanted = FetchPartition::default()
        .with_partition(partition.1)
        .with_current_leader_epoch(leader_epoch)
        .with_last_fetched_epoch(-1)
        .with_fetch_offset(position)
        .with_partition_max_bytes(FETCH_BYTES);
    let name = TopicName(StrBytes::from_static_str(partition.0));
    let request = FetchRequest::default()
        .with_replica_id(WireBrokerId(-1))
        .with_max_wait_ms(200)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![FetchTopic::default().with_topic(name).with_partitions(vec![wanted])]);
    let answer = client.ask(leader, &request, 12).await?;
    let answer = answer.responses.first().and_then(|topic| topic.partitions.first());
    let answer = answer.ok_or_else(|| Failed("an empty answer".into()))?;
    let code = ErrorCode::from(answer.error_code);
    if code.is_error() {
        if !code.is_retriable() {
            load.fatal("a consumer", partition, code);
        }
        return Err(Failed(code.to_string()));
    }
    Ok(read(load, partition, position, answer.records.as_deref().unwrap_or_default()))
}

fn read(load: &Load, partition: Partition, position: i64, bytes: &[u8]) -> i64 {
    let mut next = position;
    for batch in BatchIter::new(bytes) {
        // The last batch may be cut off by the size of the answer.
        let Ok(batch) = batch else { break };
        if let Err(error) = batch.check_crc() {
            let what = format!("{partition:?}: a consumer is given a broken batch: {error}");
            load.history.violate(Invariant::ClientsAgree, what);
        }
        for record in RecordIter::new(batch.header, batch.records()) {
            let parsed = record.ok().and_then(|record| Some((record.offset.0, Sent::parse(record.value?)?)));
            let Some((offset, sent)) = parsed else {
                let what = format!("{partition:?}: a consumer is given what nobody has sent");
                load.history.violate(Invariant::ClientsAgree, what);
                continue;
            };
            if offset < next {
                continue;
            }
            (next..offset).for_each(|missing| load.history.passed_over(partition, missing));
            load.history.read(partition, offset, sent);
            next = offset + 1;
        }
    }
    next
}
