//! JSON to bytes, by schema. A field that the JSON leaves out has its schema's default.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::schema::{Field, Kind, Message};
use crate::record_batch::put_uvarint;

impl Message {
    /// A whole request frame, length prefix included.
    pub fn request_frame(&self, version: i16, correlation_id: i32, client_id: &str, body: &Value) -> Result<Vec<u8>> {
        let mut frame = vec![0; 4];
        frame.extend_from_slice(&self.api_key.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&correlation_id.to_be_bytes());
        frame.extend_from_slice(&i16::try_from(client_id.len())?.to_be_bytes());
        frame.extend_from_slice(client_id.as_bytes());
        if self.flexible.contains(version) {
            frame.push(0);
        }
        self.encode(version, body, &mut frame)?;
        let length = i32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    /// The body alone, without a header.
    pub fn encode(&self, version: i16, body: &Value, out: &mut Vec<u8>) -> Result<()> {
        encode_struct(&self.fields, version, self.flexible.contains(version), body, out)
    }
}

fn encode_struct(fields: &[Field], version: i16, flexible: bool, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    let object = value.as_object().with_context(|| format!("an object, not {value}"))?;
    if let Some(unknown) = object.keys().find(|key| !fields.iter().any(|field| field.name == **key)) {
        bail!("no field {unknown} in the schema");
    }
    let mut tagged = Vec::new();
    for field in fields.iter().filter(|field| field.versions.contains(version)) {
        let given = object.get(&field.name);
        if field.tagged.contains(version) {
            tagged.extend(given.map(|value| (field, value)));
            continue;
        }
        encode_field(field, version, flexible, given, out).with_context(|| field.name.clone())?;
    }
    if !flexible {
        return Ok(());
    }
    tagged.sort_by_key(|(field, _)| field.tag);
    put_uvarint(out, tagged.len() as u64);
    for (field, value) in tagged {
        let mut bytes = Vec::new();
        encode_field(field, version, flexible, Some(value), &mut bytes)?;
        put_uvarint(out, u64::from(field.tag));
        put_uvarint(out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

fn encode_field(field: &Field, version: i16, flexible: bool, given: Option<&Value>, out: &mut Vec<u8>) -> Result<()> {
    let default = default_value(field);
    let value = given.unwrap_or(&default);
    let flexible = field.flexible.map_or(flexible, |versions| versions.contains(version));
    if value.is_null() {
        ensure!(field.nullable.contains(version), "null in version {version}");
        return encode_null(&field.kind, flexible, out);
    }
    // A nullable structure is announced by a byte.
    if matches!(field.kind, Kind::Struct(_)) && field.nullable.contains(version) {
        out.push(1);
    }
    encode_value(&field.kind, version, flexible, value, out)
}

/// What a field holds when nothing is said, as Kafka's generator has it.
fn default_value(field: &Field) -> Value {
    let text = match &field.default {
        Value::String(text) => text.as_str(),
        Value::Null => "",
        other => return other.clone(),
    };
    match &field.kind {
        _ if text == "null" => Value::Null,
        Kind::Bool => Value::Bool(text == "true"),
        Kind::String => Value::String(text.to_owned()),
        Kind::Bytes => Value::String("hex:".to_owned()),
        Kind::Uuid => Value::String("AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        Kind::Array(_) => Value::Array(Vec::new()),
        Kind::Struct(_) => Value::Object(serde_json::Map::new()),
        Kind::Float64 => Value::from(text.parse().unwrap_or(0.0)),
        _ => match text.strip_prefix("0x") {
            Some(hex) => Value::from(i64::from_str_radix(hex, 16).unwrap_or(0)),
            None => Value::from(text.parse().unwrap_or(0i64)),
        },
    }
}

fn encode_null(kind: &Kind, flexible: bool, out: &mut Vec<u8>) -> Result<()> {
    match kind {
        Kind::Struct(_) => out.push(0xff),
        Kind::String if !flexible => out.extend_from_slice(&(-1i16).to_be_bytes()),
        Kind::Bytes | Kind::Array(_) if !flexible => out.extend_from_slice(&(-1i32).to_be_bytes()),
        Kind::String | Kind::Bytes | Kind::Array(_) => out.push(0),
        _ => bail!("a number cannot be null"),
    }
    Ok(())
}

fn encode_value(kind: &Kind, version: i16, flexible: bool, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    let number = || value.as_i64().with_context(|| format!("a number, not {value}"));
    match kind {
        Kind::Bool => out.push(u8::from(value.as_bool().context("true or false")?)),
        Kind::Int8 => out.extend_from_slice(&i8::try_from(number()?)?.to_be_bytes()),
        Kind::Int16 => out.extend_from_slice(&i16::try_from(number()?)?.to_be_bytes()),
        Kind::Uint16 => out.extend_from_slice(&u16::try_from(number()?)?.to_be_bytes()),
        Kind::Int32 => out.extend_from_slice(&i32::try_from(number()?)?.to_be_bytes()),
        Kind::Uint32 => out.extend_from_slice(&u32::try_from(number()?)?.to_be_bytes()),
        Kind::Int64 => out.extend_from_slice(&number()?.to_be_bytes()),
        Kind::Float64 => out.extend_from_slice(&value.as_f64().context("a number")?.to_be_bytes()),
        Kind::Uuid => {
            let id: ottla::model::TopicId = string(value)?.parse().map_err(anyhow::Error::msg)?;
            out.extend_from_slice(id.0.as_bytes());
        }
        Kind::String => {
            let text = string(value)?;
            if flexible {
                put_uvarint(out, text.len() as u64 + 1);
            } else {
                out.extend_from_slice(&i16::try_from(text.len())?.to_be_bytes());
            }
            out.extend_from_slice(text.as_bytes());
        }
        Kind::Bytes => {
            let bytes = from_hex(string(value)?.strip_prefix("hex:").context("bytes are written hex:…")?)?;
            put_count(out, flexible, bytes.len())?;
            out.extend_from_slice(&bytes);
        }
        Kind::Struct(fields) => encode_struct(fields, version, flexible, value, out)?,
        Kind::Array(element) => {
            let elements = value.as_array().with_context(|| format!("an array, not {value}"))?;
            put_count(out, flexible, elements.len())?;
            for value in elements {
                encode_value(element, version, flexible, value, out)?;
            }
        }
    }
    Ok(())
}

fn string(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("a string, not {value}"))
}

fn put_count(out: &mut Vec<u8>, flexible: bool, count: usize) -> Result<()> {
    if flexible {
        put_uvarint(out, count as u64 + 1);
    } else {
        out.extend_from_slice(&i32::try_from(count)?.to_be_bytes());
    }
    Ok(())
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    ensure!(text.len().is_multiple_of(2), "an odd number of hexadecimal digits");
    (0..text.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&text[at..at + 2], 16)?)).collect()
}
