//! Replicas that have something to tell the controller, and the service that tells it.
//!
//! Only which replicas those are is kept here. What is told is looked up when it is sent, so that a replica that moves on
//! meanwhile tells what is true then. One request is on its way at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Broker;
use super::replica::Replica;
use crate::io::threads::{self, Service};
use crate::model::{PartitionIndex, TopicId};

/// In the order of the ids, in which requests name them.
pub(super) type Waiting = BTreeMap<(TopicId, PartitionIndex), Arc<Replica>>;

/// See the head of this file.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
    is_closing: AtomicBool,
    closed: Notify,
    service: Mutex<Option<Service>>,
}

impl Outbox {
    /// Has it sent soon what the replica has to tell. Takes no replica's lock.
    pub fn submit(&self, replica: &Arc<Replica>) {
        let key = (replica.topic_id(), replica.topic_partition().partition);
        self.waiting.lock().insert(key, Arc::clone(replica));
        self.wake.notify_one();
    }

    /// Calls `send` whenever somebody waits, one call after the other, until [`Outbox::close`] or the broker's end. The service's thread
    /// has this name.
    pub(super) fn start<F>(
        self: &Arc<Outbox>,
        name: &str,
        broker: Weak<Broker>,
        send: impl Fn(Arc<Outbox>, Arc<Broker>) -> F + Send + Sync + 'static,
    ) -> std::io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let outbox = Arc::clone(self);
        let run = async move {
            while outbox.wait().await {
                let Some(broker) = broker.upgrade() else { return };
                send(Arc::clone(&outbox), broker).await;
            }
        };
        *self.service.lock() = Some(threads::service(name, || run)?);
        Ok(())
    }

    /// Ends the service and waits for it. Whoever waits still is forgotten: the next leader, or the next start, tells its own.
    pub(super) async fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.wake.notify_one();
        self.closed.notify_one();
        let service = self.service.lock().take();
        if let Some(service) = service {
            service.ended().await;
        }
        self.waiting.lock().clear();
    }

    /// Those who wait. Whoever is taken out has to be submitted again when it could not be told.
    pub(super) fn waiting(&self) -> parking_lot::MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    /// What the future ends with; `None` when the outbox closes first.
    pub(super) async fn unless_closed<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.closed.notified() => None,
            done = future => Some(done),
        }
    }

    /// Waits until there is something to send; false when it closes.
    async fn wait(&self) -> bool {
        while !self.is_closing.load(Ordering::Acquire) {
            if !self.waiting.lock().is_empty() {
                return true;
            }
            self.wake.notified().await;
        }
        false
    }
}
