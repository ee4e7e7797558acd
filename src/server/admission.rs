//! Who may connect: so many in all, so many from one address, so many new ones a second from one address.
//!
//! Loopback is not limited by address: everything on the machine shares it, proxies and tests included.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::io::net;

use super::options::Options;

/// One second, the window for new connections.
const WINDOW_MS: u64 = 1_000;
/// Addresses without a connection are forgotten when this many are remembered.
const REMEMBERED_MAX: usize = 4_096;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("max.connections is reached")]
    Total,
    #[error("max.connections.per.ip is reached")]
    PerIp,
    #[error("too many new connections in one second from one address")]
    Rate,
}

/// Counts connections.
pub struct Admission {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Limits {
    total: usize,
    per_ip: usize,
    new_per_second: u32,
}

#[derive(Default)]
struct State {
    total: usize,
    by_ip: HashMap<IpAddr, Tally>,
}

#[derive(Default)]
struct Tally {
    open: usize,
    window_start_ms: u64,
    new_in_window: u32,
}

/// A place among the connections; free again when dropped.
pub struct Place {
    admission: Arc<Admission>,
    ip: IpAddr,
}

impl Admission {
    pub fn new(options: &Options) -> Arc<Admission> {
        let limits = Limits {
            total: options.connections_max,
            per_ip: options.connections_per_ip_max,
            new_per_second: options.new_per_second_per_ip_max,
        };
        Arc::new(Admission { limits, state: Mutex::default() })
    }

    /// A place for a connection from `ip`.
    pub fn admit(self: &Arc<Admission>, ip: IpAddr, monotonic_ms: u64) -> Result<Place, Refusal> {
        let ip = net::plain(ip);
        let mut state = self.state.lock();
        if state.total >= self.limits.total {
            return Err(Refusal::Total);
        }
        if state.by_ip.len() >= REMEMBERED_MAX {
            state.by_ip.retain(|_, tally| tally.open > 0);
        }
        let tally = state.by_ip.entry(ip).or_default();
        if !ip.is_loopback() {
            tally.admit(self.limits, monotonic_ms)?;
        }
        tally.open += 1;
        state.total += 1;
        Ok(Place { admission: Arc::clone(self), ip })
    }

    pub fn open(&self) -> usize {
        self.state.lock().total
    }
}

impl Tally {
    fn admit(&mut self, limits: Limits, monotonic_ms: u64) -> Result<(), Refusal> {
        if monotonic_ms.saturating_sub(self.window_start_ms) >= WINDOW_MS {
            self.window_start_ms = monotonic_ms;
            self.new_in_window = 0;
        }
        if self.new_in_window >= limits.new_per_second {
            return Err(Refusal::Rate);
        }
        self.new_in_window += 1;
        if self.open >= limits.per_ip {
            return Err(Refusal::PerIp);
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        state.total -= 1;
        if let Some(tally) = state.by_ip.get_mut(&self.ip) {
            tally.open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(total: usize, per_ip: usize, new_per_second: u32) -> Arc<Admission> {
        Arc::new(Admission { limits: Limits { total, per_ip, new_per_second }, state: Mutex::default() })
    }

    const AFAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_total_counts_everyone() {
        let admission = admission(2, 10, 10);
        let first = admission.admit(AFAR, 0);
        let second = admission.admit(HERE, 0);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(admission.admit(HERE, 0).err(), Some(Refusal::Total));
        drop(first);
        assert!(admission.admit(HERE, 0).is_ok());
    }

    #[test]
    fn one_address_is_limited_and_loopback_is_not() {
        let admission = admission(100, 1, 100);
        let _first = admission.admit(AFAR, 0).expect("the first");
        assert_eq!(admission.admit(AFAR, 0).err(), Some(Refusal::PerIp));
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(admission.admit(mapped, 0).err(), Some(Refusal::PerIp));
        let here: Vec<_> = (0..3).map(|_| admission.admit(HERE, 0)).collect();
        assert!(here.iter().all(Result::is_ok));
    }

    #[test]
    fn new_connections_are_counted_by_the_second() {
        let admission = admission(100, 100, 2);
        assert!(admission.admit(AFAR, 5_000).is_ok());
        assert!(admission.admit(AFAR, 5_999).is_ok());
        assert_eq!(admission.admit(AFAR, 5_999).err(), Some(Refusal::Rate));
        assert!(admission.admit(AFAR, 6_000).is_ok());
    }
}
