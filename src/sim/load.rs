//! What the clients of a simulation do: idempotent producers, consumers that commit, and an auditor at the end.
//!
//! Every client goes on until its request is answered: a record whose answer was lost is sent again under its old sequence.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::client::{Client, Failed, GROUP};
use super::history::{History, Partition, Sent};
use crate::io::simulated::{self, Host};
use crate::model::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::protocol::message::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use crate::protocol::message::create_topics_request::CreatableTopic;
use crate::protocol::message::fetch_request::{FetchPartition, FetchTopic};
use crate::protocol::message::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::protocol::message::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use crate::protocol::message::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::message::{
    AlterPartitionReassignmentsRequest, CreateTopicsRequest, FetchRequest, GroupId, InitProducerIdRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, StrBytes, TopicName, WireBrokerId, WireProducerId,
};
use crate::protocol::record_batch::BatchIter;
use crate::protocol::records::{RecordBatchBuilder, RecordIter};

/// The one topic, and its partitions.
pub const TOPIC: &str = "data";
pub const PARTITIONS: [Partition; 2] = [(TOPIC, 0), (TOPIC, 1)];
/// Producers, spread over the partitions.
pub const PRODUCERS: u32 = 4;

/// Replicas of a partition, where there are so many nodes.
const REPLICAS_MAX: usize = 3;

/// Before the next try.
const RETRY: Duration = Duration::from_millis(50);
/// The longest pause between two batches of a producer, in ms.
const PAUSE_MAX_MS: u64 = 40;
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

    /// Has partitions stay where they are.
    pub fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    /// Has producers and consumers end when their requests are answered.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// A code that this client cannot get when all is well: it would end an application.
    fn fatal(&self, who: &str, partition: Partition, code: ErrorCode) {
        self.history.violate(format!("{who} of {}-{} is told {code}", partition.0, partition.1));
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

/// Moves partitions: now and then one gets other replicas, or the same in another order.
pub async fn reassign(load: Arc<Load>, host: Arc<Host>) -> turmoil::Result {
    host.enter();
    let client = Client::new(load.node_count);
    while !load.is_calm.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(1_000 + simulated::next_random() % 4_000)).await;
        let (topic, index) = PARTITIONS[usize::try_from(simulated::next_random() % 2)?];
        let mut nodes: Vec<i32> = (1..=load.node_count).collect();
        for place in (1..nodes.len()).rev() {
            nodes.swap(place, usize::try_from(simulated::next_random())? % (place + 1));
        }
        let replicas = nodes.into_iter().take(REPLICAS_MAX).map(WireBrokerId).collect();
        let partition = ReassignablePartition::default().with_partition_index(index).with_replicas(Some(replicas));
        let name = TopicName(StrBytes::from_static_str(topic));
        let topic = ReassignableTopic::default().with_name(name).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(1_000).with_topics(vec![topic]);
        // Whether it is taken up or not: what is promised to clients stays the same.
        let _ = client.ask_any(&request, 0).await;
    }
    Ok(())
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
    let leader = client.leader(partition).await?;
    let data = PartitionProduceData::default().with_index(partition.1).with_records(Some(batch.clone()));
    let name = TopicName(StrBytes::from_static_str(partition.0));
    let topic = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(1_500)
        .with_topic_data(vec![topic]);
    let answer = client.ask(leader, &request, 10).await?;
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

/// Reads a partition from its beginning, and commits now and then where it is.
pub async fn consume(load: Arc<Load>, host: Arc<Host>, partition: Partition) -> turmoil::Result {
    host.enter();
    let mut client = Client::new(load.node_count);
    let mut position = 0;
    while !load.is_over() {
        match fetch(&load, &mut client, partition, position).await {
            Ok(next) => position = next,
            Err(_) => {
                client.forget(partition);
                tokio::time::sleep(RETRY).await;
            }
        }
        if simulated::next_random().is_multiple_of(4) && commit(&load, &mut client, partition, position).await.is_err()
        {
            client.forget_coordinator();
        }
        if simulated::next_random().is_multiple_of(16) && committed(&load, &mut client, partition).await.is_err() {
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
        while committed(&load, &mut client, partition).await.is_err() {
            client.forget_coordinator();
            tokio::time::sleep(RETRY).await;
        }
    }
    Ok(())
}

/// Fetches once from `position`, tells what it was given, and where to go on.
async fn fetch(load: &Load, client: &mut Client, partition: Partition, position: i64) -> Result<i64, Failed> {
    let leader = client.leader(partition).await?;
    let wanted = FetchPartition::default()
        .with_partition(partition.1)
        .with_current_leader_epoch(-1)
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
            load.history.violate(format!("{partition:?}: a consumer is given a broken batch: {error}"));
        }
        for record in RecordIter::new(batch.header, batch.records()) {
            let parsed = record.ok().and_then(|record| Some((record.offset.0, Sent::parse(record.value?)?)));
            let Some((offset, sent)) = parsed else {
                load.history.violate(format!("{partition:?}: a consumer is given what nobody has sent"));
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

async fn commit(load: &Load, client: &mut Client, partition: Partition, offset: i64) -> Result<(), Failed> {
    let coordinator = client.coordinator().await?;
    let commit = OffsetCommitRequestPartition::default()
        .with_partition_index(partition.1)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(None);
    let name = TopicName(StrBytes::from_static_str(partition.0));
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str(GROUP)))
        .with_generation_id_or_member_epoch(-1)
        .with_group_instance_id(None)
        .with_topics(vec![OffsetCommitRequestTopic::default().with_name(name).with_partitions(vec![commit])]);
    load.history.committing(GROUP, partition, offset);
    let answer = client.ask(coordinator, &request, 8).await?;
    let answer = answer.topics.first().and_then(|topic| topic.partitions.first());
    match answer.map(|answer| ErrorCode::from(answer.error_code)) {
        Some(ErrorCode::None) => {
            load.history.committed(GROUP, partition, offset);
            Ok(())
        }
        other => Err(Failed(format!("{other:?}"))),
    }
}

async fn committed(load: &Load, client: &mut Client, partition: Partition) -> Result<(), Failed> {
    let coordinator = client.coordinator().await?;
    let name = TopicName(StrBytes::from_static_str(partition.0));
    let topic = OffsetFetchRequestTopics::default().with_name(name).with_partition_indexes(vec![partition.1]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(StrBytes::from_static_str(GROUP)))
        .with_member_id(None)
        .with_member_epoch(-1)
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let acknowledged = load.history.acknowledged_commit(GROUP, partition);
    let answer = client.ask(coordinator, &request, 8).await?;
    let group = answer.groups.first().filter(|group| group.error_code == 0);
    let answer = group.and_then(|group| group.topics.first()).and_then(|topic| topic.partitions.first());
    let answer = answer.filter(|answer| answer.error_code == 0).ok_or_else(|| Failed("no offset".into()))?;
    load.history.fetched_commit(GROUP, partition, acknowledged, answer.committed_offset);
    Ok(())
}
