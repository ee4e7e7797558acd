//! One value against its row: Kafka's parsing and Kafka's words when it does not fit (`ConfigDef.parseType` and its validators).

use super::catalogue::{Key, Rule, ValueType};
use crate::model::ErrorCode;

/// Why a setting cannot be taken. `Display` gives Kafka's own message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("Unknown topic config name: {0}")]
    UnknownTopicConfig(String),
    #[error("Unknown group config name: {0}")]
    UnknownGroupConfig(String),
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue { name: String, value: String, reason: String },
    #[error("{0}")]
    Conflict(String),
}

impl ConfigError {
    /// What a client is told: all of these are INVALID_CONFIG.
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::InvalidConfig
    }

    fn invalid(key: &Key, value: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::InvalidValue { name: key.name.to_owned(), value: value.to_owned(), reason: reason.into() }
    }
}

/// Checks a value as it was written. Errors: [`ConfigError::InvalidValue`].
pub(super) fn check(key: &Key, text: &str) -> Result<(), ConfigError> {
    let text = text.trim();
    match key.value_type {
        ValueType::Boolean => {
            if parse_bool(text).is_none() {
                return Err(ConfigError::invalid(key, text, "Expected value to be either true or false"));
            }
            Ok(())
        }
        ValueType::Int => check_integer(key, text, text.parse::<i32>().ok().map(i64::from), "INT"),
        ValueType::Short => check_integer(key, text, text.parse::<i16>().ok().map(i64::from), "SHORT"),
        ValueType::Long => check_integer(key, text, text.parse::<i64>().ok(), "LONG"),
        ValueType::Double => check_double(key, text),
        ValueType::List => check_list(key, text),
        ValueType::String | ValueType::Class | ValueType::Password => check_text(key, text),
    }
}

/// `true` or `false` in any case, as Kafka reads them.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

/// The elements of a list, trimmed; none for an empty text.
pub fn parse_list(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(str::trim).collect()
}

fn check_integer(key: &Key, text: &str, number: Option<i64>, type_name: &str) -> Result<(), ConfigError> {
    let Some(number) = number else {
        return Err(ConfigError::invalid(key, text, format!("Not a number of type {type_name}")));
    };
    let (min, max) = match key.rule {
        Rule::AtLeast(min) => (min, i64::MAX),
        Rule::Between(min, max) => (min, max),
        Rule::GzipLevel if number != -1 && !(1..=9).contains(&number) => {
            return Err(ConfigError::invalid(key, text, "Value must be between 1 and 9 or equal to -1"));
        }
        _ => (i64::MIN, i64::MAX),
    };
    if number < min {
        return Err(ConfigError::invalid(key, text, format!("Value must be at least {min}")));
    }
    if number > max {
        return Err(ConfigError::invalid(key, text, format!("Value must be no more than {max}")));
    }
    Ok(())
}

fn check_double(key: &Key, text: &str) -> Result<(), ConfigError> {
    let Some(number) = parse_double(text) else {
        return Err(ConfigError::invalid(key, text, "Not a number of type DOUBLE"));
    };
    if let Rule::BetweenRatio(min, max) = key.rule {
        // Kafka prints the number it has read, `2.0` for `2`.
        if number < min {
            return Err(ConfigError::invalid(key, &java_double(number), format!("Value must be at least {min}")));
        }
        if number > max {
            return Err(ConfigError::invalid(key, &java_double(number), format!("Value must be no more than {max}")));
        }
    }
    Ok(())
}

/// A number as `Double.toString` prints it.
fn java_double(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-3..1e7).contains(&magnitude) {
        let text = format!("{number:E}");
        return match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        };
    }
    format!("{number:?}")
}

/// A number as `Double.parseDouble` reads it: a trailing `f` or `d` is allowed.
pub(super) fn parse_double(text: &str) -> Option<f64> {
    text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text).parse().ok()
}

fn check_list(key: &Key, text: &str) -> Result<(), ConfigError> {
    let elements = parse_list(text);
    let (allowed, may_be_empty): (&[&str], bool) = match key.rule {
        Rule::List => (&[], true),
        Rule::NonEmptyList => (&[], false),
        Rule::ListOf(allowed) => (allowed, false),
        Rule::ListOfOrEmpty(allowed) => (allowed, true),
        _ => return check_throttled_replicas(key, &elements),
    };
    if elements.is_empty() && !may_be_empty {
        let valid =
            if allowed.is_empty() { "any non-empty value".to_owned() } else { format!("[{}]", allowed.join(", ")) };
        let message = format!("Configuration '{}' must not be empty. Valid values include: {valid}", key.name);
        return Err(ConfigError::Conflict(message));
    }
    for element in elements {
        if element.is_empty() {
            return Err(ConfigError::Conflict(format!("Configuration '{}' values must not be empty.", key.name)));
        }
        if !allowed.is_empty() && !allowed.contains(&element) {
            return Err(ConfigError::invalid(key, element, format!("String must be one of: {}", allowed.join(", "))));
        }
    }
    Ok(())
}

fn check_throttled_replicas(key: &Key, elements: &[&str]) -> Result<(), ConfigError> {
    if matches!(key.rule, Rule::ThrottledReplicas) && !is_throttled_replicas(elements) {
        let reason = format!(
            "{} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            key.name
        );
        return Err(ConfigError::invalid(key, &format!("[{}]", elements.join(", ")), reason));
    }
    Ok(())
}

/// `*`, or nothing, or pairs of numbers.
fn is_throttled_replicas(elements: &[&str]) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_pair = |text: &&str| text.split_once(':').is_some_and(|(left, right)| is_number(left) && is_number(right));
    elements == ["*"] || elements.iter().all(is_pair)
}

fn check_text(key: &Key, text: &str) -> Result<(), ConfigError> {
    match key.rule {
        Rule::OneOf(allowed) if !allowed.contains(&text) => {
            Err(ConfigError::invalid(key, text, format!("String must be one of: {}", allowed.join(", "))))
        }
        Rule::OneOfAnyCase(allowed) if !allowed.iter().any(|known| known.eq_ignore_ascii_case(text)) => {
            let reason = format!("String must be one of (case insensitive): {}", allowed.join(", "));
            Err(ConfigError::invalid(key, text, reason))
        }
        Rule::NonEmpty if text.is_empty() => Err(ConfigError::invalid(key, text, "String must be non-empty")),
        Rule::ShareAutoOffsetReset if !matches!(text, "latest" | "earliest") && !text.starts_with("by_duration:P") => {
            let reason = format!(
                "Invalid value `{text}` for configuration {}. The value must be either 'earliest', 'latest' or of the format \
                 'by_duration:<PnDTnHnMn.nS>'.",
                key.name
            );
            Err(ConfigError::invalid(key, text, reason))
        }
        _ => Ok(()),
    }
}
