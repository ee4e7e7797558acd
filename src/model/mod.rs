//! Words with types: the ids, offsets, epochs, error codes and times that every other room speaks in.
//!
//! Invariant: nothing here does I/O, keeps state, or knows a message format.

mod error_code;
mod ids;
mod now;

pub use error_code::ErrorCode;
pub use ids::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId, TopicPartition,
    check_topic_name, is_internal_topic,
};
pub use now::Now;
