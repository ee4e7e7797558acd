//! The next state of one partition: who is in the ISR, who stays eligible, who leads, and which epochs rise.
//!
//! Follows Kafka's `PartitionChangeBuilder` with eligible leader replicas (KIP-966). The rules:
//! - The high watermark does not move while the ISR is smaller than min ISR. So who leaves an ISR of that size, or makes it so
//!   small, still holds all that was ever acknowledged: it goes into the ELR, and may lead when the ISR is empty.
//! - A leader is taken from the ISR, then from the ELR, then, when both are empty, the last leader itself; out of anybody else
//!   only when an unclean election was asked for or configured.
//! - Whoever is elected uncleanly is recovering until it says that it is not (KIP-704), with its next change of the ISR.
//! - The partition epoch rises with every change; the leader epoch when the leader changes or a replica is taken away.
//!
//! Where we are stricter than Kafka: a last known leader must be alive (Kafka logs that and elects it all the same); an ELR is
//! emptied as soon as the ISR is large enough, also by an election out of the ELR; and who is no replica any more leaves it.

use crate::metadata::{LeaderRecoveryState, Partition, Replicas};
use crate::model::{BrokerId, LeaderEpoch};

/// Who may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first replica if it is in sync, else as `Online`.
    Preferred,
    /// The present leader if it still may, else anybody in sync or eligible.
    Online,
    /// As `Online`, but rather anybody alive than nobody: acknowledged records may be lost.
    Unclean,
}

/// What becomes of a replica that leaves the ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// What it has, it keeps: it may go into the ELR.
    KeepsItsLog,
    /// It may have lost the end of its log (KIP-966's unclean shutdown): no ELR, but the last leader is remembered.
    LostItsEnd,
    /// It has lost its directory, or has been given up: it is not remembered either.
    LostItsLog,
}

/// A change to make; see the head of this file.
pub struct PartitionChange<'a> {
    partition: &'a Partition,
    /// `min.insync.replicas` of the topic.
    min_isr: usize,
    is_acceptable: &'a dyn Fn(BrokerId) -> bool,
    pub election: Election,
    pub isr: Replicas,
    pub replicas: Replicas,
    pub adding_replicas: Replicas,
    pub removing_replicas: Replicas,
    /// A replica that leaves the ISR, or the ELR, and how.
    pub departed: Option<(BrokerId, Departure)>,
    /// What the leader says of its recovery; an unclean election overrules it.
    pub leader_recovery_state: LeaderRecoveryState,
}

/// Who was elected.
struct Elected {
    leader: BrokerId,
    is_unclean: bool,
}

