//! What a broker creates before it serves: topics and settings of the whole cluster, from `create.topics` and from the YAML
//! files of `init.dir`.
//!
//! Only what can be said without a cluster is checked here: form, names, and that no topic is described twice. Whether a setting
//! or a number is good is the controller's to say, as for every other topic.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Deserialize;

use super::layers::{LoadError, Problem};
use super::settings::Origin;
use super::yaml;
use crate::model::check_topic_name;

/// Everything that a start is to find or to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Initial {
    /// In the order of their names.
    pub topics: Vec<InitialTopic>,
    /// Settings of every broker that has none of its own, by their names.
    pub brokers: BTreeMap<String, InitialSetting>,
}

/// One setting of all brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialSetting {
    pub value: String,
    /// Where it was given, for messages.
    pub origin: Origin,
}

/// One topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialTopic {
    pub name: String,
    /// `None` is the broker's default.
    pub partitions: Option<i32>,
    /// `None` is the broker's default.
    pub replication_factor: Option<i16>,
    pub configs: BTreeMap<String, String>,
    /// Where it was described, for messages.
    pub origin: Origin,
}

/// A file of `init.dir`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    topics: Vec<FileTopic>,
    brokers: BTreeMap<String, yaml::Scalar>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTopic {
    name: String,
    partitions: Option<i32>,
    #[serde(rename = "replication.factor")]
    replication_factor: Option<i16>,
    #[serde(default)]
    configs: BTreeMap<String, yaml::Scalar>,
}

impl Initial {
    /// Reads the elements of `create.topics` and the files: path and text of each. Errors: everything that is wrong.
    pub fn load(create_topics: &[&str], files: &[(String, String)]) -> Result<Initial, LoadError> {
        let mut loading = Loading::default();
        for element in create_topics {
            match topic_of(element) {
                Ok(topic) => loading.add(topic),
                Err(reason) => loading.refuse(list(), format!("{element}: {reason}")),
            }
        }
        for (path, text) in files {
            loading.read_file(path, text);
        }
        if !loading.problems.is_empty() {
            return Err(LoadError { problems: loading.problems });
        }
        Ok(Initial { topics: loading.topics.into_values().collect(), brokers: loading.brokers })
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.brokers.is_empty()
    }
}

#[derive(Default)]
struct Loading {
    topics: BTreeMap<String, InitialTopic>,
    brokers: BTreeMap<String, InitialSetting>,
    problems: Vec<Problem>,
}

impl Loading {
    fn read_file(&mut self, path: &str, text: &str) {
        let file: File = match yaml::read(text) {
            Ok(file) => file,
            Err(broken) => {
                return self.refuse(Origin::File { path: path.to_owned(), line: broken.line }, broken.reason);
            }
        };
        let origin = Origin::File { path: path.to_owned(), line: 0 };
        for topic in file.topics {
            let configs = topic.configs.into_iter().map(|(name, value)| (name, value.0)).collect();
            let FileTopic { name, partitions, replication_factor, .. } = topic;
            self.add(InitialTopic { name, partitions, replication_factor, configs, origin: origin.clone() });
        }
        for (name, value) in file.brokers {
            let setting = InitialSetting { value: value.0, origin: origin.clone() };
            if let Some(earlier) = self.brokers.insert(name.clone(), setting.clone())
                && earlier.value != setting.value
            {
                let message = format!("{name} = {}: {} says {}", setting.value, earlier.origin, earlier.value);
                self.refuse(origin.clone(), message);
            }
        }
    }

    fn add(&mut self, topic: InitialTopic) {
        if let Err(reason) = check_topic_name(&topic.name) {
            return self.refuse(topic.origin, format!("topic {}: {reason}", topic.name));
        }
        match self.topics.entry(topic.name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(topic);
            }
            Entry::Occupied(entry) => {
                let message = format!("topic {} is described already: {}", topic.name, entry.get().origin);
                self.refuse(topic.origin, message);
            }
        }
    }

    fn refuse(&mut self, origin: Origin, message: String) {
        self.problems.push(Problem { origin, message });
    }
}

fn list() -> Origin {
    Origin::Setting("create.topics")
}

