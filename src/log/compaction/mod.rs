//! Compaction: of every key only its last record stays (KIP-58, KIP-534).
//!
//! | file | what it does |
//! |---|---|
//! | `plan` | which part of a log may be cleaned, and how dirty it is |
//! | `offset_map` | the last offset of each key of the dirty part, in bounded memory |
//! | `transactions` | which batches belong to transactions that were aborted |
//! | `retain` | what stays of one batch |
//! | `pass` | reads a plan's segments twice and writes what stays into new ones, in small steps |
//! | `exchange` | puts a new segment in the place of old ones, so that a crash leaves either |
//!
//! Follows `Cleaner` and `LogCleanerManager` of Apache Kafka 4.3.1. Offsets, leader epochs, timestamps and the sequences of
//! producers stay as they are. Only what lies below the high watermark, below every open transaction and below the recovery point
//! is touched, and never the active segment.
//!
//! Invariants: groups of segments are cleaned from the oldest on, each in its place for good before the next: a tombstone that
//! goes has no older record of its key left before it. The last batch of each producer that is still known stays, empty if need be,
//! and so does the last batch of what is cleaned, so that the log has no gap at an end. A pass that is given up has changed
//! nothing of the group that it was at.

mod exchange;
mod offset_map;
mod pass;
mod plan;
mod retain;
mod transactions;

pub use exchange::CleanedSegment;
pub(crate) use exchange::{CLEANED_SUFFIX, SWAP_SUFFIX};
pub use pass::{CompactionError, Pass, PassOptions, PassOutcome, Step};
pub use plan::{Cleanable, CompactionLag};
