//! Ottla's own commands for people (`topics`, `groups`, `cat`, `produce`) against Ottla and against Apache Kafka: what they print and
//! how they end must be the same, and keys must go where Java's producer sends them.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use regex::Regex;

use crate::report::Report;
use crate::server::{Against, Server};
use crate::{kafka, ottla};

#[derive(clap::Args)]
pub struct Arguments {}

/// Both servers: four partitions for `__consumer_offsets` are enough.
const SETTINGS: &[&str] = &["node.id=1", "offsets.topic.num.partitions=4"];
/// How long a command may run before it is killed.
const LIMIT: Duration = Duration::from_secs(60);
/// Java's producer and ours must agree on the partition of each of these.
const KEYS: u32 = 40;

/// One command with its input; ADDRESS is the server's.
struct Step {
    command: &'static str,
    input: &'static str,
}

const fn step(command: &'static str) -> Step {
    Step { command, input: "" }
}

const fn fed(command: &'static str, input: &'static str) -> Step {
    Step { command, input }
}

const STEPS: &[Step] = &[
    step("topics create orders --partitions 3 --config retention.ms=86400000 --config cleanup.policy=compact"),
    step("topics create orders"),
    step("topics create orders --if-not-exists --json"),
    step("topics create a/b"),
    step("topics create wide --partitions 1 --replication-factor 3"),
    step("topics create odd --config retention.ms=soon"),
    step("topics create orders fresh"),
    step("topics list"),
    step("topics list --json"),
    step("topics describe orders"),
    step("topics describe nowhere"),
    fed("produce orders -K : -H from=test", "a:1\nb:2\nc:3\na:\nd:x:y\n"),
    fed("produce orders -K : --null NULL -z zstd", "a:NULL\n"),
    fed("produce orders -K : -z gzip --acks 1", "e:5\nf:6\n"),
    fed("produce orders -K : -z snappy --no-idempotence", "g:7\n"),
    fed("produce orders -K : -z lz4 --acks 0", "h:8\n"),
    fed("produce orders -K :", "no separator\n"),
    fed("produce orders -p 0", "no key in a compacted topic\n"),
    fed("produce orders -p 7", "no such partition\n"),
    fed("produce missing.because/of/its/name", "x\n"),
    step("cat orders --keys -p 0"),
    step("cat orders --keys -p 1"),
    step("cat orders --keys -p 2"),
    step(r"cat orders -p 0 --format %t-%p@%o[%K][%S]%h\n"),
    step("cat orders -p 0 -o -1 --json"),
    step("cat orders -p 0 -o 1 -n 1"),
    step("cat orders -p 0 -o 999"),
    step("cat orders -p 3"),
    step("cat orders --from 1h -p 1 --keys"),
    step("cat orders --from 2100-01-01 --keys"),
    step("cat orders --until 2001-01-01 --keys"),
    step("cat orders --from never"),
    step("cat nowhere"),
    step("groups list"),
    step("groups reset readers --topic orders --to-latest --dry-run"),
    step("groups reset readers --topic orders --to-earliest"),
    step("groups reset readers --shift-by 1 --json"),
    step("groups reset readers --topic orders:0 --to-time 2100-01-01"),
    step("groups reset readers --topic orders:0 --to-offset 999"),
    step("groups reset readers --topic orders:9 --to-latest"),
    step("groups reset readers --topic nowhere --to-latest"),
    step("groups reset readers"),
    step("groups list --json"),
    step("groups describe readers"),
    step("groups describe readers --json"),
    step("groups describe nobody"),
    step("groups delete readers"),
    step("groups delete readers"),
    step("topics alter orders --partitions 5 --unset retention.ms"),
    step("topics alter orders --partitions 2"),
    step("topics alter orders --config nonsense=1"),
    step("topics alter orders"),
    step("topics describe orders --json"),
    step("topics delete orders nowhere"),
    step("topics delete nowhere --if-exists"),
    step("topics list --json"),
];

pub fn run(_: &Arguments, report: &Report) -> Result<()> {
    let (expected, found) = std::thread::scope(|scope| {
        let expected = scope.spawn(|| transcript(Against::Kafka));
        let found = transcript(Against::Ottla);
        (expected.join(), found)
    });
    let expected = expected.map_err(|_| anyhow!("the player of Kafka panicked"))?.context("on Kafka")?;
    for ((step, kafka), ottla) in STEPS.iter().zip(&expected).zip(&found?) {
        let same = || {
            ensure!(kafka == ottla, "\n      kafka: {kafka}\n      ottla: {ottla}");
            Ok(())
        };
        report.check(format!("commands: ottla {}", step.command), same());
    }
    let json: Vec<&str> = SETTINGS.iter().copied().chain(["logging.format=json"]).collect();
    let server = Server::start(Against::Ottla, &json)?;
    report.check("commands: keys go where Java's producer sends them", keys_meet(server.address()));
    report.check("commands: what cat writes as JSON, produce writes again", round_trip(server.address()));
    report
        .check("commands: an alteration of which a part is refused changes nothing", all_or_nothing(server.address()));
    report.check("commands: a producer that cannot go on says how far it came", how_far(server.address()));
    report.check("commands: a reader that has enough ends cat without a word", broken_pipe(server.address()));
    report.check("commands: log lines for machines are JSON objects with a message", json_lines(&server));
    report.check("commands: cat --follow prints what comes", follow(server.address()));
    report.check("commands: the first of several brokers that answers is asked", first_that_answers(server.address()));
    report.check("commands: a server that is not there is named at once", nobody_there());
    Ok(())
}

