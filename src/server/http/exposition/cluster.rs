//! Replicas and logs of this broker, and the cluster as it knows it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::broker::Broker;
use crate::broker::replica::Replica;
use crate::metadata::{Image, Partition};
use crate::metrics::catalogue as shown;
use crate::metrics::{BrokerMetrics, Family, Recent, Writer};
use crate::model::{BrokerId, ErrorCode};
use crate::server::shared::Shared;

/// Kafka's `BrokerState`.
const STARTING: usize = 1;
const RUNNING: usize = 3;
const STOPPING: usize = 6;

pub fn write(writer: &mut Writer<'_>, shared: &Shared, flushes: &Mutex<Recent>) -> fmt::Result {
    let broker = &*shared.broker;
    let image = broker.image();
    let mut replicas = broker.replicas().all();
    replicas.sort_by(|left, right| left.topic_partition().cmp(right.topic_partition()));
    own_partitions(writer, broker, &image, &replicas)?;
    health(writer, broker.node_id(), &image, &replicas)?;
    logs(writer, &replicas)?;
    committed(writer, broker.node_id(), &image, &replicas)?;
    cluster(writer, broker, &image)?;
    let metrics = broker.metrics();
    writer.count(&shown::ISR_SHRINKS, metrics.isr_shrinks.get())?;
    writer.count(&shown::ISR_EXPANDS, metrics.isr_expands.get())?;
    writer.count(&shown::ISR_FAILURES, metrics.isr_failures.get())?;
    writer.count(&shown::UNCLEAN_ELECTIONS, metrics.unclean_elections.get())?;
    writer.count(&shown::ELIGIBLE_ELECTIONS, metrics.eligible_elections.get())?;
    let lag = replicas.iter().map(|replica| replica.follower_lag()).max().unwrap_or(0);
    writer.family(&shown::MAX_LAG)?.whole(&["Replica"], lag)?;
    flushed(writer, metrics, flushes, broker.now().monotonic_ms)?;
    directories(writer, broker, &replicas)?;
    writer.level_of(&shown::FETCH_SESSIONS, broker.fetch_sessions().session_count())?;
    let since_ms = broker.now().monotonic_ms.saturating_sub(broker.cleaner().looked_ms());
    writer.level_of(&shown::CLEANER_LAST_RUN, usize::try_from(since_ms).unwrap_or(usize::MAX))?;
    let state = match (shared.is_stopping(), broker.is_serving()) {
        (true, _) => STOPPING,
        (_, true) => RUNNING,
        _ => STARTING,
    };
    writer.level_of(&shown::BROKER_STATE, state)
}

/// Flushes of logs, all of them and lately.
fn flushed(writer: &mut Writer<'_>, metrics: &BrokerMetrics, recent: &Mutex<Recent>, now_ms: u64) -> fmt::Result {
    let durations = metrics.flush_time.distribution();
    let mut recent = recent.lock();
    recent.look(Duration::from_millis(now_ms), &durations);
    writer.family(&shown::FLUSH_TIME)?.quantiles(&[], &recent)?;
    writer.count(&shown::FLUSH_COUNT, durations.count())?;
    writer.family(&shown::FLUSH_TIMES)?.durations(&[], &durations)?;
    writer.count(&shown::FLUSH_FAILURES, metrics.flush_failures.get())
}

fn directories(writer: &mut Writer<'_>, broker: &Broker, replicas: &[Arc<Replica>]) -> fmt::Result {
    let all: Vec<_> = broker.directories().iter().map(|directory| (directory, quoted(directory.path()))).collect();
    let poisoned = all.iter().filter(|(directory, _)| directory.is_poisoned()).count();
    writer.level_of(&shown::OFFLINE_DIRECTORIES, poisoned)?;
    let mut offline = writer.family(&shown::DIRECTORY_OFFLINE)?;
    for (directory, name) in &all {
        offline.level_of(&[name], usize::from(directory.is_poisoned()))?;
    }
    let set_aside: BTreeSet<_> = broker.cleaner().set_aside().into_iter().map(|(id, index, _)| (id, index)).collect();
    let mut uncleanable = writer.family(&shown::UNCLEANABLE)?;
    for (directory, name) in &all {
        let is_counted = |replica: &&Arc<Replica>| {
            set_aside.contains(&(replica.topic_id(), replica.topic_partition().partition))
                && Arc::ptr_eq(&replica.directory(), directory)
        };
        uncleanable.level_of(&[name], replicas.iter().filter(is_counted).count())?;
    }
    Ok(())
}

/// A path as the names of Kafka's MBeans hold it (`Sanitizer.jmxSanitize`, `ObjectName.quote`), and so the labels of the exporter.
fn quoted(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut text = String::from("\"");
    for letter in whole.to_string_lossy().chars() {
        match letter {
            '"' | '*' | '?' | '\\' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            _ => text.push(letter),
        }
    }
    text.push('"');
    text
}

