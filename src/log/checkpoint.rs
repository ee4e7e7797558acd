//! Kafka's small text files: offsets by partition, and leader epochs of one partition.
//!
//! Both are `CheckpointFile` of Apache Kafka 4.3.1: a version line, a count, then one line each. A file that does not have
//! exactly what it announces is malformed, never half believed.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::{LeaderEpoch, Offset, PartitionIndex, TopicPartition};

const VERSION: &str = "0";

/// The text of an offset checkpoint such as `recovery-point-offset-checkpoint`.
pub fn encode_offsets(offsets: &BTreeMap<TopicPartition, Offset>) -> String {
    let mut text = format!("{VERSION}\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        writeln!(text, "{} {} {offset}", partition.topic, partition.partition).expect("a string takes all");
    }
    text
}

/// Reads what [`encode_offsets`] or Kafka wrote; the error says what is wrong.
pub fn decode_offsets(text: &[u8]) -> Result<BTreeMap<TopicPartition, Offset>, String> {
    let mut offsets = BTreeMap::new();
    for line in lines(text)? {
        let mut fields = line.split_ascii_whitespace();
        let parsed = (|| {
            let topic = fields.next()?;
            let partition = fields.next()?.parse().ok()?;
            let offset = fields.next()?.parse().ok()?;
            fields.next().is_none().then(|| (TopicPartition::new(topic, PartitionIndex(partition)), Offset(offset)))
        })();
        let (partition, offset) = parsed.ok_or_else(|| format!("line '{line}'"))?;
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

/// The text of a `leader-epoch-checkpoint`: each epoch with the offset of its first record.
pub fn encode_epochs(epochs: &[(LeaderEpoch, Offset)]) -> String {
    let mut text = format!("{VERSION}\n{}\n", epochs.len());
    for (epoch, start_offset) in epochs {
        writeln!(text, "{epoch} {start_offset}").expect("a string takes all");
    }
    text
}

/// Reads what [`encode_epochs`] or Kafka wrote. Epochs and offsets must rise.
pub fn decode_epochs(text: &[u8]) -> Result<Vec<(LeaderEpoch, Offset)>, String> {
    let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
    for line in lines(text)? {
        let parsed = line
            .split_once(' ')
            .and_then(|(epoch, offset)| Some((LeaderEpoch(epoch.parse().ok()?), Offset(offset.trim().parse().ok()?))));
        let (epoch, start_offset) = parsed.ok_or_else(|| format!("line '{line}'"))?;
        if epochs.last().is_some_and(|last| epoch <= last.0 || start_offset < last.1) {
            return Err(format!("epoch {epoch} at {start_offset} does not follow the one before"));
        }
        epochs.push((epoch, start_offset));
    }
    Ok(epochs)
}

fn lines(text: &[u8]) -> Result<Vec<&str>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let mut lines = text.lines();
    let version = lines.next().ok_or("empty")?;
    if version.trim() != VERSION {
        return Err(format!("version '{version}'"));
    }
    let count = lines.next().and_then(|line| line.trim().parse::<usize>().ok()).ok_or("no count")?;
    let lines: Vec<&str> = lines.collect();
    if lines.len() != count {
        return Err(format!("{} lines, {count} announced", lines.len()));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_written_as_kafka_writes_them_and_read_back() {
        let offsets = BTreeMap::from([
            (TopicPartition::new("a-b", PartitionIndex(12)), Offset(7)),
            (TopicPartition::new("t", PartitionIndex(0)), Offset(0)),
        ]);
        let text = encode_offsets(&offsets);
        assert_eq!(text, "0\n2\na-b 12 7\nt 0 0\n");
        assert_eq!(decode_offsets(text.as_bytes()), Ok(offsets));
    }

    #[test]
    fn epochs_are_written_as_kafka_writes_them_and_read_back() {
        let epochs = vec![(LeaderEpoch(0), Offset(0)), (LeaderEpoch(4), Offset(10))];
        let text = encode_epochs(&epochs);
        assert_eq!(text, "0\n2\n0 0\n4 10\n");
        assert_eq!(decode_epochs(text.as_bytes()), Ok(epochs));
    }

    #[test]
    fn every_cut_inside_a_line_is_seen() {
        let text = "0\n2\na-b 12 7\nt 0 55\n";
        // The last newline may go, and a number that is cut short still reads as a number: what protects the whole is that
        // the file is replaced atomically.
        for cut in 0..text.len() - 4 {
            assert!(decode_offsets(&text.as_bytes()[..cut]).is_err(), "{:?}", &text[..cut]);
        }
        for broken in
            ["1\n0\n", "0\n1\n", "0\n0\nt 0 1\n", "0\n1\nt 0\n", "0\n1\nt 0 1 2\n", "0\n-1\n", "0\n1\nt x 1\n"]
        {
            assert!(decode_offsets(broken.as_bytes()).is_err(), "{broken:?}");
        }
        for broken in ["0\n2\n1 5\n1 6\n", "0\n2\n1 5\n2 4\n", "0\n1\n1\n"] {
            assert!(decode_epochs(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }
}
