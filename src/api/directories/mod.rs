//! APIs about the log directories of a broker.

mod alter_replica_log_dirs;
mod describe_log_dirs;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] =
    &[row::<alter_replica_log_dirs::AlterReplicaLogDirs>(), row::<describe_log_dirs::DescribeLogDirs>()];
