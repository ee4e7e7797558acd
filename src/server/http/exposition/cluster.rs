//! Replicas and logs of this broker, and the cluster as it knows it.

use std::fmt;
use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::replica::Replica;
use crate::metadata::{Image, Partition};
use crate::metrics::catalogue as shown;
use crate::metrics::{Family, Writer};
use crate::model::ErrorCode;
use crate::server::shared::Shared;

/// Kafka's `BrokerState`.
const STARTING: usize = 1;
const RUNNING: usize = 3;
const STOPPING: usize = 6;

pub fn write(writer: &mut Writer<'_>, shared: &Shared) -> fmt::Result {
    let broker = &*shared.broker;
    let image = broker.image();
    let mut replicas = broker.replicas().all();
    replicas.sort_by(|left, right| left.topic_partition().cmp(right.topic_partition()));
    own_partitions(writer, broker, &image, &replicas)?;
    logs(writer, &replicas)?;
    cluster(writer, broker, &image)?;
    let metrics = broker.metrics();
    writer.count(&shown::ISR_SHRINKS, metrics.isr_shrinks.get())?;
    writer.count(&shown::ISR_EXPANDS, metrics.isr_expands.get())?;
    writer.count(&shown::ISR_FAILURES, metrics.isr_failures.get())?;
    writer.family(&shown::FLUSH_TIME)?.durations(&[], &metrics.flush_time.distribution())?;
    writer.count(&shown::FLUSH_FAILURES, metrics.flush_failures.get())?;
    let poisoned = broker.directories().iter().filter(|directory| directory.is_poisoned()).count();
    writer.level_of(&shown::OFFLINE_DIRECTORIES, poisoned)?;
    writer.level_of(&shown::FETCH_SESSIONS, broker.fetch_sessions().session_count())?;
    writer.level_of(&shown::UNCLEANABLE, broker.cleaner().set_aside().len())?;
    let since_ms = broker.now().monotonic_ms.saturating_sub(broker.cleaner().looked_ms());
    writer.level_of(&shown::CLEANER_LAST_RUN, usize::try_from(since_ms).unwrap_or(usize::MAX))?;
    let state = match (shared.is_stopping(), broker.is_serving()) {
        (true, _) => STOPPING,
        (_, true) => RUNNING,
        _ => STARTING,
    };
    writer.level_of(&shown::BROKER_STATE, state)
}

/// What the image says of partitions that are here.
fn own_partitions(writer: &mut Writer<'_>, broker: &Broker, image: &Image, replicas: &[Arc<Replica>]) -> fmt::Result {
    let own = broker.node_id();
    let count = |is_counted: &dyn Fn(&Partition) -> bool| {
        image.partitions_led_by(own).filter(|(_, _, partition)| is_counted(partition)).count()
    };
    writer.level_of(&shown::PARTITION_COUNT, image.partitions_on(own).count())?;
    writer.level_of(&shown::LEADER_COUNT, count(&|_| true))?;
    writer.level_of(&shown::UNDER_REPLICATED, count(&|partition| partition.isr.len() < partition.replicas.len()))?;
    let is_moving =
        |partition: &Partition| !partition.adding_replicas.is_empty() || !partition.removing_replicas.is_empty();
    writer.level_of(&shown::REASSIGNING, count(&is_moving))?;
    let (mut under, mut at) = (0, 0);
    for replica in replicas {
        let state = image.partition(replica.topic_id(), replica.topic_partition().partition);
        let Some(state) = state.filter(|state| state.leader == own) else { continue };
        let needed = usize::try_from(replica.settings().topic.min_insync_replicas).unwrap_or(1);
        under += usize::from(state.isr.len() < needed);
        at += usize::from(state.isr.len() == needed);
    }
    writer.level_of(&shown::UNDER_MIN_ISR, under)?;
    writer.level_of(&shown::AT_MIN_ISR, at)?;
    let is_offline = |replica: &&Arc<Replica>| replica.fence_code() == Some(ErrorCode::KafkaStorageError);
    let offline = replicas.iter().filter(is_offline).count() + broker.offline_log_count();
    writer.level_of(&shown::OFFLINE_REPLICAS, offline)
}

fn logs(writer: &mut Writer<'_>, replicas: &[Arc<Replica>]) -> fmt::Result {
    let mut each = |family: &'static Family, value: &dyn Fn(&Replica) -> i64| {
        let mut samples = writer.family(family)?;
        for replica in replicas {
            let partition = replica.topic_partition();
            samples.whole(&[&partition.topic, &partition.partition.to_string()], value(replica))?;
        }
        Ok(())
    };
    each(&shown::LOG_SIZE, &|replica| i64::try_from(replica.reader().extent().1).unwrap_or(i64::MAX))?;
    each(&shown::LOG_SEGMENTS, &|replica| i64::try_from(replica.reader().extent().0).unwrap_or(i64::MAX))?;
    each(&shown::LOG_START, &|replica| replica.published().log_start.0)?;
    each(&shown::LOG_END, &|replica| replica.published().log_end.0)
}

fn cluster(writer: &mut Writer<'_>, broker: &Broker, image: &Image) -> fmt::Result {
    writer.level_of(&shown::ACTIVE_CONTROLLER, usize::from(broker.is_active_controller()))?;
    writer.level_of(&shown::ACTIVE_BROKERS, image.unfenced_brokers().count())?;
    writer.level_of(&shown::FENCED_BROKERS, image.brokers().filter(|broker| broker.fenced).count())?;
    writer.level_of(&shown::GLOBAL_TOPICS, image.topic_count())?;
    let (mut all, mut offline, mut imbalanced) = (0, 0, 0);
    for (_, _, partition) in image.partitions() {
        all += 1;
        offline += usize::from(partition.leader == Partition::NO_LEADER);
        imbalanced += usize::from(partition.replicas.first() != Some(&partition.leader));
    }
    writer.level_of(&shown::GLOBAL_PARTITIONS, all)?;
    writer.level_of(&shown::OFFLINE_PARTITIONS, offline)?;
    writer.level_of(&shown::PREFERRED_IMBALANCE, imbalanced)?;
    writer.family(&shown::LAST_APPLIED)?.whole(&[], image.last_applied().0)
}
