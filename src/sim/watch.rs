//! What must hold at every step, whatever has failed, seen from outside all nodes at once.
//!
//! - A leader epoch of a partition has one leader, and epochs only rise.
//! - The metadata is the same at the same offset, on all nodes and for good; and between two starts of a node, neither it nor a
//!   high watermark goes back.
//! - Replicas agree, batch for batch, on everything below any of their high watermarks (log matching).
//! - A replica never loses what lies below its high watermark, not even by a power cut; but with its disk.
//! - A record that was acknowledged is on stable storage on at least min ISR replicas, and, from then on for good, on every one that
//!   is in sync: a member of the ISR may lead any time.
//! - The set that a leader holds its high watermark to (its maximal ISR) includes the one that the controller has committed, and
//!   each of it has flushed what lies below.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::history::{History, Partition};
use super::invariant::{Broken, Invariant};
use super::load::PARTITIONS;
use super::node::Node;
use super::trace::Trace;
use crate::broker::Broker;
use crate::broker::replica::Replica;
use crate::log::ReadRequest;
use crate::metadata::{self, Image, Record};
use crate::model::{BrokerId, Offset, PartitionIndex, TopicId};
use crate::protocol::record_batch::BatchIter;

const READ_BYTES: usize = 1 << 20;

type Key = (TopicId, i32);

/// See the head of this file.
#[derive(Default)]
pub struct Watch {
    /// Leader of every epoch that any image named.
    leaders: BTreeMap<(Key, i32), BrokerId>,
    /// CRC and leader epoch of every committed batch, by its base offset.
    committed: BTreeMap<Key, BTreeMap<i64, (u32, i32)>>,
    replicas: BTreeMap<(i32, Key), Seen>,
    newest: Option<Arc<Image>>,
    /// Nodes that were seen in their present or last life. One that starts replicates before it says that it is ready.
    looked_at: BTreeSet<i32>,
    /// The image of each node that was looked at.
    images: BTreeMap<i32, Arc<Image>>,
    /// What the metadata is at an offset, as a checksum.
    metadata: BTreeMap<Offset, u32>,
    /// Nodes that have lost their disk, until they are in sync again.
    emptied: BTreeSet<i32>,
}

/// What was last known of a replica.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    high_watermark: i64,
    log_end: i64,
    durable_end: i64,
    leader_epoch: i32,
    /// Everything below is compared with the other replicas.
    compared: i64,
    /// The highest high watermark it ever had: whatever is below must never be lost.
    promised: i64,
    /// Of the partition's state as the node knew it at the last look.
    partition_epoch: i32,
}

impl Watch {
    /// Looks at every node that runs.
    pub fn look(&mut self, nodes: &[Arc<Node>], history: &History, trace: &mut Trace) {
        for node in nodes {
            let Some(broker) = node.broker() else { continue };
            self.looked_at.insert(node.id);
            self.look_at_image(node.id, broker.image(), history, trace);
            let mut replicas = broker.replicas().all();
            replicas.sort_by(|left, right| left.topic_partition().cmp(right.topic_partition()));
            for replica in &replicas {
                let looked = self.look_at_replica(node.id, replica, trace);
                if let Err(Broken { invariant, what }) = looked {
                    history.violate(invariant, format!("{} on {}: {what}", replica.topic_partition(), node.name));
                }
            }
        }
        for node in nodes {
            let Some(broker) = node.broker() else { continue };
            for replica in broker.replicas().all() {
                if let Err(Broken { invariant, what }) = self.look_at_leader(node.id, &replica) {
                    history.violate(invariant, format!("{} led by {}: {what}", replica.topic_partition(), node.name));
                }
            }
        }
        self.forgive();
        for (partition, offset) in history.take_fresh() {
            if let Err(broken) = self.check_holders(partition, offset) {
                history.violate(Invariant::AckedIsFlushed, format!("{}-{}: {broken}", partition.0, partition.1));
            }
        }
        for partition in PARTITIONS {
            if let Err(broken) = self.check_in_sync(partition, history.acked_end(partition)) {
                history.violate(Invariant::AckedIsFlushed, format!("{}-{}: {broken}", partition.0, partition.1));
            }
        }
    }

    /// A node has lost its disk, and with it what it had promised.
    pub fn on_emptied(&mut self, node: i32) {
        self.emptied.insert(node);
        self.looked_at.remove(&node);
        self.replicas.retain(|(id, _), _| *id != node);
    }

