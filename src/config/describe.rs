//! A setting's value over all dynamic and static layers, with the layer it came from and what lies beneath it.
//!
//! The same resolution serves behaviour ([`TopicConfig`](super::TopicConfig)) and DescribeConfigs, so that they cannot
//! disagree. Source: `ConfigHelper.createTopicConfigEntry` and `createBrokerConfigEntry`.

use std::collections::BTreeMap;

use super::catalogue::{self, Key, UpdateMode, ValueType};
use super::loggers::Loggers;
use super::settings::Settings;
use super::value;

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
    DynamicBrokerLogger = 6,
    ClientMetrics = 7,
    Group = 8,
}

/// One layer's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// One setting of one resource. A sensitive value is left out, here and in the synonyms.
#[derive(Clone, Debug)]
pub struct Described {
    pub name: String,
    /// `None` for a name that was set on a broker and that nobody knows; Kafka treats its value as a secret.
    pub key: Option<&'static Key>,
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_read_only: bool,
    /// The value's own layer first, then those it hides.
    pub synonyms: Vec<Synonym>,
}

impl Described {
    /// Every logger of the process and its level, by name.
    pub fn loggers(loggers: &Loggers) -> Vec<Described> {
        let described = loggers.describe().into_iter().map(|(name, level)| Described {
            name,
            key: None,
            value: Some(level.to_owned()),
            source: ConfigSource::DynamicBrokerLogger,
            is_read_only: false,
            synonyms: Vec::new(),
        });
        described.collect()
    }

    /// What the setting is for; `None` for a name that nobody knows, empty for a logger, as Kafka's.
    pub fn documentation(&self) -> Option<String> {
        match self.key {
            Some(key) => Some(key.shown_documentation()),
            None if self.is_logger() => Some(String::new()),
            None => None,
        }
    }

    /// Whether the value is a secret.
    pub fn is_sensitive(&self) -> bool {
        !self.is_logger() && self.key.is_none_or(Key::is_sensitive)
    }

    /// Whether it is the level of a logger rather than a setting.
    pub fn is_logger(&self) -> bool {
        self.source == ConfigSource::DynamicBrokerLogger
    }
}

impl Settings {
    /// What a broker goes by now: what was set on it while it runs, on all brokers, on this process, or the default.
    pub fn live_text(&self, name: &str, dynamic: Dynamic<'_>) -> Option<String> {
        let key = catalogue::find_broker_key(name).unwrap_or_else(|| panic!("no broker setting is named {name}"));
        broker_value(self, key, dynamic)
    }

    /// As [`Settings::live_text`], for a whole number.
    pub fn live_i64(&self, name: &str, dynamic: Dynamic<'_>) -> i64 {
        let text = self.live_text(name, dynamic).unwrap_or_else(|| panic!("{name} is null"));
        text.trim().parse().unwrap_or_else(|_| panic!("{name} holds no number"))
    }

    /// Every setting of a topic that has these overrides, sorted by name.
    pub fn describe_topic(&self, overrides: &Overrides, dynamic: Dynamic<'_>) -> Vec<Described> {
        let keys = catalogue::TOPIC_KEYS.iter().copied().flatten().filter(|key| !key.is_internal);
        let described = keys.map(|key| {
            let mut synonyms = match key.synonyms.first() {
                Some((name, _)) => broker_synonyms(self, name, dynamic),
                None => Vec::new(),
            };
            push_override(&mut synonyms, key, overrides, ConfigSource::DynamicTopic);
            let value = Some(topic_value(self, key.name, overrides, dynamic));
            describe(key.name, Some(key), value, synonyms, false)
        });
        sorted(described.collect())
    }

    /// Every setting of this broker, sorted by name.
    pub fn describe_broker(&self, dynamic: Dynamic<'_>) -> Vec<Described> {
        let keys = catalogue::broker_keys().filter(|key| !key.is_internal);
        let mut described: Vec<_> = keys
            .map(|key| {
                let value = broker_value(self, key, dynamic);
                let is_read_only = key.update_mode == UpdateMode::ReadOnly;
                describe(key.name, Some(key), value, broker_synonyms(self, key.name, dynamic), is_read_only)
            })
            .collect();
        let given: BTreeMap<&String, &String> = dynamic.cluster.iter().chain(dynamic.broker).collect();
        for name in given.into_keys().filter(|name| catalogue::find_broker_key(name).is_none()) {
            described.push(describe(name, None, None, broker_synonyms(self, name, dynamic), true));
        }
        sorted(described)
    }

    /// What was set on all brokers, sorted by name.
    pub fn describe_all_brokers(&self, dynamic: Dynamic<'_>) -> Vec<Described> {
        let mut described = self.describe_broker(dynamic);
        described.retain(|described| dynamic.cluster.contains_key(&described.name));
        for described in &mut described {
            described.synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
            described.source = ConfigSource::DynamicDefaultBroker;
            let value = dynamic.cluster.get(&described.name).cloned();
            described.value = value.filter(|_| !described.is_sensitive());
        }
        described
    }

