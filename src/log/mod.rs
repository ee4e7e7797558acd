//! Segments that survive crashes. Knows no request types.
//!
//! One [`Log`] is one partition, on disk in Kafka's own format: `.log`, `.index`, `.timeindex`, `.snapshot`,
//! `leader-epoch-checkpoint` and `partition.metadata`, plus our `.producers` beside a snapshot (the last five batches of each
//! producer), which Kafka ignores.
//!
//! - Write: [`validate`] outside the partition's lock, [`Log::append_as_leader`] or [`Log::append_many`] under it.
//! - Replicate: [`ReplicatedBatches::check`] outside the lock, [`Log::append_as_follower`] and [`Log::truncate_to`] under it.
//! - Move: [`Log::copy_from`] without the lock, [`Log::finish_copy`] under it.
//! - Read: [`LogReader::read`] without the lock answers a [`Region`] of a file for `sendfile`.
//! - Flush: [`Log::flush_ticket`] under the lock, [`FlushTicket::run`] on a thread that may block, [`Log::flushed`] under the
//!   lock: only that makes a [`DurableEnd`].
//! - Compact: [`Log::cleanable`] under the lock, [`Pass`] without it, [`Log::exchange`] under it.
//! - Open: [`Log::open`] recovers what a crash left; [`LogDir`] holds what lies beside the logs.
//!
//! Invariants: the `.log` files are the truth, everything beside them is a cache that is rebuilt when it is missing or broken;
//! nothing below a durable end is ever cut because of what a crash did; the first failed flush takes its directory offline.

pub mod checkpoint;
mod compaction;
mod copying;
mod descriptors;
mod error;
mod flush;
mod follower;
mod index;
mod leader_epoch;
mod leftovers;
mod log_dir;
mod options;
mod partition_log;
mod place;
mod producer_snapshot;
mod producers;
mod reader;
mod records;
mod recovery;
mod retention;
mod scan;
mod segment;
mod segment_files;
mod snapshots;
mod timestamps;
mod truncate;
mod validate;

#[cfg(test)]
mod power_loss;
#[cfg(test)]
mod tests;

pub use compaction::{Cleanable, CleanedSegment, CompactionError, CompactionLag, Pass, PassOptions, PassOutcome, Step};
pub use copying::CopyError;
pub use descriptors::Descriptors;
pub use error::{AppendError, LogError, ReadError};
pub use flush::{FlushOutcome, FlushTicket};
pub use follower::ReplicatedBatches;
pub use leader_epoch::LeaderEpochs;
pub use log_dir::{
    CLEANER_OFFSET_CHECKPOINT, HIGH_WATERMARK_CHECKPOINT, IMPORT_MARKER, LOG_START_OFFSET_CHECKPOINT, LogDir,
    MetaProperties, RECOVERY_POINT_CHECKPOINT,
};
pub use options::LogOptions;
pub use partition_log::{AppendInfo, DurableEnd, Log};
pub use producers::{ProducerBatch, ProducerEntry, Producers};
pub use reader::{LogReader, ReadRequest, Region};
pub use recovery::{OpenLog, Recovered};
pub use retention::DeletedSegments;
pub use snapshots::open_transactions;
pub use timestamps::TimestampOffset;
pub use validate::{Origin, ValidatedBatches, validate};
