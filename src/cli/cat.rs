//! `ottla cat`: prints the records of a topic, from wherever one likes, until the end or on and on.
//!
//! It belongs to no group and commits nothing. Batches are checked and decompressed here; records of transactions that were aborted,
//! and what brokers write for themselves, are not shown.

mod format;
mod json;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::task::JoinSet;

use super::client::records::{Fetched, OwnedRecord, read};
use super::client::{Client, Cluster, ConnectionArguments, Node, Refused, check, may_pass, text};
use super::progress::Progress;
use super::{Failure, run, time};
use crate::model::ErrorCode;
use crate::protocol::message::fetch_request::{FetchPartition, FetchTopic};
use crate::protocol::message::{FetchRequest, StrBytes, TopicName, WireBrokerId};
use format::Format;

pub(super) use json::Line;

/// Bytes of one answer, and of one partition in it.
const ANSWER_BYTES: i32 = 16 << 20;
const PARTITION_BYTES: i32 = 4 << 20;
/// How long a broker waits for more when there is nothing.
const WAIT_MS: i32 = 500;

#[derive(Args)]
pub(super) struct CatArguments {
    /// The topic to read.
    topic: String,
    /// Only these partitions.
    #[arg(short, long, value_name = "N,…", value_delimiter = ',')]
    partition: Vec<i32>,
    /// Where to begin in each partition: start, end, an offset, or -N for the last N.
    #[arg(short, long, default_value = "start", allow_hyphen_values = true, conflicts_with = "from")]
    offset: String,
    /// Begin with the first record that is not older: 2026-11-21T16:30:00Z, ms since 1970, or 15m for 15 minutes ago.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End before the first record that is not older.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Go on when the end is reached, and wait for more.
    #[arg(short, long)]
    follow: bool,
    /// End after so many records.
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Also records of transactions that are not finished.
    #[arg(long)]
    uncommitted: bool,
    /// How a record is written: %v value, %k key, %h headers, %t topic, %p partition, %o offset, %T timestamp in ms, %D as date, %S
    /// and %K lengths of value and key, %% itself; \n, \t, \0 and \\ as usual.
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<String>,
    /// Key and value, with a tab between them.
    #[arg(short, long, conflicts_with_all = ["format", "json"])]
    keys: bool,
    /// One JSON object for each record, on a line of its own.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Start,
    End,
    At(i64),
    Last(i64),
    From(i64),
}

impl Begin {
    fn parse(text: &str) -> Option<Begin> {
        match text {
            "start" | "beginning" | "earliest" => Some(Begin::Start),
            "end" | "latest" => Some(Begin::End),
            number => match number.parse::<i64>().ok()? {
                offset if offset >= 0 && !number.starts_with('-') => Some(Begin::At(offset)),
                offset => Some(Begin::Last(offset.checked_neg()?)),
            },
        }
    }
}

/// What is to be printed, and how.
struct Reader {
    client: Arc<Client>,
    topic: String,
    until_ms: Option<i64>,
    follow: bool,
    left: u64,
    is_committed: bool,
    output: Output,
    out: BufWriter<io::Stdout>,
    progress: Option<Progress>,
}

enum Output {
    Text(Format),
    Json,
}

/// Offsets by partition.
type Offsets = BTreeMap<i32, i64>;

/// How far a partition has been read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    next: i64,
    /// Where to end; `None` goes on for ever.
    end: Option<i64>,
}

pub(super) fn main(arguments: CatArguments) -> Result<(), Failure> {
    let now_ms = time::now_ms();
    let moment =
        |text: &Option<String>| text.as_ref().map(|text| time::parse(text, now_ms).map_err(Failure::Usage)).transpose();
    let begin = match moment(&arguments.from)? {
        Some(ms) => Begin::From(ms),
        None => Begin::parse(&arguments.offset)
            .ok_or_else(|| Failure::Usage(format!("--offset {}: start, end, a number or -N", arguments.offset)))?,
    };
    let format = match (&arguments.format, arguments.keys) {
        (Some(format), _) => format.as_str(),
        (None, true) => r"%k\t%v\n",
        (None, false) => r"%v\n",
    };
    let is_terminal = std::io::IsTerminal::is_terminal(&io::stdout());
    let format = Format::parse(format, is_terminal).map_err(|error| Failure::Usage(format!("--format: {error}")))?;
    let until_ms = moment(&arguments.until)?;
    let reader = Reader {
        client: Client::new(&arguments.connection)?,
        topic: arguments.topic,
        until_ms,
        follow: arguments.follow,
        left: arguments.count.unwrap_or(u64::MAX),
        is_committed: !arguments.uncommitted,
        output: if arguments.json { Output::Json } else { Output::Text(format) },
        out: BufWriter::with_capacity(256 << 10, io::stdout()),
        // Records that run over the terminal are progress enough.
        progress: (!is_terminal && !arguments.follow).then(|| Progress::new("read", None)),
    };
    run(reader.run(begin, arguments.partition))
}

