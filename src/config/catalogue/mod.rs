//! The catalogue: one row for every setting of Apache Kafka 4.3.1 and for our own, with what is known about it.

mod client_metrics;
mod coordinators;
mod group;
mod logs;
mod network;
mod ottla;
mod quorum;
mod remote;
mod security;
mod topic;

/// `config.yaml` as it ships: every setting with effect at its default, explained.
pub const EMBEDDED: &str = include_str!("../../../config.yaml");

/// What a topic may override.
pub const TOPIC_KEYS: &[&[Key]] = &[topic::TOPIC, ottla::TOPIC];

/// What a group may override.
pub const GROUP_KEYS: &[Key] = group::GROUP;

/// What a client metrics subscription holds.
pub const CLIENT_METRICS_KEYS: &[Key] = client_metrics::CLIENT_METRICS;

const BROKER_KEYS: &[&[Key]] = &[
    network::NETWORK,
    quorum::QUORUM,
    logs::LOGS,
    coordinators::COORDINATORS,
    security::SECURITY,
    remote::REMOTE,
    ottla::BROKER,
];

/// Kafka's types of values. The number is the one DescribeConfigs puts on the wire (`DescribeConfigsResponse.ConfigType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ValueType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// How much a setting matters, in Kafka's judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// Whether a broker setting can change while the broker runs, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    ReadOnly,
    ClusterWide,
    PerBroker,
}

/// What a value must satisfy beyond its type. Named after Kafka's validators in `ConfigDef`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    BetweenRatio(f64, f64),
    OneOf(&'static [&'static str]),
    OneOfAnyCase(&'static [&'static str]),
    /// A list without empty elements.
    List,
    /// As `List`, with at least one element.
    NonEmptyList,
    /// A list whose elements are all among these, at least one.
    ListOf(&'static [&'static str]),
    /// As `ListOf`, and empty too.
    ListOfOrEmpty(&'static [&'static str]),
    NonEmpty,
    GzipLevel,
    ThrottledReplicas,
    ShareAutoOffsetReset,
}

/// What Kafka called `node.id` before it had controllers; a value under either name holds for both.
pub const OLD_NAME_OF_NODE_ID: &str = "broker.id";

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub value_type: ValueType,
    /// What holds when nothing is said; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// Kafka's own default where ours differs from it; `Some(None)` when Kafka has none.
    pub kafka_default: Option<Option<&'static str>>,
    pub importance: Importance,
    pub update_mode: UpdateMode,
    pub rule: Rule,
    /// For topic and group keys: the broker keys that a default comes from, the first that is set winning, and the factor
    /// that turns its unit into ours.
    pub synonyms: &'static [(&'static str, i64)],
    /// Whether it changes what Ottla does. Without effect it is checked, stored and shown.
    pub has_effect: bool,
    /// Hidden from DescribeConfigs, as Kafka hides it.
    pub is_internal: bool,
    /// Ottla's own, unknown to Kafka.
    pub is_ours: bool,
    pub documentation: &'static str,
}

/// A row without effect, documentation or rule; the methods below fill it in.
const fn key(name: &'static str, value_type: ValueType, default: Option<&'static str>, importance: Importance) -> Key {
    Key {
        name,
        value_type,
        default,
        kafka_default: None,
        importance,
        update_mode: UpdateMode::ReadOnly,
        rule: Rule::Any,
        synonyms: &[],
        has_effect: false,
        is_internal: false,
        is_ours: false,
        documentation: "",
    }
}

impl Key {
    const fn rule(mut self, rule: Rule) -> Key {
        self.rule = rule;
        self
    }

    const fn at_least(self, min: i64) -> Key {
        self.rule(Rule::AtLeast(min))
    }

    const fn between(self, min: i64, max: i64) -> Key {
        self.rule(Rule::Between(min, max))
    }

    const fn between_ratio(self, min: f64, max: f64) -> Key {
        self.rule(Rule::BetweenRatio(min, max))
    }

