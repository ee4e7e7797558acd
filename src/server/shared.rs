//! What all cores and connections of one server share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::broker::Broker;
use crate::io::clock::Clock;
use crate::metrics::ServerMetrics;
use crate::security::Principal;

use super::admission::Admission;
use super::budget::Budget;
use super::connection::Peer;
use super::options::Options;

/// See the head of this file.
pub struct Shared {
    pub broker: Arc<Broker>,
    pub clock: Arc<dyn Clock>,
    pub options: Options,
    pub budget: Arc<Budget>,
    pub admission: Arc<Admission>,
    pub metrics: ServerMetrics,
    /// Who everyone is until there is a login.
    pub anonymous: Principal,
    peers: Mutex<HashMap<u64, Arc<Peer>>>,
    connections: AtomicU64,
    is_stopping: AtomicBool,
}

impl Shared {
    pub fn new(broker: Arc<Broker>, clock: Arc<dyn Clock>, options: Options) -> Arc<Shared> {
        Arc::new(Shared {
            broker,
            clock,
            budget: Budget::new(options.memory_bytes_max),
            admission: Admission::new(&options),
            options,
            metrics: ServerMetrics::default(),
            anonymous: Principal::anonymous(),
            peers: Mutex::default(),
            connections: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        })
    }

    /// Says that the server is about to stop: who looks for one to use finds another.
    pub fn begin_stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// The number of the next connection.
    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    pub fn enter(&self, id: u64, peer: Arc<Peer>) {
        self.peers.lock().insert(id, peer);
    }

    pub fn leave(&self, id: u64) {
        self.peers.lock().remove(&id);
    }

    /// Has the connection closed whose begun request comes in slowest: memory is spent, and it would hold it longest. When
    /// no request has begun, what holds the memory is at work and will end by itself.
    pub fn evict_slowest(&self) {
        let now_ms = self.clock.now().monotonic_ms;
        let peers = self.peers.lock();
        let rated = peers.values().filter_map(|peer| Some((peer.bytes_per_second(now_ms)?, peer)));
        if let Some((_, slowest)) = rated.min_by_key(|(bytes_per_second, _)| *bytes_per_second) {
            slowest.evict();
        }
    }

    /// Open connections, by the listener that took them in and the core that serves them; none are a number too.
    pub fn connections(&self) -> BTreeMap<(Arc<str>, usize), usize> {
        let mut counts = BTreeMap::new();
        for listener in &self.options.listeners {
            counts.extend((0..self.options.threads.get()).map(|core| ((Arc::clone(listener), core), 0)));
        }
        for peer in self.peers.lock().values() {
            *counts.entry((Arc::clone(&peer.listener), peer.core)).or_default() += 1;
        }
        counts
    }

    /// Wakes every connection to see that the server stops.
    pub fn interrupt_all(&self) {
        for peer in self.peers.lock().values() {
            peer.home.interrupt();
        }
    }
}
