//! Reading a partition of `__consumer_offsets` into its coordinator (`CoordinatorLoaderImpl`).
//!
//! A buffer of the log at a time, so that a large log costs no more memory than the state it leads to. Offsets that were
//! committed in a transaction are passed over: there is no transaction coordinator yet whose word would make them count.

use std::sync::Arc;

use super::Token;
use super::shard::Shard;
use crate::broker::waiter::Waiter;
use crate::coordinator::group::Coordinator;
use crate::io::clock::Clock;
use crate::io::threads;
use crate::log::ReadRequest;
use crate::model::{ErrorCode, Now, Offset};
use crate::protocol::compression::decompress;
use crate::protocol::extra::consumer_offsets::Record;
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
        while offset < end {
            let request = ReadRequest { offset, max_bytes: buffer_bytes, upper_bound: end, min_one: true };
            let read = self.replica().read(request).map_err(|error| error.to_string())?;
            let Some(region) = read else { return Err(format!("the log ends early, at offset {offset} of {end}")) };
            let bytes = region.read().map_err(|error| error.to_string())?;
            let before = offset;
            for batch in BatchIter::new(&bytes) {
                // The last batch may be cut off by the size of the buffer: it comes first in the next.
                let Ok(batch) = batch else { break };
                self.replay_batch(machine, &batch)?;
                offset = offset.max(batch.header.next_offset());
            }
            if offset == before {
                return Err(format!("no batch can be read at offset {offset}"));
            }
        }
        Ok(())
    }

    fn replay_batch(&self, machine: &mut Coordinator<Token>, batch: &BatchView<'_>) -> Result<(), String> {
        let header = batch.header;
        if header.is_control() || header.is_transactional() {
            let partition = self.replica().topic_partition();
            tracing::warn!(%partition, offset = %header.base_offset, "offsets of a transaction are passed over");
            return Ok(());
        }
        let codec = header.codec().map_err(|error| error.to_string())?;
        let records =
            decompress(codec, batch.records(), DECOMPRESSED_BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
        for record in RecordIter::new(header, &records) {
            let record = record.map_err(|error| error.to_string())?;
            let Some(key) = record.key else { continue };
            match Record::decode(key, record.value) {
                Ok(Some(record)) => machine.replay(record),
                // Of groups that this coordinator does not know.
                Ok(None) => {}
                Err(error) => return Err(format!("offset {}: {error}", record.offset)),
            }
        }
        Ok(())
    }
}