fn transcript(against: Against) -> Result<Vec<String>> {
    let server = Server::start(against, SETTINGS)?;
    STEPS.iter().map(|step| Ok(normal(&play(server.address(), step)?, server.address()))).collect()
}

fn play(address: &str, step: &Step) -> Result<String> {
    let arguments: Vec<&str> = step.command.split(' ').collect();
    let (code, stdout, stderr) = ottla(address, &arguments, step.input.as_bytes())?;
    Ok(format!("exit {code}\n{stdout}{stderr}"))
}

/// What is only true of this run, by names.
fn normal(text: &str, address: &str) -> String {
    let rules = [(r#""id": "[A-Za-z0-9_-]{22}""#, r#""id": "ID""#), (r"\b1[6-9]\d{11}\b", "TIME")];
    let mut text = text.replace(address, "ADDRESS");
    for (pattern, name) in rules {
        text = Regex::new(pattern).expect("it is constant").replace_all(&text, name).into_owned();
    }
    text
}

fn command(address: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(ottla::binary()?);
    command.args(arguments).args(["-b", address, "--timeout", "20"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

fn ottla(address: &str, arguments: &[&str], input: &[u8]) -> Result<(i32, String, String)> {
    let mut child = command(address, arguments)?.spawn().context("cannot start ottla")?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    // One that fails early reads nothing.
    let _ = stdin.write_all(input);
    drop(stdin);
    let id = child.id();
    let (done, ended) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        if ended.recv_timeout(LIMIT).is_err()
            && let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(id).unwrap_or(0))
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    });
    let output = child.wait_with_output()?;
    let _ = done.send(());
    let _ = watch.join();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr)))
}

/// What a command prints, which must succeed.
pub fn succeeds(address: &str, arguments: &[&str], input: &[u8]) -> Result<String> {
    let (code, stdout, stderr) = ottla(address, arguments, input)?;
    ensure!(code == 0, "ottla {}: exit {code}: {stderr}", arguments.join(" "));
    Ok(stdout)
}

/// Key and partition of every record.
fn placed(address: &str, topic: &str) -> Result<Vec<String>> {
    let text = succeeds(address, &["cat", topic, "--format", r"%k %p\n"], b"")?;
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    lines.sort();
    Ok(lines)
}

fn keys_meet(address: &str) -> Result<()> {
    for topic in ["java", "own"] {
        succeeds(address, &["topics", "create", topic, "--partitions", "7"], b"")?;
    }
    let lines: String = (0..KEYS).map(|number| format!("key-{number}:v\n")).collect();
    let mut tool = kafka::tool("kafka-console-producer")?;
    tool.args(["--bootstrap-server", address, "--topic", "java"]);
    tool.args(["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"]);
    let mut child = tool.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    child.stdin.take().expect("it was asked for").write_all(lines.as_bytes())?;
    ensure!(child.wait()?.success(), "Kafka's producer failed");
    succeeds(address, &["produce", "own", "-K", ":"], lines.as_bytes())?;
    let (java, own) = (placed(address, "java")?, placed(address, "own")?);
    ensure!(java.len() == usize::try_from(KEYS)? && java == own, "{java:?}\n{own:?}");
    Ok(())
}

fn round_trip(address: &str) -> Result<()> {
    for topic in ["first", "second"] {
        succeeds(address, &["topics", "create", topic], b"")?;
    }
    succeeds(address, &["produce", "first", "-K", ":", "-H", "h=1", "-z", "lz4"], b"a:1\n\xff\xfe:\x80\n")?;
    let lines = succeeds(address, &["cat", "first", "--json"], b"")?;
    succeeds(address, &["produce", "second", "--json"], lines.as_bytes())?;
    let again = succeeds(address, &["cat", "second", "--json"], b"")?;
    let strip = |text: &str, topic: &str| -> Result<Vec<serde_json::Value>> {
        let values = text.lines().map(|line| {
            let mut value: serde_json::Value = serde_json::from_str(line)?;
            ensure!(value["topic"] == topic, "{line}");
            (value["topic"], value["timestamp"]) = (serde_json::Value::Null, serde_json::Value::Null);
            Ok(value)
        });
        values.collect()
    };
    let (first, second) = (strip(&lines, "first")?, strip(&again, "second")?);
    ensure!(first == second && first.len() == 2, "{lines}\n{again}");
    Ok(())
}

