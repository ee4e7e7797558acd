//! What the coordinator is asked and what it answers, in its own words; the API files translate from and to the wire.

use bytes::Bytes;
use uuid::Uuid;

use crate::model::{ErrorCode, TopicId};

/// One of the ways to assign partitions that a member knows, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: String,
    /// Opaque, save for protocol type `consumer`, where the topics are read.
    pub metadata: Bytes,
}

/// JoinGroup. `rebalance_timeout_ms` is the session timeout in v0.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// Of the request: what it may ask depends on it (v4 KIP-394, v9 KIP-814).
    pub version: i16,
    pub client_id: String,
    /// As Java prints an address: `/127.0.0.1`.
    pub client_host: String,
    /// From which the id of a new member is made: random, so that no other member can guess it.
    pub new_member_uuid: Uuid,
    pub group_id: String,
    /// Empty when the member has none yet.
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub protocol_type: String,
    pub protocols: Vec<Protocol>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
}

/// SyncGroup.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    pub group_id: String,
    pub generation_id: i32,
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    /// From the leader only.
    pub assignments: Vec<Assignment>,
}

/// What the leader gives to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub member_id: String,
    pub assignment: Bytes,
}

/// Who sends a Heartbeat or an OffsetCommit.
#[derive(Clone, Copy, Debug)]
pub struct MemberIdentity<'a> {
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    pub generation_id: i32,
}

/// One of those whom a LeaveGroup names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
}

/// OffsetCommit. Only for partitions that exist: the API file has answered the others.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// Of the request: it decides how a group that is not there is told (v9).
    pub version: i16,
    pub group_id: String,
    pub member_id: String,
    pub group_instance_id: Option<String>,
    /// -1 from consumers that are in no group.
    pub generation_id: i32,
    /// v2–4; -1 for the broker's own.
    pub retention_time_ms: i64,
    pub topics: Vec<CommitTopic>,
}

#[derive(Clone, Debug)]
pub struct CommitTopic {
    pub name: String,
    pub topic_id: TopicId,
    pub partitions: Vec<CommitPartition>,
}

#[derive(Clone, Debug)]
pub struct CommitPartition {
    pub partition: i32,
    pub offset: i64,
    /// -1 for none.
    pub leader_epoch: i32,
    pub metadata: Option<String>,
}

/// OffsetFetch, of one group.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    pub group_id: String,
    /// `None` asks for all that is committed.
    pub topics: Option<Vec<FetchTopic>>,
}

#[derive(Clone, Debug)]
pub struct FetchTopic {
    pub name: String,
    /// Zero when the client named the topic by name.
    pub topic_id: TopicId,
    pub partitions: Vec<i32>,
}

/// A topic of an OffsetDelete.
#[derive(Clone, Debug)]
pub struct DeleteTopic {
    pub name: String,
    pub partitions: Vec<i32>,
}

/// The answer to a request that may have waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Join(JoinReply),
    Sync(SyncReply),
    Heartbeat(ErrorCode),
    Leave(LeaveReply),
    OffsetCommit(Vec<CommitTopicReply>),
    OffsetFetch { error: ErrorCode, topics: Vec<FetchedTopic> },
    OffsetDelete { error: ErrorCode, topics: Vec<TopicErrors> },
    DeleteGroups(Vec<(String, ErrorCode)>),
}

impl Reply {
    /// The answer when the record behind this one could not be written: all of it fails
    /// (`GroupCoordinatorService`, the handlers given to `handleOperationException`).
    pub(super) fn failed(self, error: ErrorCode) -> Reply {
        match self {
            Reply::Join(_) => Reply::Join(JoinReply::error(error, "")),
            Reply::Sync(_) => Reply::Sync(SyncReply::error(error)),
            Reply::Heartbeat(_) => Reply::Heartbeat(error),
            Reply::Leave(_) => Reply::Leave(LeaveReply { error, members: Vec::new() }),
            Reply::OffsetCommit(mut topics) => {
                let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                partitions.for_each(|partition| partition.error = error);
                Reply::OffsetCommit(topics)
            }
            Reply::OffsetFetch { .. } => Reply::OffsetFetch { error, topics: Vec::new() },
            Reply::OffsetDelete { .. } => Reply::OffsetDelete { error, topics: Vec::new() },
            Reply::DeleteGroups(groups) => {
                Reply::DeleteGroups(groups.into_iter().map(|(group_id, _)| (group_id, error)).collect())
            }
        }
    }
}

/// The answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReply {
    pub error: ErrorCode,
    /// -1 with an error.
    pub generation_id: i32,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub leader: String,
    /// v9: the leader need not assign anew, since it came back under a new id and nothing else changed (KIP-814).
    pub skip_assignment: bool,
    pub member_id: String,
    /// For the leader only.
    pub members: Vec<JoinMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub metadata: Bytes,
}

impl JoinReply {
    pub fn error(error: ErrorCode, member_id: &str) -> JoinReply {
        JoinReply {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

/// The answer to SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReply {
    pub error: ErrorCode,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
}

impl SyncReply {
    pub fn error(error: ErrorCode) -> SyncReply {
        SyncReply { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

/// The answer to LeaveGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveReply {
    pub error: ErrorCode,
    pub members: Vec<(LeavingMember, ErrorCode)>,
}

/// A topic of the answer to OffsetCommit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopicReply {
    pub name: String,
    pub topic_id: TopicId,
    pub partitions: Vec<PartitionError>,
}

/// A topic of the answer to OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicErrors {
    pub name: String,
    pub partitions: Vec<PartitionError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionError {
    pub partition: i32,
    pub error: ErrorCode,
}

/// A topic of the answer to OffsetFetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    pub name: String,
    pub topic_id: TopicId,
    pub partitions: Vec<FetchedPartition>,
}

/// An offset of -1 says that none is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// A line of ListGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group_id: String,
    pub protocol_type: String,
    pub state: super::State,
}

/// An answer of DescribeGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    pub state: super::State,
    pub protocol_type: String,
    /// The chosen protocol, of a stable group only.
    pub protocol_data: String,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// Of a stable group only.
    pub metadata: Bytes,
    pub assignment: Bytes,
}
