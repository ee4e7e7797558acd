//! Quorum (30000), v0: what nodes of the metadata quorum ask each other; ours alone, and never advertised.
//!
//! The body belongs to the quorum, whole: it has a format and a version of its own (`quorum::rpc`).

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};

use crate::api::{Answer, Chunk, Context, Order, RawApi, RawReply};
use crate::config::Roles;
use crate::protocol::api_key::ApiKey;
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct Quorum;

impl RawApi for Quorum {
    const KEY: ApiKey = ApiKey::Quorum;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const ACCESS: Access<Bytes> = Access::Cluster(Operation::ClusterAction);
    const LISTENERS: Roles = Roles::CONTROLLER;
    /// A question that takes long must not keep a leader's heartbeat waiting.
    const ORDER: Order = Order::Pipelined;

    fn handle(cx: &Context<'_>, body: Bytes) -> RawReply {
        let (version, correlation_id) = (cx.version, cx.correlation_id);
        let answering = cx.broker.quorum().handle_rpc(body);
        RawReply::Later(Box::pin(async move {
            let answer = Chunk::Bytes(answering.await);
            Answer::of_body(ApiKey::Quorum, version, correlation_id, BytesMut::new(), [answer])
        }))
    }
}
