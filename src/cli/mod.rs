//! The command line: the server (`ottla serve`, also without a word, `config`, `health`, `import`), and for people without a JVM a client
//! of any broker that speaks Kafka's protocol (`topics`, `groups`, `cat`, `produce`).
//!
//! What was asked for goes to standard output, everything else to standard error. A reader that has enough, as `head` does, ends a
//! command without a word.
//! Exit codes: 0 done (or ready), 1 it failed (or is not ready), 2 it was asked wrongly: a flag or a setting is at fault; and as shells
//! have it, 128 and the signal's number when a signal has ended it.

mod cat;
mod client;
mod completions;
mod groups;
mod health;
mod import;
mod logging;
mod produce;
mod progress;
mod settings;
mod table;
mod time;
mod topics;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

use crate::config::Loaded;
use settings::SettingArguments;

/// A server that speaks Apache Kafka's wire protocol.
#[derive(Parser)]
#[command(name = "ottla", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: SettingArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until it is told to stop (the default).
    Serve(SettingArguments),
    /// Print the effective settings and where each came from.
    Config {
        /// Also those that have no effect here and were not given.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Ask a running server whether it is ready: exit code 0 when it is, 1 when it is not.
    Health(SettingArguments),
    /// Take over the data of a stopped Apache Kafka of one node into new directories; the source is only read.
    Import {
        #[command(flatten)]
        import: import::ImportArguments,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Topics of any broker that speaks Kafka's protocol.
    Topics(topics::TopicsArguments),
    /// Consumer groups, and how far behind they are.
    Groups(groups::GroupsArguments),
    /// Print the records of a topic.
    Cat(cat::CatArguments),
    /// Write lines to a topic.
    Produce(produce::ProduceArguments),
    /// Print a script with which a shell completes commands and flags.
    Completions {
        #[arg(value_enum)]
        shell: completions::KnownShell,
    },
}

/// How a command failed, and so with which code the process ends.
enum Failure {
    Usage(String),
    Runtime(String),
    /// The reason is in the log.
    Told,
    /// The signal of this number.
    Signal(u8),
}

/// This signal was sent to a client's command.
#[derive(Debug, thiserror::Error)]
#[error("ended by signal {0}")]
struct EndedBySignal(u8);

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = carry_out(arguments);
    let (message, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Told) => return ExitCode::from(1),
        Err(Failure::Signal(number)) => return ExitCode::from(128 + number),
        Err(Failure::Runtime(message)) => (message, 1),
        Err(Failure::Usage(message)) => (message, 2),
    };
    for line in message.lines() {
        // Standard error may be closed; then there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "ottla: {line}");
    }
    ExitCode::from(code)
}

fn carry_out(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { command, settings } = arguments;
    let command = match command {
        None => return serve(&settings),
        Some(Command::Serve(later)) => return serve(&settings.and(later)),
        Some(Command::Config { all, settings: later }) => return print_config(&settings.and(later), all),
        Some(Command::Health(later)) => {
            let loaded = settings.and(later).load()?;
            return health::check(&loaded.settings);
        }
        Some(Command::Import { import, settings: later }) => {
            let loaded = settings.and(later).load()?;
            return import::run(import, loaded.settings);
        }
        Some(command) => command,
    };
    if !settings.is_empty() {
        return Err(Failure::Usage("settings are for the server; which broker is asked, --broker says".to_owned()));
    }
    match command {
        Command::Topics(arguments) => topics::main(arguments),
        Command::Groups(arguments) => groups::main(arguments),
        Command::Cat(arguments) => cat::main(arguments),
        Command::Produce(arguments) => produce::main(arguments),
        Command::Completions { shell } => completions::print(shell),
        Command::Serve(_) | Command::Config { .. } | Command::Health(_) | Command::Import { .. } => Ok(()),
    }
}

/// Runs a client's work to its end. A closed pipe behind standard output is an end as good as any.
fn run(work: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(unless_told_to_end(work)));
    let is_closed_pipe = |error: &anyhow::Error| {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        kind == Some(std::io::ErrorKind::BrokenPipe)
    };
    match done {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        done => done.map_err(|error| match error.downcast_ref() {
            Some(EndedBySignal(number)) => Failure::Signal(*number),
            None => Failure::Runtime(told(&error)),
        }),
    }
}

/// The first process of a container must ask for the signals that end every other one by themselves.
async fn unless_told_to_end(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    if std::process::id() != 1 {
        return work.await;
    }
    let (terminated, interrupted) = (SignalKind::terminate(), SignalKind::interrupt());
    let (mut terminate, mut interrupt) = (signal(terminated)?, signal(interrupted)?);
    let kind = tokio::select! {
        biased;
        done = work => return done,
        _ = terminate.recv() => terminated,
        _ = interrupt.recv() => interrupted,
    };
    Err(EndedBySignal(u8::try_from(kind.as_raw_value())?).into())
}

/// An error and its causes, but for those that it names itself.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
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
    let is_json = settings.get_str("logging.format") == "json";
    crate::server::serve(settings, loggers).map_err(|error| {
        let reason = told(&error);
        if !is_json {
            return Failure::Runtime(reason);
        }
        // A collector of log lines must not meet one that it cannot read.
        tracing::error!(reason, "the server has ended");
        Failure::Told
    })
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn commands_and_flags_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_setting_may_stand_before_and_behind_its_command() {
        let read = |text: &str| Arguments::try_parse_from(text.split(' ')).expect(text);
        let Arguments { command, settings } = read("ottla --data a --listen b serve --data c --set num.partitions=2");
        let Some(Command::Serve(later)) = command else { panic!("another command") };
        let both = settings.and(later);
        let Arguments { settings: expected, .. } = read("ottla --listen b --data c --set num.partitions=2");
        assert!(both == expected);
    }

    #[test]
    fn a_reset_goes_to_one_place() {
        let read = |text: &str| Arguments::try_parse_from(text.split(' ')).map(drop).map_err(|error| error.kind());
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
        assert_eq!(read("ottla groups reset g --to-offset 5 -b a:1"), Ok(()));
        assert_eq!(read("ottla groups reset g --shift-by -5"), Ok(()));
        assert_eq!(read("ottla groups reset g"), Err(MissingRequiredArgument));
        assert_eq!(read("ottla groups reset g --to-latest --to-earliest"), Err(ArgumentConflict));
    }
}
