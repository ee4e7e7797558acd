//! One replica as a machine: leadership, the offsets that its log has reached, the high watermark, and who waits for it.
//!
//! The broker's shell holds a machine and its log under one mutex and tells it what happened ([`Event`]); the machine decides
//! what becomes visible and who is done ([`Effects`]). It does no I/O and reads no clock. Fetch by followers and the in-sync
//! set follow KIP-101, KIP-841 and KIP-966; with one replica the in-sync set is the leader alone, on the same path.
//!
//! **What counts as replicated** is one rule. With [`crate::config::Durability::Flushed`] each member of the maximal in-sync set counts with
//! what it has on stable storage, so an acknowledged record survives a power cut on every node at once. With
//! [`crate::config::Durability::PageCache`], Kafka's own rule, each counts with its log end. Everything that waits for the high watermark
//! (acks=all, answers to duplicates, coordinators' replies, consumers) follows from it, and there is no second condition.
//!
//! A **follower** learns its leader's high watermark only from answers without divergence, and cuts its log only where epochs say
//! that histories part (KIP-101, KIP-279); never below its own high watermark (KAFKA-12460), unless the leader was elected uncleanly: it stops instead.
//!
//! Invariant: `log_start <= last_stable <= high_watermark <= log_end`, and `durable_end <= log_end`.
//! Invariant: the high watermark never goes back but after an unclean election, and never moves while the in-sync set is smaller than the minimum.
//! It does *not* hold the log, and does not know producers or record formats.

mod leader;
mod machine;
#[cfg(test)]
mod tests;
mod waiters;

pub use leader::{FollowerFetch, InSync, Proposal, ReadCandidate};
pub use machine::{
    Advance, BelowHighWatermark, Effects, Event, LAG_MAX_MS, Leadership, Loss, OpenedLog, Partition, Published,
    RequiredAcks,
};
pub use waiters::Waiters;
