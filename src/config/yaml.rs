//! `config.yaml`: dotted keys, flat or grouped under sections, with the line each stands on. The only file that names
//! `serde_yaml`.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::properties::Entry;

/// What keeps a text from being read as settings, and the line it stands on (0 when unknown).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) reason: String,
}

/// The settings of a YAML text: `{log: {segment.bytes: 1}}` and `log.segment.bytes: 1` are the same; a list becomes Kafka's
/// comma-separated text; null leaves the default.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Broken> {
    let root: Value = serde_yaml::from_str(text).map_err(|error| Broken {
        line: error.location().map_or(0, |location| location.line()),
        reason: error.to_string(),
    })?;
    let lines = key_lines(text);
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

/// The line of every key in block style, by its dotted path. serde_yaml forgets lines once a text is well formed.
fn key_lines(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
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
        lines.entry(path.clone()).or_insert(index + 1);
        sections.push((indent, path));
    }
    lines
}
