//! A setting's value over all dynamic and static layers, with the layer it came from and what lies beneath it.
//!
//! The same resolution serves behaviour ([`TopicConfig`](super::TopicConfig)) and DescribeConfigs, so that they cannot
//! disagree. Source: `ConfigHelper.createTopicConfigEntry` and `createBrokerConfigEntry`.

use std::collections::BTreeMap;

use super::catalogue::{self, Key, UpdateMode};
use super::settings::Settings;

/// What was set on one resource, by name.
pub type Overrides = BTreeMap<String, String>;

/// What was set on brokers while they run: on this one, and on all.
#[derive(Clone, Copy, Debug)]
pub struct Dynamic<'a> {
    pub broker: &'a Overrides,
    pub cluster: &'a Overrides,
}

impl Dynamic<'static> {
    /// Nothing was set.
    pub fn none() -> Dynamic<'static> {
        static NOTHING: Overrides = BTreeMap::new();
        Dynamic { broker: &NOTHING, cluster: &NOTHING }
    }
}

/// Which layer a value came from, as DescribeConfigs says it (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    DynamicTopic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    Group = 8,
}

/// One layer's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// One setting of one resource. A sensitive value is left out, here and in the synonyms.
#[derive(Clone, Debug)]
pub struct Described {
    pub key: &'static Key,
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_read_only: bool,
    /// The value's own layer first, then those it hides.
    pub synonyms: Vec<Synonym>,
}

impl Settings {
    /// Every setting of a topic that has these overrides, sorted by name.
    pub fn describe_topic(&self, overrides: &Overrides, dynamic: Dynamic<'_>) -> Vec<Described> {
        let keys = catalogue::TOPIC_KEYS.iter().copied().flatten().filter(|key| !key.is_internal);
        let mut described: Vec<_> =
            keys.map(|key| describe(key, topic_layers(self, key, overrides, dynamic), false)).collect();
        described.sort_by_key(|described| described.key.name);
        described
    }

    /// Every setting of this broker, sorted by name.
    pub fn describe_broker(&self, dynamic: Dynamic<'_>) -> Vec<Described> {
        let keys = catalogue::broker_keys().filter(|key| !key.is_internal);
        let mut described: Vec<_> = keys
            .map(|key| {
                let layers = broker_layers(self, key, dynamic);
                describe(key, layers, key.update_mode == UpdateMode::ReadOnly)
            })
            .collect();
        described.sort_by_key(|described| described.key.name);
        described
    }

    /// Every setting of a group that has these overrides, sorted by name.
    pub fn describe_group(&self, overrides: &Overrides, dynamic: Dynamic<'_>) -> Vec<Described> {
        let mut described: Vec<_> = catalogue::GROUP_KEYS
            .iter()
            .map(|key| describe(key, group_layers(self, key, overrides, dynamic), false))
            .collect();
        described.sort_by_key(|described| described.key.name);
        described
    }
}

/// A topic setting's value, which is never null.
pub(super) fn topic_value(settings: &Settings, name: &str, overrides: &Overrides, dynamic: Dynamic<'_>) -> String {
    let key = catalogue::find_topic_key(name).unwrap_or_else(|| panic!("no topic setting is named {name}"));
    let mut layers = topic_layers(settings, key, overrides, dynamic);
    layers.swap_remove(0).value.unwrap_or_else(|| panic!("{name} is null"))
}

/// Layers, top first; the last one is the default. Never empty.
fn topic_layers(settings: &Settings, key: &'static Key, overrides: &Overrides, dynamic: Dynamic<'_>) -> Vec<Synonym> {
    let mut layers = Vec::new();
    if let Some(value) = overrides.get(key.name) {
        layers.push(Synonym { name: key.name, value: Some(value.clone()), source: ConfigSource::DynamicTopic });
    }
    push_synonym_layers(settings, key, dynamic, &mut layers);
    layers
}

fn group_layers(settings: &Settings, key: &'static Key, overrides: &Overrides, dynamic: Dynamic<'_>) -> Vec<Synonym> {
    let mut layers = Vec::new();
    if let Some(value) = overrides.get(key.name) {
        layers.push(Synonym { name: key.name, value: Some(value.clone()), source: ConfigSource::Group });
    }
    push_synonym_layers(settings, key, dynamic, &mut layers);
    layers
}

/// The broker settings below a topic's or group's, each in the unit of the key above.
fn push_synonym_layers(settings: &Settings, key: &'static Key, dynamic: Dynamic<'_>, layers: &mut Vec<Synonym>) {
    for &(name, factor) in key.synonyms {
        let broker_key =
            catalogue::find_broker_key(name).unwrap_or_else(|| panic!("no broker setting is named {name}"));
        for mut layer in broker_own_layers(settings, broker_key, dynamic) {
            layer.value = layer.value.map(|value| scale(&value, factor));
            if layer.value.is_some() {
                layers.push(layer);
            }
        }
    }
    if layers.last().is_none_or(|layer| layer.source != ConfigSource::Default) {
        let value = key.default.map(str::to_owned);
        layers.push(Synonym { name: key.name, value, source: ConfigSource::Default });
    }
}

fn scale(value: &str, factor: i64) -> String {
    match value.trim().parse::<i64>() {
        // A negative number of hours is Kafka's "without limit", which is −1 in every unit.
        Ok(number) if factor != 1 && number < 0 => "-1".to_owned(),
        Ok(number) if factor != 1 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    }
}

fn broker_layers(settings: &Settings, key: &'static Key, dynamic: Dynamic<'_>) -> Vec<Synonym> {
    let mut layers = broker_own_layers(settings, key, dynamic);
    if layers.is_empty() {
        layers.push(Synonym { name: key.name, value: None, source: ConfigSource::Default });
    }
    layers
}

/// What each layer says about one broker key, silent layers left out.
fn broker_own_layers(settings: &Settings, key: &'static Key, dynamic: Dynamic<'_>) -> Vec<Synonym> {
    let spoken = [
        (dynamic.broker.get(key.name).map(String::as_str), ConfigSource::DynamicBroker),
        (dynamic.cluster.get(key.name).map(String::as_str), ConfigSource::DynamicDefaultBroker),
        (settings.assigned(key.name), ConfigSource::StaticBroker),
        (key.default, ConfigSource::Default),
    ];
    spoken
        .into_iter()
        .filter_map(|(value, source)| Some(Synonym { name: key.name, value: Some(value?.to_owned()), source }))
        .collect()
}

fn describe(key: &'static Key, mut synonyms: Vec<Synonym>, is_read_only: bool) -> Described {
    let source = synonyms[0].source;
    if key.is_sensitive() {
        for synonym in &mut synonyms {
            synonym.value = None;
        }
    }
    let value = synonyms[0].value.clone();
    synonyms.retain(|synonym| synonym.value.is_some() || synonym.source != ConfigSource::Default);
    Described { key, value, source, is_read_only, synonyms }
}
