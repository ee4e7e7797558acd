//! Reading a partition of `__consumer_offsets` into its coordinator (`CoordinatorLoaderImpl`).
//!
//! A buffer of the log at a time, so that a large log costs no more memory than the state it leads to. Offsets that Kafka has written
//! in a transaction count from its commit marker on, as [`Transactional`] says; there are such in logs that were imported.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Token;
use super::shard::Shard;
use crate::broker::waiter::Waiter;
use crate::coordinator::group::Coordinator;
use crate::io::clock::Clock;
use crate::io::threads;
use crate::log::ReadRequest;
use crate::model::{ErrorCode, Now, Offset, ProducerId};
use crate::protocol::compression::decompress;
use crate::protocol::extra::consumer_offsets::{OffsetKey, Record};
use crate::protocol::record_batch::{BatchIter, BatchView};
use crate::protocol::records::RecordIter;

/// What one compressed batch may grow to, in bytes.
const DECOMPRESSED_BATCH_BYTES_MAX: usize = 64 << 20;

/// Loads shards one after the other on a thread of their own.
pub(super) fn load_in_background(shards: Vec<Arc<Shard>>, clock: Arc<dyn Clock>, buffer_bytes: usize) {
    if shards.is_empty() {
        return;
    }
    let (of_thread, now) = (shards.clone(), clock.now());
    let run = move || {
        for shard in of_thread {
            shard.load(clock.now(), buffer_bytes);
        }
    };
    if let Err(error) = threads::detach("group-loader", run) {
        tracing::error!(%error, "groups cannot be loaded without a thread");
        shards.iter().for_each(|shard| shard.fail(now));
    }
}

impl Shard {
    /// Reads the log to its end; serves once all of that is committed. Blocks for the disk when the log is not empty.
    pub(super) fn load(self: &Arc<Shard>, now: Now, buffer_bytes: usize) {
        let published = self.replica().published();
        let mut machine = Coordinator::new(self.options.clone());
        if let Err(error) = self.replay(&mut machine, published.log_start, published.log_end, buffer_bytes) {
            let partition = self.replica().topic_partition();
            tracing::error!(%partition, error, "groups cannot be loaded");
            return self.fail(now);
        }
        if published.high_watermark >= published.log_end {
            return self.activate(now, machine, published.log_end);
        }
        self.activate_when_committed(now, machine, published.log_end);
        self.replica().run_completions();
    }

    fn activate_when_committed(self: &Arc<Shard>, now: Now, machine: Coordinator<Token>, end: Offset) {
        let shard = Arc::clone(self);
        let told = move |result: Result<(), _>| match result {
            Ok(()) => shard.activate(now, machine, end),
            // The machine was not told of anything yet: it goes on waiting.
            Err(ErrorCode::NotEnoughReplicasAfterAppend) => shard.activate_when_committed(now, machine, end),
            Err(_) => shard.unload(),
        };
        self.replica().when_committed(end, Waiter::Once(Box::new(told)));
    }

    /// Replays everything from `start` to `end`. Errors: a batch or record that cannot be read, and a log that ends early:
    /// groups that lack a part of their past must not serve.
    pub(super) fn replay(
        &self,
        machine: &mut Coordinator<Token>,
        start: Offset,
        end: Offset,
        buffer_bytes: usize,
    ) -> Result<(), String> {
        let mut offset = start;
        let mut transactional = Transactional::default();
        while offset < end {
            let request = ReadRequest { offset, max_bytes: buffer_bytes, upper_bound: end, min_one: true };
            let read = self.replica().read(request).map_err(|error| error.to_string())?;
            let Some(region) = read else { return Err(format!("the log ends early, at offset {offset} of {end}")) };
            let bytes = region.read().map_err(|error| error.to_string())?;
            let before = offset;
            for batch in BatchIter::new(&bytes) {
                // The last batch may be cut off by the size of the buffer: it comes first in the next.
                let Ok(batch) = batch else { break };
                replay_batch(machine, &mut transactional, &batch)?;
                offset = offset.max(batch.header.next_offset());
            }
            if offset == before {
                return Err(format!("no batch can be read at offset {offset}"));
            }
        }
        let transactions = transactional.pending.values().filter(|records| !records.is_empty()).count();
        if transactions > 0 {
            let partition = self.replica().topic_partition();
            tracing::warn!(%partition, transactions, "offsets of open transactions are passed over: nobody can end them");
        }
        Ok(())
    }
}

