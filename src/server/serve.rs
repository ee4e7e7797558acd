//! The process as a server: the line that says it is ready, and the signals that end it.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Loggers, Settings};
use crate::io::clock::{Clock, SystemClock};
use crate::io::threads;

use super::run::Server;

/// How long a stop may take before it is given up.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Signals so soon after the first are the same wish told twice: `timeout` and others signal a process and then its whole group.
const REPEAT: Duration = Duration::from_millis(250);
/// What a shell shows for a process that was ended by Ctrl-C.
const EXIT_INTERRUPTED: i32 = 130;

/// Serves until SIGTERM or Ctrl-C; a second one, unless it follows at once, ends the process as it is.
///
/// Prints one line on standard output when clients can connect. `loggers` are what clients may change the levels of.
pub fn serve(settings: Settings, loggers: Arc<Loggers>) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    if let Some(limit) = threads::raise_open_files_limit() {
        tracing::debug!(limit, "open files");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen to signals")?;
        let running = tokio::select! {
            biased;
            started = Server::start(settings.clone()) => started?,
            name = signals.next() => {
                tracing::info!(signal = name, "stopped before it was ready");
                return Ok(());
            }
        };
        running.broker().set_loggers(loggers);
        print_ready(&settings, running.addresses(), clock.now().monotonic_ms)?;
        let name = tokio::select! {
            biased;
            // Without metadata a broker can do nothing that lasts: whoever watches the process starts it anew.
            reason = running.broker().quorum().died() => bail!("the metadata quorum has ended: {reason}"),
            () = running.broker().without_directories() => bail!("all log directories have failed"),
            name = signals.next() => name,
        };
        tracing::info!(signal = name, "stopping");
        match stop(running.stop(), signals.next_wish()).await {
            Ended::InOrder => tracing::info!("stopped"),
            Ended::AtOnce(name) => {
                tracing::warn!(signal = name, "ended at once");
                std::process::exit(EXIT_INTERRUPTED);
            }
            Ended::TooLate => {
                tracing::error!(seconds = STOP_LIMIT.as_secs(), "could not stop in order");
                std::process::exit(1);
            }
        }
        Ok(())
    })
}

/// How a stop came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    InOrder,
    /// Another signal came; this is its name.
    AtOnce(&'static str),
    TooLate,
}

/// Waits for a stop, but not after another signal and not for ever.
async fn stop(stopping: impl Future<Output = ()>, another: impl Future<Output = &'static str>) -> Ended {
    tokio::select! {
        biased;
        name = another => Ended::AtOnce(name),
        stopped = tokio::time::timeout(STOP_LIMIT, stopping) => match stopped {
            Ok(()) => Ended::InOrder,
            Err(_) => Ended::TooLate,
        },
    }
}

fn print_ready(settings: &Settings, addresses: &[std::net::SocketAddr], ms: u64) -> anyhow::Result<()> {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let folders: Vec<String> = settings.log_dirs().iter().map(|folder| folder.display().to_string()).collect();
    let line = format!(
        "ottla {} ready on {}, data in {}, in {ms} ms",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", "),
        folders.join(", "),
    );
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("cannot print that the server is ready")
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next signal that is no echo of the one before it.
    async fn next_wish(&mut self) -> &'static str {
        let echoes = async {
            loop {
                self.next().await;
            }
        };
        let _: Result<std::convert::Infallible, _> = tokio::time::timeout(REPEAT, echoes).await;
        self.next().await
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[test]
    fn a_second_signal_ends_a_stop_at_once_but_no_signal_and_an_echo_let_it_end_in_order() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut signals = Signals::new().expect("signals");
            kill_process(getpid(), Signal::TERM).expect("a signal to this process");
            assert_eq!(signals.next().await, "SIGTERM");
            assert_eq!(stop(ready(()), signals.next()).await, Ended::InOrder);
            kill_process(getpid(), Signal::TERM).expect("a signal to this process");
            assert_eq!(stop(pending(), signals.next()).await, Ended::AtOnce("SIGTERM"));
            kill_process(getpid(), Signal::INT).expect("a signal to this process");
            assert_eq!(stop(pending(), signals.next()).await, Ended::AtOnce("SIGINT"));
            kill_process(getpid(), Signal::TERM).expect("an echo, to this process");
            let stopping = async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            };
            assert_eq!(stop(stopping, signals.next_wish()).await, Ended::InOrder);
        });
    }
}
