//! The checks of what a client wants to set on a group or a client metrics subscription.

use super::catalogue;
use super::describe::Overrides;
use super::settings::Settings;
use super::value::{self, ConfigError};
use crate::model::ErrorCode;

/// What the broker allows groups to set. Source: `GroupConfig.validate`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupLimits {
    limits: Vec<Limit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    /// The group's setting.
    name: &'static str,
    /// The broker's setting that bounds it.
    bound_name: &'static str,
    bound: i64,
    is_min: bool,
}

/// Group settings that the broker bounds, in the order in which Kafka looks at them, and the names of the bounds.
const BOUNDED: &[(&str, Option<&str>, Option<&str>)] = &[
    (
        "consumer.heartbeat.interval.ms",
        Some("group.consumer.min.heartbeat.interval.ms"),
        Some("group.consumer.max.heartbeat.interval.ms"),
    ),
    (
        "consumer.session.timeout.ms",
        Some("group.consumer.min.session.timeout.ms"),
        Some("group.consumer.max.session.timeout.ms"),
    ),
    (
        "consumer.assignment.interval.ms",
        Some("group.consumer.min.assignment.interval.ms"),
        Some("group.consumer.max.assignment.interval.ms"),
    ),
    (
        "share.heartbeat.interval.ms",
        Some("group.share.min.heartbeat.interval.ms"),
        Some("group.share.max.heartbeat.interval.ms"),
    ),
    (
        "share.session.timeout.ms",
        Some("group.share.min.session.timeout.ms"),
        Some("group.share.max.session.timeout.ms"),
    ),
    (
        "share.record.lock.duration.ms",
        Some("group.share.min.record.lock.duration.ms"),
        Some("group.share.max.record.lock.duration.ms"),
    ),
    (
        "share.delivery.count.limit",
        Some("group.share.min.delivery.count.limit"),
        Some("group.share.max.delivery.count.limit"),
    ),
    (
        "share.partition.max.record.locks",
        Some("group.share.min.partition.max.record.locks"),
        Some("group.share.max.partition.max.record.locks"),
    ),
    (
        "share.assignment.interval.ms",
        Some("group.share.min.assignment.interval.ms"),
        Some("group.share.max.assignment.interval.ms"),
    ),
    (
        "streams.heartbeat.interval.ms",
        Some("group.streams.min.heartbeat.interval.ms"),
        Some("group.streams.max.heartbeat.interval.ms"),
    ),
    (
        "streams.session.timeout.ms",
        Some("group.streams.min.session.timeout.ms"),
        Some("group.streams.max.session.timeout.ms"),
    ),
    ("streams.num.standby.replicas", None, Some("group.streams.max.standby.replicas")),
    (
        "streams.assignment.interval.ms",
        Some("group.streams.min.assignment.interval.ms"),
        Some("group.streams.max.assignment.interval.ms"),
    ),
];

