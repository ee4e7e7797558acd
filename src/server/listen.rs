//! Listening sockets: bound before anything is served, and one task each that hands connections to cores.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::watch;

use crate::config::{Listener as ListenerConfig, Roles};
use crate::io::net;

use super::admission::Refusal;
use super::core::{Arrival, Core};
use super::shared::Shared;

/// How long accepting pauses when it fails: usually no descriptor is free, and trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a port is looked for that is free in both families.
const BOTH_FAMILIES_TRIES: usize = 16;

/// A socket that listens.
pub struct Bound {
    pub name: Arc<str>,
    pub roles: Roles,
    pub address: SocketAddr,
    pub listening: net::Listening,
}

/// Binds a listener: several sockets where its host means several addresses, all on one port.
pub fn bind(config: &ListenerConfig, roles: Roles, backlog: i32) -> anyhow::Result<Vec<Bound>> {
    let hosts = config.bind_hosts();
    if config.port != 0 || hosts.len() < 2 {
        return bind_hosts(config, roles, &hosts, config.port, backlog);
    }
    // The system picks a port for the first address only; it may be taken on the next one.
    let mut failure = None;
    for _ in 0..BOTH_FAMILIES_TRIES {
        match bind_hosts(config, roles, &hosts, 0, backlog) {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = Some(error),
        }
    }
    bail!(failure.context("no free port")?)
}

fn bind_hosts(
    config: &ListenerConfig,
    roles: Roles,
    hosts: &[&str],
    port: u16,
    backlog: i32,
) -> anyhow::Result<Vec<Bound>> {
    let mut bound: Vec<Bound> = Vec::new();
    for host in hosts {
        let port = bound.first().map_or(port, |first| first.address.port());
        let addresses = net::resolve(host, port).with_context(|| {
            let name = &config.name;
            format!(
                "listeners: {name}://{config}: the host {host:?} has no address here; correct the name, or make it known to DNS \
                 or /etc/hosts"
            )
        })?;
        for address in addresses {
            match listen(address, backlog) {
                // `localhost` and host names mean both families; the machine may lack one.
                Err(error) if net::is_family_missing(&error) && !is_only_address(hosts, host) => {}
                Err(error) => return Err(explain(error, address)),
                Ok((listening, address)) => {
                    bound.push(Bound { name: config.name.as_str().into(), roles, address, listening });
                }
            }
        }
    }
    if bound.is_empty() {
        bail!("listener {config}: this machine has none of its addresses");
    }
    Ok(bound)
}

/// Whether the user wrote this very address: then it must work, or the server must not start.
fn is_only_address(hosts: &[&str], host: &str) -> bool {
    hosts.len() == 1 && host.parse::<std::net::IpAddr>().is_ok()
}

fn listen(address: SocketAddr, backlog: i32) -> std::io::Result<(net::Listening, SocketAddr)> {
    let listening = match net::listen(address, backlog) {
        Err(error) if address.is_ipv6() && net::is_unspecified(address.ip()) && net::is_family_missing(&error) => {
            net::listen(net::any_v4(address.port()), backlog)?
        }
        other => other?,
    };
    let address = listening.address()?;
    Ok((listening, address))
}

fn explain(error: std::io::Error, address: SocketAddr) -> anyhow::Error {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another process listens there",
        std::io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need special rights",
        _ => return anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    };
    anyhow::Error::new(error).context(format!("cannot listen on {address}: {hint}"))
}

impl Bound {
    /// Accepts until `stop` changes. Runs on the first core.
    pub async fn accept(self, shared: Arc<Shared>, cores: Arc<[Arc<Core>]>, mut stop: watch::Receiver<bool>) {
        let listener = match net::Listener::new(self.listening) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(address = %self.address, %error, "cannot accept connections");
                return;
            }
        };
        let mut refusals = Refusals::default();
        let held = Arc::new(AtomicUsize::new(0));
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.changed() => return,
                accepted = listener.accept() => accepted,
            };
            let live = shared.broker.live();
            let mut pause_ms = shared.admission.creation_pause_ms(live.connections.creation_rate, now_ms(&shared));
            while pause_ms > 0 {
                tokio::select! {
                    biased;
                    _ = stop.changed() => return,
                    () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
                }
                pause_ms = shared.admission.creation_pause_ms(live.connections.creation_rate, now_ms(&shared));
            }
            let (accepted, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let now_ms = now_ms(&shared);
            let throttle_ms = shared.broker.quotas().record_connection(net::plain(peer.ip()), now_ms);
            if throttle_ms > 0 {
                shared.metrics.connections_refused.add(1);
                refusals.note(now_ms, peer, Refusal::Quota);
                hold(accepted, throttle_ms, &held);
                continue;
            }
            match shared.admission.admit(peer.ip(), &live.connections, now_ms) {
                Err(refusal) => {
                    shared.metrics.connections_refused.add(1);
                    refusals.note(now_ms, peer, refusal);
                }
                Ok(place) => {
                    shared.metrics.connections_accepted.add(1);
                    let core = cores.iter().min_by_key(|core| core.load()).expect("there is at least one core");
                    core.adopt(Arrival { accepted, peer, listener: Arc::clone(&self.name), roles: self.roles, place });
                }
            }
        }
    }
}

fn now_ms(shared: &Shared) -> u64 {
    shared.clock.now().monotonic_ms
}

/// Connections that are held at a time because their addresses come too often; past it they are closed at once.
const HELD_MAX: usize = 1_000;

/// Closes a connection when its address may come again: a client that is sent away at once comes back at once.
fn hold(accepted: net::Accepted, throttle_ms: u64, held: &Arc<AtomicUsize>) {
    if held.fetch_add(1, Ordering::Relaxed) >= HELD_MAX {
        held.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let held = Arc::clone(held);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(throttle_ms)).await;
        drop(accepted);
        held.fetch_sub(1, Ordering::Relaxed);
    });
}

/// One log line a second at most: a storm of connections must not become a storm of lines.
#[derive(Default)]
struct Refusals {
    since_ms: Option<u64>,
    silent: u64,
}

impl Refusals {
    fn note(&mut self, now_ms: u64, peer: SocketAddr, refusal: Refusal) {
        if self.since_ms.is_some_and(|since_ms| now_ms < since_ms.saturating_add(1_000)) {
            self.silent += 1;
            return;
        }
        tracing::warn!(%peer, reason = %refusal, more = self.silent, "refused a connection");
        self.since_ms = Some(now_ms);
        self.silent = 0;
    }
}
