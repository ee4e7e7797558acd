//! APIs about settings of topics and brokers.

mod describe_configs;
mod incremental_alter_configs;
mod list_config_resources;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<describe_configs::DescribeConfigs>(),
    row::<incremental_alter_configs::IncrementalAlterConfigs>(),
    row::<list_config_resources::ListConfigResources>(),
];

/// What settings belong to. Numbers are those of `org.apache.kafka.common.config.ConfigResource.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
enum ResourceType {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceType {
    fn of(code: i8) -> Option<ResourceType> {
        let all = [
            ResourceType::Topic,
            ResourceType::Broker,
            ResourceType::BrokerLogger,
            ResourceType::ClientMetrics,
            ResourceType::Group,
        ];
        all.into_iter().find(|resource| *resource as i8 == code)
    }
}
