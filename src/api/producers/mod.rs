//! APIs about idempotent producers.

use super::row::Row;

/// The APIs of this family.
pub const ROWS: &[Row] = &[];
