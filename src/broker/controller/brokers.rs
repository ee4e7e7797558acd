//! Brokers that come, live and go, as the active controller hears of them.

use std::sync::Arc;

use uuid::Uuid;

use super::{NOT_CONTROLLER, PEER_TIMEOUT_MS, options};
use crate::broker::Broker;
use crate::controller::{self, Assignment, Decision, Heartbeat, HeartbeatAnswer, Refusal, Registration};
use crate::metadata::{Delta, Image};
use crate::model::{BrokerId, ErrorCode, ProducerId};

impl Broker {
    /// Admits a broker; the answer is its broker epoch. It stays fenced until its heartbeats say that it has caught up. Errors:
    /// those of [`controller::register_broker`], NOT_CONTROLLER, REQUEST_TIMED_OUT.
    pub async fn register_broker(self: &Arc<Broker>, registration: Registration) -> Result<i64, Refusal> {
        let options = options(self.settings());
        let id = registration.broker_id;
        let previous_epoch = registration.previous_broker_epoch;
        let decide = move |broker: &Broker, image: &Image| {
            let has_session = broker.is_held(image, id, registration.incarnation);
            // A clean stop marks directories with the epoch of that life; a crash leaves no mark.
            let last = image.broker(id).map_or(previous_epoch, |known| known.epoch);
            if 0 <= previous_epoch && previous_epoch < last {
                tracing::warn!(
                    broker_id = %id, previous_epoch, last,
                    "the directories of this broker are of an earlier life than its last, as copies are that were put back: \
                     what they lack comes from the other replicas, and is lost where there are none"
                );
            }
            controller::register_broker(image, &options, registration, has_session)
        };
        self.decide_or_refuse(PEER_TIMEOUT_MS, decide, move |broker, epoch, image| {
            broker.with_sessions(|sessions| sessions.register(broker.now(), id, *epoch, image.last_applied()));
            tracing::info!(broker_id = %id, broker_epoch = epoch, "a broker is registered");
            broker.controller.wake.notify_one();
        })
        .await
    }

    /// Founds the cluster if need be, and admits this broker, both at once; for the active controller that knows of no other
    /// broker. Errors as of [`Broker::register_broker`].
    pub async fn register_alone(self: &Arc<Broker>, registration: Registration) -> Result<i64, Refusal> {
        let options = options(self.settings());
        let id = registration.broker_id;
        let decide = move |broker: &Broker, image: &Image| {
            let mut records =
                controller::first_records(image, &options, &broker.controller.new_cluster_id, crate::broker::FEATURES);
            let mut founded = image.clone();
            records.iter().for_each(|record| founded.apply(record, &mut Delta::default()));
            let decided = controller::register_broker(&founded, &options, registration, false)?;
            records.extend(decided.records);
            Ok(Decision { records, answer: decided.answer })
        };
        self.decide_or_refuse(PEER_TIMEOUT_MS, decide, move |broker, epoch, image| {
            broker.with_sessions(|sessions| sessions.register(broker.now(), id, *epoch, image.last_applied()));
            broker.controller.wake.notify_one();
        })
        .await
    }

    /// Whether a broker has this id that was heard of within its session timeout. This node's own is held by this process for as
    /// long as it runs, whatever was heard of the one before it.
    fn is_held(&self, image: &Image, id: BrokerId, incarnation: Uuid) -> bool {
        if id == self.node_id() && self.settings().is_broker() {
            return incarnation != self.lifecycle.incarnation;
        }
        let epoch = image.broker(id).map(|broker| broker.epoch);
        epoch.is_some_and(|epoch| self.with_sessions(|sessions| sessions.is_alive(self.now(), id, epoch)))
    }

    /// A heartbeat. Errors: STALE_BROKER_EPOCH, NOT_CONTROLLER, REQUEST_TIMED_OUT.
    pub async fn broker_heartbeat(self: &Arc<Broker>, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, Refusal> {
        self.active_term().ok_or(NOT_CONTROLLER)?;
        let Heartbeat { broker_id, broker_epoch, metadata_offset, .. } = heartbeat;
        self.with_sessions(|sessions| sessions.touch(self.now(), broker_id, broker_epoch, metadata_offset));
        let options = options(self.settings());
        // Most heartbeats change nothing, and are answered without waiting for those that decide.
        let nothing =
            self.with_sessions(|sessions| controller::broker_heartbeat(&self.image(), &options, sessions, &heartbeat))?;
        if nothing.records.is_empty() && !nothing.answer.in_controlled_shutdown && !nothing.answer.should_shut_down {
            return Ok(nothing.answer);
        }
        let decide = move |broker: &Broker, image: &_| {
            broker.with_sessions(|sessions| controller::broker_heartbeat(image, &options, sessions, &heartbeat))
        };
        self.decide_or_refuse(PEER_TIMEOUT_MS, decide, move |broker, answer, image| {
            if answer.in_controlled_shutdown {
                let offset = image.last_applied();
                broker.with_sessions(|sessions| sessions.shut_down_after(broker_id, offset));
            }
            if answer.should_shut_down {
                broker.with_sessions(|sessions| sessions.end(broker_id, broker_epoch));
            }
        })
        .await
    }

    /// Forgets a broker. Errors: BROKER_ID_NOT_REGISTERED, NOT_CONTROLLER, REQUEST_TIMED_OUT.
    pub async fn unregister_broker(self: &Arc<Broker>, id: BrokerId) -> Result<(), Refusal> {
        let options = options(self.settings());
        let decide = move |_: &Broker, image: &_| controller::unregister_broker(image, &options, id);
        self.decide_or_refuse(PEER_TIMEOUT_MS, decide, move |broker, (), _| {
            broker.with_sessions(|sessions| sessions.forget(id));
        })
        .await
    }

    /// A broker tells where its replicas lie. Error for the whole request: STALE_BROKER_EPOCH, NOT_CONTROLLER, REQUEST_TIMED_OUT.
    pub async fn assign_replicas_to_dirs(
        self: &Arc<Broker>,
        broker_id: BrokerId,
        broker_epoch: i64,
        assignments: Vec<Assignment>,
    ) -> Result<Vec<Result<(), ErrorCode>>, Refusal> {
        let options = options(self.settings());
        let decide = move |_: &Broker, image: &_| {
            controller::assign_replicas_to_dirs(image, &options, broker_id, broker_epoch, &assignments)
        };
        self.decide_or_refuse(PEER_TIMEOUT_MS, decide, |_, _, _| ()).await
    }

    /// Gives a broker a block of producer ids that nobody else gets: its first id, and how many there are. Errors:
    /// STALE_BROKER_EPOCH, NOT_CONTROLLER, REQUEST_TIMED_OUT.
    pub async fn allocate_producer_ids(
        self: &Arc<Broker>,
        broker_id: BrokerId,
        broker_epoch: i64,
    ) -> Result<(ProducerId, i64), Refusal> {
        let decide = move |_: &Broker, image: &_| {
            controller::check_broker_epoch(image, broker_id, broker_epoch)?;
            controller::allocate_producer_ids(image, broker_id)
        };
        self.decide_or_refuse(PEER_TIMEOUT_MS, decide, |_, _, _| ()).await
    }
}