impl Reader {
    async fn run(mut self, begin: Begin, chosen: Vec<i32>) -> anyhow::Result<()> {
        let client = Arc::clone(&self.client);
        let mut cluster = client.patiently(|| self.cluster()).await?;
        let partitions = self.choose(&cluster, &chosen)?;
        let mut readings = client.patiently(|| self.begin(&cluster, &partitions, begin)).await?;
        while self.left > 0 && !readings.is_empty() {
            readings.retain(|_, reading| reading.end.is_none_or(|end| reading.next < end));
            match self.round(&cluster, &mut readings).await {
                Ok(()) => {}
                Err(error) if may_pass(&error) => {
                    // Leaders move; where they are now is known soon.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    cluster = client.patiently(|| self.cluster()).await?;
                }
                Err(error) => return Err(error),
            }
            self.out.flush()?;
        }
        Ok(self.out.flush()?)
    }

    async fn cluster(&self) -> anyhow::Result<Cluster> {
        let cluster = self.client.cluster(Some(std::slice::from_ref(&self.topic))).await?;
        for partition in &cluster.topic(&self.topic)?.partitions {
            cluster.leader(&self.topic, partition.index)?;
        }
        Ok(cluster)
    }

    fn choose(&self, cluster: &Cluster, chosen: &[i32]) -> anyhow::Result<Vec<(String, i32)>> {
        let all = cluster.topic(&self.topic)?.partitions.iter().map(|partition| partition.index);
        let all: Vec<i32> = all.collect();
        if let Some(missing) = chosen.iter().find(|partition| !all.contains(partition)) {
            anyhow::bail!("topic {} has no partition {missing}; it has {}", self.topic, all.len());
        }
        let partitions = if chosen.is_empty() { all } else { chosen.to_vec() };
        Ok(partitions.into_iter().map(|partition| (self.topic.clone(), partition)).collect())
    }

    async fn begin(
        &self,
        cluster: &Cluster,
        partitions: &[(String, i32)],
        begin: Begin,
    ) -> anyhow::Result<BTreeMap<i32, Reading>> {
        let starts = self.client.positions(cluster, partitions, -2, false).await?;
        let ends = self.client.positions(cluster, partitions, -1, self.is_committed).await?;
        let by_time = match begin {
            Begin::From(ms) => self.client.positions(cluster, partitions, ms, false).await?,
            _ => BTreeMap::new(),
        };
        let mut readings = BTreeMap::new();
        for (key, end) in ends {
            let (start, end) = (starts.get(&key).map_or(0, |start| start.offset), end.offset);
            let next = match begin {
                Begin::Start => start,
                Begin::End => end,
                Begin::At(offset) if offset < start || (offset > end && !self.follow) => {
                    let message = format!("it has {start} to {end}");
                    let what = format!("{}-{}, offset {offset}", key.0, key.1);
                    return Err(Refused { what, code: ErrorCode::OffsetOutOfRange, message }.into());
                }
                Begin::At(offset) => offset,
                Begin::Last(count) => end.saturating_sub(count).max(start),
                Begin::From(_) => match by_time.get(&key).map(|found| found.offset) {
                    Some(offset) if offset >= 0 => offset,
                    _ => end,
                },
            };
            readings.insert(key.1, Reading { next, end: (!self.follow).then_some(end) });
        }
        Ok(readings)
    }

