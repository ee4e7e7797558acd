//! Runs one tool after the other against one server and writes down what they print.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::normal;
use crate::cluster::admin;
use crate::cluster::nodes::Cluster;
use crate::kafka;
use crate::process::Process;
use crate::server::Server;

/// How long one tool may run.
const TOOL_LIMIT: Duration = Duration::from_secs(180);

/// The steps in their order, each with its lines.
pub type Transcript = Vec<(String, Vec<String>)>;

/// What the tools are run against.
pub enum Subject {
    One(Server),
    Several(Cluster),
}

pub struct Player {
    subject: Subject,
    transcript: Transcript,
    /// For files that tools read.
    folder: tempfile::TempDir,
}

/// What a step's output is compared by.
#[derive(Clone, Copy)]
pub enum Order {
    /// Line by line.
    Kept,
    /// Lines come in any order.
    Sorted,
    /// Lines come in any order, and some more than once.
    Set,
    /// Numbers are measurements: only the words count.
    Words,
}

impl Player {
    pub fn new(subject: Subject) -> Result<Player> {
        let folder = tempfile::Builder::new().prefix("ottla-compat-tools-").tempdir()?;
        Ok(Player { subject, transcript: Vec::new(), folder })
    }

    pub fn finish(self) -> Transcript {
        self.transcript
    }

    /// Runs a tool; `BOOTSTRAP` in the arguments is the server's address, or those
    /// of all brokers, and `CONTROLLERS` those of all controllers. The tool's exit code is part of what is compared.
    pub fn tool(&mut self, step: &str, order: Order, command: &str) -> Result<()> {
        self.tool_with_input(step, order, command, "")
    }

    /// Runs one tool with one set of arguments after the other; a step is called as what `steps` calls it, behind the tool's name.
    pub fn tool_steps(&mut self, tool: &str, order: Order, steps: &[(&str, &str)]) -> Result<()> {
        steps.iter().try_for_each(|(step, arguments)| {
            let command = format!("{tool} --bootstrap-server BOOTSTRAP {arguments}");
            self.tool(&format!("{tool} {step}"), order, &command)
        })
    }

    /// As [`Player::tool`], with `input` on the tool's standard input.
    pub fn tool_with_input(&mut self, step: &str, order: Order, command: &str, input: &str) -> Result<()> {
        let output = self.output(command, input).with_context(|| format!("{step}: {command}"))?;
        self.write_down(step, order, &output);
        Ok(())
    }

    /// Runs `kafka-dump-log` on files of the stopped server.
    pub fn dump(&mut self, step: &str, order: Order, options: &str, files: &[PathBuf]) -> Result<()> {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.tool(step, order, &format!("kafka-dump-log {options} --files {}", names.join(",")))
    }

    /// Adds a step to the transcript.
    pub fn write_down(&mut self, step: &str, order: Order, output: &str) {
        let mut lines = normal::lines(output, &self.names());
        match order {
            Order::Kept => {}
            Order::Sorted => lines.sort(),
            Order::Set => {
                lines.sort();
                lines.dedup();
            }
            Order::Words => lines = normal::without_numbers(&lines),
        }
        self.transcript.push((step.to_string(), lines));
    }

    /// Texts that only this subject has, and what they are called in a transcript.
    fn names(&self) -> Vec<(String, &'static str)> {
        let mut names = vec![(self.folder.path().display().to_string(), "FOLDER")];
        let addresses = match &self.subject {
            Subject::One(server) => {
                names.push((server.data().display().to_string(), "DATA"));
                vec![server.address().to_string()]
            }
            Subject::Several(cluster) => {
                names.extend((0..cluster.count()).map(|node| (cluster.data(node).display().to_string(), "DATA")));
                names.push((cluster.bootstrap(), "ADDRESSES"));
                names.push((cluster.bootstrap_controllers(), "CONTROLLERS"));
                let controllers = cluster.bootstrap_controllers();
                names.extend(controllers.split(',').map(|address| (address.to_string(), "CONTROLLER")));
                cluster.addresses()
            }
        };
        for address in addresses {
            let port = address.rsplit(':').next().unwrap_or_default().to_string();
            names.extend([(address, "ADDRESS"), (format!(":{port}"), ":PORT")]);
        }
        names
    }

