//! APIs about settings of topics and brokers, and about quotas of clients.

mod alter_client_quotas;
mod alter_configs;
mod describe_client_quotas;
mod describe_configs;
mod incremental_alter_configs;
mod list_config_resources;

use crate::controller::{self, Refusal, ResourceName};
use crate::model::ErrorCode;

use super::row::{Row, row};

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<alter_client_quotas::AlterClientQuotas>(),
    row::<alter_configs::AlterConfigs>(),
    row::<describe_client_quotas::DescribeClientQuotas>(),
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

/// The request names no timeout; Kafka's broker waits for its controller as long as for any other, in ms.
const TIMEOUT_MS: i32 = 30_000;

/// A resource whose settings the controller changes. Errors: INVALID_REQUEST for a type that has none.
fn resource_name(code: i8, name: &str) -> Result<ResourceName, Refusal> {
    let resource_type = match ResourceType::of(code) {
        Some(ResourceType::Topic) => controller::ResourceType::Topic,
        Some(ResourceType::Broker) => controller::ResourceType::Broker,
        Some(ResourceType::ClientMetrics) => controller::ResourceType::ClientMetrics,
        Some(ResourceType::Group) => controller::ResourceType::Group,
        Some(ResourceType::BrokerLogger) | None => {
            return Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown resource type {code}")));
        }
    };
    Ok(ResourceName { resource_type, name: name.to_owned() })
}
