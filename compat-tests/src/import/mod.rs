//! `ottla import` on the directory of a real Apache Kafka: by copy and by link, everything that clients can ask is answered as Kafka
//! did, writing and reading go on, and the source is as it was, byte for byte.

mod data;
mod state;
mod transactions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

use crate::kafka::Kafka;
use crate::ottla::{self, Ottla};
use crate::process::run as run_command;
use crate::report::Report;
use crate::server::DATA;
use data::Producer;
use state::State;

const GROUPS: [&str; 4] = ["g-classic", "g-consumer", data::COMMITTED, data::IN_TRANSACTIONS];

pub fn run(report: &Report) -> Result<()> {
    let mut kafka = Kafka::start(data::SETTINGS)?;
    let producer = data::fill(kafka.address()).context("Kafka cannot be filled")?;
    report.check("a Kafka that runs is refused", refused_while_it_runs(&kafka));
    let before = state::of(kafka.address(), &GROUPS)?;
    kafka.stop()?;
    let files = checksums(&kafka.data())?;
    for (how, is_linked) in [("copy", false), ("link, into two directories", true)] {
        let brought = bring_over(&kafka, &before, is_linked);
        if let Some(mut ottla) = report.check(format!("by {how}: clients find what was in Kafka"), brought) {
            report.check(format!("by {how}: writing and reading go on"), go_on(&ottla, &producer));
            report.check(format!("by {how}: a kill afterwards loses nothing"), survives_a_kill(&mut ottla, &before));
            report.check(format!("by {how}: the source is as it was"), is_unharmed(&kafka, &files));
        }
    }
    report.check("an import that did not end is refused at start, and begun anew", half_imported(&kafka, &before));
    report.check("directories that cannot be taken are refused with what to do", refusals(&kafka));
    report.check("the source is still as it was", is_unharmed(&kafka, &files));
    report.check("Kafka starts on it, and has what it had", goes_on_in_kafka(&mut kafka, &before));
    report.check("what a killed Kafka left is brought over too", after_a_kill(&mut kafka));
    report.check("records of aborted transactions are brought over on request only", aborted_transactions(&mut kafka));
    Ok(())
}

/// Both directories of Kafka.
fn dirs(data: &Path) -> [PathBuf; 2] {
    ["one", "two"].map(|name| data.join(name))
}

/// Runs `ottla import` of these directories into one.
fn import(from: &[PathBuf], into: &Path, flags: &[&str]) -> Result<Output> {
    let into = into.display().to_string();
    import_with(from, &[&["--data", &into], flags].concat())
}

fn import_with(from: &[PathBuf], flags: &[&str]) -> Result<Output> {
    let mut command = ottla::command()?;
    command.arg("import").args(flags);
    from.iter().for_each(|dir| _ = command.arg("--from").arg(dir));
    command.output().context("ottla import cannot be run")
}

fn text_of(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].iter().map(|bytes| String::from_utf8_lossy(bytes)).collect()
}

/// It ends with this status, and says all these words on its standard error.
fn is_refused(output: &Output, words: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "it ended with {}:\n{}", output.status, text_of(output));
    ensure!(words.iter().all(|word| said.contains(word)), "it was refused, but in these words: {said}");
    Ok(())
}

fn refused_while_it_runs(kafka: &Kafka) -> Result<()> {
    let target = Ottla::prepare(&[])?;
    is_refused(&import(&dirs(&kafka.data()), &target.data(), &[])?, &["is in use", "stop Kafka first"])?;
    ensure!(!target.data().exists(), "it has made the target");
    Ok(())
}

fn bring_over(kafka: &Kafka, before: &State, is_linked: bool) -> Result<Ottla> {
    let (from, two) = (dirs(&kafka.data()), format!("log.dirs={DATA}/a,{DATA}/b"));
    let mut ottla = if is_linked { Ottla::prepare(&[&two])? } else { Ottla::prepare(&[])? };
    let output = match is_linked {
        true => {
            let both = two.replace(DATA, &ottla.data().display().to_string());
            import_with(&from, &["--link", "--set", &both])?
        }
        false => import(&from, &ottla.data(), &[])?,
    };
    ensure!(output.status.success(), "ottla import ended with {}:\n{}", output.status, text_of(&output));
    let linked = linked_files(&ottla.data())?;
    ensure!((linked > 0) == is_linked, "{linked} files are linked");
    ottla.resume()?;
    ottla_has(&ottla, before)?;
    Ok(ottla)
}

