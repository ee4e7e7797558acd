//! APIs about records: in, out, and where they are.

pub mod delete_records;
pub mod fetch;
mod leaders;
pub mod list_offsets;
pub mod offset_for_leader_epoch;
pub mod produce;

use super::row::{Row, burst_row, raw_row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    burst_row::<produce::Produce>(),
    raw_row::<fetch::Fetch>(),
    row::<list_offsets::ListOffsets>(),
    row::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    row::<delete_records::DeleteRecords>(),
];
