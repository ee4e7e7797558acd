//! What follows from a leader's answer: divergence first, then records, then stable storage (KIP-595's order for every partition).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Key;
use super::fetcher::{Assignment, Fetcher, key_of};
use super::session::{Asked, Session};
use crate::broker::Broker;
use crate::broker::replica::{Cut, FollowError, LeaderTold, Replica};
use crate::io::bugs::{self, Bug};
use crate::io::threads;
use crate::log::ReplicatedBatches;
use crate::model::{ErrorCode, LeaderEpoch, Offset};
use crate::peer::Link;
use crate::protocol::message::fetch_response::PartitionData;
use crate::protocol::message::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::protocol::message::{FetchResponse, ListOffsetsRequest, StrBytes, TopicName, WireBrokerId};

/// Logs that are flushed side by side: their flushes share journal commits.
const FLUSHES_AT_ONCE: usize = 4;
/// Logs that are flushed side by side when they are many, and how many that is.
const FLUSHES_AT_ONCE_MAX: usize = 8;
const MANY: usize = 32;
/// The version of ListOffsets that brokers use: the first with −4, the log's start.
const LIST_OFFSETS_VERSION: i16 = 8;
const LATEST: i64 = -1;
const EARLIEST_LOCAL: i64 = -4;
const LIST_OFFSETS_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of one partition.
enum Taken {
    /// Appended; whether it must be flushed before the next fetch.
    In { must_flush: bool },
    /// The log was cut; the next fetch asks again.
    Cut,
    /// The answer was for an assignment that is no more.
    Nothing,
    /// To be tried again after a pause.
    Rest,
    /// The leader's log does not reach to where ours ends, at either end.
    OutOfRange,
}

impl Fetcher {
    /// Takes in every partition of the answer, then flushes all that grew.
    pub(super) async fn take_in(&self, broker: &Arc<Broker>, link: &Link, session: &Session, answer: FetchResponse) {
        let backoff_max_ms = broker.cluster.replication.backoff_max_ms;
        let mut grown: Vec<Arc<Replica>> = Vec::new();
        for topic in answer.responses {
            for data in topic.partitions {
                let key = key_of(topic.topic_id, data.partition_index);
                let Some(asked) = session.asked(&key) else { continue };
                let Some(assignment) = self.current(&key, &asked) else { continue };
                let taken = match take(broker, &assignment, &asked, data) {
                    Taken::OutOfRange => self.find_range(broker, link, &key, &assignment, &asked).await,
                    taken => taken,
                };
                match taken {
                    Taken::In { must_flush } => {
                        self.succeeded(&key);
                        grown.extend(must_flush.then_some(assignment.replica));
                    }
                    Taken::Cut | Taken::Nothing => {}
                    Taken::Rest | Taken::OutOfRange => self.rest(&key, broker.now(), backoff_max_ms),
                }
            }
        }
        match &grown[..] {
            [] => {}
            [one] => broker.flush_now(one),
            all => {
                let at_once = if all.len() < MANY { FLUSHES_AT_ONCE } else { FLUSHES_AT_ONCE_MAX };
                threads::for_each_in_parallel(all, at_once, |replica| broker.flush_now(replica));
            }
        }
    }

    /// The leader's log ends before ours, or begins behind it (`AbstractFetcherThread.fetchOffsetAndTruncate`). The first can only
    /// be where epochs are not known, for else it would have been a divergence.
    async fn find_range(
        &self,
        broker: &Arc<Broker>,
        link: &Link,
        key: &Key,
        assignment: &Assignment,
        asked: &Asked,
    ) -> Taken {
        let Assignment { replica, leader_epoch, .. } = assignment;
        let Some(end) = ask_offset(broker, link, replica, *leader_epoch, LATEST).await else { return Taken::Rest };
        let cut = if end < asked.offset {
            Cut { offset: end, begins_anew: false }
        } else {
            let start = ask_offset(broker, link, replica, *leader_epoch, EARLIEST_LOCAL).await;
            let Some(start) = start.filter(|start| *start > asked.offset) else { return Taken::Rest };
            Cut { offset: start, begins_anew: true }
        };
        if self.current(key, asked).is_none() {
            return Taken::Nothing;
        }
        cut_log(broker, replica, *leader_epoch, cut)
    }
}

