//! The clients, how each is prepared (fetched and built into the cache, pinned by lock files), and how its program starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache;
use crate::kafka::fetch_jars;
use crate::process::run;

/// A real client in a pinned version.
pub struct Client {
    /// Its name on the command line and in reports, with the version.
    pub name: &'static str,
    /// Whether it has an idempotent producer.
    pub idempotent: bool,
    prepare: fn() -> anyhow::Result<Prepared>,
}

/// Every client. The versions are those of the lock files in `clients/`.
pub const CLIENTS: &[Client] = &[
    Client { name: "java-4.3.1", idempotent: true, prepare: || java("4.3.1") },
    Client { name: "java-3.9.1", idempotent: true, prepare: || java("3.9.1") },
    Client { name: "java-2.8.2", idempotent: true, prepare: || java("2.8.2") },
    Client { name: "confluent-kafka-python", idempotent: true, prepare: || python("confluent") },
    Client { name: "kafka-python", idempotent: true, prepare: || python("kafka_python") },
    Client { name: "aiokafka", idempotent: true, prepare: || python("aio") },
    Client { name: "franz-go", idempotent: true, prepare: || go("franz") },
    Client { name: "sarama", idempotent: true, prepare: || go("sarama") },
    Client { name: "segmentio-kafka-go", idempotent: false, prepare: || go("segmentio") },
];

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
    let built = cache::filled("python", &[requirements.clone()], |built| {
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
