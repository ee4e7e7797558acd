//! What is simulated of a host besides its disk and network: how long work that blocks takes, its wall clock, its randomness.
//!
//! A host is known by the runtime that its tasks run on. Everything is drawn from the seed of the host.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::clock::Clock;
use super::sim_disk::SimRandom;
use crate::model::Now;

/// 2026-01-01, in ms since the Unix epoch: when every simulation begins.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// One simulated machine; it outlives the crashes of what runs on it.
pub struct Host {
    random: Mutex<SimRandom>,
    /// The longest that a flush or another blocking job takes, in µs.
    blocking_max_us: AtomicU64,
    wall_offset_ms: AtomicI64,
}

impl Host {
    pub fn new(seed: u64) -> Arc<Host> {
        Arc::new(Host {
            random: Mutex::new(SimRandom::new(seed)),
            blocking_max_us: AtomicU64::new(3_000),
            wall_offset_ms: AtomicI64::new(0),
        })
    }

    /// Makes this host the one that the calling runtime's tasks run on. Called first thing by what starts on the host.
    pub fn enter(self: &Arc<Host>) {
        HOSTS.with_borrow_mut(|hosts| {
            let id = Handle::current().id();
            hosts.retain(|(other, host)| *other != id && !Arc::ptr_eq(host, self));
            hosts.push((id, Arc::clone(self)));
        });
    }

    /// Sets how long blocking jobs take at most from now on, such as for a slow disk.
    pub fn set_blocking_max(&self, time: Duration) {
        self.blocking_max_us.store(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Moves the wall clock, away from that of the simulation.
    pub fn set_wall_offset_ms(&self, offset_ms: i64) {
        self.wall_offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    fn current() -> Option<Arc<Host>> {
        let id = Handle::try_current().ok()?.id();
        HOSTS.with_borrow(|hosts| hosts.iter().find(|(other, _)| *other == id).map(|(_, host)| Arc::clone(host)))
    }
}

thread_local! {
    static HOSTS: RefCell<Vec<(Id, Arc<Host>)>> = const { RefCell::new(Vec::new()) };
    /// For what runs on no host.
    static OUTSIDE: RefCell<SimRandom> = RefCell::new(SimRandom::new(0));
}

/// Seeds what no host owns: the random numbers of threads without a host, and the system call that libraries ask.
pub fn seed_process(seed: u64) {
    OUTSIDE.with_borrow_mut(|random| *random = SimRandom::new(seed));
}

/// Takes the place of the C library's function in the simulator, so that hash maps, and libraries that draw for themselves, are
/// the same in every run.
///
/// # Safety
/// `buffer` must point to `len` writable bytes, as for the system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, len: usize, _flags: u32) -> isize {
    // SAFETY: the caller's promise.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, len) };
    for chunk in buffer.chunks_mut(8) {
        chunk.copy_from_slice(&next_random().to_le_bytes()[..chunk.len()]);
    }
    isize::try_from(len).unwrap_or(isize::MAX)
}

/// How long a blocking job of the calling host takes, this time.
pub fn blocking_delay() -> Duration {
    let Some(host) = Host::current() else { return Duration::ZERO };
    let max_us = usize::try_from(host.blocking_max_us.load(Ordering::Relaxed)).unwrap_or(usize::MAX - 1);
    let us = host.random.lock().below(max_us + 1);
    Duration::from_micros(us as u64)
}

/// The next random number of the calling host.
pub fn next_random() -> u64 {
    match Host::current() {
        Some(host) => host.random.lock().next_u64(),
        None => OUTSIDE.with_borrow_mut(SimRandom::next_u64),
    }
}

/// The wall clock of the simulation, in ms since the Unix epoch.
pub fn wall_ms() -> i64 {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    EPOCH_MS + i64::try_from(elapsed.as_millis()).unwrap_or(0)
}

/// The clocks of a host: simulated time, and a wall that can be moved.
pub struct SimClock {
    host: Arc<Host>,
    start: Instant,
}

impl SimClock {
    /// Must be called on the host: its monotonic clock begins now.
    pub fn new(host: &Arc<Host>) -> SimClock {
        SimClock { host: Arc::clone(host), start: Instant::now() }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        Now {
            wall_ms: wall_ms() + self.host.wall_offset_ms.load(Ordering::Relaxed),
            monotonic_ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}
