//! Blocking connections to a server: frames as bytes, and requests of the codec crate on top of them.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// How long an answer may take, when nothing else is said.
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Sends and receives what stands behind length prefixes.
pub struct Frames {
    stream: TcpStream,
}

impl Frames {
    pub fn open(address: impl ToSocketAddrs + Display) -> Result<Frames> {
        let stream = TcpStream::connect(&address).with_context(|| format!("connecting to {address}"))?;
        Frames::new(stream, PATIENCE)
    }

    fn new(stream: TcpStream, patience: Duration) -> Result<Frames> {
        stream.set_nodelay(true)?;
        let mut frames = Frames { stream };
        frames.set_patience(patience)?;
        Ok(frames)
    }

    /// Waits no longer than this for the answers that follow.
    pub fn set_patience(&mut self, patience: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(patience))?)
    }

    /// Sends bytes as they are, length prefix included.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// What follows the length prefix of the next answer; an error when the server closes first.
    pub fn receive(&mut self) -> Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).context("no answer")?;
        let length = usize::try_from(i32::from_be_bytes(length)).context("a negative length")?;
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).context("an answer cut off")?;
        Ok(answer.into())
    }

    /// Sends a frame and waits for its answer.
    pub fn exchange(&mut self, frame: &[u8]) -> Result<Bytes> {
        self.send(frame)?;
        self.receive()
    }
}

/// A connection that several requests can be under way on.
pub struct Connection {
    frames: Frames,
    sent: i32,
    received: i32,
}

impl Connection {
    pub fn open(address: impl ToSocketAddrs + Display) -> Result<Connection> {
        Ok(Connection { frames: Frames::open(address)?, sent: 0, received: 0 })
    }

    /// As [`Connection::open`], to `HOST:PORT` with a numeric host; connecting, sending and every answer may take `limit`.
    pub fn open_within(address: &str, limit: Duration) -> Result<Connection> {
        let stream = TcpStream::connect_timeout(&address.parse()?, limit)?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Connection { frames: Frames::new(stream, limit)?, sent: 0, received: 0 })
    }

    /// Sends a request and does not wait.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<()> {
        self.sent += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.sent)
            .with_client_id(Some(text("compat-tests")));
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        header.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let length = u32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.frames.send(&frame)
    }

    /// The answer to the oldest request that has none.
    pub fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response> {
        let mut answer = self.frames.receive()?;
        self.received += 1;
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))?;
        let (found, expected) = (header.correlation_id, self.received);
        ensure!(found == expected, "answer {found} to request {expected}");
        let response = R::Response::decode(&mut answer, version)?;
        ensure!(!answer.has_remaining(), "{} bytes behind the answer", answer.remaining());
        Ok(response)
    }

    /// Sends a request and waits for its answer; nothing else may be under way.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.send(version, request)?;
        self.receive::<R>(version)
    }

    /// Below the requests, for frames that were built before; nothing else may be under way.
    pub fn frames(&mut self) -> &mut Frames {
        &mut self.frames
    }
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
