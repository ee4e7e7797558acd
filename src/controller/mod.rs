//! Cluster decisions as a machine: topics, placement, configs, producer-id blocks.
