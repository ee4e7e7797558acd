//! The thread door: named threads, and what the machine has to run them on.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that tools show under `name` (Linux shows its first 15 bytes).
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(run)
}

/// Cores that this process may use, at least 1; a container's limit counts.
pub fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Lifts the soft limit on open files to the hard one, and says how many that is. A broker keeps a descriptor for every
/// segment it reads and every connection.
pub fn raise_open_files_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // A refusal leaves the limit as it was, which is what a process without the right to raise it gets.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}
