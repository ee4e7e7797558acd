//! Produce (0), v0–13: appends batches to partitions, and answers when as many replicas have them as the producer asked for.
//! v3 transactional id · v5 log start offset · v7 zstd (KIP-110) · v8 errors of single records (KIP-467) · v9 flexible · v10 new leaders (KIP-951)
//! · v11–12 transaction errors (KIP-890) · v13 topic ids
//!
//! v0–2 are advertised because librdkafka would switch compression off otherwise, and refused (KIP-896), as by Kafka.
//! The requests of one burst are carried out together: what they append to one partition is one turn of its lock. With acks=0
//! an error closes the connection, which is the only way to tell (`KafkaApis.handleProduceRequest`).
//! Order of checks as in Kafka: unknown topic, form of the records, acks, then the log's own.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::api::answer::throttle_time;
use crate::api::records::leaders::Leaders;
use crate::api::{Answer, BurstApi, BurstContext, RawReply, RawRequest, SlotToken};
use crate::broker::Broker;
use crate::broker::replica::{AppendRefused, Appended, Replica};
use crate::broker::waiter::{Complete, Waiter};
use crate::log::{AppendError, LogOptions, Origin, ValidatedBatches};
use crate::model::{ErrorCode, Now, Offset, PartitionIndex, TopicPartition, is_internal_topic};
use crate::partition::RequiredAcks;
use crate::protocol::api_key::ApiKey;
use crate::protocol::leader::CurrentLeader;
use crate::protocol::produce::{self, PartitionResponse, Request, ResponseWriter};
use crate::protocol::record_batch::{BatchError, BatchHeader, Codec};
use crate::protocol::topic_ref::TopicRef;
use crate::quota::Kind;
use crate::security::{Access, Operation, ResourceType};

pub struct Produce;

impl BurstApi for Produce {
    const KEY: ApiKey = ApiKey::Produce;
    const VERSIONS: RangeInclusive<i16> = produce::VERSIONS;
    const ADVERTISED: RangeInclusive<i16> = 0..=13;
    const ACCESS: Access<Bytes> = Access::Each(&[(Operation::Write, ResourceType::Topic)]);

    fn handle_burst(cx: &BurstContext<'_>, requests: &mut Vec<RawRequest>, replies: &mut Vec<RawReply>) {
        thread_local!(static BURST: RefCell<Burst> = RefCell::default());
        BURST.with_borrow_mut(|burst| {
            burst.take(cx, requests);
            burst.append(cx.now);
            burst.answer(cx, replies);
        });
    }
}

/// The work of one burst. Kept by its thread, so that the steady path allocates nothing for it.
#[derive(Default)]
struct Burst {
    requests: Vec<Parsed>,
    entries: Vec<Entry>,
    /// Indexes of entries that have something to append, by replica.
    order: Vec<usize>,
    staged: Staged,
}

/// What goes to one replica in one turn.
#[derive(Default)]
struct Staged {
    batches: Vec<ValidatedBatches>,
    acks: Vec<RequiredAcks>,
}

struct Parsed {
    correlation_id: i32,
    /// How long the client is held back, in ms: it has sent more than its quota.
    throttle_ms: u64,
    request: Result<Request, String>,
    /// Its entries: one for each partition, in the order of the request.
    first_entry: usize,
    end_entry: usize,
}

/// One partition of one request.
struct Entry {
    acks: RequiredAcks,
    /// Where to append, and what; neither when it was refused.
    replica: Option<Arc<Replica>>,
    batches: Option<ValidatedBatches>,
    outcome: Outcome,
}

/// What one partition is answered.
#[derive(Clone, Debug)]
struct Outcome {
    code: ErrorCode,
    message: Option<String>,
    record_errors: Vec<(i32, Option<String>)>,
    base_offset: Offset,
    log_append_time_ms: i64,
    log_start: Offset,
    /// What must be committed before the answer; `None` when it need not wait.
    required: Option<Offset>,
}

impl Outcome {
    fn refused(code: ErrorCode) -> Outcome {
        Outcome {
            code,
            message: None,
            record_errors: Vec::new(),
            base_offset: Offset::NONE,
            log_append_time_ms: -1,
            log_start: Offset::NONE,
            required: None,
        }
    }

