//! The command line: `ottla serve` (also without a word), `ottla config`, `ottla health`.
//!
//! Exit codes: 0 done (or ready), 1 it failed (or is not ready), 2 it was asked wrongly: a flag or a setting is at fault.

mod health;
mod logging;
mod settings;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::warn;

use crate::config::Loaded;
use settings::SettingArguments;

/// A server that speaks Apache Kafka's wire protocol.
#[derive(Parser)]
#[command(name = "ottla", version, args_conflicts_with_subcommands = false)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: SettingArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until it is told to stop (the default).
    Serve,
    /// Print the effective settings and where each came from.
    Config {
        /// Also those that have no effect here and were not given.
        #[arg(long)]
        all: bool,
    },
    /// Ask a running server whether it is ready: exit code 0 when it is, 1 when it is not.
    Health,
}

/// How a command failed, and so with which code the process ends.
enum Failure {
    Usage(String),
    Runtime(String),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        None | Some(Command::Serve) => serve(&arguments.settings),
        Some(Command::Config { all }) => print_config(&arguments.settings, all),
        Some(Command::Health) => arguments.settings.load().and_then(|loaded| health::check(&loaded.settings)),
    };
    let (message, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Runtime(message)) => (message, 1),
        Err(Failure::Usage(message)) => (message, 2),
    };
    for line in message.lines() {
        // Standard error may be closed; then there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "ottla: {line}");
    }
    ExitCode::from(code)
}

fn serve(arguments: &SettingArguments) -> Result<(), Failure> {
    let Loaded { settings, warnings } = arguments.load()?;
    let loggers = logging::start(&settings)?;
    for warning in warnings {
        warn!("{warning}");
    }
    if settings.is_open_without_authentication() {
        let listeners: Vec<String> = settings.own_listeners().iter().map(ToString::to_string).collect();
        warn!(listeners = listeners.join(","), "anyone who reaches these addresses can read and write everything");
    }
    crate::server::serve(settings, loggers).map_err(|error| Failure::Runtime(format!("{error:#}")))
}

fn print_config(arguments: &SettingArguments, all: bool) -> Result<(), Failure> {
    let loaded = arguments.load()?;
    let mut out = std::io::stdout().lock();
    let written = settings::lines(&loaded.settings, all).iter().try_for_each(|line| writeln!(out, "{line}"));
    match written {
        // `ottla config | head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::Runtime(format!("cannot print: {error}"))),
    }
}
