//! What this broker itself wants of a controller that is another node, and that travels as a client's request would: topics
//! that it creates for its clients.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::Broker;
use crate::controller::{CreateTopic, Refusal};
use crate::model::{ErrorCode, TopicId};
use crate::protocol::api_key::ApiKey;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::protocol::message::{self, CreateTopicsRequest, CreateTopicsResponse, RequestMessage, StrBytes, TopicName};
use crate::security::Principal;

/// The version of CreateTopics that travels, and the bytes of the header of its answer.
const VERSION: i16 = 7;
const HEADER_BYTES: usize = 5;

impl Broker {
    /// Has the active controller create topics; returns when this node's image holds them. Error for the whole request:
    /// REQUEST_TIMED_OUT.
    pub(super) async fn create_topics_elsewhere(
        self: &Arc<Broker>,
        topics: &[CreateTopic],
        timeout_ms: i32,
    ) -> Result<Vec<(String, Result<TopicId, Refusal>)>, Refusal> {
        let asked = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(|topic| self.creatable(topic)).collect())
            .with_timeout_ms(timeout_ms);
        let client_id = Some(StrBytes::from_string(format!("broker-{}", self.node_id())));
        let mut request = BytesMut::new();
        let header =
            RequestHeader { api_key: ApiKey::CreateTopics, api_version: VERSION, correlation_id: 0, client_id };
        header.write(&mut request);
        asked.write(&mut request, VERSION).map_err(|error| server_error(error.to_string()))?;
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default());
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let answered = self.forward(request.freeze(), &Principal::anonymous(), own, timeout).await;
        let answer = answered.map_err(|code| Refusal { code, message: None })?;
        if answer.len() < HEADER_BYTES {
            return Err(server_error("the controller's answer breaks off".to_owned()));
        }
        let response = message::decode_response::<CreateTopicsResponse>(VERSION, answer.slice(HEADER_BYTES..));
        let response = response.map_err(|error| server_error(error.to_string()))?;
        let created = response.topics.into_iter().map(|topic| {
            let result = match ErrorCode::from(topic.error_code) {
                ErrorCode::None => Ok(TopicId(topic.topic_id)),
                code => Err(Refusal { code, message: topic.error_message.map(|message| message.to_string()) }),
            };
            (topic.name.to_string(), result)
        });
        Ok(created.collect())
    }

    fn creatable(&self, topic: &CreateTopic) -> CreatableTopic {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let configs = topic.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(value.as_deref().map(text))
        });
        // The request cannot say "or as many as there are": the same is worked out here.
        let expected = super::controller::options(self.settings()).brokers_expected;
        let most = i16::try_from(self.image().brokers().count().max(expected)).unwrap_or(i16::MAX);
        let factor = match topic.take_what_there_is && topic.replication_factor > 0 {
            true => topic.replication_factor.min(most),
            false => topic.replication_factor,
        };
        CreatableTopic::default()
            .with_name(TopicName(text(&topic.name)))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(factor)
            .with_configs(configs.collect())
    }
}

fn server_error(message: String) -> Refusal {
    Refusal::new(ErrorCode::UnknownServerError, message)
}
