//! Plays the requests of a script and writes down what was answered.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::normal::Names;
use crate::wire::{Connection, Schemas};

/// Cases in order with their normalised outcome.
pub type Transcript = Vec<(String, Value)>;

/// One server, one connection to it, and the transcript so far.
pub struct Player<'a> {
    schemas: &'a Schemas,
    address: String,
    connection: Option<Connection<'a>>,
    names: Names,
    transcript: Transcript,
}

impl<'a> Player<'a> {
    pub fn new(schemas: &'a Schemas, address: &str) -> Player<'a> {
        Player {
            schemas,
            address: address.to_owned(),
            connection: None,
            names: Names::new(address),
            transcript: Vec::new(),
        }
    }

    /// The transcript and the name of its last case.
    pub fn finish(self) -> (Transcript, String) {
        let last = self.transcript.last().map(|(case, _)| case.clone()).unwrap_or_default();
        (self.transcript, last)
    }

    /// Asks and writes the answer down under `Api vN: case`; returns the answer as it was, for ids that later requests need.
    /// A connection that the server closes is an outcome like any other (`Value::Null` is returned).
    pub fn ask(&mut self, case: &str, api: &str, version: i16, body: &Value) -> Result<Value> {
        let answer = self.exchange(api, version, body)?;
        self.note(format!("{api} v{version}: {case}"), &answer);
        Ok(answer)
    }

    /// As [`Player::ask`], for steps that only prepare the next ones.
    pub fn prepare(&mut self, api: &str, version: i16, body: &Value) -> Result<Value> {
        self.exchange(api, version, body)
    }

    /// Asks in every version of a range. `body` may look at the version.
    pub fn ask_each(
        &mut self,
        case: &str,
        api: &str,
        versions: std::ops::RangeInclusive<i16>,
        body: impl Fn(i16) -> Value,
    ) -> Result<()> {
        for version in versions {
            self.ask(case, api, version, &body(version))?;
        }
        Ok(())
    }

    /// Sends bytes on a connection of their own and writes down whether they are answered, and with what bytes.
    pub fn send_raw(&mut self, case: &str, bytes: &[u8]) -> Result<()> {
        let mut connection = Connection::open(self.schemas, &self.address, "differential")?;
        connection.send_bytes(bytes)?;
        let outcome = match connection.receive_bytes() {
            Ok(answer) => json!({ "answer": answer }),
            Err(error) => json!({ "closed": closed(&error)? }),
        };
        self.transcript.push((case.to_owned(), outcome));
        Ok(())
    }

    /// Writes an outcome down.
    pub fn note(&mut self, case: String, outcome: &Value) {
        let mut name = case;
        let same = self.transcript.iter().filter(|(other, _)| other.starts_with(&name)).count();
        if same > 0 {
            name = format!("{name} ({})", same + 1);
        }
        let outcome = self.names.replace(outcome);
        self.transcript.push((name, outcome));
    }

    /// The schemas, for scripts that build frames by hand.
    pub fn schemas(&self) -> &'a Schemas {
        self.schemas
    }

    fn exchange(&mut self, api: &str, version: i16, body: &Value) -> Result<Value> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(Connection::open(self.schemas, &self.address, "differential")?),
        };
        let context = || format!("{api} v{version} {body}");
        connection.send(api, version, body).with_context(context)?;
        match connection.receive(api, version) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.connection = None;
                closed(&error).with_context(context)?;
                Ok(Value::Null)
            }
        }
    }
}

/// Whether the server closed the connection; an error of any other kind is passed on.
fn closed(error: &anyhow::Error) -> Result<bool> {
    use std::io::ErrorKind;
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    match kind {
        Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(true),
        Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        _ => anyhow::bail!("{error:#}"),
    }
}
