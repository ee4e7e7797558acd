//! What Produce and Fetch answers say about a partition's new leader (KIP-951), in tagged fields.

use bytes::{BufMut, BytesMut};

use super::wire;

/// Leader and epoch, beside NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH. The default, −1 and −1, is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLeader {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

impl CurrentLeader {
    /// Nothing to say.
    pub const NONE: CurrentLeader = CurrentLeader { leader_id: -1, leader_epoch: -1 };

    /// Leader, epoch, no tags of its own.
    const WIRE_BYTES: usize = 4 + 4 + 1;

    pub(super) fn is_none(self) -> bool {
        self == CurrentLeader::NONE
    }

    pub(super) fn write_tagged(self, tag: u32, out: &mut BytesMut) {
        put_tag(out, tag, CurrentLeader::WIRE_BYTES);
        out.put_i32(self.leader_id);
        out.put_i32(self.leader_epoch);
        wire::put_no_tagged_fields(out, true);
    }
}

/// Where a leader named in the same answer can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

/// The head of a tagged field.
pub(super) fn put_tag(out: &mut BytesMut, tag: u32, size: usize) {
    wire::put_unsigned_varint(out, tag);
    wire::put_unsigned_varint(out, u32::try_from(size).expect("a tagged field within a frame"));
}

/// Ends a Produce or Fetch answer: the endpoints as tagged field 0 when there are any, or no tagged fields.
pub(super) fn put_node_endpoints(out: &mut BytesMut, endpoints: &[NodeEndpoint]) {
    if endpoints.is_empty() {
        wire::put_no_tagged_fields(out, true);
        return;
    }
    // Written aside, since its size goes in front; answers that name new leaders are rare.
    let mut field = BytesMut::new();
    wire::put_length(&mut field, endpoints.len(), true);
    for endpoint in endpoints {
        field.put_i32(endpoint.node_id);
        wire::put_string(&mut field, &endpoint.host, true);
        field.put_i32(endpoint.port);
        wire::put_nullable_string(&mut field, endpoint.rack.as_deref(), true);
        wire::put_no_tagged_fields(&mut field, true);
    }
    wire::put_unsigned_varint(out, 1);
    put_tag(out, 0, field.len());
    out.put_slice(&field);
}