fn ottla_has(ottla: &Ottla, before: &State) -> Result<()> {
    match state::difference(before, &state::of(ottla.address(), &GROUPS)?) {
        Some(difference) => bail!("{difference}"),
        None => Ok(()),
    }
}

fn linked_files(folder: &Path) -> Result<usize> {
    use std::os::unix::fs::MetadataExt;
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count += linked_files(&entry.path())?;
        } else {
            count += usize::from(entry.metadata()?.nlink() > 1);
        }
    }
    Ok(count)
}

/// The positions of groups, the sequence of a producer, the ids of new ones: nothing begins anew.
fn go_on(ottla: &Ottla, producer: &Producer) -> Result<()> {
    let address = ottla.address();
    for group in ["g-classic", "g-consumer"] {
        // The newer protocol is not there yet: a classic member goes on where the group was.
        let printed = data::read_as_group(address, group, "classic", data::READ_RECORDS)?;
        let offsets: Vec<&str> = printed.lines().filter(|line| line.contains("Offset:")).collect();
        ensure!(offsets.len() == data::READ_RECORDS, "{group} read:\n{printed}");
        let first = offsets[0];
        ensure!(!first.contains("Offset:0\t"), "{group} begins anew: {first}");
    }
    let again = data::produce(address, data::IDEMPOTENT, 0, &producer.last_batch)?;
    ensure!(again == producer.last_offset, "a batch sent again got offset {again}, not {}", producer.last_offset);
    let next = data::sequenced(producer.id, producer.epoch, producer.next_sequence);
    let offset = data::produce(address, data::IDEMPOTENT, 0, &next)?;
    ensure!(offset == producer.last_offset + 1, "the next batch got offset {offset}");
    let (id, _) = data::new_producer_id(address)?;
    ensure!(id > producer.id, "producer id {id} was given again");
    for topic in ["codec-gzip", "empty", data::COMPACTED, data::SHORTENED] {
        data::produce(address, topic, 0, &data::two_records())?;
    }
    Ok(())
}

/// All that was there at first is there yet, at the same offsets.
fn survives_a_kill(ottla: &mut Ottla, before: &State) -> Result<()> {
    ottla.kill()?;
    ottla.resume()?;
    for (name, topic) in &before.topics {
        for (partition, was) in (0..).zip(&topic.partitions) {
            let Some([start, end, ..]) = was.offsets.get(..2).map(|both| [both[0].0, both[1].0]) else { continue };
            if name == data::COMPACTED {
                continue;
            }
            let now = state::batches(ottla.address(), name, partition, start, end)?;
            ensure!(now.starts_with(&was.batches), "{name}-{partition} has other bytes");
        }
    }
    ottla.stop()
}

/// The checksum of every file, by name.
fn checksums(folder: &Path) -> Result<BTreeMap<String, u32>> {
    let mut sums = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sums.insert(path.display().to_string(), crc32c::crc32c(&std::fs::read(&path)?));
            }
        }
    }
    Ok(sums)
}

fn is_unharmed(kafka: &Kafka, files: &BTreeMap<String, u32>) -> Result<()> {
    let now = checksums(&kafka.data())?;
    let other = files.iter().find(|(name, sum)| now.get(*name) != Some(sum)).map(|(name, _)| name);
    let more = now.keys().find(|name| !files.contains_key(*name));
    ensure!(other.is_none() && more.is_none(), "changed: {other:?}, new: {more:?}");
    Ok(())
}

/// A marker, and files beside it, are what a killed import leaves.
fn half_imported(kafka: &Kafka, before: &State) -> Result<()> {
    let mut target = Ottla::prepare(&[])?;
    std::fs::create_dir_all(target.data().join("codec-gzip-0"))?;
    std::fs::write(target.data().join(".ottla-import"), "")?;
    ensure!(target.resume().is_err(), "it starts on a half import");
    let log = std::fs::read_to_string(target.log())?;
    ensure!(log.contains("holds an import that did not end: run `ottla import`"), "it says: {log}");
    let output = import(&dirs(&kafka.data()), &target.data(), &[])?;
    ensure!(output.status.success(), "it is not begun anew: {}", text_of(&output));
    target.resume()?;
    ottla_has(&target, before)
}

