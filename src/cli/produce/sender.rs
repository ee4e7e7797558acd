//! Batches on their way to leaders: one of each partition at a time, tried again until it is there or the time is over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::Sent;
use super::blind::Blind;
use crate::cli::cat::Line;
use crate::cli::client::records::compressed;
use crate::cli::client::{Client, Cluster, Refused, check, may_pass, text};
use crate::cli::time;
use crate::io::clock;
use crate::model::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::protocol::message::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::message::{InitProducerIdRequest, ProduceRequest, TopicName, WireProducerId};
use crate::protocol::record_batch::Codec;
use crate::protocol::records::RecordBatchBuilder;

/// Later versions name topics by their ids.
pub const NEWEST: i16 = 12;
/// The pause before a batch is sent again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// How records are sent.
#[derive(Clone, Debug)]
pub struct Options {
    pub topic: String,
    /// As on the wire: -1 is all.
    pub acks: i16,
    pub codec: Codec,
    pub is_idempotent: bool,
    pub batch_bytes: usize,
}

/// See the head of this file.
pub struct Sender {
    client: Arc<Client>,
    options: Options,
    cluster: Cluster,
    /// Id and epoch of an idempotent producer.
    producer: Option<(ProducerId, ProducerEpoch)>,
    queues: BTreeMap<i32, Queue>,
    blind: Blind,
    sent: Sent,
}

/// What waits for one partition.
#[derive(Default)]
struct Queue {
    open: Option<RecordBatchBuilder>,
    batches: VecDeque<Batch>,
    next_sequence: i32,
}

/// A batch that is ready.
#[derive(Clone)]
struct Batch {
    bytes: Bytes,
    records: i32,
}

impl Sender {
    /// Looks where the topic is, and asks for a producer id when one is needed.
    pub async fn start(client: Arc<Client>, options: Options) -> anyhow::Result<Sender> {
        let cluster = client.patiently(|| find(&client, &options.topic)).await?;
        let producer = match options.is_idempotent {
            true => Some(client.patiently(|| producer_id(&client)).await?),
            false => None,
        };
        let (queues, sent) = (BTreeMap::new(), Sent::new());
        Ok(Sender { client, options, cluster, producer, queues, blind: Blind::default(), sent })
    }

    pub fn partition_count(&self) -> i32 {
        let topic = self.cluster.topic(&self.options.topic);
        topic.ok().and_then(|topic| i32::try_from(topic.partitions.len()).ok()).unwrap_or(0)
    }

    /// Puts a record behind those of its partition.
    pub fn add(&mut self, partition: i32, line: Line) -> anyhow::Result<()> {
        let queue = self.queues.entry(partition).or_default();
        let now_ms = line.timestamp_ms.unwrap_or_else(time::now_ms);
        let builder = match queue.open.take() {
            Some(builder) => builder,
            None => begin(self.producer, queue.next_sequence, now_ms),
        };
        let builder = queue.open.insert(builder);
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            line.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        builder.append_with_headers(now_ms, line.key.as_deref(), line.value.as_deref(), &headers);
        if builder.size_bytes() >= self.options.batch_bytes {
            queue.close(self.options.codec);
        }
        Ok(())
    }

    /// Sends everything that was added; answers how many records that were.
    pub async fn flush(&mut self) -> anyhow::Result<usize> {
        for queue in self.queues.values_mut() {
            queue.close(self.options.codec);
        }
        let mut records = 0;
        loop {
            let due: Vec<(i32, Batch)> = self
                .queues
                .iter_mut()
                .filter_map(|(partition, queue)| Some((*partition, queue.batches.pop_front()?)))
                .collect();
            if due.is_empty() {
                return Ok(records);
            }
            let (done, outcome) = self.send(due).await;
            for (partition, batch, offset) in done {
                records += usize::try_from(batch.records).unwrap_or(0);
                let (count, next) = self.sent.entry(partition).or_default();
                *count += u64::try_from(batch.records).unwrap_or(0);
                *next = offset.map(|offset| offset + i64::from(batch.records));
            }
            outcome?;
        }
    }

    /// What was sent so far and, unless nobody confirms it, acknowledged.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Sends what is left, and waits until brokers have read what nobody confirms.
    pub async fn finish(mut self) -> anyhow::Result<Sent> {
        self.flush().await?;
        self.blind.finish(self.client.timeout).await?;
        Ok(self.sent)
    }

    /// Sends one batch for each partition, until all are there; which ones are, also when not all can be.
    async fn send(&mut self, due: Vec<(i32, Batch)>) -> (Vec<(i32, Batch, Option<i64>)>, anyhow::Result<()>) {
        let deadline = clock::instant() + self.client.timeout;
        let mut left: BTreeMap<i32, Batch> = due.into_iter().collect();
        let mut done = Vec::new();
        loop {
            let failure = match self.send_once(&mut left, &mut done).await {
                Ok(()) if left.is_empty() => return (done, Ok(())),
                Ok(()) => continue,
                Err(failure) => failure,
            };
            if !may_pass(&failure) || clock::instant() + RETRY >= deadline {
                return (done, Err(failure));
            }
            tokio::time::sleep(RETRY).await;
            if let Ok(cluster) = find(&self.client, &self.options.topic).await {
                self.cluster = cluster;
            }
        }
    }

