//! A few threads for work that blocks: flushes, rolls, recovery, cold reads. One door in: submit a job.
//!
//! Invariant: a job that panics takes nobody with it; the thread goes on with the next one.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::threads;

type Job = Box<dyn FnOnce() + Send>;

/// See the head of this file. Dropping it carries out what was submitted and joins the threads.
pub struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closing: bool,
}

/// The job that was waited for panicked, or its pool has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a background job ended without a result")]
pub struct JobLost;

impl Pool {
    /// Starts `count` threads named `name-0`, `name-1`, …
    pub fn start(name: &str, count: usize) -> io::Result<Pool> {
        let queue = Arc::new(Queue::default());
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let queue = Arc::clone(&queue);
            threads.push(threads::spawn(&format!("{name}-{number}"), move || queue.work())?);
        }
        Ok(Pool { queue, threads })
    }

    /// Queues a job that nobody waits for.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        self.queue.state.lock().jobs.push_back(Box::new(job));
        self.queue.wake.notify_one();
    }

    /// Queues a job at once; the future is its result. Dropping the future does not take the job back.
    pub fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, JobLost>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.submit(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(job());
        });
        async move { receiver.await.map_err(|_| JobLost) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.state.lock().is_closing = true;
        self.queue.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A pool owned by its own job must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Queue {
    fn work(&self) {
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a background job panicked");
            }
        }
    }

    /// The next job; `None` when the pool closes and nothing is left.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closing {
                return None;
            }
            self.wake.wait(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn a_job_runs_elsewhere_and_its_result_comes_back() {
        let pool = Pool::start("pool", 2).expect("threads");
        let here = std::thread::current().id();
        assert_ne!(wait(pool.run(|| std::thread::current().id())), Ok(here));
    }

    #[test]
    fn a_panic_is_a_lost_job_and_the_thread_goes_on() {
        let pool = Pool::start("pool", 1).expect("threads");
        assert_eq!(wait(pool.run(|| panic!("on purpose"))), Err::<(), _>(JobLost));
        assert_eq!(wait(pool.run(|| 7)), Ok(7));
    }

    #[test]
    fn a_dropped_pool_finishes_what_it_was_given() {
        let pool = Pool::start("pool", 1).expect("threads");
        let results: Vec<_> = (0..10).map(|number| pool.run(move || number)).collect();
        drop(pool);
        let sum: i32 = results.into_iter().map(|result| wait(result).expect("it ran")).sum();
        assert_eq!(sum, 45);
    }
}
