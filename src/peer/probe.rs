//! Whether somebody listens at an address: what tells a dead process from a slow one.

use std::io;
use std::time::Duration;

use super::address::Address;
use super::link::KEEPALIVE;
use crate::io::net;

/// What a probe has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The connection was taken: at least the system of the peer lives, and a process listens.
    Reachable,
    /// The system of the peer says that nobody listens: the process is gone.
    Refused,
    /// Nothing was heard, or the way there is broken: the peer may live.
    Unknown,
}

/// Connects and hangs up.
pub async fn probe(address: &Address, timeout: Duration) -> Probe {
    match tokio::time::timeout(timeout, net::connect(&address.host, address.port, KEEPALIVE)).await {
        Ok(Ok(_)) => Probe::Reachable,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Probe::Refused,
        Ok(Err(_)) | Err(_) => Probe::Unknown,
    }
}
