//! APIs about settings of topics and brokers, and about quotas of clients.

mod alter_client_quotas;
mod alter_configs;
mod describe_client_quotas;
mod describe_configs;
mod incremental_alter_configs;
mod list_config_resources;

use crate::config::Roles;
use crate::controller::{self, Asked, Refusal, ResourceName};
use crate::model::ErrorCode;

use super::Context;
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

/// Whom the client asked to change settings: this broker, the one that has handed the request on, or controllers.
fn asked(cx: &Context<'_>) -> Asked {
    match cx.connection.asked {
        None if !cx.connection.roles.meet(Roles::CLIENT) => {
            Asked::Controllers(cx.broker.quorum().controllers().into_keys().collect())
        }
        _ => Asked::Broker(cx.asked()),
    }
}

/// A resource whose settings the controller changes. Errors, for a type that has none: INVALID_REQUEST, and of controllers
/// UNSUPPORTED_VERSION for one that is unknown.
fn resource_name(asked: &Asked, code: i8, name: &str) -> Result<ResourceName, Refusal> {
    let resource_type = match ResourceType::of(code) {
        Some(ResourceType::Topic) => controller::ResourceType::Topic,
        Some(ResourceType::Broker) => controller::ResourceType::Broker,
        Some(ResourceType::ClientMetrics) => controller::ResourceType::ClientMetrics,
        Some(ResourceType::Group) => controller::ResourceType::Group,
        None if matches!(asked, Asked::Controllers(_)) => {
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, format!("Unknown resource type {code}.")));
        }
        Some(ResourceType::BrokerLogger) | None => {
            return Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown resource type {code}")));
        }
    };
    Ok(ResourceName { resource_type, name: name.to_owned() })
}