/// Of the same group, the first must stay above the second.
const ORDERED: &[(&str, &str)] = &[
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

impl GroupLimits {
    /// Everything is allowed that a row allows.
    pub const NONE: GroupLimits = GroupLimits { limits: Vec::new() };

    pub fn of(settings: &Settings) -> GroupLimits {
        let mut limits = Vec::new();
        for (name, min, max) in BOUNDED {
            for (bound_name, is_min) in [(min, true), (max, false)] {
                let Some(bound_name) = *bound_name else { continue };
                limits.push(Limit { name, bound_name, bound: settings.get_i64(bound_name), is_min });
            }
        }
        GroupLimits { limits }
    }
}

/// Checks overrides of a group. Errors: an unknown name, a value that its row does not allow, or one that the broker's own
/// settings do not.
pub fn validate_group_configs(overrides: &Overrides, limits: &GroupLimits) -> Result<(), ConfigError> {
    for (name, text) in overrides {
        match catalogue::find_group_key(name) {
            Some(key) => value::check(key, text)?,
            None => return Err(ConfigError::UnknownGroupConfig(name.clone())),
        }
    }
    let number = |name: &str| overrides.get(name).and_then(|text| text.trim().parse::<i64>().ok());
    for limit in &limits.limits {
        let Some(value) = number(limit.name) else { continue };
        let (breaks, relation) = match limit.is_min {
            true => (value < limit.bound, "greater"),
            false => (value > limit.bound, "less"),
        };
        if breaks {
            let (name, bound_name) = (limit.name, limit.bound_name);
            return Err(ConfigError::Conflict(format!("{name} must be {relation} than or equal to {bound_name}")));
        }
    }
    for (upper, lower) in ORDERED {
        let of = |name: &str| number(name).or_else(|| catalogue::find_group_key(name)?.default?.parse().ok());
        if of(upper) <= of(lower) {
            return Err(ConfigError::Conflict(format!("{upper} must be greater than {lower}")));
        }
    }
    Ok(())
}

/// What a pattern of a client metrics subscription may select by (`ClientMetricsConfigs.ClientMatchingParams`).
const SELECTORS: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Checks overrides of a client metrics subscription. Errors: an unknown name or an interval out of range is INVALID_REQUEST,
/// anything else INVALID_CONFIG (`ClientMetricsConfigs.validate`).
pub fn validate_client_metrics_configs(overrides: &Overrides) -> Result<(), (ErrorCode, ConfigError)> {
    let invalid = |error: ConfigError| (error.code(), error);
    let refuse = |message: String| (ErrorCode::InvalidRequest, ConfigError::Conflict(message));
    for (name, text) in overrides {
        let Some(key) = catalogue::CLIENT_METRICS_KEYS.iter().find(|key| key.name == name) else {
            return Err(refuse(format!("Unknown client metrics configuration: {name}")));
        };
        value::check(key, text).map_err(invalid)?;
        match name.as_str() {
            "interval.ms"
                if !text.trim().parse::<i64>().is_ok_and(|interval| (100..=3_600_000).contains(&interval)) =>
            {
                return Err(refuse(format!(
                    "Invalid value {text} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
                )));
            }
            "match" => value::parse_list(text).into_iter().try_for_each(check_pattern).map_err(invalid)?,
            _ => {}
        }
    }
    Ok(())
}

/// A selector, and a regular expression of what it selects.
fn check_pattern(pattern: &str) -> Result<(), ConfigError> {
    let is_legal = pattern
        .split_once('=')
        .is_some_and(|(selector, expression)| SELECTORS.contains(&selector.trim()) && is_balanced(expression.trim()));
    if is_legal { Ok(()) } else { Err(ConfigError::Conflict(format!("Illegal client matching pattern: {pattern}"))) }
}

/// Whether groups and classes of a regular expression are closed: what people get wrong. Nothing here runs the expression.
fn is_balanced(expression: &str) -> bool {
    let (mut depth, mut in_class, mut is_escaped) = (0_i32, false, false);
    for character in expression.chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !in_class && !is_escaped && !expression.is_empty()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn overrides(written: &str) -> Overrides {
        let pairs = written.split(';').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// As Apache Kafka 4.3.1 answers.
    #[rstest]
    #[case("foo=1", "Unknown group config name: foo")]
    #[case("consumer.session.timeout.ms=50000", "")]
    #[case(
        "consumer.session.timeout.ms=44999",
        "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"
    )]
    #[case(
        "consumer.session.timeout.ms=60001",
        "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms"
    )]
    #[case(
        "streams.num.standby.replicas=3",
        "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas"
    )]
    #[case("interval.ms=10000", "Unknown group config name: interval.ms")]
    fn a_group_keeps_within_the_brokers_limits(#[case] written: &str, #[case] answer: &str) {
        let limits = GroupLimits::of(&Settings::default());
        let judged = validate_group_configs(&overrides(written), &limits);
        assert_eq!(judged.err().map(|error| error.to_string()).unwrap_or_default(), answer);
    }

    /// As Apache Kafka 4.3.1 answers.
    #[rstest]
    #[case("foo=1", "INVALID_REQUEST Unknown client metrics configuration: foo")]
    #[case("interval.ms=100", "")]
    #[case(
        "interval.ms=99",
        "INVALID_REQUEST Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)"
    )]
    #[case("interval.ms=x", "INVALID_CONFIG Invalid value x for configuration interval.ms: Not a number of type INT")]
    #[case("match=client_id=a.*,client_source_port=[0-9]+", "")]
    #[case("match=colour=blue", "INVALID_CONFIG Illegal client matching pattern: colour=blue")]
    #[case("match=client_id", "INVALID_CONFIG Illegal client matching pattern: client_id")]
    #[case("match=client_id=(", "INVALID_CONFIG Illegal client matching pattern: client_id=(")]
    fn a_subscription_says_what_kafka_understands(#[case] written: &str, #[case] answer: &str) {
        let judged = validate_client_metrics_configs(&overrides(written));
        assert_eq!(judged.err().map(|(code, error)| format!("{code} {error}")).unwrap_or_default(), answer);
    }
}
