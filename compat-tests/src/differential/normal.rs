//! Replaces what may differ between two right servers by names: ids, addresses, the time of day.

use std::collections::BTreeMap;
use std::path::Path;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// Arrays whose order says nothing: Kafka fills them from hash maps.
const UNORDERED: &[&str] = &["configResources", "synonyms", "topics"];
/// Arrays, unordered too, whose elements are told apart by one field: that field's value becomes their name, so that an
/// element more or less is one difference and does not shift the others.
const KEYED: &[(&str, &str)] = &[
    ("apiKeys", "apiKey"),
    ("supportedFeatures", "name"),
    ("finalizedFeatures", "name"),
    ("configs", "name"),
    ("groups", "groupId"),
    ("members", "memberId"),
    ("results", "groupId"),
];
/// A clock of today, in ms; the scripts' own timestamps are older.
const TODAY_FROM_MS: i64 = 1_770_000_000_000;
const ZERO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The names given so far in one transcript.
pub struct Names {
    given: BTreeMap<String, String>,
    uuid: Regex,
    window: Regex,
    cluster: Regex,
    address: String,
    data: String,
}

impl Names {
    /// `address` is the server's, as `host:port`, and `data` its data directory.
    pub fn new(address: &str, data: &Path) -> Names {
        let uuid = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").expect("it is constant");
        let window = Regex::new(r"\[-?\d{12,}, \d{12,}\]").expect("it is constant");
        let cluster = Regex::new(r#"the cluster id "[^"]*""#).expect("it is constant");
        let (address, data) = (address.to_owned(), data.display().to_string());
        Names { given: BTreeMap::new(), uuid, window, cluster, address, data }
    }

    /// The value with names in place of what may differ.
    pub fn replace(&mut self, value: &Value) -> Value {
        self.replace_field("", value)
    }

    fn replace_field(&mut self, field: &str, value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(name, value)| (name.clone(), self.replace_field(name, value))).collect(),
            ),
            Value::Array(elements) => {
                let mut elements: Vec<Value> =
                    elements.iter().map(|element| self.replace_field(field, element)).collect();
                if let Some(keyed) = keyed(field, &elements) {
                    return Value::Object(keyed);
                }
                if UNORDERED.contains(&field) {
                    elements.sort_by_key(Value::to_string);
                }
                Value::Array(elements)
            }
            Value::Number(number) => self.number(field, number.as_i64().unwrap_or(0), value),
            Value::String(text) => Value::String(self.text(field, text)),
            other => other.clone(),
        }
    }

    fn number(&mut self, field: &str, number: i64, value: &Value) -> Value {
        let name = match field {
            "port" => "<port>",
            "sessionId" if number != 0 => "<session>",
            "totalBytes" | "usableBytes" if number > 0 => "<bytes>",
            "producerId" if number >= 0 => "<producer>",
            "finalizedFeaturesEpoch" if number >= 0 => "<epoch>",
            _ if number > TODAY_FROM_MS => "<today>",
            _ => return value.clone(),
        };
        Value::String(name.to_owned())
    }

    fn text(&mut self, field: &str, text: &str) -> String {
        match field {
            "clusterId" => return "<cluster>".to_owned(),
            "host" | "clientHost" => return "<host>".to_owned(),
            "topicId" if text != ZERO_ID => return self.name("topic-id", text),
            _ => {}
        }
        let text = text.replace(&self.address, "<address>").replace(&self.data, "<data>");
        // The window of timestamps that a record may have moves with the clock.
        let text = self.window.replace_all(&text, "[<from>, <to>]").into_owned();
        let text = self.cluster.replace_all(&text, "the cluster id \"<cluster>").into_owned();
        let uuid = self.uuid.clone();
        let text = uuid.replace_all(&text, |found: &Captures<'_>| self.name("uuid", &found[0])).into_owned();
        // A topic id within a message: ids named before are known by sight.
        self.given
            .iter()
            .filter(|(known, _)| known.len() == 22)
            .fold(text, |text, (known, name)| text.replace(known, name))
    }

    fn name(&mut self, kind: &str, text: &str) -> String {
        let next = self.given.values().filter(|name| name.starts_with(&format!("<{kind}-"))).count() + 1;
        self.given.entry(text.to_owned()).or_insert_with(|| format!("<{kind}-{next}>")).clone()
    }
}

/// The elements of a [`KEYED`] array by their names; `None` when it is another array, or when two elements have one name.
fn keyed(field: &str, elements: &[Value]) -> Option<Map<String, Value>> {
    let (_, key) = KEYED.iter().find(|(name, _)| *name == field)?;
    let mut keyed = Map::new();
    for element in elements {
        let name = match &element[key] {
            Value::Null => return None,
            Value::String(name) => name.clone(),
            other => other.to_string(),
        };
        if keyed.insert(name, element.clone()).is_some() {
            return None;
        }
    }
    Some(keyed)
}