    fn of(result: Result<Appended, AppendRefused>, acks: RequiredAcks, log_start: Offset) -> Outcome {
        match result {
            Ok(appended) => Outcome {
                base_offset: appended.info.first_offset,
                log_append_time_ms: appended.info.log_append_time_ms,
                log_start: appended.info.log_start_offset,
                required: (acks == RequiredAcks::All && !appended.is_committed).then_some(appended.required),
                ..Outcome::refused(ErrorCode::None)
            },
            Err(AppendRefused::Replica(code @ ErrorCode::NotEnoughReplicas)) => {
                Outcome { log_start, ..Outcome::refused(code) }
            }
            Err(AppendRefused::Replica(code)) => Outcome::refused(code),
            Err(AppendRefused::Log(error)) => Outcome::refused_by_log(&error, log_start, None),
        }
    }

    /// What the log refuses is answered with the log start offset, unless the form of the records or their size is wrong
    /// (`ProduceRequest.validateRecords`, `ReplicaManager.appendToLocalLog`); and with a text only where Kafka has one.
    fn refused_by_log(error: &AppendError, log_start: Offset, replica: Option<&Replica>) -> Outcome {
        let code = error.code();
        let is_of_form = matches!(
            error,
            AppendError::NoBatch
                | AppendError::NoTransaction { .. }
                | AppendError::Batch(BatchError::Truncated { .. } | BatchError::UnsupportedMagic { .. })
        );
        let is_unknown = matches!(
            code,
            ErrorCode::CorruptMessage
                | ErrorCode::MessageTooLarge
                | ErrorCode::RecordListTooLarge
                | ErrorCode::KafkaStorageError
        );
        let mut outcome = Outcome::refused(code);
        if !is_of_form && !is_unknown {
            outcome.log_start = log_start;
        }
        match error {
            // There is no coordinator that could know of the transaction: as fatal as the refusal of its id.
            AppendError::NoTransaction { .. } => outcome.code = ErrorCode::TransactionalIdAuthorizationFailed,
            AppendError::Batch(BatchError::InvalidMagic { magic }) => {
                outcome.message = Some(format!("Invalid magic found in record: {magic}"));
            }
            AppendError::InvalidTimestamp { timestamp_ms, now_ms } => {
                outcome.message = Some("One or more records have been rejected due to invalid timestamp".to_owned());
                outcome.record_errors = replica
                    .map(|replica| timestamp_error(*timestamp_ms, *now_ms, &replica.settings().log))
                    .into_iter()
                    .collect();
            }
            AppendError::NoKey { count, indexes } => {
                outcome.record_errors =
                    replica.map(|replica| key_errors(indexes, replica.topic_partition())).unwrap_or_default();
                outcome.message = Some(records_rejected(*count, &outcome.record_errors));
            }
            _ => {}
        }
        outcome
    }
}

/// `LogValidator.validateTimestamp`. Only the first and the greatest timestamp of a batch are looked at, so the index is 0.
fn timestamp_error(timestamp_ms: i64, now_ms: i64, options: &LogOptions) -> (i32, Option<String>) {
    let earliest_ms = now_ms.wrapping_sub(options.message_timestamp_before_max_ms);
    let latest_ms = now_ms.wrapping_add(options.message_timestamp_after_max_ms);
    let text = format!(
        "Timestamp {timestamp_ms} of message with offset 0 is out of range. The timestamp should be within \
         [{earliest_ms}, {latest_ms}]"
    );
    (0, Some(text))
}

/// `LogValidator.validateKey`.
fn key_errors(indexes: &[i32], partition: &TopicPartition) -> Vec<(i32, Option<String>)> {
    let text = format!("Compacted topic cannot accept message without key in topic partition {partition}");
    indexes.iter().map(|index| (*index, Some(text.clone()))).collect()
}

/// `LogValidator.processRecordErrors`: all are counted, three are told.
fn records_rejected(count: usize, errors: &[(i32, Option<String>)]) -> String {
    let told = errors.iter().take(3).map(|(index, text)| {
        let text = text.as_deref().unwrap_or_default();
        format!("RecordError(batchIndex={index}, message='{text}')")
    });
    format!(
        "One or more records have been rejected due to {count} record errors in total, and only showing the first three \
         errors at most: [{}]",
        told.collect::<Vec<String>>().join(", ")
    )
}

impl Burst {
    /// Reads the requests, finds their partitions, and checks what can be checked without a lock.
    fn take(&mut self, cx: &BurstContext<'_>, requests: &mut Vec<RawRequest>) {
        self.requests.clear();
        self.entries.clear();
        self.order.clear();
        for raw in requests.drain(..) {
            let first_entry = self.entries.len();
            let throttle_ms = throttle(cx, &raw);
            let request = Request::parse(raw.header.api_version, raw.body).map_err(|error| error.to_string());
            if let Ok(request) = &request {
                self.take_partitions(cx.broker, cx.now, request);
            }
            let (correlation_id, end_entry) = (raw.header.correlation_id, self.entries.len());
            self.requests.push(Parsed { correlation_id, throttle_ms, request, first_entry, end_entry });
        }
    }

