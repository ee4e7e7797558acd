//! Changes of in-sync sets on their way to the controller (AlterPartition, KIP-497).
//!
//! A leader's machine makes a proposal and keeps it until it is answered; an [`Outbox`] knows the replicas that have one. What is
//! sent is read from the machine at the moment of sending, so that a proposal that was overtaken by the metadata log is never sent.
//! One request is on its way at a time, with all proposals that there are (`DefaultAlterPartitionManager`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::outbox::Outbox;
use super::replica::Replica;
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId};
use crate::partition::Proposal;
use crate::protocol::message::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::protocol::message::alter_partition_response as answered;
use crate::protocol::message::{AlterPartitionRequest, AlterPartitionResponse, WireBrokerId};

/// How long is waited for a controller that decides, before proposals are looked at anew.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after a request that has led to nothing.
const RETRY: Duration = Duration::from_millis(50);

type Sent = BTreeMap<(TopicId, PartitionIndex), Sending>;

/// A proposal as it was sent.
struct Sending {
    replica: Arc<Replica>,
    proposal: Proposal,
    /// Members of the in-sync set that it is to change.
    isr_count: usize,
}

/// Sends all proposals there are, and tells the machines what became of theirs. Whatever is not decided waits for the next time.
pub(super) async fn send(outbox: Arc<Outbox>, broker: Arc<Broker>) {
    let waiting = std::mem::take(&mut *outbox.waiting());
    let proposed = |(key, replica): ((TopicId, PartitionIndex), Arc<Replica>)| {
        let isr_count = replica.in_sync()?.committed.len();
        let proposal = replica.proposal()?;
        Some((key, Sending { replica, proposal, isr_count }))
    };
    let sent: Sent = waiting.into_iter().filter_map(proposed).collect();
    if sent.is_empty() {
        return;
    }
    let request = request(&broker, &sent);
    let Some(answer) = outbox.unless_closed(broker.controller_call(&request, TIMEOUT)).await else { return };
    let left = match answer {
        Ok(answer) => take_in(&broker, sent, answer),
        Err(error) => {
            tracing::warn!(partitions = sent.len(), %error, "in-sync sets cannot be changed");
            sent
        }
    };
    if !left.is_empty() {
        left.into_values().for_each(|sent| outbox.submit(&sent.replica));
        outbox.unless_closed(tokio::time::sleep(RETRY)).await;
    }
}

fn request(broker: &Broker, sent: &Sent) -> AlterPartitionRequest {
    let image = broker.image();
    let own = broker.node_id();
    let own_epoch = image.broker(own).map_or(-1, |broker| broker.epoch);
    let mut topics: Vec<TopicData> = Vec::new();
    for ((topic, partition), Sending { proposal, .. }) in sent {
        let member = |(id, epoch): &(BrokerId, i64)| {
            let epoch = if *id == own { own_epoch } else { *epoch };
            BrokerState::default().with_broker_id(WireBrokerId(id.0)).with_broker_epoch(epoch)
        };
        let data = PartitionData::default()
            .with_partition_index(partition.0)
            .with_leader_epoch(proposal.leader_epoch.0)
            .with_partition_epoch(proposal.partition_epoch)
            .with_new_isr_with_epochs(proposal.isr.iter().map(member).collect());
        match topics.last_mut().filter(|last| last.topic_id == topic.0) {
            Some(last) => last.partitions.push(data),
            None => topics.push(TopicData::default().with_topic_id(topic.0).with_partitions(vec![data])),
        }
    }
    AlterPartitionRequest::default()
        .with_broker_id(WireBrokerId(own.0))
        .with_broker_epoch(own_epoch)
        .with_topics(topics)
}

/// Tells each machine its answer; what is left is to be sent again.
fn take_in(broker: &Broker, mut sent: Sent, answer: AlterPartitionResponse) -> Sent {
    let code = ErrorCode::from(answer.error_code);
    if code.is_error() {
        tracing::warn!(%code, "the controller refuses changes of in-sync sets");
        return sent;
    }
    for topic in answer.topics {
        for data in topic.partitions {
            let key = (TopicId(topic.topic_id), PartitionIndex(data.partition_index));
            if !must_retry(ErrorCode::from(data.error_code))
                && let Some(sent) = sent.remove(&key)
            {
                decided(broker, &sent, &data);
            }
        }
    }
    sent
}

fn decided(broker: &Broker, sent: &Sending, data: &answered::PartitionData) {
    let Sending { replica, proposal, isr_count } = sent;
    let metrics = broker.metrics();
    let partition = replica.topic_partition();
    match ErrorCode::from(data.error_code) {
        ErrorCode::None => {
            let isr: Vec<BrokerId> = data.isr.iter().map(|id| BrokerId(id.0)).collect();
            match isr.len().cmp(isr_count) {
                Ordering::Less => metrics.isr_shrinks.add(1),
                Ordering::Equal => {}
                Ordering::Greater => metrics.isr_expands.add(1),
            }
            tracing::info!(%partition, ?isr, partition_epoch = data.partition_epoch, "the in-sync set has changed");
            replica.proposal_accepted(LeaderEpoch(data.leader_epoch), data.partition_epoch, isr, broker.now());
        }
        code => {
            metrics.isr_failures.add(1);
            tracing::info!(%partition, %code, "a change of the in-sync set is refused");
            replica.proposal_refused(proposal.partition_epoch, code);
        }
    }
}

/// `Partition.handleAlterPartitionError`: what is said of the proposal itself is final, everything else may pass.
fn must_retry(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::None
            | ErrorCode::OperationNotAttempted
            | ErrorCode::IneligibleReplica
            | ErrorCode::NewLeaderElected
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::InvalidRequest
    )
}
