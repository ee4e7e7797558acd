//! Kafka's messages as JSON values, by the schemas that ship inside Kafka's own jar.
//!
//! Nothing here comes from the code under test: a slip in the server's codec shows as a difference instead of cancelling out.

mod decode;
mod encode;
mod schema;

pub use decode::hex;
pub use schema::Schemas;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A connection that sends one request at a time and waits for its answer.
pub struct Connection<'a> {
    schemas: &'a Schemas,
    stream: TcpStream,
    correlation_id: i32,
    client_id: String,
}

impl<'a> Connection<'a> {
    pub fn open(schemas: &'a Schemas, address: &str, client_id: &str) -> Result<Connection<'a>> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { schemas, stream, correlation_id: 0, client_id: client_id.to_owned() })
    }

    /// Waits no longer than this for the answers that follow.
    pub fn set_patience(&mut self, patience: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(patience))?)
    }

    /// Sends a request without waiting.
    pub fn send(&mut self, api: &str, version: i16, body: &Value) -> Result<()> {
        self.correlation_id += 1;
        let frame = self.schemas.request(api)?.request_frame(version, self.correlation_id, &self.client_id, body)?;
        self.send_bytes(&frame)
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// The answer to the last request that was sent.
    pub fn receive(&mut self, api: &str, version: i16) -> Result<Value> {
        let answer = self.receive_bytes()?;
        let message = self.schemas.response(api)?;
        let (correlation_id, value) = message.read_response(version, &answer)?;
        ensure!(correlation_id == self.correlation_id, "correlation id {correlation_id} for {}", self.correlation_id);
        Ok(value)
    }

    /// What follows the length prefix of the next answer; an error when the server closes first.
    pub fn receive_bytes(&mut self) -> Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).context("no answer")?;
        let length = usize::try_from(i32::from_be_bytes(length)).context("a negative length")?;
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).context("a cut answer")?;
        Ok(answer)
    }
}
