//! A server from start to stop: broker, listeners, cores; embeddable, several in one process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::broker::{Broker, StartOptions};
use crate::config::Settings;
use crate::io::clock::{Clock, SystemClock};
use crate::io::disk::{Disk, SystemDisk};
use crate::io::threads::Service;
use crate::metadata::Endpoint;

use super::core::Core;
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
    pub(super) shared: Arc<Shared>,
    cores: Arc<[Arc<Core>]>,
    services: Vec<Service>,
    stop_accepting: watch::Sender<bool>,
}

impl Server {
    /// Binds the listeners, starts the broker and serves. Returns when connections are accepted.
    ///
    /// The ports are bound before the data is opened: a second server on one port must not touch the first one's files.
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
        let Ground { clock, disk } = ground;
        let endpoints = endpoints(&settings, &bound);
        let start = StartOptions { endpoints, settings: Arc::new(settings), clock: Arc::clone(&clock), disk };
        let broker = Broker::start(start).await?;
        Running::start(bound, Shared::new(broker, clock, options))
    }
}

/// What is told to others: the advertised listeners, with the port that the system chose where none was given.
fn endpoints(settings: &Settings, bound: &[Bound]) -> Vec<Endpoint> {
    let advertised = settings.advertised_listeners().into_iter().map(|listener| {
        let of_name = bound.iter().find(|bound| *bound.name == *listener.name);
        let chosen = of_name.map_or(0, |bound| bound.address.port());
        let port = if listener.port == 0 { chosen } else { listener.port };
        let security_protocol = listener.security_protocol.id();
        Endpoint { listener: listener.name, host: listener.host, port, security_protocol }
    });
    advertised.collect()
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
        for listener in bound {
            let accept = listener.accept(Arc::clone(&shared), Arc::clone(&cores), stop.clone());
            cores[0].run_task(Box::pin(accept));
        }
        Ok(Running { addresses, shared, cores, services, stop_accepting })
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

    /// Connections that were accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.shared.metrics.connections_accepted.get()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.admission.open()
    }

    /// Accepts no more, finishes what is in flight within a bounded time, closes the broker.
    pub async fn stop(mut self) {
        self.interrupt();
        for service in std::mem::take(&mut self.services) {
            service.ended().await;
        }
        self.shared.broker.close().await;
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
