//! APIs between brokers and the controller: registration, heartbeats, in-sync replicas, blocks of producer ids.

mod allocate_producer_ids;
mod alter_partition;
mod broker_heartbeat;
mod broker_registration;
mod unregister_broker;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<alter_partition::AlterPartition>(),
    row::<broker_registration::BrokerRegistration>(),
    row::<broker_heartbeat::BrokerHeartbeat>(),
    row::<unregister_broker::UnregisterBroker>(),
    row::<allocate_producer_ids::AllocateProducerIds>(),
];
