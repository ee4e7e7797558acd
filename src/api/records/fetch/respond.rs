//! The answer to a fetch: which partitions are part of it, and their bytes.

use std::sync::Arc;

use bytes::BytesMut;

use super::read::{Found, Isolation, Reading};
use crate::api::answer::throttle_time;
use crate::api::records::leaders::Leaders;
use crate::api::slot::SlotHome;
use crate::api::{Answer, Chunk, Context};
use crate::broker::Broker;
use crate::broker::fetch_sessions::{FetchContext, FetchPartition, FetchTopic, NO_SESSION};
use crate::broker::quotas::QuotaClient;
use crate::io::random;
use crate::log::Region;
use crate::model::ErrorCode;
use crate::protocol::fetch::{self, PartitionResponse, Records, ResponseHead, ResponseWriter};
use crate::protocol::leader::CurrentLeader;
use crate::protocol::topic_ref::TopicRef;
use crate::quota::Kind;

/// First version that tells new leaders (KIP-951).
const LEADERS_FROM: i16 = 16;
/// First version whose clients know KAFKA_STORAGE_ERROR (`KafkaApis.maybeDownConvertStorageError`).
const STORAGE_ERRORS_FROM: i16 = 6;

/// `None` is an empty list of records, as Kafka has it beside an error.
struct FileRecords(Option<Region>);

impl Records for FileRecords {
    fn size_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |region| region.len)
    }
}

/// What is needed of the request to answer it, also later.
pub(super) struct Responder {
    version: i16,
    correlation_id: i32,
    listener: Arc<str>,
    /// Who is held to a quota, and whose connection is muted; `None` while nobody is.
    held: Option<(QuotaClient, Arc<SlotHome>)>,
}

impl Responder {
    pub(super) fn new(cx: &Context<'_>) -> Responder {
        let listener = Arc::clone(&cx.connection.listener);
        let is_limited = cx.broker.quotas().limits(Kind::Fetch);
        let held = is_limited.then(|| (cx.quota_client(0), Arc::clone(cx.slots)));
        Responder { version: cx.version, correlation_id: cx.correlation_id, listener, held }
    }

    /// No quota holds the asker.
    pub(super) fn exempt(&mut self) {
        self.held = None;
    }

    /// Fails the request as a whole (`SessionErrorContext`). Before v7 there is no place for a code, and no such error.
    pub(super) fn refuse(&self, code: ErrorCode) -> Answer {
        let writer = self.writer(code, NO_SESSION, 0, 0);
        to_answer(writer.finish(&[]))
    }

    pub(super) fn answer(&self, broker: &Broker, context: FetchContext, reading: &mut Reading) -> Answer {
        let throttle_ms = self.throttle(broker, reading);
        if throttle_ms > 0 {
            return match broker.fetch_sessions().throttled(&context) {
                Ok(session_id) => to_answer(self.writer(ErrorCode::None, session_id, 0, throttle_ms).finish(&[])),
                Err(code) => self.refuse(code),
            };
        }
        reading.charge(broker);
        reading.count(broker);
        let asked = context.partitions.clone();
        let closed = broker.fetch_sessions().finish(broker.now(), context, &reading.outcomes(), new_session_id);
        let (session_id, included) = match closed {
            Ok(closed) => closed,
            Err(code) => return self.refuse(code),
        };
        let isolation = reading.isolation();
        let told: Vec<(FetchPartition, Found)> = asked
            .into_iter()
            .zip(reading.found.drain(..))
            .zip(included)
            .filter_map(|(told, is_included)| is_included.then_some(told))
            .collect();
        self.write(broker, session_id, told, isolation)
    }

    /// Counts what is about to be sent against the client's quota: how long it must wait for it, in ms. Nothing is sent then, and
    /// nothing counts; the client asks again (`KafkaApis.handleFetchRequest`).
    fn throttle(&self, broker: &Broker, reading: &Reading) -> u64 {
        let Some((client, slots)) = &self.held else { return 0 };
        let QuotaClient { user, client_id, .. } = client;
        let bytes = reading.found.iter().filter_map(|found| Some(found.region.as_ref()?.len)).sum();
        let now = broker.now();
        let throttle_ms = broker.quotas().record_bytes(Kind::Fetch, user, client_id, bytes, now);
        if throttle_ms > 0 {
            broker.quotas().unrecord_bytes(Kind::Fetch, user, client_id, bytes, now);
            slots.mute(now.monotonic_ms, throttle_ms);
        }
        throttle_ms
    }