fn all_or_nothing(address: &str) -> Result<()> {
    succeeds(address, &["topics", "create", "whole", "--partitions", "2"], b"")?;
    let partitions = |count| ["topics", "alter", "whole", "--partitions", count];
    let refused = [
        [&partitions("3")[..], &["--config", "nonsense=1"]].concat(),
        [&partitions("1")[..], &["--config", "retention.ms=1000"]].concat(),
    ];
    let before = succeeds(address, &["topics", "describe", "whole"], b"")?;
    for arguments in refused {
        let (code, _, stderr) = ottla(address, &arguments, b"")?;
        ensure!(code == 1 && stderr.starts_with("ottla: topic whole: "), "exit {code}: {stderr}");
        let after = succeeds(address, &["topics", "describe", "whole"], b"")?;
        ensure!(after == before, "{arguments:?} has changed it:\n{after}");
    }
    succeeds(address, &[&partitions("3")[..], &["--config", "retention.ms=1000"]].concat(), b"")?;
    let after = succeeds(address, &["topics", "describe", "whole"], b"")?;
    ensure!(after.starts_with("whole  retention.ms=1000\n") && after.lines().count() == 5, "{after}");
    Ok(())
}

/// The records in front of the first that cannot be sent are there, and it says how many they are.
fn how_far(address: &str) -> Result<()> {
    succeeds(address, &["topics", "create", "begun"], b"")?;
    let lines = "k:v\n".repeat(100_000) + "broken\n";
    let (code, _, stderr) = ottla(address, &["produce", "begun", "-K", ":"], lines.as_bytes())?;
    let told = stderr.strip_prefix("ottla: standard input line 100001: there is no separator in it; before it ");
    let told = told.and_then(|rest| rest.strip_suffix(" of begun were written\n")).unwrap_or_default();
    let count = succeeds(address, &["cat", "begun"], b"")?.lines().count();
    ensure!(code == 1 && told == format!("{count} records"), "exit {code}, {count} are there: {stderr}");
    let (code, _, stderr) = ottla(address, &["produce", "begun", "-K", ":"], b"broken\n")?;
    let expected = "ottla: standard input line 1: there is no separator in it; nothing was written\n";
    ensure!(code == 1 && stderr == expected, "exit {code}: {stderr}");
    Ok(())
}

fn broken_pipe(address: &str) -> Result<()> {
    succeeds(address, &["topics", "create", "long"], b"")?;
    let lines = "0123456789\n".repeat(200_000);
    succeeds(address, &["produce", "long", "-z", "zstd"], lines.as_bytes())?;
    let mut child = command(address, &["cat", "long"])?.spawn()?;
    let mut first = [0; 11];
    child.stdout.take().expect("it was asked for").read_exact(&mut first)?;
    ensure!(&first == b"0123456789\n");
    let output = child.wait_with_output()?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Ok(())
}

fn json_lines(server: &Server) -> Result<()> {
    let text = std::fs::read_to_string(server.log())?;
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).with_context(|| line.to_string())?;
        for field in ["timestamp", "level", "target", "message"] {
            ensure!(line[field].is_string(), "no {field}: {line}");
        }
    }
    ensure!(text.contains("topic created"), "{text}");
    Ok(())
}

fn follow(address: &str) -> Result<()> {
    succeeds(address, &["topics", "create", "live", "--partitions", "2"], b"")?;
    let mut child = command(address, &["cat", "live", "-f", "-n", "3"])?.spawn()?;
    for text in ["1\n", "2\n", "3\n"] {
        succeeds(address, &["produce", "live"], text.as_bytes())?;
    }
    let mut text = String::new();
    child.stdout.take().expect("it was asked for").read_to_string(&mut text)?;
    ensure!(child.wait()?.success());
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    ensure!(lines == ["1", "2", "3"], "{lines:?}");
    Ok(())
}

/// Nobody listens at this address: it is not for clients.
const NOBODY: &str = "127.0.0.1:1";

fn first_that_answers(address: &str) -> Result<()> {
    let brokers = format!("{NOBODY},{address}");
    let listed = |command: &mut Command, arguments: &[&str]| -> Result<()> {
        let output = command.args(arguments).output()?;
        ensure!(output.status.success() && output.stdout.starts_with(b"TOPIC"), "{output:?}");
        Ok(())
    };
    listed(&mut Command::new(ottla::binary()?), &["topics", "list", "--broker", &brokers])?;
    listed(Command::new(ottla::binary()?).env("OTTLA_BOOTSTRAP_SERVER", &brokers), &["topics", "list"])
}

fn nobody_there() -> Result<()> {
    let start = std::time::Instant::now();
    let (code, stdout, stderr) = ottla(NOBODY, &["cat", "topic"], b"")?;
    ensure!(code == 1 && stdout.is_empty(), "exit {code}: {stdout}");
    ensure!(stderr == format!("ottla: no broker answers: {NOBODY} refuses connections\n"), "{stderr}");
    ensure!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    Ok(())
}
