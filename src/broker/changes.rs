//! What a change of the cluster's image means for this broker's partitions.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Broker;
use super::live::LiveSettings;
use super::replica::Replica;
use super::topic_settings;
use crate::metadata::{ConfigResource, Delta, Image, Partition, Topic};
use crate::model::{PartitionIndex, TopicId};
use crate::partition::Loss;
use crate::quorum::Change;

impl Broker {
    /// Called on the quorum's thread, after the new image is published and before its writer is answered: what was deleted
    /// is out of service when the deletion is answered.
    pub(super) fn on_change(&self, change: Change<'_>) {
        let _opening = self.opening.lock();
        let (image, delta) = (change.new, change.delta);
        log_changes(image, delta);
        self.count_elections(&change);
        for topic in &delta.topics_deleted {
            self.retire_topic(topic.id);
        }
        self.groups.on_topics_deleted(self.now(), &delta.topics_deleted);
        for id in &delta.topics_created {
            self.housekeeper.open_soon(*id);
        }
        for (id, partition) in &delta.partitions_changed {
            let Some(topic) = image.topic_by_id(*id) else { continue };
            let Some(state) = topic.partition(*partition) else { continue };
            match self.replicas.get_by_id(*id, *partition) {
                Some(replica) if self.hosts(state) => {
                    self.take_role(&replica, state);
                    self.groups.on_moved(self, &replica);
                }
                Some(replica) => self.give_up(&replica),
                None if self.hosts(state) => self.housekeeper.open_soon(*id),
                None => {}
            }
        }
        for broker in delta.brokers_changed.iter().filter(|broker| !image.is_active(**broker)) {
            self.replicas.all().iter().for_each(|replica| replica.broker_ineligible(*broker));
        }
        if delta.quotas_changed {
            self.quotas.set(image);
        }
        if !delta.configs_changed.is_empty() {
            self.reconfigure(image, &delta.configs_changed);
        }
    }

    /// Leaders that were not in sync, as `ControllerMetricsChanges` tells them; by the node that has decided so, and no other.
    fn count_elections(&self, change: &Change<'_>) {
        if !self.is_active_controller() {
            return;
        }
        for (id, index) in &change.delta.partitions_changed {
            let (before, after) = (change.old.partition(*id, *index), change.new.partition(*id, *index));
            match before.zip(after).and_then(|(before, after)| election(before, after)) {
                Some(Election::Eligible) => self.metrics.eligible_elections.add(1),
                Some(Election::Unclean) => self.metrics.unclean_elections.add(1),
                None => {}
            }
        }
    }

    /// Leads or follows, as the partition's state says.
    pub(super) fn take_role(&self, replica: &Arc<Replica>, state: &Partition) {
        if self.leads(state) {
            self.fetchers.release(replica);
            return replica.lead(state, self.now());
        }
        replica.follow(state, self.loss(state));
        if state.leader == Partition::NO_LEADER {
            return self.fetchers.release(replica);
        }
        self.fetchers.assign(replica, state.leader, state.leader_epoch, self.live().replica_fetchers);
    }

    /// Leads, follows, opens and gives up as the newest image says; for a start, which hears of no change before its end.
    pub(super) fn reconcile(&self) {
        let _opening = self.opening.lock();
        let image = self.image();
        self.set_throttles(&image);
        self.quotas.set(&image);
        self.set_live(&image);
        for replica in self.replicas.all() {
            let topic = image.topic_by_id(replica.topic_id());
            match topic.and_then(|topic| topic.partition(replica.topic_partition().partition)) {
                Some(state) if self.hosts(state) => self.take_role(&replica, state),
                Some(_) => self.give_up(&replica),
                None => self.retire_topic(replica.topic_id()),
            }
        }
        let is_missing = |topic: &&Topic| {
            let mut states = (0..).map(PartitionIndex).zip(&topic.partitions);
            states.any(|(index, state)| self.hosts(state) && self.replicas.get_by_id(topic.id, index).is_none())
        };
        // Those that were led here before and have no log yet are opened when somebody asks.
        let follows = |topic: &&Topic| topic.partitions.iter().any(|state| self.hosts(state) && !self.leads(state));
        for topic in image.topics().filter(is_missing).filter(follows) {
            self.housekeeper.open_soon(topic.id);
        }
    }

    /// A follower that the controller counts as in sync, or as eligible, holds what its leader holds. So does every other one where
    /// the leader was elected from those: a leader that lacks what was committed was elected uncleanly, on request, by the topic's
    /// setting, or as the last one that was known.
    fn loss(&self, state: &Partition) -> Loss {
        let counts = state.isr.contains(&self.node_id) || state.elr.contains(&self.node_id);
        if counts { Loss::Refused } else { Loss::Accepted }
    }

    /// A partition that has moved away: its log goes.
    fn give_up(&self, replica: &Arc<Replica>) {
        self.fetchers.release(replica);
        self.replicas.remove_partition(replica.topic_id(), replica.topic_partition().partition);
        self.retire_replica(replica);
        self.groups.on_moved(self, replica);
    }

