//! A line of a dialogue: a verb, plain words and `key=value` words.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

/// `commit g t-0=5 member=a-1` has verb `commit`, words `g` and `t-0=5`, and `member`.
pub(super) struct Line<'a> {
    pub(super) verb: &'a str,
    pub(super) words: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

const NAMES: &[&str] = &[
    "as",
    "client",
    "default",
    "fail",
    "generation",
    "instance",
    "member",
    "metadata",
    "name",
    "protocols",
    "rebalance",
    "retention",
    "session",
    "size",
    "stable",
    "states",
    "topic-id",
    "type",
    "types",
    "version",
    "delay",
    "assignments",
];

impl<'a> Line<'a> {
    pub(super) fn parse(text: &'a str) -> Line<'a> {
        let mut words = text.split_whitespace();
        let verb = words.next().expect("an event has a verb");
        let mut line = Line { verb, words: Vec::new(), named: BTreeMap::new() };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) if NAMES.contains(&name) => drop(line.named.insert(name, value)),
                _ => line.words.push(word),
            }
        }
        line
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.named.get(name).copied()
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or(default).trim_matches('"').to_owned()
    }

    pub(super) fn number<N: std::str::FromStr>(&self, name: &str, default: N) -> N {
        self.get(name).map_or(default, |value| value.parse().ok().expect("a number"))
    }

    /// The values of a `name=a,b` word.
    pub(super) fn list(&self, name: &str) -> Vec<&'a str> {
        self.get(name).map(|value| value.split(',').filter(|part| !part.is_empty()).collect()).unwrap_or_default()
    }

    /// The group, which is the first plain word.
    pub(super) fn group(&self) -> String {
        self.words.first().copied().unwrap_or_default().trim_matches('"').to_owned()
    }
}

/// `range/t+u` is what a consumer subscribed to t and u says for the protocol `range`; `p:bytes` is plain.
pub(super) fn protocol(text: &str) -> (String, Bytes) {
    if let Some((name, plain)) = text.split_once(':') {
        return (name.to_owned(), Bytes::copy_from_slice(plain.as_bytes()));
    }
    let (name, topics) = text.split_once('/').unwrap_or((text, ""));
    let topics: Vec<&str> = topics.split('+').filter(|topic| !topic.is_empty()).collect();
    let mut metadata = BytesMut::new();
    metadata.put_i16(3);
    metadata.put_i32(i32::try_from(topics.len()).expect("few"));
    for topic in topics {
        metadata.put_i16(i16::try_from(topic.len()).expect("short"));
        metadata.put_slice(topic.as_bytes());
    }
    (name.to_owned(), metadata.freeze())
}

/// `t-0` is partition 0 of t.
pub(super) fn partition(text: &str) -> (String, i32) {
    let (topic, partition) = text.rsplit_once('-').expect("topic-partition");
    (topic.to_owned(), partition.parse().expect("a partition number"))
}
