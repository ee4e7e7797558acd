//! What Kafka 4.3.1 speaks and the codec crate does not: versions read into the crate's structs, and record formats.

pub mod add_raft_voter;
pub mod cluster_metadata;
pub mod consumer_offsets;
pub mod describe_log_dirs;
mod fields;
pub mod offset_commit;
pub mod offset_fetch;
