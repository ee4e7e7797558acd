//! Quotas, and what was used of them.
//!
//! Of the quotas that a client's user and id fall under, the most exact one holds, in the order of [`Limits::find`]. Who falls
//! under one together also uses it together: a user's quota is shared by all clients of that user.
//!
//! Invariant: memory is bounded whatever names clients choose ([`TALLIES_MAX`]).

use std::collections::BTreeMap;

use super::entity::{Amount, Entity, EntityName, Key};
use super::rate::{Bucket, Rate, Window, round_ms};

/// Clients whose use is remembered at a time, for each kind. Past it those are forgotten that have used nothing lately, and then
/// all: who is forgotten begins anew.
const TALLIES_MAX: usize = 10_000;
/// The longest that one request is held back for the time it took, in ms (`ClientRequestQuotaManager`).
const REQUEST_THROTTLE_MAX_MS: u64 = 1_000;

/// What is limited by user and client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Produce,
    Fetch,
    Request,
    Mutation,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Produce, Kind::Fetch, Kind::Request, Kind::Mutation];

    const fn index(self) -> usize {
        self as usize
    }

    fn of(key: Key) -> Option<Kind> {
        match key {
            Key::ProducerByteRate => Some(Kind::Produce),
            Key::ConsumerByteRate => Some(Kind::Fetch),
            Key::RequestPercentage => Some(Kind::Request),
            Key::ControllerMutationRate => Some(Kind::Mutation),
            Key::ConnectionCreationRate => None,
        }
    }
}

/// How use is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `quota.window.num` and `quota.window.size.seconds`.
    pub rates: Window,
    /// `controller.quota.window.num` and `controller.quota.window.size.seconds`.
    pub mutations: Window,
}

impl Options {
    /// Windows of so many samples of so many seconds: for rates, then for mutations.
    pub fn new(rates: (usize, u64), mutations: (usize, u64)) -> Options {
        let window =
            |(samples, seconds): (usize, u64)| Window { samples, sample_ms: seconds.saturating_mul(1_000).max(1) };
        Options { rates: window(rates), mutations: window(mutations) }
    }
}

/// What one sharer of a quota has used.
#[derive(Debug)]
enum Tally {
    Rate(Rate),
    Bucket(Bucket),
}

/// See the head of this file.
#[derive(Debug)]
pub struct Limits {
    options: Options,
    /// Quotas by kind.
    quotas: [BTreeMap<Entity, f64>; 4],
    tallies: [BTreeMap<Entity, Tally>; 4],
    addresses: BTreeMap<EntityName, f64>,
    connections: BTreeMap<String, Rate>,
}

impl Limits {
    pub fn new(options: Options) -> Limits {
        Limits {
            options,
            quotas: Default::default(),
            tallies: Default::default(),
            addresses: BTreeMap::new(),
            connections: BTreeMap::new(),
        }
    }