    /// Asks every leader once, and prints what has come, partition by partition.
    async fn round(&mut self, cluster: &Cluster, readings: &mut BTreeMap<i32, Reading>) -> anyhow::Result<()> {
        // The partitions that each leads, and the offset to read on from.
        let mut by_leader: BTreeMap<i32, (Arc<Node>, Offsets)> = BTreeMap::new();
        for (partition, reading) in readings.iter() {
            let (leader, address) = cluster.leader(&self.topic, *partition)?;
            let of_leader = by_leader.entry(leader).or_insert_with(|| (self.client.node(address), Offsets::new()));
            of_leader.1.insert(*partition, reading.next);
        }
        let mut fetches = JoinSet::new();
        for (node, partitions) in by_leader.into_values() {
            let (client, topic, is_committed) = (Arc::clone(&self.client), self.topic.clone(), self.is_committed);
            fetches.spawn(async move { fetch(&client, &node, &topic, partitions, is_committed).await });
        }
        let mut found = BTreeMap::new();
        while let Some(fetched) = fetches.join_next().await {
            found.extend(fetched.context("a fetch was lost")??);
        }
        for (partition, fetched) in found {
            let Some(reading) = readings.get_mut(&partition) else { continue };
            self.print(reading, fetched)?;
        }
        Ok(())
    }

    fn print(&mut self, reading: &mut Reading, fetched: Fetched) -> anyhow::Result<()> {
        reading.next = fetched.next_offset;
        for record in fetched.records {
            if self.left == 0 || reading.end.is_some_and(|end| record.offset >= end) {
                break;
            }
            if self.until_ms.is_some_and(|until_ms| record.timestamp_ms >= until_ms) {
                reading.end = Some(0);
                break;
            }
            self.left -= 1;
            self.print_record(&record)?;
            if let Some(progress) = &self.progress {
                progress.add(1);
            }
        }
        Ok(())
    }

    fn print_record(&mut self, record: &OwnedRecord) -> io::Result<()> {
        match &self.output {
            Output::Text(format) => format.write(&self.topic, record, &mut self.out),
            Output::Json => writeln!(self.out, "{}", json::of_record(&self.topic, record)),
        }
    }
}

async fn fetch(
    client: &Client,
    node: &Node,
    topic: &str,
    offsets: Offsets,
    is_committed: bool,
) -> anyhow::Result<BTreeMap<i32, Fetched>> {
    let asked = offsets.iter().map(|(index, offset)| {
        FetchPartition::default()
            .with_partition(*index)
            .with_current_leader_epoch(-1)
            .with_last_fetched_epoch(-1)
            .with_log_start_offset(-1)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(PARTITION_BYTES)
    });
    let topics = vec![FetchTopic::default().with_topic(TopicName(text(topic))).with_partitions(asked.collect())];
    let request = FetchRequest::default()
        .with_replica_id(WireBrokerId(-1))
        .with_max_wait_ms(WAIT_MS)
        .with_min_bytes(1)
        .with_max_bytes(ANSWER_BYTES)
        .with_isolation_level(i8::from(is_committed))
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_rack_id(StrBytes::default())
        .with_topics(topics);
    // Later versions name topics by their ids.
    let answer = client.call(node, &request, 12).await?;
    check(format!("topic {topic}"), answer.error_code, None)?;
    let mut found = BTreeMap::new();
    for partition in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
        let index = partition.partition_index;
        let offset = offsets.get(&index).copied().unwrap_or(0);
        check(format!("{topic}-{index}, offset {offset}"), partition.error_code, None)?;
        let aborted = partition.aborted_transactions.unwrap_or_default();
        let records = partition.records.unwrap_or_default();
        let fetched =
            read(index, offset, &records, &aborted).with_context(|| format!("{topic}-{index} cannot be read"))?;
        found.insert(index, fetched);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_word_or_a_number() {
        let read = |text| Begin::parse(text);
        assert_eq!([read("start"), read("end")], [Some(Begin::Start), Some(Begin::End)]);
        assert_eq!([read("0"), read("17")], [Some(Begin::At(0)), Some(Begin::At(17))]);
        assert_eq!([read("-5"), read("-0")], [Some(Begin::Last(5)), Some(Begin::Last(0))]);
        assert_eq!([read("x"), read(""), read("-9223372036854775808")], [None, None, None]);
    }
}
