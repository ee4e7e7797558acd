//! A topic with the records that it must hold, so that every read is compared with everything that was ever sent.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::clients::catalogue::Client;
use crate::clients::program::Program;
use crate::clients::record::{Record, records_of, same_in_order};

/// How a producer is set up.
#[derive(Clone, Copy)]
pub struct Sending {
    pub codec: &'static str,
    pub acks: &'static str,
    pub idempotent: bool,
}

impl Sending {
    /// Uncompressed, acks=all, idempotent if the client can: others may send twice while a server starts or creates a topic.
    pub fn safely(client: &Client) -> Sending {
        Sending { codec: "none", acks: "all", idempotent: client.idempotent }
    }
}

/// A topic that only this runner writes to.
pub struct Topic {
    pub name: String,
    pub partitions: usize,
    sent: Vec<Record>,
}

impl Topic {
    /// Creates it through the client's admin interface.
    pub fn create(program: &mut Program, name: &str, partitions: usize) -> anyhow::Result<Topic> {
        let answer = program.ask(&json!({"do": "create", "topic": name, "partitions": partitions}))?;
        let leaders = answer["leaders"].as_u64().context("no count of leaders")?;
        ensure!(leaders == u64::try_from(partitions)?, "{leaders} of {partitions} partitions have a leader");
        Ok(Topic::unknown(name, partitions))
    }

    /// One that does not exist until it is written to.
    pub fn unknown(name: &str, partitions: usize) -> Topic {
        Topic { name: name.to_string(), partitions, sent: Vec::new() }
    }

    /// Sends records and checks the offsets that the client was told.
    pub fn send(&mut self, program: &mut Program, how: Sending, mut records: Vec<Record>) -> anyhow::Result<()> {
        for (index, record) in records.iter_mut().enumerate() {
            ensure!(record.partition < self.partitions, "record {index} has no partition");
            record.offset = i64::try_from(self.count_in(record.partition))?;
            self.sent.push(record.clone());
        }
        let answer = program.ask(&json!({
            "do": "produce", "topic": self.name, "codec": how.codec, "acks": how.acks,
            "idempotent": how.idempotent, "records": records,
        }))?;
        if how.acks != "0" {
            let expected: Vec<i64> = records.iter().map(|record| record.offset).collect();
            ensure!(answer["offsets"] == json!(expected), "offsets {}, not {expected:?}", answer["offsets"]);
        }
        Ok(())
    }

    /// Reads all partitions from `start` (`{"offset": 0}` or `{"timestamp": ms}`) and compares with what `expected` lets through.
    pub fn read(&self, program: &mut Program, start: &Value, expected: impl Fn(&Record) -> bool) -> anyhow::Result<()> {
        let mut expected: Vec<Record> = self.sent.iter().filter(|record| expected(record)).cloned().collect();
        let mut order =
            json!({"do": "read", "topic": self.name, "partitions": self.partitions, "count": expected.len()});
        order.as_object_mut().expect("it is one").extend(start.as_object().context("no start")?.clone());
        let mut read = records_of(&program.ask(&order)?)?;
        if !program.client.tells_null {
            expected = expected.into_iter().map(Record::with_null_for_empty).collect();
            read = read.into_iter().map(Record::with_null_for_empty).collect();
        }
        same_in_order(&expected, &read, self.partitions)
    }

    /// Reads everything from the beginning.
    pub fn read_all(&self, program: &mut Program) -> anyhow::Result<()> {
        self.read(program, &json!({"offset": 0}), |_| true)
    }

    /// What was sent after the first `count` records.
    pub fn sent_after(&self, count: usize) -> &[Record] {
        &self.sent[count..]
    }

    /// How many records were sent.
    pub fn count(&self) -> usize {
        self.sent.len()
    }

    fn count_in(&self, partition: usize) -> usize {
        self.sent.iter().filter(|record| record.partition == partition).count()
    }
}
