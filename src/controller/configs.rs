//! Changing settings of topics, brokers, groups and client metrics.
//!
//! Kafka checks in two places: the broker that was asked (`ConfigAdminManager`: what the request may not say at all) and the
//! controller (`ConfigurationControlManager`, `ControllerConfigurationValidator`). Both are here, in that order.

use std::collections::{BTreeMap, BTreeSet};

use super::leadership;
use super::topics::EXCESSIVE_BATCH;
use super::{BATCH_PARTITIONS_MAX, Decision, Options, Refusal};
use crate::config::{self, BrokerLayers, ConfigError, Overrides, StartSettings, UpdateMode, ValueType};
use crate::metadata::{ConfigResource, Delta, Image, Record};
use crate::model::{BrokerId, ErrorCode, check_topic_name};

pub(super) const MIN_ISR: &str = "min.insync.replicas";

/// Kafka's `ConfigResource.Type`, as far as settings can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceType {
    Topic,
    Broker,
    ClientMetrics,
    Group,
}

/// A resource as a client names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceName {
    pub resource_type: ResourceType,
    /// A topic, a broker's number or nothing for all brokers, a group, a client metrics subscription.
    pub name: String,
}

/// What to do with one setting (`AlterConfigOp.OpType`). `None` is Kafka's null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOp {
    Set(Option<String>),
    Delete,
    /// Adds elements to a list, those that it has not yet.
    Append(Option<String>),
    /// Takes elements out of a list.
    Subtract(Option<String>),
}

/// Whom a client has asked to change settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A broker, which looks at the request before the controller does, and changes of all brokers itself alone.
    Broker(BrokerId),
    /// The controllers themselves, with their ids: they change every node that they know.
    Controllers(Vec<BrokerId>),
}

/// The changes asked of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs<Change> {
    pub resource: ResourceName,
    /// In the order of the request.
    pub changes: Vec<(String, Change)>,
}

/// Decides on IncrementalAlterConfigs: one answer for each resource, in the order of the request (KIP-339).
pub fn incremental_alter_configs(
    image: &Image,
    options: &Options,
    asked: &Asked,
    requests: &[AlterConfigs<ConfigOp>],
) -> Decision<Vec<Result<(), Refusal>>> {
    each(image, options, requests, |request| {
        check_request(asked, request, |op| match op {
            ConfigOp::Set(value) | ConfigOp::Append(value) | ConfigOp::Subtract(value) => value.is_none(),
            ConfigOp::Delete => false,
        })?;
        let resource = resource_of(image, asked, &request.resource)?;
        let old = image.configs(&resource);
        let mut new = old.clone();
        for (name, op) in &request.changes {
            apply_op(&resource, &mut new, name, op)?;
        }
        let named = request.changes.iter().map(|(name, _)| name.as_str());
        check_outcome(image, options, asked, &resource, &new)?;
        Ok(records_of(&resource, old, &new, named))
    })
}

/// Decides on the older AlterConfigs, which replaces all settings of a resource.
pub fn alter_configs(
    image: &Image,
    options: &Options,
    asked: &Asked,
    requests: &[AlterConfigs<Option<String>>],
) -> Decision<Vec<Result<(), Refusal>>> {
    each(image, options, requests, |request| {
        check_request(asked, request, Option::is_none)?;
        let resource = resource_of(image, asked, &request.resource)?;
        let old = image.configs(&resource);
        let value = |(name, value): &(String, Option<String>)| Some((name.clone(), value.clone()?));
        let new: Overrides = request.changes.iter().filter_map(value).collect();
        check_outcome(image, options, asked, &resource, &new)?;
        let named: BTreeSet<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
        Ok(records_of(&resource, old, &new, named.into_iter()))
    })
}

