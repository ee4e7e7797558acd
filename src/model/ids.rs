//! Ids, offsets and epochs: each a type of its own, so that two of them cannot change places.

use std::fmt;
use std::ops::{Add, Sub};

use uuid::Uuid;

/// A position in a partition: the number of one record. -1 stands for "none" where Kafka says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The first offset of a log.
    pub const ZERO: Offset = Offset(0);
    /// Kafka's "no offset".
    pub const NONE: Offset = Offset(-1);
}

impl Add<i64> for Offset {
    type Output = Offset;
    fn add(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl Sub<Offset> for Offset {
    type Output = i64;
    fn sub(self, other: Offset) -> i64 {
        self.0 - other.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! int_id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

int_id! {
    /// How many times the leadership of a partition has changed; stamped on every batch. -1 means unknown (KIP-101).
    LeaderEpoch(i32)
}
int_id! {
    /// `node.id` of a broker or controller.
    BrokerId(i32)
}
int_id! {
    /// The number of a partition within its topic, from 0.
    PartitionIndex(i32)
}
int_id! {
    /// An idempotent or transactional producer; -1 means none (KIP-98).
    ProducerId(i64)
}
int_id! {
    /// The incarnation of a producer id; a lower one is fenced. -1 means none.
    ProducerEpoch(i16)
}
int_id! {
    /// A producer's number for a record within one partition; after 2³¹−1 comes 0. -1 means none.
    Sequence(i32)
}

impl ProducerId {
    /// Kafka's `RecordBatch.NO_PRODUCER_ID`.
    pub const NONE: ProducerId = ProducerId(-1);
}

impl Sequence {
    /// The sequence `count` records later, wrapping from 2³¹−1 to 0 (`DefaultRecordBatch.incrementSequence`).
    pub fn plus(self, count: i32) -> Sequence {
        let sum = i64::from(self.0) + i64::from(count);
        let wrapped = if sum > i64::from(i32::MAX) { sum - i64::from(i32::MAX) - 1 } else { sum };
        Sequence(i32::try_from(wrapped).expect("a wrapped sum of two i32 fits an i32"))
    }
}

/// A topic's id: never used again, also when a topic of the same name is created anew (KIP-516).
/// `Display` is Kafka's 22 characters of URL-safe base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// Kafka's `Uuid.ZERO_UUID`: no id.
    pub const ZERO: TopicId = TopicId(Uuid::nil());
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(*self.0.as_bytes());
        let mut text = [0u8; 22];
        for (index, char) in text.iter_mut().enumerate() {
            // 22 characters of 6 bits are 132 bits: the last character holds 2 bits and 4 zeros.
            let shifted = if index < 21 { bits >> (122 - 6 * index) } else { bits << 4 };
            *char = BASE64_URL[usize::try_from(shifted & 63).expect("six bits")];
        }
        f.write_str(std::str::from_utf8(&text).expect("base64 is ASCII"))
    }
}

impl std::str::FromStr for TopicId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TopicId, &'static str> {
        if text.len() != 22 {
            return Err("a topic id has 22 characters of URL-safe base64");
        }
        let mut bits = 0u128;
        for (index, char) in text.bytes().enumerate() {
            let value = BASE64_URL.iter().position(|known| *known == char).ok_or("not URL-safe base64")?;
            let value = u128::try_from(value).expect("below 64");
            bits = if index < 21 { bits | value << (122 - 6 * index) } else { bits | value >> 4 };
        }
        Ok(TopicId(Uuid::from_u128(bits)))
    }
}

/// A partition by the name of its topic; `Display` is Kafka's `topic-0`, which is also its directory name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: std::sync::Arc<str>,
    pub partition: PartitionIndex,
}

impl TopicPartition {
    pub fn new(topic: &str, partition: PartitionIndex) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Kafka's limit on a topic name, in characters: with `-` and a partition number it must fit a directory name.
const TOPIC_NAME_CHARS_MAX: usize = 249;

/// Whether a topic may have this name; the error is Kafka's own text after "Topic name is invalid: "
/// (`org.apache.kafka.common.internals.Topic.validate`).
pub fn check_topic_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the empty string is not allowed".into());
    }
    if name == "." || name == ".." {
        return Err(format!("'{name}' is not allowed"));
    }
    if name.chars().count() > TOPIC_NAME_CHARS_MAX {
        return Err(format!("the length of '{name}' is longer than the max allowed length {TOPIC_NAME_CHARS_MAX}"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return Err(format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ));
    }
    Ok(())
}

/// Whether Kafka treats the topic as its own (`Topic.INTERNAL_TOPICS`).
pub fn is_internal_topic(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_at_two_to_the_31() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 2).plus(5), Sequence(2));
        assert_eq!(Sequence(5).plus(0), Sequence(5));
        assert_eq!(Sequence(i32::MAX).plus(i32::MAX), Sequence(i32::MAX - 1));
    }

    #[test]
    fn topic_ids_print_as_kafka_prints_them() {
        let id = TopicId(Uuid::from_u128(1));
        assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(id));
        let id = TopicId(Uuid::from_u128(u128::MAX));
        assert_eq!(id.to_string(), "_____________________w");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn topic_names_are_checked_as_kafka_checks_them() {
        for name in ["a", "A.b_c-9", &"x".repeat(249)] {
            assert_eq!(check_topic_name(name), Ok(()));
        }
        for name in ["", ".", "..", "a/b", "a b", "ü", &"x".repeat(250)] {
            assert!(check_topic_name(name).is_err(), "{name}");
        }
    }
}
