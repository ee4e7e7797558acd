//! What clients of a cluster did and saw, as lines of JSON that can be read and judged again later.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::kill::batch::Batch;

/// Something that a client was told. Both times are of one clock, in ns since the run began: taken before the request was first
/// sent, and after its answer was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub invoked: u64,
    pub completed: u64,
    pub fact: Fact,
}

/// How a batch was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// By an idempotent producer, again and again until it was acknowledged.
    Idempotent,
    /// By a producer without an id, once.
    Once,
    /// Once, with an epoch of its producer that a later one had replaced in this partition before.
    Fenced,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Acknowledged {
        base_offset: i64,
    },
    /// No answer, or an error after which the batch may be in the log.
    Unknown,
    /// An error that says that the batch is not in the log.
    Refused {
        error: i16,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// Produce with acks=all.
    Sent { batch: Batch, manner: Manner, outcome: Outcome },
    /// A reader fetched one partition from `position`, and got these batches there.
    Polled(Poll),
    /// A position that was read before is outside of the log.
    OutOfRange { member: u32, partition: i32, position: i64 },
    /// ListOffsets, asked in this epoch, named this end for consumers.
    End { partition: i32, leader_epoch: i32, offset: i64 },
    /// SyncGroup gave these partitions to a member.
    Assigned { group: u32, member: u32, generation: i32, partitions: Vec<i32> },
    /// An OffsetCommit that may have been carried out, whether it was answered or not.
    CommitSent { group: u32, partition: i32, offset: i64 },
    /// OffsetCommit was answered without error.
    Committed { group: u32, partition: i32, offset: i64 },
    /// OffsetCommit with a generation that is over was answered without error.
    ZombieCommitted { group: u32, generation: i32 },
    /// It was answered with this error.
    ZombieRefused { group: u32, generation: i32, error: i16 },
    /// OffsetFetch answered this; -1 is none.
    OffsetFetched { group: u32, partition: i32, offset: i64 },
    /// A node said who leads a partition.
    Leader { partition: i32, leader: i32, leader_epoch: i32 },
    /// A node said who leads the metadata quorum.
    Controller { leader: i32, epoch: i32 },
    /// A topic was created with this id.
    Created { name: String, id: String },
    /// A topic was deleted by its id.
    Deleted { name: String, id: String },
    /// A fault was on from the one time to the other, at which everything was healed and every node ran.
    Fault { name: String },
    /// After all faults were healed, a node knows this topic.
    Exists { node: usize, name: String, id: String },
    /// After all faults were healed, a partition holds this batch here.
    Stored { batch: Batch, base_offset: i64 },
}

/// The group of readers that are in none.
pub const NO_GROUP: u32 = u32::MAX;

/// One partition's part of a Fetch answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// [`NO_GROUP`] for a reader on its own.
    pub group: u32,
    pub member: u32,
    /// Counts the assignments of this reader: within one, positions go on from poll to poll.
    pub assignment: u32,
    pub partition: i32,
    pub leader_epoch: i32,
    pub position: i64,
    pub batches: Vec<(i64, Batch)>,
    pub log_start_offset: i64,
    pub last_stable_offset: i64,
    pub high_watermark: i64,
}

/// All that was seen in a run.
#[derive(Default)]
pub struct History {
    pub observations: Vec<Observation>,
}

impl History {
    pub fn write(&self, mut out: impl Write) -> Result<()> {
        for observation in &self.observations {
            serde_json::to_writer(&mut out, observation)?;
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    pub fn read(lines: impl BufRead) -> Result<History> {
        let mut history = History::default();
        for (number, line) in (1..).zip(lines.lines()) {
            let observation = serde_json::from_str(&line?).with_context(|| format!("line {number}"))?;
            history.observations.push(observation);
        }
        Ok(history)
    }

    /// How often each kind of thing was seen, by its name.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for observation in &self.observations {
            *counts.entry(observation.fact.name()).or_default() += 1;
        }
        counts
    }
}

impl Fact {
    pub fn name(&self) -> &'static str {
        match self {
            Fact::Sent { manner: Manner::Fenced, .. } => "batches of a fenced producer",
            Fact::Sent { outcome: Outcome::Acknowledged { .. }, .. } => "batches acknowledged",
            Fact::Sent { outcome: Outcome::Unknown, .. } => "batches of unknown fate",
            Fact::Sent { outcome: Outcome::Refused { .. }, .. } => "batches refused",
            Fact::Polled(_) => "polls",
            Fact::OutOfRange { .. } => "positions out of range",
            Fact::End { .. } => "ends listed",
            Fact::Assigned { .. } => "assignments",
            Fact::CommitSent { .. } => "commits sent",
            Fact::Committed { .. } => "commits acknowledged",
            Fact::ZombieCommitted { .. } => "zombie commits acknowledged",
            Fact::ZombieRefused { .. } => "zombie commits refused",
            Fact::OffsetFetched { .. } => "commits fetched",
            Fact::Leader { .. } => "leaders seen",
            Fact::Controller { .. } => "controllers seen",
            Fact::Created { .. } => "topics created",
            Fact::Deleted { .. } => "topics deleted",
            Fact::Fault { .. } => "faults",
            Fact::Exists { .. } => "topics at the end",
            Fact::Stored { .. } => "batches stored",
        }
    }
}