/// What the image says of partitions that are here.
fn own_partitions(writer: &mut Writer<'_>, broker: &Broker, image: &Image, replicas: &[Arc<Replica>]) -> fmt::Result {
    let own = broker.node_id();
    let count = |is_counted: &dyn Fn(&Partition) -> bool| {
        image.partitions_led_by(own).filter(|(_, _, partition)| is_counted(partition)).count()
    };
    writer.level_of(&shown::PARTITION_COUNT, image.partitions_on(own).count())?;
    writer.level_of(&shown::LEADER_COUNT, count(&|_| true))?;
    writer.level_of(&shown::UNDER_REPLICATED, count(&is_under_replicated))?;
    let is_moving =
        |partition: &Partition| !partition.adding_replicas.is_empty() || !partition.removing_replicas.is_empty();
    writer.level_of(&shown::REASSIGNING, count(&is_moving))?;
    let (mut under, mut at) = (0, 0);
    for replica in replicas {
        let state = image.partition(replica.topic_id(), replica.topic_partition().partition);
        let Some(state) = state.filter(|state| state.leader == own) else { continue };
        let needed = needed_in_sync(replica, state);
        under += usize::from(state.isr.len() < needed);
        at += usize::from(state.isr.len() == needed);
    }
    writer.level_of(&shown::UNDER_MIN_ISR, under)?;
    writer.level_of(&shown::AT_MIN_ISR, at)?;
    let is_offline = |replica: &&Arc<Replica>| replica.fence_code() == Some(ErrorCode::KafkaStorageError);
    let offline = replicas.iter().filter(is_offline).count() + broker.offline_log_count();
    writer.level_of(&shown::OFFLINE_REPLICAS, offline)
}

/// A replica that a reassignment adds need not be in sync yet (`OngoingReassignmentState.replicationFactor`).
fn is_under_replicated(partition: &Partition) -> bool {
    let is_added = |replica: &&BrokerId| partition.adding_replicas.contains(replica);
    partition.isr.len() < partition.replicas.iter().filter(|replica| !is_added(replica)).count()
}

/// No more than there are replicas, whatever the setting says (`Partition.effectiveMinIsr`).
fn needed_in_sync(replica: &Replica, partition: &Partition) -> usize {
    let set = usize::try_from(replica.settings().topic.min_insync_replicas).unwrap_or(1);
    set.min(partition.replicas.len())
}

/// Each partition that is here; of those that are led elsewhere nothing is said, as by Kafka: they show 0.
fn health(writer: &mut Writer<'_>, own: BrokerId, image: &Image, replicas: &[Arc<Replica>]) -> fmt::Result {
    let mut each = |family: &'static Family, value: &dyn Fn(&Replica, &Partition) -> usize| {
        let mut samples = writer.family(family)?;
        for replica in replicas {
            let name = replica.topic_partition();
            let state = image.partition(replica.topic_id(), name.partition).filter(|state| state.leader == own);
            let value = state.map_or(0, |state| value(replica, state));
            samples.level_of(&[&name.topic, &name.partition.to_string()], value)?;
        }
        Ok(())
    };
    each(&shown::REPLICAS_COUNT, &|_, state| state.replicas.len())?;
    each(&shown::IN_SYNC_COUNT, &|_, state| state.isr.len())?;
    each(&shown::IS_UNDER_REPLICATED, &|_, state| usize::from(is_under_replicated(state)))?;
    each(&shown::IS_UNDER_MIN_ISR, &|replica, state| usize::from(state.isr.len() < needed_in_sync(replica, state)))?;
    each(&shown::IS_AT_MIN_ISR, &|replica, state| usize::from(state.isr.len() == needed_in_sync(replica, state)))
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
    each(&shown::LOG_END, &|replica| replica.published().log_end.0)?;
    each(&shown::LAST_STABLE_LAG, &|replica| {
        let published = replica.published();
        (published.high_watermark.0 - published.last_stable.0).max(0)
    })
}

/// How far consumers may read what is led here.
fn committed(writer: &mut Writer<'_>, own: BrokerId, image: &Image, replicas: &[Arc<Replica>]) -> fmt::Result {
    let mut samples = writer.family(&shown::TOPIC_OFFSET)?;
    for replica in replicas {
        let name = replica.topic_partition();
        if image.partition(replica.topic_id(), name.partition).is_some_and(|state| state.leader == own) {
            let offset = replica.published().high_watermark.0;
            samples.whole(&[&name.topic, &name.partition.to_string()], offset)?;
        }
    }
    Ok(())
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
    if broker.is_active_controller() {
        writer.level_of(&shown::BROKERS, image.unfenced_brokers().count())?;
        let mut partitions = writer.family(&shown::TOPIC_PARTITIONS)?;
        for topic in image.topics() {
            partitions.level_of(&[&topic.name], topic.partitions.len())?;
        }
    }
    writer.level_of(&shown::GLOBAL_PARTITIONS, all)?;
    writer.level_of(&shown::OFFLINE_PARTITIONS, offline)?;
    writer.level_of(&shown::PREFERRED_IMBALANCE, imbalanced)?;
    writer.family(&shown::LAST_APPLIED)?.whole(&[], image.last_applied().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_is_being_added_need_not_be_in_sync() {
        let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
        let mut partition = Partition::created_in_sync(brokers(&[1, 2, 3]), brokers(&[1, 2]));
        assert!(is_under_replicated(&partition));
        partition.adding_replicas = brokers(&[3]);
        assert!(!is_under_replicated(&partition));
        partition.isr = brokers(&[1]);
        assert!(is_under_replicated(&partition));
    }

    #[test]
    fn a_path_stands_in_labels_as_in_the_names_of_mbeans() {
        assert_eq!(quoted(Path::new("/var/lib/kafka data")), "\"/var/lib/kafka data\"");
        assert_eq!(quoted(Path::new("/a\"b*c?d\\e")), "\"/a\\\"b\\*c\\?d\\\\e\"");
    }
}