    /// Replaces all quotas. What was used stays known, unless nothing of its kind is limited any more.
    pub fn set<'a>(&mut self, quotas: impl Iterator<Item = (&'a Entity, Key, Amount)>) {
        self.quotas = Default::default();
        self.addresses.clear();
        for (entity, key, amount) in quotas {
            match (Kind::of(key), &entity.ip) {
                (Some(kind), _) => _ = self.quotas[kind.index()].insert(entity.clone(), amount.value()),
                (None, Some(address)) => _ = self.addresses.insert(address.clone(), amount.value()),
                (None, None) => {}
            }
        }
        for (quotas, tallies) in self.quotas.iter().zip(&mut self.tallies) {
            if quotas.is_empty() {
                tallies.clear();
            }
        }
        if self.addresses.is_empty() {
            self.connections.clear();
        }
    }

    /// Whether anybody is limited so.
    pub fn limits(&self, kind: Kind) -> bool {
        !self.quotas[kind.index()].is_empty()
    }

    pub fn limits_connections(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// The quota that holds for a client, and who uses it together with it.
    fn find(&self, kind: Kind, user: &str, client_id: &str) -> Option<(f64, Entity)> {
        let quotas = &self.quotas[kind.index()];
        if quotas.is_empty() {
            return None;
        }
        let named = |name: &str| Some(EntityName::Named(name.to_owned()));
        let other = Some(EntityName::Default);
        let (user, client_id) = (named(user), named(client_id));
        let of = |user: &Option<EntityName>, client_id: &Option<EntityName>| Entity {
            user: user.clone(),
            client_id: client_id.clone(),
            ip: None,
        };
        let both = of(&user, &client_id);
        let (only_user, only_client) = (of(&user, &None), of(&None, &client_id));
        let order = [
            (both.clone(), &both),
            (of(&user, &other), &both),
            (only_user.clone(), &only_user),
            (of(&other, &client_id), &both),
            (of(&other, &other), &both),
            (of(&other, &None), &only_user),
            (only_client.clone(), &only_client),
            (of(&None, &other), &only_client),
        ];
        order.into_iter().find_map(|(entity, sharer)| Some((*quotas.get(&entity)?, sharer.clone())))
    }

    /// What was used of a rate; answers how long the client is to be held back, in ms. Units are bytes, and for
    /// [`Kind::Request`] the percent of one thread's second.
    pub fn record(&mut self, kind: Kind, user: &str, client_id: &str, amount: f64, now_ms: u64) -> u64 {
        let Some((limit, sharer)) = self.find(kind, user, client_id) else { return 0 };
        let window = self.options.rates;
        let rate = self.rate(kind, sharer, now_ms);
        rate.record(window, amount, now_ms);
        let used = rate.measure(window, now_ms);
        if used <= limit {
            return 0;
        }
        let throttle_ms = round_ms((used - limit) / limit * to_f64(rate.window_ms(window, now_ms)));
        if kind == Kind::Request { throttle_ms.min(REQUEST_THROTTLE_MAX_MS) } else { throttle_ms }
    }

    /// Takes back what was recorded just now and is not used after all.
    pub fn unrecord(&mut self, kind: Kind, user: &str, client_id: &str, amount: f64, now_ms: u64) {
        let Some((_, sharer)) = self.find(kind, user, client_id) else { return };
        let window = self.options.rates;
        self.rate(kind, sharer, now_ms).record(window, -amount, now_ms);
    }

    /// The most that a client may use in one window: an answer that is larger could never be sent. `None` without a quota.
    pub fn window_max(&self, kind: Kind, user: &str, client_id: &str) -> Option<f64> {
        let (limit, _) = self.find(kind, user, client_id)?;
        let Window { samples, sample_ms } = self.options.rates;
        let full_ms = sample_ms.saturating_mul(u64::try_from(samples.saturating_sub(1)).unwrap_or(u64::MAX));
        Some(limit * to_f64(full_ms) / 1_000.0)
    }

    /// How long a client must wait until it may change the metadata again, in ms; 0 when it may now.
    pub fn mutation_debt_ms(&mut self, user: &str, client_id: &str, now_ms: u64) -> u64 {
        let Some((limit, sharer)) = self.find(Kind::Mutation, user, client_id) else { return 0 };
        let window = self.options.mutations;
        self.bucket(limit, sharer, now_ms).debt_ms(limit, window, now_ms)
    }

    /// The tokens that a client has left, below 0 in debt; `None` without a quota.
    pub fn mutations_left(&mut self, user: &str, client_id: &str, now_ms: u64) -> Option<f64> {
        let (limit, sharer) = self.find(Kind::Mutation, user, client_id)?;
        let window = self.options.mutations;
        Some(self.bucket(limit, sharer, now_ms).left(limit, window, now_ms))
    }

    /// Partitions that a client has created or deleted.
    pub fn record_mutations(&mut self, user: &str, client_id: &str, count: f64, now_ms: u64) {
        let Some((limit, sharer)) = self.find(Kind::Mutation, user, client_id) else { return };
        let window = self.options.mutations;
        self.bucket(limit, sharer, now_ms).take(limit, window, count, now_ms);
    }

    /// A new connection from an address; how long it is to be held back before it is closed, in ms, 0 when it is welcome.
    pub fn record_connection(&mut self, address: &str, now_ms: u64) -> u64 {
        let named = self.addresses.get(&EntityName::Named(address.to_owned()));
        let Some(limit) = named.or_else(|| self.addresses.get(&EntityName::Default)).copied() else { return 0 };
        let window = self.options.rates;
        if self.connections.len() >= TALLIES_MAX {
            self.connections.retain(|_, rate| !rate.is_spent(window, now_ms));
        }
        if self.connections.len() >= TALLIES_MAX {
            self.connections.clear();
        }
        let rate = self.connections.entry(address.to_owned()).or_default();
        rate.record(window, 1.0, now_ms);
        let used = rate.measure(window, now_ms);
        if used <= limit {
            return 0;
        }
        let throttle_ms = round_ms((used - limit) / limit * to_f64(rate.window_ms(window, now_ms)));
        // It is not taken, and so does not count against the next.
        rate.record(window, -1.0, now_ms);
        throttle_ms.max(1)
    }

    /// Clients whose use is remembered.
    #[cfg(test)]
    pub(super) fn tallies(&self) -> usize {
        self.tallies.iter().map(BTreeMap::len).sum()
    }

    fn rate(&mut self, kind: Kind, sharer: Entity, now_ms: u64) -> &mut Rate {
        self.make_room(kind, now_ms);
        let tally = self.tallies[kind.index()].entry(sharer).or_insert_with(|| Tally::Rate(Rate::default()));
        match tally {
            Tally::Rate(rate) => rate,
            Tally::Bucket(_) => panic!("a kind has tallies of one form"),
        }
    }

    fn bucket(&mut self, limit: f64, sharer: Entity, now_ms: u64) -> &mut Bucket {
        self.make_room(Kind::Mutation, now_ms);
        let window = self.options.mutations;
        let new = || Tally::Bucket(Bucket::new(limit, window, now_ms));
        match self.tallies[Kind::Mutation.index()].entry(sharer).or_insert_with(new) {
            Tally::Bucket(bucket) => bucket,
            Tally::Rate(_) => panic!("a kind has tallies of one form"),
        }
    }

    fn make_room(&mut self, kind: Kind, now_ms: u64) {
        let Options { rates, mutations } = self.options;
        let tallies = &mut self.tallies[kind.index()];
        if tallies.len() < TALLIES_MAX {
            return;
        }
        tallies.retain(|_, tally| match tally {
            Tally::Rate(rate) => !rate.is_spent(rates, now_ms),
            // At the slowest rate there is it takes as long as the window to fill.
            Tally::Bucket(bucket) => !bucket.is_full(1.0, mutations, now_ms),
        });
        if tallies.len() >= TALLIES_MAX {
            tallies.clear();
        }
    }
}

fn to_f64(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64() * 1_000.0
}
