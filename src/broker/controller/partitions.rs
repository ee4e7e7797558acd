//! Who is in sync, who leads, and where partitions are: what leaders and administrators ask of the controller.

use std::sync::Arc;

use super::{PEER_TIMEOUT_MS, options};
use crate::broker::Broker;
use crate::controller::{
    self, AlterPartition, ElectedTopic, ElectionType, ReassignedTopic, Reassigning, Refusal, Target,
};
use crate::metadata::Partition;
use crate::model::{BrokerId, ErrorCode, PartitionIndex};

impl Broker {
    /// A leader asks for other ISRs. Error for the whole request: STALE_BROKER_EPOCH, NOT_CONTROLLER, REQUEST_TIMED_OUT.
    pub async fn alter_partition(
        self: &Arc<Broker>,
        leader: BrokerId,
        broker_epoch: i64,
        requests: Vec<AlterPartition>,
    ) -> Result<Vec<Result<Partition, ErrorCode>>, Refusal> {
        let options = options(self.settings());
        let decide =
            move |_: &Broker, image: &_| controller::alter_partition(image, &options, leader, broker_epoch, &requests);
        self.decide_or_refuse(PEER_TIMEOUT_MS, decide, |_, _, _| ()).await
    }

    /// Elects leaders: of these partitions, or of all.
    pub async fn elect_leaders(
        self: &Arc<Broker>,
        election_type: ElectionType,
        topics: Option<Vec<(String, Vec<PartitionIndex>)>>,
        timeout_ms: i32,
    ) -> Result<Vec<ElectedTopic>, Refusal> {
        let options = options(self.settings());
        let decide = move |image: &_| controller::elect_leaders(image, &options, election_type, topics.as_deref());
        self.decide(timeout_ms, decide).await
    }

    /// Begins to move partitions, or takes that back.
    pub async fn alter_partition_reassignments(
        self: &Arc<Broker>,
        may_change_factor: bool,
        topics: Vec<(String, Vec<Target>)>,
        timeout_ms: i32,
    ) -> Result<Vec<ReassignedTopic>, Refusal> {
        let options = options(self.settings());
        let decide =
            move |image: &_| controller::alter_partition_reassignments(image, &options, may_change_factor, &topics);
        self.decide(timeout_ms, decide).await
    }

    /// The partitions that are being moved: of these topics, or of all.
    pub fn list_partition_reassignments(
        &self,
        topics: Option<&[(String, Vec<PartitionIndex>)]>,
    ) -> Vec<(String, Vec<Reassigning>)> {
        controller::list_partition_reassignments(&self.image(), topics)
    }
}
