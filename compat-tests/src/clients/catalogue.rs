//! The clients, how each is prepared (fetched and built into the cache, pinned by lock files), and how its program starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache;
use crate::kafka::fetch_jars;
use crate::process::run;

/// A real client in a pinned version.
pub struct Client {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// Whether it has an idempotent producer.
    pub idempotent: bool,
    /// Whether what it reads tells empty from null; what it sends does in any case.
    pub tells_null: bool,
    /// Whether its members stay in the group's generation when their connection breaks. One that joins anew may commit what it
    /// had fetched before only after it has asked where to go on, and then reads that record twice.
    pub keeps_generation: bool,
    prepare: fn() -> anyhow::Result<Prepared>,
}

/// Every client. The versions are those of the lock files in `clients/`.
pub const CLIENTS: &[Client] = &[
    client("java-4.3.1", || java("4.3.1")),
    client("java-3.9.1", || java("3.9.1")),
    client("java-2.8.2", || java("2.8.2")),
    client("rdkafka", rust),
    client("confluent-kafka-python", || python("confluent")),
    client("kafka-python", || python("kafka_python")),
    client("aiokafka", || python("aio")),
    client("franz-go", || go("franz")),
    client("sarama", || go("sarama")),
    Client {
        idempotent: false,
        tells_null: false,
        keeps_generation: false,
        ..client("segmentio-kafka-go", || go("segmentio"))
    },
    client("kafkajs", javascript),
];

const fn client(name: &'static str, prepare: fn() -> anyhow::Result<Prepared>) -> Client {
    Client { name, idempotent: true, tells_null: true, keeps_generation: true, prepare }
}

impl Client {
    /// Fetches and builds what it needs, unless the cache has it.
    pub fn prepare(&self) -> anyhow::Result<Prepared> {
        (self.prepare)()
    }
}

/// A command line that starts a client's program; the bootstrap address is to be added.
pub struct Prepared {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Prepared {
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }
}

fn folder(language: &str) -> PathBuf {
    cache::compat_tests().join("clients").join(language)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A package of its own, outside of the workspace, as it builds librdkafka from source.
fn rust() -> anyhow::Result<Prepared> {
    let sources = ["Cargo.toml", "Cargo.lock", "src/main.rs", "src/record.rs"];
    let built = cache::filled("rust", &sources.map(|name| folder("rust").join(name)), |built| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["install", "--quiet", "--locked", "--no-track", "--path"]).arg(folder("rust"));
        // Beside the others, so that a changed line of ours does not build librdkafka again.
        run("cargo", cargo.arg("--root").arg(built).arg("--target-dir").arg(built.with_file_name("rust-target")))
            .map(drop)
    })?;
    Ok(Prepared { program: built.join("bin/compat-tests-rdkafka"), arguments: vec![] })
}

/// One source for all versions, compiled against the jars of each.
fn java(version: &str) -> anyhow::Result<Prepared> {
    let pom = folder("java").join(format!("{version}.xml"));
    let source = folder("java").join("Client.java");
    let built = cache::filled(&format!("java-{version}"), &[pom.clone(), source.clone()], |built| {
        fetch_jars(&pom, &built.join("jars"))?;
        let mut javac = Command::new("javac");
        javac.args(["-Xlint:all", "-Werror", "-proc:none", "-cp"]).arg(built.join("jars/*"));
        run("javac", javac.arg("-d").arg(built.join("classes")).arg(&source)).map(drop)
    })?;
    let classpath = format!("{}:{}", text(&built.join("classes")), text(&built.join("jars/*")));
    // One compiler tier and the serial collector: several of these run at once on few cores.
    let arguments = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &classpath, "Client"];
    Ok(Prepared { program: "java".into(), arguments: arguments.map(str::to_string).to_vec() })
}

/// All Python clients live in one virtual environment.
fn python(module: &str) -> anyhow::Result<Prepared> {
    let requirements = folder("python").join("requirements.txt");
    let built = cache::filled("python", std::slice::from_ref(&requirements), |built| {
        run("venv", Command::new("python3").args(["-m", "venv"]).arg(built))?;
        let mut pip = Command::new(built.join("bin/pip"));
        pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:", "-r"]).arg(&requirements);
        run("pip", &mut pip).map(drop)
    })?;
    let main = text(&folder("python").join("main.py"));
    Ok(Prepared { program: built.join("bin/python"), arguments: vec!["-B".to_string(), main, module.to_string()] })
}

/// All Go clients are one program.
fn go(client: &str) -> anyhow::Result<Prepared> {
    let sources = ["go.mod", "go.sum", "main.go", "franz.go", "sarama.go", "segmentio.go"];
    let built = cache::filled("go", &sources.map(|name| folder("go").join(name)), |built| {
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o"]).arg(built.join("clients")).arg(".").current_dir(folder("go"));
        run("go", &mut go).map(drop)
    })?;
    Ok(Prepared { program: built.join("clients"), arguments: vec![client.to_string()] })
}

/// Packages are installed beside a copy of the program, as Node looks for them there.
fn javascript() -> anyhow::Result<Prepared> {
    let files = ["package.json", "package-lock.json", "client.js"];
    let built = cache::filled("javascript", &files.map(|name| folder("javascript").join(name)), |built| {
        for name in files {
            std::fs::copy(folder("javascript").join(name), built.join(name))?;
        }
        // No scripts of packages: none is needed, and they might fetch from elsewhere.
        let mut npm = Command::new("npm");
        run("npm", npm.args(["ci", "--ignore-scripts"]).current_dir(built)).map(drop)
    })?;
    Ok(Prepared { program: "node".into(), arguments: vec![text(&built.join("client.js"))] })
}
