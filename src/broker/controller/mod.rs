//! The active controller: where decisions become true. One after the other is decided on the newest image, committed, and only
//! then answered.
//!
//! Invariants:
//! - Between a decision and the image that holds its records nothing else is decided, also when the client has stopped waiting.
//!   Two requests for one topic name can so never both be granted.
//! - A decision is made by the leader of the quorum, for the term in which it was made: with an image that holds everything
//!   committed before. What [`Sessions`] know belongs to that term too, and is begun anew with the next.

mod brokers;
pub mod clocks;
mod configs;
mod partitions;
mod service;
mod topics;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedMutexGuard};
use uuid::Uuid;

use super::Broker;
use crate::config::{GroupLimits, Settings, StartSettings};
use crate::controller::{Decision, Options, Refusal, SessionOptions, Sessions};
use crate::io::random;
use crate::io::threads::Service;
use crate::metadata::{Image, Record};
use crate::model::{BrokerId, ErrorCode, TopicId};
use crate::quorum::QuorumError;

/// How long is waited for a decision that brokers ask for among themselves, in ms. Such requests carry no timeout.
const PEER_TIMEOUT_MS: i32 = 5_000;

/// Records of one decision that are committed at once where they need not be: well below what the quorum takes.
const RECORDS_AT_ONCE: usize = 10_000;

/// What the active controller knows besides the image.
pub struct Controller {
    /// Held from a decision until its records are applied.
    deciding: Arc<tokio::sync::Mutex<()>>,
    active: Mutex<Active>,
    service: Mutex<Option<Service>>,
    /// Ends the sleep of the service: there is something to look at, or it is to stop.
    wake: Notify,
    is_closing: std::sync::atomic::AtomicBool,
    /// Brokers whose clock was found to be another.
    other_clocks: Mutex<BTreeSet<BrokerId>>,
    /// The id of the cluster, if this node is the one to create it.
    new_cluster_id: String,
}

struct Active {
    /// The term whose sessions these are; `None` when this node was not active when it was last looked.
    term: Option<u64>,
    sessions: Sessions,
}

impl Controller {
    /// One that decides on request; what is due by the clock waits for [`Broker::start_controller`].
    pub fn new(settings: &Settings, new_cluster_id: String) -> Controller {
        let sessions = Sessions::new(SessionOptions {
            session_timeout_ms: settings.get_u64("broker.session.timeout.ms"),
            heartbeat_interval_ms: settings.get_u64("broker.heartbeat.interval.ms"),
        });
        Controller {
            deciding: Arc::default(),
            active: Mutex::new(Active { term: None, sessions }),
            service: Mutex::new(None),
            wake: Notify::new(),
            is_closing: std::sync::atomic::AtomicBool::new(false),
            other_clocks: Mutex::default(),
            new_cluster_id,
        }
    }
}

impl Broker {
    /// The term in which this node is the active controller. Sessions are begun anew when it is another one than before.
    fn active_term(&self) -> Option<u64> {
        let known = self.quorum().leadership().borrow().clone();
        // What was published may be older than a standstill of this process; whether a majority follows is asked now.
        let term = (known.is_active && self.quorum().is_leader()).then_some(known.term);
        let mut active = self.controller.active.lock();
        if active.term != term {
            active.term = term;
            if let Some(term) = term {
                tracing::info!(term, "this node is the active controller");
                active.sessions.restart(self.now(), &self.image());
            }
        }
        term
    }

    /// Looks at the sessions of the present term, or changes them.
    fn with_sessions<T>(&self, look: impl FnOnce(&mut Sessions) -> T) -> T {
        look(&mut self.controller.active.lock().sessions)
    }

