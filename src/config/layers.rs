//! Defaults, then a file, then the environment, then flags: each layer over the one before, every value checked.
//!
//! A name that nobody knows is an error where only Ottla's users write (`config.yaml`, `OTTLA_*`, flags) and at most a warning
//! where Kafka's do (`server.properties`, `KAFKA_*`), since those carry things for scripts and for older versions too.

use std::collections::BTreeMap;
use std::fmt;

use super::catalogue::{self, Key, OLD_NAME_OF_NODE_ID};
use super::properties::{self, Entry};
use super::settings::{Assigned, Origin, Settings};
use super::{consistency, value, yaml};

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

/// Whom the commands for people ask; no setting of a server, which may still run where it is set.
pub const BOOTSTRAP_SERVER_VARIABLE: &str = "OTTLA_BOOTSTRAP_SERVER";

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
                if variable == BOOTSTRAP_SERVER_VARIABLE {
                    continue;
                }
                if SCRIPT_VARIABLES.contains(&variable.as_str()) || is_service_link(name) {
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
        if let Some(earlier) = self.assigned.get(key.name)
            && let (Origin::Flag(earlier), Origin::Flag(_)) = (&earlier.origin, &origin)
        {
            let reason = format!("{name} = {text}: already set by {earlier}");
            return self.refuse(origin, reason);
        }
        if !key.is_heeded() {
            self.without_effect.push(name.to_owned());
        }
        self.assigned.insert(key.name, Assigned { text: text.trim().to_owned(), origin });
    }

    /// One setting with an old name and a new one: whichever was given holds for both, and of two the one of the later layer.
    /// Two of one layer stay, to be compared.
    fn settle_node_id(&mut self) {
        for (given, other) in [("node.id", OLD_NAME_OF_NODE_ID), (OLD_NAME_OF_NODE_ID, "node.id")] {
            let Some(assigned) = self.assigned.get(given).cloned() else { continue };
            let layer_of_other = self.assigned.get(other).map_or(0, |other| other.origin.layer());
            if assigned.origin.layer() > layer_of_other {
                self.assigned.insert(other, assigned);
            }
        }
    }

    fn refuse(&mut self, origin: Origin, message: String) {
        self.problems.push(Problem { origin, message });
    }

    fn finish(mut self) -> Result<Loaded, LoadError> {
        if !self.problems.is_empty() {
            return Err(LoadError { problems: self.problems });
        }
        self.settle_node_id();
        let settings = Settings::new(std::mem::take(&mut self.assigned));
        for (key, reason) in consistency::complaints(&settings) {
            let written = settings.get_text(key).unwrap_or("null");
            self.problems
                .push(Problem { origin: settings.origin(key), message: format!("{key} = {written}: {reason}") });
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

/// Kubernetes announces a service named `ottla` or `kafka` by such variables, to every container beside it.
fn is_service_link(name: &str) -> bool {
    name == "PORT" || ["PORT_", "SERVICE_HOST", "SERVICE_PORT"].iter().any(|prefix| name.starts_with(prefix))
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::{Listener, SecurityProtocol};
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let split = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.lines().filter_map(split).collect()
    }

    fn load_text(path: &str, text: &str, environment: &str, flags: &str) -> Result<Loaded, String> {
        let flags = pairs(flags).into_iter().map(|(key, value)| ("--set".to_owned(), key, value)).collect();
        let file = Some((path.to_owned(), text.to_owned()));
        load(&Inputs { file, environment: pairs(environment), flags }).map_err(|error| error.to_string())
    }

    #[test]
    fn a_later_layer_wins_and_every_value_knows_where_it_came_from() {
        let file = "num.partitions: 2\nfetch.max.bytes: 2000\nmax.connections: 2\n";
        let environment = "KAFKA_NUM_PARTITIONS=3\nKAFKA_FETCH_MAX_BYTES=3000\nOTTLA_FETCH_MAX_BYTES=4000\n\
                           OTTLA_BOOTSTRAP_SERVER=broker:9092\nHOME=/root";
        let loaded = load_text("c.yaml", file, environment, "num.partitions=5").expect("good settings");
        let shown = |name: &str| {
            let settings = &loaded.settings;
            format!("{} from {}", settings.get_i64(name), settings.origin(name))
        };
        assert_eq!(shown("num.partitions"), "5 from flag --set");
        assert_eq!(shown("fetch.max.bytes"), "4000 from environment variable OTTLA_FETCH_MAX_BYTES");
        assert_eq!(shown("max.connections"), "2 from c.yaml:3");
        assert_eq!(shown("log.segment.bytes"), "1073741824 from default");
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_server_properties_of_kafka_is_taken_unchanged() {
        let text = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
                    listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
                    advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
                    controller.listener.names=CONTROLLER\n\
                    listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n\
                    num.network.threads=3\nlog.dirs=/tmp/kraft-combined-logs\nzookeeper.connect=localhost:2181\n";
        let loaded = load_text("server.properties", text, "KAFKA_HEAP_OPTS=-Xmx1G\nKAFKA_PORT=tcp://10.0.0.1", "")
            .expect("good");
        let listener = |host: &str| Listener {
            name: "PLAINTEXT".to_owned(),
            host: host.to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        };
        assert_eq!(loaded.settings.listeners(), [listener("")]);
        assert_eq!(loaded.settings.advertised_listeners(), [listener("localhost")]);
        assert!(loaded.settings.is_open_without_authentication());
        let expected =
            "settings without effect here: KAFKA_HEAP_OPTS, KAFKA_PORT, num.network.threads, zookeeper.connect";
        assert_eq!(loaded.warnings, [expected]);
    }

    #[test]
    fn the_file_of_the_docker_image_holds_alone_and_in_a_cluster() {
        let file = include_str!("../../docker/image.yaml");
        let loaded = |environment| load_text("image.yaml", file, environment, "").expect("good settings");
        let alone = loaded("OTTLA_BOOTSTRAP_SERVER=broker:19092");
        assert_eq!(alone.warnings, Vec::<String>::new());
        assert!(alone.settings.listeners().iter().all(Listener::is_wildcard));
        let advertised: Vec<String> = alone.settings.advertised_listeners().iter().map(Listener::to_string).collect();
        assert_eq!(advertised, ["localhost:9092", ":19092"]);
        let member = loaded(
            "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER\nKAFKA_INTER_BROKER_LISTENER_NAME=CONTAINERS\n\
             KAFKA_LISTENERS=PLAINTEXT://:9092,CONTAINERS://:19092,CONTROLLER://:29093\n\
             KAFKA_CONTROLLER_QUORUM_VOTERS=1@node-1:29093,2@node-2:29093,3@node-3:29093\nKAFKA_NODE_ID=1\n\
             KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092,CONTAINERS://node-1:19092",
        );
        assert_eq!(member.warnings, Vec::<String>::new());
        assert_eq!(member.settings.controller_listeners().len(), 1);
    }

    #[rstest]
    #[case("broker.id=7", "", "", "7")]
    #[case("broker.id=7", "KAFKA_NODE_ID=8", "", "8")]
    #[case("node.id=7", "KAFKA_BROKER_ID=8", "node.id=9", "9")]
    #[case("node.id=7", "KAFKA_BROKER_ID=8\nOTTLA_NODE_ID=9", "", "9")]
    #[case("broker.id=7\nnode.id=7", "", "", "7")]
    fn the_old_name_of_a_nodes_id_counts_as_the_new_one(
        #[case] file: &str,
        #[case] environment: &str,
        #[case] flags: &str,
        #[case] id: &str,
    ) {
        let loaded = load_text("server.properties", file, environment, flags).expect("one id");
        assert_eq!(loaded.settings.get_text("node.id"), Some(id));
        assert_eq!(loaded.settings.get_text("broker.id"), Some(id));
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }

    /// File, environment, flags, and the whole text that the user reads.
    #[rstest]
    #[case(
        "a: 1\nnum.partition: 3\n",
        "",
        "",
        "c.yaml:1: a = 1: no setting has this name\n\
         c.yaml:2: num.partition = 3: no setting has this name; the nearest is num.partitions"
    )]
    #[case(
        "num.partitions: 0",
        "",
        "",
        "c.yaml:1: num.partitions = 0: Invalid value 0 for configuration num.partitions: Value must be at least 1; \
         allowed is a whole number of 32 bits, at least 1"
    )]
    #[case(
        "",
        "KAFKA_NUM_PARTITIONS=x",
        "",
        "environment variable KAFKA_NUM_PARTITIONS: num.partitions = x: Invalid value x for configuration num.partitions: \
         Not a number of type INT; allowed is a whole number of 32 bits, at least 1"
    )]
    #[case(
        "",
        "OTTLA_NUM_PARTITION=3",
        "",
        "environment variable OTTLA_NUM_PARTITION: num.partition = 3: no setting has this name; the nearest is num.partitions"
    )]
    #[case(
        "",
        "",
        "acks.durabilty=flushed",
        "flag --set: acks.durabilty = flushed: no setting has this name; the nearest is acks.durability"
    )]
    #[case(
        "",
        "",
        "acks.durability=maybe",
        "flag --set: acks.durability = maybe: Invalid value maybe for configuration acks.durability: String must be one of: \
         flushed, page-cache; allowed is one of flushed, page-cache"
    )]
    #[case(
        "listeners: SSL://localhost:9093",
        "",
        "",
        "c.yaml:1: listeners = SSL://localhost:9093: SSL speaks SSL, which this version does not support; use PLAINTEXT"
    )]
    #[case(
        "",
        "",
        "listeners=EXTERNAL://localhost:9093",
        "flag --set: listeners = EXTERNAL://localhost:9093: \"EXTERNAL://localhost:9093\": listener.security.protocol.map \
         does not say what EXTERNAL speaks"
    )]
    #[case(
        "",
        "",
        "listeners=PLAINTEXT://a:70000",
        "flag --set: listeners = PLAINTEXT://a:70000: \"PLAINTEXT://a:70000\": \"70000\" is no port, which is a number from \
         0 to 65535"
    )]
    #[case(
        "",
        "",
        "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
        "flag --set: advertised.listeners = PLAINTEXT://0.0.0.0:9092: 0.0.0.0:9092 cannot be connected to; name an address \
         that clients can reach"
    )]
    #[case(
        "broker.id: 1\nnode.id: 2\n",
        "",
        "",
        "c.yaml:1: broker.id = 1: broker.id is the old name of node.id, and they differ"
    )]
    #[case(
        "",
        "",
        "controller.quorum.voters=2@a:1,3@b:1",
        "flag --set: controller.quorum.voters = 2@a:1,3@b:1: node.id 1 is not among the voters: add 1@<host>:<port of its \
         controller listener>, or set process.roles=broker"
    )]
    #[case(
        "",
        "",
        "controller.quorum.voters=1@a:1,1@b:1",
        "flag --set: controller.quorum.voters = 1@a:1,1@b:1: two voters have the id 1; every node needs its own"
    )]
    #[case(
        "",
        "",
        "controller.quorum.bootstrap.servers=a",
        "flag --set: controller.quorum.bootstrap.servers = a: a is not host:port"
    )]
    #[case(
        "",
        "",
        "controller.listener.names=C",
        "flag --set: controller.listener.names = C: none of these names is among the listeners: add one such as \
         NAME://host:9093"
    )]
    #[case(
        "",
        "",
        "broker.session.timeout.ms=399",
        "default: broker.heartbeat.interval.ms = 200: two heartbeats must fit into broker.session.timeout.ms = 399, or one \
         that is late fences the broker"
    )]
    #[case(
        "",
        "",
        "group.min.session.timeout.ms=2000000",
        "flag --set: group.min.session.timeout.ms = 2000000: group.min.session.timeout.ms = 2000000 must not exceed \
         group.max.session.timeout.ms = 1800000"
    )]
    #[case(
        "",
        "",
        "logging.level=loud",
        "flag --set: logging.level = loud: loud is no level: give error, warn, info, debug, trace or off, or a target with \
         one of them, such as ottla::log=debug"
    )]
    #[case(
        "",
        "",
        "max.connections.per.ip.overrides=10.0.0.1:5,10.0.0.2",
        "flag --set: max.connections.per.ip.overrides = 10.0.0.1:5,10.0.0.2: 10.0.0.2 is no address with a number of \
         connections, such as 10.0.0.1:5"
    )]
    #[case("", "", "log.dirs=a,b,a", "flag --set: log.dirs = a,b,a: a is named twice")]
    #[case(
        "log.dirs: /a\n",
        "",
        "cordoned.log.dirs=/b,/a,/c",
        "flag --set: cordoned.log.dirs = /b,/a,/c: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. \
         Missing entries : /b, /c"
    )]
    #[case(
        "",
        "",
        "process.roles=broker",
        "flag --set: process.roles = broker: a broker alone needs to know its controllers: set \
         controller.quorum.bootstrap.servers, or controller.quorum.voters"
    )]
    #[case(
        "",
        "",
        "process.roles=controller",
        "default: listeners = PLAINTEXT://localhost:9092: PLAINTEXT is for clients, and a process that is only a controller \
         serves none: keep the listeners that controller.listener.names names\n\
         default: controller.listener.names = CONTROLLER: none of these names is among the listeners: add one such as \
         NAME://host:9093"
    )]
    #[case(
        "",
        "",
        "process.roles=controller
