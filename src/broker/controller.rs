//! Where decisions become true: one after the other is decided on the newest image, committed, and only then answered.
//!
//! Invariant: between a decision and the image that holds its records nothing else is decided, also when the client has
//! stopped waiting. Two requests for one topic name can so never both be granted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use super::Broker;
use crate::config::Settings;
use crate::controller::{
    self, AlterConfigs, ConfigOp, CreateTopic, Created, Decision, DeletedTopic, Options, Refusal, TopicSelector,
};
use crate::io::random;
use crate::metadata::{Image, Record};
use crate::model::{ErrorCode, TopicId};
use crate::quorum::QuorumError;

/// How long a broker waits for topics that it creates by itself, in ms (`AutoTopicCreationManager` uses the request timeout).
const AUTO_CREATE_TIMEOUT_MS: i32 = 30_000;

/// Held from a decision until its records are applied.
#[derive(Default)]
pub struct Deciding(Arc<Mutex<()>>);

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

    /// Changes settings: one answer for each resource, in the order of the request.
    pub async fn incremental_alter_configs(
        self: &Arc<Broker>,
        requests: Vec<AlterConfigs<ConfigOp>>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        let asked = self.node_id();
        let decide = move |image: &Image| {
            let mut decision = controller::incremental_alter_configs(image, asked, &requests);
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
        let topics = names.iter().map(|name| automatic_topic(self.settings(), name)).collect();
        let created = match self.create_topics(topics, false, AUTO_CREATE_TIMEOUT_MS).await {
            Ok(created) => created,
            Err(refusal) => return names.iter().map(|name| (name.clone(), Err(refusal.clone()))).collect(),
        };
        let image = self.image();
        let granted = |(name, result): Created| {
            let result = match (result, image.topic(&name)) {
                (Err(refusal), Some(topic)) if refusal.code == ErrorCode::TopicAlreadyExists => Ok(topic.id),
                (result, _) => result.map(|created| created.id),
            };
            (name, result)
        };
        created.into_iter().map(granted).collect()
    }

    /// Decides, commits, answers. A timeout of 0 or less is over before it began, as in Kafka: nothing is done.
    async fn decide<T: Send + 'static>(
        self: &Arc<Broker>,
        timeout_ms: i32,
        decide: impl FnOnce(&Image) -> Decision<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let timed_out = Refusal { code: ErrorCode::RequestTimedOut, message: None };
        let Ok(timeout_ms @ 1..) = u64::try_from(timeout_ms) else { return Err(timed_out) };
        let broker = Arc::clone(self);
        let deciding = Arc::clone(&self.deciding.0);
        // A task of its own: it goes on, and keeps the lock, when nobody waits for it any more.
        let task = tokio::spawn(async move {
            let guard = deciding.lock_owned().await;
            let decision = decide(&broker.image());
            broker.commit(guard, decision.records).await.map(|()| decision.answer)
        });
        match tokio::time::timeout(Duration::from_millis(timeout_ms), task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panicked)) => {
                tracing::error!(%panicked, "a decision of the controller failed");
                Err(Refusal { code: ErrorCode::UnknownServerError, message: None })
            }
            Err(_) => Err(timed_out),
        }
    }

    async fn commit(&self, _deciding: OwnedMutexGuard<()>, records: Vec<Record>) -> Result<(), Refusal> {
        if records.is_empty() {
            return Ok(());
        }
        let code = match self.quorum().submit(records).await {
            Ok(_) => return Ok(()),
            Err(QuorumError::NotLeader(_)) => ErrorCode::NotController,
            Err(QuorumError::TooLarge) => ErrorCode::RecordListTooLarge,
            Err(QuorumError::Stopped(reason)) => {
                tracing::error!(%reason, "metadata cannot be changed");
                ErrorCode::RequestTimedOut
            }
        };
        Err(Refusal { code, message: None })
    }
}

fn options(settings: &Settings) -> Options {
    Options {
        default_partitions: settings.get_i32("num.partitions"),
        default_replication_factor: replication_factor(settings, "default.replication.factor"),
        delete_topic_enable: settings.get_bool("delete.topic.enable"),
    }
}

fn replication_factor(settings: &Settings, name: &str) -> i16 {
    i16::try_from(settings.get_i32(name)).expect("a setting of type short")
}

/// Chance for one request. Topic ids begin with it, and a `-` in front would look like a flag to Kafka's tools
/// (`Uuid.randomUuid`).
fn new_seed() -> Uuid {
    loop {
        let seed = random::uuid();
        if !TopicId(seed).to_string().starts_with('-') {
            return seed;
        }
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
