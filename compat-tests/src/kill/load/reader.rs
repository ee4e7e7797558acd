//! A consumer without a group: reads every partition as it grows, and asks for high watermarks.

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest};

use crate::connection::{Connection, topic_name};
use crate::kill::batch::{Batch, decode};
use crate::kill::history::{Fact, Observation};
use crate::kill::load::{Ended, Run, TOPIC, judge, over_restarts};

const FETCH_VERSION: i16 = 12;
const LIST_OFFSETS_VERSION: i16 = 6;
const WAIT_MS: i32 = 20;
const PARTITION_BYTES_MAX: i32 = 1 << 20;
const LATEST: i64 = -1;

pub struct Reader<'a> {
    run: &'a Run,
    positions: Vec<i64>,
    observations: Vec<Observation>,
}

/// What one Fetch found in one partition.
struct Found {
    partition: i32,
    high_watermark: i64,
    batches: Vec<(i64, Batch)>,
}

impl<'a> Reader<'a> {
    pub fn new(run: &'a Run) -> Reader<'a> {
        let positions = vec![0; usize::try_from(run.partitions).expect("partitions are positive")];
        Reader { run, positions, observations: Vec::new() }
    }

    /// Reads until the run stops.
    pub fn read(mut self) -> Result<Vec<Observation>> {
        let run = self.run;
        over_restarts(run, |connection, progress| {
            while !run.is_stopping() {
                self.poll(connection)?;
                *progress += 1;
            }
            Ok(())
        })
        .context("reader")?;
        Ok(self.observations)
    }

    /// Reads every partition from its first offset up to its high watermark now.
    pub fn read_all(run: &Run) -> Result<Vec<Vec<(i64, Batch)>>> {
        let mut reader = Reader::new(run);
        let mut connection = Connection::open(&run.address)?;
        let ends = high_watermarks(&mut connection, run.partitions)?;
        while reader.positions.iter().zip(&ends).any(|(position, end)| position < end) {
            let before = reader.positions.clone();
            match reader.poll(&mut connection) {
                Ok(()) => {
                    ensure!(reader.positions != before, "Fetch returns nothing at {before:?}, the ends are {ends:?}")
                }
                Err(Ended::Broken(error) | Ended::Wrong(error)) => return Err(error),
            }
        }
        let mut logs = vec![Vec::new(); reader.positions.len()];
        for observation in reader.observations {
            if let Fact::Read { batch, base_offset } = observation.fact {
                logs[usize::try_from(batch.partition)?].push((base_offset, batch));
            }
        }
        Ok(logs)
    }

    fn poll(&mut self, connection: &mut Connection) -> Result<(), Ended> {
        let invoked = self.run.stamp();
        for Found { partition, high_watermark, batches } in self.fetch(connection)? {
            for (base_offset, batch) in batches {
                let position = &mut self.positions[usize::try_from(partition).map_err(anyhow::Error::from)?];
                *position = base_offset + i64::from(batch.count);
                self.observations.push(self.run.observe(invoked, Fact::Read { batch, base_offset }));
            }
            let fact = Fact::HighWatermark { partition, offset: high_watermark };
            self.observations.push(self.run.observe(invoked, fact));
        }
        Ok(())
    }

    fn fetch(&self, connection: &mut Connection) -> Result<Vec<Found>, Ended> {
        let partition = |(partition, position): (i32, &i64)| {
            FetchPartition::default()
                .with_partition(partition)
                .with_fetch_offset(*position)
                .with_partition_max_bytes(PARTITION_BYTES_MAX)
        };
        let partitions = (0..).zip(&self.positions).map(partition).collect();
        let topic = FetchTopic::default().with_topic(topic_name(TOPIC)).with_partitions(partitions);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(i32::MAX)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer = connection.ask(FETCH_VERSION, &request)?;
        judge("Fetch", answer.error_code)?;
        let mut found = Vec::new();
        for answer in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            let partition = answer.partition_index;
            judge(&format!("Fetch of {TOPIC}-{partition} at {:?}", self.positions), answer.error_code)?;
            let records = answer.records.as_deref().unwrap_or_default();
            let batches = decode(records, partition, &self.run.producers).map_err(Ended::Wrong)?;
            found.push(Found { partition, high_watermark: answer.high_watermark, batches });
        }
        Ok(found)
    }
}

/// What ListOffsets answers for the end of each partition.
pub fn high_watermarks(connection: &mut Connection, partitions: i32) -> Result<Vec<i64>> {
    let partition = |index| {
        let partition = ListOffsetsPartition::default().with_partition_index(index);
        partition.with_current_leader_epoch(-1).with_timestamp(LATEST)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(TOPIC))
        .with_partitions((0..partitions).map(partition).collect());
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    let answer = connection.ask(LIST_OFFSETS_VERSION, &request)?;
    let mut offsets = vec![-1; usize::try_from(partitions)?];
    for answer in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        ensure!(answer.error_code == 0, "ListOffsets answers error {}", answer.error_code);
        *offsets.get_mut(usize::try_from(answer.partition_index)?).context("a partition unasked for")? = answer.offset;
    }
    Ok(offsets)
}
