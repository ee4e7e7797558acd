//! DescribeConfigs (32), v1–4: the settings of topics, brokers, groups and client metrics, and where each comes from.
//! v1 synonyms (KIP-226) · v3 types and documentation (KIP-569) · v4 flexible
//!
//! Behaviour follows Kafka's `ConfigHelper.describeConfigs`. Documentation is in our own words.

use std::ops::RangeInclusive;

use super::ResourceType;
use crate::api::{Api, Context, Reply};
use crate::broker::Broker;
use crate::config::{Described, Dynamic, Roles, Synonym};
use crate::metadata::{ConfigResource, Image};
use crate::model::{ErrorCode, check_topic_name};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::describe_configs_request::DescribeConfigsResource;
use crate::protocol::message::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::protocol::message::{DescribeConfigsRequest, DescribeConfigsResponse, StrBytes};
use crate::security::{Access, Operation, ResourceType as Guarded};

/// See the head of this file.
pub struct DescribeConfigs;

/// What Kafka tells about a resource type that it does not know.
const UNKNOWN_TYPE: &str = "This most likely occurs because of a request being malformed by the client library or the \
                            message was sent to an incompatible broker. See the broker logs for more details.";

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    type Response = DescribeConfigsResponse;
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    const VERSIONS: RangeInclusive<i16> = 1..=4;
    const ACCESS: Access<DescribeConfigsRequest> = Access::Each(&[
        (Operation::DescribeConfigs, Guarded::Topic),
        (Operation::DescribeConfigs, Guarded::Cluster),
        (Operation::DescribeConfigs, Guarded::Group),
    ]);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);

    fn handle(cx: &Context<'_>, request: DescribeConfigsRequest) -> Reply<DescribeConfigsResponse> {
        let image = cx.broker.image();
        let results = request.resources.iter().map(|resource| {
            let result = resource_result(resource);
            match describe(cx.broker, &image, resource) {
                Err((code, message)) => result.with_error_code(code.code()).with_error_message(Some(message.into())),
                Ok(described) => result.with_configs(
                    described
                        .into_iter()
                        .filter(|described| is_asked(resource, &described.name))
                        .map(|described| entry(described, &request))
                        .collect(),
                ),
            }
        });
        Reply::Now(DescribeConfigsResponse::default().with_results(results.collect()))
    }

    fn refuse(request: &DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse {
        let results = request.resources.iter().map(|resource| resource_result(resource).with_error_code(code.code()));
        DescribeConfigsResponse::default().with_results(results.collect())
    }
}

/// Names the resource as the client did. The message is empty and not null, as Kafka's.
fn resource_result(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_error_message(Some(StrBytes::default()))
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

/// No list and an empty one both ask for everything.
fn is_asked(resource: &DescribeConfigsResource, name: &str) -> bool {
    match resource.configuration_keys.as_deref() {
        None | Some([]) => true,
        Some(keys) => keys.iter().any(|key| key.as_str() == name),
    }
}

fn describe(
    broker: &Broker,
    image: &Image,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Described>, (ErrorCode, String)> {
    let invalid = |message: String| Err((ErrorCode::InvalidRequest, message));
    let settings = broker.settings();
    let dynamic = Dynamic {
        broker: image.configs(&ConfigResource::Broker(broker.node_id())),
        cluster: image.configs(&ConfigResource::BrokerDefault),
    };
    let name = resource.resource_name.as_str();
    match ResourceType::of(resource.resource_type) {
        Some(ResourceType::Topic) => {
            if let Err(reason) = check_topic_name(name) {
                return Err((ErrorCode::InvalidTopicException, format!("Topic name is invalid: {reason}")));
            }
            if image.topic(name).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, String::new()));
            }
            Ok(settings.describe_topic(image.configs(&ConfigResource::Topic(name.to_owned())), dynamic))
        }
        Some(ResourceType::Broker) if name.is_empty() => Ok(settings.describe_all_brokers(dynamic)),
        Some(ResourceType::Broker) => {
            let own = broker.node_id().0;
            check_broker_id(name, own, &format!("expected {own} or empty string, but"))?;
            Ok(settings.describe_broker(dynamic))
        }
        Some(ResourceType::BrokerLogger) if name.is_empty() => invalid("Broker id must not be empty".to_owned()),
        Some(ResourceType::BrokerLogger) => {
            let own = broker.node_id().0;
            check_broker_id(name, own, &format!("expected {own} but"))?;
            Ok(Described::loggers(broker.loggers()))
        }
        Some(ResourceType::ClientMetrics) if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty".to_owned())
        }
        Some(ResourceType::ClientMetrics) => {
            Ok(settings.describe_client_metrics(image.configs(&ConfigResource::ClientMetrics(name.to_owned()))))
        }
        Some(ResourceType::Group) if name.is_empty() => invalid("Group name must not be empty".to_owned()),
        Some(ResourceType::Group) => {
            Ok(settings.describe_group(image.configs(&ConfigResource::Group(name.to_owned())), dynamic))
        }
        None => invalid(UNKNOWN_TYPE.to_owned()),
    }
}

