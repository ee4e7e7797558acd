//! `ottla completions`: what a shell needs to complete commands and flags.

use std::io;

use clap::CommandFactory as _;
use clap::ValueEnum;
use clap_complete::Shell;

use super::{Arguments, Failure, table};

/// Shells whose completions are known.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script of a shell.
pub(super) fn print(shell: KnownShell) -> Result<(), Failure> {
    let shell = match shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "ottla", &mut script);
    match table::print(&String::from_utf8_lossy(&script)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| Failure::Runtime(format!("cannot print: {error}"))),
    }
}
