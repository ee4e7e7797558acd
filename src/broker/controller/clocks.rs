//! Clocks that are wrong: nothing breaks, but records are kept too long or not long enough, and are found by the wrong times. So
//! brokers tell the active controller with their heartbeats what time they take it to be, and it says which of them differs.

use bytes::Bytes;

use crate::broker::Broker;
use crate::model::{BrokerId, Now};

/// Where a heartbeat tells its sender's time of day, beside Kafka's own fields: ms since 1970, 8 bytes.
pub const CLOCK_TAG: i32 = 10_000;

/// Much more than a heartbeat takes to be heard, and than clocks differ that are set by a time service.
const DIFFERENCE_MS: u64 = 30_000;

pub fn encode_clock(now: Now) -> Bytes {
    Bytes::copy_from_slice(&now.wall_ms.to_be_bytes())
}

pub fn decode_clock(field: &Bytes) -> Option<i64> {
    Some(i64::from_be_bytes(field.as_ref().try_into().ok()?))
}

impl Broker {
    /// Says once that a broker's clock differs from this node's, and once that it does not any more.
    pub fn compare_clocks(&self, now: Now, id: BrokerId, wall_ms: i64) {
        if self.image().broker(id).is_none() {
            return;
        }
        let ahead_s = wall_ms.saturating_sub(now.wall_ms) / 1000;
        let is_other = wall_ms.abs_diff(now.wall_ms) > DIFFERENCE_MS;
        let mut known = self.controller.other_clocks.lock();
        if is_other && known.insert(id) {
            tracing::warn!(
                broker_id = %id,
                ahead_s,
                "the clocks of this broker and of this controller differ: set both by a time service (NTP); until then records \
                 are kept longer or shorter than retention.ms says, and found by other times than they were written at"
            );
        } else if !is_other && known.remove(&id) {
            tracing::info!(broker_id = %id, "the clocks of this broker and of this controller agree again");
        }
    }
}
