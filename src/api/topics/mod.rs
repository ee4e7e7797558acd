//! APIs about topics: their making, end and description.

mod create_topics;
mod delete_topics;
mod list_partition_reassignments;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<create_topics::CreateTopics>(),
    row::<delete_topics::DeleteTopics>(),
    row::<list_partition_reassignments::ListPartitionReassignments>(),
];
