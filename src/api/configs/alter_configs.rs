//! AlterConfigs (33), v0–2: says all that is to be set on a resource; what it does not name is taken back.
//! v2 flexible
//!
//! Older than IncrementalAlterConfigs, and kept for clients that know nothing else. The controller decides. Source:
//! `ConfigAdminManager.preprocess` and `ConfigurationControlManager.legacyAlterConfigs`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{TIMEOUT_MS, asked, resource_name};
use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{self, Asked, Refusal};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::alter_configs_request::AlterConfigsResource;
use crate::protocol::message::alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::message::{AlterConfigsRequest, AlterConfigsResponse};
use crate::security::{Access, Operation, ResourceType as Guarded};

/// See the head of this file.
pub struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    type Response = AlterConfigsResponse;
    const KEY: ApiKey = ApiKey::AlterConfigs;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<AlterConfigsRequest> = Access::Each(&[
        (Operation::AlterConfigs, Guarded::Topic),
        (Operation::AlterConfigs, Guarded::Cluster),
        (Operation::AlterConfigs, Guarded::Group),
    ]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(cx: &Context<'_>, request: AlterConfigsRequest) -> Reply<AlterConfigsResponse> {
        let (broker, whom) = (Arc::clone(cx.broker), asked(cx));
        Reply::later(async move {
            let asked: Vec<_> = request.resources.iter().map(|resource| wanted(&whom, resource)).collect();
            let decidable = asked.iter().filter_map(|asked| asked.as_ref().ok().cloned()).collect();
            let decided = broker.alter_configs(whom, decidable, request.validate_only, TIMEOUT_MS).await;
            let mut decided = match decided {
                Ok(decided) => decided.into_iter(),
                Err(refusal) => return Self::refuse(&request, refusal.code),
            };
            let responses = request.resources.iter().zip(asked).map(|(resource, asked)| {
                let decided = asked.and_then(|_| decided.next().expect("the controller answers each resource"));
                response(resource, decided)
            });
            AlterConfigsResponse::default().with_responses(responses.collect())
        })
    }

    fn refuse(request: &AlterConfigsRequest, code: ErrorCode) -> AlterConfigsResponse {
        let refused = |resource| response(resource, Err(Refusal { code, message: None }));
        AlterConfigsResponse::default().with_responses(request.resources.iter().map(refused).collect())
    }
}

/// What the controller is asked.
fn wanted(whom: &Asked, resource: &AlterConfigsResource) -> Result<controller::AlterConfigs<Option<String>>, Refusal> {
    let name = resource_name(whom, resource.resource_type, &resource.resource_name)?;
    let setting = |config: &crate::protocol::message::alter_configs_request::AlterableConfig| {
        (config.name.to_string(), config.value.as_ref().map(ToString::to_string))
    };
    Ok(controller::AlterConfigs { resource: name, changes: resource.configs.iter().map(setting).collect() })
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
