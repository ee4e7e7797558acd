//! IncrementalAlterConfigs (44), v0–1: sets, deletes, appends to and subtracts from single settings (KIP-339).
//! v1 flexible
//!
//! The controller decides; here only what cannot be said to it is refused, and loggers change at once. Source: `ConfigAdminManager.preprocess`.

use std::ops::RangeInclusive;

use super::{ResourceType, TIMEOUT_MS, asked, resource_name};
use crate::api::{Api, Context, Reply, Split};
use crate::broker::Broker;
use crate::config::{LoggerOp, Roles};
use crate::controller::{self, AlterConfigs, Asked, ConfigOp, Refusal};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::protocol::message::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::message::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use crate::security::{Access, Operation, ResourceType as Guarded};

/// See the head of this file.
pub struct IncrementalAlterConfigs;

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
        let whom = asked(cx);
        Reply::later(async move {
            let understood = |resource| {
                let changes = changes_of(&whom, resource)?;
                check_directories(&broker, &whom, &changes).map(|()| changes)
            };
            let asked: Vec<_> = request.resources.iter().map(understood).collect();
            let decidable: Vec<_> = asked.iter().filter_map(|asked| asked.as_ref().ok().cloned()).collect();
            let decided =
                broker.incremental_alter_configs(whom.clone(), decidable, request.validate_only, TIMEOUT_MS).await;
            let mut decided = match decided {
                Ok(decided) => decided.into_iter(),
                Err(refusal) => return Self::refuse(&request, refusal.code),
            };
            let responses = request.resources.iter().zip(asked).map(|(resource, asked)| {
                let decided = asked.and_then(|_| decided.next().expect("the controller answers each resource"));
                response(resource, decided)
            });
            IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
        })
    }

    /// Loggers are this process's own, whoever the controller is.
    fn split(
        cx: &Context<'_>,
        mut request: IncrementalAlterConfigsRequest,
    ) -> Split<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse> {
        if !request.resources.iter().any(is_logger) {
            return Split::Whole(request);
        }
        let (loggers, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut request.resources).into_iter().partition(is_logger);
        let times = |name: &str| loggers.iter().filter(|other| &*other.resource_name == name).count();
        let altered = |resource: &AlterConfigsResource| match times(&resource.resource_name) {
            1 => alter_loggers(cx.broker, resource, request.validate_only),
            _ => Err(Refusal::new(ErrorCode::InvalidRequest, "Each resource must appear at most once.")),
        };
        let altered: Vec<_> = loggers.iter().map(|resource| response(resource, altered(resource))).collect();
        if others.is_empty() {
            return Split::Done(IncrementalAlterConfigsResponse::default().with_responses(altered));
        }
        request.resources = others;
        Split::Part(
            request,
            Box::new(move |mut response| {
                response.responses.extend(altered);
                response
            }),
        )
    }

    fn refuse(request: &IncrementalAlterConfigsRequest, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let refused = |resource| response(resource, Err(Refusal { code, message: None }));
        IncrementalAlterConfigsResponse::default().with_responses(request.resources.iter().map(refused).collect())
    }

    fn not_controller(
        _cx: &Context<'_>,
        request: IncrementalAlterConfigsRequest,
        words: String,
    ) -> Reply<IncrementalAlterConfigsResponse> {
        let refusal = Refusal::new(ErrorCode::NotController, words);
        let refused = |resource| response(resource, Err(refusal.clone()));
        let responses = request.resources.iter().map(refused).collect();
        Reply::Now(IncrementalAlterConfigsResponse::default().with_responses(responses))
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
fn changes_of(whom: &Asked, resource: &AlterConfigsResource) -> Result<AlterConfigs<ConfigOp>, Refusal> {
    let name = resource_name(whom, resource.resource_type, &resource.resource_name)?;
    let changes = resource.configs.iter().map(change).collect::<Result<_, _>>()?;
    Ok(AlterConfigs { resource: name, changes })
}

/// `cordoned.log.dirs` names directories of the broker that is asked. Those of another are not known here: what is none of them
/// has no effect there.
fn check_directories(broker: &Broker, asked: &Asked, changes: &AlterConfigs<ConfigOp>) -> Result<(), Refusal> {
    if changes.resource.resource_type != controller::ResourceType::Broker || *asked != Asked::Broker(broker.node_id()) {
        return Ok(());
    }
    for (name, change) in &changes.changes {
        if let ConfigOp::Set(Some(value)) | ConfigOp::Append(Some(value)) = change
            && name == "cordoned.log.dirs"
            // A list that is none is refused by the controller.
            && value.split(',').all(|path| !path.trim().is_empty())
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

fn is_logger(resource: &AlterConfigsResource) -> bool {
    resource.resource_type == ResourceType::BrokerLogger as i8
}

/// Changes levels of this process's loggers. Source: `ConfigAdminManager.preprocess` of a BROKER_LOGGER.
fn alter_loggers(broker: &Broker, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let mut changes = Vec::new();
    for config in &resource.configs {
        let (name, op) = change(config)?;
        let op = match op {
            ConfigOp::Set(None) | ConfigOp::Append(None) | ConfigOp::Subtract(None) => {
                return refuse(format!("Null value not supported for : {name}"));
            }
            ConfigOp::Set(Some(level)) => LoggerOp::Set(level),
            ConfigOp::Delete => LoggerOp::Delete,
            ConfigOp::Append(_) => LoggerOp::List("APPEND"),
            ConfigOp::Subtract(_) => LoggerOp::List("SUBTRACT"),
        };
        if changes.iter().any(|(other, _)| *other == name) {
            return refuse("Error due to duplicate config keys".to_owned());
        }
        changes.push((name, op));
    }
    let (name, own) = (&resource.resource_name, broker.node_id().0);
    match name.parse::<i32>() {
        Err(_) => return refuse(format!("Node id must be an integer, but it is: {name}")),
        Ok(id) if id != own => return refuse(format!("Unexpected node id. Expected {own}, but received {id}")),
        Ok(_) => {}
    }
    let altered = broker.loggers().alter(&changes, validate_only);
    altered.map_err(|error| Refusal::new(error.code(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::model::BrokerId;
    use crate::protocol::message::StrBytes;

    /// Type, name and operation on the left; what Apache Kafka 4.3.1 answers on the right.
    #[rstest]
    #[case(2, "t", 0, "Topic Set(Some(\"1\"))")]
    #[case(4, "", 1, "Broker Delete")]
    #[case(16, "m", 2, "ClientMetrics Append(Some(\"1\"))")]
    #[case(32, "g", 3, "Group Subtract(Some(\"1\"))")]
    #[case(2, "t", 4, "UNKNOWN_SERVER_ERROR ")]
    #[case(2, "t", -1, "UNKNOWN_SERVER_ERROR ")]
    #[case(99, "t", 0, "INVALID_REQUEST Unknown resource type 99")]
    #[case(0, "t", 0, "INVALID_REQUEST Unknown resource type 0")]
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
        let shown = match changes_of(&Asked::Broker(BrokerId(1)), &resource) {
            Ok(asked) => format!("{:?} {:?}", asked.resource.resource_type, asked.changes[0].1),
            Err(refusal) => format!("{} {}", refusal.code, refusal.message.unwrap_or_default()),
        };
        assert_eq!(shown, meaning);
    }
}