    /// Every setting of a client metrics subscription that has these overrides, sorted by name.
    pub fn describe_client_metrics(&self, overrides: &Overrides) -> Vec<Described> {
        let described = catalogue::CLIENT_METRICS_KEYS.iter().map(|key| {
            let mut synonyms = Vec::new();
            push_override(&mut synonyms, key, overrides, ConfigSource::ClientMetrics);
            let value = overrides.get(key.name).map(String::as_str).or(key.default).map(str::to_owned);
            describe(key.name, Some(key), value, synonyms, false)
        });
        sorted(described.collect())
    }

    /// Every setting of a group that has these overrides, sorted by name.
    pub fn describe_group(&self, overrides: &Overrides, dynamic: Dynamic<'_>) -> Vec<Described> {
        let described = catalogue::GROUP_KEYS.iter().map(|key| {
            let mut synonyms = match key.synonyms.first() {
                Some((name, _)) => broker_synonyms(self, name, dynamic),
                None => {
                    key.default.map(|default| synonym(key.name, default, ConfigSource::Default)).into_iter().collect()
                }
            };
            push_override(&mut synonyms, key, overrides, ConfigSource::Group);
            let value = synonyms.first().and_then(|synonym| synonym.value.clone());
            describe(key.name, Some(key), value, synonyms, false)
        });
        sorted(described.collect())
    }
}

fn sorted(mut described: Vec<Described>) -> Vec<Described> {
    described.sort_by(|left, right| left.name.cmp(&right.name));
    described
}

fn synonym(name: &str, value: &str, source: ConfigSource) -> Synonym {
    Synonym { name: name.to_owned(), value: Some(value.to_owned()), source }
}

fn push_override(synonyms: &mut Vec<Synonym>, key: &Key, overrides: &Overrides, source: ConfigSource) {
    if let Some(value) = overrides.get(key.name) {
        synonyms.insert(0, synonym(key.name, value, source));
    }
}

/// Broker keys that are one setting in several units, the one that wins first (`DynamicBrokerConfig.brokerConfigSynonyms`).
const UNITS: &[&[&str]] = &[
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
];

/// What the layers say about a broker key and its other units, layer by layer, from the first place that names the key itself:
/// Kafka's `ConfigHelper.configSynonyms`, with what it drops.
fn broker_synonyms(settings: &Settings, name: &str, dynamic: Dynamic<'_>) -> Vec<Synonym> {
    let alone = [name];
    // A scheduler's interval has none beside it, though it is beside another.
    let is_unit = |units: &&&[&str]| units.contains(&name) && name != "log.flush.scheduler.interval.ms";
    let names: &[&str] = UNITS.iter().find(is_unit).copied().unwrap_or(&alone);
    let mut synonyms = Vec::new();
    for source in LAYERS {
        for name in names {
            synonyms.extend(broker_layer(settings, name, dynamic, source).map(|value| synonym(name, value, source)));
        }
    }
    let own = synonyms.iter().position(|synonym| synonym.name == name).unwrap_or(synonyms.len());
    synonyms.split_off(own)
}

/// What a broker goes by, the first that speaks winning.
const LAYERS: [ConfigSource; 4] = [
    ConfigSource::DynamicBroker,
    ConfigSource::DynamicDefaultBroker,
    ConfigSource::StaticBroker,
    ConfigSource::Default,
];

/// What one layer says about a broker key.
fn broker_layer<'a>(settings: &'a Settings, name: &str, dynamic: Dynamic<'a>, layer: ConfigSource) -> Option<&'a str> {
    match layer {
        ConfigSource::DynamicBroker => dynamic.broker.get(name).map(String::as_str),
        ConfigSource::DynamicDefaultBroker => dynamic.cluster.get(name).map(String::as_str),
        ConfigSource::StaticBroker => settings.assigned(name),
        ConfigSource::Default => catalogue::find_broker_key(name).and_then(|key| key.default),
        ConfigSource::DynamicTopic
        | ConfigSource::DynamicBrokerLogger
        | ConfigSource::ClientMetrics
        | ConfigSource::Group => None,
    }
}

fn broker_value(settings: &Settings, key: &Key, dynamic: Dynamic<'_>) -> Option<String> {
    LAYERS.into_iter().find_map(|layer| broker_layer(settings, key.name, dynamic, layer)).map(str::to_owned)
}

/// A topic setting's value, which is never null: the override, else the first broker key that has a value, in its unit.
pub(super) fn topic_value(settings: &Settings, name: &str, overrides: &Overrides, dynamic: Dynamic<'_>) -> String {
    let key = catalogue::find_topic_key(name).unwrap_or_else(|| panic!("no topic setting is named {name}"));
    if let Some(value) = overrides.get(name) {
        return value.clone();
    }
    let below = key.synonyms.iter().find_map(|(name, factor)| {
        let broker_key =
            catalogue::find_broker_key(name).unwrap_or_else(|| panic!("no broker setting is named {name}"));
        broker_value(settings, broker_key, dynamic).map(|value| scale(&value, *factor))
    });
    below.or_else(|| key.default.map(str::to_owned)).unwrap_or_else(|| panic!("{name} is null"))
}

