//! ListConfigResources (74), v0–1: what settings can be given to.
//! v0 client metrics subscriptions alone, under the name ListClientMetricsResources (KIP-714) · v1 every type (KIP-1142)

use std::ops::RangeInclusive;

use super::ResourceType;
use crate::api::{Api, Context, Reply};
use crate::metadata::{ConfigResource as Configured, Image};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::list_config_resources_response::ConfigResource;
use crate::protocol::message::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct ListConfigResources;

/// The types in the order of Kafka's answer.
const ORDER: [ResourceType; 5] = [
    ResourceType::Group,
    ResourceType::ClientMetrics,
    ResourceType::BrokerLogger,
    ResourceType::Broker,
    ResourceType::Topic,
];

impl Api for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    type Response = ListConfigResourcesResponse;
    const KEY: ApiKey = ApiKey::ListConfigResources;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const ACCESS: Access<ListConfigResourcesRequest> = Access::Cluster(Operation::DescribeConfigs);

    fn handle(cx: &Context<'_>, request: ListConfigResourcesRequest) -> Reply<ListConfigResourcesResponse> {
        if request.resource_types.iter().any(|code| ResourceType::of(*code).is_none()) {
            return Reply::Now(Self::refuse(&request, ErrorCode::UnsupportedVersion));
        }
        let is_asked = |resource: &ResourceType| match cx.version {
            0 => *resource == ResourceType::ClientMetrics,
            _ => request.resource_types.is_empty() || request.resource_types.contains(&(*resource as i8)),
        };
        let image = cx.broker.image();
        let resources = ORDER.into_iter().filter(is_asked).flat_map(|resource| {
            let entry = move |name: String| {
                ConfigResource::default().with_resource_name(name.into()).with_resource_type(resource as i8)
            };
            names(&image, resource).into_iter().map(entry)
        });
        Reply::Now(ListConfigResourcesResponse::default().with_config_resources(resources.collect()))
    }

    fn refuse(_request: &ListConfigResourcesRequest, code: ErrorCode) -> ListConfigResourcesResponse {
        ListConfigResourcesResponse::default().with_error_code(code.code())
    }
}

fn names(image: &Image, resource: ResourceType) -> Vec<String> {
    match resource {
        ResourceType::Topic => image.topics().map(|topic| topic.name.to_string()).collect(),
        ResourceType::Broker | ResourceType::BrokerLogger => {
            image.brokers().map(|broker| broker.id.to_string()).collect()
        }
        ResourceType::Group => configured(image, |configured| match configured {
            Configured::Group(name) => Some(name),
            _ => None,
        }),
        ResourceType::ClientMetrics => configured(image, |configured| match configured {
            Configured::ClientMetrics(name) => Some(name),
            _ => None,
        }),
    }
}

fn configured(image: &Image, name: impl Fn(&Configured) -> Option<&String>) -> Vec<String> {
    image.configured().filter_map(|(resource, _)| name(resource).cloned()).collect()
}
