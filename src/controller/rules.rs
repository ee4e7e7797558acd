//! What the controller goes by for one topic: its settings, those of all brokers, and the controller's own, in that order.

use super::Options;
use crate::config::Durability;
use crate::metadata::{ConfigResource, Image};

/// The settings of a topic that decide who may lead it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicRules {
    /// `min.insync.replicas`; what counts for a partition is never more than its replicas.
    pub min_isr: usize,
    /// `unclean.leader.election.enable`.
    pub unclean_election: bool,
    /// Whether a replica's word counts only when it is on stable storage (`acks.durability`).
    pub durability: Durability,
}

impl TopicRules {
    /// The rules of one topic.
    pub fn of(image: &Image, options: &Options, topic: &str) -> TopicRules {
        let own = image.configs(&ConfigResource::Topic(topic.to_owned()));
        // Kafka asks the active controller's own broker settings too (`ConfigurationControlManager.getTopicConfig`).
        let broker = image.configs(&ConfigResource::Broker(image.controller_id()));
        let cluster = image.configs(&ConfigResource::BrokerDefault);
        let value = |name: &str| own.get(name).or_else(|| broker.get(name)).or_else(|| cluster.get(name));
        TopicRules {
            min_isr: value("min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(options.min_isr),
            unclean_election: value("unclean.leader.election.enable")
                .map_or(options.unclean_election, |value| value.eq_ignore_ascii_case("true")),
            durability: value("acks.durability").map_or(options.durability, |value| Durability::of(value)),
        }
    }
}
