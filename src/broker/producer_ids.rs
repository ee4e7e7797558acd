//! Producer ids, in blocks (KIP-730): the controller hands out a block with one metadata record, the broker its ids one by one.
//!
//! Invariant: no id is given twice, also not by another broker or after a crash: a block is committed before its first id is
//! used, and what a crash leaves of it is never used.

use parking_lot::Mutex;

use crate::controller;
use crate::metadata::Record;
use crate::model::{BrokerId, ErrorCode, ProducerId};
use crate::quorum::Quorum;

/// The rest of the newest block.
#[derive(Default)]
pub struct ProducerIds {
    /// First id to give, and the end of the block.
    block: Mutex<(i64, i64)>,
    /// Held while a block is asked for, so that it is asked for once.
    asking: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    /// An id that nobody has, if the block has one.
    pub fn next_of_block(&self) -> Option<ProducerId> {
        let mut block = self.block.lock();
        let id = block.0;
        if id >= block.1 {
            return None;
        }
        block.0 += 1;
        Some(ProducerId(id))
    }

    /// An id that nobody has, from a new block if need be. Error: COORDINATOR_LOAD_IN_PROGRESS when the controller gave no
    /// block, as Kafka answers then; clients try again.
    pub async fn next(&self, quorum: &Quorum, broker_id: BrokerId) -> Result<ProducerId, ErrorCode> {
        let _asking = self.asking.lock().await;
        if let Some(id) = self.next_of_block() {
            return Ok(id);
        }
        let decision = controller::allocate_producer_ids(&quorum.image(), broker_id).map_err(|refusal| refusal.code)?;
        let (first, count) = decision.answer;
        let records: Vec<Record> = decision.records;
        quorum.submit(records).await.map_err(|error| {
            tracing::warn!(%error, "no block of producer ids");
            ErrorCode::CoordinatorLoadInProgress
        })?;
        *self.block.lock() = (first.0 + 1, first.0 + count);
        Ok(first)
    }
}
