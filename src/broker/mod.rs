//! The shell: owns the partitions, carries out what their machines decide, and keeps the disk's promises.

pub mod fetch_sessions;
pub mod purgatory;
pub mod waiter;