/// Decides resource by resource; one that is named twice is refused each time.
fn each<Change>(
    image: &Image,
    options: &Options,
    requests: &[AlterConfigs<Change>],
    decide: impl Fn(&AlterConfigs<Change>) -> Result<Vec<Record>, Refusal>,
) -> Decision<Vec<Result<(), Refusal>>> {
    let mut times: BTreeMap<&ResourceName, usize> = BTreeMap::new();
    for request in requests {
        *times.entry(&request.resource).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut answer = Vec::new();
    for request in requests {
        let decided = match times[&request.resource] {
            1 => decide(request),
            _ => Err(Refusal::new(ErrorCode::InvalidRequest, "Each resource must appear at most once.")),
        };
        answer.push(decided.map(|more| records.extend(more)));
    }
    if records.len() > BATCH_PARTITIONS_MAX {
        let refusal = Refusal::new(ErrorCode::PolicyViolation, EXCESSIVE_BATCH);
        let answer = answer.into_iter().map(|decided| decided.and(Err(refusal.clone()))).collect();
        return Decision { records: Vec::new(), answer };
    }
    let consequences = consequences(image, options, &records);
    records.extend(consequences);
    Decision { records, answer }
}

/// What changed settings mean for partitions: who is no longer eligible under another min ISR, and who may lead now that an
/// unclean election is allowed.
fn consequences(image: &Image, options: &Options, records: &[Record]) -> Vec<Record> {
    let is_changed = |wanted: &str| {
        records.iter().any(|record| matches!(record, Record::ConfigChanged { name, .. } if name == wanted))
    };
    let (min_isr, unclean) = (is_changed(MIN_ISR), is_changed("unclean.leader.election.enable"));
    if !min_isr && !unclean {
        return Vec::new();
    }
    let mut after = image.clone();
    let mut delta = Delta::default();
    records.iter().for_each(|record| after.apply(record, &mut delta));
    let mut more = Vec::new();
    if min_isr {
        more.extend(leadership::without_unsafe_elr(&after, options));
        more.iter().for_each(|record| after.apply(record, &mut delta));
    }
    if unclean {
        more.extend(leadership::elect_leaderless(&after, options));
    }
    more
}

/// What `ConfigAdminManager.preprocess` refuses without looking at the cluster. Kafka's controllers do not look at nulls, which they
/// take for deletions, nor at names that come twice, of which the last one counts; nor at names that a broker cannot change, which
/// it then does not.
fn check_request<Change>(
    asked: &Asked,
    request: &AlterConfigs<Change>,
    is_null: impl Fn(&Change) -> bool,
) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let is_broker = matches!(asked, Asked::Broker(_));
    let nulls: Vec<&str> =
        request.changes.iter().filter(|(_, change)| is_null(change)).map(|(name, _)| name.as_str()).collect();
    if is_broker && !nulls.is_empty() {
        return refuse(format!("Null value not supported for : {}", nulls.join(", ")));
    }
    let in_order = request.changes.iter().map(|(name, _)| name.as_str());
    let names: BTreeSet<&str> = in_order.clone().collect();
    if is_broker && names.len() < request.changes.len() {
        return refuse("Error due to duplicate config keys".into());
    }
    if request.resource.resource_type != ResourceType::Broker {
        return Ok(());
    }
    let mode_of = |name: &str| config::find_broker_key(name).map(|key| key.update_mode);
    let of_mode =
        |mode| names.iter().copied().filter(|name| mode_of(name) == Some(mode)).collect::<Vec<_>>().join(", ");
    let read_only: Vec<&str> = in_order.clone().filter(|name| mode_of(name) == Some(UpdateMode::ReadOnly)).collect();
    let read_only = read_only.join(", ");
    if !read_only.is_empty() {
        return refuse(format!("Cannot update these configs dynamically: [{read_only}]"));
    }
    config::check_listener_prefix(names.iter().copied())
        .map_err(|error| Refusal::new(ErrorCode::InvalidRequest, error.to_string()))?;
    let per_broker = of_mode(UpdateMode::PerBroker);
    if request.resource.name.is_empty() && !per_broker.is_empty() {
        return refuse(format!(
            "Cannot update these configs at default cluster level, broker id must be specified: [{per_broker}]"
        ));
    }
    Ok(())
}

fn resource_of(image: &Image, asked: &Asked, resource: &ResourceName) -> Result<ConfigResource, Refusal> {
    let refuse = |message: &str| Refusal::new(ErrorCode::InvalidRequest, message);
    let name = resource.name.as_str();
    match resource.resource_type {
        ResourceType::Topic if name.is_empty() => Err(refuse("Default topic resources are not allowed.")),
        ResourceType::Topic => {
            check_topic_name(name).map_err(|reason| {
                Refusal::new(ErrorCode::InvalidTopicException, format!("Topic name is invalid: {reason}"))
            })?;
            Ok(ConfigResource::Topic(name.to_owned()))
        }
        ResourceType::Broker if name.is_empty() => Ok(ConfigResource::BrokerDefault),
        ResourceType::Broker => broker_of(image, asked, name).map(ConfigResource::Broker),
        ResourceType::ClientMetrics if name.is_empty() => Err(refuse("Subscription name can't be empty")),
        ResourceType::ClientMetrics => Ok(ConfigResource::ClientMetrics(name.to_owned())),
        ResourceType::Group if name.is_empty() => Err(refuse("Default group resources are not allowed.")),
        ResourceType::Group => Ok(ConfigResource::Group(name.to_owned())),
    }
}

