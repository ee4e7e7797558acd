//! What must hold at every step, whatever has failed, seen from outside all nodes at once.
//!
//! - A leader epoch of a partition has one leader, and epochs only rise.
//! - Replicas agree, batch for batch, on everything below any of their high watermarks (log matching).
//! - A replica never loses what lies below its high watermark, not even by a power cut.
//! - A record that was acknowledged is on stable storage on every in-sync replica, and on at least min ISR of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::history::{History, Partition};
use super::load::PARTITIONS;
use super::node::Node;
use super::trace::Trace;
use crate::broker::Broker;
use crate::broker::replica::Replica;
use crate::log::ReadRequest;
use crate::metadata::Image;
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
    /// What was acknowledged and could not be checked yet.
    unchecked: Vec<(Partition, i64)>,
    /// The image of each node that was looked at.
    images: BTreeMap<i32, Arc<Image>>,
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
}

impl Watch {
    /// Looks at every node that runs.
    pub fn look(&mut self, nodes: &[Arc<Node>], history: &History, trace: &mut Trace) {
        for node in nodes {
            let Some(broker) = node.broker() else { continue };
            self.looked_at.insert(node.id);
            self.look_at_image(node.id, broker.image(), history, trace);
            let mut replicas = broker.replicas().all();
            replicas.sort_by_key(|replica| replica.topic_partition().clone());
            for replica in replicas {
                if let Err(broken) = self.look_at_replica(node.id, &replica, trace) {
                    history.violate(format!("{} on {}: {broken}", replica.topic_partition(), node.name));
                }
            }
        }
        let mut acked = std::mem::take(&mut self.unchecked);
        acked.extend(history.take_fresh());
        for (partition, offset) in acked {
            match self.check_durable(partition, offset) {
                Ok(true) => {}
                Ok(false) => self.unchecked.push((partition, offset)),
                Err(broken) => history.violate(format!("{}-{}: {broken}", partition.0, partition.1)),
            }
        }
    }

    /// A node has begun anew: it reads its log again, and is compared again.
    pub fn on_start(&mut self, node: i32) {
        self.images.remove(&node);
        self.looked_at.remove(&node);
        for (_, seen) in self.replicas.range_mut((node, (TopicId::ZERO, 0))..).take_while(|((id, _), _)| *id == node) {
            seen.compared = 0;
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
                history.violate(format!("{name}-{index}: epoch {epoch} is led by {known} and by {}", partition.leader));
            }
        }
        trace.line(&format!("node-{node} image {}{}", image.last_applied(), described(&image)));
        if self.newest.as_ref().is_none_or(|newest| newest.last_applied() < image.last_applied()) {
            self.newest = Some(Arc::clone(&image));
        }
        self.images.insert(node, image);
    }

    fn look_at_replica(&mut self, node: i32, replica: &Arc<Replica>, trace: &mut Trace) -> Result<(), String> {
        let key = (replica.topic_id(), replica.topic_partition().partition.0);
        let published = replica.published();
        let before = self.replicas.get(&(node, key)).copied().unwrap_or_default();
        let now = Seen {
            high_watermark: published.high_watermark.0,
            log_end: published.log_end.0,
            durable_end: replica.with_log(|log, _| log.durable_end().offset().0),
            leader_epoch: published.leader_epoch.0,
            compared: before.compared.max(published.log_start.0),
            promised: before.promised.max(published.high_watermark.0),
        };
        let seen = self.replicas.entry((node, key)).or_default();
        *seen = now;
        if now.log_end < before.promised {
            return Err(format!("the log ends at {}, the high watermark was {}", now.log_end, before.promised));
        }
        if now.leader_epoch >= 0 && now.leader_epoch < before.leader_epoch {
            return Err(format!("leader epoch {} after {}", now.leader_epoch, before.leader_epoch));
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
            let compared = compare(self.committed.entry(key).or_default(), replica, from, to)?;
            self.replicas.entry((node, key)).or_default().compared = compared;
        }
        Ok(())
    }

    /// False when a member of the ISR has not been looked at in this life: what it holds is checked when it shows itself.
    fn check_durable(&self, (topic, index): Partition, offset: i64) -> Result<bool, String> {
        let image = self.newest.as_ref().ok_or("there is no image")?;
        let topic = image.topic(topic).ok_or("there is no topic")?;
        let partition = topic.partition(PartitionIndex(index)).ok_or("there is no partition")?;
        let durable_end = |broker: &BrokerId| {
            let seen = self.replicas.get(&(broker.0, (topic.id, index)));
            seen.map_or(0, |seen| seen.durable_end)
        };
        if let Some(behind) = partition.isr.iter().find(|broker| durable_end(broker) <= offset) {
            if !self.looked_at.contains(&behind.0) {
                return Ok(false);
            }
            let end = durable_end(behind);
            return Err(format!(
                "offset {offset} was acknowledged, and {behind} of the ISR has flushed up to {end} only"
            ));
        }
        let replica_count = partition.replicas.len();
        let holders = partition.replicas.iter().filter(|broker| durable_end(broker) > offset).count();
        let needed = if replica_count > 1 { 2 } else { 1 };
        if holders < needed {
            return Err(format!("offset {offset} was acknowledged, and is on stable storage {holders} times"));
        }
        Ok(true)
    }

    /// What is missing for the cluster to be whole: full in-sync sets and equal logs. `None` when nothing is.
    pub fn what_is_missing(&self, nodes: &[Arc<Node>]) -> Option<String> {
        let Some(broker) = nodes.iter().find_map(|node| node.broker()) else { return Some("no node runs".into()) };
        let image = broker.image();
        for (name, index) in PARTITIONS {
            let topic = image.topic(name)?;
            let partition = topic.partition(PartitionIndex(index))?;
            if partition.isr.len() < partition.replicas.len() {
                return Some(format!("{name}-{index} has an ISR of {:?} only", partition.isr));
            }
        }
        None
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