    fn take_partitions(&mut self, broker: &Broker, now: Now, request: &Request) {
        let acks = RequiredAcks::from_wire(request.acks);
        for topic in request.topics() {
            for partition in topic.partitions() {
                let index = PartitionIndex(partition.index);
                let work = check(broker, now, (topic.topic, index), partition.records, acks, request.version());
                let acks = acks.unwrap_or(RequiredAcks::Leader);
                let entry = match work {
                    Ok((replica, batches)) => {
                        self.order.push(self.entries.len());
                        let (replica, batches) = (Some(replica), Some(batches));
                        Entry { acks, replica, batches, outcome: Outcome::refused(ErrorCode::None) }
                    }
                    Err(outcome) => Entry { acks, replica: None, batches: None, outcome },
                };
                self.entries.push(entry);
            }
        }
    }

    /// Appends replica by replica; within one, in the order of the requests.
    fn append(&mut self, now: Now) {
        let Burst { entries, order, staged, .. } = self;
        let address = |entries: &[Entry], index: usize| entries[index].replica.as_ref().map(Arc::as_ptr);
        if order.len() > 1 {
            order.sort_by_key(|index| (address(entries, *index).map(<*const Replica>::addr), *index));
        }
        let mut start = 0;
        while start < order.len() {
            let replica = address(entries, order[start]);
            let end = start + order[start..].iter().take_while(|index| address(entries, **index) == replica).count();
            append_run(entries, &order[start..end], staged, now);
            start = end;
        }
    }

    fn answer(&mut self, cx: &BurstContext<'_>, replies: &mut Vec<RawReply>) {
        for parsed in self.requests.drain(..) {
            let entries = &mut self.entries[parsed.first_entry..parsed.end_entry];
            let reply = match parsed.request {
                Ok(request) => answer(cx, (parsed.correlation_id, parsed.throttle_ms), request, entries),
                Err(reason) => RawReply::Close(reason.into()),
            };
            replies.push(reply);
        }
        self.entries.clear();
    }
}

/// Counts the bytes of a request against its client's quota: how long the client is held back, in ms. Its records are taken all
/// the same (KIP-219).
fn throttle(cx: &BurstContext<'_>, raw: &RawRequest) -> u64 {
    if !cx.broker.quotas().limits(Kind::Produce) {
        return 0;
    }
    let (user, client_id) = (&cx.connection.principal.name, raw.header.client_id.as_ref());
    let throttle_ms =
        cx.broker.quotas().record_bytes(Kind::Produce, user, client_id.map_or("", |id| id), raw.body.len(), cx.now);
    cx.slots.mute(cx.now.monotonic_ms, throttle_ms);
    throttle_ms
}

/// Appends the entries of one replica.
fn append_run(entries: &mut [Entry], run: &[usize], staged: &mut Staged, now: Now) {
    let replica = entries[run[0]].replica.clone().expect("only entries with a replica are in the order");
    if let [index] = run {
        let entry = &mut entries[*index];
        let batches = entry.batches.take().expect("an entry with a replica has batches");
        entry.outcome =
            Outcome::of(replica.append(now, &batches, entry.acks), entry.acks, replica.published().log_start);
        count_failure(&replica, &entry.outcome);
        return;
    }
    // A panic may have left a burst of others here.
    staged.batches.clear();
    staged.acks.clear();
    for index in run {
        let entry = &mut entries[*index];
        staged.batches.push(entry.batches.take().expect("an entry with a replica has batches"));
        staged.acks.push(entry.acks);
    }
    let log_start = replica.published().log_start;
    let mut indexes = run.iter();
    replica.append_many(now, &staged.batches, &staged.acks, |result| {
        let entry = &mut entries[*indexes.next().expect("one result for each append")];
        entry.outcome = Outcome::of(result, entry.acks, log_start);
        count_failure(&replica, &entry.outcome);
    });
    staged.batches.clear();
    staged.acks.clear();
}

fn count_failure(replica: &Replica, outcome: &Outcome) {
    if outcome.code.is_error() {
        replica.traffic().produce_failures.add(1);
    }
}

