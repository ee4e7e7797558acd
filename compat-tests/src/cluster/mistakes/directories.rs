//! Data directories that a server must not start on: each is refused with the file and what to do, and stays as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cluster::admin;
use crate::ottla::{self, Ottla};
use crate::process::Process;
use crate::report::Report;

/// How long a server may take to see that it must not go on.
const END_LIMIT: Duration = Duration::from_secs(30);
/// In a frame of the metadata journal: checksum, what it covers, and the version in that.
const CHECKSUM: std::ops::Range<usize> = 8..12;
const LENGTH: std::ops::Range<usize> = 4..8;
const FRAME_VERSION: usize = 21;
const HEADER_BYTES: usize = 22;

/// Changes a directory that was in order, and says what the refusal must name.
type Harm = fn(&Path) -> Result<Vec<String>>;

const HARMS: &[(&str, Harm)] = &[
    ("of another version", |data| {
        replace(&data.join("meta.properties"), "version=1", "version=2")?;
        Ok(words(&["meta.properties is of version 2", "start what has written it", "--data"]))
    }),
    ("whose identity is broken", |data| {
        replace(&data.join("meta.properties"), "node.id=", "node.id is ")?;
        Ok(words(&[&data.display().to_string(), "put its meta.properties back", "--data"]))
    }),
    ("whose metadata is of a newer version", |data| {
        let path = data.join("__ottla_metadata/journal");
        let mut journal = std::fs::read(&path)?;
        let length = usize::try_from(u32::from_be_bytes(journal[LENGTH].try_into()?))?;
        journal[FRAME_VERSION] = 9;
        let checksum = crc32c::crc32c(&journal[CHECKSUM.end..HEADER_BYTES + length]);
        journal[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        std::fs::write(&path, journal)?;
        Ok(words(&[&path.display().to_string(), "frame version 9", "a newer version", "start that one"]))
    }),
    ("of another cluster than its metadata", |data| {
        let meta = std::fs::read_to_string(data.join("meta.properties"))?;
        let own = meta.lines().find_map(|line| line.strip_prefix("cluster.id=")).context("a cluster id")?.to_owned();
        replace(&data.join("meta.properties"), &own, "AAAAAAAAAAAAAAAAAAAAAQ")?;
        let data = data.display().to_string();
        Ok(words(&[&data, "AAAAAAAAAAAAAAAAAAAAAQ", &own, "directories that belong together"]))
    }),
    ("of another node", |data| {
        replace(&data.join("meta.properties"), "node.id=1", "node.id=7")?;
        Ok(words(&[&data.display().to_string(), "belongs to node 7", "start with node.id=7"]))
    }),
    ("whose metadata is missing", |data| {
        std::fs::remove_dir_all(data.join("__ottla_metadata"))?;
        Ok(words(&[&data.display().to_string(), "holds partitions", "metadata.log.dir"]))
    }),
    ("of Apache Kafka", |data| {
        std::fs::rename(data.join("__ottla_metadata"), data.join("__cluster_metadata-0"))?;
        Ok(words(&[&data.display().to_string(), "is of Apache Kafka", "ottla import --from"]))
    }),
    ("with files of somebody else", |data| {
        std::fs::remove_file(data.join("meta.properties"))?;
        std::fs::write(data.join("notes.txt"), "mine")?;
        Ok(words(&[&data.display().to_string(), "is not empty", "choose another directory"]))
    }),
];

pub fn run(report: &Report) -> Result<()> {
    let mut good = Ottla::start(&[])?;
    let made = admin::create_topic(good.address(), "t", 2, 1, &[])?;
    ensure!(made.is_ok(), "CreateTopics answers {made:?}");
    report.check("a directory in use is refused, and what uses it goes on", in_use(&good));
    good.stop()?;
    for (which, harm) in HARMS {
        report.check(format!("a directory {which} is refused, and stays as it is"), harmed(&good.data(), *harm));
    }
    report.check("a file in the place of a directory is refused", file_in_its_place());
    report.check("a read-only volume is refused, new or not", read_only(&good.data()));
    report.check("a full volume is refused, and taken when there is room", full());
    Ok(())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn replace(path: &Path, what: &str, with: &str) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    ensure!(text.contains(what), "{} has no {what}", path.display());
    Ok(std::fs::write(path, text.replace(what, with))?)
}

/// The arguments of a server on this directory and a free port.
fn serve(data: &Path) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> =
        ["serve", "--listen", "127.0.0.1:0", "--set", "http.listener=", "--data"].map(Into::into).to_vec();
    arguments.push(data.into());
    arguments
}

