//! Topics: those that clients ask for, and those that the broker makes by itself.

use std::sync::Arc;

use super::{new_seed, options, replication_factor};
use crate::broker::Broker;
use crate::config::Settings;
use crate::controller::{self, CreatePartitions, CreateTopic, Created, DeletedTopic, Refusal, TopicSelector};
use crate::io::random;
use crate::metadata::Image;
use crate::model::{ErrorCode, TopicId};

/// How long a broker waits for topics that it creates by itself, in ms (`AutoTopicCreationManager` uses the request timeout).
const AUTO_CREATE_TIMEOUT_MS: i32 = 30_000;

impl Broker {
    /// Decides on topics to create, and creates them unless `validate_only`. Error for the whole request:
    /// REQUEST_TIMED_OUT, where the topics may still come to be; NOT_CONTROLLER.
    pub async fn create_topics(
        self: &Arc<Broker>,
        topics: Vec<CreateTopic>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<Created>, Refusal> {
        let options = options(self.settings());
        let decide = move |image: &Image| {
            let mut decision = controller::create_topics(image, &options, new_seed(), &topics);
            if validate_only {
                decision.records.clear();
            }
            decision
        };
        self.decide(timeout_ms, decide).await
    }

    /// As [`Broker::create_topics`], for topics to delete.
    pub async fn delete_topics(
        self: &Arc<Broker>,
        topics: Vec<TopicSelector>,
        timeout_ms: i32,
    ) -> Result<Vec<DeletedTopic>, Refusal> {
        let options = options(self.settings());
        self.decide(timeout_ms, move |image| controller::delete_topics(image, &options, &topics)).await
    }

    /// Adds partitions to topics: one answer for each, unless the whole request fails as in [`Broker::create_topics`].
    pub async fn create_partitions(
        self: &Arc<Broker>,
        topics: Vec<CreatePartitions>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<(String, Result<(), Refusal>)>, Refusal> {
        let seed = random::seed();
        let decide = move |image: &Image| {
            let mut decision = controller::create_partitions(image, seed, &topics);
            if validate_only {
                decision.records.clear();
            }
            decision
        };
        self.decide(timeout_ms, decide).await
    }

    /// Creates topics that a client or a coordinator needs: with the broker's defaults, and the broker's own topics with the
    /// settings and the replicas that Kafka gives them, or as many as there are brokers. Returns when they have leaders.
    /// A name whose topic is there already is granted.
    pub async fn auto_create(self: &Arc<Broker>, names: &[String]) -> Vec<(String, Result<TopicId, Refusal>)> {
        let topics: Vec<CreateTopic> = names.iter().map(|name| automatic_topic(self.settings(), name)).collect();
        let created = match self.is_active_controller() {
            true => {
                let created = self.create_topics(topics, false, AUTO_CREATE_TIMEOUT_MS).await;
                let id = |(name, result): Created| (name, result.map(|created| created.id));
                created.map(|created| created.into_iter().map(id).collect())
            }
            false => self.create_topics_elsewhere(&topics, AUTO_CREATE_TIMEOUT_MS).await,
        };
        let created: Vec<_> = match created {
            Ok(created) => created,
            Err(refusal) => return names.iter().map(|name| (name.clone(), Err(refusal.clone()))).collect(),
        };
        let image = self.image();
        let granted = |(name, result): (String, Result<TopicId, Refusal>)| {
            let result = match (result, image.topic(&name)) {
                (Err(refusal), Some(topic)) if refusal.code == ErrorCode::TopicAlreadyExists => Ok(topic.id),
                (result, _) => result,
            };
            (name, result)
        };
        created.into_iter().map(granted).collect()
    }
}

/// A topic that nobody has described. Source: `DefaultAutoTopicCreationManager.creatableTopic`,
/// `GroupCoordinatorService.groupMetadataTopicConfigs`, `TransactionCoordinator.transactionStateTopicConfigs`.
fn automatic_topic(settings: &Settings, name: &str) -> CreateTopic {
    let configs = |configs: &[(&str, &str)]| {
        configs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    };
    let plain = CreateTopic {
        name: name.to_owned(),
        partitions: -1,
        replication_factor: -1,
        take_what_there_is: crate::model::is_internal_topic(name),
        ..CreateTopic::default()
    };
    match name {
        "__consumer_offsets" => CreateTopic {
            partitions: settings.get_i32("offsets.topic.num.partitions"),
            replication_factor: replication_factor(settings, "offsets.topic.replication.factor"),
            configs: configs(&[
                ("cleanup.policy", "compact"),
                ("compression.type", "producer"),
                ("segment.bytes", settings.get_str("offsets.topic.segment.bytes")),
            ]),
            ..plain
        },
        "__transaction_state" => CreateTopic {
            partitions: settings.get_i32("transaction.state.log.num.partitions"),
            replication_factor: replication_factor(settings, "transaction.state.log.replication.factor"),
            configs: configs(&[
                ("cleanup.policy", "compact"),
                ("compression.type", "uncompressed"),
                ("min.insync.replicas", settings.get_str("transaction.state.log.min.isr")),
                ("segment.bytes", settings.get_str("transaction.state.log.segment.bytes")),
                ("unclean.leader.election.enable", "false"),
            ]),
            ..plain
        },
        _ => plain,
    }
}