/// What can be refused before the log is asked.
fn check(
    broker: &Broker,
    now: Now,
    (topic, index): (TopicRef<'_>, PartitionIndex),
    records: Option<Bytes>,
    acks: Result<RequiredAcks, ErrorCode>,
    version: i16,
) -> Result<(Arc<Replica>, ValidatedBatches), Outcome> {
    let replica = match topic {
        TopicRef::Name(name) => broker.replica(name, index),
        TopicRef::Id(id) => broker.replica_by_id(id, index),
    };
    let replica = replica.map_err(|code| {
        let elsewhere = broker.metrics().topics.elsewhere();
        elsewhere.produce_requests.add(1);
        elsewhere.produce_failures.add(1);
        Outcome::refused(code)
    })?;
    replica.traffic().produce_requests.add(1);
    match check_records(now, &replica, records.unwrap_or_default(), acks, version) {
        Ok(batches) => Ok((replica, batches)),
        Err(outcome) => {
            replica.traffic().produce_failures.add(1);
            Err(outcome)
        }
    }
}

/// First version whose clients may send zstd (KIP-110).
const ZSTD_FROM: i16 = 7;

fn check_records(
    now: Now,
    replica: &Replica,
    records: Bytes,
    acks: Result<RequiredAcks, ErrorCode>,
    version: i16,
) -> Result<ValidatedBatches, Outcome> {
    let is_zstd = || BatchHeader::parse(&records).is_ok_and(|batch| batch.codec() == Ok(Codec::Zstd));
    if version < ZSTD_FROM && is_zstd() {
        return Err(Outcome::refused(ErrorCode::UnsupportedCompressionType));
    }
    let acks = acks.map_err(Outcome::refused);
    let size_bytes = records.len();
    let validated = replica
        .validate(now, records, Origin::Client)
        .map_err(|error| Outcome::refused_by_log(&error, replica.published().log_start, Some(replica)));
    // Of a client's request each partition has one batch (`ProduceRequest.validateRecords`).
    let validated = validated.and_then(|batches| match batches.headers() {
        [_] => Ok(batches),
        _ => Err(Outcome::refused(ErrorCode::InvalidRecord)),
    });
    let is_too_large =
        |outcome: &Outcome| matches!(outcome.code, ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge);
    if validated.as_ref().is_err_and(is_too_large) {
        replica.traffic().bytes_rejected.add(size_bytes);
    }
    acks?;
    // Only the admin client of Kafka itself may write there (`ReplicaManager.appendToLocalLog`).
    if is_internal_topic(&replica.topic_partition().topic) {
        return Err(Outcome::refused(ErrorCode::InvalidTopicException));
    }
    validated
}

/// A leader that the controller has given up does not know how far producers have come since: that would end them, so they are sent
/// to look for the leader of now. Kafka's answers OUT_OF_ORDER_SEQUENCE_NUMBER.
fn doubt_sequences(cx: &BurstContext<'_>, entries: &mut [Entry]) {
    let in_doubt = |entry: &&mut Entry| entry.outcome.code == ErrorCode::OutOfOrderSequenceNumber;
    for entry in entries.iter_mut().filter(in_doubt) {
        if !cx.broker.holds_leadership(cx.now) {
            entry.outcome = Outcome::refused(ErrorCode::NotLeaderOrFollower);
        }
    }
}

fn answer(cx: &BurstContext<'_>, head: Head, request: Request, entries: &mut [Entry]) -> RawReply {
    doubt_sequences(cx, entries);
    if request.acks == 0 {
        return match entries.iter().find(|entry| entry.outcome.code.is_error()) {
            Some(entry) => RawReply::Close(format!("acks=0 produce failed: {}", entry.outcome.code).into()),
            None => RawReply::None,
        };
    }
    let waiting = entries.iter().filter(|entry| entry.outcome.required.is_some()).count();
    if waiting == 0 {
        let leaders = Leaders::new(&cx.connection.listener);
        let outcomes = entries.iter().map(|entry| &entry.outcome);
        return RawReply::Now(write(cx.broker, leaders, head, &request, outcomes));
    }
    let timeout_ms = u64::try_from(request.timeout_ms).unwrap_or(0);
    let (token, reply) = cx.open_slot();
    let outcomes = entries.iter().map(|entry| entry.outcome.clone()).collect();
    let state = Mutex::new(Some(Waiting { token, head, request, outcomes, left: waiting }));
    let (broker, listener) = (Arc::clone(cx.broker), Arc::clone(&cx.connection.listener));
    let pending = Arc::new(PendingProduce { broker, listener, state });
    for (index, entry) in (0u32..).zip(entries) {
        if let (Some(required), Some(replica)) = (entry.outcome.required, entry.replica.take()) {
            let whole: Arc<dyn Complete> = Arc::clone(&pending) as Arc<dyn Complete>;
            replica.when_committed(required, Waiter::Slot(whole, index));
            replica.run_completions();
        }
    }
    let expiring: Arc<dyn crate::broker::delayed_produce::Expire> = pending;
    cx.broker.delayed_produces().insert(cx.now, timeout_ms, &expiring);
    reply
}

/// What an answer begins and ends with: the number of its request, and how long the client is held back, in ms.
type Head = (i32, u64);

/// First version that tells new leaders (KIP-951).
const LEADERS_FROM: i16 = 10;

fn write<'a>(
    broker: &Broker,
    mut leaders: Leaders<'_>,
    (correlation_id, throttle_ms): Head,
    request: &Request,
    mut outcomes: impl Iterator<Item = &'a Outcome>,
) -> Answer {
    let mut out = BytesMut::with_capacity(128);
    let mut writer = ResponseWriter::new(request.version(), correlation_id, request.topic_count(), &mut out);
    for topic in request.topics() {
        writer.topic(topic.topic, topic.partition_count);
        for partition in topic.partitions() {
            let outcome = outcomes.next().expect("an outcome for each partition");
            let tells = outcome.code == ErrorCode::NotLeaderOrFollower && request.version() >= LEADERS_FROM;
            let current_leader =
                if tells { leaders.current(broker, topic.topic, partition.index) } else { CurrentLeader::NONE };
            writer.partition(&PartitionResponse {
                index: partition.index,
                error_code: outcome.code.code(),
                base_offset: outcome.base_offset.0,
                log_append_time_ms: outcome.log_append_time_ms,
                log_start_offset: outcome.log_start.0,
                record_errors: &outcome.record_errors,
                error_message: outcome.message.as_deref(),
                current_leader,
            });
        }
    }
    let throttle_at = writer.finish(throttle_time(throttle_ms), &leaders.endpoints);
    Answer { throttle_at, ..Answer::of_frame(out.freeze()) }
}

