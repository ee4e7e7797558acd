//! AddRaftVoter request v1: v0 and whether the answer waits for the commit (KIP-1186). Source: AddRaftVoterRequest.json.
//!
//! We answer when the new voters are committed, whatever is asked: who wants the answer earlier gets it a moment later. So the
//! field is read, and not kept.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::super::message::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use super::super::wire::{self, Reader, WireError};
use super::offset_commit::slice;

/// The version read here.
pub const VERSION: i16 = 1;

/// Name, host, port, tags.
const LISTENER_MIN_BYTES: usize = 1 + 1 + 2 + 1;

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
    let _ack_when_committed = reader.boolean()?;
    reader.skip_tagged_fields(true)?;
    body.advance(frame.len() - reader.remaining());
    Ok(request)
}

/// Writes a body that asks for an answer when the change is committed.
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
    out.put_u8(1);
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
        let mut out = BytesMut::new();
        write(&request, &mut out);
        let bytes = out.freeze();
        assert!(guard::check(ApiKey::AddRaftVoter, VERSION, &bytes).is_ok());
        let mut whole = bytes.clone();
        assert_eq!((read(&mut whole), whole.len()), (Ok(request), 0));
        for len in 0..bytes.len() {
            assert!(read(&mut bytes.slice(..len)).is_err());
        }
    }
}
