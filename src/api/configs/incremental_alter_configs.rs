//! IncrementalAlterConfigs (44), v0–1: sets, deletes, appends to and subtracts from single settings (KIP-339).
//! v1 flexible
//!
//! The controller decides; here only what cannot be said to it is refused. Source: `ConfigAdminManager.preprocess`.

use std::ops::RangeInclusive;

use super::ResourceType;
use crate::api::{Api, Context, Reply};
use crate::broker::Broker;
use crate::config::Roles;
use crate::controller::{self, AlterConfigs, ConfigOp, Refusal, ResourceName};
use crate::model::{BrokerId, ErrorCode};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::protocol::message::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::message::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use crate::security::{Access, Operation, ResourceType as Guarded};

/// See the head of this file.
pub struct IncrementalAlterConfigs;

/// The request names no timeout; Kafka's broker waits for its controller as long as for any other, in ms.
const TIMEOUT_MS: i32 = 30_000;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    type Response = IncrementalAlterConfigsResponse;
    const KEY: ApiKey = ApiKey::IncrementalAlterConfigs;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const ACCESS: Access<IncrementalAlterConfigsRequest> = Access::Each(&[
        (Operation::AlterConfigs, Guarded::Topic),
        (Operation::AlterConfigs, Guarded::Cluster),
        (Operation::AlterConfigs, Guarded::Group),
    ]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(cx: &Context<'_>, request: IncrementalAlterConfigsRequest) -> Reply<IncrementalAlterConfigsResponse> {
        let broker = cx.broker.clone();
        let asked_broker = cx.asked();
        Reply::later(async move {
            let understood = |resource| {
                let changes = changes_of(resource, asked_broker.0)?;
                check_directories(&broker, asked_broker, &changes).map(|()| changes)
            };
            let asked: Vec<_> = request.resources.iter().map(understood).collect();
            let decidable: Vec<_> = asked.iter().filter_map(|asked| asked.as_ref().ok().cloned()).collect();
            let decided =
                broker.incremental_alter_configs(asked_broker, decidable, request.validate_only, TIMEOUT_MS).await;
            let mut decided = match decided {
                Ok(decided) => decided.into_iter(),
                Err(refusal) => return Self::refuse(&request, refusal.code),
            };
            let responses = request.resources.iter().zip(asked).map(|(resource, asked)| {
                let result = match asked {
                    Ok(_) => decided.next().expect("the controller answers each resource"),
                    Err(refusal) => Err(refusal),
                };
                response(resource, result)
            });
            IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
        })
    }

    fn refuse(request: &IncrementalAlterConfigsRequest, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let refused = |resource| response(resource, Err(Refusal { code, message: None }));
        IncrementalAlterConfigsResponse::default().with_responses(request.resources.iter().map(refused).collect())
    }
}

fn response(resource: &AlterConfigsResource, result: Result<(), Refusal>) -> AlterConfigsResourceResponse {
    let (code, message) = match result {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, refusal.message),
    };
    AlterConfigsResourceResponse::default()
        .with_error_code(code.code())
        .with_error_message(message.map(Into::into))
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

