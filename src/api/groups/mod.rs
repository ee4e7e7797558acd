//! APIs about consumer groups and the offsets they commit.

use super::row::Row;

/// The APIs of this family.
pub const ROWS: &[Row] = &[];
