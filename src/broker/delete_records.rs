//! What DeleteRecords waits for (Kafka's `DelayedDeleteRecords`): until no replica that is alive holds what was deleted, and until
//! this broker would remember it after a crash.
//!
//! Kafka writes log starts down once a minute, so that a leader that crashes may show deleted records again. Here the checkpoint
//! is written before the answer, and a log start that was told does not go back on this broker.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::purgatory::Watch;
use super::replica::Replica;
use crate::io::{clock, threads};
use crate::model::{ErrorCode, LeaderEpoch, Offset};

/// One partition's deletion that is done on the leader.
pub struct Deletion {
    replica: Arc<Replica>,
    /// Where the log start of every replica must be.
    required: Offset,
    /// What was reached last.
    low_watermark: Offset,
    outcome: Option<Result<Offset, ErrorCode>>,
}

impl Deletion {
    pub fn new(replica: Arc<Replica>, required: Offset) -> Deletion {
        Deletion { replica, required, low_watermark: Offset::NONE, outcome: None }
    }

    /// The low watermark, and NONE, or REQUEST_TIMED_OUT, or why the replica leads no more (`DelayedDeleteRecords.tryComplete`).
    pub fn outcome(&self) -> (Offset, ErrorCode) {
        match self.outcome {
            Some(Ok(low_watermark)) => (low_watermark, ErrorCode::None),
            Some(Err(code)) => (Offset::NONE, code),
            None => (self.low_watermark, ErrorCode::RequestTimedOut),
        }
    }

    fn look(&mut self, broker: &Broker) {
        if self.outcome.is_some() {
            return;
        }
        let image = broker.image();
        let low_watermark = match self.replica.check_serving(LeaderEpoch(-1)) {
            Err(code) => Err(code),
            Ok(()) => {
                let reached = self.replica.low_watermark(|id| image.is_unfenced(id));
                reached.ok_or(ErrorCode::NotLeaderOrFollower)
            }
        };
        match low_watermark {
            Ok(low_watermark) if low_watermark < self.required => self.low_watermark = low_watermark,
            decided => self.outcome = Some(decided),
        }
    }
}

impl Broker {
    /// Waits until every deletion has an outcome, at most so long. What is not reached by then is REQUEST_TIMED_OUT.
    pub async fn await_deletions(self: &Arc<Broker>, deletions: &mut [Deletion], timeout_ms: u64) {
        let deadline = clock::instant() + Duration::from_millis(timeout_ms);
        let broker = Arc::clone(self);
        if let Err(error) = threads::run("checkpoint", move || broker.write_checkpoints()).await {
            tracing::error!(%error, "log starts could not be written down");
        }
        loop {
            let watch = Watch::new(1);
            for deletion in deletions.iter() {
                deletion.replica.low_watermark_watchers().add(&watch);
            }
            // After the watch is set: what moves from here on wakes it.
            deletions.iter_mut().for_each(|deletion| deletion.look(self));
            let is_done = deletions.iter().all(|deletion| deletion.outcome.is_some());
            let is_over = is_done || tokio::time::timeout_at(deadline, watch.satisfied()).await.is_err();
            for deletion in deletions.iter() {
                deletion.replica.low_watermark_watchers().remove(&watch);
            }
            if is_over {
                return;
            }
        }
    }
}
