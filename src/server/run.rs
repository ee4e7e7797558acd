//! A server from start to stop: broker, listeners, cores; embeddable, several in one process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::api;
use crate::broker::{Broker, StartError, StartOptions};
use crate::config::{Listener, Roles, Settings};
use crate::io::clock::{Clock, SystemClock};
use crate::io::disk::{Disk, SystemDisk};
use crate::io::net;
use crate::io::threads::Service;
use crate::metadata::Endpoint;

use super::core::Core;
use super::http;
use super::listen::{self, Bound};
use super::options::Options;
use super::shared::Shared;

/// The way to start a server.
pub struct Server;

/// What a server stands on.
pub struct Ground {
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<dyn Disk>,
}

impl Ground {
    /// The operating system.
    pub fn system() -> Ground {
        Ground { clock: Arc::new(SystemClock::new()), disk: Arc::new(SystemDisk) }
    }
}

/// A server that runs; [`Running::stop`] ends it in order. Dropped without that, it serves nobody any more, and its data is
/// left as by a crash.
pub struct Running {
    addresses: Vec<SocketAddr>,
    http_addresses: Vec<SocketAddr>,
    pub(super) shared: Arc<Shared>,
    cores: Arc<[Arc<Core>]>,
    services: Vec<Service>,
    stop_accepting: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
    /// Listeners that wait until clients can be served.
    later: Mutex<Vec<Bound>>,
}

impl Server {
    /// Binds the listeners, starts the broker and serves. Returns when clients can connect, which takes as long as it takes to
    /// find a controller.
    ///
    /// The ports are bound before the data is opened: a second server on one port must not touch the first one's files. The
    /// controllers' listeners are served as soon as the quorum has begun, since other nodes may need this one to elect.
    pub async fn start(settings: Settings) -> anyhow::Result<Running> {
        Server::start_on(Ground::system(), settings).await
    }

    /// As [`Server::start`], on another ground.
    pub async fn start_on(ground: Ground, settings: Settings) -> anyhow::Result<Running> {
        let options = Options::from_settings(&settings);
        let mut bound = Vec::new();
        for listener in settings.all_listeners() {
            bound.extend(listen::bind(&listener, settings.roles_of(&listener), options.backlog)?);
        }
        let http = http::bind(&settings, options.backlog)?;
        let Ground { clock, disk } = ground;
        let start = StartOptions {
            endpoints: endpoints(&settings, &bound),
            controller_endpoint: controller_endpoint(&settings, &bound),
            settings: Arc::new(settings),
            clock: Arc::clone(&clock),
            disk,
        };
        let opened = Broker::open(start).await.map_err(with_advice)?;
        let broker = Arc::clone(opened.broker());
        broker.set_dispatch(api::local::dispatch);
        let mut running = Running::start(bound, Shared::new(broker, clock, options))?;
        running.start_http(http)?;
        let joined = tokio::select! {
            biased;
            // A foreign cluster, or a second node under one id: waiting helps neither.
            reason = running.broker().quorum().died() => Err(anyhow!("{reason}")),
            joined = opened.join() => joined.map_err(with_advice),
        };
        if let Err(error) = joined {
            running.give_up().await;
            return Err(error);
        }
        running.serve_clients();
        Ok(running)
    }
}

/// The error, and what an operator can do about it where the system's own words do not say.
fn with_advice(error: StartError) -> anyhow::Error {
    match error.advice() {
        Some(advice) => anyhow!("{error}: {advice}"),
        None => error.into(),
    }
}

/// What is told to others: the advertised listeners, with the port that the system chose where none was given.
fn endpoints(settings: &Settings, bound: &[Bound]) -> Vec<Endpoint> {
    settings.advertised_listeners().into_iter().map(|listener| endpoint(listener, bound)).collect()
}

fn endpoint(listener: Listener, bound: &[Bound]) -> Endpoint {
    let of_name = bound.iter().find(|bound| *bound.name == *listener.name);
    let chosen = of_name.map_or(0, |bound| bound.address.port());
    let port = if listener.port == 0 { chosen } else { listener.port };
    let security_protocol = listener.security_protocol.id();
    Endpoint { listener: listener.name, host: listener.host, port, security_protocol }
}

