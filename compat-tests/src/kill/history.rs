//! What clients saw, and what must be true of it: a pure function from a history to the list of its anomalies.
//!
//! An observation has two stamps from one counter, taken before its request was sent and after its answer was read. Of two
//! observations where the first was complete before the second began, the second must show at least as much.

use std::collections::{BTreeMap, HashMap};

use super::batch::Batch;

#[cfg(test)]
mod tests;

/// A producer's record of a partition: its producer, and its number in that producer's row for the partition.
pub type Value = (u32, u64);

/// Something that a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub invoked: u64,
    pub completed: u64,
    pub fact: Fact,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Produce with acks=all was answered without error.
    Acknowledged { batch: Batch, base_offset: i64 },
    /// Produce was answered with an error that no correct server gives here.
    Refused { batch: Batch, error: i16 },
    /// Fetch returned this batch here.
    Read { batch: Batch, base_offset: i64 },
    /// Fetch or ListOffsets named this high watermark.
    HighWatermark { partition: i32, offset: i64 },
    /// An OffsetCommit that may have been carried out, whether it was answered or not.
    CommitSent { group: u32, partition: i32, offset: i64 },
    /// OffsetCommit was answered without error.
    Committed { group: u32, partition: i32, offset: i64 },
    /// OffsetFetch answered this; -1 is none.
    OffsetFetched { group: u32, partition: i32, offset: i64 },
}

/// All that was seen in a run.
#[derive(Default)]
pub struct History {
    pub observations: Vec<Observation>,
    /// How many records each producer sent to each partition, acknowledged or not.
    pub sent: BTreeMap<(u32, i32), u64>,
    /// Every partition from its first offset to its end, read after the last restart.
    pub log: BTreeMap<i32, Vec<(i64, Batch)>>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// An acknowledged record is not in the log.
    Lost { partition: i32, value: Value, offset: i64 },
    /// One record has two offsets in the log.
    Twice { partition: i32, value: Value, offsets: [i64; 2] },
    /// Two records were seen at one offset.
    OffsetReused { partition: i32, offset: i64, values: [Value; 2] },
    /// A record was acknowledged or read at an offset, and is in the log at another one.
    Moved { partition: i32, value: Value, seen: i64, stored: i64 },
    /// A producer's records are not in the order in which it sent them.
    Disordered { partition: i32, earlier: Value, later: Value },
    /// The log holds a record that nobody sent.
    NeverSent { partition: i32, value: Value, offset: i64 },
    /// Offsets of the log are not contiguous.
    Hole { partition: i32, expected: i64, found: i64 },
    /// A high watermark is under one seen before, or under an acknowledged record.
    HighWatermarkWentBack { partition: i32, seen: i64, then: i64 },
    /// A committed offset is under one that was committed or fetched before.
    CommitWentBack { group: u32, partition: i32, seen: i64, then: i64 },
    /// A committed offset that nobody committed.
    NeverCommitted { group: u32, partition: i32, offset: i64 },
    /// A producer got an error that it did not deserve.
    Refused { batch: Batch, error: i16 },
}

/// Every broken promise, each named once.
pub fn check(history: &History) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    check_offsets(history, &mut anomalies);
    for (partition, log) in &history.log {
        check_log(*partition, log, history, &mut anomalies);
    }
    check_real_time(history, &mut anomalies);
    check_refused(history, &mut anomalies);
    anomalies.sort_unstable();
    anomalies.dedup();
    anomalies
}

/// The records of a batch and their offsets.
pub fn values(base_offset: i64, batch: &Batch) -> impl Iterator<Item = (i64, Value)> + use<> {
    let (producer, first) = (batch.producer, batch.first);
    (0..batch.count).map(move |delta| (base_offset + i64::from(delta), (producer, first + u64::from(delta))))
}

/// An offset belongs to one record: over acknowledgements, reads and the log, over all time.
fn check_offsets(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut owners: HashMap<(i32, i64), Value> = HashMap::new();
    let logged = history.log.values().flatten();
    let seen = history.observations.iter().filter_map(|observation| placed(&observation.fact));
    for (base_offset, batch) in logged.copied().chain(seen) {
        let partition = batch.partition;
        for (offset, value) in values(base_offset, &batch) {
            let owner = *owners.entry((partition, offset)).or_insert(value);
            if owner != value {
                let values = [owner.min(value), owner.max(value)];
                anomalies.push(Anomaly::OffsetReused { partition, offset, values });
            }
        }
    }
}

fn placed(fact: &Fact) -> Option<(i64, Batch)> {
    match *fact {
        Fact::Acknowledged { batch, base_offset } | Fact::Read { batch, base_offset } => Some((base_offset, batch)),
        _ => None,
    }
}

