//! APIs about records: in, out, and where they are.

pub mod fetch;
pub mod produce;

use super::row::{Row, burst_row, raw_row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[burst_row::<produce::Produce>(), raw_row::<fetch::Fetch>()];
