//! Records as JSON: what `ottla cat --json` writes, `ottla produce --json` reads.
//!
//! Keys, values and headers are strings when they are UTF-8. Other bytes stand under the same name with `_base64` behind it, so that
//! nothing is lost on the way.

use serde_json::{Map, Value, json};

use crate::cli::client::records::OwnedRecord;

/// One line of input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub partition: Option<i32>,
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A record as one line.
pub fn of_record(topic: &str, record: &OwnedRecord) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(topic));
    object.insert("partition".to_owned(), json!(record.partition));
    object.insert("offset".to_owned(), json!(record.offset));
    object.insert("timestamp".to_owned(), json!(record.timestamp_ms));
    put(&mut object, "key", record.key.as_deref());
    put(&mut object, "value", record.value.as_deref());
    let headers = record.headers.iter().map(|(key, value)| {
        let mut header = Map::new();
        put(&mut header, "key", Some(key));
        put(&mut header, "value", value.as_deref());
        Value::Object(header)
    });
    object.insert("headers".to_owned(), headers.collect());
    Value::Object(object)
}

fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        object.insert(name.to_owned(), Value::Null);
        return;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), json!(text)),
        Err(_) => object.insert(format!("{name}_base64"), json!(base64(bytes))),
    };
}

/// The bytes of a field; `None` when it is null or missing. Errors: it is neither text nor base64.
fn bytes_of(object: &Map<String, Value>, name: &str) -> Result<Option<Vec<u8>>, String> {
    match (object.get(name), object.get(&format!("{name}_base64"))) {
        (Some(Value::String(text)), None) => Ok(Some(text.as_bytes().to_vec())),
        (None | Some(Value::Null), None | Some(Value::Null)) => Ok(None),
        (None, Some(Value::String(text))) => {
            unbase64(text).map(Some).ok_or_else(|| format!("{name}_base64 is not base64"))
        }
        _ => Err(format!("{name} is neither a string nor null")),
    }
}

/// A whole number; `None` when it is null or missing. Errors: it is something else.
fn field(object: &Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| format!("{name} is not a whole number")),
    }
}

impl Line {
    /// Reads an object as [`of_record`] writes it; all but what it needs is passed over. Errors: in words.
    pub fn parse(text: &str) -> Result<Line, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Value::Object(object) = value else { return Err("it is no JSON object".to_owned()) };
        let partition = field(&object, "partition")?;
        let partition = partition.map(i32::try_from).transpose().map_err(|_| "partition is too large".to_owned())?;
        Ok(Line {
            partition,
            timestamp_ms: field(&object, "timestamp")?,
            key: bytes_of(&object, "key")?,
            value: bytes_of(&object, "value")?,
            headers: headers(&object)?,
        })
    }
}

type Headers = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn headers(object: &Map<String, Value>) -> Result<Headers, String> {
    let headers = match object.get("headers") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(headers)) => headers,
        Some(_) => return Err("headers is no list".to_owned()),
    };
    let header = |header: &Value| {
        let header = header.as_object().ok_or("a header is no object")?;
        let key = bytes_of(header, "key")?.ok_or("a header has no key")?;
        Ok((key, bytes_of(header, "value")?))
    };
    headers.iter().map(header).collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let bits = part.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).expect("six bits");
            out.push(if place > part.len() { '=' } else { char::from(ALPHABET[index]) });
        }
    }
    out
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let parts = text.as_bytes().chunks(4);
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.enumerate() {
        let digits = part.iter().take_while(|byte| **byte != b'=').count();
        let is_padded_right = part[digits..].iter().all(|byte| *byte == b'=');
        if !is_padded_right || digits < 2 || (digits < 4 && index < last) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in &part[..digits] {
            let digit = ALPHABET.iter().position(|letter| letter == byte)?;
            bits = bits << 6 | u32::try_from(digit).ok()?;
        }
        bits <<= 6 * (4 - digits);
        out.extend_from_slice(&bits.to_be_bytes()[1..digits]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let record = OwnedRecord {
            partition: 1,
            offset: 5,
            timestamp_ms: 1_700_000_000_000,
            key: Some(vec![0, 255, 7]),
            value: Some("ä \"quoted\"".as_bytes().to_vec()),
            headers: vec![(b"h".to_vec(), None), (b"h".to_vec(), Some(vec![200]))],
        };
        let text = of_record("t", &record).to_string();
        let line = Line::parse(&text).expect("its own output");
        let expected = Line {
            partition: Some(1),
            timestamp_ms: Some(1_700_000_000_000),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
        };
        assert_eq!(line, expected, "{text}");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (text, encoded) in pairs {
            assert_eq!(base64(text.as_bytes()), encoded);
            assert_eq!(unbase64(encoded).as_deref(), Some(text.as_bytes()));
        }
        for wrong in ["Z", "Zg=", "Zg==Zg==", "Z===", "Zm9*", "=Zg="] {
            assert_eq!(unbase64(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_record_is_named() {
        let error = |text: &str| Line::parse(text).expect_err(text);
        assert_eq!(error("[]"), "it is no JSON object");
        assert_eq!(error(r#"{"value": 1}"#), "value is neither a string nor null");
        assert_eq!(error(r#"{"partition": "a"}"#), "partition is not a whole number");
        assert_eq!(error(r#"{"headers": [{}]}"#), "a header has no key");
        assert_eq!(error(r#"{"key_base64": "*"}"#), "key_base64 is not base64");
        assert_eq!(Line::parse("{}"), Ok(Line::default()));
    }
}
