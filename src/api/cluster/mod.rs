//! APIs about the cluster as a whole: who is in it, what it can do.

use super::row::Row;

/// The APIs of this family.
pub const ROWS: &[Row] = &[];
