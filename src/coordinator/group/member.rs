//! One member of a classic group (`ClassicGroupMember`).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::messages::{DescribedMember, JoinMember, JoinRequest, Protocol};
use crate::protocol::extra::consumer_offsets::MemberMetadata;

#[derive(Debug)]
pub(super) struct Member<T> {
    pub(super) member_id: Arc<str>,
    /// Set for static members (KIP-345).
    pub(super) group_instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// The JoinGroup that waits for the rebalance to end.
    pub(super) awaiting_join: Option<T>,
    /// The SyncGroup that waits for the leader's assignment.
    pub(super) awaiting_sync: Option<T>,
    /// Has not had its first answer, so it cannot send heartbeats yet.
    pub(super) is_new: bool,
}

impl<T> Member<T> {
    pub(super) fn joining(member_id: Arc<str>, request: &JoinRequest) -> Member<T> {
        Member {
            member_id,
            group_instance_id: request.group_instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
        }
    }

    /// As read from the log, where only the chosen protocol is known (`GroupMetadataManager.replay`).
    pub(super) fn loaded(member: MemberMetadata, protocol: Option<&str>) -> Member<T> {
        let metadata = member.subscription;
        Member {
            member_id: member.member_id.into(),
            group_instance_id: member.group_instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            rebalance_timeout_ms: match member.rebalance_timeout_ms {
                -1 => member.session_timeout_ms,
                timeout_ms => timeout_ms,
            },
            session_timeout_ms: member.session_timeout_ms,
            protocols: protocol.map(|name| Protocol { name: name.to_owned(), metadata }).into_iter().collect(),
            assignment: member.assignment,
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    /// The member under another id, which is how a static member comes back.
    pub(super) fn renamed(&mut self, member_id: Arc<str>) -> Member<T> {
        Member {
            member_id,
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            protocols: self.protocols.clone(),
            assignment: self.assignment.clone(),
            awaiting_join: self.awaiting_join.take(),
            awaiting_sync: self.awaiting_sync.take(),
            is_new: false,
        }
    }

    pub(super) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// Whether the end of its session may be passed over: it waits for us, so we cannot expect to hear of it.
    pub(super) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub(super) fn session_timeout(&self) -> u64 {
        u64::try_from(self.session_timeout_ms).unwrap_or(0)
    }

    /// What the member said for a protocol; empty when it does not know it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let known = self.protocols.iter().find(|known| Some(known.name.as_str()) == protocol);
        known.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    /// The names of its protocols, each once.
    pub(super) fn protocol_names(&self) -> BTreeSet<&str> {
        self.protocols.iter().map(|protocol| protocol.name.as_str()).collect()
    }

    pub(super) fn to_join_member(&self, protocol: Option<&str>) -> JoinMember {
        JoinMember {
            member_id: self.member_id.to_string(),
            group_instance_id: self.group_instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    pub(super) fn to_described(&self, protocol: Option<&str>) -> DescribedMember {
        DescribedMember {
            member_id: self.member_id.to_string(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    pub(super) fn to_record(&self, protocol: Option<&str>, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            member_id: self.member_id.to_string(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }
}
