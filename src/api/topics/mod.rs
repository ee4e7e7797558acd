//! APIs about topics: their making, end and description.

use super::row::Row;

/// The APIs of this family.
pub const ROWS: &[Row] = &[];
