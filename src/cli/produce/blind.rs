//! Produce with acks=0: a broker answers nothing, so that nothing can be waited for but the end of the connection.
//!
//! Errors carry their reason as text: a connection that broke must not pass for a closed pipe behind standard output.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::cli::client::{CLIENT_ID, text};
use crate::io::net::{self, Stream};
use crate::peer::Address;
use crate::protocol::message::{ProduceRequest, encode_request};

/// Silence after which the system asks whether the broker is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Connections that are only written to.
#[derive(Default)]
pub struct Blind {
    streams: BTreeMap<Address, Stream>,
}

impl Blind {
    /// Hands a request to the system.
    pub async fn send(
        &mut self,
        address: &Address,
        request: &ProduceRequest,
        version: i16,
        timeout: Duration,
    ) -> anyhow::Result<()> {
        let mut frame = BytesMut::new();
        encode_request(0, Some(text(CLIENT_ID)), request, version, &mut frame)?;
        let write = async {
            if !self.streams.contains_key(address) {
                let stream = net::connect(&address.host, address.port, KEEPALIVE).await?;
                self.streams.insert(address.clone(), stream);
            }
            let stream = self.streams.get_mut(address).expect("inserted just now");
            stream.write_all(&frame).await
        };
        tokio::time::timeout(timeout, write)
            .await
            .with_context(|| format!("{address} takes nothing"))?
            .map_err(|error| anyhow!("cannot send to {address}: {error}"))
    }

    /// Waits until the brokers have read everything: they close a connection that is closed on this side only then. A broker that
    /// has closed it early has refused something, and says what in its log.
    pub async fn finish(&mut self, timeout: Duration) -> anyhow::Result<()> {
        for (address, mut stream) in std::mem::take(&mut self.streams) {
            let close = async {
                stream.shutdown().await?;
                stream.read_to_end(&mut Vec::new()).await
            };
            tokio::time::timeout(timeout, close)
                .await
                .with_context(|| format!("{address} does not take what was sent"))?
                .map_err(|error| anyhow!("{address} has closed the connection: {error}"))?;
        }
        Ok(())
    }
}
