//! One client against one server: its program is started when needed, and again after a scenario that failed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::clients::catalogue::{Client, Prepared};
use crate::clients::program::Program;
use crate::process::tail;
use crate::report::Report;
use crate::server::{Against, Server};

/// How long the failed scenarios of one client may take together. Past it the rest fail untried: a server that answers
/// nothing would otherwise cost a minute for each.
const FAILURE_LIMIT: Duration = Duration::from_secs(90);

/// What the scenarios of one client share.
pub struct Session<'a> {
    pub client: &'static Client,
    pub against: Against,
    pub server: Server,
    report: &'a Report,
    prepared: &'a Prepared,
    logs: tempfile::TempDir,
    program: Option<Program>,
    failed_for: Duration,
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
        Ok(Session { client, against, server, report, prepared, logs, program: None, failed_for: Duration::ZERO })
    }

    /// Runs a scenario, counts it, and says whether it passed. A program that failed may be stuck, so the next gets a new one.
    pub fn scenario(&mut self, sentence: &str, run: impl FnOnce(&mut Session, &mut Program) -> Result<()>) -> bool {
        if self.failed_for > FAILURE_LIMIT {
            let error = anyhow!("not tried, after {} s of failures", self.failed_for.as_secs());
            self.report.fail(format!("{} {sentence}", self.client.name), &error);
            return false;
        }
        let start = Instant::now();
        let outcome = self.program.take().map_or_else(|| self.new_program("main"), Ok);
        let outcome = outcome.and_then(|mut program| {
            run(self, &mut program)?;
            self.program = Some(program);
            Ok(())
        });
        if outcome.is_err() {
            self.failed_for += start.elapsed();
        }
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