    /// Decides, commits, answers. A timeout of 0 or less is over before it began, as in Kafka: nothing is done. Errors:
    /// NOT_CONTROLLER; REQUEST_TIMED_OUT, where it may be done all the same.
    async fn decide<T: Send + 'static>(
        self: &Arc<Broker>,
        timeout_ms: i32,
        decide: impl FnOnce(&Image) -> Decision<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.decide_or_refuse(timeout_ms, move |_, image| Ok(decide(image)), |_, _, _| ()).await
    }

    /// As [`Broker::decide`], for decisions that can refuse the whole request; `then` sees the answer and the image that holds
    /// the records, before anything else is decided.
    async fn decide_or_refuse<T: Send + 'static>(
        self: &Arc<Broker>,
        timeout_ms: i32,
        decide: impl FnOnce(&Broker, &Image) -> Result<Decision<T>, Refusal> + Send + 'static,
        then: impl FnOnce(&Broker, &T, &Image) + Send + 'static,
    ) -> Result<T, Refusal> {
        let timed_out = Refusal { code: ErrorCode::RequestTimedOut, message: None };
        let Ok(timeout_ms @ 1..) = u64::try_from(timeout_ms) else { return Err(timed_out) };
        let broker = Arc::clone(self);
        let deciding = Arc::clone(&self.controller.deciding);
        // A task of its own: it goes on, and keeps the lock, when nobody waits for it any more.
        let task = tokio::spawn(async move {
            let guard = deciding.lock_owned().await;
            let term = broker.active_term().ok_or(NOT_CONTROLLER)?;
            let decision = decide(&broker, &broker.image())?;
            broker.commit(&guard, term, decision.records).await?;
            then(&broker, &decision.answer, &broker.image());
            Ok(decision.answer)
        });
        match tokio::time::timeout(Duration::from_millis(timeout_ms), task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panicked)) => {
                tracing::error!(%panicked, "a decision of the controller failed");
                Err(Refusal { code: ErrorCode::UnknownServerError, message: None })
            }
            Err(_) => Err(timed_out),
        }
    }

    /// Decides and commits for itself; records need not be committed at once.
    async fn decide_alone(&self, decide: impl FnOnce(&Image) -> Vec<Record>) -> Result<(), Refusal> {
        self.decide_alone_and(decide, |_| ()).await
    }

    /// As [`Broker::decide_alone`]; `then` sees the image that holds the records, before anything else is decided.
    async fn decide_alone_and(
        &self,
        decide: impl FnOnce(&Image) -> Vec<Record>,
        then: impl FnOnce(&Image),
    ) -> Result<(), Refusal> {
        let guard = Arc::clone(&self.controller.deciding).lock_owned().await;
        let term = self.active_term().ok_or(NOT_CONTROLLER)?;
        let records = decide(&self.image());
        for records in records.chunks(RECORDS_AT_ONCE) {
            self.commit(&guard, term, records.to_vec()).await?;
        }
        then(&self.image());
        Ok(())
    }

    async fn commit(&self, _deciding: &OwnedMutexGuard<()>, term: u64, records: Vec<Record>) -> Result<(), Refusal> {
        if records.is_empty() {
            return Ok(());
        }
        if self.active_term() != Some(term) {
            return Err(NOT_CONTROLLER);
        }
        let code = match self.quorum().submit_in(term, records).await {
            Ok(_) => return Ok(()),
            Err(QuorumError::NotLeader(_)) => ErrorCode::NotController,
            Err(QuorumError::TooLarge) => ErrorCode::RecordListTooLarge,
            // Another controller may have committed it, or will.
            Err(QuorumError::Lost) => ErrorCode::NotController,
            Err(QuorumError::Stopped(reason)) => {
                tracing::error!(%reason, "metadata cannot be changed");
                ErrorCode::RequestTimedOut
            }
        };
        Err(Refusal { code, message: None })
    }
}

const NOT_CONTROLLER: Refusal = Refusal { code: ErrorCode::NotController, message: None };

pub(super) fn options(settings: &Settings) -> Options {
    Options {
        default_partitions: settings.get_i32("num.partitions"),
        default_replication_factor: replication_factor(settings, "default.replication.factor"),
        delete_topic_enable: settings.get_bool("delete.topic.enable"),
        min_isr: settings.get_usize("min.insync.replicas"),
        unclean_election: settings.get_bool("unclean.leader.election.enable"),
        durability: settings.durability(),
        brokers_expected: brokers_expected(settings),
        group_limits: GroupLimits::of(settings),
        start_settings: StartSettings::of(settings),
    }
}

/// The nodes that the quorum's settings name: those of a cluster of three are brokers too, and may still be starting. Where
/// controllers are processes of their own, these names tell nothing of brokers.
fn brokers_expected(settings: &Settings) -> usize {
    if !settings.is_broker() || !settings.is_controller() {
        return 1;
    }
    let named =
        |name| settings.get_text(name).map_or(0, |list| list.split(',').filter(|node| !node.is_empty()).count());
    named("controller.quorum.voters").max(named("controller.quorum.bootstrap.servers")).max(1)
}

fn replication_factor(settings: &Settings, name: &str) -> i16 {
    i16::try_from(settings.get_i32(name)).expect("a setting of type short")
}

/// Chance for one request. Topic ids begin with it, and a `-` in front would look like a flag to Kafka's tools
/// (`Uuid.randomUuid`).
fn new_seed() -> Uuid {
    loop {
        let seed = random::uuid();
        if !TopicId(seed).to_string().starts_with('-') {
            return seed;
        }
    }
}
