//! The groups that this broker coordinates: how many, what they have committed, and how far behind they are.

use std::fmt;
use std::sync::Arc;

use crate::broker::Broker;
use crate::coordinator::group::{GroupNumbers, State};
use crate::metrics::Writer;
use crate::metrics::catalogue as shown;
use crate::model::{Offset, PartitionIndex};

/// Partitions of groups that are shown. Anyone may commit for any number of groups; a scraper is to survive it.
const SERIES_MAX: usize = 10_000;

/// One group's offset of one partition.
struct Position {
    group: Arc<str>,
    topic: Arc<str>,
    partition: PartitionIndex,
    offset: Offset,
}

pub fn write(writer: &mut Writer<'_>, broker: &Broker) -> fmt::Result {
    let mut numbers = Vec::new();
    let mut positions = Vec::new();
    let mut position_count = 0;
    // A shard that is being loaded tells its numbers later.
    broker.groups().for_each(|machine| {
        numbers.extend(machine.numbers());
        for (group, topic, partition, offset) in machine.committed_offsets() {
            position_count += 1;
            if positions.len() < SERIES_MAX {
                let (group, topic) = (Arc::clone(group), Arc::clone(topic));
                positions.push(Position { group, topic, partition, offset });
            }
        }
    });
    counts(writer, &numbers)?;
    writer.level_of(&shown::GROUP_OFFSETS, position_count)?;
    let mut members = writer.family(&shown::GROUP_MEMBERS)?;
    for group in numbers.iter().take(SERIES_MAX) {
        members.level_of(&[&group.id], group.member_count)?;
    }
    let mut offsets = writer.family(&shown::GROUP_OFFSET)?;
    for position in &positions {
        let partition = position.partition.to_string();
        offsets.whole(&[&position.group, &position.topic, &partition], position.offset.0)?;
    }
    let mut lags = writer.family(&shown::GROUP_LAG)?;
    for position in &positions {
        let Some(replica) = broker.replicas().get(&position.topic, position.partition) else { continue };
        let partition = position.partition.to_string();
        // Whoever has committed beyond the end, before the log was cut or made anew, is not ahead.
        let lag = (replica.published().high_watermark.0 - position.offset.0).max(0);
        lags.whole(&[&position.group, &position.topic, &partition], lag)?;
    }
    writer.level_of(&shown::GROUP_SERIES_LEFT_OUT, position_count - positions.len())
}

fn counts(writer: &mut Writer<'_>, numbers: &[GroupNumbers]) -> fmt::Result {
    writer.level_of(&shown::GROUPS, numbers.len())?;
    let states = [
        (&shown::GROUPS_STABLE, State::Stable),
        (&shown::GROUPS_EMPTY, State::Empty),
        (&shown::GROUPS_PREPARING, State::PreparingRebalance),
        (&shown::GROUPS_COMPLETING, State::CompletingRebalance),
    ];
    writer.level_of(&shown::GROUPS_DEAD, 0)?;
    for (family, state) in states {
        writer.level_of(family, numbers.iter().filter(|group| group.state == state).count())?;
    }
    Ok(())
}
