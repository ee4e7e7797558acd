//! APIs about idempotent producers.

pub mod describe_producers;
pub mod init_producer_id;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[row::<init_producer_id::InitProducerId>(), row::<describe_producers::DescribeProducers>()];
