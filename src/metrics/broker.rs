//! What a broker counts: traffic by topic, flushes, changes of in-sync sets.
//!
//! Invariant: the sum over all topics never falls. A topic that is deleted leaves its numbers to the rest of the sum, and its own
//! series end; so there are never more of them than topics (`BrokerTopicStats`).

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::handles::{Counter, Histogram};

/// See the head of this file.
#[derive(Debug, Default)]
pub struct BrokerMetrics {
    pub topics: TopicsMetrics,
    /// Bytes that followers here took from their leaders.
    pub replication_bytes_in: Counter,
    /// Bytes that leaders here sent to followers.
    pub replication_bytes_out: Counter,
    pub isr_shrinks: Counter,
    pub isr_expands: Counter,
    /// Changes of an in-sync set that the controller has refused.
    pub isr_failures: Counter,
    /// Partitions that were given a leader which may lack what was committed, while this node decided.
    pub unclean_elections: Counter,
    /// Those whose leader was not in sync any more, but eligible (KIP-966).
    pub eligible_elections: Counter,
    /// How long bringing one log to stable storage took.
    pub flush_time: Histogram,
    pub flush_failures: Counter,
}

/// The traffic of one topic on this broker.
#[derive(Debug, Default)]
pub struct TopicMetrics {
    pub messages_in: Counter,
    pub bytes_in: Counter,
    /// Bytes that consumers were sent.
    pub bytes_out: Counter,
    /// Bytes that were refused for their size.
    pub bytes_rejected: Counter,
    /// Partitions that producers asked for.
    pub produce_requests: Counter,
    pub produce_failures: Counter,
    /// Partitions that consumers and followers asked for.
    pub fetch_requests: Counter,
    pub fetch_failures: Counter,
}

impl TopicMetrics {
    fn counters(&self) -> [&Counter; 8] {
        [
            &self.messages_in,
            &self.bytes_in,
            &self.bytes_out,
            &self.bytes_rejected,
            &self.produce_requests,
            &self.produce_failures,
            &self.fetch_requests,
            &self.fetch_failures,
        ]
    }
}

/// The traffic of all topics that are here.
#[derive(Debug, Default)]
pub struct TopicsMetrics {
    by_name: RwLock<BTreeMap<Arc<str>, Arc<TopicMetrics>>>,
    /// Of topics that are gone, and of requests for topics that are not here.
    rest: TopicMetrics,
}

impl TopicsMetrics {
    /// The handle of a topic. Takes a lock: kept by whoever counts.
    pub fn of(&self, topic: &Arc<str>) -> Arc<TopicMetrics> {
        Arc::clone(self.by_name.write().entry(Arc::clone(topic)).or_default())
    }

    /// A topic is gone. What somebody still counts who holds its handle is lost.
    pub fn forget(&self, topic: &str) {
        let Some(gone) = self.by_name.write().remove(topic) else { return };
        for (rest, gone) in self.rest.counters().into_iter().zip(gone.counters()) {
            rest.add_u64(gone.get());
        }
    }

    /// Where requests are counted whose topic is not here.
    pub const fn elsewhere(&self) -> &TopicMetrics {
        &self.rest
    }

    /// The topics that are here, by name.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<TopicMetrics>)> {
        self.by_name.read().iter().map(|(name, topic)| (Arc::clone(name), Arc::clone(topic))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_gone_stays_in_the_sum() {
        let topics = TopicsMetrics::default();
        let (first, second): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        topics.of(&first).bytes_in.add(3);
        topics.of(&first).bytes_in.add(4);
        topics.of(&second).fetch_failures.add(1);
        topics.forget("a");
        topics.forget("a");
        let names: Vec<_> = topics.all().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [second]);
        assert_eq!((topics.elsewhere().bytes_in.get(), topics.elsewhere().fetch_failures.get()), (7, 0));
        assert_eq!(topics.of(&first).bytes_in.get(), 0, "one that is created anew begins anew");
    }
}
