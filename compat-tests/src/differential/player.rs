//! Plays the requests of a script and writes down what was answered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::normal::Names;
use crate::wire::{Connection, Schemas};

/// Cases in the order in which they were played.
pub type Transcript = Vec<Case>;

/// One request and its normalised outcome.
#[derive(Serialize, Deserialize)]
pub struct Case {
    pub name: String,
    /// API key and version, when the request had a header that names them.
    pub asked: Option<(i16, i16)>,
    pub outcome: Value,
}

/// A request under way on a connection of its own.
pub struct Pending<'a> {
    connection: Connection<'a>,
    case: String,
    api: &'static str,
    version: i16,
}

/// One server, one connection to it, and the transcript so far.
pub struct Player<'a> {
    schemas: &'a Schemas,
    /// Who is asked at present.
    address: String,
    broker_address: String,
    controller_address: String,
    data: PathBuf,
    connection: Option<Connection<'a>>,
    names: Names,
    transcript: Transcript,
}

impl<'a> Player<'a> {
    /// `data` is the server's data directory.
    pub fn new(schemas: &'a Schemas, address: &str, controller_address: &str, data: PathBuf) -> Player<'a> {
        Player {
            schemas,
            address: address.to_owned(),
            broker_address: address.to_owned(),
            controller_address: controller_address.to_owned(),
            connection: None,
            names: Names::new(address, &data),
            data,
            transcript: Vec::new(),
        }
    }

    /// From now on it is the controllers' listener that is asked.
    pub fn turn_to_controllers(&mut self) {
        self.address = self.controller_address.clone();
        self.connection = None;
    }

    /// From now on it is the brokers' listener that is asked, as at the beginning.
    pub fn turn_to_brokers(&mut self) {
        self.address = self.broker_address.clone();
        self.connection = None;
    }

    /// The transcript and the name of its last case.
    pub fn finish(self) -> (Transcript, String) {
        let last = self.transcript.last().map(|case| case.name.clone()).unwrap_or_default();
        (self.transcript, last)
    }

    /// Asks and writes the answer down under `Api vN: case`; returns the answer as it was, for ids that later requests need.
    /// A connection that the server closes is an outcome like any other (`Value::Null` is returned).
    pub fn ask(&mut self, case: &str, api: &str, version: i16, body: &Value) -> Result<Value> {
        self.ask_as(case, (api, version), body, Value::clone)
    }

    /// As [`Player::ask`], with the answer written down in another shape: in answers about many things, Kafka's order is that
    /// of a hash map.
    pub fn ask_as(
        &mut self,
        case: &str,
        (api, version): (&str, i16),
        body: &Value,
        reshape: impl Fn(&Value) -> Value,
    ) -> Result<Value> {
        let answer = self.exchange(api, version, body)?;
        let key = self.schemas.request(api)?.api_key;
        self.note(format!("{api} v{version}: {case}"), (key, version), &reshape(&answer));
        Ok(answer)
    }

    /// As [`Player::ask`], where Kafka answers nothing and leaves the connection open: waits for a moment only.
    pub fn ask_in_vain(&mut self, case: &str, api: &str, version: i16, body: &Value) -> Result<()> {
        let mut connection = Connection::open(self.schemas, &self.address, "differential")?;
        connection.set_patience(Duration::from_secs(1))?;
        self.connection = Some(connection);
        self.ask(case, api, version, body)?;
        self.connection = None;
        Ok(())
    }

    /// Sends a request that is to have no answer; what is written down is whether the connection goes on: one more request on
    /// it is answered, or it is closed.
    pub fn ask_unanswered(&mut self, case: &str, api: &str, version: i16, body: &Value) -> Result<()> {
        let mut connection = Connection::open(self.schemas, &self.address, "differential")?;
        connection.send(api, version, body)?;
        let outcome =
            match connection.send("ApiVersions", 0, &json!({})).and_then(|()| connection.receive("ApiVersions", 0)) {
                Ok(_) => json!({ "goesOn": true }),
                Err(error) => json!({ "closed": closed(&error)? }),
            };
        let key = self.schemas.request(api)?.api_key;
        self.note(format!("{api} v{version}: {case}"), (key, version), &outcome);
        Ok(())
    }

    /// Sends a request on a connection of its own, to be answered by what later requests bring about; see [`Player::settle`].
    pub fn begin(&mut self, case: &str, api: &'static str, version: i16, body: &Value) -> Result<Pending<'a>> {
        let mut connection = Connection::open(self.schemas, &self.address, "differential")?;
        connection.send(api, version, body)?;
        Ok(Pending { connection, case: case.to_owned(), api, version })
    }

    /// Waits for the answer of a request under way, and writes it down like that of any other.
    pub fn settle(&mut self, mut pending: Pending<'a>) -> Result<Value> {
        let (api, version) = (pending.api, pending.version);
        let answer = pending.connection.receive(api, version).with_context(|| pending.case.clone())?;
        let key = self.schemas.request(api)?.api_key;
        self.note(format!("{api} v{version}: {}", pending.case), (key, version), &answer);
        Ok(answer)
    }

    /// Sends requests in one piece and writes all answers down, in the order in which they came.
    pub fn ask_at_once(&mut self, case: &str, requests: &[(&str, i16, Value)]) -> Result<()> {
        let mut frames = Vec::new();
        for (correlation_id, (api, version, body)) in (1..).zip(requests) {
            let request = self.schemas.request(api)?;
            frames.extend(request.request_frame(*version, correlation_id, "differential", body)?);
        }
        let mut connection = Connection::open(self.schemas, &self.address, "differential")?;
        connection.send_bytes(&frames)?;
        let mut answers = Vec::new();
        for (api, version, _) in requests {
            let answer = connection.receive_bytes().with_context(|| format!("{case}: {api}"))?;
            let (correlation_id, body) = self.schemas.response(api)?.read_response(*version, &answer)?;
            answers.push(json!({ "correlationId": correlation_id, "body": body }));
        }
        let outcome = self.names.replace(&json!({ "answers": answers }));
        self.transcript.push(Case { name: format!("at once: {case}"), asked: None, outcome });
        Ok(())
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
        let outcome = match self.answer_to(bytes)? {
            Ok(answer) => json!({ "answer": answer }),
            Err(outcome) => outcome,
        };
        self.transcript.push(Case { name: case.to_owned(), asked: None, outcome });
        Ok(())
    }

    /// As [`Player::send_raw`], for a frame whose header asks for a version of an API, in which the answer is read.
    pub fn send_frame(&mut self, case: &str, api: &str, version: i16, bytes: &[u8]) -> Result<()> {
        let outcome = match self.answer_to(bytes)? {
            Ok(answer) => self.schemas.response(api)?.read_response(version, &answer)?.1,
            Err(outcome) => outcome,
        };
        let key = self.schemas.request(api)?.api_key;
        self.note(format!("{api} v{version}: {case}"), (key, version), &outcome);
        Ok(())
    }

    /// As [`Player::send_frame`], for a body behind a right header.
    pub fn send_body(&mut self, case: &str, api: &str, version: i16, body: &[u8]) -> Result<()> {
        let key = self.schemas.request(api)?.api_key;
        let mut frame = Vec::new();
        frame.extend_from_slice(&key.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&7i32.to_be_bytes());
        frame.extend_from_slice(&[0, 1, b'c']);
        if self.schemas.is_flexible(key, version) {
            frame.push(0);
        }
        frame.extend_from_slice(body);
        let length = i32::try_from(frame.len())?;
        self.send_frame(case, api, version, &[&length.to_be_bytes(), frame.as_slice()].concat())
    }

    /// What bytes on a connection of their own are answered with, or how the connection ended.
    fn answer_to(&self, bytes: &[u8]) -> Result<std::result::Result<Vec<u8>, Value>> {
        let mut connection = Connection::open(self.schemas, &self.address, "differential")?;
        connection.send_bytes(bytes)?;
        match connection.receive_bytes() {
            Ok(answer) => Ok(Ok(answer.to_vec())),
            Err(error) => Ok(Err(json!({ "closed": closed(&error)? }))),
        }
    }

    fn note(&mut self, case: String, asked: (i16, i16), outcome: &Value) {
        let mut name = case;
        let same = self.transcript.iter().filter(|other| other.name.starts_with(&name)).count();
        if same > 0 {
            name = format!("{name} ({})", same + 1);
        }
        let outcome = self.names.replace(outcome);
        self.transcript.push(Case { name, asked: Some(asked), outcome });
    }

    /// The server's data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Has the next request begin a connection of its own.
    pub fn reconnect(&mut self) {
        self.connection = None;
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
