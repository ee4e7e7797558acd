//! A run in namespaces of its own: network, processes and mounts that nobody else sees, and that the kernel takes away when
//! the run ends, however it ends. Nothing of the machine is changed, and without being root a user namespace does as well.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::Process;
use crate::report::Report;
use crate::server::Against;

/// Set for the run inside.
const INSIDE: &str = "COMPAT_TESTS_INSIDE";
const END_LIMIT: Duration = Duration::from_secs(10);

pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this program once more with `arguments`, inside; its lines are passed on and its checks counted. What the servers are
/// started from is built or fetched before, as there is no network inside.
pub fn run(name: &str, arguments: &[OsString], against: Against, report: &Report) -> Result<()> {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    // --kill-child: with `unshare` ends the first process inside, and with that one all the others.
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(std::env::current_exe()?).args(arguments).env(INSIDE, "1");
    // Kafka's tools are needed in any case.
    crate::kafka::jars()?;
    if against == Against::Ottla {
        command.env("OTTLA_BIN", crate::ottla::binary()?);
    }
    let mut process = Process::spawn("the run inside of its namespaces", command.stdout(Stdio::piped()))?;
    let (_, stdout, _) = process.take_pipes();
    let mut last = String::new();
    for line in BufReader::new(stdout.context("it was asked for")?).lines() {
        let line = line?;
        if !last.is_empty() {
            println!("{last}");
        }
        last = line;
    }
    let status = process.wait(END_LIMIT)?;
    let (passed, failed) =
        counts(&last).with_context(|| format!("{name} ended with {status}, its last line: {last}"))?;
    ensure!(status.success() == (failed == 0), "{name} ended with {status} after {last}");
    report.add(name, passed, failed);
    Ok(())
}

/// Reads the closing line of a report.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (passed, failed) = line.split_once(" passed, ")?;
    Some((passed.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn only_a_closing_line_has_counts() {
        assert_eq!(counts("12 passed, 3 failed"), Some((12, 3)));
        assert_eq!(counts("ok    a sentence"), None);
        assert_eq!(counts("passed, failed"), None);
    }
}
