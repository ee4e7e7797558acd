//! Who may connect: so many in all, so many from one address, so many new ones a second from one address.
//!
//! Loopback is not limited by address, unless an override names it: everything on the machine shares it, proxies and tests
//! included. Limits come with each question, since they change while the server runs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::broker::live::ConnectionLimits;
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
    #[error("its address has used up its quota of connection_creation_rate")]
    Quota,
}

/// Counts connections.
pub struct Admission {
    new_per_second_per_ip_max: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: usize,
    /// New connections of everybody.
    all: Tally,
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
        Arc::new(Admission { new_per_second_per_ip_max: options.new_per_second_per_ip_max, state: Mutex::default() })
    }

    /// How long the next connection is to wait in the system's queue, in ms, because `max.connection.creation.rate` is reached;
    /// 0 when it may come. Counts it then.
    pub fn creation_pause_ms(&self, rate: usize, monotonic_ms: u64) -> u64 {
        let mut state = self.state.lock();
        state.all.turn_window(monotonic_ms);
        if usize::try_from(state.all.new_in_window).is_ok_and(|new| new >= rate.max(1)) {
            return (state.all.window_start_ms + WINDOW_MS).saturating_sub(monotonic_ms).max(1);
        }
        state.all.new_in_window += 1;
        0
    }

    /// A place for a connection from `ip`.
    pub fn admit(
        self: &Arc<Admission>,
        ip: IpAddr,
        limits: &ConnectionLimits,
        monotonic_ms: u64,
    ) -> Result<Place, Refusal> {
        let ip = net::plain(ip);
        let mut state = self.state.lock();
        if state.total >= limits.total {
            return Err(Refusal::Total);
        }
        if state.by_ip.len() >= REMEMBERED_MAX {
            state.by_ip.retain(|_, tally| tally.open > 0);
        }
        let tally = state.by_ip.entry(ip).or_default();
        let own = limits.overrides.get(&ip).copied();
        if !ip.is_loopback() {
            tally.admit_new(self.new_per_second_per_ip_max, monotonic_ms)?;
        }
        if own.or((!ip.is_loopback()).then_some(limits.per_ip)).is_some_and(|limit| tally.open >= limit) {
            return Err(Refusal::PerIp);
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
    fn turn_window(&mut self, monotonic_ms: u64) {
        if monotonic_ms.saturating_sub(self.window_start_ms) >= WINDOW_MS {
            self.window_start_ms = monotonic_ms;
            self.new_in_window = 0;
        }
    }

    fn admit_new(&mut self, new_per_second_max: u32, monotonic_ms: u64) -> Result<(), Refusal> {
        self.turn_window(monotonic_ms);
        if self.new_in_window >= new_per_second_max {
            return Err(Refusal::Rate);
        }
        self.new_in_window += 1;
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
    use std::collections::BTreeMap;

    use super::*;

    fn admission(new_per_second: u32) -> Arc<Admission> {
        Arc::new(Admission { new_per_second_per_ip_max: new_per_second, state: Mutex::default() })
    }

    fn limits(total: usize, per_ip: usize) -> ConnectionLimits {
        ConnectionLimits { total, per_ip, overrides: BTreeMap::new(), creation_rate: usize::MAX }
    }

    const AFAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_total_counts_everyone() {
        let (admission, mut limits) = (admission(10), limits(2, 10));
        let first = admission.admit(AFAR, &limits, 0);
        let second = admission.admit(HERE, &limits, 0);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(admission.admit(HERE, &limits, 0).err(), Some(Refusal::Total));
        drop(first);
        let third = admission.admit(HERE, &limits, 0);
        assert!(third.is_ok());
        limits.total = 3;
        assert!(admission.admit(HERE, &limits, 0).is_ok(), "the limit was raised while the server runs");
    }

    #[test]
    fn one_address_is_limited_and_loopback_is_not() {
        let (admission, mut limits) = (admission(100), limits(100, 1));
        let _first = admission.admit(AFAR, &limits, 0).expect("the first");
        assert_eq!(admission.admit(AFAR, &limits, 0).err(), Some(Refusal::PerIp));
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(admission.admit(mapped, &limits, 0).err(), Some(Refusal::PerIp));
        let here: Vec<_> = (0..3).map(|_| admission.admit(HERE, &limits, 0)).collect();
        assert!(here.iter().all(Result::is_ok));
        limits.overrides = BTreeMap::from([(AFAR, 2), (HERE, 3)]);
        assert!(admission.admit(AFAR, &limits, 0).is_ok());
        assert_eq!(admission.admit(HERE, &limits, 0).err(), Some(Refusal::PerIp));
    }

    #[test]
    fn new_connections_are_counted_by_the_second() {
        let (admission, limits) = (admission(2), limits(100, 100));
        assert!(admission.admit(AFAR, &limits, 5_000).is_ok());
        assert!(admission.admit(AFAR, &limits, 5_999).is_ok());
        assert_eq!(admission.admit(AFAR, &limits, 5_999).err(), Some(Refusal::Rate));
        assert!(admission.admit(AFAR, &limits, 6_000).is_ok());
    }

    #[test]
    fn all_new_connections_together_wait_for_their_second() {
        let admission = admission(100);
        let pauses: Vec<u64> =
            [5_000, 5_100, 5_200, 6_000].map(|now_ms| admission.creation_pause_ms(2, now_ms)).to_vec();
        assert_eq!(pauses, [0, 0, 800, 0]);
    }
}