listeners=CONTROLLER://a:1,PLAINTEXT://b:2",
        "flag --set: listeners = CONTROLLER://a:1,PLAINTEXT://b:2: PLAINTEXT is for clients, and a process that is only a \
         controller serves none: keep the listeners that controller.listener.names names"
    )]
    #[case(
        "num.partitions: [1",
        "",
        "",
        "c.yaml:2: did not find expected ',' or ']' at line 2 column 1, while parsing a \
         flow sequence at line 1 column 17"
    )]
    #[case(
        "ssl.key.password: hunter2\nauthorizer.class.name: a.B\n",
        "",
        "",
        "c.yaml:2: authorizer.class.name = a.B: this version cannot authorise, and so does not start with it set"
    )]
    fn what_cannot_be_started_with_is_named(
        #[case] file: &str,
        #[case] environment: &str,
        #[case] flags: &str,
        #[case] problems: &str,
    ) {
        assert_eq!(load_text("c.yaml", file, environment, flags).map(|_| ()), Err(problems.to_owned()));
    }

    #[rstest]
    #[case("logging.level=WARN,ottla::log=debug,")]
    #[case("logging.level=off")]
    #[case("logging.level=info,[span{a=1,b=2}]=debug")]
    #[case("max.connections.per.ip.overrides=10.0.0.1:5, [::1]:3,host:4")]
    fn what_says_something_is_taken(#[case] flags: &str) {
        assert_eq!(load_text("c.yaml", "", "", flags).map(|_| ()), Ok(()));
    }

    #[rstest]
    #[case("NUM_PARTITIONS", "num.partitions")]
    #[case("A__B_C", "a_b.c")]
    #[case("A___B", "a-b")]
    #[case("A____B", "a-.b")]
    fn a_variable_names_a_key_as_in_kafkas_image(#[case] variable: &str, #[case] key: &str) {
        assert_eq!(key_of_variable(variable), key);
    }
}