fn refusals(kafka: &Kafka) -> Result<()> {
    let target = Ottla::prepare(&[])?;
    let (from, into) = (dirs(&kafka.data()), target.data());
    is_refused(&import(&from, &into, &["--node-id", "2"])?, &["is of node 1", "--node-id=1"])?;
    is_refused(&import(&from[..1], &into, &[])?, &["directories that were not given", "--from"])?;
    is_refused(&import(&from[1..], &into, &[])?, &["no __cluster_metadata-0", "--from"])?;
    is_refused(&import(&[kafka.data()], &into, &[])?, &["no meta.properties", "--from"])?;
    is_refused(&import(&from, &from[0].join("inside"), &[])?, &["lies inside of"])?;
    is_refused(&import(&from, &from[1], &[])?, &["lies inside of"])?;
    is_refused(&import(&from, &into, &["--join", "localhost:1"])?, &["is its own quorum"])?;
    ensure!(!into.exists(), "a refused import has made the target");
    std::fs::create_dir(&into)?;
    std::fs::write(into.join("notes.txt"), "mine")?;
    is_refused(&import(&from, &into, &[])?, &["is not empty", "notes.txt", "--data"])?;
    ensure!(std::fs::read_dir(&into)?.count() == 1, "a refused import has left something");
    // Memory is another file system than the one of temporary files.
    let memory = tempfile::Builder::new().prefix("ottla-compat-").tempdir_in("/dev/shm")?;
    let elsewhere = memory.path().join("data");
    is_refused(&import(&from, &elsewhere, &["--link"])?, &["cannot be linked", "leave it away to copy"])?;
    let left: Vec<_> = std::fs::read_dir(&elsewhere)?.flatten().map(|entry| entry.file_name()).collect();
    ensure!(left == [".lock"], "a failed import has left {left:?}");
    Ok(())
}

fn goes_on_in_kafka(kafka: &mut Kafka, before: &State) -> Result<()> {
    kafka.resume()?;
    // Leaders are elected after its listener is there.
    match state::difference(before, &state::retry(|| state::of(kafka.address(), &GROUPS))?) {
        Some(difference) => bail!("{difference}"),
        None => Ok(()),
    }
}

/// Killed under no load, so that everything acknowledged is in its files, though not flushed nor marked as clean.
fn after_a_kill(kafka: &mut Kafka) -> Result<()> {
    for _ in 0..3 {
        data::produce(kafka.address(), "codec-lz4", 1, &data::two_records())?;
    }
    let before = state::of(kafka.address(), &GROUPS)?;
    kafka.kill()?;
    let files = checksums(&kafka.data())?;
    // A batch that was being written: a header that announces more than is there.
    let copy = tempfile::Builder::new().prefix("ottla-compat-").tempdir()?;
    run_command("cp", Command::new("cp").arg("-a").arg(kafka.data()).arg(copy.path()))?;
    let torn = copy.path().join("data");
    let [one, two] = dirs(&torn).map(|dir| dir.join("codec-lz4-1"));
    let newest = newest_segment(if one.exists() { &one } else { &two })?;
    let bytes = std::fs::read(&newest)?;
    std::fs::write(&newest, [&bytes[..], &bytes[..80]].concat())?;
    for (from, flags) in [(kafka.data(), &["--link"][..]), (torn, &[][..])] {
        let mut ottla = Ottla::prepare(&[])?;
        let output = import(&dirs(&from), &ottla.data(), flags)?;
        ensure!(output.status.success(), "ottla import ended with {}:\n{}", output.status, text_of(&output));
        let is_told = text_of(&output).contains("80 B of batches that were torn");
        ensure!(is_told != flags.contains(&"--link"), "of torn batches it says:\n{}", text_of(&output));
        ottla.resume()?;
        ottla_has(&ottla, &before)?;
    }
    is_unharmed(kafka, &files)
}

fn aborted_transactions(kafka: &mut Kafka) -> Result<()> {
    kafka.resume()?;
    let mut transactor = transactions::Transactor::new(kafka.address(), "of-records")?;
    for (sequence, is_committed) in [(0, true), (1, false)] {
        transactor.produce("empty", sequence)?;
        transactor.end(is_committed)?;
    }
    kafka.stop()?;
    let target = Ottla::prepare(&[])?;
    let from = dirs(&kafka.data());
    is_refused(&import(&from, &target.data(), &[])?, &["aborted", ": empty-0;", "--allow-transactions"])?;
    let output = import(&from, &target.data(), &["--allow-transactions"])?;
    ensure!(output.status.success(), "ottla import ended with {}:\n{}", output.status, text_of(&output));
    ensure!(text_of(&output).contains("the outcome of transactions in empty-0"), "it says:\n{}", text_of(&output));
    Ok(())
}

fn newest_segment(folder: &Path) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let segments = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.max().context("no segment")
}
