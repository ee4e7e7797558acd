//! A server from start to stop: broker, listeners, cores; embeddable, several in one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::broker::{Broker, StartOptions};
use crate::config::Settings;
use crate::io::clock::{Clock, SystemClock};
use crate::io::disk::SystemDisk;
use crate::metadata::Endpoint;

use super::core::Core;
use super::listen::{self, Bound};
use super::options::Options;
use super::shared::Shared;

/// The way to start a server.
pub struct Server;

/// A server that runs; [`Running::stop`] ends it in order, a drop does the same.
pub struct Running {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    cores: Arc<[Arc<Core>]>,
    threads: Vec<JoinHandle<()>>,
    stop_accepting: watch::Sender<bool>,
}

impl Server {
    /// Binds the listeners, starts the broker and serves. Returns when connections are accepted.
    ///
    /// The ports are bound before the data is opened: a second server on one port must not touch the first one's files.
    pub fn start(settings: Settings) -> anyhow::Result<Running> {
        let options = Options::from_settings(&settings);
        let mut bound = Vec::new();
        for listener in settings.listeners() {
            bound.extend(listen::bind(&listener, settings.roles_of(&listener), options.backlog)?);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let broker = start_broker(settings, &clock, &bound)?;
        Running::start(bound, Shared::new(broker, clock, options))
    }
}

fn start_broker(settings: Settings, clock: &Arc<dyn Clock>, bound: &[Bound]) -> anyhow::Result<Arc<Broker>> {
    let options = StartOptions {
        endpoints: endpoints(&settings, bound),
        settings: Arc::new(settings),
        clock: Arc::clone(clock),
        disk: Arc::new(SystemDisk),
    };
    Ok(Broker::start(options)?)
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
        let mut threads = Vec::new();
        for number in 0..shared.options.threads.get() {
            let (core, thread) = Core::start(number, &shared).context("cannot start a thread")?;
            cores.push(core);
            threads.push(thread);
        }
        let cores: Arc<[Arc<Core>]> = cores.into();
        let (stop_accepting, stop) = watch::channel(false);
        let addresses = bound.iter().map(|bound| bound.address).collect();
        for listener in bound {
            let accept = listener.accept(Arc::clone(&shared), Arc::clone(&cores), stop.clone());
            cores[0].run_task(Box::pin(accept));
        }
        Ok(Running { addresses, shared, cores, threads, stop_accepting })
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

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.admission.open()
    }

    /// Accepts no more, finishes what is in flight within a bounded time, closes the broker.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.halt()
    }

    fn halt(&mut self) -> anyhow::Result<()> {
        if self.threads.is_empty() {
            return Ok(());
        }
        // Nobody receives any more when the cores have ended by themselves.
        let _ = self.stop_accepting.send(true);
        self.cores.iter().for_each(|core| core.stop());
        self.shared.interrupt_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a core's thread panicked");
            }
        }
        self.shared.broker.close();
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.halt() {
            tracing::error!(%error, "did not stop in order");
        }
    }
}
