//! APIs about the log directories of a broker.

mod describe_log_dirs;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[row::<describe_log_dirs::DescribeLogDirs>()];
