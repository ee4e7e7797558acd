//! What openraft is told about us: who votes, what an entry carries, what a write answers.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::metadata::{DecodeError, Image, Reader, Record, Writer};
use crate::model::BrokerId;

/// A voter or learner: a node on one directory. An empty directory under an old node id is somebody else, who never votes
/// with the old one's promises (KIP-853).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Voter {
    pub node_id: BrokerId,
    pub directory_id: Uuid,
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.node_id, self.directory_id)
    }
}

/// Records that are committed together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch(pub Arc<[Record]>);

openraft::declare_raft_types!(
    /// openraft's configuration of types.
    pub TypeConfig:
        D = Batch,
        R = Arc<Image>,
        NodeId = Voter,
        Node = openraft::BasicNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Vec<u8>,
        AsyncRuntime = openraft::TokioRuntime,
);

pub type Entry = openraft::Entry<TypeConfig>;
pub type LogId = openraft::LogId<Voter>;
pub type Vote = openraft::Vote<Voter>;
pub type Membership = openraft::Membership<Voter, openraft::BasicNode>;
pub type StoredMembership = openraft::StoredMembership<Voter, openraft::BasicNode>;
pub type StorageError = openraft::StorageError<Voter>;

/// The bytes of votes, log ids, entries and memberships. What frames them carries the version.
pub trait Bytes: Sized {
    fn write(&self, to: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::new();
        self.write(&mut to);
        to.into_bytes()
    }

    /// Reads a value that fills the slice.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        let value = Self::read(&mut from)?;
        from.finish()?;
        Ok(value)
    }
}

impl Bytes for Voter {
    fn write(&self, to: &mut Writer) {
        to.broker_id(self.node_id);
        to.uuid(self.directory_id);
    }

    fn read(from: &mut Reader<'_>) -> Result<Voter, DecodeError> {
        Ok(Voter { node_id: from.broker_id()?, directory_id: from.uuid()? })
    }
}

impl Bytes for Vote {
    fn write(&self, to: &mut Writer) {
        to.u64(self.leader_id.term);
        self.leader_id.node_id.write(to);
        to.bool(self.committed);
    }

    fn read(from: &mut Reader<'_>) -> Result<Vote, DecodeError> {
        let mut vote = openraft::Vote::new(from.u64()?, Voter::read(from)?);
        vote.committed = from.bool()?;
        Ok(vote)
    }
}

impl Bytes for LogId {
    fn write(&self, to: &mut Writer) {
        to.u64(self.leader_id.term);
        self.leader_id.node_id.write(to);
        to.u64(self.index);
    }

    fn read(from: &mut Reader<'_>) -> Result<LogId, DecodeError> {
        let leader_id = openraft::CommittedLeaderId::new(from.u64()?, Voter::read(from)?);
        Ok(openraft::LogId::new(leader_id, from.u64()?))
    }
}

impl<T: Bytes> Bytes for Option<T> {
    fn write(&self, to: &mut Writer) {
        to.bool(self.is_some());
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Option<T>, DecodeError> {
        if from.bool()? { Ok(Some(T::read(from)?)) } else { Ok(None) }
    }
}

impl Bytes for Membership {
    fn write(&self, to: &mut Writer) {
        to.count(self.get_joint_config().len());
        for voters in self.get_joint_config() {
            to.count(voters.len());
            for voter in voters {
                voter.write(to);
            }
        }
        to.count(self.nodes().count());
        for (voter, node) in self.nodes() {
            voter.write(to);
            to.str(&node.addr);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Membership, DecodeError> {
        let configs = from.list(|from| Ok(from.list(Voter::read)?.into_iter().collect()))?;
        let nodes = from.list(|from| Ok((Voter::read(from)?, openraft::BasicNode::new(from.str()?))))?;
        Ok(openraft::Membership::new(configs, nodes.into_iter().collect::<std::collections::BTreeMap<_, _>>()))
    }
}

impl Bytes for StoredMembership {
    fn write(&self, to: &mut Writer) {
        self.log_id().write(to);
        self.membership().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<StoredMembership, DecodeError> {
        Ok(openraft::StoredMembership::new(Option::read(from)?, Membership::read(from)?))
    }
}

impl Bytes for Entry {
    fn write(&self, to: &mut Writer) {
        self.log_id.write(to);
        match &self.payload {
            openraft::EntryPayload::Blank => to.u8(0),
            openraft::EntryPayload::Normal(batch) => {
                to.u8(1);
                to.blob(&Record::encode_all(&batch.0));
            }
            openraft::EntryPayload::Membership(membership) => {
                to.u8(2);
                membership.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Entry, DecodeError> {
        let log_id = LogId::read(from)?;
        let payload = match from.u8()? {
            0 => openraft::EntryPayload::Blank,
            1 => openraft::EntryPayload::Normal(Batch(Record::decode_all(from.blob()?)?.into())),
            2 => openraft::EntryPayload::Membership(Membership::read(from)?),
            tag => return Err(DecodeError::Unknown { what: "entry payload", value: tag.into() }),
        };
        Ok(openraft::Entry { log_id, payload })
    }
}
