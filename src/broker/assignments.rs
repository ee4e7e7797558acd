//! Where the replicas of a broker with several directories lie, on its way to the controller (AssignReplicasToDirs, KIP-858).
//!
//! An [`Outbox`] knows which replicas have something to tell. What is told is looked up when it is sent, and sent again until the
//! image says the same; so a replica that moves on meanwhile is told where it is then. One request is on its way at a time
//! (`AssignmentsManager`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Broker;
use super::outbox::Outbox;
use super::replica::Replica;
use crate::model::{ErrorCode, PartitionIndex, TopicId};
use crate::protocol::message::assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData};
use crate::protocol::message::{AssignReplicasToDirsRequest, WireBrokerId};

/// How long is waited for a controller that decides, before everything is looked at anew.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after a request that has led to nothing, or to less than was asked.
const RETRY: Duration = Duration::from_millis(100);
/// Replicas in one request (`AssignReplicasToDirsRequest.MAX_ASSIGNMENTS_PER_REQUEST`).
const ASSIGNMENTS_MAX: usize = 2250;

/// Sends what there is, and forgets what the image says already.
pub(super) async fn send(outbox: Arc<Outbox>, broker: Arc<Broker>) {
    let mut told: BTreeMap<(Uuid, TopicId), Vec<PartitionIndex>> = BTreeMap::new();
    {
        let mut waiting = outbox.waiting();
        waiting.retain(|_, replica| broker.untold_directory(replica).is_some());
        for ((topic, partition), replica) in waiting.iter().take(ASSIGNMENTS_MAX) {
            if let Some(directory) = broker.untold_directory(replica) {
                told.entry((directory, *topic)).or_default().push(*partition);
            }
        }
    }
    if told.is_empty() {
        return;
    }
    let request = request(&broker, told);
    let Some(answer) = outbox.unless_closed(broker.controller_call(&request, TIMEOUT)).await else { return };
    match answer.map(|answer| ErrorCode::from(answer.error_code)) {
        Ok(code) if code.is_error() => {
            tracing::warn!(%code, "the controller does not want to know where replicas lie");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the controller cannot be told where replicas lie"),
    }
    // The image that says so comes within this time, as a rule; what it does not say then is sent again.
    outbox.unless_closed(tokio::time::sleep(RETRY)).await;
}

fn request(broker: &Broker, told: BTreeMap<(Uuid, TopicId), Vec<PartitionIndex>>) -> AssignReplicasToDirsRequest {
    let mut directories: Vec<DirectoryData> = Vec::new();
    for ((directory, topic), partitions) in told {
        let partitions = partitions.iter().map(|index| PartitionData::default().with_partition_index(index.0));
        let data = TopicData::default().with_topic_id(topic.0).with_partitions(partitions.collect());
        match directories.last_mut().filter(|last| last.id == directory) {
            Some(last) => last.topics.push(data),
            None => directories.push(DirectoryData::default().with_id(directory).with_topics(vec![data])),
        }
    }
    AssignReplicasToDirsRequest::default()
        .with_broker_id(WireBrokerId(broker.node_id().0))
        .with_broker_epoch(broker.broker_epoch())
        .with_directories(directories)
}

impl Broker {
    /// The directory of a replica, if the cluster has yet to hear of it: a broker with one directory has nothing to tell.
    fn untold_directory(&self, replica: &Replica) -> Option<Uuid> {
        let image = self.image();
        let state = image.partition(replica.topic_id(), replica.topic_partition().partition)?;
        let (directory, known) = (replica.directory().id()?, state.directory_of(self.node_id));
        let says_nothing = self.directories.len() == 1 && known.is_none();
        (self.hosts(state) && !says_nothing && known != Some(directory)).then_some(directory)
    }

    /// Has the controller told where a replica lies, unless it knows.
    pub(super) fn tell_directory(&self, replica: &Arc<Replica>) {
        if self.untold_directory(replica).is_some() {
            self.assignments.submit(replica);
        }
    }
}