fn check_broker_id(name: &str, own: i32, expected: &str) -> Result<(), (ErrorCode, String)> {
    let message = match name.parse::<i32>() {
        Ok(id) if id == own => return Ok(()),
        Ok(_) => format!("Unexpected broker id, {expected} received {name}"),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err((ErrorCode::InvalidRequest, message))
}

fn entry(described: Described, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let is_sensitive = described.is_sensitive();
    // A logger's is empty and not null, asked for or not, as Kafka's.
    let is_shown = request.include_documentation || described.is_logger();
    let documentation = if is_shown { described.documentation() } else { None };
    let synonyms = if request.include_synonyms { described.synonyms } else { Vec::new() };
    DescribeConfigsResourceResult::default()
        .with_name(described.name.into())
        .with_value(described.value.map(StrBytes::from))
        .with_read_only(described.is_read_only)
        .with_config_source(described.source as i8)
        .with_is_sensitive(is_sensitive)
        .with_synonyms(synonyms.into_iter().map(synonym_entry).collect())
        .with_config_type(described.key.map_or(0, |key| key.value_type as i8))
        .with_documentation(documentation.map(StrBytes::from))
}

fn synonym_entry(synonym: Synonym) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(synonym.name.into())
        .with_value(synonym.value.map(StrBytes::from))
        .with_source(synonym.source as i8)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::{Overrides, Settings};

    #[rstest]
    #[case("1", "")]
    #[case("7", "Unexpected broker id, expected 1 or empty string, but received 7")]
    #[case("abc", "Broker id must be an integer, but it is: abc")]
    #[case("2147483648", "Broker id must be an integer, but it is: 2147483648")]
    fn only_this_broker_is_described(#[case] name: &str, #[case] refusal: &str) {
        let checked = check_broker_id(name, 1, "expected 1 or empty string, but");
        assert_eq!(checked.map_err(|(_, message)| message).err().unwrap_or_default(), refusal);
    }

    #[rstest]
    #[case(None, true)]
    #[case(Some(vec![]), true)]
    #[case(Some(vec!["retention.ms"]), true)]
    #[case(Some(vec!["segment.ms"]), false)]
    fn no_list_of_names_asks_for_all(#[case] keys: Option<Vec<&'static str>>, #[case] asked: bool) {
        let keys = keys.map(|keys| keys.into_iter().map(StrBytes::from_static_str).collect());
        let resource = DescribeConfigsResource::default().with_configuration_keys(keys);
        assert_eq!(is_asked(&resource, "retention.ms"), asked);
    }

    #[test]
    fn synonyms_and_documentation_come_when_asked_for() {
        let described = || {
            let all = Settings::default().describe_topic(&Overrides::new(), Dynamic::none());
            all.into_iter().find(|described| described.name == "cleanup.policy").expect("a topic setting")
        };
        let plain = entry(described(), &DescribeConfigsRequest::default());
        assert_eq!(
            (plain.synonyms.len(), plain.documentation, plain.config_type, plain.config_source),
            (0, None, 7, 5)
        );
        let request = DescribeConfigsRequest::default().with_include_synonyms(true).with_include_documentation(true);
        let full = entry(described(), &request);
        assert_eq!(full.synonyms[0].name.as_str(), "log.cleanup.policy");
        assert!(full.documentation.is_some_and(|text| text.ends_with('.')));
    }
}
