//! Quotas of clients as this broker enforces them: the machine of the `quota` room, fed from the image.
//!
//! While nobody is limited in some way, asking costs one relaxed load and no lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::Settings;
use crate::controller::Mutations;
use crate::metadata::Image;
use crate::model::Now;
use crate::quota::{Kind, Limits, Options};

/// See the head of this file.
pub struct ClientQuotas {
    /// Whether anybody is limited, by [`Kind`].
    limited: [AtomicBool; 4],
    limits_connections: AtomicBool,
    limits: Mutex<Limits>,
}

/// A client as quotas know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaClient {
    pub user: String,
    pub client_id: String,
    /// Whether it understands THROTTLING_QUOTA_EXCEEDED; others are only told to wait.
    pub is_strict: bool,
}

impl ClientQuotas {
    pub fn new(settings: &Settings) -> ClientQuotas {
        let window = |prefix: &str| {
            let seconds = settings.get_u64(&format!("{prefix}.window.size.seconds"));
            (settings.get_usize(&format!("{prefix}.window.num")), seconds)
        };
        let options = Options::new(window("quota"), window("controller.quota"));
        ClientQuotas {
            limited: Default::default(),
            limits_connections: AtomicBool::new(false),
            limits: Mutex::new(Limits::new(options)),
        }
    }

    /// Goes by the quotas of an image from here on.
    pub(super) fn set(&self, image: &Image) {
        let mut limits = self.limits.lock();
        let quotas = image.quotas().iter();
        limits.set(quotas.flat_map(|(entity, quotas)| quotas.iter().map(move |(key, value)| (entity, *key, *value))));
        for (kind, limited) in Kind::ALL.into_iter().zip(&self.limited) {
            limited.store(limits.limits(kind), Ordering::Relaxed);
        }
        self.limits_connections.store(limits.limits_connections(), Ordering::Relaxed);
    }

    /// Whether anybody is limited so.
    pub fn limits(&self, kind: Kind) -> bool {
        self.limited[kind as usize].load(Ordering::Relaxed)
    }

    /// Bytes that a client has sent or is to be sent; how long it is to be held back, in ms.
    pub fn record_bytes(&self, kind: Kind, user: &str, client_id: &str, bytes: usize, now: Now) -> u64 {
        if !self.limits(kind) {
            return 0;
        }
        self.limits.lock().record(kind, user, client_id, as_amount(bytes), now.monotonic_ms)
    }

    /// Takes back what is not sent after all.
    pub fn unrecord_bytes(&self, kind: Kind, user: &str, client_id: &str, bytes: usize, now: Now) {
        if self.limits(kind) {
            self.limits.lock().unrecord(kind, user, client_id, as_amount(bytes), now.monotonic_ms);
        }
    }

    /// The most bytes that one answer may have; `None` without a quota.
    pub fn bytes_max(&self, kind: Kind, user: &str, client_id: &str) -> Option<u64> {
        if !self.limits(kind) {
            return None;
        }
        let most = self.limits.lock().window_max(kind, user, client_id)?;
        Some(crate::quota::whole(most))
    }

    /// The time that a request has taken on a thread; how long its client is to be held back, in ms.
    pub fn record_time(&self, user: &str, client_id: &str, time: Duration, now: Now) -> u64 {
        if !self.limits(Kind::Request) {
            return 0;
        }
        // A second of one thread is 100 percent.
        self.limits.lock().record(Kind::Request, user, client_id, time.as_secs_f64() * 100.0, now.monotonic_ms)
    }

    /// A new connection from an address; how long it is to be held back before it is closed, in ms; 0 when it is welcome.
    pub fn record_connection(&self, address: std::net::IpAddr, now_ms: u64) -> u64 {
        if !self.limits_connections.load(Ordering::Relaxed) {
            return 0;
        }
        self.limits.lock().record_connection(&address.to_string(), now_ms)
    }

    /// What a request of the client may change.
    pub(super) fn mutations(&self, client: &QuotaClient, now: Now) -> Mutations {
        if !client.is_strict || !self.limits(Kind::Mutation) {
            return Mutations::unlimited();
        }
        match self.limits.lock().mutations_left(&client.user, &client.client_id, now.monotonic_ms) {
            Some(left) => Mutations::strict(left),
            None => Mutations::unlimited(),
        }
    }

    /// Counts what the request has changed; how long the client is to wait, in ms.
    pub(super) fn settle(&self, client: &QuotaClient, mutations: &Mutations, now: Now) -> u64 {
        if !self.limits(Kind::Mutation) {
            return 0;
        }
        let mut limits = self.limits.lock();
        limits.record_mutations(&client.user, &client.client_id, mutations.used(), now.monotonic_ms);
        match mutations.is_held_back() {
            true => limits.mutation_debt_ms(&client.user, &client.client_id, now.monotonic_ms),
            false => 0,
        }
    }
}

fn as_amount(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}
