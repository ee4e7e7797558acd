//! Kafka's messages as JSON values, by the schemas that ship inside Kafka's own jar.
//!
//! Nothing here comes from the code under test: a slip in the server's codec shows as a difference instead of cancelling out.

mod decode;
mod encode;
mod schema;

pub use decode::hex;
pub use schema::{Schemas, schema_folder};

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::Value;

use crate::connection::Frames;

/// A connection that sends one request at a time and waits for its answer.
pub struct Connection<'a> {
    schemas: &'a Schemas,
    frames: Frames,
    correlation_id: i32,
    client_id: String,
}

impl<'a> Connection<'a> {
    pub fn open(schemas: &'a Schemas, address: &str, client_id: &str) -> Result<Connection<'a>> {
        Ok(Connection { schemas, frames: Frames::open(address)?, correlation_id: 0, client_id: client_id.to_owned() })
    }

    /// Waits no longer than this for the answers that follow.
    pub fn set_patience(&mut self, patience: Duration) -> Result<()> {
        self.frames.set_patience(patience)
    }

    /// Sends a request without waiting.
    pub fn send(&mut self, api: &str, version: i16, body: &Value) -> Result<()> {
        self.correlation_id += 1;
        let frame = self.schemas.request(api)?.request_frame(version, self.correlation_id, &self.client_id, body)?;
        self.send_bytes(&frame)
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.frames.send(bytes)
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
    pub fn receive_bytes(&mut self) -> Result<Bytes> {
        self.frames.receive()
    }
}
