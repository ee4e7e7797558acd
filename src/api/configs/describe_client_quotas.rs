//! DescribeClientQuotas (48), v0–1: the quotas of users, clients and addresses that match a filter (KIP-546).
//! v1 flexible
//!
//! A filter names types and how each must match; types that it does not name may be there too, unless it is strict. Source:
//! `ClientQuotasImage.describe`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::api::{Api, Context, Reply};
use crate::metadata::Image;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_client_quotas_request::ComponentData;
use crate::protocol::message::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use crate::protocol::message::{DescribeClientQuotasRequest, DescribeClientQuotasResponse, StrBytes};
use crate::quota::{Amount, Entity, EntityName, Key};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct DescribeClientQuotas;

impl Api for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    type Response = DescribeClientQuotasResponse;
    const KEY: ApiKey = ApiKey::DescribeClientQuotas;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const ACCESS: Access<DescribeClientQuotasRequest> = Access::Cluster(Operation::DescribeConfigs);

    fn handle(cx: &Context<'_>, request: DescribeClientQuotasRequest) -> Reply<DescribeClientQuotasResponse> {
        Reply::Now(match describe(&cx.broker.image(), &request) {
            Ok(entries) => DescribeClientQuotasResponse::default()
                .with_error_message(Some(StrBytes::default()))
                .with_entries(Some(entries)),
            Err((code, message)) => refused(code, Some(message)),
        })
    }

    fn refuse(_: &DescribeClientQuotasRequest, code: ErrorCode) -> DescribeClientQuotasResponse {
        refused(code, None)
    }
}

fn refused(code: ErrorCode, message: Option<String>) -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default()
        .with_error_code(code.code())
        .with_error_message(message.map(StrBytes::from_string))
        .with_entries(None)
}

/// How one type must match.
enum Match {
    Exactly(EntityName),
    Any,
}

fn describe(image: &Image, request: &DescribeClientQuotasRequest) -> Result<Vec<EntryData>, (ErrorCode, String)> {
    let filter = filter(&request.components)?;
    let matches = |entity: &Entity| {
        let parts: BTreeMap<&str, &EntityName> = entity.parts().collect();
        let all = filter.iter().all(|(entity_type, wanted)| match (parts.get(entity_type.as_str()), wanted) {
            (None, _) => false,
            (Some(_), Match::Any) => true,
            (Some(name), Match::Exactly(wanted)) => **name == *wanted,
        });
        all && (!request.strict || parts.len() == filter.len())
    };
    // A strict filter without a type matches nothing: there is no quota for nobody. The message is empty and not null.
    Ok(image
        .quotas()
        .iter()
        .filter(|(entity, _)| matches(entity))
        .map(|(entity, quotas)| entry(entity, quotas))
        .collect())
}

fn filter(components: &[ComponentData]) -> Result<BTreeMap<String, Match>, (ErrorCode, String)> {
    let invalid = |message: String| Err((ErrorCode::InvalidRequest, message));
    let mut filter = BTreeMap::new();
    for component in components {
        let entity_type = component.entity_type.to_string();
        if entity_type.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if filter.contains_key(&entity_type) {
            return invalid(format!("Entity type {entity_type} cannot appear more than once in the filter."));
        }
        if !Entity::TYPES.contains(&entity_type.as_str()) {
            let message = format!("Unsupported entity type {entity_type}");
            return Err((ErrorCode::UnsupportedVersion, message));
        }
        let name = component._match.as_deref();
        let wanted = match (component.match_type, name) {
            (0, None) => {
                return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned());
            }
            (0, Some(name)) => Match::Exactly(EntityName::Named(name.to_owned())),
            (1, Some(_)) => {
                return invalid("Request specified MATCH_TYPE_DEFAULT, but also specified a match string.".to_owned());
            }
            (1, None) => Match::Exactly(EntityName::Default),
            (2, Some(_)) => {
                return invalid(
                    "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.".to_owned(),
                );
            }
            (2, None) => Match::Any,
            (other, _) => return invalid(format!("Unknown match type {other}")),
        };
        filter.insert(entity_type, wanted);
    }
    let named = |entity_type: &str| filter.contains_key(entity_type);
    if named("ip") && (named("user") || named("client-id")) {
        let message = "Invalid entity filter component combination. IP filter component should not be used with user or \
                       clientId filter component.";
        return invalid(message.to_owned());
    }
    Ok(filter)
}

fn entry(entity: &Entity, quotas: &BTreeMap<Key, Amount>) -> EntryData {
    let parts = entity.parts().map(|(entity_type, name)| {
        EntityData::default()
            .with_entity_type(StrBytes::from_static_str(entity_type))
            .with_entity_name(name.name().map(|name| StrBytes::from_string(name.to_owned())))
    });
    let values = quotas.iter().map(|(key, amount)| {
        ValueData::default().with_key(StrBytes::from_static_str(key.name())).with_value(amount.value())
    });
    EntryData::default().with_entity(parts.collect()).with_values(values.collect())
}
