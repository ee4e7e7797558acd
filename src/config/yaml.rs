//! YAML. `config.yaml`: dotted keys, flat or grouped under sections, with the line each stands on; and forms of their own. The only file
//! that names `serde_yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::properties::Entry;

/// A value as a setting is written: a text, a number, or true and false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        let value = Value::deserialize(deserializer)?;
        scalar(&value)
            .map(Scalar)
            .ok_or_else(|| serde::de::Error::custom("expected plain text, a number, true or false"))
    }
}

/// A text in a form of its own; an empty one is the form's default.
pub(super) fn read<T: DeserializeOwned + Default>(text: &str) -> Result<T, Broken> {
    let read: Result<Option<T>, _> = serde_yaml::from_str(text);
    read.map(Option::unwrap_or_default).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        Broken { line, reason: error.to_string() }
    })
}

/// What keeps a text from being read as settings, and the line it stands on (0 when unknown).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) reason: String,
}

/// The settings of a YAML text: `{log: {segment.bytes: 1}}` and `log.segment.bytes: 1` are the same; a list becomes Kafka's
/// comma-separated text; null leaves the default.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Broken> {
    let (lines, repeated) = key_lines(text);
    let root: Value = serde_yaml::from_str(text).map_err(|error| {
        let reason = error.to_string();
        // serde_yaml places a key that comes twice where its mapping begins.
        let repeated = repeated.filter(|_| reason.contains("duplicate"));
        Broken { line: repeated.or(error.location().map(|location| location.line())).unwrap_or(0), reason }
    })?;
    let mut entries = Vec::new();
    let mut pending = vec![(String::new(), root)];
    while let Some((path, value)) = pending.pop() {
        let line = lines.get(&path).copied().unwrap_or(0);
        let broken = |reason: String| Broken { line, reason };
        match value {
            Value::Null => {}
            Value::Mapping(mapping) => {
                for (key, value) in mapping {
                    let Some(key) = scalar(&key) else {
                        return Err(broken(format!("{path}: a key must be text")));
                    };
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    pending.push((path, value));
                }
            }
            Value::Sequence(sequence) => {
                let elements: Option<Vec<String>> = sequence.iter().map(scalar).collect();
                let Some(elements) = elements else {
                    return Err(broken(format!("{path}: an element of a list must be plain text or a number")));
                };
                entries.push(Entry { key: path, value: elements.join(","), line });
            }
            value => match scalar(&value) {
                Some(text) if !path.is_empty() => entries.push(Entry { key: path, value: text, line }),
                _ => return Err(broken("expected `setting: value` lines".to_owned())),
            },
        }
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        _ => None,
    }
}

/// The line of every key in block style by its dotted path, and the line on which one comes a second time. serde_yaml
/// forgets lines once a text is well formed.
fn key_lines(text: &str) -> (BTreeMap<String, usize>, Option<usize>) {
    let mut lines = BTreeMap::new();
    let mut repeated = None;
    let mut sections: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.trim_start();
        let Some((key, _)) = content.split_once(':') else { continue };
        if content.starts_with('#') {
            continue;
        }
        let indent = line.len() - content.len();
        while sections.last().is_some_and(|(outer, _)| *outer >= indent) {
            sections.pop();
        }
        let key = key.trim().trim_matches(['"', '\'']);
        let path = match sections.last() {
            Some((_, section)) => format!("{section}.{key}"),
            None => key.to_owned(),
        };
        if lines.insert(path.clone(), index + 1).is_some() {
            repeated = repeated.or(Some(index + 1));
        }
        sections.push((indent, path));
    }
    (lines, repeated)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("num.partitions: 3\n", "num.partitions=3@1")]
    #[case("num:\n  partitions: 3\n  io.threads: 4\n", "num.partitions=3@2 num.io.threads=4@3")]
    #[case("# a: 1\na: true\n\nb: 0.5\nc: \"x: y\"\n", "a=true@2 b=0.5@4 c=x: y@5")]
    #[case("a: [x, y]\nb:\n  - 1\n  - 2\n", "a=x,y@1 b=1,2@2")]
    #[case("a: null\nb:\n", "")]
    #[case("a: 9223372036854775807\nb: -1\n", "a=9223372036854775807@1 b=-1@2")]
    #[case("listeners: PLAINTEXT://localhost:9092\n", "listeners=PLAINTEXT://localhost:9092@1")]
    #[case("", "")]
    fn keys_are_dotted_and_know_their_line(#[case] text: &str, #[case] entries: &str) {
        let parsed = parse(text).expect("a well-formed file");
        let shown: Vec<String> =
            parsed.iter().map(|entry| format!("{}={}@{}", entry.key, entry.value, entry.line)).collect();
        assert_eq!(shown.join(" "), entries);
    }

    #[rstest]
    #[case("a: 1\nb: [1\n", 3)]
    #[case("a: 1\na: 2\n", 2)]
    #[case("just text", 0)]
    #[case("a: [[1]]\n", 1)]
    fn a_text_that_is_no_list_of_settings_is_refused(#[case] text: &str, #[case] line: usize) {
        assert_eq!(parse(text).map_err(|broken| broken.line), Err(line));
    }
}