/// A request that waits until what it appended is committed (Kafka's `DelayedProduce`).
struct PendingProduce {
    broker: Arc<Broker>,
    listener: Arc<str>,
    /// Empty once it is answered.
    state: Mutex<Option<Waiting>>,
}

struct Waiting {
    token: SlotToken,
    head: Head,
    request: Request,
    outcomes: Vec<Outcome>,
    left: usize,
}

impl PendingProduce {
    fn answer(&self, waiting: Waiting) {
        let leaders = Leaders::new(&self.listener);
        let Waiting { token, head, request, outcomes, .. } = waiting;
        token.complete(write(&self.broker, leaders, head, &request, outcomes.iter()));
    }
}

impl Complete for PendingProduce {
    fn complete(&self, index: u32, result: Result<(), ErrorCode>) {
        let mut state = self.state.lock();
        let Some(waiting) = state.as_mut() else { return };
        let outcome = usize::try_from(index).ok().and_then(|index| waiting.outcomes.get_mut(index));
        let outcome = outcome.expect("one outcome for each partition");
        outcome.required = None;
        // The offsets stay beside the error, as in `DelayedProduce.tryComplete`.
        if let Err(code) = result {
            outcome.code = code;
        }
        waiting.left -= 1;
        if waiting.left > 0 {
            return;
        }
        let done = state.take();
        drop(state);
        if let Some(waiting) = done {
            self.answer(waiting);
        }
    }
}

impl crate::broker::delayed_produce::Expire for PendingProduce {
    /// `DelayedProduce.onExpiration`: what is not committed yet is REQUEST_TIMED_OUT, though it may still be later.
    fn expire(&self) {
        let Some(mut waiting) = self.state.lock().take() else { return };
        for outcome in waiting.outcomes.iter_mut().filter(|outcome| outcome.required.is_some()) {
            outcome.code = ErrorCode::RequestTimedOut;
        }
        self.answer(waiting);
    }

    fn is_done(&self) -> bool {
        self.state.lock().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_refused_records_are_counted_and_three_are_told() {
        let partition = TopicPartition::new("t", PartitionIndex(0));
        let text = records_rejected(4, &key_errors(&[0, 2, 3, 5], &partition));
        let one = "message='Compacted topic cannot accept message without key in topic partition t-0')";
        let expected = format!(
            "One or more records have been rejected due to 4 record errors in total, and only showing the first three \
             errors at most: [RecordError(batchIndex=0, {one}, RecordError(batchIndex=2, {one}, \
             RecordError(batchIndex=3, {one}]"
        );
        assert_eq!(text, expected);
    }
}