/// The broker of this number. Source: `ConfigAdminManager.validateResourceNameIsCurrentNodeId`; for controllers
/// `ControllerConfigurationValidator.validateBrokerName` and `QuorumController.ConfigResourceExistenceChecker`.
fn broker_of(image: &Image, asked: &Asked, name: &str) -> Result<BrokerId, Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let id = name.parse().map(BrokerId);
    match (asked, id) {
        (Asked::Broker(own), Ok(id)) if id == *own => Ok(id),
        (Asked::Broker(own), Ok(id)) => refuse(format!("Unexpected broker id, expected {own}, but received {id}")),
        (Asked::Broker(_), Err(_)) => refuse(format!("Node id must be an integer, but it is: {name}")),
        (Asked::Controllers(_), Err(_)) => refuse("Unable to parse broker name as a base 10 number.".into()),
        (Asked::Controllers(_), Ok(BrokerId(..0))) => refuse("Invalid negative broker ID.".into()),
        (Asked::Controllers(own), Ok(id)) if own.contains(&id) || image.broker(id).is_some() => Ok(id),
        (Asked::Controllers(_), Ok(id)) => {
            Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, format!("No node with id {id} found.")))
        }
    }
}

fn apply_op(resource: &ConfigResource, configs: &mut Overrides, name: &str, op: &ConfigOp) -> Result<(), Refusal> {
    match op {
        ConfigOp::Set(Some(value)) => _ = configs.insert(name.to_owned(), value.clone()),
        ConfigOp::Append(Some(added)) => {
            let mut list = list_value(resource, configs, name, "APPEND")?;
            for element in elements(added) {
                if !list.contains(&element) {
                    list.push(element);
                }
            }
            configs.insert(name.to_owned(), list.join(","));
        }
        ConfigOp::Subtract(Some(removed)) => {
            let mut list = list_value(resource, configs, name, "SUBTRACT")?;
            let removed = elements(removed);
            list.retain(|element| !removed.contains(element));
            configs.insert(name.to_owned(), list.join(","));
        }
        // A null value was refused before; it reads as a deletion, as in the records.
        ConfigOp::Delete | ConfigOp::Set(None) | ConfigOp::Append(None) | ConfigOp::Subtract(None) => {
            configs.remove(name);
        }
    }
    Ok(())
}

/// The list that a change starts from: what was set, else the default. Errors: the setting is no list, or a broker's that
/// nobody knows.
fn list_value(resource: &ConfigResource, configs: &Overrides, name: &str, verb: &str) -> Result<Vec<String>, Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    let key = match resource {
        ConfigResource::Topic(_) => config::find_topic_key(name),
        ConfigResource::Broker(_) | ConfigResource::BrokerDefault => match config::find_broker_key(name) {
            Some(key) => Some(key),
            None => return refuse(format!("Unknown config name: {name}")),
        },
        ConfigResource::Group(_) => config::find_group_key(name),
        // Kafka's controller does not know that some of these are lists.
        ConfigResource::ClientMetrics(_) => None,
    };
    match key {
        Some(key) if matches!(key.value_type, ValueType::List) => {
            Ok(elements(configs.get(name).map(String::as_str).or(key.default).unwrap_or("")))
        }
        _ => refuse(format!("Can't {verb} to key {name} because its type is not LIST.")),
    }
}

/// The elements of a list as they were written, spaces and all (`ConfigurationControlManager.getParts`).
fn elements(list: &str) -> Vec<String> {
    let mut elements: Vec<String> = list.split(',').map(str::to_owned).collect();
    // Java's `split` drops what is empty at the end.
    while elements.last().is_some_and(String::is_empty) {
        elements.pop();
    }
    elements
}

/// The longest value of a setting, in bytes: what a record of Kafka's can hold (`Short.MAX_VALUE`).
const VALUE_BYTES_MAX: usize = 32_767;

