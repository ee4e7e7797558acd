//! Runs one tool after the other against one server and writes down what they print.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};

use super::normal;
use crate::kafka;
use crate::process::Process;
use crate::server::Server;

/// How long one tool may run.
const TOOL_LIMIT: Duration = Duration::from_secs(90);

/// The steps in their order, each with its lines.
pub type Transcript = Vec<(String, Vec<String>)>;

pub struct Player {
    server: Server,
    transcript: Transcript,
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
    pub fn new(server: Server) -> Player {
        Player { server, transcript: Vec::new() }
    }

    pub fn finish(self) -> Transcript {
        self.transcript
    }

    /// Runs a tool; `BOOTSTRAP` in the arguments is the server's address. The tool's exit code is part of what is compared.
    pub fn tool(&mut self, step: &str, order: Order, command: &str) -> Result<()> {
        self.tool_with_input(step, order, command, "")
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
        let address = self.server.address().to_string();
        let port = address.rsplit(':').next().unwrap_or_default().to_string();
        let data = self.server.data().display().to_string();
        let names = [(address, "ADDRESS"), (data, "DATA"), (format!(":{port}"), ":PORT")];
        let mut lines = normal::lines(output, &names);
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

    /// What a tool prints on both outputs, and its exit code.
    pub fn output(&self, command: &str, input: &str) -> Result<String> {
        let mut words = command.split_whitespace().map(|word| word.replace("BOOTSTRAP", self.server.address()));
        let mut command = kafka::tool(&words.next().context("no tool")?)?;
        let mut output = tempfile::tempfile()?;
        command.args(words).stdin(source(input)?).stdout(output.try_clone()?).stderr(output.try_clone()?);
        let status = Process::spawn("a tool", &mut command)?.wait(TOOL_LIMIT)?;
        let mut text = String::new();
        std::io::Seek::rewind(&mut output)?;
        output.read_to_string(&mut text)?;
        Ok(format!("{text}\nexit code {}", status.code().unwrap_or(-1)))
    }

    /// Stops the server in good order; its files stay until the player goes.
    pub fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }

    /// The files with this extension in the folders of this topic, in order.
    pub fn files(&self, topic: &str, extension: &str) -> Result<Vec<PathBuf>> {
        crate::kill::files(&self.server.data(), topic, &[extension])
    }
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