    /// Sends what is left once. What is there goes from `left` to `done`; the first thing that was refused is the error.
    async fn send_once(
        &mut self,
        left: &mut BTreeMap<i32, Batch>,
        done: &mut Vec<(i32, Batch, Option<i64>)>,
    ) -> anyhow::Result<()> {
        let mut by_leader: BTreeMap<i32, Vec<(i32, Batch)>> = BTreeMap::new();
        for (partition, batch) in left.iter() {
            let (leader, _) = self.cluster.leader(&self.options.topic, *partition)?;
            by_leader.entry(leader).or_default().push((*partition, batch.clone()));
        }
        let mut requests = JoinSet::new();
        for (leader, batches) in by_leader {
            let node = self.client.node(&self.cluster.brokers[&leader]);
            let request = self.request(&batches);
            if self.options.acks == 0 {
                let version = self.client.version::<ProduceRequest>(&node, NEWEST).await?;
                self.blind.send(node.address(), &request, version, self.client.timeout).await?;
                for (partition, batch) in batches {
                    left.remove(&partition);
                    done.push((partition, batch, None));
                }
                continue;
            }
            let client = Arc::clone(&self.client);
            requests.spawn(async move { client.call(&node, &request, NEWEST).await });
        }
        let mut failure = None;
        while let Some(answer) = requests.join_next().await {
            let answer = match answer? {
                Ok(answer) => answer,
                Err(error) => {
                    failure = failure.or(Some(error));
                    continue;
                }
            };
            for partition in answer.responses.into_iter().flat_map(|topic| topic.partition_responses) {
                let index = partition.index;
                let what = format!("partition {}-{index}", self.options.topic);
                match check(what, partition.error_code, partition.error_message.as_ref()) {
                    // The try before has arrived, and its answer has not.
                    Err(Refused { code: ErrorCode::DuplicateSequenceNumber, .. }) | Ok(()) => {
                        if let Some(batch) = left.remove(&index) {
                            let offset = Some(partition.base_offset).filter(|offset| *offset >= 0);
                            done.push((index, batch, offset));
                        }
                    }
                    Err(refused) => failure = failure.or(Some(refused.into())),
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn request(&self, batches: &[(i32, Batch)]) -> ProduceRequest {
        let partitions = batches.iter().map(|(partition, batch)| {
            PartitionProduceData::default().with_index(*partition).with_records(Some(batch.bytes.clone()))
        });
        let topic = TopicProduceData::default()
            .with_name(TopicName(text(&self.options.topic)))
            .with_partition_data(partitions.collect());
        ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(self.options.acks)
            .with_timeout_ms(i32::try_from(self.client.timeout.as_millis()).unwrap_or(i32::MAX))
            .with_topic_data(vec![topic])
    }
}

impl Queue {
    fn close(&mut self, codec: Codec) {
        let Some(builder) = self.open.take() else { return };
        let records = builder.record_count();
        // After 2^31-1 sequences begin at 0 again.
        self.next_sequence = self.next_sequence.wrapping_add(records) & i32::MAX;
        self.batches.push_back(Batch { bytes: compressed(builder.build(), codec), records });
    }
}

fn begin(producer: Option<(ProducerId, ProducerEpoch)>, sequence: i32, now_ms: i64) -> RecordBatchBuilder {
    let builder = RecordBatchBuilder::new(LeaderEpoch(-1), now_ms);
    match producer {
        Some((id, epoch)) => builder.producer(id, epoch, Sequence(sequence)),
        None => builder,
    }
}

/// Where the topic is. A topic that is not there is made, when brokers make topics on demand.
async fn find(client: &Client, topic: &str) -> anyhow::Result<Cluster> {
    let cluster = client.cluster_for_producer(topic).await?;
    for partition in &cluster.topic(topic)?.partitions {
        cluster.leader(topic, partition.index)?;
    }
    Ok(cluster)
}

async fn producer_id(client: &Client) -> anyhow::Result<(ProducerId, ProducerEpoch)> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX)
        .with_producer_id(WireProducerId(-1))
        .with_producer_epoch(-1);
    let answer = client.call(&*client.any().await?, &request, 4).await?;
    check("producer id", answer.error_code, None)?;
    Ok((ProducerId(answer.producer_id.0), ProducerEpoch(answer.producer_epoch)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record_batch::BatchView;

    #[test]
    fn sequences_go_on_from_batch_to_batch_and_wrap() {
        let producer = Some((ProducerId(5), ProducerEpoch(1)));
        let mut queue = Queue { next_sequence: i32::MAX - 1, ..Queue::default() };
        let mut sequences = Vec::new();
        for _ in 0..3 {
            let mut builder = begin(producer, queue.next_sequence, 1000);
            builder.append(1000, None, Some(b"v"));
            queue.open = Some(builder);
            queue.close(Codec::None);
            let batch = queue.batches.pop_back().expect("a batch");
            sequences.push(BatchView::parse(&batch.bytes).expect("a batch").header.base_sequence.0);
        }
        assert_eq!(sequences, [i32::MAX - 1, i32::MAX, 0]);
    }
}