impl<'a> PartitionChange<'a> {
    /// A change of nothing yet. `is_acceptable`: who may lead at all, being alive.
    pub fn new(
        partition: &'a Partition,
        min_isr: usize,
        is_acceptable: &'a dyn Fn(BrokerId) -> bool,
    ) -> PartitionChange<'a> {
        PartitionChange {
            partition,
            min_isr,
            is_acceptable,
            election: Election::Online,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            adding_replicas: partition.adding_replicas.clone(),
            removing_replicas: partition.removing_replicas.clone(),
            departed: None,
            leader_recovery_state: partition.leader_recovery_state,
        }
    }

    /// The state after the change; `None` when it is the same.
    pub fn build(mut self) -> Option<Partition> {
        self.complete_reassignment();
        let old = self.partition;
        let min_isr = self.min_isr.min(self.replicas.len());
        let mut elr = self.next_elr(min_isr);
        let Elected { leader, is_unclean } = self.elect(&elr);
        if is_unclean || elr.contains(&leader) {
            self.isr = Replicas::from_slice(&[leader]);
        }
        elr.retain(|replica| *replica != leader);
        if is_unclean || self.isr.len() >= min_isr {
            elr.clear();
        }
        let is_replica_taken = old.replicas.iter().any(|replica| !self.replicas.contains(replica));
        let last_known_elr = self.last_known_leader(leader);
        let leader_recovery_state = match is_unclean {
            true => LeaderRecoveryState::Recovering,
            false => self.leader_recovery_state,
        };
        let mut directories = old.directories.clone();
        directories.retain(|(replica, _)| self.replicas.contains(replica));
        let new = Partition {
            leader,
            leader_epoch: old.leader_epoch,
            partition_epoch: old.partition_epoch,
            last_known_elr,
            replicas: self.replicas,
            isr: self.isr,
            adding_replicas: self.adding_replicas,
            removing_replicas: self.removing_replicas,
            elr,
            leader_recovery_state,
            directories,
        };
        if new == *old {
            return None;
        }
        let leader_epoch = match leader != old.leader || is_replica_taken {
            true => LeaderEpoch(old.leader_epoch.0 + 1),
            false => old.leader_epoch,
        };
        Some(Partition { leader_epoch, partition_epoch: old.partition_epoch + 1, ..new })
    }

    /// A reassignment is done when all replicas that stay are in sync (`PartitionReassignmentReplicas`).
    fn complete_reassignment(&mut self) {
        if self.adding_replicas.is_empty() && self.removing_replicas.is_empty() {
            return;
        }
        let staying = |replicas: &Replicas| -> Replicas {
            replicas.iter().copied().filter(|replica| !self.removing_replicas.contains(replica)).collect()
        };
        let (isr, replicas) = (staying(&self.isr), staying(&self.replicas));
        if isr.is_empty() || replicas.is_empty() || !replicas.iter().all(|replica| isr.contains(replica)) {
            return;
        }
        (self.isr, self.replicas) = (isr, replicas);
        self.adding_replicas.clear();
        self.removing_replicas.clear();
    }

    /// Who is eligible besides the ISR, in rising order.
    fn next_elr(&self, min_isr: usize) -> Replicas {
        if self.isr.len() >= min_isr {
            return Replicas::new();
        }
        let lost = self.departed.filter(|(_, departure)| *departure != Departure::KeepsItsLog).map(|(id, _)| id);
        let candidates = self.partition.elr.iter().chain(&self.partition.isr).copied();
        let mut elr: Replicas = candidates
            .filter(|replica| !self.isr.contains(replica) && self.replicas.contains(replica))
            .filter(|replica| lost != Some(*replica))
            .collect();
        elr.sort_unstable();
        elr.dedup();
        elr
    }

    fn elect(&self, elr: &[BrokerId]) -> Elected {
        let clean = |leader| Elected { leader, is_unclean: false };
        let may_lead = |replica: BrokerId| {
            let holds_all = self.isr.contains(&replica) || (self.isr.is_empty() && elr.contains(&replica));
            holds_all && (self.is_acceptable)(replica)
        };
        let preferred = self.replicas.first().copied().filter(|_| self.election == Election::Preferred);
        let wanted = preferred.into_iter().chain([self.partition.leader]).chain(self.replicas.iter().copied());
        if let Some(leader) = wanted.into_iter().find(|replica| may_lead(*replica)) {
            return clean(leader);
        }
        // Nobody is known to hold everything; the last leader comes nearest ("balanced recovery").
        if let [last] = self.partition.last_known_elr[..]
            && self.isr.is_empty()
            && elr.is_empty()
            && self.replicas.contains(&last)
            && self.departed.is_none_or(|(replica, _)| replica != last)
            && (self.is_acceptable)(last)
        {
            return Elected { leader: last, is_unclean: true };
        }
        let anybody = self.replicas.iter().copied().find(|replica| (self.is_acceptable)(*replica));
        match anybody.filter(|_| self.election == Election::Unclean) {
            Some(leader) => Elected { leader, is_unclean: true },
            None => clean(Partition::NO_LEADER),
        }
    }

    /// Remembers the leader when the ISR becomes empty, until somebody leads again.
    fn last_known_leader(&self, leader: BrokerId) -> Replicas {
        if leader != Partition::NO_LEADER {
            return Replicas::new();
        }
        let old = self.partition;
        let mut last = match self.isr.is_empty() && old.has_leader() {
            true => Replicas::from_slice(&[old.leader]),
            false => old.last_known_elr.clone(),
        };
        last.retain(|replica| self.replicas.contains(replica));
        // A replica that nobody else backs is remembered whatever it has lost: nobody can have more.
        if let Some((gone, Departure::LostItsLog)) = self.departed
            && old.replicas.len() > 1
        {
            last.retain(|replica| *replica != gone);
        }
        last
    }
}
