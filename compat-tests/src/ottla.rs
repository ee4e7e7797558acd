//! The `ottla` binary under test: built in release, started on a port of the system's choice, stopped, killed, restarted.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::cache;
use crate::port::Port;
use crate::process::{Process, tail};

/// How long a start or a clean stop may take before it counts as failed.
const START_STOP_LIMIT: Duration = Duration::from_secs(20);

/// The binary: `$OTTLA_BIN`, or a release build of this repository, made once a run.
pub fn binary() -> anyhow::Result<PathBuf> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(binary) = BINARY.get() {
        return Ok(binary.clone());
    }
    let binary = match std::env::var_os("OTTLA_BIN") {
        // Servers are started in other directories than this one.
        Some(binary) => {
            PathBuf::from(&binary).canonicalize().with_context(|| format!("OTTLA_BIN={}", binary.display()))?
        }
        None => build()?,
    };
    Ok(BINARY.get_or_init(|| binary).clone())
}

/// A command that runs the binary; the caller adds arguments.
pub fn command() -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    forget_settings(&mut command);
    Ok(command)
}

/// The environment is a layer of both servers' settings, and not of these tests.
pub fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTTLA_") || name.to_string_lossy().starts_with("KAFKA_") {
            command.env_remove(name);
        }
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        // With the runner's own package selected too, both share one build of their dependencies.
        .args(["build", "--release", "-p", "ottla", "-p", "compat-tests", "--bin", "ottla"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(cache::repository())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cargo could not build ottla");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if message["target"]["name"] == "ottla"
            && let Some(executable) = message["executable"].as_str()
        {
            return Ok(PathBuf::from(executable));
        }
    }
    bail!("cargo named no executable for ottla")
}

/// One running (or just stopped) server with its data directory, which goes when this is dropped.
///
/// With `OTTLA_COMPAT_KEEP` set, the directory and the log in it stay for a look.
pub struct Ottla {
    folder: tempfile::TempDir,
    settings: Vec<String>,
    port: Port,
    /// Where controllers listen, when they have a listener of their own.
    controller_port: Option<Port>,
    process: Option<Process>,
}

/// In a setting's value: the address of the controllers' own listener.
const CONTROLLERS: &str = "{controllers}";

impl Ottla {
    /// Starts a server on a free port with an empty data directory. `settings` are `key=value` for `--set`; in their values
    /// `{data}`, `{address}` and `{controllers}` stand for the directory, the server's address, and one more of its own.
    pub fn start(settings: &[&str]) -> anyhow::Result<Ottla> {
        let mut ottla = Ottla::prepare(settings)?;
        ottla.resume()?;
        Ok(ottla)
    }

    /// As [`Ottla::start`], but does not start it: its data directory is not there yet.
    pub fn prepare(settings: &[&str]) -> anyhow::Result<Ottla> {
        let mut folder = tempfile::Builder::new().prefix("ottla-compat-").tempdir()?;
        folder.disable_cleanup(std::env::var_os("OTTLA_COMPAT_KEEP").is_some());
        Ok(Ottla {
            folder,
            settings: settings.iter().map(ToString::to_string).collect(),
            port: Port::reserve()?,
            controller_port: settings
                .iter()
                .any(|setting| setting.contains(CONTROLLERS))
                .then(Port::reserve)
                .transpose()?,
            process: None,
        })
    }

    /// Starts it again after [`Ottla::stop`] or [`Ottla::kill`], on the same port and data; returns when it is ready.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        let mut process = self.spawn()?;
        let stdout = process.take_pipes().1.expect("it was asked for");
        let address = address_in(&self.await_ready_line(stdout)?)?;
        ensure!(address == self.port.address(), "it was to listen on {}, not {address}", self.port.address());
        self.process = Some(process);
        Ok(())
    }

    /// Starts it and kills it so long after, ready or not.
    pub fn start_and_kill(&mut self, after: Duration) -> anyhow::Result<()> {
        let process = self.spawn()?;
        std::thread::sleep(after);
        process.kill();
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Process> {
        ensure!(self.process.is_none(), "ottla runs already");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = command()?;
        command.arg("serve");
        if !self.settings.iter().any(|setting| setting.starts_with("listeners=")) {
            command.args(["--listen", self.port.address()]);
        }
        if !self.settings.iter().any(|setting| setting.starts_with("log.dirs=")) {
            command.arg("--data").arg(self.data());
        }
        // Two servers at the default port, as two suites or a developer's own make them, would tell of each other.
        if !self.settings.iter().any(|setting| setting.starts_with("http.listener=")) {
            command.args(["--set", "http.listener=127.0.0.1:0"]);
        }
        for setting in &self.settings {
            command.args(["--set", &self.filled(setting)]);
        }
        // In its own folder, so that no config.yaml of the caller's directory is found.
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        Process::spawn("ottla", &mut command)
    }

    fn filled(&self, setting: &str) -> String {
        setting
            .replace(crate::server::DATA, &self.data().display().to_string())
            .replace("{address}", self.address())
            .replace(CONTROLLERS, self.controller_address())
    }

    fn await_ready_line(&self, stdout: std::process::ChildStdout) -> anyhow::Result<String> {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        lines
            .recv_timeout(START_STOP_LIMIT)
            .ok()
            .with_context(|| format!("ottla printed no ready line; its log ends:\n{}", tail(&self.log(), 20)))
    }

    /// `127.0.0.1:PORT`, the same over restarts.
    pub fn address(&self) -> &str {
        self.port.address()
    }

    /// Where controllers are asked.
    pub fn controller_address(&self) -> &str {
        self.controller_port.as_ref().unwrap_or(&self.port).address()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Everything it wrote to its standard error, over all restarts.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("ottla.log")
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// SIGTERM; an exit status other than success is an error.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let process = self.process.take().context("ottla does not run")?;
        let status = process.stop(START_STOP_LIMIT)?;
        ensure!(status.success(), "ottla ended with {status} on SIGTERM; its log ends:\n{}", tail(&self.log(), 20));
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("ottla does not run")?.kill();
        Ok(())
    }
}

/// The first address of `ottla 0.1.0 ready on 127.0.0.1:9092, data in ./data, in 12 ms`.
fn address_in(ready_line: &str) -> anyhow::Result<String> {
    let rest = ready_line.split_once(" ready on ").map(|(_, rest)| rest);
    let address = rest.and_then(|rest| rest.split(',').next()).map(str::trim);
    address.map(str::to_string).with_context(|| format!("not a ready line: {ready_line:?}"))
}

/// Whether a setting is Ottla's own: Kafka does not know it, and shows nothing of it.
pub fn is_own_setting(name: &str) -> bool {
    let key = ottla::config::find_topic_key(name).or_else(|| ottla::config::find_broker_key(name));
    key.is_some_and(|key| key.is_ours)
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn address_comes_from_the_ready_line() {
        let line = "ottla 0.1.0 ready on 127.0.0.1:9092, data in ./data, in 12 ms";
        assert_eq!(address_in(line).unwrap(), "127.0.0.1:9092");
        assert!(address_in("something else").is_err());
    }
}