/// One element of `create.topics`. Errors: what it should look like.
fn topic_of(element: &str) -> Result<InitialTopic, String> {
    let mut parts = element.split(':');
    let name = parts.next().unwrap_or_default().to_owned();
    let partitions = number(parts.next(), "the number of partitions")?;
    let replication_factor = number(parts.next(), "the replication factor")?;
    let policy = parts.next().filter(|policy| !policy.is_empty());
    if parts.next().is_some() {
        return Err("expected name:partitions:replication.factor:cleanup.policy, all but the name optional".to_owned());
    }
    let configs = policy.map(|policy| ("cleanup.policy".to_owned(), policy.replace('+', ","))).into_iter().collect();
    Ok(InitialTopic { name, partitions, replication_factor, configs, origin: list() })
}

fn number<N: std::str::FromStr>(part: Option<&str>, what: &str) -> Result<Option<N>, String> {
    match part {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("{what} is {text}, which is no such number")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shown(initial: &Initial) -> String {
        let default = "default".to_owned();
        let topics = initial.topics.iter().map(|topic| {
            let partitions = topic.partitions.map_or_else(|| default.clone(), |count| count.to_string());
            let factor = topic.replication_factor.map_or_else(|| default.clone(), |factor| factor.to_string());
            format!("{}:{partitions}:{factor}:{:?}", topic.name, topic.configs)
        });
        let brokers = initial.brokers.iter().map(|(name, setting)| format!("{name}={}", setting.value));
        topics.chain(brokers).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_example_for_containers_is_well_formed() {
        let file = ("topics.yaml".to_owned(), include_str!("../../docker/init/topics.yaml").to_owned());
        let initial = Initial::load(&["greetings:3:1"], &[file]).expect("a good file");
        let expected = r#"customers:3:default:{"cleanup.policy": "compact"} greetings:3:1:{} "#.to_owned()
            + r#"orders:6:default:{"compression.type": "zstd", "retention.ms": "604800000"}"#;
        assert_eq!(shown(&initial), expected);
    }

    #[rstest]
    #[case("a", "a:default:default:{}")]
    #[case("a:3", "a:3:default:{}")]
    #[case("a:3:1:compact", r#"a:3:1:{"cleanup.policy": "compact"}"#)]
    #[case("a:::compact+delete", r#"a:default:default:{"cleanup.policy": "compact,delete"}"#)]
    fn an_element_of_the_list_is_a_topic(#[case] element: &str, #[case] topic: &str) {
        assert_eq!(shown(&Initial::load(&[element], &[]).expect("a good element")), topic);
    }

    #[rstest]
    #[case("a:x", "create.topics: a:x: the number of partitions is x, which is no such number")]
    #[case("a:1:70000", "create.topics: a:1:70000: the replication factor is 70000, which is no such number")]
    #[case(
        "a:1:1:compact:b",
        "create.topics: a:1:1:compact:b: expected name:partitions:replication.factor:cleanup.policy, all but the name optional"
    )]
    #[case(
        "a/b",
        "create.topics: topic a/b: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    fn an_element_that_is_none_is_refused(#[case] element: &str, #[case] message: &str) {
        assert_eq!(Initial::load(&[element], &[]).expect_err("a bad element").to_string(), message);
    }

    #[test]
    fn files_describe_topics_and_settings() {
        let text = "topics:\n  - name: orders\n    partitions: 3\n    replication.factor: 2\n    configs:\n      retention.ms: 60000\n  \
                    - name: b\nbrokers:\n  log.retention.hours: 1\n";
        let initial = Initial::load(&["a"], &[("init/a.yaml".to_owned(), text.to_owned())]).expect("a good file");
        let topics = r#"a:default:default:{} b:default:default:{} orders:3:2:{"retention.ms": "60000"}"#;
        assert_eq!(shown(&initial), format!("{topics} log.retention.hours=1"));
    }

    #[rstest]
    #[case("topic:\n  - name: a\n", "f.yaml:1: unknown field `topic`")]
    #[case("topics:\n  - name: a\n    partitions: many\n", "f.yaml:3: ")]
    #[case("topics:\n  - partitions: 1\n", "f.yaml:2: ")]
    #[case("topics:\n  - name: z\n", "f.yaml: topic z is described already: create.topics")]
    fn a_file_that_says_something_else_is_refused_by_its_name(#[case] text: &str, #[case] start: &str) {
        let refused = Initial::load(&["z"], &[("f.yaml".to_owned(), text.to_owned())]).expect_err("a bad file");
        assert!(refused.to_string().starts_with(start), "{refused}");
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "# nothing\n", "topics: []\n"] {
            assert!(Initial::load(&[], &[("f.yaml".to_owned(), text.to_owned())]).expect("nothing wrong").is_empty());
        }
    }
}
