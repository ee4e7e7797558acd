//! Producer ids, in blocks (KIP-730): the controller hands out a block with one metadata record, the broker its ids one by one.
//!
//! Invariant: no id is given twice, also not by another broker or after a crash: a block is committed before its first id is
//! used, and what a crash leaves of it is never used.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Broker;
use crate::model::{ErrorCode, ProducerId};
use crate::protocol::message::{AllocateProducerIdsRequest, WireBrokerId};

/// How long the controller may take to give a block (`RPCProducerIdManager` asks with a timeout of two seconds, three times).
const ALLOCATION_TIMEOUT: Duration = Duration::from_secs(5);

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
    pub async fn next(&self, broker: &Arc<Broker>) -> Result<ProducerId, ErrorCode> {
        let _asking = self.asking.lock().await;
        if let Some(id) = self.next_of_block() {
            return Ok(id);
        }
        let (first, count) = allocate(broker).await.map_err(|reason| {
            tracing::warn!(reason, "no block of producer ids");
            ErrorCode::CoordinatorLoadInProgress
        })?;
        *self.block.lock() = (first.0 + 1, first.0 + count);
        Ok(first)
    }
}

/// The controller's next block: its first id, and how many there are.
async fn allocate(broker: &Arc<Broker>) -> Result<(ProducerId, i64), String> {
    let (broker_id, broker_epoch) = (broker.node_id(), broker.broker_epoch());
    if broker.is_active_controller() {
        let allocated = broker.allocate_producer_ids(broker_id, broker_epoch).await;
        return allocated.map_err(|refusal| refusal.code.to_string());
    }
    let request =
        AllocateProducerIdsRequest::default().with_broker_id(WireBrokerId(broker_id.0)).with_broker_epoch(broker_epoch);
    let answer = broker.controller_call(&request, ALLOCATION_TIMEOUT).await.map_err(|error| error.to_string())?;
    match ErrorCode::from(answer.error_code) {
        ErrorCode::None => Ok((ProducerId(answer.producer_id_start.0), i64::from(answer.producer_id_len))),
        code => Err(code.to_string()),
    }
}
