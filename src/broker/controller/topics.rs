//! Topics: those that clients ask for, and those that the broker makes by itself.

use std::sync::Arc;

use super::{new_seed, options, replication_factor};
use crate::broker::Broker;
use crate::broker::quotas::QuotaClient;
use crate::config::Settings;
use crate::controller::{
    self, CreatePartitions, CreateTopic, Created, Decision, DeletedTopic, Mutations, Refusal, TopicSelector,
};
use crate::io::random;
use crate::metadata::Image;
use crate::model::{ErrorCode, TopicId};

/// How long a broker waits for topics that it creates by itself, in ms (`AutoTopicCreationManager` uses the request timeout).
const AUTO_CREATE_TIMEOUT_MS: i32 = 30_000;

/// The answer to one topic that is to have more partitions.
pub type Grown = (String, Result<(), Refusal>);

impl Broker {
    /// Decides on topics to create, and creates them unless `validate_only`; also how long the client is to be held back, in
    /// ms. Error for the whole request: REQUEST_TIMED_OUT, where the topics may still come to be; NOT_CONTROLLER.
    pub async fn create_topics(
        self: &Arc<Broker>,
        client: QuotaClient,
        topics: Vec<CreateTopic>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<(Vec<Created>, u64), Refusal> {
        let options = options(self.settings());
        let decide = move |image: &Image, mutations: &mut Mutations| {
            let mut decision = controller::create_topics(image, &options, new_seed(), &topics, mutations);
            if validate_only {
                decision.records.clear();
            }
            decision
        };
        self.decide_within_quota(client, timeout_ms, decide).await
    }

    /// The answer to a DeleteTopics request that deletes nothing, as far as this node's image knows; `None` when it deletes something.
    pub fn deletes_nothing(&self, topics: &[TopicSelector]) -> Option<Vec<DeletedTopic>> {
        let nobodys = &mut Mutations::unlimited();
        let decision = controller::delete_topics(&self.image(), &options(self.settings()), topics, nobodys);
        decision.records.is_empty().then_some(decision.answer)
    }

    /// As [`Broker::create_topics`], for topics to delete.
    pub async fn delete_topics(
        self: &Arc<Broker>,
        client: QuotaClient,
        topics: Vec<TopicSelector>,
        timeout_ms: i32,
    ) -> Result<(Vec<DeletedTopic>, u64), Refusal> {
        let options = options(self.settings());
        let decide = move |image: &Image, mutations: &mut Mutations| {
            controller::delete_topics(image, &options, &topics, mutations)
        };
        self.decide_within_quota(client, timeout_ms, decide).await
    }

    /// Adds partitions to topics: one answer for each, unless the whole request fails as in [`Broker::create_topics`].
    pub async fn create_partitions(
        self: &Arc<Broker>,
        client: QuotaClient,
        topics: Vec<CreatePartitions>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<(Vec<Grown>, u64), Refusal> {
        let seed = random::seed();
        let decide = move |image: &Image, mutations: &mut Mutations| {
            let mut decision = controller::create_partitions(image, seed, &topics, mutations);
            if validate_only {
                decision.records.clear();
            }
            decision
        };
        self.decide_within_quota(client, timeout_ms, decide).await
    }

    /// A decision that a client's quota of mutations bounds (KIP-599).
    async fn decide_within_quota<T: Send + 'static>(
        self: &Arc<Broker>,
        client: QuotaClient,
        timeout_ms: i32,
        decide: impl FnOnce(&Image, &mut Mutations) -> Decision<T> + Send + 'static,
    ) -> Result<(T, u64), Refusal> {
        let decide = move |broker: &Broker, image: &Image| {
            let mut mutations = broker.quotas().mutations(&client, broker.now());
            let Decision { records, answer } = decide(image, &mut mutations);
            let throttle_ms = broker.quotas().settle(&client, &mutations, broker.now());
            Ok(Decision { records, answer: (answer, throttle_ms) })
        };
        self.decide_or_refuse(timeout_ms, decide, |_, _, _| ()).await
    }

    /// Creates topics that a client or a coordinator needs: with the broker's defaults, and the broker's own topics with the
    /// settings and the replicas that Kafka gives them, or as many as there are brokers. Returns when they have leaders.
    /// A name whose topic is there already is granted.
    pub async fn auto_create(self: &Arc<Broker>, names: &[String]) -> Vec<(String, Result<TopicId, Refusal>)> {
        let topics: Vec<CreateTopic> = names.iter().map(|name| automatic_topic(self.settings(), name)).collect();
        let created = match self.is_active_controller() {
            true => {
                let created = self.create_topics(QuotaClient::default(), topics, false, AUTO_CREATE_TIMEOUT_MS).await;
                let id = |(name, result): Created| (name, result.map(|created| created.id));
                created.map(|(created, _)| created.into_iter().map(id).collect())
            }
            false => self.create_topics_elsewhere(&topics, false, AUTO_CREATE_TIMEOUT_MS).await,
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
