//! Sends a consumer to the replica in its rack (KIP-392).
//!
//! Source: `ReplicaManager.findPreferredReadReplica`, `RackAwareReplicaSelector`. The only selector is Kafka's own: with
//! `replica.selector.class` unset, or set to a class that we do not have, everyone reads from the leader.

use super::read::Reading;
use crate::api::Context;
use crate::broker::fetch_sessions::FetchContext;
use crate::metadata::Image;
use crate::model::BrokerId;
use crate::partition::ReadCandidate;
use crate::protocol::fetch::Request;

/// The selectors that are ours to play, by the names that Kafka knows them by.
const RACK_AWARE: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

impl Reading {
    /// For each partition that we lead: who should be asked instead. Its answer then has no records, and is sent at once.
    pub(super) fn send_near(&mut self, cx: &Context<'_>, context: &FetchContext, request: &Request) {
        let rack = request.rack_id();
        if rack.is_empty() || request.replica_id >= 0 {
            return;
        }
        if cx.broker.settings().get_text("replica.selector.class") != Some(RACK_AWARE) {
            return;
        }
        let image = cx.broker.image();
        let own_rack = image.broker(cx.broker.node_id()).and_then(|broker| broker.rack.as_deref());
        if own_rack == Some(rack) {
            return;
        }
        for (asked, replica, found) in self.each(context) {
            if found.outcome.error.is_error() {
                continue;
            }
            let candidates = replica.read_candidates(asked.fetch_offset);
            found.preferred = nearest(&image, &cx.connection.listener, rack, &candidates);
            if found.preferred.is_some() {
                found.region = None;
                found.outcome.has_records = false;
            }
        }
    }
}

/// Of those in the rack that clients of the listener can reach, the one that has come furthest, and of equals the one that was
/// last seen with all of it.
fn nearest(image: &Image, listener: &str, rack: &str, candidates: &[ReadCandidate]) -> Option<BrokerId> {
    let is_near = |candidate: &&ReadCandidate| {
        image.broker(candidate.id).is_some_and(|broker| {
            broker.is_active()
                && broker.rack.as_deref() == Some(rack)
                && broker.endpoints.iter().any(|endpoint| *endpoint.listener == *listener)
        })
    };
    let near = candidates.iter().filter(is_near);
    near.max_by_key(|candidate| (candidate.reached, candidate.caught_up_ms)).map(|candidate| candidate.id)
}
