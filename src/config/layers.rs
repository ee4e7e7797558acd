//! Defaults, then a file, then the environment, then flags: each layer over the one before, every value checked.
//!
//! A name that nobody knows is an error where only Ottla's users write (`config.yaml`, `OTTLA_*`, flags) and at most a warning
//! where Kafka's do (`server.properties`, `KAFKA_*`), since those carry things for scripts and for older versions too.

use std::collections::BTreeMap;
use std::fmt;

use super::catalogue::{self, Key};
use super::properties::{self, Entry};
use super::settings::{Assigned, Origin, Settings};
use super::{listeners, value, yaml};

/// What the process was started with.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The file's path as the user wrote it, and its text. A name ending in `.properties` is Kafka's format, else YAML.
    pub file: Option<(String, String)>,
    /// The whole environment; only `KAFKA_*` and `OTTLA_*` are looked at.
    pub environment: Vec<(String, String)>,
    /// The flags that set something: how the user would recognise the flag, key, value.
    pub flags: Vec<(String, String, String)>,
}

/// Settings that may be started with, and what the user should hear once.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// At most one line for all names that change nothing, and one for each other oddity.
    pub warnings: Vec<String>,
}

/// One reason not to start. `Display` names place, key and value, what is allowed, and the nearest known key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// Every reason not to start, in the order of the layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// What Kafka's own start scripts and image read from the environment, which no broker sees.
const SCRIPT_VARIABLES: &[&str] = &[
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
];

/// Kafka's keys that configure a plug-in or one listener and so have no row of their own.
const OPEN_PREFIXES: &[&str] = &["listener.name.", "rsm.config.", "rlmm.config.", "config.providers."];

/// Loads all layers. Errors: all problems at once.
pub fn load(inputs: &Inputs) -> Result<Loaded, LoadError> {
    let mut loading = Loading::default();
    if let Some((path, text)) = &inputs.file {
        loading.read_file(path, text);
    }
    loading.read_environment(&inputs.environment);
    for (flag, key, value) in &inputs.flags {
        loading.assign(key, value, Origin::Flag(flag.clone()), Strictness::OursOnly);
    }
    loading.finish()
}

/// Whether a name that nobody knows is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    OursOnly,
    AsKafka,
}

#[derive(Default)]
struct Loading {
    assigned: BTreeMap<&'static str, Assigned>,
    without_effect: Vec<String>,
    problems: Vec<Problem>,
}

impl Loading {
    fn read_file(&mut self, path: &str, text: &str) {
        let origin = |line| Origin::File { path: path.to_owned(), line };
        let is_kafkas = path.ends_with(".properties");
        let entries: Vec<Entry> = if is_kafkas {
            match properties::parse(text) {
                Ok(entries) => entries,
                Err(line) => {
                    return self.refuse(origin(line), "a \\u escape needs four hexadecimal digits".to_owned());
                }
            }
        } else {
            match yaml::parse(text) {
                Ok(entries) => entries,
                Err(broken) => return self.refuse(origin(broken.line), broken.reason),
            }
        };
        let strictness = if is_kafkas { Strictness::AsKafka } else { Strictness::OursOnly };
        for entry in entries {
            self.assign(&entry.key, &entry.value, origin(entry.line), strictness);
        }
    }

    fn read_environment(&mut self, environment: &[(String, String)]) {
        let mut sorted: Vec<_> = environment.iter().collect();
        sorted.sort();
        for (prefix, strictness) in [("KAFKA_", Strictness::AsKafka), ("OTTLA_", Strictness::OursOnly)] {
            for (variable, value) in &sorted {
                let Some(name) = variable.strip_prefix(prefix) else { continue };
                if SCRIPT_VARIABLES.contains(&variable.as_str()) {
                    self.without_effect.push(variable.clone());
                    continue;
                }
                let key = key_of_variable(name);
                if strictness == Strictness::AsKafka && catalogue::find_broker_key(&key).is_none() {
                    self.without_effect.push(variable.clone());
                    continue;
                }
                self.assign(&key, value, Origin::Environment(variable.clone()), strictness);
            }
        }
    }

    fn assign(&mut self, name: &str, text: &str, origin: Origin, strictness: Strictness) {
        let Some(key) = catalogue::find_broker_key(name) else {
            if strictness == Strictness::AsKafka || OPEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                self.without_effect.push(name.to_owned());
                return;
            }
            return self.refuse(origin, unknown(name, text));
        };
        if let Err(error) = value::check(key, text) {
            let reason = error.to_string();
            let written = shown(key, text);
            return self.refuse(origin, format!("{name} = {written}: {reason}; allowed is {}", key.allowed()));
        }
        if !key.has_effect {
            self.without_effect.push(name.to_owned());
        }
        self.assigned.insert(key.name, Assigned { text: text.trim().to_owned(), origin });
    }

    fn refuse(&mut self, origin: Origin, message: String) {
        self.problems.push(Problem { origin, message });
    }

    fn finish(mut self) -> Result<Loaded, LoadError> {
        if !self.problems.is_empty() {
            return Err(LoadError { problems: self.problems });
        }
        let settings = Settings::new(std::mem::take(&mut self.assigned));
        for key in ["listeners", "advertised.listeners"] {
            if let Err(message) = listeners::parse_all(&settings, key) {
                self.refuse(settings.origin(key), format!("{key}: {message}"));
            }
        }
        if !self.problems.is_empty() {
            return Err(LoadError { problems: self.problems });
        }
        self.without_effect.sort();
        self.without_effect.dedup();
        let mut warnings = Vec::new();
        if !self.without_effect.is_empty() {
            warnings.push(format!("settings without effect here: {}", self.without_effect.join(", ")));
        }
        Ok(Loaded { settings, warnings })
    }
}

/// `NUM_PARTITIONS` is num.partitions; `__` stands for `_` and `___` for `-`, as in Kafka's own image.
fn key_of_variable(name: &str) -> String {
    name.to_ascii_lowercase().replace("___", "-").replace("__", "\u{0}").replace('_', ".").replace('\u{0}', "_")
}

fn unknown(name: &str, text: &str) -> String {
    match catalogue::nearest_broker_key(name) {
        Some(nearest) => format!("{name} = {text}: no setting has this name; the nearest is {nearest}"),
        None => format!("{name} = {text}: no setting has this name"),
    }
}

/// The value as it may be shown: a secret never is.
fn shown(key: &Key, text: &str) -> String {
    if key.is_sensitive() { "[hidden]".to_owned() } else { text.to_owned() }
}
