//! A few threads for work that blocks, often: flushes, rolls, recovery, cold reads. One door in: submit a job.
//!
//! In a simulation a job runs as a task of the host after a short simulated delay, and no more of them at once than the pool
//! has threads.
//!
//! Invariant: a job that panics takes nobody with it; the thread goes on with the next one.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use super::threads::JobLost;

type Job = Box<dyn FnOnce() + Send>;

/// See the head of this file. Dropping it lets the threads finish what was submitted, and waits for nothing.
pub struct Pool {
    queue: Arc<Queue>,
    workers: Mutex<Vec<oneshot::Receiver<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closing: bool,
}

impl Pool {
    /// Starts `count` threads named `name-0`, `name-1`, …
    pub fn start(name: &str, count: usize) -> io::Result<Pool> {
        let queue = Arc::new(Queue::default());
        let mut workers = Vec::with_capacity(count);
        for number in 0..count {
            let (ended, receiver) = oneshot::channel();
            workers.push(receiver);
            start_worker(&format!("{name}-{number}"), Arc::clone(&queue), ended)?;
        }
        Ok(Pool { queue, workers: Mutex::new(workers) })
    }

    /// Queues a job that nobody waits for. Nothing happens after [`Pool::close`].
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.queue.state.lock();
        if !state.is_closing {
            state.jobs.push_back(Box::new(job));
            drop(state);
            self.queue.wake.one();
        }
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

    /// Takes no more jobs, carries out what was submitted, and returns when the last is done.
    pub async fn close(&self) {
        self.end();
        let workers = std::mem::take(&mut *self.workers.lock());
        for ended in workers {
            // A worker that was dropped has ended too.
            let _ = ended.await;
        }
    }

    fn end(&self) {
        self.queue.state.lock().is_closing = true;
        self.queue.wake.all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.end();
    }
}

fn carry_out(job: Job) {
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        tracing::error!("a background job panicked");
    }
}

#[cfg(not(feature = "sim"))]
use real::{Wake, start_worker};
#[cfg(feature = "sim")]
use simulated::{Wake, start_worker};

#[cfg(not(feature = "sim"))]
mod real {
    use parking_lot::Condvar;

    use super::*;
    use crate::io::threads;

    #[derive(Default)]
    pub(super) struct Wake(Condvar);

    impl Wake {
        pub(super) fn one(&self) {
            self.0.notify_one();
        }

        pub(super) fn all(&self) {
            self.0.notify_all();
        }
    }

    pub(super) fn start_worker(name: &str, queue: Arc<Queue>, ended: oneshot::Sender<()>) -> io::Result<()> {
        threads::detach(name, move || {
            while let Some(job) = next(&queue) {
                carry_out(job);
            }
            // The pool may have been dropped without being closed.
            let _ = ended.send(());
        })
    }

    /// The next job; `None` when the pool closes and nothing is left.
    fn next(queue: &Queue) -> Option<Job> {
        let mut state = queue.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closing {
                return None;
            }
            queue.wake.0.wait(&mut state);
        }
    }
}

#[cfg(feature = "sim")]
mod simulated {
    use tokio::sync::Notify;

    use super::*;
    use crate::io::simulated::blocking_delay;
    use crate::io::threads;

    #[derive(Default)]
    pub(super) struct Wake(Notify);

    impl Wake {
        pub(super) fn one(&self) {
            self.0.notify_one();
        }

        /// Every worker passes it on when it ends, since `notify_waiters` would miss one that is about to wait.
        pub(super) fn all(&self) {
            self.0.notify_one();
        }
    }

    pub(super) fn start_worker(name: &str, queue: Arc<Queue>, ended: oneshot::Sender<()>) -> io::Result<()> {
        let run = async move {
            loop {
                let (job, is_closing) = {
                    let mut state = queue.state.lock();
                    (state.jobs.pop_front(), state.is_closing)
                };
                match job {
                    Some(job) => {
                        // Another worker takes what came with it.
                        queue.wake.one();
                        tokio::time::sleep(blocking_delay()).await;
                        carry_out(job);
                    }
                    None if is_closing => break,
                    None => queue.wake.0.notified().await,
                }
            }
            queue.wake.one();
            let _ = ended.send(());
        };
        threads::service(name, move || run).map(drop)
    }
}

#[cfg(all(test, not(feature = "sim")))]
mod tests {
    use super::*;
    use crate::io::threads::wait;

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
    fn a_closed_pool_has_finished_what_it_was_given_and_takes_no_more() {
        let pool = Pool::start("pool", 1).expect("threads");
        let results: Vec<_> = (0..10).map(|number| pool.run(move || number)).collect();
        wait(pool.close());
        assert_eq!(wait(pool.run(|| 7)), Err(JobLost));
        let sum: i32 = results.into_iter().map(|result| wait(result).expect("it ran")).sum();
        assert_eq!(sum, 45);
    }
}
