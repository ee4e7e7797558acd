//! Reads Kafka's message schemas: JSON with comments, one file a message.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::run;
use crate::{cache, kafka};

/// A range of versions, both ends included; `none` is empty, `3+` is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    const NONE: Versions = Versions { first: 1, last: 0 };

    fn parse(text: &str) -> Result<Versions> {
        let number = |text: &str| text.trim().parse::<i16>().with_context(|| format!("versions {text:?}"));
        if text == "none" {
            return Ok(Versions::NONE);
        }
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Versions { first: number(first)?, last: i16::MAX });
        }
        match text.split_once('-') {
            Some((first, last)) => Ok(Versions { first: number(first)?, last: number(last)? }),
            None => Ok(Versions { first: number(text)?, last: number(text)? }),
        }
    }

    pub fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

/// What a field holds.
#[derive(Clone, Debug)]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    /// `bytes` and `records` look the same on the wire.
    Bytes,
    Struct(Vec<Field>),
    Array(Box<Kind>),
}

/// One field of a message.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub versions: Versions,
    pub nullable: Versions,
    pub tagged: Versions,
    pub tag: u32,
    /// Narrower than the message's in a few places (`ClientId` of the header).
    pub flexible: Option<Versions>,
    pub default: Value,
}

/// One request or response.
#[derive(Clone, Debug)]
pub struct Message {
    pub api_key: i16,
    pub flexible: Versions,
    pub fields: Vec<Field>,
}

/// The folder of Kafka's schemas, unpacked out of `kafka-clients` on first use.
pub fn schema_folder() -> Result<PathBuf> {
    let jar = kafka::jars()?.join(format!("kafka-clients-{}.jar", kafka::VERSION));
    let folder = cache::filled("schemas", std::slice::from_ref(&jar), |folder| {
        let mut unpack = Command::new("jar");
        unpack.current_dir(folder).arg("xf").arg(&jar).arg("common/message");
        run("jar", &mut unpack).map(drop)
    })?;
    Ok(folder.join("common/message"))
}

/// Every request and response of one version of Kafka.
pub struct Schemas {
    requests: BTreeMap<String, Message>,
    responses: BTreeMap<String, Message>,
}

impl Schemas {
    /// Reads all of [`schema_folder`].
    pub fn load() -> Result<Schemas> {
        let mut schemas = Schemas { requests: BTreeMap::new(), responses: BTreeMap::new() };
        for entry in std::fs::read_dir(schema_folder()?)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            let json = without_comments(&text);
            let value: Value = serde_json::from_str(&json).with_context(|| path.display().to_string())?;
            schemas.add(&value).with_context(|| path.display().to_string())?;
        }
        Ok(schemas)
    }

    fn add(&mut self, value: &Value) -> Result<()> {
        let (name, kind) = (text(value, "name")?, text(value, "type")?);
        let (map, suffix) = match kind {
            "request" => (&mut self.requests, "Request"),
            "response" => (&mut self.responses, "Response"),
            _ => return Ok(()),
        };
        // An API that Kafka has removed keeps a schema without versions or fields.
        if value["fields"].is_null() {
            return Ok(());
        }
        let name = name.strip_suffix(suffix).context("named after its type")?;
        map.insert(name.to_owned(), Message::parse(value)?);
        Ok(())
    }

    /// The request of an API, by Kafka's name: `Produce`, `JoinGroup`.
    pub fn request(&self, api: &str) -> Result<&Message> {
        self.requests.get(api).with_context(|| format!("no request {api}"))
    }

    pub fn response(&self, api: &str) -> Result<&Message> {
        self.responses.get(api).with_context(|| format!("no response {api}"))
    }

    /// Whether a version of an API has the flexible request header.
    pub fn is_flexible(&self, api_key: i16, version: i16) -> bool {
        let mut requests = self.requests.values();
        requests.any(|message| message.api_key == api_key && message.flexible.contains(version))
    }
}

impl Message {
    fn parse(value: &Value) -> Result<Message> {
        let mut structs = BTreeMap::new();
        for shared in value["commonStructs"].as_array().unwrap_or(&Vec::new()) {
            structs.insert(text(shared, "name")?.to_owned(), shared["fields"].clone());
        }
        Ok(Message {
            api_key: i16::try_from(value["apiKey"].as_i64().context("apiKey")?)?,
            flexible: Versions::parse(value["flexibleVersions"].as_str().unwrap_or("none"))?,
            fields: fields(&value["fields"], &structs)?,
        })
    }
}

fn fields(value: &Value, structs: &BTreeMap<String, Value>) -> Result<Vec<Field>> {
    value.as_array().context("fields")?.iter().map(|field| parse_field(field, structs)).collect()
}

fn parse_field(value: &Value, structs: &BTreeMap<String, Value>) -> Result<Field> {
    let name = text(value, "name")?;
    let versions = |key: &str| value[key].as_str().map(Versions::parse).transpose();
    let kind = kind(text(value, "type")?, value, structs).with_context(|| name.to_owned())?;
    Ok(Field {
        name: lower_first(name),
        kind,
        versions: versions("versions")?.unwrap_or(Versions { first: 0, last: i16::MAX }),
        nullable: versions("nullableVersions")?.unwrap_or(Versions::NONE),
        tagged: versions("taggedVersions")?.unwrap_or(Versions::NONE),
        tag: u32::try_from(value["tag"].as_u64().unwrap_or(0))?,
        flexible: versions("flexibleVersions")?,
        default: value["default"].clone(),
    })
}

fn kind(name: &str, field: &Value, structs: &BTreeMap<String, Value>) -> Result<Kind> {
    if let Some(element) = name.strip_prefix("[]") {
        return Ok(Kind::Array(Box::new(kind(element, field, structs)?)));
    }
    Ok(match name {
        "bool" => Kind::Bool,
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "uint16" => Kind::Uint16,
        "int32" => Kind::Int32,
        "uint32" => Kind::Uint32,
        "int64" => Kind::Int64,
        "float64" => Kind::Float64,
        "uuid" => Kind::Uuid,
        "string" => Kind::String,
        "bytes" | "records" => Kind::Bytes,
        _ if field["fields"].is_array() => Kind::Struct(fields(&field["fields"], structs)?),
        _ => match structs.get(name) {
            Some(shared) => Kind::Struct(fields(shared, structs)?),
            None => bail!("unknown type {name}"),
        },
    })
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("no {key}"))
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|char| char.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// Kafka's schemas have whole lines and line ends of `//` comments; no string in them contains `//`.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for line in text.lines() {
        plain.push_str(line.split("//").next().unwrap_or(""));
        plain.push('\n');
    }
    plain
}
