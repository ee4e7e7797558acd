//! Generates `src/protocol/guard/shapes.rs`, the guard's table, from the request schemas of Apache Kafka.
//!
//! The schemas are the JSON files that ship in Kafka's own jar, those of the version that everything is compared with, unless
//! another folder is named. With `--check` nothing is written, and a file that differs is a failure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use ottla::protocol::api_key::ApiKey;
use serde::Deserialize;

use crate::report::Report;
use crate::{cache, wire};

const TABLE: &str = "src/protocol/guard/shapes.rs";

/// Messages that the codec crate has no structs for: their sizes are worked out here.
const WITHOUT_STRUCTS: &[&str] = &["StreamsGroupHeartbeatRequest", "StreamsGroupDescribeRequest"];

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of Kafka's message schemas, when not those of the Kafka that everything is compared with.
    schemas: Option<PathBuf>,
    /// Only compare.
    #[arg(long)]
    check: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    name: String,
    valid_versions: String,
    flexible_versions: String,
    fields: Vec<Field>,
    #[serde(default)]
    common_structs: Vec<Struct>,
    #[serde(default)]
    latest_version_unstable: bool,
}

#[derive(Deserialize)]
struct Struct {
    name: String,
    fields: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Field {
    #[serde(rename = "type")]
    kind: String,
    versions: String,
    nullable_versions: Option<String>,
    tagged_versions: Option<String>,
    tag: Option<u32>,
    fields: Option<Vec<Field>>,
}

/// One version of a message, as Rust source: equal sources are one row of the table.
struct Version<'s> {
    schema: &'s Schema,
    version: i16,
    flexible: bool,
}

/// Source of some steps, and the fewest bytes they take.
#[derive(Default)]
struct Steps {
    source: Vec<String>,
    /// Bytes of fixed-size fields not yet in `source`.
    skip: usize,
    min_bytes: usize,
}

pub fn run(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let schemas = match &arguments.schemas {
        Some(folder) => folder.clone(),
        None => wire::schema_folder()?,
    };
    let table = format_source(&table(&schemas)?)?;
    let path = cache::repository().join(TABLE);
    if arguments.check {
        let same = fs::read_to_string(&path)? == table;
        ensure!(same, "{TABLE} is not what the schemas give; run generate-shapes");
    } else {
        fs::write(&path, table)?;
    }
    report.pass(format_args!("{TABLE} is what Kafka's schemas give"));
    Ok(())
}

fn table(schemas: &Path) -> anyhow::Result<String> {
    let mut source = String::from(
        "//! Shapes of every request of Apache Kafka 4.3.1, generated from its schemas by `cargo compat generate-shapes`.\n\
         //!\n//! One row for versions that are alike; fields of fixed size are one step.\n\n\
         use super::super::message as m;\nuse super::{Item, Op, Program, Tag};\nuse crate::protocol::api_key::ApiKey;\n\n\
         /// A string's memory in a vector.\nconst STRING_BYTES: usize = size_of::<m::StrBytes>();\n",
    );
    let mut arms = String::new();
    for api in ApiKey::ALL {
        let schema = read(&schemas.join(format!("{api}Request.json")))?;
        let constant = snake(api.name()).to_uppercase();
        writeln!(arms, "ApiKey::{api} => {constant},")?;
        writeln!(source, "\nconst {constant}: &[Program] = &[{}];", programs(*api, &schema)?)?;
    }
    writeln!(
        source,
        "\n/// The rows of an API, by version.\npub const fn programs(api: ApiKey) -> &'static [Program] {{"
    )?;
    // What is not Kafka's never comes to the guard: it reads its own body.
    writeln!(source, "match api {{ {arms} ApiKey::Quorum => &[] }} }}")?;
    Ok(source)
}

fn read(path: &Path) -> anyhow::Result<Schema> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let json: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    serde_json::from_str(&json.join("\n")).with_context(|| path.display().to_string())
}

