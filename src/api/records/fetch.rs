//! Fetch (1), v4–18: reads batches as they lie on disk, and waits for them when there are too few.
//! v5 log start offset · v7 sessions (KIP-227) · v9 leader epochs (KIP-320) · v11 near replicas (KIP-392) · v12 diverging
//! epochs · v13 topic ids (KIP-516) · v15 replica state · v16 new leaders (KIP-951)
//!
//! Sources: `KafkaApis.handleFetchRequest`, `ReplicaManager.fetchMessages` and `readFromLog`, `DelayedFetch`. Records are not
//! read here: the answer names regions of segment files, which the server sends by `sendfile`.
//! A replica id is believed only on the listener of the brokers: whoever names one moves the partition's high watermark
//! (CVE-2018-1288). Elsewhere the request is answered as Kafka answers one that is no replica.
//!
//! - A **follower** reads to the log's end, from the leader alone, and tells by its offset what it holds. It must name the leader
//!   epoch, and counts only when its log does not diverge and it is not an earlier registration of its broker (KIP-903).
//! - A **consumer** reads to the high watermark; from v11 on also from a follower, to which a leader with a replica selector
//!   sends it when one stands in its rack (KIP-392).

mod near;
mod read;
mod respond;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::api::{Answer, Context, RawApi, RawReply};
use crate::broker::Broker;
use crate::broker::fetch_sessions::{FetchContext, FetchPartition, FetchTopic, SessionRequest};
use crate::broker::purgatory::Watch;
use crate::model::{ErrorCode, LeaderEpoch, Offset};
use crate::protocol::api_key::ApiKey;
use crate::protocol::fetch::{self, Request};
use crate::protocol::topic_ref::TopicRef;
use crate::security::{Access, Operation, ResourceType};
use read::{Asker, Limits, Reading};
use respond::Responder;

/// The longest that a fetch waits, in ms, whatever it asks for: what waits is kept although its client may have gone.
/// Kafka waits for 24 days if asked to.
const MAX_WAIT_MS: u64 = 5 * 60 * 1000;

pub struct Fetch;

impl RawApi for Fetch {
    const KEY: ApiKey = ApiKey::Fetch;
    const VERSIONS: RangeInclusive<i16> = fetch::VERSIONS;
    const ACCESS: Access<Bytes> = Access::Each(&[(Operation::Read, ResourceType::Topic)]);

    fn handle(cx: &Context<'_>, body: Bytes) -> RawReply {
        let request = match Request::parse(cx.version, body) {
            Ok(request) => request,
            Err(error) => return RawReply::Close(error.to_string().into()),
        };
        let mut responder = Responder::new(cx);
        let context = match begin(cx, &request) {
            Ok(context) => context,
            Err(code) => return RawReply::Now(responder.refuse(code)),
        };
        let asker = Asker::of(cx, &request);
        let limits = Limits::new(cx, &request, asker);
        if asker.is_replica() {
            cx.slots.exempt();
            responder.exempt();
        }
        let mut reading = Reading::new(cx.broker, &context, asker);
        reading.read(cx.broker, &context, limits);
        reading.report(cx, &context);
        reading.send_near(cx, &context, &request);
        let max_wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0).min(MAX_WAIT_MS);
        if max_wait_ms == 0 || context.partitions.is_empty() || reading.is_enough(limits) {
            return RawReply::Now(responder.answer(cx.broker, context, &mut reading));
        }
        let (broker, watch) = (Arc::clone(cx.broker), Watch::new(reading.missing_bytes(limits)));
        let is_follower = reading.is_for_follower();
        let answer = Box::pin(wait(broker, responder, context, reading, limits, max_wait_ms, Arc::clone(&watch)));
        // A follower that says something meanwhile has another partition to follow here, which must not wait behind this.
        if is_follower { RawReply::Impatient(answer, watch) } else { RawReply::Later(answer) }
    }
}

/// Waits for the bytes that are missing, reads again, and answers whatever there is.
async fn wait(
    broker: Arc<Broker>,
    responder: Responder,
    context: FetchContext,
    mut reading: Reading,
    limits: Limits,
    max_wait_ms: u64,
    watch: Arc<Watch>,
) -> Answer {
    reading.watch(&watch);
    // Between the first read and the watch something may have come: then nobody will wake this one.
    if !reading.has_moved() {
        // A timeout is an answer too: with what is there, perhaps nothing.
        let _ = tokio::time::timeout(Duration::from_millis(max_wait_ms), watch.satisfied()).await;
    }
    reading.unwatch(&watch);
    reading.read(&broker, &context, limits);
    responder.answer(&broker, context, &mut reading)
}

fn begin(cx: &Context<'_>, request: &Request) -> Result<FetchContext, ErrorCode> {
    let mut asked = Vec::new();
    for topic in request.topics() {
        let name = topic_of(topic.topic);
        asked.extend(topic.partitions().map(|partition| FetchPartition {
            topic: name.clone(),
            partition: partition.partition,
            current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
            fetch_offset: Offset(partition.fetch_offset),
            log_start: Offset(partition.log_start_offset),
            last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
            max_bytes: partition.partition_max_bytes,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics() {
        let name = topic_of(topic.topic);
        forgotten.extend(topic.partitions().map(|partition| (name.clone(), partition)));
    }
    let session =
        SessionRequest { id: request.session_id, epoch: request.session_epoch, uses_topic_ids: cx.version >= 13 };
    cx.broker.fetch_sessions().begin(cx.now, session, asked, &forgotten)
}

fn topic_of(topic: TopicRef<'_>) -> FetchTopic {
    match topic {
        TopicRef::Name(name) => FetchTopic::Name(name.into()),
        TopicRef::Id(id) => FetchTopic::Id(id),
    }
}
