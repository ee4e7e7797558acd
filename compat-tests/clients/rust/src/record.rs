//! Records as the runner writes and reads them: JSON with base64.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Blob).map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Blob>,
    pub value: Option<Blob>,
    pub headers: Vec<(String, Option<Blob>)>,
    pub timestamp: i64,
}

impl Record {
    pub fn from_rdkafka(message: &BorrowedMessage<'_>) -> Result<Record> {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let headers = headers.map(|one| (one.key.to_string(), one.value.map(|value| Blob(value.to_vec()))));
        let Some(timestamp) = message.timestamp().to_millis() else { bail!("a record without a timestamp") };
        Ok(Record {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(|key| Blob(key.to_vec())),
            value: message.payload().map(|value| Blob(value.to_vec())),
            headers: headers.collect(),
            timestamp,
        })
    }

    pub fn rdkafka_headers(&self) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &self.headers {
            headers = headers.insert(Header { key, value: value.as_ref().map(|value| &value.0) });
        }
        headers
    }
}

/// The value of a future that another thread completes; there is no runtime here for the few that the crate returns.
pub fn wait<T, E: Into<anyhow::Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T> {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => return result.map_err(Into::into),
            Poll::Pending => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
