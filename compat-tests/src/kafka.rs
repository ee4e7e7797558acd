//! Real Apache Kafka from Maven Central: one node to compare with, and Kafka's own tools to run against any server.

mod archive;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kafka_protocol::messages::MetadataRequest;

use crate::cache;
use crate::connection::Connection;
use crate::port::Port;
use crate::process::{Process, run, tail};

/// The version that everything is compared with; `kafka/pom.xml` pins it.
pub const VERSION: &str = "4.3.1";

/// With ten thousand partitions, on one core, it takes minutes.
const START_LIMIT: Duration = Duration::from_secs(240);
/// It flushes thousands of partitions one by one.
const STOP_LIMIT: Duration = Duration::from_secs(300);

/// Kafka's tools by the name of their shell script.
const TOOLS: &[(&str, &str)] = &[
    ("kafka-broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
    ("kafka-cluster", "org.apache.kafka.tools.ClusterTool"),
    ("kafka-configs", "kafka.admin.ConfigCommand"),
    ("kafka-console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ("kafka-console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    ("kafka-consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("kafka-consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
    ("kafka-dump-log", "org.apache.kafka.tools.DumpLogSegments"),
    ("kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("kafka-features", "org.apache.kafka.tools.FeatureCommand"),
    ("kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("kafka-groups", "org.apache.kafka.tools.GroupsCommand"),
    ("kafka-leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("kafka-metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("kafka-producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"),
    ("kafka-reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("kafka-replica-verification", "org.apache.kafka.tools.ReplicaVerificationTool"),
    ("kafka-topics", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-transactions", "org.apache.kafka.tools.TransactionsCommand"),
    ("kafka-verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer"),
    ("kafka-verifiable-producer", "org.apache.kafka.tools.VerifiableProducer"),
];

/// The folder of Kafka's jars, fetched on first use.
pub fn jars() -> anyhow::Result<PathBuf> {
    let pom = cache::compat_tests().join("kafka/pom.xml");
    cache::filled(&format!("kafka-{VERSION}"), std::slice::from_ref(&pom), |folder| fetch_jars(&pom, folder))
}

/// Copies what a pom depends on into `folder`. The repository's own settings of the user are respected.
pub fn fetch_jars(pom: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(pom).arg("dependency:copy-dependencies");
    run("mvn", maven.arg(format!("-DoutputDirectory={}", folder.display())))?;
    Ok(())
}

/// How a JVM runs what it is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Jvm {
    /// One compiler tier, the serial collector and a small heap: for what is short-lived and shares few cores.
    Small,
    /// As `kafka-server-start.sh` and `kafka-run-class.sh` start a broker: for what is measured.
    AsShipped,
    /// As small, and writes down in this folder which classes it loads.
    Listing(&'static Path),
}

impl Jvm {
    const SMALL: &[&str] = &["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
    const AS_SHIPPED: &[&str] = &[
        "-Xmx1G",
        "-Xms1G",
        "-server",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent",
        "-Djava.awt.headless=true",
    ];

    fn configure(self, command: &mut Command, class: &str) -> anyhow::Result<()> {
        let argument = |name: &str, path: &Path| format!("{name}={}", path.display());
        match self {
            Jvm::Small => {
                // What it says of an archive that does not fit would stand among what the tool prints.
                command.args(Jvm::SMALL).args(["-Xlog:disable", "-Xlog:all=error:stderr"]);
                command.arg(argument("-XX:SharedArchiveFile", &archive::path()?))
            }
            Jvm::Listing(folder) => {
                command.args(Jvm::SMALL).arg(argument("-XX:DumpLoadedClassList", &archive::list(folder, class)))
            }
            Jvm::AsShipped => command.args(Jvm::AS_SHIPPED),
        };
        Ok(())
    }
}

/// A command that runs a class of Kafka's jars in a small JVM.
pub fn java(class: &str) -> anyhow::Result<Command> {
    java_in(Jvm::Small, class)
}

/// As [`java`], in a JVM of choice.
pub fn java_in(jvm: Jvm, class: &str) -> anyhow::Result<Command> {
    let mut command = Command::new("java");
    jvm.configure(&mut command, class)?;
    let log_settings = cache::compat_tests().join("kafka/log4j2.yaml");
    command.arg(format!("-Dlog4j2.configurationFile={}", log_settings.display()));
    command.arg("-cp").arg(classpath()?).arg(class);
    Ok(command)
}

fn classpath() -> anyhow::Result<PathBuf> {
    Ok(jars()?.join("*"))
}

/// A command that runs one of Kafka's tools, named as its script is; the caller adds arguments.
pub fn tool(name: &str) -> anyhow::Result<Command> {
    let class = TOOLS.iter().find(|(script, _)| *script == name).map(|(_, class)| class);
    java(class.with_context(|| format!("{name} is not a tool of Kafka"))?)
}

/// One node of Apache Kafka with its data directory, which goes when this is dropped.
pub struct Kafka {
    folder: tempfile::TempDir,
    client_port: Port,
    controller_port: Port,
    jvm: Jvm,
    process: Option<Process>,
}

impl Kafka {
    /// Formats and starts a node (KRaft, controller in the same process). `settings` are lines of server.properties.
    pub fn start(settings: &[&str]) -> anyhow::Result<Kafka> {
        Kafka::start_in(Jvm::Small, settings)
    }

    /// As [`Kafka::start`], in a JVM of choice.
    pub fn start_in(jvm: Jvm, settings: &[&str]) -> anyhow::Result<Kafka> {
        let folder = tempfile::Builder::new().prefix("ottla-compat-kafka-").tempdir()?;
        let (client_port, controller_port) = (Port::reserve()?, Port::reserve()?);
        let properties = properties(folder.path(), client_port.number(), controller_port.number(), settings);
        std::fs::write(folder.path().join("server.properties"), properties)?;
        let mut kafka = Kafka { folder, client_port, controller_port, jvm, process: None };
        let mut format = java_in(jvm, "kafka.tools.StorageTool")?;
        format
            .args(["format", "-t", "b3R0bGFfY29tcGF0XzAwMQ", "-c"])
            .arg(kafka.folder.path().join("server.properties"));
        run("kafka-storage", &mut format)?;
        kafka.resume()?;
        Ok(kafka)
    }

    /// Starts it again after [`Kafka::stop`] or [`Kafka::kill`], on the same port and data; returns when it is ready.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "kafka runs already");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = java_in(self.jvm, "kafka.Kafka")?;
        command.arg(self.folder.path().join("server.properties"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut process = Process::spawn("kafka", &mut command)?;
        let until = Instant::now() + START_LIMIT;
        while !has_a_broker(self.address()) {
            if let Some(status) = process.ended()? {
                bail!("kafka ended with {status}; its log ends:\n{}", tail(&self.log(), 20));
            }
            ensure!(Instant::now() < until, "kafka did not start; its log ends:\n{}", tail(&self.log(), 20));
            std::thread::sleep(Duration::from_millis(100));
        }
        self.process = Some(process);
        Ok(())
    }

    /// `127.0.0.1:PORT`, the same over restarts.
    pub fn address(&self) -> &str {
        self.client_port.address()
    }

    /// Where its controller listens.
    pub fn controller_address(&self) -> &str {
        self.controller_port.address()
    }

    /// The log directory, with a folder for each partition.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Everything it wrote to its standard output and error.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("kafka.log")
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// SIGTERM, and waits for the end. Kafka exits with 143 then, which is no failure.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.take().context("kafka does not run")?.stop(STOP_LIMIT).map(drop)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("kafka does not run")?.kill();
        Ok(())
    }
}

fn properties(folder: &Path, client_port: u16, controller_port: u16, settings: &[&str]) -> String {
    let data = folder.join("data");
    let mut lines = vec![
        "process.roles=broker,controller".to_string(),
        "node.id=1".to_string(),
        format!("controller.quorum.voters=1@127.0.0.1:{controller_port}"),
        format!("listeners=PLAINTEXT://127.0.0.1:{client_port},CONTROLLER://127.0.0.1:{controller_port}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{client_port}"),
        "controller.listener.names=CONTROLLER".to_string(),
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_string(),
        format!("log.dirs={}", data.display()),
        "offsets.topic.replication.factor=1".to_string(),
        "transaction.state.log.replication.factor=1".to_string(),
        "transaction.state.log.min.isr=1".to_string(),
        "share.coordinator.state.topic.replication.factor=1".to_string(),
        "share.coordinator.state.topic.min.isr=1".to_string(),
        "group.initial.rebalance.delay.ms=0".to_string(),
        // The default of 50 costs seconds on a small machine and changes nothing that clients see.
        "offsets.topic.num.partitions=8".to_string(),
    ];
    let with_path = |setting: &&str| setting.replace(crate::server::DATA, &data.display().to_string());
    lines.extend(settings.iter().map(with_path));
    lines.join("\n") + "\n"
}

/// Whether a Metadata request is answered and lists a broker: until then Kafka is up, but fenced.
fn has_a_broker(address: &str) -> bool {
    metadata_broker_count(address).is_ok_and(|count| count > 0)
}

fn metadata_broker_count(address: &str) -> anyhow::Result<usize> {
    let mut connection = Connection::open(address)?;
    connection.frames().set_patience(Duration::from_secs(5))?;
    Ok(connection.ask(1, &MetadataRequest::default().with_topics(Some(Vec::new())))?.brokers.len())
}