    const fn one_of(self, allowed: &'static [&'static str]) -> Key {
        self.rule(Rule::OneOf(allowed))
    }

    const fn one_of_any_case(self, allowed: &'static [&'static str]) -> Key {
        self.rule(Rule::OneOfAnyCase(allowed))
    }

    const fn list_of(self, allowed: &'static [&'static str]) -> Key {
        self.rule(Rule::ListOf(allowed))
    }

    const fn list_of_or_empty(self, allowed: &'static [&'static str]) -> Key {
        self.rule(Rule::ListOfOrEmpty(allowed))
    }

    const fn list(self) -> Key {
        self.rule(Rule::List)
    }

    const fn non_empty_list(self) -> Key {
        self.rule(Rule::NonEmptyList)
    }

    const fn non_empty(self) -> Key {
        self.rule(Rule::NonEmpty)
    }

    const fn instead_of(mut self, kafka_default: Option<&'static str>) -> Key {
        self.kafka_default = Some(kafka_default);
        self
    }

    const fn cluster_wide(mut self) -> Key {
        self.update_mode = UpdateMode::ClusterWide;
        self
    }

    const fn per_broker(mut self) -> Key {
        self.update_mode = UpdateMode::PerBroker;
        self
    }

    const fn internal(mut self) -> Key {
        self.is_internal = true;
        self
    }

    const fn synonyms(mut self, synonyms: &'static [(&'static str, i64)]) -> Key {
        self.synonyms = synonyms;
        self
    }

    const fn ours(mut self) -> Key {
        self.is_ours = true;
        self
    }

    const fn effective(mut self, documentation: &'static str) -> Key {
        self.has_effect = true;
        self.documentation = documentation;
        self
    }

    const fn stored(mut self, documentation: &'static str) -> Key {
        self.documentation = documentation;
        self
    }

    /// Whether giving it changes what Ottla does: the old name of another setting has no effect of its own.
    pub fn is_heeded(&self) -> bool {
        self.has_effect || self.name == OLD_NAME_OF_NODE_ID
    }

    /// Its documentation, and whether it does anything here.
    pub fn shown_documentation(&self) -> String {
        if self.is_heeded() {
            return self.documentation.to_owned();
        }
        format!("{} Stored and shown; without effect in Ottla.", self.documentation)
    }

    /// Whether its value is a secret that is never shown.
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.value_type, ValueType::Password)
    }

    /// What a person may write, for error messages: `int, at least 1`.
    pub fn allowed(&self) -> String {
        let kind = match self.value_type {
            ValueType::Boolean => "true or false",
            ValueType::String | ValueType::Class => "text",
            ValueType::Int => "a whole number of 32 bits",
            ValueType::Short => "a whole number of 16 bits",
            ValueType::Long => "a whole number of 64 bits",
            ValueType::Double => "a number",
            ValueType::List => "a list, separated by commas",
            ValueType::Password => "a secret",
        };
        match self.rule {
            Rule::Any | Rule::List => kind.to_owned(),
            Rule::AtLeast(min) => format!("{kind}, at least {min}"),
            Rule::Between(min, max) => format!("{kind} from {min} to {max}"),
            Rule::BetweenRatio(min, max) => format!("{kind} from {min} to {max}"),
            Rule::OneOf(allowed) | Rule::OneOfAnyCase(allowed) => format!("one of {}", allowed.join(", ")),
            Rule::ListOf(allowed) | Rule::ListOfOrEmpty(allowed) => format!("{kind}, of {}", allowed.join(", ")),
            Rule::NonEmpty | Rule::NonEmptyList => format!("{kind}, not empty"),
            Rule::GzipLevel => "a level from 1 to 9, or -1".to_owned(),
            Rule::ThrottledReplicas => "partition:broker pairs separated by commas, or *".to_owned(),
            Rule::ShareAutoOffsetReset => "latest, earliest or by_duration:<ISO 8601 duration>".to_owned(),
        }
    }
}

/// Every broker setting, internal ones too, by family.
pub fn broker_keys() -> impl Iterator<Item = &'static Key> {
    BROKER_KEYS.iter().copied().flatten()
}

/// The broker setting of that name.
pub fn find_broker_key(name: &str) -> Option<&'static Key> {
    broker_keys().find(|key| key.name == name)
}

/// The topic setting of that name.
pub fn find_topic_key(name: &str) -> Option<&'static Key> {
    TOPIC_KEYS.iter().copied().flatten().find(|key| key.name == name)
}

/// The group setting of that name.
pub fn find_group_key(name: &str) -> Option<&'static Key> {
    GROUP_KEYS.iter().find(|key| key.name == name)
}

/// The broker setting whose name is nearest to a misspelt one, when one is near enough to be meant.
pub(super) fn nearest_broker_key(name: &str) -> Option<&'static str> {
    let (distance, nearest) = broker_keys().map(|key| (edit_distance(name, key.name), key.name)).min()?;
    (distance <= 2.max(name.len() / 3)).then_some(nearest)
}

