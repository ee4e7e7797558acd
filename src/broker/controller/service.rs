//! What the active controller does by the clock: fence who is silent, look after who may be dead, give leadership back.
//!
//! On a node that is alone, or a controller without brokers, there is nobody to watch, and the service sleeps until that changes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::broker::Broker;
use crate::controller::{self, Probe, Refusal};
use crate::io::threads;
use crate::metadata::Image;
use crate::model::{BrokerId, Now};
use crate::peer::{self, Address};
use crate::quorum::Leadership;

use super::{Controller, options};

/// How often a node that is alone looks whether it still is, in ms.
const ALONE_MS: u64 = 5_000;

/// How long a broker has to take a connection; it proves nothing when it does not.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

impl Broker {
    /// Starts the service. It lives until [`Broker::close_controller`] or until the broker is dropped.
    pub fn start_controller(self: &Arc<Broker>) -> std::io::Result<()> {
        let (broker, controller) = (Arc::downgrade(self), Arc::clone(&self.controller));
        let leadership = self.quorum().leadership();
        let service = threads::service("controller", move || run(broker, controller, leadership))?;
        *self.controller.service.lock() = Some(service);
        Ok(())
    }

    /// Ends the service and waits for it.
    pub async fn close_controller(&self) {
        self.controller.is_closing.store(true, Ordering::Relaxed);
        self.controller.wake.notify_one();
        let service = self.controller.service.lock().take();
        if let Some(service) = service {
            service.ended().await;
        }
    }
}

/// Holds the broker only while it works: a sleeping service must not keep a dropped broker's directories locked.
async fn run(broker: Weak<Broker>, controller: Arc<Controller>, mut leadership: watch::Receiver<Leadership>) {
    let mut passes = Passes::default();
    while !controller.is_closing.load(Ordering::Relaxed) {
        let Some(sleep) = look(&broker, &mut passes).await else { return };
        let another_leader = async {
            if leadership.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        // A notification that came before the wait counts; so the sleep never outlasts it.
        tokio::select! {
            biased;
            () = controller.wake.notified() => {}
            () = another_leader => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Does what is due; the answer is for how long nothing is. `None` when the broker is gone.
async fn look(broker: &Weak<Broker>, passes: &mut Passes) -> Option<Duration> {
    let broker = broker.upgrade()?;
    broker.watch(passes).await;
    let is_alone = broker.image().brokers().all(|other| other.id == broker.node_id());
    let interval = (broker.cluster.liveness.heartbeat_interval / 2).max(Duration::from_millis(1));
    Some(if is_alone { Duration::from_millis(ALONE_MS) } else { interval })
}

/// When passes were made last, by the monotonic clock.
#[derive(Default)]
struct Passes {
    balance_ms: Option<u64>,
    unclean_ms: Option<u64>,
}

/// Whether a pass is due; the first is due one interval after it was first asked.
fn is_due(last_ms: &mut Option<u64>, now: Now, every_ms: u64) -> bool {
    let since = now.monotonic_ms.saturating_sub(*last_ms.get_or_insert(now.monotonic_ms));
    if since < every_ms {
        return false;
    }
    *last_ms = Some(now.monotonic_ms);
    true
}

impl Broker {
    async fn watch(self: &Arc<Broker>, passes: &mut Passes) {
        if self.active_term().is_none() {
            *passes = Passes::default();
            return;
        }
        if self.image().cluster_id().is_empty() {
            log_failure("the cluster cannot be created", self.create_cluster().await);
        }
        let now = self.now();
        let image = self.image();
        let due = self.with_sessions(|sessions| {
            // This code runs, so this node lives.
            if let Some(own) = image.broker(self.node_id()) {
                sessions.touch(now, own.id, own.epoch, image.last_applied());
            }
            sessions.tick(now, &image)
        });
        for (id, epoch) in due.to_fence {
            tracing::warn!(broker_id = %id, broker_epoch = epoch, "a broker is fenced: it was silent for its session timeout");
            self.fence(id, epoch).await;
        }
        for (id, epoch) in due.to_probe {
            let broker = Arc::clone(self);
            drop(tokio::spawn(async move { broker.probe(id, epoch).await }));
        }
        self.pass(now, passes).await;
    }

    async fn create_cluster(&self) -> Result<(), Refusal> {
        let id = &self.controller.new_cluster_id;
        let options = options(self.settings());
        self.decide_alone(|image| controller::first_records(image, &options, id, crate::broker::FEATURES)).await
    }

    async fn fence(&self, id: BrokerId, epoch: i64) {
        let options = options(self.settings());
        let decide = |image: &Image| controller::fence_broker(image, &options, id, epoch).records;
        let then = |image: &Image| self.with_sessions(|sessions| sessions.require(id, epoch, image.last_applied()));
        let fenced = self.decide_alone_and(decide, then).await;
        log_failure("a broker cannot be fenced now", fenced);
    }

    /// Finds out whether the process of a silent broker is gone.
    async fn probe(self: Arc<Broker>, id: BrokerId, epoch: i64) {
        let image = self.image();
        let listener = &self.cluster.replication.listener;
        let endpoints = image.broker(id).map(|broker| broker.endpoints.as_slice()).unwrap_or_default();
        let endpoint = endpoints.iter().find(|endpoint| endpoint.listener.eq_ignore_ascii_case(listener));
        let Some(endpoint) = endpoint.or(endpoints.first()) else { return };
        let address = Address { host: endpoint.host.clone(), port: endpoint.port };
        let found = match peer::probe(&address, PROBE_TIMEOUT).await {
            peer::Probe::Refused => Probe::Refused,
            peer::Probe::Reachable | peer::Probe::Unknown => Probe::Unknown,
        };
        if self.active_term().is_some() && self.with_sessions(|sessions| sessions.on_probe(id, epoch, found)) {
            tracing::warn!(broker_id = %id, broker_epoch = epoch, %address, "a broker is fenced: nobody listens there");
            self.fence(id, epoch).await;
        }
    }

    async fn pass(&self, now: Now, passes: &mut Passes) {
        let (config, options) = (&self.cluster.passes, options(self.settings()));
        if is_due(&mut passes.unclean_ms, now, config.unclean_election_interval_ms) {
            let elected = self.decide_alone(|image| controller::elect_leaderless(image, &options)).await;
            log_failure("leaders cannot be elected", elected);
        }
        if let Some(balance_ms) = config.balance_interval_ms
            && is_due(&mut passes.balance_ms, now, balance_ms)
        {
            let mut is_more_to_do = false;
            let balanced = self.decide_alone(|image| {
                let decision = controller::balance(image, &options);
                is_more_to_do = decision.answer;
                decision.records
            });
            log_failure("leadership cannot be given back", balanced.await);
            if is_more_to_do {
                passes.balance_ms = Some(now.monotonic_ms.saturating_sub(balance_ms));
            }
        }
    }
}

fn log_failure(what: &str, result: Result<(), Refusal>) {
    if let Err(refusal) = result {
        tracing::warn!(code = ?refusal.code, "{what}");
    }
}