fn programs(api: ApiKey, schema: &Schema) -> anyhow::Result<String> {
    let (first, last) = range(&schema.valid_versions)?;
    let last = if schema.latest_version_unstable { last - 1 } else { last };
    ensure!(api.versions() == (first..=last), "{api}: api_key.rs has other versions than {}", schema.valid_versions);
    let mut rows: Vec<(i16, i16, bool, String)> = Vec::new();
    for version in first..=last {
        let flexible = contains(&schema.flexible_versions, version)?;
        ensure!(flexible == api.is_flexible(version), "{api} v{version}: flexible in one place only");
        let steps = Version { schema, version, flexible }.steps(&schema.fields)?.finish();
        match rows.last_mut() {
            Some(row) if row.3 == steps && row.2 == flexible => row.1 = version,
            _ => rows.push((version, version, flexible, steps)),
        }
    }
    let rows = rows.iter().map(|(first, last, flexible, ops)| {
        format!("Program {{ first: {first}, last: {last}, flexible: {flexible}, ops: &[{ops}] }}")
    });
    Ok(rows.collect::<Vec<_>>().join(", "))
}

impl Steps {
    fn fixed(&mut self, bytes: usize) {
        self.skip += bytes;
        self.min_bytes += bytes;
    }

    fn step(&mut self, source: String, min_bytes: usize) {
        self.flush();
        self.source.push(source);
        self.min_bytes += min_bytes;
    }

    fn append(&mut self, inner: Steps) {
        let min_bytes = inner.min_bytes;
        self.step(inner.finish(), min_bytes);
    }

    fn flush(&mut self) {
        if self.skip > 0 {
            self.source.push(format!("Op::Skip({})", self.skip));
        }
        self.skip = 0;
    }

    fn finish(mut self) -> String {
        self.flush();
        self.source.join(", ")
    }
}