/// What the controller is asked. Errors: INVALID_REQUEST for a type that has no settings to change, UNKNOWN_SERVER_ERROR for
/// an operation that there is not, as Kafka.
fn changes_of(resource: &AlterConfigsResource, own_id: i32) -> Result<AlterConfigs<ConfigOp>, Refusal> {
    let name = resource.resource_name.to_string();
    let resource_type = match ResourceType::of(resource.resource_type) {
        Some(ResourceType::Topic) => controller::ResourceType::Topic,
        Some(ResourceType::Broker) => controller::ResourceType::Broker,
        Some(ResourceType::ClientMetrics) => controller::ResourceType::ClientMetrics,
        Some(ResourceType::Group) => controller::ResourceType::Group,
        Some(ResourceType::BrokerLogger) => return Err(logger_refusal(&name, own_id)),
        None => {
            let message = format!("Unknown resource type {}", resource.resource_type);
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    };
    let changes = resource.configs.iter().map(change).collect::<Result<_, _>>()?;
    Ok(AlterConfigs { resource: ResourceName { resource_type, name }, changes })
}

/// `cordoned.log.dirs` names directories of the broker that is asked. Those of another are not known here: what is none of them
/// has no effect there.
fn check_directories(broker: &Broker, asked: BrokerId, changes: &AlterConfigs<ConfigOp>) -> Result<(), Refusal> {
    if changes.resource.resource_type != controller::ResourceType::Broker || asked != broker.node_id() {
        return Ok(());
    }
    for (name, change) in &changes.changes {
        if let ConfigOp::Set(Some(value)) | ConfigOp::Append(Some(value)) = change
            && name == "cordoned.log.dirs"
        {
            let checked = broker.settings().check_cordoned(value);
            checked
                .map_err(|missing| Refusal::new(ErrorCode::InvalidRequest, format!("requirement failed: {missing}")))?;
        }
    }
    Ok(())
}

/// Kafka's `AlterConfigOp.OpType`: 0 set, 1 delete, 2 append, 3 subtract.
fn change(config: &AlterableConfig) -> Result<(String, ConfigOp), Refusal> {
    let value = config.value.as_ref().map(ToString::to_string);
    let op = match config.config_operation {
        0 => ConfigOp::Set(value),
        1 => ConfigOp::Delete,
        2 => ConfigOp::Append(value),
        3 => ConfigOp::Subtract(value),
        _ => return Err(Refusal { code: ErrorCode::UnknownServerError, message: None }),
    };
    Ok((config.name.to_string(), op))
}

/// Kafka changes levels of its Java loggers here; ours come from `logging.level` and stay.
fn logger_refusal(name: &str, own_id: i32) -> Refusal {
    let message = match name.parse::<i32>() {
        Err(_) => format!("Node id must be an integer, but it is: {name}"),
        Ok(id) if id != own_id => format!("Unexpected node id. Expected {own_id}, but received {name}"),
        Ok(_) => "Log levels cannot be changed while the broker runs; set logging.level".to_owned(),
    };
    Refusal::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::protocol::message::StrBytes;

    /// Type, name and operation on the left; what Apache Kafka 4.3.1 answers on the right, but for levels of loggers.
    #[rstest]
    #[case(2, "t", 0, "Topic Set(Some(\"1\"))")]
    #[case(4, "", 1, "Broker Delete")]
    #[case(16, "m", 2, "ClientMetrics Append(Some(\"1\"))")]
    #[case(32, "g", 3, "Group Subtract(Some(\"1\"))")]
    #[case(2, "t", 4, "UNKNOWN_SERVER_ERROR ")]
    #[case(2, "t", -1, "UNKNOWN_SERVER_ERROR ")]
    #[case(99, "t", 0, "INVALID_REQUEST Unknown resource type 99")]
    #[case(0, "t", 0, "INVALID_REQUEST Unknown resource type 0")]
    #[case(8, "7", 0, "INVALID_REQUEST Unexpected node id. Expected 1, but received 7")]
    #[case(8, "", 0, "INVALID_REQUEST Node id must be an integer, but it is: ")]
    #[case(8, "1", 0, "INVALID_REQUEST Log levels cannot be changed while the broker runs; set logging.level")]
    fn a_change_is_translated_or_refused(
        #[case] resource_type: i8,
        #[case] name: &'static str,
        #[case] operation: i8,
        #[case] meaning: &str,
    ) {
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("k"))
            .with_config_operation(operation)
            .with_value(Some(StrBytes::from_static_str("1")));
        let resource = AlterConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(StrBytes::from_static_str(name))
            .with_configs(vec![config]);
        let shown = match changes_of(&resource, 1) {
            Ok(asked) => format!("{:?} {:?}", asked.resource.resource_type, asked.changes[0].1),
            Err(refusal) => format!("{} {}", refusal.code, refusal.message.unwrap_or_default()),
        };
        assert_eq!(shown, meaning);
    }
}
