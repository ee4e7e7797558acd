//! The settings of one process: every broker key with its value and where that came from, and typed getters.
//!
//! A getter asserts that the key exists and has that type: a wrong name is our fault, not the user's.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::catalogue::{self, Key, ValueType};
use super::listeners::{self, Listener, Roles};
use super::topic::Durability;
use super::value;

/// Which layer a value came from. `Display` says it as a person would look for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    File {
        path: String,
        line: usize,
    },
    Environment(String),
    Flag(String),
    /// What another setting's value says.
    Setting(&'static str),
}

impl Origin {
    /// Where its layer comes in the order of layers: of two values the later one holds.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment(variable) if variable.starts_with("KAFKA_") => 2,
            Origin::Environment(_) => 3,
            Origin::Flag(_) | Origin::Setting(_) => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: 0 } => f.write_str(path),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Environment(variable) => write!(f, "environment variable {variable}"),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Setting(name) => f.write_str(name),
        }
    }
}

/// A value that was given, over the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// All settings of one process, checked. Invariant: every text has passed `value::check` for its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    assigned: BTreeMap<&'static str, Assigned>,
}

impl Settings {
    pub(super) fn new(assigned: BTreeMap<&'static str, Assigned>) -> Settings {
        Settings { assigned }
    }

    /// The value of a broker key as text; `None` is Kafka's null. Panics on a name that is not in the catalogue.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        let key = catalogue::find_broker_key(name).unwrap_or_else(|| panic!("no broker setting is named {name}"));
        match self.assigned.get(key.name) {
            Some(assigned) => Some(&assigned.text),
            None => key.default,
        }
    }

    /// The value of a text, class or password key; empty for null.
    pub fn get_str(&self, name: &str) -> &str {
        self.get_text(name).unwrap_or_default()
    }

    /// The value of a whole-number key of any width; `None` is null.
    pub fn get_optional_i64(&self, name: &str) -> Option<i64> {
        let text = self.get_text(name)?;
        Some(text.trim().parse().unwrap_or_else(|_| panic!("{name} holds no whole number")))
    }

    /// The value of a whole-number key that is never null.
    pub fn get_i64(&self, name: &str) -> i64 {
        self.get_optional_i64(name).unwrap_or_else(|| panic!("{name} is null"))
    }

    /// As [`Settings::get_i64`], for Kafka's `INT` and `SHORT` keys.
    pub fn get_i32(&self, name: &str) -> i32 {
        i32::try_from(self.get_i64(name)).unwrap_or_else(|_| panic!("{name} does not fit 32 bits"))
    }

    /// As [`Settings::get_i64`], for keys whose range excludes negative numbers.
    pub fn get_u64(&self, name: &str) -> u64 {
        u64::try_from(self.get_i64(name)).unwrap_or_else(|_| panic!("{name} is negative"))
    }

    /// As [`Settings::get_u64`], for sizes and counts in memory.
    pub fn get_usize(&self, name: &str) -> usize {
        usize::try_from(self.get_i64(name)).unwrap_or_else(|_| panic!("{name} is no size"))
    }

    /// The value of a `DOUBLE` key.
    pub fn get_f64(&self, name: &str) -> f64 {
        value::parse_double(self.get_str(name).trim()).unwrap_or_else(|| panic!("{name} holds no number"))
    }

    /// The value of a `BOOLEAN` key.
    pub fn get_bool(&self, name: &str) -> bool {
        value::parse_bool(self.get_str(name).trim()).unwrap_or_else(|| panic!("{name} is neither true nor false"))
    }

    /// The elements of a `LIST` key; none for null.
    pub fn get_list(&self, name: &str) -> Vec<&str> {
        value::parse_list(self.get_str(name))
    }

    /// Where the value of a broker key came from.
    pub fn origin(&self, name: &str) -> Origin {
        self.assigned.get(name).map_or(Origin::Default, |assigned| assigned.origin.clone())
    }

    /// What a layer said about a key; `None` when its default holds.
    pub(super) fn assigned(&self, name: &str) -> Option<&str> {
        self.assigned.get(name).map(|assigned| assigned.text.as_str())
    }

    /// Every broker key with its value, to be shown: secrets are replaced by `[hidden]`.
    pub fn effective(&self) -> Vec<(&'static Key, Option<&str>, Origin)> {
        let mut rows: Vec<_> = catalogue::broker_keys()
            .map(|key| {
                let value = match (key.value_type, self.get_text(key.name)) {
                    (ValueType::Password, Some(_)) => Some("[hidden]"),
                    (_, value) => value,
                };
                (key, value, self.origin(key.name))
            })
            .collect();
        rows.sort_by_key(|(key, _, _)| key.name);
        rows
    }

    /// This node's id, from `node.id` or `broker.id`.
    pub fn node_id(&self) -> i32 {
        self.get_i32("node.id")
    }

    /// The directories that hold partitions: `log.dirs`, or else `log.dir`, or else `./data`.
    pub fn log_dirs(&self) -> Vec<PathBuf> {
        let name = match (self.assigned("log.dirs"), self.assigned("log.dir")) {
            (None, Some(_)) => "log.dir",
            _ => "log.dirs",
        };
        self.get_list(name).into_iter().map(PathBuf::from).collect()
    }

    /// Refuses a value of `cordoned.log.dirs` that names what is none of this broker's directories; `*` is all of them. In
    /// Kafka's words (`KafkaConfig.validateCordonedLogDirs`).
    pub fn check_cordoned(&self, text: &str) -> Result<(), String> {
        let own = self.log_dirs();
        let is_own = |name: &&str| *name == "*" || own.iter().any(|dir| dir == Path::new(name));
        let missing: Vec<&str> = value::parse_list(text).into_iter().filter(|name| !is_own(name)).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : {}",
                missing.join(", ")
            )),
        }
    }

    /// The listeners that clients connect to, in the order they were written. Controller listeners are left out.
    pub fn listeners(&self) -> Vec<Listener> {
        listeners::parse_for_brokers(self, "listeners").expect("listeners were parsed when the settings were loaded")
    }

    /// Every listener that is opened, in the order they were written.
    pub fn all_listeners(&self) -> Vec<Listener> {
        listeners::parse_all(self, "listeners").expect("listeners were parsed when the settings were loaded")
    }

    /// The listeners that this process is there for: those of clients, or of controllers when it is nothing else.
    pub fn own_listeners(&self) -> Vec<Listener> {
        if self.is_broker() { self.listeners() } else { self.controller_listeners() }
    }

    /// The listeners that are kept for controllers.
    pub fn controller_listeners(&self) -> Vec<Listener> {
        self.try_controller_listeners().expect("listeners were parsed when the settings were loaded")
    }

    /// As [`Settings::controller_listeners`]; `None` when they cannot be read.
    pub(super) fn try_controller_listeners(&self) -> Option<Vec<Listener>> {
        let clients = listeners::parse_for_brokers(self, "listeners").ok()?;
        let all = listeners::parse_all(self, "listeners").ok()?;
        Some(all.into_iter().filter(|listener| !clients.contains(listener)).collect())
    }

    /// The advertised address of a listener for controllers, if `advertised.listeners` names one.
    pub fn advertised_controller_listener(&self, name: &str) -> Option<Listener> {
        let all = listeners::parse_all(self, "advertised.listeners").ok()?;
        all.into_iter().find(|listener| listener.name == name)
    }

    /// The name of the listener that brokers use among each other: `inter.broker.listener.name`, or else the one named after
    /// `security.inter.broker.protocol`, or else the first that speaks it.
    pub fn inter_broker_listener(&self) -> String {
        let protocol = self.get_str("security.inter.broker.protocol");
        let name = self.get_text("inter.broker.listener.name").unwrap_or(protocol);
        let listeners = self.listeners();
        let named = listeners.iter().find(|listener| listener.name.eq_ignore_ascii_case(name));
        let speaking = || listeners.iter().find(|listener| listener.security_protocol.name() == protocol);
        let found = named.or_else(speaking).or(listeners.first());
        found.map_or_else(|| name.to_ascii_uppercase(), |listener| listener.name.clone())
    }

    /// The first listener that controllers serve.
    pub fn controller_listener(&self) -> Listener {
        let own = self.controller_listeners().into_iter().next();
        let of_brokers = || {
            let name = self.inter_broker_listener();
            self.listeners().into_iter().find(|listener| listener.name == name)
        };
        own.or_else(of_brokers).expect("settings without a listener do not load")
    }

    /// What a listener is for. Without one that `controller.listener.names` names, controllers use that of the brokers, so
    /// that a node with nothing but defaults can be joined.
    pub fn roles_of(&self, listener: &Listener) -> Roles {
        let controllers = self.controller_listeners();
        if controllers.contains(listener) {
            return Roles::CONTROLLER;
        }
        match (listener.name == self.inter_broker_listener(), controllers.is_empty()) {
            (true, true) => Roles::CLIENT.and(Roles::INTER_BROKER).and(Roles::CONTROLLER),
            (true, false) => Roles::CLIENT.and(Roles::INTER_BROKER),
            (false, _) => Roles::CLIENT,
        }
    }

    /// What Metadata tells clients to connect to, one for each listener, by name. A host of [`Listener::is_wildcard`] means:
    /// tell each connection the address that it has reached us by.
    pub fn advertised_listeners(&self) -> Vec<Listener> {
        listeners::advertised(self).expect("listeners were parsed when the settings were loaded")
    }

    /// Where metrics and health are told over HTTP, if anywhere.
    pub fn http_listener(&self) -> Option<Listener> {
        listeners::parse_http(self).expect("the address was parsed when the settings were loaded")
    }

    /// Whether anyone beyond this machine can connect without authentication: worth one clear warning.
    pub fn is_open_without_authentication(&self) -> bool {
        self.own_listeners()
            .iter()
            .any(|listener| !listener.is_loopback() && !listener.security_protocol.authenticates())
    }

    /// The rule of `acks.durability` for topics that do not choose for themselves.
    pub fn durability(&self) -> Durability {
        Durability::of(self.get_str("acks.durability"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "")]
    #[case("*", "")]
    #[case("./data", "")]
    #[case(" ./data , *", "")]
    #[case("/b,./data,/c", "/b, /c")]
    fn only_own_directories_can_be_cordoned(#[case] text: &str, #[case] missing: &str) {
        let refused = Settings::default().check_cordoned(text).err();
        let expected = "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : ";
        assert_eq!(
            refused.unwrap_or_default(),
            if missing.is_empty() { "".into() } else { format!("{expected}{missing}") }
        );
    }
}