    /// A node that had lost its disk is one like the others when it is in sync again with all it is to have, in its new life.
    fn forgive(&mut self) {
        let Some(newest) = self.newest.as_ref().filter(|_| !self.emptied.is_empty()) else { return };
        let is_whole = |node: BrokerId| newest.partitions_on(node).all(|(_, _, state)| state.isr.contains(&node));
        let looked_at = &self.looked_at;
        self.emptied.retain(|node| !looked_at.contains(node) || !is_whole(BrokerId(*node)));
    }

    /// A node has begun anew: it reads its log again, and is compared again.
    pub fn on_start(&mut self, node: i32) {
        self.images.remove(&node);
        self.looked_at.remove(&node);
        for (_, seen) in self.replicas.range_mut((node, (TopicId::ZERO, 0))..).take_while(|((id, _), _)| *id == node) {
            (seen.compared, seen.high_watermark) = (0, 0);
        }
    }

    fn look_at_image(&mut self, node: i32, image: Arc<Image>, history: &History, trace: &mut Trace) {
        if self.images.get(&node).is_some_and(|before| Arc::ptr_eq(before, &image)) {
            return;
        }
        for (topic, index, partition) in image.partitions() {
            let key = ((topic.id, index.0), partition.leader_epoch.0);
            if !partition.replicas.contains(&BrokerId(node)) {
                // What it holds may go, and begins anew if it comes back.
                self.replicas.remove(&(node, key.0));
            }
            if partition.leader.0 < 0 {
                continue;
            }
            let known = *self.leaders.entry(key).or_insert(partition.leader);
            if known != partition.leader {
                let (name, epoch) = (&topic.name, partition.leader_epoch);
                let what = format!("{name}-{index}: epoch {epoch} is led by {known} and by {}", partition.leader);
                history.violate(Invariant::OneLeader, what);
            }
        }
        let before = self.images.get(&node).map_or(image.last_applied(), |before| before.last_applied());
        if image.last_applied() < before {
            let what = format!("node-{node} has applied {before}, and then {} only", image.last_applied());
            history.violate(Invariant::MetadataMatches, what);
        }
        let content = crc32c::crc32c(&Record::encode_all(&image.to_records()));
        let known = *self.metadata.entry(image.last_applied()).or_insert(content);
        if known != content {
            let what =
                format!("node-{node} has other metadata at offset {} than another node had", image.last_applied());
            history.violate(Invariant::MetadataMatches, what);
        }
        trace.line(&format!("node-{node} image {}{}", image.last_applied(), described(&image)));
        if self.newest.as_ref().is_none_or(|newest| newest.last_applied() < image.last_applied()) {
            self.newest = Some(Arc::clone(&image));
        }
        self.images.insert(node, image);
    }

    fn look_at_replica(&mut self, node: i32, replica: &Arc<Replica>, trace: &mut Trace) -> Result<(), Broken> {
        let key = (replica.topic_id(), replica.topic_partition().partition.0);
        let published = replica.published();
        let mut before = self.replicas.get(&(node, key)).copied().unwrap_or_default();
        let state = self.state(key.0, PartitionIndex(key.1));
        let is_in_sync = state.is_some_and(|state| state.isr.contains(&BrokerId(node)));
        let own = self.images.get(&node).and_then(|image| image.topic_by_id(key.0)?.partition(PartitionIndex(key.1)));
        let partition_epoch = own.map_or(before.partition_epoch, |state| state.partition_epoch);
        if published.log_end.0 < before.promised && partition_epoch >= before.partition_epoch + 2 && !is_in_sync {
            // It was taken away and given back between two looks: this is another log, which nobody counts on yet.
            before = Seen::default();
        }
        let now = Seen {
            high_watermark: published.high_watermark.0,
            log_end: published.log_end.0,
            durable_end: replica.with_log(|log, _| log.durable_end().offset().0),
            leader_epoch: published.leader_epoch.0,
            compared: before.compared.max(published.log_start.0),
            promised: before.promised.max(published.high_watermark.0),
            partition_epoch,
        };
        let seen = self.replicas.entry((node, key)).or_default();
        *seen = now;
        if now.log_end < before.promised {
            let what = format!("the log ends at {}, the high watermark was {}", now.log_end, before.promised);
            return Err(Broken::new(Invariant::HighWatermarkKept, what));
        }
        if now.leader_epoch >= 0 && now.leader_epoch < before.leader_epoch {
            let what = format!("leader epoch {} after {}", now.leader_epoch, before.leader_epoch);
            return Err(Broken::new(Invariant::OneLeader, what));
        }
        if now.high_watermark < before.high_watermark {
            let what = format!("the high watermark is {} after {}", now.high_watermark, before.high_watermark);
            return Err(Broken::new(Invariant::HighWatermarkKept, what));
        }
        let (from, to) = (now.compared, now.high_watermark);
        if (now.high_watermark, now.log_end, now.leader_epoch)
            != (before.high_watermark, before.log_end, before.leader_epoch)
        {
            let partition = replica.topic_partition();
            let Seen { high_watermark, log_end, durable_end, leader_epoch, .. } = now;
            trace.line(&format!(
                "node-{node} {partition} {high_watermark}/{durable_end}/{log_end} epoch {leader_epoch}"
            ));
        }
        if from < to {
            let compared = compare(self.committed.entry(key).or_default(), replica, from, to)
                .map_err(|what| Broken::new(Invariant::LogsMatch, what))?;
            self.replicas.entry((node, key)).or_default().compared = compared;
        }
        Ok(())
    }

