//! The offsets of a replica that readers see without its mutex.
//!
//! Invariant: `log_start <= last_stable <= high_watermark <= log_end` holds for whoever loads them: each only rises, the
//! writer stores from the highest bound down, the reader loads from the lowest up. Only a follower's log end falls, when it is
//! cut, and never below the high watermark; after an unclean election that falls too, and a reader of that moment may see it
//! above the end: readers of the log bound themselves by its end as well.

use std::sync::atomic::{AtomicI16, AtomicI32, AtomicI64, AtomicU8, Ordering};

use crate::model::{ErrorCode, LeaderEpoch, Offset};
use crate::partition::Published;

pub struct PublishedOffsets {
    log_start: AtomicI64,
    last_stable: AtomicI64,
    high_watermark: AtomicI64,
    log_end: AtomicI64,
    leader_epoch: AtomicI32,
    /// The error that everyone is answered, or 0.
    fence: AtomicI16,
    role: AtomicU8,
}

/// What a replica is to its partition, as readers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishedRole {
    /// Nobody has said yet.
    None,
    Leader,
    Follower,
}

impl PublishedOffsets {
    pub fn new(published: Published) -> PublishedOffsets {
        PublishedOffsets {
            log_start: AtomicI64::new(published.log_start.0),
            last_stable: AtomicI64::new(published.last_stable.0),
            high_watermark: AtomicI64::new(published.high_watermark.0),
            log_end: AtomicI64::new(published.log_end.0),
            leader_epoch: AtomicI32::new(published.leader_epoch.0),
            fence: AtomicI16::new(0),
            role: AtomicU8::new(0),
        }
    }

    /// Called under the replica's mutex.
    pub fn store(&self, published: Published) {
        self.leader_epoch.store(published.leader_epoch.0, Ordering::Release);
        // Sequentially consistent, for the waiting fetches: see `purgatory`.
        self.log_end.store(published.log_end.0, Ordering::SeqCst);
        self.high_watermark.store(published.high_watermark.0, Ordering::SeqCst);
        self.last_stable.store(published.last_stable.0, Ordering::Release);
        self.log_start.store(published.log_start.0, Ordering::Release);
    }

    pub fn load(&self) -> Published {
        let log_start = Offset(self.log_start.load(Ordering::Acquire));
        let last_stable = Offset(self.last_stable.load(Ordering::Acquire));
        let high_watermark = Offset(self.high_watermark.load(Ordering::SeqCst));
        let log_end = Offset(self.log_end.load(Ordering::SeqCst));
        Published { log_start, last_stable, high_watermark, log_end, leader_epoch: self.leader_epoch() }
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.leader_epoch.load(Ordering::Acquire))
    }

    pub fn fence(&self, code: Option<ErrorCode>) {
        self.fence.store(code.map_or(0, ErrorCode::code), Ordering::Release);
    }

    pub fn fenced(&self) -> Option<ErrorCode> {
        match self.fence.load(Ordering::Acquire) {
            0 => None,
            code => Some(ErrorCode::from(code)),
        }
    }

    pub fn publish_role(&self, role: PublishedRole) {
        let number = match role {
            PublishedRole::None => 0,
            PublishedRole::Leader => 1,
            PublishedRole::Follower => 2,
        };
        self.role.store(number, Ordering::Release);
    }

    pub fn role(&self) -> PublishedRole {
        match self.role.load(Ordering::Acquire) {
            1 => PublishedRole::Leader,
            2 => PublishedRole::Follower,
            _ => PublishedRole::None,
        }
    }
}
