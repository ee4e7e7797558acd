//! Bytes to messages and back: frame, header, guard, message, record batch, records, compression.
//!
//! Invariant: no byte from a stranger reaches the codec crate before the guard has walked its frame.

pub mod api_key;
pub mod compression;
pub mod extra;
pub mod fetch;
pub mod frame;
pub mod guard;
pub mod header;
pub mod leader;
pub mod message;
pub mod produce;
pub mod rebuild;
pub mod record_batch;
pub mod records;
pub mod throttle;
pub mod topic_ref;
pub mod wire;
