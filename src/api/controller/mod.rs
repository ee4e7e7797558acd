//! APIs between brokers and the controller (registration, heartbeats, in-sync replicas, blocks of producer ids), and among
//! controllers.

mod allocate_producer_ids;
mod alter_partition;
mod assign_replicas_to_dirs;
mod broker_heartbeat;
mod broker_registration;
mod quorum;
mod unregister_broker;
mod update_features;

use super::row::{Row, raw_row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<alter_partition::AlterPartition>(),
    row::<broker_registration::BrokerRegistration>(),
    row::<broker_heartbeat::BrokerHeartbeat>(),
    row::<unregister_broker::UnregisterBroker>(),
    row::<update_features::UpdateFeatures>(),
    row::<allocate_producer_ids::AllocateProducerIds>(),
    row::<assign_replicas_to_dirs::AssignReplicasToDirs>(),
    raw_row::<quorum::Quorum>(),
];
