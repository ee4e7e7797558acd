//! AlterClientQuotas (49), v0–1: how much users, clients and addresses may use (KIP-546).
//! v1 flexible
//!
//! The controller decides. Source: `ControllerApis.handleAlterClientQuotas`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{AlterQuotas, AlteredQuotas, Refusal};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::alter_client_quotas_request::EntryData as Asked;
use crate::protocol::message::alter_client_quotas_response::{EntityData, EntryData};
use crate::protocol::message::{AlterClientQuotasRequest, AlterClientQuotasResponse, StrBytes};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct AlterClientQuotas;

impl Api for AlterClientQuotas {
    type Request = AlterClientQuotasRequest;
    type Response = AlterClientQuotasResponse;
    const KEY: ApiKey = ApiKey::AlterClientQuotas;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const ACCESS: Access<AlterClientQuotasRequest> = Access::Cluster(Operation::AlterConfigs);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(cx: &Context<'_>, request: AlterClientQuotasRequest) -> Reply<AlterClientQuotasResponse> {
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            let entries = request.entries.iter().map(wanted).collect();
            match broker.alter_client_quotas(entries, request.validate_only, super::TIMEOUT_MS).await {
                Ok(results) => answer(results.into_iter()),
                Err(refusal) => refused(&request, &refusal),
            }
        })
    }

    fn refuse(request: &AlterClientQuotasRequest, code: ErrorCode) -> AlterClientQuotasResponse {
        refused(request, &Refusal { code, message: None })
    }
}

fn wanted(entry: &Asked) -> AlterQuotas {
    let part = |part: &crate::protocol::message::alter_client_quotas_request::EntityData| {
        (part.entity_type.to_string(), part.entity_name.as_ref().map(ToString::to_string))
    };
    let ops = entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value)));
    AlterQuotas { entity: entry.entity.iter().map(part).collect(), ops: ops.collect() }
}

fn refused(request: &AlterClientQuotasRequest, refusal: &Refusal) -> AlterClientQuotasResponse {
    answer(request.entries.iter().map(|entry| (wanted(entry).entity, Err(refusal.clone()))))
}

fn answer(results: impl Iterator<Item = AlteredQuotas>) -> AlterClientQuotasResponse {
    let entries = results.map(|(entity, result)| {
        let entity = entity.into_iter().map(|(entity_type, name)| {
            EntityData::default()
                .with_entity_type(StrBytes::from_string(entity_type))
                .with_entity_name(name.map(StrBytes::from_string))
        });
        let entry = EntryData::default().with_entity(entity.collect()).with_error_message(None);
        match result {
            Ok(()) => entry,
            Err(refusal) => {
                entry.with_error_code(refusal.code.code()).with_error_message(refusal.message.map(Into::into))
            }
        }
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}
