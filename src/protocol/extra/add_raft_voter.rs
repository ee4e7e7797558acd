//! AddRaftVoter request v1: v0 and whether the answer waits for the commit (KIP-1186). Source: AddRaftVoterRequest.json.
//!
//! The crate's struct has no place for the new field. It is kept among the unknown tagged fields, under a tag that none can have.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::super::message::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use super::super::wire::{self, Reader, WireError};
use super::offset_commit::slice;

/// The version read here.
pub const VERSION: i16 = 1;

/// Name, host, port, tags.
const LISTENER_MIN_BYTES: usize = 1 + 1 + 2 + 1;

/// Where a request says that its answer need not wait.
const AT_ONCE: i32 = -1;

/// Whether the answer is to wait until the new voters are committed; else it comes when the leader has written them.
pub fn waits_for_commit(request: &AddRaftVoterRequest) -> bool {
    !request.unknown_tagged_fields.contains_key(&AT_ONCE)
}

/// The same request, with an answer that does not wait.
pub fn at_once(mut request: AddRaftVoterRequest) -> AddRaftVoterRequest {
    request.unknown_tagged_fields.insert(AT_ONCE, Bytes::new());
    request
}

/// Reads a body and leaves what follows it. Unknown tagged fields are dropped.
pub fn read(body: &mut Bytes) -> Result<AddRaftVoterRequest, WireError> {
    let frame = body.clone();
    let mut reader = Reader::new(&frame);
    let owned = |text: &str| slice(&frame, text);
    let mut request = AddRaftVoterRequest::default();
    request.cluster_id = reader.nullable_string(true)?.map(owned);
    request.timeout_ms = reader.int32()?;
    request.voter_id = reader.int32()?;
    request.voter_directory_id = reader.uuid()?;
    let count = reader.count(true, LISTENER_MIN_BYTES)?;
    request.listeners.reserve_exact(count);
    for _ in 0..count {
        let mut listener = Listener::default();
        listener.name = owned(reader.string(true)?);
        listener.host = owned(reader.string(true)?);
        listener.port = u16::from_be_bytes(reader.int16()?.to_be_bytes());
        reader.skip_tagged_fields(true)?;
        request.listeners.push(listener);
    }
    let waits = reader.boolean()?;
    reader.skip_tagged_fields(true)?;
    body.advance(frame.len() - reader.remaining());
    Ok(if waits { request } else { at_once(request) })
}

/// Writes a body.
pub fn write(request: &AddRaftVoterRequest, out: &mut BytesMut) {
    wire::put_nullable_string(out, request.cluster_id.as_deref(), true);
    out.put_i32(request.timeout_ms);
    out.put_i32(request.voter_id);
    out.put_slice(request.voter_directory_id.as_bytes());
    wire::put_length(out, request.listeners.len(), true);
    for listener in &request.listeners {
        wire::put_string(out, &listener.name, true);
        wire::put_string(out, &listener.host, true);
        out.put_u16(listener.port);
        wire::put_no_tagged_fields(out, true);
    }
    out.put_u8(u8::from(waits_for_commit(request)));
    wire::put_no_tagged_fields(out, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::api_key::ApiKey;
    use crate::protocol::guard;
    use crate::protocol::message::StrBytes;

    #[test]
    fn a_request_reads_back_and_a_cut_one_is_refused() {
        let listener = Listener::default()
            .with_name(StrBytes::from_static_str("CONTROLLER"))
            .with_host(StrBytes::from_static_str("a"))
            .with_port(65535);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_timeout_ms(7)
            .with_voter_id(3)
            .with_voter_directory_id(uuid::Uuid::from_u128(9))
            .with_listeners(vec![listener]);
        for (request, waits) in [(request.clone(), true), (at_once(request), false)] {
            let mut out = BytesMut::new();
            write(&request, &mut out);
            let bytes = out.freeze();
            assert!(guard::check(ApiKey::AddRaftVoter, VERSION, &bytes).is_ok());
            let mut whole = bytes.clone();
            assert_eq!((read(&mut whole), whole.len()), (Ok(request.clone()), 0));
            assert_eq!(waits_for_commit(&request), waits);
            for len in 0..bytes.len() {
                assert!(read(&mut bytes.slice(..len)).is_err());
            }
        }
    }
}
