//! Any legal compaction of the log replays to the same state; what was written is what a restart finds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::show;
use crate::protocol::extra::consumer_offsets::{GroupMetadata, MemberMetadata, OffsetCommit, OffsetKey};

fn offset_record() -> impl Strategy<Value = Record> {
    ("[gh]", "[tu]", 0..2i32, proptest::option::weighted(0.7, 0..100i64)).prop_map(
        |(group_id, topic, partition, offset)| {
            let value = offset.map(|offset| OffsetCommit {
                offset,
                leader_epoch: -1,
                metadata: String::new(),
                commit_timestamp_ms: 0,
                expire_timestamp_ms: -1,
                topic_id: TopicId::ZERO,
            });
            Record::Offset { key: OffsetKey { group_id, topic, partition }, value }
        },
    )
}

fn group_record() -> impl Strategy<Value = Record> {
    ("[gh]", proptest::option::weighted(0.7, (0..9i32, 0..3usize))).prop_map(|(group_id, value)| {
        let value = value.map(|(generation, size)| GroupMetadata {
            protocol_type: "consumer".into(),
            generation,
            protocol: (size > 0).then(|| "range".into()),
            leader: (size > 0).then(|| "m0".into()),
            current_state_timestamp_ms: 5,
            members: (0..size).map(member).collect(),
        });
        Record::Group { group_id, value }
    })
}

fn member(index: usize) -> MemberMetadata {
    MemberMetadata {
        member_id: format!("m{index}"),
        group_instance_id: None,
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout_ms: 1,
        session_timeout_ms: 6000,
        subscription: bytes::Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t"),
        assignment: bytes::Bytes::from_static(b"x"),
    }
}

/// What a log cleaner may leave of a log. Each record that a later one of its key replaces may be gone or still there,
/// but with one also all older ones of the key (cleaning goes from the start); a tombstone that nothing replaces may be
/// gone once all before it is.
fn compacted(log: &[Record], choices: &[u8]) -> Vec<Record> {
    let mut positions: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (position, record) in log.iter().enumerate() {
        positions.entry(record.key_bytes().to_vec()).or_default().push(position);
    }
    let mut kept = vec![true; log.len()];
    for (index, positions) in positions.values().enumerate() {
        let choice = usize::from(choices.get(index).copied().unwrap_or(0));
        let last = *positions.last().expect("a key has a record");
        let droppable = if log[last].value_bytes().is_none() { positions.len() } else { positions.len() - 1 };
        positions.iter().take(choice % (droppable + 1)).for_each(|position| kept[*position] = false);
    }
    log.iter().zip(kept).filter(|(_, kept)| *kept).map(|(record, _)| record.clone()).collect()
}

fn replayed(log: &[Record], end: usize) -> Coordinator<()> {
    let mut machine = Coordinator::new(Options::default());
    for record in log {
        machine.replay(record.clone());
    }
    let now = Now { wall_ms: 1, monotonic_ms: 0 };
    machine.loaded(now, Offset(i64::try_from(end).expect("short")));
    machine
}

/// All that a client can see of a machine, and its timers.
fn seen(machine: &Coordinator<()>) -> Vec<String> {
    let mut lines = Vec::new();
    for group in machine.list_groups(&[], &[]) {
        let described = machine.describe_group(&group.group_id);
        let fetched = machine.fetch_offsets(&FetchRequest { group_id: group.group_id.clone(), topics: None });
        let generation_id = machine.group(&group.group_id).map(|group| group.generation_id);
        lines.push(format!("{group:?} {generation_id:?} {described:?} {}", show::fetched(&fetched)));
    }
    lines.extend(machine.timers().map(|(key, deadline_ms)| format!("{key} {deadline_ms}")));
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replay_of_any_legal_compaction_leads_to_the_same_state(
        log in prop::collection::vec(prop_oneof![3 => offset_record(), 1 => group_record()], 0..60),
        choices in prop::collection::vec(any::<u8>(), 12),
    ) {
        let compacted = compacted(&log, &choices);
        prop_assert_eq!(seen(&replayed(&log, log.len())), seen(&replayed(&compacted, log.len())));
    }

    /// A random life of commits, deletes and failed appends: a restart at any moment finds the committed state.
    #[test]
    fn a_restart_finds_what_was_committed(events in prop::collection::vec((0..6u8, 0..4u8, 0..50i64), 1..80)) {
        let now = Now { wall_ms: 1, monotonic_ms: 0 };
        let mut machine: Coordinator<()> = Coordinator::new(Options::default());
        machine.loaded(now, Offset::ZERO);
        let mut log: Vec<Record> = Vec::new();
        let mut ends: Vec<Offset> = vec![Offset::ZERO];
        for (kind, place, number) in events {
            let group_id = if place & 1 == 0 { "g" } else { "h" }.to_owned();
            let partition = i32::from(place >> 1);
            let outcome = match kind {
                0..=2 => machine.commit_offsets(now, commit(group_id, partition, number), ()),
                3 => machine.delete_offsets(now, &group_id, vec![DeleteTopic { name: "t".into(), partitions: vec![partition] }], ()),
                4 => machine.delete_groups(now, vec![group_id], ()),
                _ => {
                    let batch = usize::try_from(number).expect("not negative").min(ends.len() - 1);
                    let _ = machine.committed(now, ends[batch]);
                    continue;
                }
            };
            if outcome.records.is_empty() {
                continue;
            }
            if number % 7 == 0 {
                let _ = machine.append_failed(now, ErrorCode::NotLeaderOrFollower);
                continue;
            }
            log.extend(outcome.records);
            ends.push(Offset(i64::try_from(log.len()).expect("short")));
            machine.appended(now, ends[ends.len() - 1]);
        }
        let committed = usize::try_from(machine.writes_committed().0).expect("not negative");
        // A group whose last offset was deleted is still there, empty, until the next clean-up; a restart forgets it.
        let offsets = |machine: &Coordinator<()>| ["g", "h"].map(|group_id| {
            show::fetched(&machine.fetch_offsets(&FetchRequest { group_id: group_id.into(), topics: None }))
        });
        prop_assert_eq!(offsets(&machine), offsets(&replayed(&log[..committed], committed)));
        let end = Offset(i64::try_from(log.len()).expect("short"));
        let _ = machine.committed(now, end);
        prop_assert_eq!(offsets(&machine), offsets(&replayed(&log, log.len())));
    }
}

fn commit(group_id: String, partition: i32, offset: i64) -> CommitRequest {
    let partition = CommitPartition { partition, offset, leader_epoch: -1, metadata: None };
    CommitRequest {
        version: 9,
        group_id,
        member_id: String::new(),
        group_instance_id: None,
        generation_id: -1,
        retention_time_ms: -1,
        topics: vec![CommitTopic { name: "t".into(), topic_id: TopicId::ZERO, partitions: vec![partition] }],
    }
}