    /// What a tool prints on both outputs, and its exit code.
    pub fn output(&self, command: &str, input: &str) -> Result<String> {
        let (mut process, mut output) = self.start(command, input)?;
        let status = process.wait(TOOL_LIMIT)?;
        Ok(format!("{}\nexit code {}", text_of(&mut output)?, status.code().unwrap_or(-1)))
    }

    /// What a tool prints that would go on for ever, until it is killed.
    pub fn output_within(&self, command: &str, time: Duration) -> Result<String> {
        let (process, mut output) = self.start(command, "")?;
        std::thread::sleep(time);
        process.kill();
        text_of(&mut output)
    }

    fn start(&self, command: &str, input: &str) -> Result<(Process, File)> {
        let (brokers, controllers) = match &self.subject {
            Subject::One(server) => (server.address().to_string(), String::new()),
            Subject::Several(cluster) => (cluster.bootstrap(), cluster.bootstrap_controllers()),
        };
        let fill = |word: &str| word.replace("BOOTSTRAP", &brokers).replace("CONTROLLERS", &controllers);
        let mut words = command.split_whitespace().map(fill);
        let mut command = kafka::tool(&words.next().context("no tool")?)?;
        let output = tempfile::tempfile()?;
        command.args(words).stdin(source(input)?).stdout(output.try_clone()?).stderr(output.try_clone()?);
        Ok((Process::spawn("a tool", &mut command)?, output))
    }

    /// A file for a tool to read.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Of all brokers, whether they run or not.
    pub fn addresses(&self) -> Vec<String> {
        match &self.subject {
            Subject::One(server) => vec![server.address().to_string()],
            Subject::Several(cluster) => cluster.addresses(),
        }
    }

    fn cluster(&mut self) -> Result<&mut Cluster> {
        match &mut self.subject {
            Subject::Several(cluster) => Ok(cluster),
            Subject::One(_) => bail!("there is one node only"),
        }
    }

    /// Waits until all replicas of the topic are in sync, as all nodes see it.
    pub fn await_in_sync(&mut self, topic: &str, limit: Duration) -> Result<()> {
        admin::await_in_sync(&self.cluster()?.addresses(), topic, limit)
    }

    /// Stops one node in good order.
    pub fn stop_node(&mut self, node: usize) -> Result<()> {
        self.cluster()?.stop(node)
    }

    /// Starts it again, and waits until it is ready.
    pub fn start_node(&mut self, node: usize) -> Result<()> {
        self.cluster()?.spawn(node)?;
        self.cluster()?.await_ready()
    }

    /// Stops the server in good order; its files stay until the player goes.
    pub fn stop(&mut self) -> Result<()> {
        match &mut self.subject {
            Subject::One(server) => server.stop(),
            Subject::Several(cluster) => cluster.stop_all(),
        }
    }

    /// The data directory of the first node.
    pub fn data(&self) -> PathBuf {
        match &self.subject {
            Subject::One(server) => server.data(),
            Subject::Several(cluster) => cluster.data(0),
        }
    }

    /// The files with this extension in the folders of this topic, in order.
    pub fn files(&self, topic: &str, extension: &str) -> Result<Vec<PathBuf>> {
        crate::kill::files(&self.data(), topic, &[extension])
    }
}

fn text_of(output: &mut File) -> Result<String> {
    let mut text = String::new();
    std::io::Seek::rewind(output)?;
    output.read_to_string(&mut text)?;
    Ok(text)
}

fn source(input: &str) -> Result<Stdio> {
    if input.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file: File = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    std::io::Seek::rewind(&mut file)?;
    Ok(Stdio::from(file))
}
