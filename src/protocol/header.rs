//! The header of every request: which API, which version, which number to answer under, who asks.
//!
//! v1 is fixed, v2 (flexible requests) adds tagged fields after a client id that keeps its old int16 length, so that
//! an ApiVersions request of any version can be read (KIP-511). Source: RequestHeader.json, `RequestHeader.parse`.

use bytes::{Buf, Bytes, BytesMut};

use super::api_key::{ApiKey, UnknownApiKey};
use super::message::StrBytes;
use super::wire::{self, Reader, WireError};

/// A request's header. `api_key` is known to Kafka 4.3.1; `api_version` may be any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    pub api_key: ApiKey,
    pub api_version: i16,
    pub correlation_id: i32,
    /// Null and empty are told apart here; Kafka treats both as empty.
    pub client_id: Option<StrBytes>,
}

/// Why a frame has no readable header. The connection is closed, as by Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error(transparent)]
    UnknownApiKey(#[from] UnknownApiKey),
    #[error("request header: {0}")]
    Wire(#[from] WireError),
}

impl RequestHeader {
    /// Reads the header off the front of a frame and leaves the body.
    pub fn parse(frame: &mut Bytes) -> Result<RequestHeader, HeaderError> {
        let mut reader = Reader::new(frame);
        let api_key = reader.int16()?;
        let api_version = reader.int16()?;
        let api_key = ApiKey::try_from(api_key)?;
        let correlation_id = reader.int32()?;
        let client_id = reader.nullable_string_bytes(false)?.map(|bytes| client_id(frame, bytes));
        reader.skip_tagged_fields(api_key.request_header_version(api_version) >= 2)?;
        let consumed = frame.len() - reader.remaining();
        frame.advance(consumed);
        Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
    }

    /// Writes the header as a client does; for links to other brokers.
    pub fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.api_key.key().to_be_bytes());
        out.extend_from_slice(&self.api_version.to_be_bytes());
        out.extend_from_slice(&self.correlation_id.to_be_bytes());
        wire::put_nullable_string(out, self.client_id.as_deref(), false);
        wire::put_no_tagged_fields(out, self.api_key.request_header_version(self.api_version) >= 2);
    }
}

/// Java's decoder replaces what is not UTF-8 and never fails, so a client id in Latin-1 must not cost the connection.
fn client_id(frame: &Bytes, bytes: &[u8]) -> StrBytes {
    StrBytes::from_utf8(frame.slice_ref(bytes))
        .unwrap_or_else(|_| StrBytes::from_string(String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &[u8]) -> Result<(RequestHeader, Bytes), HeaderError> {
        let mut frame = Bytes::copy_from_slice(frame);
        RequestHeader::parse(&mut frame).map(|header| (header, frame))
    }

    fn header(api_key: ApiKey, api_version: i16, client_id: Option<&'static str>) -> RequestHeader {
        let client_id = client_id.map(StrBytes::from_static_str);
        RequestHeader { api_key, api_version, correlation_id: 7, client_id }
    }

    #[test]
    fn a_header_reads_back_and_leaves_the_body() {
        for expected in [
            header(ApiKey::Metadata, 0, Some("me")),
            header(ApiKey::Metadata, 12, Some("")),
            header(ApiKey::ApiVersions, 3, None),
            header(ApiKey::ApiVersions, 999, Some("from the future")),
        ] {
            let mut frame = BytesMut::new();
            expected.write(&mut frame);
            frame.extend_from_slice(b"body");
            assert_eq!(check(&frame), Ok((expected, Bytes::from_static(b"body"))));
        }
    }

    #[test]
    fn unknown_tagged_fields_of_the_header_are_stepped_over() {
        let frame = [0, 3, 0, 12, 0, 0, 0, 7, 0xff, 0xff, 1, 9, 2, 0xaa, 0xbb, 0x55];
        assert_eq!(check(&frame), Ok((header(ApiKey::Metadata, 12, None), Bytes::from_static(&[0x55]))));
    }

    #[test]
    fn headers_that_break_off_or_lie_are_named() {
        let cases: [(&[u8], HeaderError); 5] = [
            (&[0], WireError::Truncated { needed: 2, remaining: 1 }.into()),
            (&[0x7f, 0xff, 0, 0, 0, 0, 0, 0], UnknownApiKey(0x7fff).into()),
            (&[0, 3, 0, 0, 0, 0, 0], WireError::Truncated { needed: 4, remaining: 3 }.into()),
            (&[0, 3, 0, 0, 0, 0, 0, 7, 0, 9, b'a'], WireError::Truncated { needed: 9, remaining: 1 }.into()),
            (&[0, 3, 0, 0, 0, 0, 0, 7, 0xff, 0xfe], WireError::NegativeLength { length: -2 }.into()),
        ];
        for (frame, error) in cases {
            assert_eq!(check(frame), Err(error), "{frame:?}");
        }
    }

    #[test]
    fn a_client_id_that_is_not_utf8_is_replaced_as_java_does() {
        let frame = [0, 3, 0, 0, 0, 0, 0, 7, 0, 2, b'a', 0xff];
        let (header, _) = check(&frame).expect("a header");
        assert_eq!(header.client_id.as_deref(), Some("a\u{fffd}"));
    }
}