/// Where other nodes reach this one's controller: where its listener is advertised, or else where it listens, and by the
/// machine's name when that is every address.
fn controller_endpoint(settings: &Settings, bound: &[Bound]) -> Endpoint {
    let listener = settings.controller_listener();
    let mut endpoint = endpoint(settings.advertised_controller_listener(&listener.name).unwrap_or(listener), bound);
    if net::is_wildcard_host(&endpoint.host) {
        endpoint.host = net::own_name();
    }
    endpoint
}

impl Running {
    fn start(bound: Vec<Bound>, shared: Arc<Shared>) -> anyhow::Result<Running> {
        let mut cores = Vec::new();
        let mut services = Vec::new();
        for number in 0..shared.options.threads.get() {
            let (core, service) = Core::start(number, &shared).context("cannot start a thread")?;
            cores.push(core);
            services.push(service);
        }
        let cores: Arc<[Arc<Core>]> = cores.into();
        let (stop_accepting, stop) = watch::channel(false);
        let addresses = bound.iter().map(|bound| bound.address).collect();
        let (first, later) = bound.into_iter().partition(|listener| listener.roles.meet(Roles::CONTROLLER));
        let http_addresses = Vec::new();
        let running = Running {
            addresses,
            http_addresses,
            shared,
            cores,
            services,
            stop_accepting,
            stop,
            later: Mutex::new(later),
        };
        running.accept(first);
        Ok(running)
    }

    /// Answers over HTTP from now on, so that who looks after the process sees what it waits for.
    fn start_http(&mut self, listeners: Vec<Bound>) -> anyhow::Result<()> {
        if listeners.is_empty() {
            return Ok(());
        }
        self.http_addresses = listeners.iter().map(|bound| bound.address).collect();
        let front = http::Front::new(&self.shared, &self.cores);
        self.services.push(http::start(front, listeners, self.stop.clone()).context("cannot start a thread")?);
        Ok(())
    }

    fn accept(&self, listeners: Vec<Bound>) {
        for listener in listeners {
            let accept = listener.accept(Arc::clone(&self.shared), Arc::clone(&self.cores), self.stop.clone());
            self.cores[0].run_task(Box::pin(accept));
        }
    }

    /// Accepts connections on the listeners that only clients need.
    fn serve_clients(&self) {
        self.accept(std::mem::take(&mut *self.later.lock()));
    }

    /// Where it listens, in the order of the listeners, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn broker(&self) -> &Arc<Broker> {
        &self.shared.broker
    }

    /// Memory that requests in flight and their answers hold now, in bytes.
    pub fn request_memory_bytes(&self) -> usize {
        self.shared.budget.used_bytes()
    }

    /// Requests that were started.
    pub fn requests(&self) -> u64 {
        self.cores.iter().map(|core| core.metrics.started()).sum()
    }

    /// Where it answers over HTTP: as [`Running::addresses`], for `http.listener`.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http_addresses
    }

    /// Connections that were accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.shared.metrics.connections_accepted.get()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.admission.open()
    }

    /// Leaves the cluster in order, accepts no more, finishes what is in flight within a bounded time, closes the broker.
    pub async fn stop(mut self) {
        self.shared.begin_stop();
        self.shared.broker.leave().await;
        self.end_services().await;
        self.shared.broker.close().await;
    }

    /// Ends what got no further than its start. Afterwards nothing here holds the directories' locks: the caller may correct a
    /// setting and start again.
    async fn give_up(mut self) {
        self.end_services().await;
        self.shared.broker.give_up_start().await;
    }

    async fn end_services(&mut self) {
        self.interrupt();
        for service in std::mem::take(&mut self.services) {
            service.ended().await;
        }
    }

    fn interrupt(&self) {
        // Nobody receives any more when the cores have ended by themselves.
        let _ = self.stop_accepting.send(true);
        self.cores.iter().for_each(|core| core.stop());
        self.shared.interrupt_all();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.interrupt();
    }
}
