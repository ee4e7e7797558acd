//! APIs about the cluster as a whole: who is in it, what it can do.

pub mod api_versions;
mod describe_cluster;
mod describe_topic_partitions;
mod envelope;
mod metadata;
pub mod view;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<api_versions::ApiVersions>(),
    row::<metadata::Metadata>(),
    row::<describe_cluster::DescribeCluster>(),
    row::<describe_topic_partitions::DescribeTopicPartitions>(),
    row::<envelope::Envelope>(),
];

#[cfg(test)]
mod tests;
