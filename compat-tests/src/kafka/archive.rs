//! The classes that Kafka's tools and its server load, as the JVM maps them into memory ready to use (class data sharing): more
//! than half of what a tool costs that runs for a second is to find, check and link them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Context;

use super::{Jvm, Kafka, VERSION, classpath, java_in};
use crate::cache;
use crate::process::run;

/// Runs whose classes nearly all others need.
const RUNS: &[(&str, &[&str])] = &[
    ("org.apache.kafka.tools.TopicCommand", &["--create", "--topic", "a", "--partitions", "2"]),
    ("kafka.admin.ConfigCommand", &["--describe", "--entity-type", "topics", "--entity-name", "a"]),
];

/// The archive, made on first use. A JVM that finds it does not fit (another Java, other jars) goes on without it.
pub fn path() -> anyhow::Result<PathBuf> {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = PATH.get() {
        return Ok(path.clone());
    }
    let version = Command::new("java").arg("-version").output().context("cannot run java")?.stderr;
    let name = format!("kafka-{VERSION}-classes-{:08x}", crc32c::crc32c(&version));
    let path = cache::filled(&name, &[cache::compat_tests().join("kafka/pom.xml")], make)?.join(ARCHIVE);
    Ok(PATH.get_or_init(|| path).clone())
}

const ARCHIVE: &str = "classes.jsa";

fn make(folder: &Path) -> anyhow::Result<()> {
    // It lives as long as this process, in which this is done once.
    let lists: &'static Path = Box::leak(folder.to_path_buf().into_boxed_path());
    let mut server = Kafka::start_in(Jvm::Listing(lists), &[])?;
    for (class, arguments) in RUNS {
        let mut tool = java_in(Jvm::Listing(lists), class)?;
        run(class, tool.args(["--bootstrap-server", server.address()]).args(*arguments))?;
    }
    server.stop()?;
    let mut seen = BTreeSet::new();
    let mut merged = String::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != LIST) {
            continue;
        }
        for line in std::fs::read_to_string(&path)?.lines() {
            if seen.insert(line.to_string()) {
                merged.extend([line, "\n"]);
            }
        }
    }
    let list = folder.join("classes");
    std::fs::write(&list, merged)?;
    let mut dump = Command::new("java");
    dump.args(Jvm::SMALL).arg("-Xshare:dump").arg(format!("-XX:SharedClassListFile={}", list.display()));
    dump.arg(format!("-XX:SharedArchiveFile={}", folder.join(ARCHIVE).display())).arg("-cp").arg(classpath()?);
    run("java -Xshare:dump", &mut dump).map(drop)
}

/// The file in which a JVM writes down the classes that it loads.
pub fn list(folder: &Path, class: &str) -> PathBuf {
    folder.join(format!("{class}.{LIST}"))
}

const LIST: &str = "classlist";
