//! The thread door: named threads, and what the machine has to run them on.
//!
//! | kind of work | door |
//! |---|---|
//! | lives as long as its owner, sleeps in between | [`service`]: a future on a thread of its own |
//! | blocks, once | [`run`] where somebody waits for it, [`detach`] where nobody does |
//! | blocks, often | [`Pool`](super::pool::Pool) |
//! | many of a kind, at a start or stop | [`for_each_in_parallel`] |
//!
//! In a simulation (feature `sim`) there is one thread: a service is a task of the host, and what blocks is a task that runs
//! after a short simulated delay. So the callers are on a runtime, and a future that is waited for may be on the same one.

use std::future::Future;
use std::io;

use tokio::sync::oneshot;

#[cfg(not(feature = "sim"))]
pub use real::{detach, for_each_in_parallel, service};
#[cfg(feature = "sim")]
pub use simulated::{detach, for_each_in_parallel, service};

/// The work that was waited for panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a background job ended without a result")]
pub struct JobLost;

/// A future that runs by itself, from [`service`]. Dropping this leaves it running.
#[derive(Debug)]
pub struct Service {
    name: String,
    ended: oneshot::Receiver<()>,
    #[cfg(not(feature = "sim"))]
    thread: std::thread::JoinHandle<()>,
}

impl Service {
    /// Returns when the future has come to its end and its thread is gone; a panic is an end too, and is logged.
    pub async fn ended(self) {
        let outcome = self.ended.await;
        #[cfg(not(feature = "sim"))]
        let _ = self.thread.join();
        if outcome.is_err() {
            tracing::error!(service = self.name, "a service panicked");
        }
    }
}

/// Runs a job that blocks on a thread of its own, and waits for it without blocking.
pub async fn run<R: Send + 'static>(name: &str, job: impl FnOnce() -> R + Send + 'static) -> io::Result<R> {
    let (sender, receiver) = oneshot::channel();
    detach(name, move || {
        // Whoever waited may have gone.
        let _ = sender.send(job());
    })?;
    receiver.await.map_err(|_| io::Error::other(JobLost))
}

#[cfg(not(feature = "sim"))]
mod real {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{Builder, JoinHandle};

    use super::*;

    /// Runs the future that `make` makes, on a thread and a runtime of its own, until its end. Tools show the thread under
    /// `name` (Linux shows its first 15 bytes). `make` runs on that thread, inside the runtime.
    pub fn service<F>(name: &str, make: impl FnOnce() -> F + Send + 'static) -> io::Result<Service>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (told, ended) = oneshot::channel();
        let thread = spawn(name, move || {
            runtime.block_on(async { make().await });
            // What the future has spawned and not waited for is dropped with the runtime.
            drop(runtime);
            let _ = told.send(());
        })?;
        Ok(Service { name: name.to_owned(), ended, thread })
    }

    /// Runs a job that blocks and that nobody waits for, on a thread of its own.
    pub fn detach(name: &str, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        spawn(name, job).map(drop)
    }

    /// Does the same work for every item, on up to `threads_max` threads, of which the calling one is one. Blocks.
    pub fn for_each_in_parallel<T: Sync>(items: &[T], threads_max: usize, work: impl Fn(&T) + Sync) {
        let next = AtomicUsize::new(0);
        let run = || {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(item);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads_max.min(items.len()) {
                scope.spawn(run);
            }
            run();
        });
    }

    /// Starts a thread that tools show under `name`.
    pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        Builder::new().name(name.to_owned()).spawn(run)
    }
}

#[cfg(not(feature = "sim"))]
pub use real::spawn;

#[cfg(feature = "sim")]
mod simulated {
    use super::*;
    use crate::io::simulated::blocking_delay;

    /// A task of the host.
    pub fn service<F>(name: &str, make: impl FnOnce() -> F + Send + 'static) -> io::Result<Service>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (told, ended) = oneshot::channel();
        let future = make();
        drop(tokio::spawn(async move {
            future.await;
            let _ = told.send(());
        }));
        Ok(Service { name: name.to_owned(), ended })
    }

    /// A task of the host that runs the job after a short delay.
    pub fn detach(_name: &str, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        drop(tokio::spawn(async move {
            tokio::time::sleep(blocking_delay()).await;
            job();
        }));
        Ok(())
    }

    /// One item after the other.
    pub fn for_each_in_parallel<T: Sync>(items: &[T], _threads_max: usize, work: impl Fn(&T) + Sync) {
        items.iter().for_each(work);
    }
}

/// Runs a future to its end, for tests: where nothing else runs, waiting may block.
#[cfg(test)]
pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
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

#[cfg(all(test, not(feature = "sim")))]
mod tests {
    use super::*;

    #[test]
    fn a_service_runs_on_a_thread_of_its_own_until_its_future_ends() {
        let (sender, receiver) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = service("serving", move || async move {
            let _ = sender.send(std::thread::current().name().map(str::to_owned));
            let _ = stopped.await;
        });
        assert_eq!(wait(receiver), Ok(Some("serving".to_owned())));
        stop.send(()).expect("it waits");
        wait(service.expect("a thread").ended());
    }

    #[test]
    fn a_service_that_panics_has_ended() {
        let service = service("panicking", || async { panic!("on purpose") });
        wait(service.expect("a thread").ended());
    }

    #[test]
    fn a_blocking_job_runs_elsewhere_and_is_waited_for() {
        let here = std::thread::current().id();
        let there = wait(run("job", || std::thread::current().id())).expect("a result");
        assert_ne!(there, here);
        let lost = wait(run("job", || panic!("on purpose")));
        assert!(lost.is_err_and(|error: io::Error| error.to_string() == JobLost.to_string()));
    }

    #[test]
    fn every_item_is_worked_on_once() {
        let sum = std::sync::atomic::AtomicUsize::new(0);
        let items: Vec<usize> = (0..100).collect();
        for_each_in_parallel(&items, 4, |item| {
            sum.fetch_add(*item, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 4950);
    }
}