fn scale(value: &str, factor: i64) -> String {
    match value.trim().parse::<i64>() {
        // A negative number of hours is Kafka's "without limit", which is −1 in every unit.
        Ok(number) if factor != 1 && number < 0 => "-1".to_owned(),
        Ok(number) if factor != 1 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    }
}

fn describe(
    name: &str,
    key: Option<&'static Key>,
    value: Option<String>,
    mut synonyms: Vec<Synonym>,
    is_read_only: bool,
) -> Described {
    let source = synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source);
    let is_list = key.is_some_and(|key| matches!(key.value_type, ValueType::List));
    // Kafka shows a list as it has read it.
    let shown = |text: String| if is_list { value::parse_list(&text).join(",") } else { text };
    for synonym in &mut synonyms {
        synonym.value = synonym.value.take().map(shown);
    }
    let value = value.map(shown);
    let is_sensitive = key.is_none_or(Key::is_sensitive);
    if is_sensitive {
        synonyms.iter_mut().for_each(|synonym| synonym.value = None);
    }
    Described { name: name.to_owned(), key, value: value.filter(|_| !is_sensitive), source, is_read_only, synonyms }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::{Inputs, load};
    use super::*;

    fn overrides(text: &str) -> Overrides {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn shown(described: &Described) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
        let synonyms: Vec<String> = described
            .synonyms
            .iter()
            .map(|synonym| format!("{}={} {:?}", synonym.name, text(&synonym.value), synonym.source))
            .collect();
        format!("{} {:?} [{}]", text(&described.value), described.source, synonyms.join(", "))
    }

    /// As Apache Kafka 4.3.1 answers DescribeConfigs after the same changes.
    #[rstest]
    #[case("segment.ms", "", "", "", "604800000 Default []")]
    #[case("flush.ms", "", "", "", "9223372036854775807 Default []")]
    #[case("remote.storage.enable", "", "", "", "false Default []")]
    #[case("cleanup.policy", "", "", "", "delete Default [log.cleanup.policy=delete Default]")]
    #[case("retention.ms", "retention.ms=5", "", "", "5 DynamicTopic [retention.ms=5 DynamicTopic]")]
    #[case(
        "retention.ms",
        "retention.ms=5",
        "",
        "log.retention.ms=77",
        "5 DynamicTopic [retention.ms=5 DynamicTopic, log.retention.ms=77 DynamicDefaultBroker, log.retention.hours=168 Default]"
    )]
    #[case(
        "segment.bytes",
        "",
        "log.segment.bytes=2000000",
        "",
        "2000000 DynamicBroker [log.segment.bytes=2000000 DynamicBroker, log.segment.bytes=1073741824 Default]"
    )]
    fn a_topic_setting_names_its_layers(
        #[case] name: &str,
        #[case] topic: &str,
        #[case] broker: &str,
        #[case] cluster: &str,
        #[case] answer: &str,
    ) {
        let (broker, cluster) = (overrides(broker), overrides(cluster));
        let dynamic = Dynamic { broker: &broker, cluster: &cluster };
        let described = Settings::default().describe_topic(&overrides(topic), dynamic);
        let found = described.iter().find(|described| described.name == name).expect("a topic setting");
        assert_eq!(shown(found), answer);
    }

    #[test]
    fn counts_are_kafkas_and_our_own() {
        let settings = Settings::default();
        let ours = catalogue::broker_keys().filter(|key| key.is_ours).count();
        assert_eq!(settings.describe_broker(Dynamic::none()).len(), 340 + ours);
        assert_eq!(settings.describe_topic(&Overrides::new(), Dynamic::none()).len(), 33 + 2);
        assert_eq!(settings.describe_group(&Overrides::new(), Dynamic::none()).len(), 17);
    }

    #[test]
    fn secrets_and_unknown_names_show_no_value() {
        let flags = vec![("--set".to_owned(), "ssl.key.password".to_owned(), "hunter2".to_owned())];
        let settings = load(&Inputs { flags, ..Inputs::default() }).expect("good settings").settings;
        let (broker, cluster) = (overrides("foo=1"), Overrides::new());
        let described = settings.describe_broker(Dynamic { broker: &broker, cluster: &cluster });
        let find = |name: &str| shown(described.iter().find(|described| described.name == name).expect("it is there"));
        assert_eq!(find("ssl.key.password"), "null StaticBroker [ssl.key.password=null StaticBroker]");
        assert_eq!(find("foo"), "null DynamicBroker [foo=null DynamicBroker]");
    }

    #[test]
    fn all_brokers_have_only_what_was_set_on_all() {
        let cluster = overrides("log.retention.ms=77");
        let described =
            Settings::default().describe_all_brokers(Dynamic { broker: &Overrides::new(), cluster: &cluster });
        let shown: Vec<String> = described.iter().map(shown).collect();
        assert_eq!(shown, ["77 DynamicDefaultBroker [log.retention.ms=77 DynamicDefaultBroker]"]);
    }
}
