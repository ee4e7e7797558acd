//! A client's program: takes orders as JSON lines on its standard input and answers each with a JSON line.
//!
//! `PROGRAM BOOTSTRAP_ADDRESS`, then line by line on stdin; bytes are base64, `null` is null:
//!
//! | order | answer |
//! |---|---|
//! | `{"do":"create","topic":T,"partitions":N}` | `{"leaders":N}`: partitions that have a leader, as the client sees it |
//! | `{"do":"produce","topic":T,"codec":C,"acks":"0"\|"1"\|"all","idempotent":B,"records":[…]}` | `{"offsets":[…]}` in order of the records; anything with acks 0 |
//! | `{"do":"read","topic":T,"partitions":N,"count":N,"offset":O}` or `"timestamp":MS` | `{"records":[…]}`: all partitions from there, at most 15 s |
//! | `{"do":"transactions","id":ID}` | `{}` once a transactional producer is initialised |
//! | `{"do":"join","group":G,"topic":T}`, with `"session":MS` or 6 s | none; then `{"records":[…]}` for each batch after it was committed |
//! | `{"do":"leave"}` (after join) | `{"left":true}` when the member has left properly, and the program ends |
//!
//! What fails is answered `{"error":TEXT}`. A producer is kept open and used again by later orders with equal settings. The
//! program ends when its input ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::clients::catalogue::Client;
use crate::process::{Process, tail};

/// How long any order but a join may take. Longer than any timeout inside of a client, so that its own error is seen first.
const ANSWER_LIMIT: Duration = Duration::from_secs(75);

/// A running program of one client.
pub struct Program {
    pub client: &'static Client,
    process: Process,
    stdin: ChildStdin,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Program {
    /// Starts `command BOOTSTRAP_ADDRESS`; its standard error goes to the file `log`.
    pub fn start(client: &'static Client, mut command: Command, bootstrap: &str, log: &Path) -> Result<Program> {
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.arg(bootstrap).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut process = Process::spawn(client.name, &mut command)?;
        let (stdin, stdout, _) = process.take_pipes();
        let (sender, lines) = channel();
        let stdout = BufReader::new(stdout.expect("it was asked for"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Program { client, process, stdin: stdin.expect("it was asked for"), lines, log: log.to_path_buf() })
    }

    /// Sends an order without waiting for an answer.
    pub fn tell(&mut self, order: &Value) -> Result<()> {
        let sent = writeln!(self.stdin, "{order}").and_then(|()| self.stdin.flush());
        sent.with_context(|| self.story("the program takes no orders any more"))
    }

    /// Sends an order and waits for the answer; one that says `error` is an error.
    pub fn ask(&mut self, order: &Value) -> Result<Value> {
        self.tell(order)?;
        match self.lines.recv_timeout(ANSWER_LIMIT) {
            Ok(line) => self.parse(&line),
            Err(RecvTimeoutError::Timeout) => bail!(self.story("no answer in time")),
            Err(RecvTimeoutError::Disconnected) => bail!(self.story("the program ended")),
        }
    }

    /// The next line, if there is one now.
    pub fn poll(&mut self) -> Result<Option<Value>> {
        match self.lines.try_recv() {
            Ok(line) => self.parse(&line).map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => bail!(self.story("the program ended")),
        }
    }

    /// Orders a member to leave, and waits until it has and the program has ended. Records that it still had are returned.
    pub fn leave(mut self) -> Result<Vec<Value>> {
        let mut answer = self.ask(&json!({"do": "leave"}))?;
        let mut before = Vec::new();
        while answer.get("left").is_none() {
            before.push(answer);
            let line = self.lines.recv_timeout(ANSWER_LIMIT).with_context(|| self.story("the member did not leave"))?;
            answer = self.parse(&line)?;
        }
        self.process.wait(Duration::from_secs(20))?;
        Ok(before)
    }

    /// SIGKILL: a member that goes like this leaves nothing.
    pub fn kill(self) {
        self.process.kill();
    }

    fn parse(&self, line: &str) -> Result<Value> {
        let answer: Value = serde_json::from_str(line).with_context(|| format!("no JSON line: {line:.200}"))?;
        match answer.get("error") {
            Some(error) => bail!("{:.600}", error.as_str().unwrap_or("an error without text")),
            None => Ok(answer),
        }
    }

    fn story(&self, what: &str) -> String {
        let log = tail(&self.log, 8);
        if log.is_empty() { what.to_string() } else { format!("{what}; its log ends:\n{log}") }
    }
}
