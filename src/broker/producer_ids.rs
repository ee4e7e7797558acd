//! Producer ids, in blocks (KIP-730): the controller hands out a block with one metadata record, the broker its ids one by one.
//!
//! Invariant: no id is given twice, also not by another broker or after a crash: a block is committed before its first id is
//! used, and what a crash leaves of it is never used.

use tokio::sync::Mutex;

use crate::metadata::Record;
use crate::model::{BrokerId, ErrorCode, ProducerId};
use crate::quorum::Quorum;

/// Ids in one block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const BLOCK_IDS: i64 = 1000;

/// The rest of the newest block.
#[derive(Default)]
pub struct ProducerIds {
    /// First id to give, and the end of the block. Held while a block is asked for, so that it is asked for once.
    block: Mutex<(i64, i64)>,
}

impl ProducerIds {
    /// An id that nobody has. Error: COORDINATOR_LOAD_IN_PROGRESS when the controller gave no block, as Kafka answers then.
    pub async fn next(&self, quorum: &Quorum, broker_id: BrokerId) -> Result<ProducerId, ErrorCode> {
        let mut block = self.block.lock().await;
        if block.0 >= block.1 {
            let first = quorum.image().next_producer_id();
            let next_producer_id = ProducerId(first.0.checked_add(BLOCK_IDS).ok_or(ErrorCode::UnknownServerError)?);
            let record = Record::ProducerIdsAllocated { broker_id, next_producer_id };
            quorum.submit(vec![record]).await.map_err(|error| {
                tracing::warn!(%error, "no block of producer ids");
                ErrorCode::CoordinatorLoadInProgress
            })?;
            *block = (first.0, next_producer_id.0);
        }
        let id = block.0;
        block.0 += 1;
        Ok(ProducerId(id))
    }
}