/// The log of one partition: contiguous, every record once, in its producer's order, and all that was acknowledged or read.
fn check_log(partition: i32, log: &[(i64, Batch)], history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut stored: HashMap<Value, i64> = HashMap::new();
    let mut last: HashMap<u32, u64> = HashMap::new();
    let mut expected = 0;
    for (offset, value) in log.iter().flat_map(|(base_offset, batch)| values(*base_offset, batch)) {
        if offset != expected {
            anomalies.push(Anomaly::Hole { partition, expected, found: offset });
        }
        expected = offset + 1;
        let (producer, number) = value;
        if number >= history.sent.get(&(producer, partition)).copied().unwrap_or(0) {
            anomalies.push(Anomaly::NeverSent { partition, value, offset });
        }
        if let Some(first) = stored.get(&value) {
            anomalies.push(Anomaly::Twice { partition, value, offsets: [*first, offset] });
            continue;
        }
        stored.insert(value, offset);
        if let Some(earlier) = last.insert(producer, number)
            && earlier > number
        {
            anomalies.push(Anomaly::Disordered { partition, earlier: (producer, earlier), later: value });
        }
    }
    let seen = history.observations.iter().filter_map(|observation| placed(&observation.fact));
    for (base_offset, batch) in seen.filter(|(_, batch)| batch.partition == partition) {
        for (seen, value) in values(base_offset, &batch) {
            match stored.get(&value) {
                None => anomalies.push(Anomaly::Lost { partition, value, offset: seen }),
                Some(&stored) if stored != seen => anomalies.push(Anomaly::Moved { partition, value, seen, stored }),
                Some(_) => {}
            }
        }
    }
}

/// Something that may only grow.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Line {
    HighWatermark { partition: i32 },
    Committed { group: u32, partition: i32 },
}

/// Walks the stamps in their order: what was complete before an observation began is its lower bound.
fn check_real_time(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut stamps: Vec<(u64, bool, usize)> = Vec::new();
    for (index, observation) in history.observations.iter().enumerate() {
        stamps.push((observation.invoked, false, index));
        stamps.push((observation.completed, true, index));
    }
    stamps.sort_unstable();
    let mut reached: HashMap<Line, i64> = HashMap::new();
    let mut attempted: HashMap<Line, i64> = HashMap::new();
    let mut bounds: HashMap<usize, i64> = HashMap::new();
    for (_, is_completion, index) in stamps {
        let fact = &history.observations[index].fact;
        if !is_completion {
            if let Fact::CommitSent { group, partition, offset } = *fact {
                raise(&mut attempted, Line::Committed { group, partition }, offset);
            }
            if let Some((line, _)) = shown(fact) {
                bounds.insert(index, reached.get(&line).copied().unwrap_or(-1));
            }
            continue;
        }
        if let Some((line, then)) = shown(fact) {
            let seen = bounds.remove(&index).expect("it began before it was complete");
            judge(line, seen, then, &attempted, anomalies);
        }
        if let Some((line, at_least)) = promised(fact) {
            raise(&mut reached, line, at_least);
        }
    }
}

fn raise(lines: &mut HashMap<Line, i64>, line: Line, to: i64) {
    let at = lines.entry(line).or_insert(to);
    *at = (*at).max(to);
}

/// What this fact shows of a line.
fn shown(fact: &Fact) -> Option<(Line, i64)> {
    match *fact {
        Fact::HighWatermark { partition, offset } => Some((Line::HighWatermark { partition }, offset)),
        Fact::OffsetFetched { group, partition, offset } => Some((Line::Committed { group, partition }, offset)),
        _ => None,
    }
}

/// How far a line must be for all who ask after this fact.
fn promised(fact: &Fact) -> Option<(Line, i64)> {
    match *fact {
        Fact::Acknowledged { batch, base_offset } | Fact::Read { batch, base_offset } => {
            let line = Line::HighWatermark { partition: batch.partition };
            Some((line, base_offset + i64::from(batch.count)))
        }
        Fact::Committed { group, partition, offset } => Some((Line::Committed { group, partition }, offset)),
        _ => shown(fact),
    }
}

fn judge(line: Line, seen: i64, then: i64, attempted: &HashMap<Line, i64>, anomalies: &mut Vec<Anomaly>) {
    match line {
        Line::HighWatermark { partition } if then < seen => {
            anomalies.push(Anomaly::HighWatermarkWentBack { partition, seen, then });
        }
        Line::Committed { group, partition } if then < seen => {
            anomalies.push(Anomaly::CommitWentBack { group, partition, seen, then });
        }
        Line::Committed { group, partition } if then > attempted.get(&line).copied().unwrap_or(-1) => {
            anomalies.push(Anomaly::NeverCommitted { group, partition, offset: then });
        }
        _ => {}
    }
}

fn check_refused(history: &History, anomalies: &mut Vec<Anomaly>) {
    for observation in &history.observations {
        if let Fact::Refused { batch, error } = observation.fact {
            anomalies.push(Anomaly::Refused { batch, error });
        }
    }
}
