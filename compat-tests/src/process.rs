//! Child processes that never outlive the runner: killed by id when dropped, and when the runner itself is told to end.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Ids of the children that run now.
static LIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Kills every child and ends the runner when it gets SIGINT, SIGTERM or SIGHUP.
pub fn end_children_on_signal() {
    let installed = ctrlc::set_handler(|| {
        for id in live().iter() {
            let _ = signal_id(*id, Signal::KILL);
        }
        std::process::exit(130);
    });
    installed.expect("this is the only handler of the process");
}

/// A running child.
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command`; `name` is what messages call it.
    pub fn spawn(name: &str, command: &mut Command) -> anyhow::Result<Process> {
        // Under the lock, so that a signal cannot come between the start and the registration.
        let mut live = live();
        let child = command.spawn().with_context(|| format!("cannot start {name}: {command:?}"))?;
        live.insert(child.id());
        Ok(Process { name: name.to_string(), child })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The pipes that the command asked for; each can be taken once.
    pub fn take_pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        signal_id(self.id(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Whether it stands still after SIGSTOP.
    pub fn is_stopped(&self) -> anyhow::Result<bool> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The name before the state may have any character in it.
        let state = stat.rsplit_once(") ").context("a line without a state")?.1;
        Ok(state.starts_with('T'))
    }

    /// The exit status, if it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended by itself; one that has not after `limit` is an error.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            ensure!(Instant::now() < until, "{} still runs after {} s", self.name, limit.as_secs());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM, and then its exit status.
    pub fn stop(mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(limit)
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut live = live();
        let _ = self.child.kill();
        let _ = self.child.wait();
        live.remove(&self.child.id());
    }
}

fn live() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    LIVE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn signal_id(id: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw).context("no such process id")?;
    Ok(kill_process(pid, signal)?)
}

/// The longest line that is shown of a log.
const LINE_CHARACTERS: usize = 300;

/// The last lines of a log file, each cut to a bearable length, for error messages.
pub fn tail(path: &Path, lines: usize) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<String> = text.lines().map(|line| line.chars().take(LINE_CHARACTERS).collect()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Runs a command to its end; its output is shown only when it fails.
pub fn run(name: &str, command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {name}: {command:?}"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!("{name} failed ({}): {command:?}\n{}", output.status, String::from_utf8_lossy(&text));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
