//! The process as a server: the line that says it is ready, and the signals that end it.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Settings;
use crate::io::clock::{Clock, SystemClock};
use crate::io::threads;

use super::run::Server;

/// How long a stop may take before it is given up.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// What a shell shows for a process that was ended by Ctrl-C.
const EXIT_INTERRUPTED: i32 = 130;

/// Serves until SIGTERM or Ctrl-C; a second signal ends the process at once.
///
/// Prints one line on standard output when clients can connect.
pub fn serve(settings: Settings) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    if let Some(limit) = threads::raise_open_files_limit() {
        tracing::debug!(limit, "open files");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen to signals")?;
        let running = Server::start(settings.clone()).await?;
        print_ready(&settings, running.addresses(), clock.now().monotonic_ms)?;
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping");
        tokio::select! {
            biased;
            name = signals.next() => {
                tracing::warn!(signal = name, "ended at once");
                std::process::exit(EXIT_INTERRUPTED);
            }
            stopped = tokio::time::timeout(STOP_LIMIT, running.stop()) => {
                if stopped.is_err() {
                    tracing::error!(seconds = STOP_LIMIT.as_secs(), "could not stop in order");
                    std::process::exit(1);
                }
            }
        }
        tracing::info!("stopped");
        Ok(())
    })
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

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
