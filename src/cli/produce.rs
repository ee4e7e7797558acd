//! `ottla produce`: lines of a file, or of standard input, as records of a topic.
//!
//! Each partition has one batch on its way at a time, so that records stay in order whatever is tried again; with an idempotent
//! producer (the default) what is tried again is never there twice. Keys go where Java's producer would send them.

mod blind;
mod lines;
mod sender;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::sync::mpsc;

use super::cat::Line;
use super::client::{Client, ConnectionArguments, Partitioner};
use super::progress::Progress;
use super::{Failure, run, table};
use crate::io::{random, threads};
use crate::protocol::record_batch::Codec;
use lines::{Source, Splitter};
use sender::{Options, Sender};

/// Records that have been read and wait to be sent.
const READ_AHEAD: usize = 4096;

#[derive(Args)]
pub(super) struct ProduceArguments {
    /// The topic to write to.
    topic: String,
    /// What to read; standard input when it is not given, or -.
    file: Option<std::path::PathBuf>,
    /// What stands between key and value of a line; without it lines are values.
    #[arg(short = 'K', long, value_name = "TEXT", conflicts_with = "json")]
    key_separator: Option<String>,
    /// A value that means null, and so deletes its key in a compacted topic.
    #[arg(long, value_name = "TEXT", conflicts_with = "json")]
    null: Option<String>,
    /// Lines are JSON objects as `ottla cat --json` writes them; their partition and timestamp are not taken over.
    #[arg(long)]
    json: bool,
    /// A header of every record; may be given several times.
    #[arg(short = 'H', long, value_name = "KEY=VALUE", value_parser = super::settings::key_and_value)]
    header: Vec<(String, String)>,
    /// All records go to this partition, whatever their keys.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Who must have a record before the next one of its partition is sent.
    #[arg(long, value_enum, default_value_t = Acks::All)]
    acks: Acks,
    /// How batches are compressed.
    #[arg(short = 'z', long, value_enum, default_value_t = Compression::None)]
    compression: Compression,
    /// Without a producer id: what is tried again may be there twice.
    #[arg(long)]
    no_idempotence: bool,
    /// Bytes of a batch, before it is compressed.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..=67_108_864))]
    batch_size: u32,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Acks {
    /// Every replica that is in sync.
    All,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// Nobody: it is not even told whether it arrived.
    #[value(name = "0")]
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    fn codec(self) -> Codec {
        match self {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip,
            Compression::Snappy => Codec::Snappy,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd,
        }
    }
}

pub(super) fn main(arguments: ProduceArguments) -> Result<(), Failure> {
    let splitter = match (arguments.json, arguments.key_separator) {
        (true, _) => Splitter::Json,
        (false, Some(separator)) if separator.is_empty() => {
            return Err(Failure::Usage("--key-separator: it must not be empty".to_owned()));
        }
        (false, separator) => Splitter::Text { separator, null: arguments.null },
    };
    let source = Source::open(arguments.file.as_deref())?;
    let headers = arguments.header.into_iter().map(|(key, value)| (key.into_bytes(), Some(value.into_bytes())));
    let options = Options {
        topic: arguments.topic,
        acks: match arguments.acks {
            Acks::All => -1,
            Acks::Leader => 1,
            Acks::None => 0,
        },
        codec: arguments.compression.codec(),
        // Only when all replicas have a batch is it certain that it is there once.
        is_idempotent: arguments.acks == Acks::All && !arguments.no_idempotence,
        batch_bytes: usize::try_from(arguments.batch_size).unwrap_or(usize::MAX),
    };
    let client = Client::new(&arguments.connection)?;
    let work = Work { source, splitter, headers: headers.collect(), partition: arguments.partition };
    run(produce(client, options, work, arguments.json))
}

/// What is to be sent.
struct Work {
    source: Source,
    splitter: Splitter,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    partition: Option<i32>,
}

async fn produce(client: Arc<Client>, options: Options, work: Work, json: bool) -> anyhow::Result<()> {
    let Work { source, splitter, headers, partition } = work;
    let topic = options.topic.clone();
    // A terminal shows what is typed; there, progress would only be in the way.
    let source_is_terminal = source.is_terminal();
    let progress = (!source_is_terminal).then(|| Progress::new("sent", None));
    let mut sender = Sender::start(client, options).await?;
    if let Some(missing) = partition.filter(|partition| *partition >= sender.partition_count()) {
        anyhow::bail!("topic {topic} has no partition {missing}; it has {}", sender.partition_count());
    }
    let mut partitioner = Partitioner::new(sender.partition_count(), random::seed());
    let (lines, mut read) = mpsc::channel(READ_AHEAD);
    threads::detach("input", move || source.read(&splitter, &lines)).context("cannot start a thread")?;
    if source_is_terminal && io::stderr().is_terminal() {
        let _ = writeln!(io::stderr(), "a record a line; Ctrl-D ends");
    }
    let mut batch = Vec::new();
    // What is there goes together; when the input pauses, nothing waits for it.
    while read.recv_many(&mut batch, READ_AHEAD).await > 0 {
        let mut broken = None;
        for line in batch.drain(..) {
            let mut line: Line = match line {
                Ok(line) => line,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            };
            line.headers.extend(headers.iter().cloned());
            let partition = partition.unwrap_or_else(|| partitioner.partition(line.key.as_deref()));
            sender.add(partition, line)?;
        }
        partitioner.move_on();
        let sent = match broken {
            None => sender.flush().await,
            Some(error) => Err(error),
        };
        let sent = sent.map_err(|error| how_far(&error, &topic, sender.sent()))?;
        if let Some(progress) = &progress {
            progress.add(sent);
        }
    }
    let sent = sender.finish().await?;
    drop(progress);
    tell(&topic, &sent, json)
}

/// An error with what was done before it: who tries again must know what is there already.
fn how_far(error: &anyhow::Error, topic: &str, sent: &Sent) -> anyhow::Error {
    let reason = super::told(error);
    match sent.values().map(|(count, _)| count).sum() {
        0 => anyhow::anyhow!("{reason}; nothing was written"),
        count => anyhow::anyhow!("{reason}; before it {} of {topic} were written", counted(count, "record")),
    }
}

/// What went to each partition: records, and the offset behind the last one when it is known.
type Sent = std::collections::BTreeMap<i32, (u64, Option<i64>)>;

/// Says on standard error what was done, so that standard output is left to pipes; with `--json` on standard output.
fn tell(topic: &str, sent: &Sent, json: bool) -> anyhow::Result<()> {
    let count: u64 = sent.values().map(|(count, _)| count).sum();
    if json {
        let partitions = sent
            .iter()
            .map(|(partition, (count, next))| json!({ "partition": partition, "records": count, "next_offset": next }));
        let partitions: Vec<_> = partitions.collect();
        return Ok(table::print_json(&json!({ "topic": topic, "records": count, "partitions": partitions }))?);
    }
    // Standard error may be closed; then there is nobody to tell.
    let partitions = u64::try_from(sent.len()).unwrap_or(u64::MAX);
    let (records, partitions) = (counted(count, "record"), counted(partitions, "partition"));
    let _ = writeln!(io::stderr(), "{records} to {partitions} of {topic}");
    Ok(())
}

/// `1 record`, `2 records`.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
