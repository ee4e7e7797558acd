//! Records whose size in the log is the same in every run, unlike those of Kafka's own producer, which carry its times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

use super::player::Player;
use crate::cluster::admin;
use crate::connection::{Connection, topic_name};
use crate::record_batch::{Batch, Record};

const LIMIT: Duration = Duration::from_secs(20);

/// Produces one record of so many bytes to partition 0 on its leader, with acks=all; the error code.
pub fn produce(player: &Player, topic: &str, bytes: usize) -> Result<i16> {
    let view = admin::look_anywhere(&player.addresses(), Some(topic))?;
    let leader = view.partitions.get(&0).context("no partition 0")?.leader;
    let value = Some(vec![b'x'; bytes]);
    // Of now: what is older than retention allows would go.
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let records = vec![Record { value, ..Record::default() }];
    let batch = Batch { records, first_timestamp: now_ms, max_timestamp: now_ms, ..Batch::default() };
    let data = PartitionProduceData::default().with_index(0).with_records(Some(Bytes::from(batch.encode())));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_transactional_id(None).with_acks(-1).with_timeout_ms(10_000);
    let address = view.brokers.get(&leader).context("nobody leads")?;
    let answer = Connection::open_within(address, LIMIT)?.ask(9, &request.with_topic_data(vec![topic]))?;
    let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
    Ok(partition.context("no partition in the answer")?.error_code)
}
