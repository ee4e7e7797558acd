//! SIGKILL while a log moves from one directory of a server to another: the move goes on, and nothing is lost or there twice.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, IncrementalAlterConfigsRequest};

use crate::commands::succeeds;
use crate::connection::{Connection, text, topic_name};
use crate::ottla::Ottla;
use crate::server::DATA;

const TOPIC: &str = "moved";
/// Each of a hundred bytes.
const RECORDS: usize = 100_000;
const KILLS: u64 = 2;
const PART_BYTES: u64 = 2_000_000;
const BYTES_PER_SECOND: &str = "1000000";
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub fn check() -> Result<()> {
    let mut ottla = Ottla::start(&[&format!("log.dirs={DATA}/one,{DATA}/two")])?;
    let partition = format!("{TOPIC}-0");
    succeeds(ottla.address(), &["topics", "create", TOPIC], b"")?;
    let lines: String = (0..RECORDS).map(|number| format!("{number:099}\n")).collect();
    succeeds(ottla.address(), &["produce", TOPIC], lines.as_bytes())?;
    let (one, two) = (ottla.data().join("one"), ottla.data().join("two"));
    let (from, to) = if one.join(&partition).exists() { (one, two) } else { (two, one) };
    throttle(&ottla, Some(BYTES_PER_SECOND))?;
    begin(&ottla, &to)?;
    for kill in 1..=KILLS {
        let future =
            await_some("its copy has grown", || future_of(&to).filter(|copy| bytes(copy) > kill * PART_BYTES))?;
        ottla.kill()?;
        ensure!(from.join(&partition).exists() && !to.join(&partition).exists(), "{} is done", future.display());
        ottla.resume()?;
    }
    throttle(&ottla, None)?;
    let is_there = || (to.join(&partition).exists() && !from.join(&partition).exists()).then_some(());
    await_some("it has moved", is_there)?;
    let found = succeeds(ottla.address(), &["cat", TOPIC], b"")?;
    ensure!(found == lines, "{} of {RECORDS} records are there, or others", found.lines().count());
    ottla.stop()
}

/// The directory of a copy that is not whole yet.
fn future_of(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).find(|path| path.to_string_lossy().ends_with("-future"))
}

fn bytes(log: &Path) -> u64 {
    let files = std::fs::read_dir(log).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
}

fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(Instant::now() < until, "within {LIMIT:?} not: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn begin(ottla: &Ottla, to: &Path) -> Result<()> {
    let topic = AlterReplicaLogDirTopic::default().with_name(topic_name(TOPIC)).with_partitions(vec![0]);
    let dir = AlterReplicaLogDir::default().with_path(text(&to.display().to_string())).with_topics(vec![topic]);
    let answer =
        Connection::open(ottla.address())?.ask(2, &AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]))?;
    let error = answer.results.first().and_then(|topic| topic.partitions.first()).context("no answer")?.error_code;
    ensure!(error == 0, "AlterReplicaLogDirs answers {error}");
    Ok(())
}

fn throttle(ottla: &Ottla, rate: Option<&str>) -> Result<()> {
    const BROKER: i8 = 4;
    const DELETE: i8 = 1;
    let config = AlterableConfig::default()
        .with_name(text("replica.alter.log.dirs.io.max.bytes.per.second"))
        .with_config_operation(if rate.is_some() { 0 } else { DELETE })
        .with_value(rate.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text("1"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = Connection::open(ottla.address())?.ask(1, &request)?;
    let error = answer.responses.first().context("no answer")?.error_code;
    ensure!(error == 0, "IncrementalAlterConfigs answers {error}");
    Ok(())
}
