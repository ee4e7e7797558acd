//! The follower's side of a fetch session (KIP-227): names what has changed, and forgets nothing that was sent.
//!
//! Source: `FetchSessionHandler` of Apache Kafka 4.3.1.

use std::collections::BTreeMap;

use super::Key;
use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use crate::protocol::message::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};

/// No session, or a request for a new one.
const INITIAL_EPOCH: i32 = 0;

/// What a request says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub leader_epoch: LeaderEpoch,
    pub offset: Offset,
    /// -1 when the log has no epoch: then the leader looks for no divergence.
    pub last_fetched_epoch: LeaderEpoch,
    pub log_start: Offset,
}

/// What goes into a request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Named {
    pub session_id: i32,
    pub session_epoch: i32,
    pub topics: Vec<FetchTopic>,
    pub forgotten: Vec<ForgottenTopic>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    /// What the leader holds for this session.
    sent: BTreeMap<Key, Asked>,
}

impl Session {
    /// The next request for these partitions. What it asks of each is [`Session::asked`] afterwards.
    pub(super) fn name(&mut self, wanted: BTreeMap<Key, Asked>, max_bytes: i32) -> Named {
        let is_full = self.epoch == INITIAL_EPOCH;
        let is_new = |key: &Key, asked: &Asked| is_full || self.sent.get(key) != Some(asked);
        let mut named = Named { session_id: self.id, session_epoch: self.epoch, ..Named::default() };
        for ((topic, partition), asked) in wanted.iter().filter(|(key, asked)| is_new(key, asked)) {
            let asked = FetchPartition::default()
                .with_partition(partition.0)
                .with_current_leader_epoch(asked.leader_epoch.0)
                .with_fetch_offset(asked.offset.0)
                .with_last_fetched_epoch(asked.last_fetched_epoch.0)
                .with_log_start_offset(asked.log_start.0)
                .with_partition_max_bytes(max_bytes);
            match named.topics.last_mut().filter(|last| last.topic_id == topic.0) {
                Some(last) => last.partitions.push(asked),
                None => named.topics.push(FetchTopic::default().with_topic_id(topic.0).with_partitions(vec![asked])),
            }
        }
        if !is_full {
            let gone = self.sent.keys().filter(|key| !wanted.contains_key(key));
            gone.for_each(|(topic, partition)| forget(&mut named.forgotten, *topic, *partition));
        }
        self.sent = wanted;
        named
    }

    /// What the last request asked of a partition.
    pub(super) fn asked(&self, key: &Key) -> Option<Asked> {
        self.sent.get(key).copied()
    }

    /// An answer has come: the leader holds what was sent, if it gave a session.
    pub(super) fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            (self.id, self.epoch) = (0, INITIAL_EPOCH);
        } else if self.epoch == INITIAL_EPOCH {
            (self.id, self.epoch) = (session_id, 1);
        } else {
            self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        }
    }

    /// The session is not, or no longer, as we think: the next request begins anew, and closes the old one where there may be one.
    pub(super) fn failed(&mut self, code: Option<ErrorCode>) {
        self.epoch = INITIAL_EPOCH;
        if code == Some(ErrorCode::FetchSessionIdNotFound) {
            self.id = 0;
        }
    }
}

fn forget(forgotten: &mut Vec<ForgottenTopic>, topic: TopicId, partition: PartitionIndex) {
    match forgotten.last_mut().filter(|last| last.topic_id == topic.0) {
        Some(last) => last.partitions.push(partition.0),
        None => {
            forgotten.push(ForgottenTopic::default().with_topic_id(topic.0).with_partitions(vec![partition.0]));
        }
    }
}