    fn reconfigure(&self, image: &Image, changed: &BTreeSet<ConfigResource>) {
        let is_general = |resource: &ConfigResource| match resource {
            ConfigResource::BrokerDefault => true,
            ConfigResource::Broker(id) => *id == self.node_id,
            _ => false,
        };
        let all = changed.iter().any(is_general);
        if all {
            self.set_throttles(image);
            self.set_live(image);
        }
        for (topic, replicas) in self.replicas.by_topic() {
            if all || changed.contains(&ConfigResource::Topic(topic.to_string())) {
                let settings = Arc::new(topic_settings::resolve(&self.settings, image, self.node_id, &topic));
                replicas.iter().for_each(|replica| replica.configure(Arc::clone(&settings)));
            }
        }
    }

    /// Followers are shared out anew among another number of fetchers; nothing else needs more than to be looked up again.
    fn set_live(&self, image: &Image) {
        let live = LiveSettings::resolve(&self.settings, image, self.node_id);
        let before = std::mem::replace(&mut *self.live.lock(), Arc::new(live.clone()));
        if before.replica_fetchers == live.replica_fetchers {
            return;
        }
        for replica in self.replicas.all() {
            let topic = image.topic_by_id(replica.topic_id());
            let state = topic.and_then(|topic| topic.partition(replica.topic_partition().partition));
            if let Some(state) = state.filter(|state| self.hosts(state) && !self.leads(state)) {
                self.fetchers.release(&replica);
                self.take_role(&replica, state);
            }
        }
    }

    /// Kafka's `leader.replication.throttled.rate` and its like, which are set while the cluster runs and have no default.
    fn set_throttles(&self, image: &Image) {
        let (own, all) =
            (image.configs(&ConfigResource::Broker(self.node_id)), image.configs(&ConfigResource::BrokerDefault));
        let rate = |name: &str| own.get(name).or(all.get(name)).map(String::as_str);
        self.throttles.leader.set(rate("leader.replication.throttled.rate"));
        self.throttles.follower.set(rate("follower.replication.throttled.rate"));
        self.throttles.directories.set(rate("replica.alter.log.dirs.io.max.bytes.per.second"));
    }

    /// Opens the logs of a new topic that nobody has asked for yet.
    pub(super) fn open_topic(&self, id: TopicId) {
        let image = self.image();
        let Some(topic) = image.topic_by_id(id).cloned() else { return };
        for (index, state) in (0..).zip(&topic.partitions) {
            let partition = PartitionIndex(index);
            if self.hosts(state) && self.replicas.get_by_id(id, partition).is_none() {
                // An error is logged where it happens; a client that asks for the partition gets it again.
                let _ = self.open_replica(id, partition);
            }
        }
    }
}

/// How a partition was given a leader that was not in sync.
#[derive(Debug, PartialEq, Eq)]
enum Election {
    /// It holds what was committed all the same (KIP-966).
    Eligible,
    /// It may not.
    Unclean,
}

/// `None`: it has the leader that it had, none, or one that was in sync.
fn election(before: &Partition, after: &Partition) -> Option<Election> {
    if after.leader == before.leader || !after.has_leader() || before.isr.contains(&after.leader) {
        return None;
    }
    Some(if before.elr.contains(&after.leader) { Election::Eligible } else { Election::Unclean })
}

/// What people look for in a log when a topic is gone, or behaves otherwise than yesterday.
fn log_changes(image: &Image, delta: &Delta) {
    for topic in &delta.topics_deleted {
        tracing::info!(topic = %topic.name, id = %topic.id, "topic deleted");
    }
    for topic in delta.topics_created.iter().filter_map(|id| image.topic_by_id(*id)) {
        tracing::info!(topic = %topic.name, id = %topic.id, partitions = topic.partitions.len(), "topic created");
    }
    for resource in &delta.configs_changed {
        tracing::info!(?resource, "settings changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BrokerId;

    #[test]
    fn an_election_is_unclean_when_the_leader_was_neither_in_sync_nor_eligible() {
        let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
        let led_by = |leader: i32, isr: &[i32], elr: &[i32]| Partition {
            leader: BrokerId(leader),
            elr: brokers(elr),
            ..Partition::created_in_sync(brokers(&[1, 2, 3]), brokers(isr))
        };
        let check = |before: &Partition, leader: i32, expected: Option<Election>| {
            assert_eq!(election(before, &led_by(leader, &[leader], &[])), expected, "{before:?} {leader}");
        };
        let whole = led_by(1, &[1, 2], &[]);
        check(&whole, 1, None);
        check(&whole, 2, None);
        check(&whole, 3, Some(Election::Unclean));
        assert_eq!(election(&whole, &led_by(-1, &[], &[])), None);
        let leaderless = led_by(-1, &[], &[2]);
        check(&leaderless, 2, Some(Election::Eligible));
        check(&leaderless, 3, Some(Election::Unclean));
    }
}
