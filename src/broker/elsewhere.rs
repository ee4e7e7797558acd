//! What this broker itself wants of the controller, and that travels as a client's request would: topics that it creates for
//! its clients, and what is to be there at the start.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::Broker;
use crate::controller::{CreateTopic, Refusal};
use crate::model::{ErrorCode, TopicId};
use crate::protocol::header::RequestHeader;
use crate::protocol::message::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::protocol::message::{self, CreateTopicsRequest, RequestMessage, StrBytes, TopicName};
use crate::security::Principal;

/// The version of CreateTopics that travels.
const VERSION: i16 = 7;

impl Broker {
    /// Has the active controller create topics, or only say whether it would; returns when this node's image holds them. Error for
    /// the whole request: REQUEST_TIMED_OUT.
    pub(super) async fn create_topics_elsewhere(
        self: &Arc<Broker>,
        topics: &[CreateTopic],
        validates_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<(String, Result<TopicId, Refusal>)>, Refusal> {
        let asked = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(|topic| self.creatable(topic)).collect())
            .with_validate_only(validates_only)
            .with_timeout_ms(timeout_ms);
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default());
        let response = self.ask_as_client(&asked, VERSION, timeout).await?;
        let created = response.topics.into_iter().map(|topic| {
            let result = match ErrorCode::from(topic.error_code) {
                ErrorCode::None => Ok(TopicId(topic.topic_id)),
                code => Err(Refusal { code, message: topic.error_message.map(|message| message.to_string()) }),
            };
            (topic.name.to_string(), result)
        });
        Ok(created.collect())
    }

    /// Asks the active controller, this node or another, as if a client had asked this broker for something that is forwarded.
    /// When the answer comes, this node's image holds what was done. Error for the whole request: REQUEST_TIMED_OUT.
    pub(super) async fn ask_as_client<R: RequestMessage>(
        self: &Arc<Broker>,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, Refusal> {
        let client_id = Some(StrBytes::from_string(format!("broker-{}", self.node_id())));
        let mut frame = BytesMut::new();
        RequestHeader { api_key: R::KEY, api_version: version, correlation_id: 0, client_id }.write(&mut frame);
        request.write(&mut frame, version).map_err(|error| server_error(error.to_string()))?;
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let answered = self.forward(frame.freeze(), &Principal::anonymous(), own, timeout).await;
        let answer = answered.map_err(|code| Refusal { code, message: None })?;
        let header_bytes = if R::KEY.response_header_version(version) >= 1 { 5 } else { 4 };
        if answer.len() < header_bytes {
            return Err(server_error("the controller's answer breaks off".to_owned()));
        }
        let response = message::decode_response::<R::Response>(version, answer.slice(header_bytes..));
        response.map_err(|error| server_error(error.to_string()))
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