    /// What a leader takes its maximal ISR to be, against the newest state that the controller has committed.
    fn look_at_leader(&mut self, node: i32, replica: &Arc<Replica>) -> Result<(), Broken> {
        let Some(in_sync) = replica.in_sync() else { return Ok(()) };
        let Some(state) = self.state(replica.topic_id(), replica.topic_partition().partition) else { return Ok(()) };
        let published = replica.published();
        if state.leader_epoch != published.leader_epoch || state.leader != BrokerId(node) {
            return Ok(());
        }
        if let Some(missing) = state.isr.iter().find(|id| !in_sync.maximal.contains(id)) {
            let what = format!("{missing} is in the committed ISR, and not in the maximal {:?}", in_sync.maximal);
            return Err(Broken::new(Invariant::MaximalIsr, what));
        }
        let key = (replica.topic_id(), replica.topic_partition().partition.0);
        for member in &in_sync.maximal {
            // A leader may not have heard yet that a member has lost all it had, and is in sync no more.
            let is_gone = self.emptied.contains(&member.0) && !state.isr.contains(member);
            let end = self.durable_end(member.0, key);
            if end < published.high_watermark.0 && self.looked_at.contains(&member.0) && !is_gone {
                let what = format!(
                    "the high watermark is {}, and {member} of the maximal ISR has flushed up to {end} only",
                    published.high_watermark
                );
                return Err(Broken::new(Invariant::AckedIsFlushed, what));
            }
        }
        Ok(())
    }

    /// Who leads a partition by the newest state that any node knows.
    pub fn leader(&self, (topic, index): Partition) -> Option<i32> {
        let state = self.newest.as_ref()?.topic(topic)?.partition(PartitionIndex(index))?;
        (state.leader.0 > 0).then_some(state.leader.0)
    }

    /// Somebody in the ISR of a partition who does not lead.
    pub fn follower(&self, (topic, index): Partition) -> Option<i32> {
        let state = self.newest.as_ref()?.topic(topic)?.partition(PartitionIndex(index))?;
        state.isr.iter().find(|member| **member != state.leader).map(|member| member.0)
    }

    fn state(&self, topic_id: TopicId, index: PartitionIndex) -> Option<&metadata::Partition> {
        self.newest.as_ref()?.topic_by_id(topic_id)?.partition(index)
    }

    fn durable_end(&self, node: i32, key: Key) -> i64 {
        self.replicas.get(&(node, key)).map_or(0, |seen| seen.durable_end)
    }

    /// What was just acknowledged is on stable storage on as many replicas as must be in sync.
    fn check_holders(&self, (topic, index): Partition, offset: i64) -> Result<(), String> {
        let image = self.newest.as_ref().ok_or("there is no image")?;
        let topic = image.topic(topic).ok_or("there is no topic")?;
        let partition = topic.partition(PartitionIndex(index)).ok_or("there is no partition")?;
        // One that starts replicates before it can be looked at; what it holds is checked with the rest of the ISR then.
        let is_unseen = |broker: &BrokerId| !self.looked_at.contains(&broker.0) && !self.emptied.contains(&broker.0);
        let holds = |broker: &BrokerId| self.durable_end(broker.0, (topic.id, index)) > offset || is_unseen(broker);
        let holders = partition.replicas.iter().filter(|broker| holds(broker)).count();
        let needed = if partition.replicas.len() > 1 { 2 } else { 1 };
        if holders + self.emptied.len() < needed {
            return Err(format!("offset {offset} was acknowledged, and is on stable storage {holders} times"));
        }
        Ok(())
    }

