//! APIs about topics: their making, growth and end, and where their partitions are.

mod alter_partition_reassignments;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elect_leaders;
mod list_partition_reassignments;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<create_topics::CreateTopics>(),
    row::<delete_topics::DeleteTopics>(),
    row::<create_partitions::CreatePartitions>(),
    row::<elect_leaders::ElectLeaders>(),
    row::<alter_partition_reassignments::AlterPartitionReassignments>(),
    row::<list_partition_reassignments::ListPartitionReassignments>(),
];
