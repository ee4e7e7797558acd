//! Real clients against a running server: each is a small program in its own language that takes orders by line.

use crate::report::Report;
use crate::server::{Against, Server};

/// What to run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Clients to run, by name; all when none is named.
    names: Vec<String>,
    /// The server to run them against.
    #[arg(long, value_enum, default_value = "ottla")]
    against: Against,
}

/// Runs every client asked for.
pub fn run(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let mut server = Server::start(arguments.against, &[])?;
    report.check("the server restarts", server.stop_and_start());
    Ok(())
}
