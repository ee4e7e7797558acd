//! Records as they travel between the runner and a client's program, and what a topic must hold after they were sent.

use std::fmt;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a key, value or header; base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Blob).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() > 60 {
            return write!(formatter, "{} bytes, crc {:08x}", self.0.len(), crc32c::crc32c(&self.0));
        }
        write!(formatter, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// One record. Null and empty are different things in Kafka, for keys, values and header values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    pub partition: usize,
    /// The position in its partition; what is sent has none yet.
    #[serde(default)]
    pub offset: i64,
    pub key: Option<Blob>,
    pub value: Option<Blob>,
    pub headers: Vec<(String, Option<Blob>)>,
    /// Create time, in ms since 1970.
    pub timestamp: i64,
}

impl Record {
    /// As a client shows it that takes empty for null.
    pub fn with_null_for_empty(mut self) -> Record {
        let or_null = |blob: Option<Blob>| blob.filter(|blob| !blob.0.is_empty());
        self.key = or_null(self.key);
        self.value = or_null(self.value);
        self.headers = self.headers.into_iter().map(|(name, value)| (name, or_null(value))).collect();
        self
    }
}

/// The size of the large record in every mix: 1 MB, as Kafka's default limit of a batch allows.
const LARGE_BYTES: usize = 1_000_000;

/// A mix of what users send: null, empty, short and large values, with and without key and headers, over all partitions.
/// Record `i` is one second younger than record `i - 1`; the first has `first_timestamp`.
pub fn mix(count: usize, partitions: usize, first_timestamp: i64) -> Vec<Record> {
    (0..count).map(|i| one_of_mix(i, count, partitions, first_timestamp)).collect()
}

fn one_of_mix(i: usize, count: usize, partitions: usize, first_timestamp: i64) -> Record {
    let value = match i % 11 {
        _ if i == count / 2 => Some(noise(LARGE_BYTES)),
        3 => None,
        5 => Some(Vec::new()),
        _ => Some(format!("value {i} {}", "abcdefgh".repeat(i % 40)).into_bytes()),
    };
    let key = match (&value, i % 7) {
        // Some clients refuse a record with neither.
        (Some(_), 1) => None,
        (Some(_), 2) => Some(Vec::new()),
        _ => Some(format!("key {i}").into_bytes()),
    };
    let headers = match i % 3 {
        0 => vec![],
        1 => vec![header("only", vec![])],
        _ => vec![
            header("twice", b"first".to_vec()),
            header("twice", b"second".to_vec()),
            header("every-byte", (0..=255).collect()),
        ],
    };
    let timestamp = first_timestamp + 1000 * i64::try_from(i).expect("a small count");
    Record { partition: i % partitions, offset: 0, key: key.map(Blob), value: value.map(Blob), headers, timestamp }
}

fn header(name: &str, value: Vec<u8>) -> (String, Option<Blob>) {
    (name.to_string(), Some(Blob(value)))
}

/// Short records with a value that is used once only, for groups.
pub fn numbered(name: &str, count: usize, partitions: usize, timestamp: i64) -> Vec<Record> {
    let one = |i| {
        let value = Some(Blob(format!("{name} {i}").into_bytes()));
        Record { partition: i % partitions, offset: 0, key: None, value, headers: vec![], timestamp }
    };
    (0..count).map(one).collect()
}

/// Bytes that no codec can shrink, the same in every run (xorshift).
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Fails unless `read` holds exactly the records of `expected`: each once, in order in its partition, equal in every part.
pub fn same_in_order(expected: &[Record], read: &[Record], partitions: usize) -> anyhow::Result<()> {
    let outside = read.iter().find(|record| record.partition >= partitions);
    ensure!(outside.is_none(), "read from a partition that is not there: {outside:?}");
    for partition in 0..partitions {
        let expected: Vec<&Record> = expected.iter().filter(|record| record.partition == partition).collect();
        let read: Vec<&Record> = read.iter().filter(|record| record.partition == partition).collect();
        for (expected, read) in expected.iter().zip(&read) {
            ensure!(expected == read, "sent {expected:?}, read {read:?}");
        }
        if let Some(missing) = expected.get(read.len()) {
            let (got, of) = (read.len(), expected.len());
            anyhow::bail!("partition {partition}: read {got} of {of} records; the next would be {missing:?}");
        }
        if let Some(extra) = read.get(expected.len()) {
            anyhow::bail!("partition {partition}: read more than was sent: {extra:?}");
        }
    }
    Ok(())
}

/// The records in a client's answer.
pub fn records_of(answer: &serde_json::Value) -> anyhow::Result<Vec<Record>> {
    let records = answer.get("records").context("the answer has no records")?;
    serde_json::from_value(records.clone()).context("records that cannot be read")
}

#[cfg(test)]
mod tests {
    use super::{Record, mix, same_in_order};

    /// What a client would read of the mix: with offsets.
    fn sent() -> Vec<Record> {
        let mut records = mix(40, 2, 1_000);
        for (index, record) in records.iter_mut().enumerate() {
            record.offset = i64::try_from(index / 2).unwrap();
        }
        records
    }

    /// Changes what was read, and whether it is still taken for what was sent.
    fn check(change: impl FnOnce(&mut Vec<Record>), same: bool) {
        let mut read = sent();
        change(&mut read);
        assert_eq!(same_in_order(&sent(), &read, 2).is_ok(), same);
    }

    #[test]
    fn equal_records_in_order_of_their_partition_are_the_same() {
        check(|_| (), true);
        check(|read| read.sort_by_key(|record| record.partition), true);
    }

    #[test]
    fn lost_doubled_and_swapped_records_are_not() {
        check(|read| drop(read.remove(7)), false);
        check(|read| drop(read.pop()), false);
        check(|read| read.push(read[39].clone()), false);
        check(|read| read.insert(3, read[3].clone()), false);
        check(|read| read.swap(4, 6), false);
        check(|read| read[5].partition = 2, false);
    }

    #[test]
    fn a_change_in_any_part_is_seen() {
        check(|read| read[11].timestamp += 1, false);
        check(|read| read[11].offset += 1, false);
        check(|read| read[11].key = None, false);
        check(|read| read[11].value = None, false);
        check(|read| read[11].headers.swap(0, 1), false);
        check(|read| read[11].headers[0].1 = None, false);
    }

    #[test]
    fn the_mix_has_null_empty_and_large_values_and_keys() {
        let records = mix(120, 4, 0);
        let has = |wanted: fn(&Record) -> bool| records.iter().any(wanted);
        assert!(has(|record| record.value.is_none()));
        assert!(has(|record| record.value.as_ref().is_some_and(|value| value.0.is_empty())));
        assert!(has(|record| record.value.as_ref().is_some_and(|value| value.0.len() == 1_000_000)));
        assert!(has(|record| record.key.is_none()));
        assert!(has(|record| record.key.as_ref().is_some_and(|key| key.0.is_empty())));
        assert!(has(|record| record.headers.len() == 3));
    }
}
