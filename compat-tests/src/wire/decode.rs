//! Bytes to JSON, by schema. Every field of the version is in the value; unknown tags stand under `unknownTags`.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::schema::{Field, Kind, Message};

const API_VERSIONS: i16 = 18;

impl Message {
    /// Correlation id and body of an answer without its length prefix; bytes that are left over are an error.
    pub fn read_response(&self, version: i16, answer: &[u8]) -> Result<(i32, Value)> {
        let mut reader = Reader { bytes: answer };
        let correlation_id = i32::from_be_bytes(reader.array()?);
        // ApiVersions answers with the oldest header, so that a client of any age can read it.
        if self.flexible.contains(version) && self.api_key != API_VERSIONS {
            let tags = reader.uvarint()?;
            ensure!(tags == 0, "{tags} tags in the header");
        }
        let value = reader.fields(&self.fields, version, self.flexible.contains(version))?;
        ensure!(reader.bytes.is_empty(), "{} bytes left over", reader.bytes.len());
        Ok((correlation_id, value))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        ensure!(count <= self.bytes.len(), "{count} bytes wanted, {} left", self.bytes.len());
        let (taken, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many as asked for"))
    }

    fn uvarint(&mut self) -> Result<usize> {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let byte = self.take(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            ensure!(shift < 35, "a number of more than five bytes");
        }
    }

    fn fields(&mut self, fields: &[Field], version: i16, flexible: bool) -> Result<Value> {
        let mut object = Map::new();
        for field in fields.iter().filter(|field| field.versions.contains(version)) {
            if field.tagged.contains(version) {
                continue;
            }
            let value = self.field(field, version, flexible).with_context(|| field.name.clone())?;
            object.insert(field.name.clone(), value);
        }
        if flexible {
            self.tags(fields, version, &mut object)?;
        }
        Ok(Value::Object(object))
    }

    fn tags(&mut self, fields: &[Field], version: i16, object: &mut Map<String, Value>) -> Result<()> {
        for _ in 0..self.uvarint()? {
            let tag = u32::try_from(self.uvarint()?)?;
            let length = self.uvarint()?;
            let mut content = Reader { bytes: self.take(length)? };
            let known = fields
                .iter()
                .find(|field| field.versions.contains(version) && field.tagged.contains(version) && field.tag == tag);
            let Some(field) = known else {
                object.insert(format!("unknownTag{tag}"), Value::String(hex(content.bytes)));
                continue;
            };
            object.insert(field.name.clone(), content.field(field, version, true)?);
            ensure!(content.bytes.is_empty(), "{} bytes left over in tag {tag}", content.bytes.len());
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, version: i16, flexible: bool) -> Result<Value> {
        let flexible = field.flexible.map_or(flexible, |versions| versions.contains(version));
        if matches!(field.kind, Kind::Struct(_)) && field.nullable.contains(version) && self.take(1)?[0] == 0xff {
            return Ok(Value::Null);
        }
        let value = self.value(&field.kind, version, flexible)?;
        ensure!(!value.is_null() || field.nullable.contains(version), "null in version {version}");
        Ok(value)
    }

    fn value(&mut self, kind: &Kind, version: i16, flexible: bool) -> Result<Value> {
        Ok(match kind {
            Kind::Bool => Value::Bool(self.take(1)?[0] != 0),
            Kind::Int8 => Value::from(i8::from_be_bytes(self.array()?)),
            Kind::Int16 => Value::from(i16::from_be_bytes(self.array()?)),
            Kind::Uint16 => Value::from(u16::from_be_bytes(self.array()?)),
            Kind::Int32 => Value::from(i32::from_be_bytes(self.array()?)),
            Kind::Uint32 => Value::from(u32::from_be_bytes(self.array()?)),
            Kind::Int64 => Value::from(i64::from_be_bytes(self.array()?)),
            Kind::Float64 => Value::from(f64::from_be_bytes(self.array()?)),
            Kind::Uuid => {
                let id = uuid::Uuid::from_bytes(self.array()?);
                Value::String(ottla::model::TopicId(id).to_string())
            }
            Kind::String => match self.string_length(flexible)? {
                Some(length) => Value::String(std::str::from_utf8(self.take(length)?)?.to_owned()),
                None => Value::Null,
            },
            Kind::Bytes => match self.count(flexible)? {
                Some(length) => Value::String(hex(self.take(length)?)),
                None => Value::Null,
            },
            Kind::Struct(fields) => self.fields(fields, version, flexible)?,
            Kind::Array(element) => self.elements(element, version, flexible)?,
        })
    }

    fn elements(&mut self, element: &Kind, version: i16, flexible: bool) -> Result<Value> {
        let Some(count) = self.count(flexible)? else { return Ok(Value::Null) };
        ensure!(count <= self.bytes.len(), "{count} elements in {} bytes", self.bytes.len());
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(self.value(element, version, flexible)?);
        }
        Ok(Value::Array(elements))
    }

    fn string_length(&mut self, flexible: bool) -> Result<Option<usize>> {
        if flexible {
            return Ok(self.uvarint()?.checked_sub(1));
        }
        match i16::from_be_bytes(self.array()?) {
            -1 => Ok(None),
            length => Ok(Some(usize::try_from(length).context("a negative length")?)),
        }
    }

    fn count(&mut self, flexible: bool) -> Result<Option<usize>> {
        if flexible {
            return Ok(self.uvarint()?.checked_sub(1));
        }
        match i32::from_be_bytes(self.array()?) {
            -1 => Ok(None),
            count if count < 0 => bail!("a negative count"),
            count => Ok(Some(usize::try_from(count)?)),
        }
    }
}

/// Bytes as they stand in a value: `hex:00ff`.
pub fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("hex:{digits}")
}