impl Version<'_> {
    fn steps(&self, fields: &[Field]) -> anyhow::Result<Steps> {
        let mut steps = Steps::default();
        let mut tags: BTreeMap<u32, String> = BTreeMap::new();
        for field in fields {
            let present = contains(&field.versions, self.version)?;
            if let Some(tag) = field.tag {
                let tagged = field.tagged_versions.as_deref().context("a tag without versions")?;
                let here = present && contains(tagged, self.version)?;
                let ops = if here { format!("Some(&[{}])", self.field(field)?.finish()) } else { "None".to_owned() };
                tags.insert(tag, format!("Tag {{ tag: {tag}, ops: {ops} }}"));
            } else if present {
                match fixed_bytes(&field.kind) {
                    Some(bytes) => steps.fixed(bytes),
                    None => steps.append(self.field(field)?),
                }
            }
        }
        if self.flexible {
            let tags: Vec<String> = tags.into_values().collect();
            steps.step(format!("Op::Tags(&[{}])", tags.join(", ")), 1);
        }
        Ok(steps)
    }

    /// One field, tagged or not.
    fn field(&self, field: &Field) -> anyhow::Result<Steps> {
        let mut steps = Steps::default();
        let nullable = match &field.nullable_versions {
            Some(versions) => contains(versions, self.version)?,
            None => false,
        };
        let kind = field.kind.as_str();
        if let Some(bytes) = fixed_bytes(kind) {
            steps.fixed(bytes);
            return Ok(steps);
        }
        let length_bytes = if self.flexible { 1 } else { 4 };
        if let Some(element) = kind.strip_prefix("[]") {
            let item = self.item(element, field)?;
            steps.step(format!("Op::Items {{ nullable: {nullable}, item: &{item} }}"), length_bytes);
            return Ok(steps);
        }
        match kind {
            "string" => {
                let length_bytes = if self.flexible { 1 } else { 2 };
                steps.step(format!("Op::Text {{ nullable: {nullable} }}"), length_bytes);
            }
            "bytes" | "records" => steps.step(format!("Op::Bytes {{ nullable: {nullable} }}"), length_bytes),
            name if nullable => {
                let inner = self.steps(self.struct_fields(name, field)?)?.finish();
                steps.step(format!("Op::Maybe(&[{inner}])"), 1);
            }
            name => return self.steps(self.struct_fields(name, field)?),
        }
        Ok(steps)
    }

    fn item(&self, element: &str, field: &Field) -> anyhow::Result<String> {
        if let Some(bytes) = fixed_bytes(element) {
            return Ok(format!("Item {{ min_bytes: {bytes}, size_bytes: {bytes}, ops: &[Op::Skip({bytes})] }}"));
        }
        if element == "string" {
            let min_bytes = if self.flexible { 1 } else { 2 };
            let ops = "Op::Text { nullable: false }";
            return Ok(format!("Item {{ min_bytes: {min_bytes}, size_bytes: STRING_BYTES, ops: &[{ops}] }}"));
        }
        let fields = self.struct_fields(element, field)?;
        let steps = self.steps(fields)?;
        ensure!(steps.min_bytes > 0, "{element} takes no bytes");
        let message = &self.schema.name;
        let size = if WITHOUT_STRUCTS.contains(&message.as_str()) {
            self.struct_bytes(fields)?.to_string()
        } else {
            format!("size_of::<m::{}::{element}>()", snake(message))
        };
        let min_bytes = steps.min_bytes;
        Ok(format!("Item {{ min_bytes: {min_bytes}, size_bytes: {size}, ops: &[{}] }}", steps.finish()))
    }

    fn struct_fields<'f>(&'f self, name: &str, field: &'f Field) -> anyhow::Result<&'f [Field]> {
        if let Some(fields) = &field.fields {
            return Ok(fields);
        }
        let common = self.schema.common_structs.iter().find(|common| common.name == name);
        Ok(&common.with_context(|| format!("no struct {name}"))?.fields)
    }

    /// Memory of a struct such as the codec crate would make, tags included, rounded up.
    fn struct_bytes(&self, fields: &[Field]) -> anyhow::Result<usize> {
        const STRING_BYTES: usize = 32;
        const VECTOR_BYTES: usize = 24;
        const TAGS_BYTES: usize = 24;
        let mut bytes = TAGS_BYTES;
        for field in fields {
            bytes += match field.kind.as_str() {
                kind if kind.starts_with("[]") => VECTOR_BYTES,
                "string" | "bytes" | "records" => STRING_BYTES,
                kind => match fixed_bytes(kind) {
                    Some(bytes) => bytes,
                    None => 8 + self.struct_bytes(self.struct_fields(kind, field)?)?,
                },
            };
        }
        Ok(bytes.next_multiple_of(8))
    }
}

fn fixed_bytes(kind: &str) -> Option<usize> {
    match kind {
        "bool" | "int8" => Some(1),
        "int16" | "uint16" => Some(2),
        "int32" => Some(4),
        "int64" | "float64" => Some(8),
        "uuid" => Some(16),
        _ => None,
    }
}

/// `3-13`, `9+`, `0` or `none`.
fn range(versions: &str) -> anyhow::Result<(i16, i16)> {
    if versions == "none" {
        return Ok((0, -1));
    }
    if let Some(first) = versions.strip_suffix('+') {
        return Ok((first.parse()?, i16::MAX));
    }
    let (first, last) = versions.split_once('-').unwrap_or((versions, versions));
    Ok((first.parse()?, last.parse()?))
}

fn contains(versions: &str, version: i16) -> anyhow::Result<bool> {
    let (first, last) = range(versions)?;
    Ok(first <= version && version <= last)
}

/// `OffsetFetchRequest` to `offset_fetch_request`, as the codec crate names its modules.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn format_source(source: &str) -> anyhow::Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .current_dir(cache::repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt")?;
    let mut input = rustfmt.stdin.take().context("rustfmt's input")?;
    std::io::Write::write_all(&mut input, source.as_bytes())?;
    drop(input);
    let output = rustfmt.wait_with_output()?;
    if !output.status.success() {
        bail!("rustfmt refused the table");
    }
    Ok(String::from_utf8(output.stdout)?)
}
