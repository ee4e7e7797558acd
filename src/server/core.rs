//! One core: a thread with a runtime of its own, and the connections that live on it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use parking_lot::Mutex;

use crate::api::ConnectionInfo;
use crate::api::slot::{Completion, SlotHome};
use crate::config::Roles;
use crate::io::mailbox::Mailbox;
use crate::io::net::Accepted;
use crate::io::threads::{self, Service};
use crate::metrics::CoreMetrics;

use super::admission::Place;
use super::buffers::Buffers;
use super::connection::{Connection, Peer};
use super::requests::{Scratch, counted_versions};
use super::shared::Shared;

/// Silence after which the system asks a peer whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a stopping core waits for connections beyond the grace that they give themselves.
const STOP_MARGIN_MS: u64 = 500;

/// A task that a core runs until its end or the server's.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What other threads hand to a core.
enum Mail {
    Connection(Arrival),
    Task(Task),
    Stop,
}

/// A connection on its way to its core.
pub struct Arrival {
    pub accepted: Accepted,
    pub peer: std::net::SocketAddr,
    pub listener: Arc<str>,
    pub roles: Roles,
    pub place: Place,
}

/// What other threads may touch of a core.
#[derive(Default)]
pub struct Core {
    number: usize,
    completions: Arc<Mailbox<Completion>>,
    arrivals: Mailbox<Mail>,
    /// Connections that live here or are on their way.
    load: AtomicUsize,
    is_stopping: AtomicBool,
    pub buffers: Buffers,
    pub scratch: Mutex<Scratch>,
    pub metrics: CoreMetrics,
}

impl Core {
    /// Starts the thread. Tasks that outlive the grace at its stop are dropped with it.
    pub fn start(number: usize, shared: &Arc<Shared>) -> io::Result<(Arc<Core>, Service)> {
        let core = Arc::new(Core { number, metrics: CoreMetrics::new(counted_versions()), ..Core::default() });
        let (core_of_thread, shared) = (Arc::clone(&core), Arc::clone(shared));
        let service = threads::service(&format!("core-{number}"), move || async move {
            core_of_thread.completions.own_by_this_thread();
            core_of_thread.run(&shared).await;
        })?;
        Ok((core, service))
    }

    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Hands a connection over.
    pub fn adopt(&self, arrival: Arrival) {
        self.load.fetch_add(1, Ordering::Relaxed);
        self.arrivals.post(Mail::Connection(arrival));
    }

    /// Runs a task on the core's thread.
    pub fn run_task(&self, task: Task) {
        self.arrivals.post(Mail::Task(task));
    }

    /// Makes the thread end when its connections have finished what they are at.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.arrivals.post(Mail::Stop);
    }

    async fn run(self: &Arc<Core>, shared: &Arc<Shared>) {
        let mut completions = Vec::new();
        let mut arrivals = Vec::new();
        while !self.is_stopping() {
            poll_fn(|cx| self.poll_mail(cx, &mut completions, &mut arrivals)).await;
            completions.drain(..).for_each(Completion::deliver);
            for mail in arrivals.drain(..) {
                match mail {
                    Mail::Connection(arrival) => self.open(shared, arrival),
                    Mail::Task(task) => drop(tokio::spawn(task)),
                    Mail::Stop => {}
                }
            }
        }
        self.drain(shared, &mut completions).await;
    }

    fn poll_mail(&self, cx: &TaskContext<'_>, completions: &mut Vec<Completion>, arrivals: &mut Vec<Mail>) -> Poll<()> {
        let completed = self.completions.poll_take(cx, completions);
        let arrived = self.arrivals.poll_take(cx, arrivals);
        if completed.is_ready() || arrived.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Delivers completions until the last connection has ended or the grace is over.
    async fn drain(&self, shared: &Shared, completions: &mut Vec<Completion>) {
        let grace = Duration::from_millis(shared.options.stop_grace_ms + STOP_MARGIN_MS);
        let drained = async {
            while self.load() > 0 {
                let mail = poll_fn(|cx| self.completions.poll_take(cx, completions));
                // The load is looked at every few milliseconds: an ending connection wakes nobody.
                if tokio::time::timeout(Duration::from_millis(5), mail).await.is_ok() {
                    completions.drain(..).for_each(Completion::deliver);
                }
            }
        };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!(connections = self.load(), "stopped with connections that did not end");
        }
    }

    fn open(self: &Arc<Core>, shared: &Arc<Shared>, arrival: Arrival) {
        let Arrival { accepted, peer: peer_address, listener, roles, place } = arrival;
        let opened = accepted.open(KEEPALIVE).and_then(|stream| Ok((stream.local_address()?, stream)));
        let (local, stream) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.load.fetch_sub(1, Ordering::Relaxed);
                tracing::debug!(peer = %peer_address, %error, "a connection broke before it was served");
                return;
            }
        };
        let id = shared.next_connection();
        let principal = shared.anonymous.clone();
        let peer = Peer::new(SlotHome::new(Arc::clone(&self.completions)), Arc::clone(&listener), self.number);
        let info = ConnectionInfo { id, listener, roles, peer: peer_address, local, principal, asked: None };
        shared.enter(id, Arc::clone(&peer));
        let connection = Connection::new(stream, shared, self, info, peer, place);
        let guard = Leave { core: Arc::clone(self), shared: Arc::clone(shared), id };
        tokio::spawn(async move {
            let _guard = guard;
            connection.serve().await;
        });
    }
}

/// Takes a connection off the books when its task ends, however it does.
struct Leave {
    core: Arc<Core>,
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.core.load.fetch_sub(1, Ordering::Relaxed);
        self.shared.leave(self.id);
    }
}
