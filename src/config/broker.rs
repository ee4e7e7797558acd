//! What brokers may be told while they run: each setting by itself, and those together that must agree.

use std::collections::BTreeMap;

use super::catalogue::{self, Key, ValueType};
use super::describe::Overrides;
use super::settings::Settings;
use super::value::{self, ConfigError};

/// Checks overrides of a broker. A name that nobody knows is taken, as by Kafka. Errors: a value that its row does not allow, which
/// a client is told as INVALID_REQUEST; a TLS or SASL setting without the prefix of a listener.
pub fn validate_broker_configs(overrides: &Overrides) -> Result<(), ConfigError> {
    check_listener_prefix(overrides.keys().map(String::as_str))?;
    overrides.iter().try_for_each(|(name, text)| match catalogue::find_broker_key(name) {
        Some(key) => value::check(key, text).and_then(|()| check_broker_value(key, text.trim())),
        None => Ok(()),
    })
}

/// What Kafka's broker refuses of a value beyond its type and range. Source: `KafkaConfig.validateValues`, and the listeners of
/// its dynamic settings.
fn check_broker_value(key: &Key, text: &str) -> Result<(), ConfigError> {
    let refuse = |message: String| Err(ConfigError::Conflict(message));
    let name = key.name;
    let is_below = |least: i64| text.parse::<i64>().is_ok_and(|number| number < least);
    match name {
        // There are no classes here but those that stand for what is built in.
        _ if key.value_type == ValueType::Class && !text.is_empty() && Some(text) != key.default => {
            let (name, value) = (name.to_owned(), text.to_owned());
            Err(ConfigError::InvalidValue { name, value, reason: format!("Class {text} could not be found.") })
        }
        "log.roll.ms" if is_below(1) => {
            refuse("requirement failed: log.roll.ms must be greater than or equal to 1".to_owned())
        }
        "log.roll.jitter.ms" if is_below(0) => {
            refuse("requirement failed: log.roll.jitter.ms must be greater than or equal to 0".to_owned())
        }
        "log.retention.ms" if text.parse() == Ok(0) => refuse(
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1".to_owned(),
        ),
        "max.connections" if is_below(1) => refuse(of_reconfiguration(&format!("Invalid max.connections {text}"))),
        "metric.reporters" if !text.is_empty() => refuse(of_reconfiguration(&format!(
            "Validation of dynamic config update of Set({name}) failed with class class kafka.server.DynamicMetricsReporters"
        ))),
        "max.connections.per.ip.overrides" | "listener.security.protocol.map" => {
            let pairs = value::parse_list(text);
            if let Some(pair) = pairs.iter().find(|pair| !pair.contains(':')) {
                return refuse(format!(
                    "Error parsing configuration property '{name}': begin 0, end -1, length {}",
                    pair.len()
                ));
            }
            let limits = pairs.iter().filter_map(|pair| Some(pair.rsplit_once(':')?.1.trim()));
            match limits.filter(|_| name.starts_with("max.")).find(|limit| limit.parse::<i32>().is_err()) {
                Some(limit) => refuse(format!("For input string: \"{limit}\"")),
                None => Ok(()),
            }
        }
        "listeners" => match value::parse_list(text).into_iter().find(|listener| !listener.contains("://")) {
            Some(listener) => refuse(format!(
                "Error creating broker listeners from '[{text}]': Unable to parse {listener} to a broker endpoint"
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// `SslConfigs.RECONFIGURABLE_CONFIGS`.
const PER_LISTENER: &[&str] = &[
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Errors: TLS settings of one broker that do not say for which listener they are.
pub fn check_listener_prefix<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), ConfigError> {
    let per_listener: Vec<&str> = names.filter(|name| PER_LISTENER.contains(name)).collect();
    if per_listener.is_empty() {
        return Ok(());
    }
    Err(ConfigError::Conflict(format!(
        "These security configs can be dynamically updated only per-listener using the listener prefix: [{}]",
        per_listener.join(", ")
    )))
}

/// The pools whose size Kafka lets change by half or double at a time (`DynamicThreadPool`).
const POOLS: &[&str] = &[
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];
const CLEANERS: &str = "log.cleaner.threads";
const CLEANERS_BUFFER: &str = "log.cleaner.dedupe.buffer.size";
const PER_IP: &str = "max.connections.per.ip";
const PER_IP_OVERRIDES: &str = "max.connections.per.ip.overrides";

/// Of the settings that are judged together, what a broker was started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartSettings(BTreeMap<&'static str, String>);

impl StartSettings {
    /// The defaults.
    pub const NONE: StartSettings = StartSettings(BTreeMap::new());

    pub fn of(settings: &Settings) -> StartSettings {
        let names = POOLS.iter().chain(&[CLEANERS, CLEANERS_BUFFER, PER_IP, PER_IP_OVERRIDES]);
        StartSettings(names.map(|name| (*name, settings.get_str(name).to_owned())).collect())
    }
}

/// A broker's settings at one moment: its own, else those of all brokers, else those that it was started with.
#[derive(Clone, Copy)]
pub struct BrokerLayers<'a> {
    pub own: &'a Overrides,
    pub all: &'a Overrides,
    pub start: &'a StartSettings,
}

impl BrokerLayers<'_> {
    fn text(&self, name: &'static str) -> &str {
        let set = self.own.get(name).or(self.all.get(name)).or(self.start.0.get(name));
        let default = || catalogue::find_broker_key(name).and_then(|key| key.default).unwrap_or_default();
        set.map_or_else(default, String::as_str).trim()
    }

    fn number(&self, name: &'static str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// Why these cannot stand together. The setting to look at, and Kafka's words.
    fn contradiction(&self) -> Option<(&'static str, String)> {
        let threads = self.number(CLEANERS);
        // Kafka, which divides by it, says so.
        if threads < 1 {
            return Some((CLEANERS, "Log cleaner threads should be at least 1".to_owned()));
        }
        if self.number(CLEANERS_BUFFER) / threads < 1 << 20 {
            let reason = format!("requirement failed: {CLEANERS_BUFFER} must be at least 1MB per cleaner thread.");
            return Some((CLEANERS_BUFFER, reason));
        }
        if self.number(PER_IP) == 0 && self.text(PER_IP_OVERRIDES).is_empty() {
            let reason =
                format!("requirement failed: {PER_IP} can be set to zero only if {PER_IP_OVERRIDES} property is set.");
            return Some((PER_IP, reason));
        }
        None
    }
}

/// Errors: what a broker was started with contradicts itself, in the words of [`check_broker_change`].
pub(super) fn contradiction_at_start(settings: &Settings) -> Option<(&'static str, String)> {
    let (none, start) = (Overrides::new(), StartSettings::of(settings));
    BrokerLayers { own: &none, all: &none, start: &start }.contradiction()
}

/// Checks a change of a running broker's settings as a whole. Errors: settings that contradict each other, or a pool that would be
/// more than doubled or halved. Source: `KafkaConfig.validateValues`, `DynamicThreadPool` and `LogCleaner.validateReconfiguration`.
pub fn check_broker_change(before: BrokerLayers<'_>, after: BrokerLayers<'_>) -> Result<(), ConfigError> {
    let is_new = |(name, _): &(&'static str, String)| {
        let concerned = if *name == PER_IP { [PER_IP, PER_IP_OVERRIDES] } else { [CLEANERS, CLEANERS_BUFFER] };
        concerned.iter().any(|name| before.text(name) != after.text(name))
    };
    if let Some((_, reason)) = after.contradiction().filter(is_new) {
        return Err(ConfigError::Conflict(reason));
    }
    for name in POOLS.iter().copied().chain([CLEANERS]) {
        let (old, new) = (before.number(name), after.number(name));
        let (is_far_below, is_far_above) = (new < old / 2, new > old * 2);
        if !is_far_below && !is_far_above {
            continue;
        }
        let pool = format!("Dynamic thread count update validation failed for {name}={new}, value should");
        let reason = match (name, is_far_below) {
            (CLEANERS, true) => {
                format!("Log cleaner threads cannot be reduced to less than half the current value {old}")
            }
            (CLEANERS, false) => {
                format!("Log cleaner threads cannot be increased to more than double the current value {old}")
            }
            (_, true) => format!("{pool} be at least half the current value {old}"),
            (_, false) => format!("{pool} not be greater than double the current value {old}"),
        };
        return Err(ConfigError::Conflict(of_reconfiguration(&reason)));
    }
    Ok(())
}

/// As Kafka's broker tells what a part of it says of a change.
fn of_reconfiguration(reason: &str) -> String {
    format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: {reason} for configuration Invalid dynamic configuration"
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "log.segment.bytes=1",
        "Invalid value 1 for configuration log.segment.bytes: Value must be at least 1048576"
    )]
    #[case("log.segment.bytes=x", "Invalid value x for configuration log.segment.bytes: Not a number of type INT")]
    #[case("log.segment.bytes=2000000", "")]
    #[case("foo=2", "")]
    #[case(
        "log.retention.ms=0",
        "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1"
    )]
    #[case(
        "max.connections=0",
        "Invalid value org.apache.kafka.common.config.ConfigException: Invalid max.connections 0 for configuration Invalid \
         dynamic configuration"
    )]
    #[case("max.connections.per.ip.overrides=127.0.0.1:x", "For input string: \"x\"")]
    #[case(
        "ssl.key.password=x",
        "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.key.password]"
    )]
    fn a_broker_override_is_judged_as_kafka_judges_it(#[case] written: &str, #[case] answer: &str) {
        let pair = written.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let judged = validate_broker_configs(&pair.into_iter().collect());
        assert_eq!(judged.err().map(|error| error.to_string()).unwrap_or_default(), answer);
    }

    fn overrides(written: &str) -> Overrides {
        let pairs = written.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// From what to what one broker's own settings go.
    #[rstest]
    #[case("", "num.io.threads=16", "")]
    #[case("", "num.io.threads=4", "")]
    #[case(
        "",
        "num.io.threads=3",
        "Dynamic thread count update validation failed for num.io.threads=3, value should be at least half the current value 8"
    )]
    #[case("num.io.threads=16", "", "")]
    #[case(
        "num.io.threads=32",
        "",
        "Dynamic thread count update validation failed for num.io.threads=8, value should be at least half the current value 32"
    )]
    #[case(
        "",
        "num.replica.fetchers=3",
        "Dynamic thread count update validation failed for num.replica.fetchers=3, value should not be greater than double the current value 1"
    )]
    #[case(
        "",
        "log.cleaner.threads=3",
        "Log cleaner threads cannot be increased to more than double the current value 1"
    )]
    #[case("log.cleaner.threads=4", "", "Log cleaner threads cannot be reduced to less than half the current value 4")]
    #[case("", "log.cleaner.threads=0", "Log cleaner threads should be at least 1")]
    #[case(
        "",
        "log.cleaner.threads=2 log.cleaner.dedupe.buffer.size=2097151",
        "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."
    )]
    #[case("", "log.cleaner.threads=2 log.cleaner.dedupe.buffer.size=2097152", "")]
    #[case(
        "",
        "max.connections.per.ip=0",
        "requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
    )]
    #[case("", "max.connections.per.ip=0 max.connections.per.ip.overrides=h:1", "")]
    #[case(
        "max.connections.per.ip=0 max.connections.per.ip.overrides=h:1",
        "max.connections.per.ip=0",
        "requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
    )]
    // What was so before does not stand in the way of another change.
    #[case("max.connections.per.ip=0", "max.connections.per.ip=0 log.cleaner.threads=2", "")]
    fn settings_of_a_broker_are_judged_together(#[case] before: &str, #[case] after: &str, #[case] reason: &str) {
        let (none, before, after) = (Overrides::new(), overrides(before), overrides(after));
        let start = StartSettings::NONE;
        let layers = |own| BrokerLayers { own, all: &none, start: &start };
        let judged = check_broker_change(layers(&before), layers(&after)).err().map(|error| error.to_string());
        let judged = judged.unwrap_or_default();
        let wrapped = of_reconfiguration(reason);
        assert!(judged == reason || (!reason.is_empty() && judged == wrapped), "{judged:?}");
    }

    #[test]
    fn of_a_brokers_settings_its_own_count_then_those_of_all_then_those_of_the_start() {
        let (none, own, all) = (Overrides::new(), overrides("num.io.threads=60"), overrides("num.io.threads=40"));
        let start = StartSettings([("num.io.threads", "20".to_owned())].into());
        let at = |own, all| BrokerLayers { own, all, start: &start };
        assert!(check_broker_change(at(&none, &none), at(&none, &all)).is_ok());
        assert!(check_broker_change(at(&none, &none), at(&own, &none)).is_err(), "three times as many");
        assert!(check_broker_change(at(&none, &all), at(&own, &all)).is_ok());
    }
}