fn take(broker: &Broker, assignment: &Assignment, asked: &Asked, data: PartitionData) -> Taken {
    let Assignment { replica, leader_epoch, .. } = assignment;
    match ErrorCode::from(data.error_code) {
        ErrorCode::None => {}
        ErrorCode::OffsetOutOfRange => return Taken::OutOfRange,
        code => {
            // A leader that has not heard of its epoch, or we have not heard of the next: both pass.
            tracing::debug!(partition = %replica.topic_partition(), %leader_epoch, %code, "the leader refuses a follower");
            return Taken::Rest;
        }
    }
    let told = LeaderTold { high_watermark: Offset(data.high_watermark), log_start: Offset(data.log_start_offset) };
    if data.diverging_epoch.epoch >= 0 {
        if bugs::is_back(Bug::Kafka14704) && learns(broker, assignment, asked, told) {
            return Taken::Rest;
        }
        let of = (LeaderEpoch(data.diverging_epoch.epoch), Offset(data.diverging_epoch.end_offset));
        let Some(cut) = replica.divergence(*leader_epoch, asked.offset, of) else { return Taken::Nothing };
        return cut_log(broker, replica, *leader_epoch, cut);
    }
    let appended = append(broker, assignment, asked, data.records.unwrap_or_default(), told);
    match appended {
        Ok(must_flush) => Taken::In { must_flush },
        Err(FollowError::Stale) => Taken::Nothing,
        Err(error) => {
            tracing::warn!(partition = %replica.topic_partition(), %leader_epoch, %error, "a follower cannot go on");
            Taken::Rest
        }
    }
}

/// The bug KAFKA-14704: takes over what the leader says of itself before the log is cut. Whether that has moved anything.
fn learns(broker: &Broker, assignment: &Assignment, asked: &Asked, told: LeaderTold) -> bool {
    let before = assignment.replica.published().high_watermark;
    append(broker, assignment, asked, Bytes::new(), told).is_ok()
        && assignment.replica.published().high_watermark > before
}

fn append(
    broker: &Broker,
    assignment: &Assignment,
    asked: &Asked,
    records: Bytes,
    told: LeaderTold,
) -> Result<bool, FollowError> {
    let batches = ReplicatedBatches::check(records)?;
    let Assignment { replica, leader_epoch, .. } = assignment;
    if replica.settings().follower_throttled.covers(replica.topic_partition().partition, broker.node_id()) {
        broker.throttles().follower.charge(broker.now(), batches.size_bytes());
    }
    let appended = replica.append_fetched(broker.now(), *leader_epoch, asked.offset, &batches, told)?;
    broker.metrics().replication_bytes_in.add(batches.size_bytes());
    Ok(appended.must_flush)
}

fn cut_log(broker: &Broker, replica: &Replica, leader_epoch: LeaderEpoch, cut: Cut) -> Taken {
    let partition = replica.topic_partition();
    match broker.cut_log(replica, leader_epoch, cut) {
        Ok(()) => {
            tracing::info!(%partition, %leader_epoch, ?cut, "a follower's log is cut where it leaves its leader's");
            Taken::Cut
        }
        Err(FollowError::Stale) => Taken::Nothing,
        Err(error) => {
            tracing::error!(%partition, %leader_epoch, %error, "a follower stops");
            Taken::Rest
        }
    }
}

async fn ask_offset(
    broker: &Broker,
    link: &Link,
    replica: &Replica,
    leader_epoch: LeaderEpoch,
    timestamp: i64,
) -> Option<Offset> {
    let partition = replica.topic_partition();
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition.partition.0)
        .with_current_leader_epoch(leader_epoch.0)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_string(partition.topic.to_string())))
        .with_partitions(vec![asked]);
    let request =
        ListOffsetsRequest::default().with_replica_id(WireBrokerId(broker.node_id().0)).with_topics(vec![topic]);
    let answer = link.call(&request, LIST_OFFSETS_VERSION, LIST_OFFSETS_TIMEOUT).await.ok()?;
    let found = answer.topics.first()?.partitions.first()?;
    (found.error_code == 0 && found.offset >= 0).then_some(Offset(found.offset))
}
