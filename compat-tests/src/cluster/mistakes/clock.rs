//! Clocks that are wrong. A library that is loaded into the server's process adds to the time of day that it is told, as nothing
//! of the machine may be changed; durations are left as they are.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use super::{Cluster, TOPIC, WHOLE_LIMIT, Writer, admin, has_all};
use crate::cache;
use crate::cluster::network::Network;
use crate::process::run as run_command;
use crate::server::Against;

/// Seconds that each node's clock is ahead. A little less than an hour behind: to a clock that is more behind, records of now are
/// of a future that `message.timestamp.after.max.ms` forbids.
const AHEAD_S: [i64; 3] = [0, 3_600, -3_500];
const DAY_S: i64 = 86_400;
const PAUSE: Duration = Duration::from_millis(20);
/// Between a line of the log and a look at it.
const ROUNDING_S: i64 = 300;

/// Leaderships go round, every node is stopped and started, and nothing is lost or refused.
pub fn an_hour_off() -> Result<()> {
    let built = tempfile::Builder::new().prefix("ottla-compat-clock-").tempdir()?;
    let library = built.path().join("clock.so");
    let source = cache::compat_tests().join("clock/ahead.c");
    run_command("cc", Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source))?;
    let mut cluster = Cluster::new(Against::Ottla, 3, Network::Loopback, &["min.insync.replicas=2"])?;
    for (node, ahead_s) in AHEAD_S.iter().enumerate() {
        cluster.set_variable(node, "LD_PRELOAD", &library.display().to_string());
        cluster.set_variable(node, "CLOCK_AHEAD_S", &ahead_s.to_string());
    }
    cluster.start_all()?;
    for (node, ahead_s) in AHEAD_S.into_iter().enumerate() {
        let log = cluster.log(node);
        let line = log.lines().find(|line| line.contains(" INFO ")).context("the log says nothing")?;
        let off_s = (second_of_day(line)? - now_s()? - ahead_s).rem_euclid(DAY_S);
        ensure!(
            !(ROUNDING_S..=DAY_S - ROUNDING_S).contains(&off_s),
            "node {} is not {ahead_s} s ahead: {line}",
            node + 1
        );
    }
    let mut writer = Writer::new(&cluster)?;
    await_warning(&cluster)?;
    for _ in 0..2 {
        for id in 1..=3 {
            writer.lead_by(id)?;
            writer.write(10)?;
        }
        writer.check()?;
        for node in 0..cluster.count() {
            cluster.stop(node)?;
            cluster.spawn(node)?;
            cluster.await_ready()?;
            admin::await_in_sync(&cluster.addresses(), TOPIC, WHOLE_LIMIT)?;
        }
        writer.check()?;
    }
    for node in 0..cluster.count() {
        let log = cluster.log(node);
        let fault = log.lines().find(|line| has_all(line, &["panicked"]) || has_all(line, &[" ERROR "]));
        ensure!(fault.is_none(), "node {} says: {}", node + 1, fault.unwrap_or_default());
    }
    Ok(())
}

/// The controller says of both of the others, or of the one that it hears of first, whose clock is another and what to do.
fn await_warning(cluster: &Cluster) -> Result<()> {
    let until = Instant::now() + WHOLE_LIMIT;
    let is_said = |node| {
        let words = ["broker_id=", "ahead_s=", "the clocks of this broker and of this controller differ", "NTP"];
        cluster.log(node).lines().any(|line| has_all(line, &words))
    };
    while !(0..cluster.count()).any(is_said) {
        ensure!(Instant::now() < until, "no node says that the clocks differ");
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn now_s() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())?)
}

/// Of a line of the log, which begins like `2026-11-21T17:37:50.686730Z`.
fn second_of_day(line: &str) -> Result<i64> {
    let time = line.split_once('T').and_then(|(_, time)| time.get(..8)).context("a line without a time")?;
    let parts = time.split(':').map(str::parse::<i64>).collect::<Result<Vec<_>, _>>()?;
    ensure!(parts.len() == 3, "{time} is no time");
    Ok(parts[0] * 3_600 + parts[1] * 60 + parts[2])
}

#[cfg(test)]
mod tests {
    use super::second_of_day;

    #[test]
    fn a_line_of_the_log_tells_the_time_of_day() {
        assert_eq!(second_of_day("2026-11-21T17:37:50.686730Z  INFO x").unwrap(), 63_470);
        assert!(second_of_day("no time").is_err());
    }
}