/// A request can hold no longer value; a list to which more and more is appended can grow beyond.
fn check_lengths(configs: &Overrides) -> Result<(), Refusal> {
    if configs.values().all(|value| value.len() <= VALUE_BYTES_MAX) {
        return Ok(());
    }
    let message = format!(
        "The configuration value cannot be added because it exceeds the maximum value size of {VALUE_BYTES_MAX} bytes."
    );
    Err(Refusal::new(ErrorCode::InvalidConfig, message))
}

/// Judges what the settings of the broker that is changed, or that was asked, would be. What it was started with is taken to be
/// what this controller was: Kafka's broker looks at its own.
fn check_together(
    image: &Image,
    start: &StartSettings,
    asked: &Asked,
    resource: &ConfigResource,
    configs: &Overrides,
) -> Result<(), ConfigError> {
    let own = match (resource, asked) {
        (ConfigResource::Broker(id), _) | (_, Asked::Broker(id)) => image.configs(&ConfigResource::Broker(*id)),
        // Nobody's in particular.
        (_, Asked::Controllers(_)) => image.configs(resource),
    };
    let all = image.configs(&ConfigResource::BrokerDefault);
    let before = BrokerLayers { own, all, start };
    let after = match resource {
        ConfigResource::Broker(_) => BrokerLayers { own: configs, ..before },
        _ => BrokerLayers { all: configs, ..before },
    };
    config::check_broker_change(before, after)
}

/// What the settings of the resource would be, all together. Source: `ControllerConfigurationValidator.validate`.
fn check_outcome(
    image: &Image,
    options: &Options,
    asked: &Asked,
    resource: &ConfigResource,
    configs: &Overrides,
) -> Result<(), Refusal> {
    check_lengths(configs)?;
    if matches!(resource, ConfigResource::Broker(_) | ConfigResource::BrokerDefault) {
        // The broker's own checks answer INVALID_REQUEST (`ConfigAdminManager.validateBrokerConfigChange`).
        config::validate_broker_configs(configs)
            .and_then(|()| check_together(image, &options.start_settings, asked, resource, configs))
            .map_err(|error| Refusal::new(ErrorCode::InvalidRequest, error.to_string()))?;
    }
    let checked = match resource {
        ConfigResource::Topic(name) if image.topic(name).is_none() => {
            let message = format!("The topic '{name}' does not exist.");
            return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
        }
        ConfigResource::Topic(_) => config::validate_topic_configs(configs),
        ConfigResource::Broker(_)
            if matches!(asked, Asked::Controllers(_)) && cordons_more(image.configs(resource), configs) =>
        {
            let message = "When updating cordoned.log.dirs via controllers,  the new value must be a subset of the current \
                           configuration value.";
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        }
        // The controller could not say any more who is eligible if leaders went by different numbers.
        ConfigResource::Broker(_)
            if configs.get(MIN_ISR) != image.configs(resource).get(MIN_ISR) && configs.contains_key(MIN_ISR) =>
        {
            let message = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        }
        ConfigResource::BrokerDefault
            if image.configs(resource).contains_key(MIN_ISR) && !configs.contains_key(MIN_ISR) =>
        {
            let message = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        }
        ConfigResource::Broker(_) | ConfigResource::BrokerDefault => Ok(()),
        ConfigResource::Group(_) => config::validate_group_configs(configs, &options.group_limits),
        ConfigResource::ClientMetrics(_) => {
            return config::validate_client_metrics_configs(configs)
                .map_err(|(code, error)| Refusal::new(code, error.to_string()));
        }
    };
    checked.map_err(|error| Refusal::new(error.code(), error.to_string()))
}

/// Whether more directories would be cordoned than are: controllers do not know a broker's paths, and take only what it has said
/// (`ConfigurationControlManager.isCordonedLogDirsInvalid`).
fn cordons_more(old: &Overrides, new: &Overrides) -> bool {
    fn paths(configs: &Overrides) -> BTreeSet<&str> {
        let list = configs.get("cordoned.log.dirs").map_or("", String::as_str);
        config::parse_list(list).into_iter().filter(|path| !path.is_empty()).collect()
    }
    !paths(new).is_subset(&paths(old))
}

fn records_of<'a>(
    resource: &ConfigResource,
    old: &Overrides,
    new: &Overrides,
    named: impl Iterator<Item = &'a str>,
) -> Vec<Record> {
    let changed = named.filter(|name| old.get(*name) != new.get(*name));
    let record = |name: &str| Record::ConfigChanged {
        resource: resource.clone(),
        name: name.to_owned(),
        value: new.get(name).cloned(),
    };
    changed.map(record).collect()
}
