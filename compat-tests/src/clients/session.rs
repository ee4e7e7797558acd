//! One client against one server: its program is started when needed, and again after a scenario that failed.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::clients::catalogue::{Client, Prepared};
use crate::clients::program::Program;
use crate::process::tail;
use crate::report::Report;
use crate::server::{Against, Server};

/// What the scenarios of one client share.
pub struct Session<'a> {
    pub client: &'static Client,
    pub against: Against,
    pub server: Server,
    report: &'a Report,
    prepared: &'a Prepared,
    logs: tempfile::TempDir,
    program: Option<Program>,
}

impl<'a> Session<'a> {
    /// Starts a server of its own for this client.
    pub fn start(
        client: &'static Client,
        prepared: &'a Prepared,
        against: Against,
        report: &'a Report,
    ) -> Result<Self> {
        let server = Server::start(against, &[])?;
        let logs = tempfile::Builder::new().prefix("ottla-compat-client-").tempdir()?;
        Ok(Session { client, against, server, report, prepared, logs, program: None })
    }

    /// Runs a scenario, counts it, and says whether it passed. A program that failed may be stuck, so the next gets a new one.
    pub fn scenario(&mut self, sentence: &str, run: impl FnOnce(&mut Session, &mut Program) -> Result<()>) -> bool {
        let outcome = self.program.take().map_or_else(|| self.new_program("main"), Ok);
        let outcome = outcome.and_then(|mut program| {
            run(self, &mut program)?;
            self.program = Some(program);
            Ok(())
        });
        let outcome = outcome.map_err(|error| match tail(&self.server.log(), 5) {
            log if log.is_empty() => error,
            log => anyhow!("{error:#}\n      the log of the server ends:\n{log}"),
        });
        self.report.check(format!("{} {sentence}", self.client.name), outcome).is_some()
    }

    /// Starts a further program of this client.
    pub fn new_program(&self, role: &str) -> Result<Program> {
        let command = self.prepared.command();
        Program::start(self.client, command, self.server.address(), &self.log(role))
    }

    fn log(&self, role: &str) -> PathBuf {
        self.logs.path().join(format!("{role}.log"))
    }
}