    /// Older clients are told to look for another leader.
    fn told(&self, code: ErrorCode) -> ErrorCode {
        match code {
            ErrorCode::KafkaStorageError if self.version < STORAGE_ERRORS_FROM => ErrorCode::NotLeaderOrFollower,
            code => code,
        }
    }

    fn writer(
        &self,
        code: ErrorCode,
        session_id: i32,
        topic_count: usize,
        throttle_ms: u64,
    ) -> ResponseWriter<FileRecords> {
        let head = ResponseHead {
            correlation_id: self.correlation_id,
            throttle_time_ms: throttle_time(throttle_ms),
            error_code: code.code(),
            session_id,
            topic_count,
        };
        ResponseWriter::new(self.version, head, BytesMut::new())
    }

    /// Neighbours of one topic share its entry (`FetchResponse.toMessage`).
    fn write(
        &self,
        broker: &Broker,
        session_id: i32,
        told: Vec<(FetchPartition, Found)>,
        isolation: Isolation,
    ) -> Answer {
        let mut runs: Vec<usize> = Vec::new();
        for (index, (asked, _)) in told.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if told[index - 1].0.topic == asked.topic => *run += 1,
                _ => runs.push(1),
            }
        }
        let mut writer = self.writer(ErrorCode::None, session_id, runs.len(), 0);
        let mut told = told.into_iter();
        let mut leaders = Leaders::new(&self.listener);
        for run in runs {
            for (index, (asked, found)) in told.by_ref().take(run).enumerate() {
                if index == 0 {
                    writer.topic(topic_ref(&asked.topic), run);
                }
                let code = found.outcome.error;
                let tells = matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
                let current_leader = if self.version >= LEADERS_FROM && tells {
                    leaders.current(broker, topic_ref(&asked.topic), asked.partition)
                } else {
                    CurrentLeader::NONE
                };
                let answer = partition_response(&asked, &found, self.told(code), isolation, current_leader);
                writer.partition(&answer, Some(FileRecords(found.region)));
            }
        }
        to_answer(writer.finish(&leaders.endpoints))
    }
}

fn partition_response(
    asked: &FetchPartition,
    found: &Found,
    told: ErrorCode,
    isolation: Isolation,
    current_leader: CurrentLeader,
) -> PartitionResponse<'static> {
    const NONE_ABORTED: &[(i64, i64)] = &[];
    let is_committed = isolation == Isolation::ReadCommitted && !found.outcome.error.is_error();
    PartitionResponse {
        partition_index: asked.partition,
        error_code: told.code(),
        high_watermark: found.outcome.high_watermark.0,
        last_stable_offset: found.last_stable.0,
        log_start_offset: found.outcome.log_start.0,
        diverging_epoch: found.diverging.map(|(epoch, end_offset)| (epoch.0, end_offset.0)),
        current_leader,
        snapshot_id: None,
        aborted_transactions: (is_committed || found.is_unknown).then_some(NONE_ABORTED),
        preferred_read_replica: found.preferred.map_or(-1, |replica| replica.0),
    }
}

fn topic_ref(topic: &FetchTopic) -> TopicRef<'_> {
    match topic {
        FetchTopic::Name(name) => TopicRef::Name(name),
        FetchTopic::Id(id) => TopicRef::Id(*id),
    }
}

/// Random, so that a client that outlives a restart does not meet somebody else's session (`FetchSessionCache.newSessionId`).
fn new_session_id() -> i32 {
    let random = random::uuid().as_u128() & 0x7fff_ffff;
    i32::try_from(random).expect("31 bits")
}

fn to_answer(chunks: Vec<fetch::Chunk<FileRecords>>) -> Answer {
    let chunks = chunks.into_iter().map(|chunk| match chunk {
        fetch::Chunk::Bytes(bytes) => Chunk::Bytes(bytes),
        fetch::Chunk::Records(records) => {
            let Region { file, position, len, .. } = records.0.expect("the writer keeps only records that have bytes");
            Chunk::File { file, position, len }
        }
    });
    Answer { chunks: chunks.collect(), throttle_at: None }
}