/// Levenshtein's distance, in bytes: setting names are ASCII.
fn edit_distance(left: &str, right: &str) -> usize {
    // A stranger's name may be long, and a table of its length times each key's would be work for nothing.
    if left.len() > 2 * right.len() + 8 {
        return left.len();
    }
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, left_byte) in left.bytes().enumerate() {
        let mut current = vec![row + 1];
        for (column, right_byte) in right.bytes().enumerate() {
            let replaced = previous[column] + usize::from(left_byte != right_byte);
            current.push(replaced.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::super::{Inputs, load, value, yaml};
    use super::*;

    fn all() -> Vec<&'static Key> {
        broker_keys().chain(TOPIC_KEYS.iter().copied().flatten()).chain(GROUP_KEYS).collect()
    }

    /// Of the levels of codecs, and of threads and connections: who changes one reads whether anything comes of it.
    #[rstest]
    #[case("compression.gzip.level", 2, true)]
    #[case("compression.zstd.level", 2, true)]
    #[case("compression.lz4.level", 2, true)]
    #[case("num.network.threads", 1, false)]
    #[case("num.io.threads", 1, false)]
    #[case("background.threads", 1, false)]
    #[case("num.replica.fetchers", 1, true)]
    #[case("log.cleaner.threads", 1, true)]
    #[case("max.connections", 1, true)]
    #[case("max.connections.per.ip", 1, true)]
    #[case("max.connection.creation.rate", 1, true)]
    fn a_description_says_whether_a_setting_acts(#[case] name: &str, #[case] count: usize, #[case] acts: bool) {
        let named: Vec<_> = all().into_iter().filter(|key| key.name == name).collect();
        assert_eq!(named.len(), count);
        for key in named {
            assert_eq!(key.shown_documentation().ends_with("Stored and shown; without effect in Ottla."), !acts);
        }
    }

    #[test]
    fn every_setting_of_kafka_4_3_1_has_a_row() {
        let kafkas = broker_keys().filter(|key| !key.is_ours).count();
        let topics = TOPIC_KEYS.iter().copied().flatten().filter(|key| !key.is_ours).count();
        assert_eq!((kafkas, topics, GROUP_KEYS.len()), (360, 34, 17));
    }

    #[test]
    fn every_row_is_explained_and_its_default_allowed() {
        for key in all() {
            assert!(key.documentation.ends_with('.'), "{} is not explained", key.name);
            if let Some(default) = key.default {
                assert_eq!(value::check(key, default), Ok(()), "the default of {}", key.name);
            }
            assert_ne!(key.kafka_default, Some(key.default), "{} does not differ from Kafka", key.name);
            for (name, _) in key.synonyms {
                assert!(find_broker_key(name).is_some(), "{} falls back on {name}", key.name);
            }
        }
    }

    #[test]
    fn no_name_is_taken_twice() {
        for keys in [broker_keys().collect::<Vec<_>>(), TOPIC_KEYS.iter().copied().flatten().collect()] {
            let names: BTreeSet<_> = keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), keys.len());
        }
    }

    #[test]
    fn the_shipped_file_names_every_setting_with_effect_and_equals_the_defaults() {
        let entries = yaml::parse(EMBEDDED).expect("config.yaml is well formed");
        for key in broker_keys() {
            let given = entries.iter().find(|entry| entry.key == key.name).map(|entry| entry.value.as_str());
            assert_eq!(given, key.default.filter(|_| key.has_effect), "{} in config.yaml", key.name);
            let value = match key.default {
                None => "null".to_owned(),
                Some("") => "\"\"".to_owned(),
                // YAML reads it as a number, and writes that otherwise than Kafka.
                Some(default) if default.contains("E308") => format!("\"{default}\""),
                Some(default) => default.to_owned(),
            };
            let paragraph = format!("\n# {}\n{}: {value}\n", key.documentation, key.name);
            assert_eq!(EMBEDDED.contains(&paragraph), key.has_effect, "{} in config.yaml", key.name);
        }
    }

    #[test]
    fn the_shipped_file_can_be_used_as_it_is() {
        let file = Some(("config.yaml".to_owned(), EMBEDDED.to_owned()));
        let loaded = load(&Inputs { file, ..Inputs::default() }).expect("config.yaml loads");
        assert_eq!(loaded.warnings, Vec::<String>::new());
        let nothing = load(&Inputs::default()).expect("the defaults load");
        for (key, value, _) in nothing.settings.effective() {
            assert_eq!(loaded.settings.get_text(key.name), value, "{}", key.name);
        }
    }

    #[rstest]
    #[case("num.partition", Some("num.partitions"))]
    #[case("log.segement.bytes", Some("log.segment.bytes"))]
    #[case("NUM.PARTITIONS", None)]
    #[case("listener", Some("listeners"))]
    #[case("colour", None)]
    #[case("", None)]
    fn a_misspelt_name_finds_its_neighbour(#[case] name: &str, #[case] nearest: Option<&str>) {
        assert_eq!(nearest_broker_key(name), nearest);
    }
}