/// A server ends by itself with status 1, and its last line has all these words.
fn is_refused(mut command: Command, words: &[String]) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("ottla-compat-").tempdir()?;
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log)?;
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = Process::spawn("ottla", &mut command)?.wait(END_LIMIT)?;
    let log = std::fs::read_to_string(&log)?;
    let last = log.lines().last().unwrap_or_default();
    ensure!(status.code() == Some(1), "it ended with {status}, and said: {log}");
    let missing = words.iter().find(|word| !last.contains(*word));
    ensure!(last.starts_with("ottla: ") && missing.is_none(), "no {missing:?} in its last words: {last}");
    Ok(())
}

fn command_on(data: &Path) -> Result<Command> {
    let mut command = ottla::command()?;
    command.args(serve(data));
    Ok(command)
}

fn copy_of(data: &Path) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("ottla-compat-").tempdir()?;
    crate::process::run("cp", Command::new("cp").arg("-a").arg(data.join(".")).arg(folder.path()))?;
    Ok(folder)
}

/// The bytes of every file, by its name in the folder.
fn content(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => _ = files.insert(path.clone(), std::fs::read(&path)?),
            }
        }
    }
    Ok(files)
}

fn in_use(good: &Ottla) -> Result<()> {
    let data = good.data().display().to_string();
    is_refused(command_on(&good.data())?, &words(&[&data, "is in use", "stop that one", "--data"]))?;
    admin::look(good.address(), Some("t")).map(drop)
}

fn harmed(data: &Path, harm: Harm) -> Result<()> {
    let copy = copy_of(data)?;
    let words = harm(copy.path())?;
    let before = content(copy.path())?;
    is_refused(command_on(copy.path())?, &words)?;
    ensure!(content(copy.path())? == before, "the refused start has changed it");
    Ok(())
}

fn file_in_its_place() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("ottla-compat-").tempdir()?;
    let path = folder.path().join("data");
    std::fs::write(&path, "mine")?;
    is_refused(command_on(&path)?, &words(&[&path.display().to_string(), "no directory", "--data"]))
}

/// A server that sees a volume of its own at `volume`, which nobody else does: prepared by these lines of a shell.
fn on_volume(volume: &Path, lines: &str, data: &Path) -> Result<Command> {
    let binary = ottla::binary()?;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--", "sh", "-ec"]);
    command.arg(format!("{lines}\nexec \"$@\"")).arg("sh").arg(binary).args(serve(data));
    command.env_clear().env("VOLUME", volume).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ok(command)
}

fn read_only(good: &Path) -> Result<()> {
    let volume = tempfile::Builder::new().prefix("ottla-compat-").tempdir()?;
    let lines = format!(
        "mount -t tmpfs none \"$VOLUME\"\nmkdir \"$VOLUME/old\"\ncp -a '{}/.' \"$VOLUME/old\"\n\
         mount -o remount,ro \"$VOLUME\"",
        good.display()
    );
    for name in ["old", "new"] {
        let data = volume.path().join(name);
        let words = words(&[&data.display().to_string(), "Read-only file system", "for writing", "--data"]);
        is_refused(on_volume(volume.path(), &lines, &data)?, &words)?;
    }
    Ok(())
}

/// What a refused first start leaves is taken by the next, once there is room.
fn full() -> Result<()> {
    let volume = tempfile::Builder::new().prefix("ottla-compat-").tempdir()?;
    let data = volume.path().join("data");
    let fill = "mount -t tmpfs -o size=256k none \"$VOLUME\"\nhead -c 1000000 /dev/zero > \"$VOLUME/fill\" || true";
    let words = words(&[&data.display().to_string(), "No space left", "make room", "--data"]);
    is_refused(on_volume(volume.path(), fill, &data)?, &words)?;
    // The first server is refused; the second is told to stop when it has said that it is ready.
    let twice = format!(
        "{fill}\n\"$@\" || rm \"$VOLUME/fill\"\n\"$@\" > \"$VOLUME/out\" & server=$!\nfor pause in $(seq 200); do\n\
         grep -s 'ready on' \"$VOLUME/out\" && break\nsleep 0.1\ndone\nkill $server\nwait $server\nexit 0"
    );
    let output = on_volume(volume.path(), &twice, &data)?.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("ready on"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
