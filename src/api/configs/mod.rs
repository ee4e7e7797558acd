//! APIs about settings of topics and brokers.

use super::row::Row;

/// The APIs of this family.
pub const ROWS: &[Row] = &[];
