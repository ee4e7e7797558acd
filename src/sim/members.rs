//! Members of a group: they join, share the partitions, commit, leave, and now and then sleep through a rebalance.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::client::{Client, Failed};
use super::commits::{Committer, commit, committed};
use super::history::Partition;
use super::load::{Load, PARTITIONS, RETRY};
use crate::io::simulated::{self, Host};
use crate::model::ErrorCode;
use crate::protocol::message::join_group_request::JoinGroupRequestProtocol;
use crate::protocol::message::leave_group_request::MemberIdentity;
use crate::protocol::message::sync_group_request::SyncGroupRequestAssignment;
use crate::protocol::message::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, StrBytes, SyncGroupRequest,
};

/// The name of the group.
pub const GROUP: &str = "members";
/// How many take part: one more than there are partitions.
pub const COUNT: usize = PARTITIONS.len() + 1;

const SESSION_TIMEOUT_MS: i32 = 2_000;
/// Less than the client's patience with one request.
const REBALANCE_TIMEOUT_MS: i32 = 1_200;
const HEARTBEAT_MAX_MS: u64 = 400;
/// Longer than a session.
const NAP: Duration = Duration::from_millis(2_500);

struct Member {
    load: Arc<Load>,
    client: Client,
    /// Empty before the coordinator has given one.
    member_id: String,
}

/// What a member has in a generation.
struct Membership {
    by: Committer,
    /// With the offset that it has committed last.
    owned: Vec<(Partition, i64)>,
}

/// The life of a member.
pub async fn take_part(load: Arc<Load>, host: Arc<Host>) -> turmoil::Result {
    host.enter();
    let client = Client::new(load.node_count);
    let mut member = Member { load, client, member_id: String::new() };
    while !member.load.is_over() {
        if member.one_generation().await.is_err() {
            member.client.forget_coordinator();
            tokio::time::sleep(RETRY).await;
        }
    }
    Ok(())
}

impl Member {
    /// Joins, and stays until there is reason to join again. An error is one of the way, or of the coordinator.
    async fn one_generation(&mut self) -> Result<(), Failed> {
        let mut membership = self.join().await?;
        for (partition, offset) in &mut membership.owned {
            *offset = committed(&self.load, &mut self.client, GROUP, *partition).await?.max(0);
        }
        while !self.load.is_over() {
            tokio::time::sleep(Duration::from_millis(simulated::next_random() % HEARTBEAT_MAX_MS)).await;
            let random = simulated::next_random() % 64;
            if random == 0 && !self.load.is_calm() {
                return self.leave().await;
            }
            if random == 1 && !self.load.is_calm() {
                tokio::time::sleep(NAP).await;
            } else if !self.heartbeat(&membership).await? {
                return Ok(());
            }
            for (partition, offset) in &mut membership.owned {
                commit(&self.load, &mut self.client, &membership.by, *partition, *offset + 1).await?;
                *offset += 1;
            }
        }
        Ok(())
    }

    async fn join(&mut self) -> Result<Membership, Failed> {
        let coordinator = self.client.coordinator(GROUP).await?;
        let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("shared"));
        let request = JoinGroupRequest::default()
            .with_group_id(group())
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_member_id(StrBytes::from_string(self.member_id.clone()))
            .with_group_instance_id(None)
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        let joined = self.client.ask(coordinator, &request, 5).await?;
        match ErrorCode::from(joined.error_code) {
            ErrorCode::None => self.member_id = joined.member_id.to_string(),
            ErrorCode::MemberIdRequired => {
                self.member_id = joined.member_id.to_string();
                return Err(Failed("joins with the id that it was given".into()));
            }
            code => return Err(self.refused(code)),
        }
        let mut members: Vec<&str> = joined.members.iter().map(|member| &*member.member_id).collect();
        members.sort_unstable();
        let assignments = PARTITIONS.iter().enumerate().filter_map(|(place, partition)| {
            let member = members.get(place % members.len().max(1))?;
            let assignment = Bytes::from(partition.1.to_string());
            let assigned = SyncGroupRequestAssignment::default().with_assignment(assignment);
            Some(assigned.with_member_id(StrBytes::from_string((*member).to_owned())))
        });
        let request = SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(joined.generation_id)
            .with_member_id(StrBytes::from_string(self.member_id.clone()))
            .with_group_instance_id(None)
            .with_assignments(together(assignments));
        let synced = self.client.ask(coordinator, &request, 3).await?;
        match ErrorCode::from(synced.error_code) {
            ErrorCode::None => Ok(self.given(joined.generation_id, &synced.assignment)),
            code => Err(self.refused(code)),
        }
    }

    fn given(&self, generation: i32, assignment: &[u8]) -> Membership {
        let indexes = std::str::from_utf8(assignment).unwrap_or_default().split(',');
        let indexes: Vec<i32> = indexes.filter_map(|index| index.parse().ok()).collect();
        let owned = PARTITIONS.into_iter().filter(|partition| indexes.contains(&partition.1));
        let owned: Vec<_> = owned.map(|partition| (partition, 0)).collect();
        for ((_, index), _) in &owned {
            self.load.history.owns(GROUP, generation, &self.member_id, *index);
        }
        Membership { by: Committer { group: GROUP, generation, member_id: self.member_id.clone() }, owned }
    }

    /// Whether the generation goes on.
    async fn heartbeat(&mut self, membership: &Membership) -> Result<bool, Failed> {
        let coordinator = self.client.coordinator(GROUP).await?;
        let request = HeartbeatRequest::default()
            .with_group_id(group())
            .with_generation_id(membership.by.generation)
            .with_member_id(StrBytes::from_string(self.member_id.clone()))
            .with_group_instance_id(None);
        let answer = self.client.ask(coordinator, &request, 3).await?;
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => Ok(true),
            ErrorCode::RebalanceInProgress => Ok(false),
            code => Err(self.refused(code)),
        }
    }

    async fn leave(&mut self) -> Result<(), Failed> {
        let coordinator = self.client.coordinator(GROUP).await?;
        let member_id = StrBytes::from_string(std::mem::take(&mut self.member_id));
        let identity =
            MemberIdentity::default().with_member_id(member_id).with_group_instance_id(None).with_reason(None);
        let request = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![identity]);
        self.client.ask(coordinator, &request, 3).await.map(drop)
    }

    /// What a refusal means for who this member is.
    fn refused(&mut self, code: ErrorCode) -> Failed {
        if matches!(code, ErrorCode::UnknownMemberId) {
            self.member_id.clear();
        }
        Failed(code.to_string())
    }
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str(GROUP))
}

/// One assignment for each member, with all its partitions.
fn together(assigned: impl Iterator<Item = SyncGroupRequestAssignment>) -> Vec<SyncGroupRequestAssignment> {
    let mut all: Vec<SyncGroupRequestAssignment> = Vec::new();
    for one in assigned {
        match all.iter_mut().find(|known| known.member_id == one.member_id) {
            Some(known) => known.assignment = Bytes::from([&known.assignment[..], b",", &one.assignment[..]].concat()),
            None => all.push(one),
        }
    }
    all
}