    /// What was ever acknowledged is on stable storage on all who are in sync, as far as they can be looked at: one that is down
    /// shows what it holds when it comes back.
    fn check_in_sync(&mut self, (topic, index): Partition, acked_end: i64) -> Result<(), String> {
        let Some(topic) = self.newest.as_ref().and_then(|image| image.topic(topic)) else { return Ok(()) };
        let (id, name) = (topic.id, topic.name.to_string());
        let Some(partition) = topic.partition(PartitionIndex(index)) else { return Ok(()) };
        for broker in partition.isr.iter().filter(|broker| self.looked_at.contains(&broker.0)) {
            let end = self.durable_end(broker.0, (id, index));
            if end < acked_end {
                return Err(format!(
                    "{name} was acknowledged up to {acked_end}, and {broker} of the ISR has flushed up to {end} only"
                ));
            }
        }
        Ok(())
    }

    /// What is missing for the cluster to be whole, by the newest metadata that any node knows: every partition has all its
    /// replicas in sync. `None` when nothing is.
    pub fn what_is_missing(&self) -> Option<String> {
        let Some(newest) = &self.newest else { return Some("no node knows anything".into()) };
        let is_known = |(topic, index): &Partition| {
            newest.topic(topic).is_some_and(|topic| topic.partition(PartitionIndex(*index)).is_some())
        };
        if let Some((topic, index)) = PARTITIONS.iter().find(|partition| !is_known(partition)) {
            return Some(format!("{topic}-{index} is not known"));
        }
        let (topic, index, partition) =
            newest.partitions().find(|(_, _, partition)| partition.isr.len() < partition.replicas.len())?;
        Some(format!("{}-{index} has an ISR of {:?} only", topic.name, partition.isr))
    }

    /// Replicas of the clients' partitions whose high watermark has not reached `end`.
    pub fn behind(&self, nodes: &[Arc<Node>], end: impl Fn(Partition) -> i64) -> Option<String> {
        for node in nodes {
            let Some(broker) = node.broker() else { return Some(format!("{} does not run", node.name)) };
            for partition in PARTITIONS {
                let reached = high_watermark(&broker, partition);
                if reached.is_some_and(|reached| reached < end(partition)) {
                    return Some(format!("{}-{} on {} is at {reached:?}", partition.0, partition.1, node.name));
                }
            }
        }
        None
    }
}

/// Who leads the clients' partitions, and who is in sync, for a reader of the trace.
fn described(image: &Image) -> String {
    let known = PARTITIONS.iter().filter_map(|(topic, index)| image.topic(topic)?.partition(PartitionIndex(*index)));
    let fenced: Vec<i32> = image.brokers().filter(|broker| broker.fenced).map(|broker| broker.id.0).collect();
    let state = known.map(|partition| {
        let isr: Vec<i32> = partition.isr.iter().map(|broker| broker.0).collect();
        format!(" [leader {} epoch {} isr {isr:?}]", partition.leader, partition.leader_epoch)
    });
    format!("{} fenced {fenced:?}", state.collect::<String>())
}

fn high_watermark(broker: &Broker, (topic, index): Partition) -> Option<i64> {
    let replica = broker.replicas().get(topic, PartitionIndex(index))?;
    Some(replica.published().high_watermark.0)
}

/// Holds the committed batches of a replica against what others have committed; answers how far that went.
fn compare(committed: &mut BTreeMap<i64, (u32, i32)>, replica: &Replica, from: i64, to: i64) -> Result<i64, String> {
    let mut offset = from;
    while offset < to {
        let request =
            ReadRequest { offset: Offset(offset), max_bytes: READ_BYTES, upper_bound: Offset(to), min_one: true };
        let region =
            replica.reader().read(request).map_err(|error| format!("committed records cannot be read: {error}"))?;
        let Some(region) = region else { return Ok(offset) };
        let bytes = region.read().map_err(|error| format!("committed records cannot be read: {error}"))?;
        let before = offset;
        for batch in BatchIter::new(&bytes) {
            let Ok(batch) = batch else { break };
            let base = batch.header.base_offset.0;
            if base >= to {
                break;
            }
            batch.check_crc().map_err(|error| format!("committed batch at {base}: {error}"))?;
            let found = (batch.header.crc, batch.header.partition_leader_epoch.0);
            let known = *committed.entry(base).or_insert(found);
            if known != found {
                return Err(format!("committed batch at {base} is {found:?} here and {known:?} elsewhere"));
            }
            offset = offset.max(batch.header.next_offset().0);
        }
        if offset == before {
            return Err(format!("no committed batch can be read at {offset}"));
        }
    }
    Ok(offset)
}
