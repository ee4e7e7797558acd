//! APIs about records: in, out, and where they are.

use super::row::Row;

/// The APIs of this family.
pub const ROWS: &[Row] = &[];