fn replay_batch(
    machine: &mut Coordinator<Token>,
    transactional: &mut Transactional,
    batch: &BatchView<'_>,
) -> Result<(), String> {
    let header = batch.header;
    let codec = header.codec().map_err(|error| error.to_string())?;
    let records =
        decompress(codec, batch.records(), DECOMPRESSED_BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
    for record in RecordIter::new(header, &records) {
        let record = record.map_err(|error| error.to_string())?;
        let Some(key) = record.key else { continue };
        if header.is_control() {
            let is_commit = key.get(2..4).is_some_and(|control_type| control_type == COMMIT);
            let ended = transactional.end(header.producer_id, is_commit);
            ended.into_iter().for_each(|record| machine.replay(record));
            continue;
        }
        let offset = record.offset;
        match Record::decode(key, record.value) {
            Ok(Some(Record::Offset { key, value })) if header.is_transactional() => {
                let pending = transactional.pending.entry(header.producer_id).or_default();
                pending.push((offset, Record::Offset { key, value }));
            }
            Ok(Some(record)) => {
                if let Record::Offset { key, .. } = &record {
                    transactional.overtake(key, offset);
                }
                machine.replay(record);
            }
            // Of groups that this coordinator does not know.
            Ok(None) => {}
            Err(error) => return Err(format!("offset {offset}: {error}")),
        }
    }
    Ok(())
}

/// `ControlRecordType.COMMIT`.
const COMMIT: [u8; 2] = [0, 1];

/// Offsets that were written in transactions without an end so far (`OffsetMetadataManager.replayEndTransactionMarker`). One that was
/// overtaken by a later record about its partition counts no more, whenever its transaction ends.
#[derive(Default)]
struct Transactional {
    pending: BTreeMap<ProducerId, Vec<(Offset, Record)>>,
}

impl Transactional {
    /// What counts now, in its order.
    fn end(&mut self, producer_id: ProducerId, is_commit: bool) -> Vec<Record> {
        let ended = self.pending.remove(&producer_id).unwrap_or_default();
        let mut records = Vec::new();
        for (offset, record) in ended.into_iter().filter(|_| is_commit) {
            if let Record::Offset { key, .. } = &record {
                self.overtake(key, offset);
            }
            records.push(record);
        }
        records
    }

    fn overtake(&mut self, overtaken: &OffsetKey, by: Offset) {
        for records in self.pending.values_mut() {
            let stays = |record: &Record| !matches!(record, Record::Offset { key, .. } if key == overtaken);
            records.retain(|(offset, record)| *offset > by || stays(record));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::extra::consumer_offsets::OffsetCommit;

    const ONE: ProducerId = ProducerId(1);
    const OTHER: ProducerId = ProducerId(2);

    fn commit(partition: i32, offset: i64) -> Record {
        let key = OffsetKey { group_id: "g".into(), topic: "t".into(), partition };
        let value = OffsetCommit {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
            commit_timestamp_ms: 0,
            expire_timestamp_ms: -1,
            topic_id: crate::model::TopicId::ZERO,
        };
        Record::Offset { key, value: Some(value) }
    }

    fn key(partition: i32) -> OffsetKey {
        let Record::Offset { key, .. } = commit(partition, 0) else { panic!("an offset") };
        key
    }

    fn pending(records: &[(ProducerId, i64, Record)]) -> Transactional {
        let mut transactional = Transactional::default();
        for (producer, offset, record) in records {
            transactional.pending.entry(*producer).or_default().push((Offset(*offset), record.clone()));
        }
        transactional
    }

    #[test]
    fn offsets_count_when_their_transaction_is_committed_and_never_when_it_is_aborted() {
        let all = [(ONE, 5, commit(0, 50)), (OTHER, 6, commit(1, 60)), (ONE, 7, commit(0, 70))];
        let mut transactional = pending(&all);
        assert_eq!(transactional.end(OTHER, false), []);
        assert_eq!(transactional.end(ONE, true), [commit(0, 50), commit(0, 70)]);
        assert_eq!(transactional.end(ONE, true), [], "it has ended");
    }

    #[test]
    fn an_offset_that_was_overtaken_counts_no_more() {
        let mut transactional = pending(&[(ONE, 5, commit(0, 50)), (ONE, 6, commit(1, 60)), (OTHER, 7, commit(0, 70))]);
        // A commit outside of transactions, between the two.
        transactional.overtake(&key(0), Offset(6));
        assert_eq!(transactional.end(ONE, true), [commit(1, 60)]);
        assert_eq!(transactional.end(OTHER, true), [commit(0, 70)]);
        // The later of two transactions ends first.
        let mut transactional = pending(&[(ONE, 5, commit(0, 50)), (OTHER, 7, commit(0, 70))]);
        assert_eq!(transactional.end(OTHER, true), [commit(0, 70)]);
        assert_eq!(transactional.end(ONE, true), []);
    }
}
