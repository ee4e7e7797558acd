//! What is there before clients are served: the topics and cluster-wide settings that `create.topics` and `init.dir` name.
//!
//! What exists stays as it is, so that a restart changes nothing that an operator has changed since. A topic whose replicas need
//! more brokers than there are is waited for: in a cluster that starts, they are on their way. The controller is asked about all
//! of it before any of it is made: what it refuses for good ends the start, and leaves nothing behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Broker;
use super::start::StartError;
use crate::config::{Initial, InitialSetting, InitialTopic, Settings};
use crate::controller::{CreateTopic, Refusal};
use crate::io::clock;
use crate::io::disk::Disk;
use crate::metadata::ConfigResource;
use crate::model::ErrorCode;
use crate::protocol::message::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::protocol::message::{IncrementalAlterConfigsRequest, StrBytes};

/// The pause before what could not be created is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// How often it is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What one request to the controller may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// IncrementalAlterConfigs: its version here, the type of a broker, the operation that sets.
const ALTER_VERSION: i16 = 1;
const BROKER_RESOURCE: i8 = 4;
const SET: i8 = 0;

/// Reads what `create.topics` and the files of `init.dir` name. Errors: a file that cannot be read, and everything that is wrong
/// in one.
pub(super) fn read(settings: &Settings, disk: &dyn Disk) -> Result<Initial, StartError> {
    let mut files = Vec::new();
    if let Some(directory) = settings.get_text("init.dir") {
        let unreadable =
            |path: &Path, error: std::io::Error| StartError::Initial(format!("init.dir: {}: {error}", path.display()));
        let directory = Path::new(directory);
        let is_yaml = |name: &str| name.ends_with(".yaml") || name.ends_with(".yml");
        for entry in disk.read_dir(directory).map_err(|error| unreadable(directory, error))? {
            if entry.is_dir || !is_yaml(&entry.name) {
                continue;
            }
            let path = directory.join(&entry.name);
            let bytes = disk.read(&path).map_err(|error| unreadable(&path, error))?;
            let text =
                String::from_utf8(bytes).map_err(|_| unreadable(&path, std::io::ErrorKind::InvalidData.into()))?;
            files.push((path.display().to_string(), text));
        }
    }
    Initial::load(&settings.get_list("create.topics"), &files).map_err(|error| StartError::Initial(error.to_string()))
}

impl Broker {
    /// Creates what is missing; returns when all of it is there. Error: what never can be.
    pub(super) async fn create_initial(self: &Arc<Broker>, initial: &Initial) -> Result<(), StartError> {
        let mut speaks_at = clock::instant() + PATIENCE;
        loop {
            let in_the_way = match self.try_to_create(initial, true).await? {
                None => self.try_to_create(initial, false).await?,
                waits_for => waits_for,
            };
            let Some(reason) = in_the_way else { return Ok(()) };
            self.await_now(format!("what is to be there at the start: {reason}"));
            if clock::instant() >= speaks_at {
                speaks_at += PATIENCE;
                tracing::warn!(reason, "waiting to create what is to be there at the start");
            }
            sleep(RETRY).await;
        }
    }

    /// One attempt, or only the question whether it would succeed: `None` when everything is there, or else what was in the way
    /// and may not be for long.
    async fn try_to_create(
        self: &Arc<Broker>,
        initial: &Initial,
        validates_only: bool,
    ) -> Result<Option<String>, StartError> {
        let topics = self.create_missing(&initial.topics, validates_only).await?;
        Ok(self.set_for_all_brokers(&initial.brokers, validates_only).await?.or(topics))
    }

    /// The topics among these that are not there; the answer as in [`Broker::try_to_create`].
    async fn create_missing(
        self: &Arc<Broker>,
        topics: &[InitialTopic],
        validates_only: bool,
    ) -> Result<Option<String>, StartError> {
        let image = self.image();
        let missing: Vec<&InitialTopic> = topics.iter().filter(|topic| image.topic(&topic.name).is_none()).collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let topics: Vec<CreateTopic> = missing.iter().map(|topic| described(topic)).collect();
        let timeout_ms = i32::try_from(TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        let results = match self.create_topics_elsewhere(&topics, validates_only, timeout_ms).await {
            Ok(results) => results,
            Err(refusal) => return Ok(Some(shown(&refusal))),
        };
        let mut waits_for = None;
        for (name, result) in results {
            let Err(refusal) = result else { continue };
            let reason = format!("topic {name}: {}", shown(&refusal));
            if !may_pass(refusal.code) {
                let origin = missing.iter().find(|topic| topic.name == name).map(|topic| &topic.origin);
                let origin = origin.map(ToString::to_string).unwrap_or_default();
                return Err(StartError::Initial(format!("{origin}: {reason}")));
            }
            waits_for = Some(reason);
        }
        Ok(waits_for)
    }

    /// Sets what no operator has set for the whole cluster; the answer as in [`Broker::try_to_create`]. Each setting is asked about
    /// alone, so that the one that is refused can be named.
    async fn set_for_all_brokers(
        self: &Arc<Broker>,
        settings: &BTreeMap<String, InitialSetting>,
        validates_only: bool,
    ) -> Result<Option<String>, StartError> {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let image = self.image();
        let known = image.configs(&ConfigResource::BrokerDefault);
        for (name, setting) in settings.iter().filter(|(name, _)| !known.contains_key(*name)) {
            let set = AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(SET)
                .with_value(Some(text(&setting.value)));
            let resource = AlterConfigsResource::default()
                .with_resource_type(BROKER_RESOURCE)
                .with_resource_name(StrBytes::new())
                .with_configs(vec![set]);
            let request = IncrementalAlterConfigsRequest::default()
                .with_resources(vec![resource])
                .with_validate_only(validates_only);
            let answered = match self.ask_as_client(&request, ALTER_VERSION, TIMEOUT).await {
                Ok(answered) => answered,
                Err(refusal) => return Ok(Some(shown(&refusal))),
            };
            for response in answered.responses {
                let code = ErrorCode::from(response.error_code);
                if code == ErrorCode::None {
                    continue;
                }
                let refusal = Refusal { code, message: response.error_message.map(|message| message.to_string()) };
                let reason = format!("{name} of all brokers: {}", shown(&refusal));
                if !may_pass(code) {
                    return Err(StartError::Initial(format!("{}: {reason}", setting.origin)));
                }
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }
}

fn described(topic: &InitialTopic) -> CreateTopic {
    CreateTopic {
        name: topic.name.clone(),
        partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        configs: topic.configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect(),
        ..CreateTopic::default()
    }
}

/// Whether the same request may be granted later: another node has created the topic meanwhile, or brokers are still to come.
fn may_pass(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::TopicAlreadyExists | ErrorCode::InvalidReplicationFactor) || code.is_retriable()
}

fn shown(refusal: &Refusal) -> String {
    match &refusal.message {
        Some(message) => format!("{}: {message}", refusal.code),
        None => refusal.code.to_string(),
    }
}
