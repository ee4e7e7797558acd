//! The follower's side of a session, as a leader's side takes it.

use std::collections::BTreeMap;

use super::Key;
use super::session::{Asked, Named, Session};
use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

fn key(topic: u128, partition: i32) -> Key {
    (TopicId(uuid::Uuid::from_u128(topic)), PartitionIndex(partition))
}

fn asked(offset: i64) -> Asked {
    let (leader_epoch, last_fetched_epoch) = (LeaderEpoch(1), LeaderEpoch(1));
    Asked { leader_epoch, offset: Offset(offset), last_fetched_epoch, log_start: Offset::ZERO }
}

/// `session/epoch topic-partition@offset … -topic-partition …`
fn show(named: &Named) -> String {
    let mut words = vec![format!("{}/{}", named.session_id, named.session_epoch)];
    for topic in &named.topics {
        let word = |partition: &crate::protocol::message::fetch_request::FetchPartition| {
            format!("{}-{}@{}", topic.topic_id.as_u128(), partition.partition, partition.fetch_offset)
        };
        words.extend(topic.partitions.iter().map(word));
    }
    for topic in &named.forgotten {
        words.extend(topic.partitions.iter().map(|partition| format!("-{}-{partition}", topic.topic_id.as_u128())));
    }
    words.join(" ")
}

fn name(session: &mut Session, wanted: &[(Key, i64)]) -> String {
    let wanted: BTreeMap<Key, Asked> = wanted.iter().map(|(key, offset)| (*key, asked(*offset))).collect();
    show(&session.name(wanted, 100))
}

#[test]
fn only_what_has_changed_is_named_again() {
    let mut session = Session::default();
    let (a, b, c) = (key(1, 0), key(1, 1), key(2, 0));
    assert_eq!(name(&mut session, &[(a, 0), (b, 0)]), "0/0 1-0@0 1-1@0");
    session.answered(7);
    assert_eq!(name(&mut session, &[(a, 0), (b, 5)]), "7/1 1-1@5");
    session.answered(7);
    assert_eq!(name(&mut session, &[(a, 0), (c, 3)]), "7/2 2-0@3 -1-1");
    session.answered(7);
    assert_eq!(name(&mut session, &[(a, 0), (c, 3)]), "7/3");
    assert_eq!(session.asked(&c), Some(asked(3)));
    assert_eq!(session.asked(&b), None);
}

#[test]
fn a_session_that_is_gone_or_unsure_begins_anew() {
    let mut session = Session::default();
    let a = key(1, 0);
    name(&mut session, &[(a, 0)]);
    session.answered(7);
    // The connection was lost: perhaps the leader has counted on, perhaps not. The old session is closed with the next request.
    session.failed(None);
    assert_eq!(name(&mut session, &[(a, 4)]), "7/0 1-0@4");
    session.answered(8);
    assert_eq!(name(&mut session, &[(a, 4)]), "8/1");
    session.failed(Some(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(name(&mut session, &[(a, 4)]), "0/0 1-0@4");
    // A leader without a free slot gives none: everything is named each time.
    session.answered(0);
    assert_eq!(name(&mut session, &[(a, 4)]), "0/0 1-0@4");
}
