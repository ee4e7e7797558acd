//! Kafka's messages as structs, and their bytes: the only file that names the codec crate.
//!
//! The structs are `kafka_protocol`'s, under Kafka's own names; nested ones are in a module per message, such as
//! `fetch_request::FetchPartition`. What the crate cannot read of Kafka 4.3.1 comes from `extra`, into the same structs:
//! OffsetCommit and OffsetFetch requests v10 (topic ids), AddRaftVoter v1, ListOffsets v11 (v10's bytes, one more timestamp), and
//! BrokerHeartbeat v2 (one more tagged field); the response of DescribeLogDirs (v5) is a struct of our own.
//!
//! The crate trusts its input: it sizes vectors from wire lengths. So requests go through `guard::check` first.
//! Where the crate and Kafka 4.3.1 read the same bytes differently, and what is done about it:
//! - Strings: Kafka replaces what is not UTF-8 (U+FFFD), the crate refuses. The header's client id is replaced as by
//!   Kafka; elsewhere the guard refuses, with a named reason, since what was meant cannot be known.
//! - Varints over five bytes: Kafka closes the connection, the crate drops the rest; the guard refuses.
//! - Nullable structs: Kafka takes any first byte from 0 up as "present", the crate only 1; the guard refuses others.
//! - Known tagged fields: both ignore the size written before them; the guard refuses a size that is not the field's,
//!   since its own walk would leave the crate's.
//! - Strings over 32,767 bytes: Kafka refuses in every version, the crate not in flexible ones; the guard refuses.
//! - A known tag in a version before its own is refused by both, bytes after the last field are ignored by both.

use std::fmt;
use std::ops::RangeInclusive;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::extra::{add_raft_voter, describe_log_dirs, offset_commit, offset_fetch};

pub use kafka_protocol::messages::*;
pub use kafka_protocol::messages::{BrokerId as WireBrokerId, ProducerId as WireProducerId};
pub use kafka_protocol::protocol::StrBytes;

// These shadow the crate's own types of the same names.
pub use super::api_key::ApiKey;
pub use super::extra::add_raft_voter::waits_for_commit;
pub use super::extra::describe_log_dirs::DescribeLogDirsResponse;
pub use super::header::RequestHeader;

/// A request that the crate or `extra` can read.
pub trait RequestMessage: Sized + Default + Clone + PartialEq + fmt::Debug {
    const KEY: ApiKey;
    /// Versions that [`RequestMessage::read`] understands.
    const VERSIONS: RangeInclusive<i16>;
    type Response: ResponseMessage;

    /// Reads a body that the guard has passed. Bytes after the last field are left in `body`.
    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self>;

    /// Writes the body. Fails on fields set that the version does not have, unless Kafka's schema lets them be ignored.
    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()>;
}

/// A response that the crate or `extra` can write.
pub trait ResponseMessage: Sized + Default + Clone + PartialEq + fmt::Debug {
    const KEY: ApiKey;
    /// Versions that [`ResponseMessage::write`] understands.
    const VERSIONS: RangeInclusive<i16>;

    /// Reads a body from a trusted peer.
    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self>;

    /// Writes the body. Fails on fields set that the version does not have, unless Kafka's schema lets them be ignored.
    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()>;
}

/// A message without a header, such as the metadata inside a JoinGroup protocol.
pub trait Payload: Encodable + Decodable {}

impl<T: Encodable + Decodable> Payload for T {}

/// A body that does not read as its API and version say. The connection is closed, as by Kafka.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what} v{version}: {reason}")]
pub struct MalformedRequest {
    pub what: &'static str,
    pub version: i16,
    pub reason: String,
}

/// A message that cannot be written in a version: our fault, not the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode {what} v{version}: {reason}")]
pub struct EncodeError {
    pub what: &'static str,
    pub version: i16,
    pub reason: String,
}

impl EncodeError {
    fn new(what: &'static str, version: i16, reason: impl fmt::Display) -> EncodeError {
        EncodeError { what, version, reason: reason.to_string() }
    }
}

/// Reads a request body. The guard must have passed it: lengths are trusted here.
pub fn decode_request<R: RequestMessage>(version: i16, mut body: Bytes) -> Result<R, MalformedRequest> {
    R::read(&mut body, version).map_err(|error| malformed(R::KEY.name(), version, &error))
}

/// Reads a response body from a server that this process trusts with its memory.
pub fn decode_response<R: ResponseMessage>(version: i16, mut body: Bytes) -> Result<R, MalformedRequest> {
    R::read(&mut body, version).map_err(|error| malformed(R::KEY.name(), version, &error))
}

fn malformed(what: &'static str, version: i16, reason: &anyhow::Error) -> MalformedRequest {
    MalformedRequest { what, version, reason: reason.to_string() }
}

/// Appends a whole response frame: length, header of the right version, body. On an error `out` is as before.
pub fn encode_response<R: ResponseMessage>(
    correlation_id: i32,
    response: &R,
    version: i16,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = begin_response(R::KEY, version, correlation_id, out);
    if let Err(error) = response.write(out, version) {
        out.truncate(start);
        return Err(EncodeError::new(R::KEY.name(), version, error));
    }
    end_frame(out, start);
    Ok(())
}

/// Appends room for the length, and the response header; answers where the frame starts, for [`end_frame`].
pub fn begin_response(api: ApiKey, version: i16, correlation_id: i32, out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_i32(0);
    out.put_i32(correlation_id);
    if api.response_header_version(version) >= 1 {
        out.put_u8(0);
    }
    start
}

/// Writes the length of the frame that began at `start` and ends here.
pub fn end_frame(out: &mut BytesMut, start: usize) {
    let body = start + super::frame::LENGTH_BYTES;
    let length = i32::try_from(out.len() - body).expect("a frame that fits in memory we bound");
    out[start..body].copy_from_slice(&length.to_be_bytes());
}

/// Appends a whole request frame, as a client does; for links to other brokers and for tests.
pub fn encode_request<R: RequestMessage>(
    correlation_id: i32,
    client_id: Option<StrBytes>,
    request: &R,
    version: i16,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.put_i32(0);
    RequestHeader { api_key: R::KEY, api_version: version, correlation_id, client_id }.write(out);
    if let Err(error) = request.write(out, version) {
        out.truncate(start);
        return Err(EncodeError::new(R::KEY.name(), version, error));
    }
    end_frame(out, start);
    Ok(())
}

/// Writes a payload without a header. `what` names it in the error.
pub fn encode_message<M: Payload>(
    what: &'static str,
    message: &M,
    version: i16,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = out.len();
    message.encode(out, version).map_err(|error| {
        out.truncate(start);
        EncodeError::new(what, version, error)
    })
}

/// Reads a payload without a header, from a source whose lengths are trusted. `what` names it in the error.
pub fn decode_message<M: Payload>(what: &'static str, version: i16, mut body: Bytes) -> Result<M, MalformedRequest> {
    M::decode(&mut body, version).map_err(|error| malformed(what, version, &error))
}

/// Version of the request header, 1 or 2.
pub const fn request_header_version(api: ApiKey, version: i16) -> i16 {
    api.request_header_version(version)
}

/// Version of the response header, 0 or 1; always 0 for ApiVersions.
pub const fn response_header_version(api: ApiKey, version: i16) -> i16 {
    api.response_header_version(version)
}

macro_rules! codec {
    () => {
        fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
            <Self as Decodable>::decode(body, version)
        }

        fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
            <Self as Encodable>::encode(self, out, version)
        }
    };
}

/// Something to do with requests of any API, such as trying every one of them.
pub trait RequestVisitor {
    type Output;

    fn visit<R: RequestMessage>(self) -> Self::Output;
}

macro_rules! messages {
    ($($key:ident: $request:ident => $response:ident, $versions:expr;)*) => {
        /// Calls the visitor with an API's request; `None` for the two that have no structs yet, of Streams groups, and for
        /// what is not Kafka's.
        pub fn visit_request<V: RequestVisitor>(api: ApiKey, visitor: V) -> Option<V::Output> {
            match api {
                $(ApiKey::$key => Some(visitor.visit::<$request>()),)*
                ApiKey::AddRaftVoter => Some(visitor.visit::<AddRaftVoterRequest>()),
                ApiKey::DescribeLogDirs => Some(visitor.visit::<DescribeLogDirsRequest>()),
                ApiKey::BrokerHeartbeat => Some(visitor.visit::<BrokerHeartbeatRequest>()),
                ApiKey::ListOffsets => Some(visitor.visit::<ListOffsetsRequest>()),
                ApiKey::OffsetCommit => Some(visitor.visit::<OffsetCommitRequest>()),
                ApiKey::OffsetFetch => Some(visitor.visit::<OffsetFetchRequest>()),
                ApiKey::StreamsGroupHeartbeat | ApiKey::StreamsGroupDescribe | ApiKey::Quorum => None,
            }
        }

        $(
            impl RequestMessage for $request {
                const KEY: ApiKey = ApiKey::$key;
                const VERSIONS: RangeInclusive<i16> = $versions;
                type Response = $response;
                codec!();
            }

            impl ResponseMessage for $response {
                const KEY: ApiKey = ApiKey::$key;
                const VERSIONS: RangeInclusive<i16> = $versions;
                codec!();
            }
        )*
    };
}

messages! {
    Produce: ProduceRequest => ProduceResponse, 3..=13;
    Fetch: FetchRequest => FetchResponse, 4..=18;
    Metadata: MetadataRequest => MetadataResponse, 0..=13;
    FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse, 0..=6;
    JoinGroup: JoinGroupRequest => JoinGroupResponse, 0..=9;
    Heartbeat: HeartbeatRequest => HeartbeatResponse, 0..=4;
    LeaveGroup: LeaveGroupRequest => LeaveGroupResponse, 0..=5;
    SyncGroup: SyncGroupRequest => SyncGroupResponse, 0..=5;
    DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse, 0..=6;
    ListGroups: ListGroupsRequest => ListGroupsResponse, 0..=5;
    SaslHandshake: SaslHandshakeRequest => SaslHandshakeResponse, 0..=1;
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse, 0..=4;
    CreateTopics: CreateTopicsRequest => CreateTopicsResponse, 2..=7;
    DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse, 1..=6;
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse, 0..=2;
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse, 0..=5;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse, 2..=4;
    AddPartitionsToTxn: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse, 0..=5;
    AddOffsetsToTxn: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse, 0..=4;
    EndTxn: EndTxnRequest => EndTxnResponse, 0..=5;
    WriteTxnMarkers: WriteTxnMarkersRequest => WriteTxnMarkersResponse, 1..=1;
    TxnOffsetCommit: TxnOffsetCommitRequest => TxnOffsetCommitResponse, 0..=5;
    DescribeAcls: DescribeAclsRequest => DescribeAclsResponse, 1..=3;
    CreateAcls: CreateAclsRequest => CreateAclsResponse, 1..=3;
    DeleteAcls: DeleteAclsRequest => DeleteAclsResponse, 1..=3;
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse, 1..=4;
    AlterConfigs: AlterConfigsRequest => AlterConfigsResponse, 0..=2;
    AlterReplicaLogDirs: AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse, 1..=2;
    SaslAuthenticate: SaslAuthenticateRequest => SaslAuthenticateResponse, 0..=2;
    CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse, 0..=3;
    CreateDelegationToken: CreateDelegationTokenRequest => CreateDelegationTokenResponse, 1..=3;
    RenewDelegationToken: RenewDelegationTokenRequest => RenewDelegationTokenResponse, 1..=2;
    ExpireDelegationToken: ExpireDelegationTokenRequest => ExpireDelegationTokenResponse, 1..=2;
    DescribeDelegationToken: DescribeDelegationTokenRequest => DescribeDelegationTokenResponse, 1..=3;
    DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse, 0..=2;
    ElectLeaders: ElectLeadersRequest => ElectLeadersResponse, 0..=2;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse, 0..=1;
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse, 0..=1;
    ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse, 0..=0;
    OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse, 0..=0;
    DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse, 0..=1;
    AlterClientQuotas: AlterClientQuotasRequest => AlterClientQuotasResponse, 0..=1;
    DescribeUserScramCredentials: DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse, 0..=0;
    AlterUserScramCredentials: AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse, 0..=0;
    Vote: VoteRequest => VoteResponse, 0..=2;
    BeginQuorumEpoch: BeginQuorumEpochRequest => BeginQuorumEpochResponse, 0..=1;
    EndQuorumEpoch: EndQuorumEpochRequest => EndQuorumEpochResponse, 0..=1;
    DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse, 0..=2;
    AlterPartition: AlterPartitionRequest => AlterPartitionResponse, 2..=3;
    UpdateFeatures: UpdateFeaturesRequest => UpdateFeaturesResponse, 0..=2;
    Envelope: EnvelopeRequest => EnvelopeResponse, 0..=0;
    FetchSnapshot: FetchSnapshotRequest => FetchSnapshotResponse, 0..=1;
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse, 0..=2;
    DescribeProducers: DescribeProducersRequest => DescribeProducersResponse, 0..=0;
    BrokerRegistration: BrokerRegistrationRequest => BrokerRegistrationResponse, 0..=4;
    UnregisterBroker: UnregisterBrokerRequest => UnregisterBrokerResponse, 0..=0;
    DescribeTransactions: DescribeTransactionsRequest => DescribeTransactionsResponse, 0..=0;
    ListTransactions: ListTransactionsRequest => ListTransactionsResponse, 0..=2;
    AllocateProducerIds: AllocateProducerIdsRequest => AllocateProducerIdsResponse, 0..=0;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse, 0..=1;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse, 0..=1;
    ControllerRegistration: ControllerRegistrationRequest => ControllerRegistrationResponse, 0..=0;
    GetTelemetrySubscriptions: GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse, 0..=0;
    PushTelemetry: PushTelemetryRequest => PushTelemetryResponse, 0..=0;
    AssignReplicasToDirs: AssignReplicasToDirsRequest => AssignReplicasToDirsResponse, 0..=0;
    ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse, 0..=1;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse, 0..=0;
    ShareGroupHeartbeat: ShareGroupHeartbeatRequest => ShareGroupHeartbeatResponse, 1..=1;
    ShareGroupDescribe: ShareGroupDescribeRequest => ShareGroupDescribeResponse, 1..=1;
    ShareFetch: ShareFetchRequest => ShareFetchResponse, 1..=1;
    ShareAcknowledge: ShareAcknowledgeRequest => ShareAcknowledgeResponse, 1..=1;
    RemoveRaftVoter: RemoveRaftVoterRequest => RemoveRaftVoterResponse, 0..=0;
    UpdateRaftVoter: UpdateRaftVoterRequest => UpdateRaftVoterResponse, 0..=0;
    InitializeShareGroupState: InitializeShareGroupStateRequest => InitializeShareGroupStateResponse, 0..=0;
    ReadShareGroupState: ReadShareGroupStateRequest => ReadShareGroupStateResponse, 0..=0;
    WriteShareGroupState: WriteShareGroupStateRequest => WriteShareGroupStateResponse, 0..=0;
    DeleteShareGroupState: DeleteShareGroupStateRequest => DeleteShareGroupStateResponse, 0..=0;
    ReadShareGroupStateSummary: ReadShareGroupStateSummaryRequest => ReadShareGroupStateSummaryResponse, 0..=0;
    DescribeShareGroupOffsets: DescribeShareGroupOffsetsRequest => DescribeShareGroupOffsetsResponse, 0..=0;
    AlterShareGroupOffsets: AlterShareGroupOffsetsRequest => AlterShareGroupOffsetsResponse, 0..=0;
    DeleteShareGroupOffsets: DeleteShareGroupOffsetsRequest => DeleteShareGroupOffsetsResponse, 0..=0;
}

impl RequestMessage for AddRaftVoterRequest {
    const KEY: ApiKey = ApiKey::AddRaftVoter;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    type Response = AddRaftVoterResponse;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        if version == add_raft_voter::VERSION {
            return Ok(add_raft_voter::read(body)?);
        }
        <Self as Decodable>::decode(body, version)
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        if version == add_raft_voter::VERSION {
            add_raft_voter::write(self, out);
            return Ok(());
        }
        <Self as Encodable>::encode(self, out, version)
    }
}

/// v1 has v0's bytes.
impl ResponseMessage for AddRaftVoterResponse {
    const KEY: ApiKey = ApiKey::AddRaftVoter;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn read(body: &mut Bytes, _version: i16) -> anyhow::Result<Self> {
        <Self as Decodable>::decode(body, 0)
    }

    fn write(&self, out: &mut BytesMut, _version: i16) -> anyhow::Result<()> {
        <Self as Encodable>::encode(self, out, 0)
    }
}

/// The last version of the DescribeLogDirs request that the crate knows; v5 has the same fields.
const DESCRIBE_LOG_DIRS_CRATE_MAX: i16 = 4;

impl RequestMessage for DescribeLogDirsRequest {
    const KEY: ApiKey = ApiKey::DescribeLogDirs;
    const VERSIONS: RangeInclusive<i16> = describe_log_dirs::VERSIONS;
    type Response = DescribeLogDirsResponse;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        <Self as Decodable>::decode(body, version.min(DESCRIBE_LOG_DIRS_CRATE_MAX))
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        <Self as Encodable>::encode(self, out, version.min(DESCRIBE_LOG_DIRS_CRATE_MAX))
    }
}

impl ResponseMessage for DescribeLogDirsResponse {
    const KEY: ApiKey = ApiKey::DescribeLogDirs;
    const VERSIONS: RangeInclusive<i16> = describe_log_dirs::VERSIONS;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        Ok(describe_log_dirs::read(body, version)?)
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        describe_log_dirs::write(self, out, version);
        Ok(())
    }
}

/// The last version of BrokerHeartbeat that the crate knows. v2 adds the log directories that are cordoned (KIP-1066), in tagged
/// field 1, which the crate keeps as one that it does not know: `broker::cordoned` has its bytes.
const BROKER_HEARTBEAT_CRATE_MAX: i16 = 1;

impl RequestMessage for BrokerHeartbeatRequest {
    const KEY: ApiKey = ApiKey::BrokerHeartbeat;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    type Response = BrokerHeartbeatResponse;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        <Self as Decodable>::decode(body, version.min(BROKER_HEARTBEAT_CRATE_MAX))
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        <Self as Encodable>::encode(self, out, version.min(BROKER_HEARTBEAT_CRATE_MAX))
    }
}

/// v2 has v1's bytes.
impl ResponseMessage for BrokerHeartbeatResponse {
    const KEY: ApiKey = ApiKey::BrokerHeartbeat;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        <Self as Decodable>::decode(body, version.min(BROKER_HEARTBEAT_CRATE_MAX))
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        <Self as Encodable>::encode(self, out, version.min(BROKER_HEARTBEAT_CRATE_MAX))
    }
}

/// The last version of ListOffsets that the crate knows; v11 has the same fields.
const LIST_OFFSETS_CRATE_MAX: i16 = 10;

impl RequestMessage for ListOffsetsRequest {
    const KEY: ApiKey = ApiKey::ListOffsets;
    const VERSIONS: RangeInclusive<i16> = 1..=11;
    type Response = ListOffsetsResponse;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        <Self as Decodable>::decode(body, version.min(LIST_OFFSETS_CRATE_MAX))
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        <Self as Encodable>::encode(self, out, version.min(LIST_OFFSETS_CRATE_MAX))
    }
}

impl ResponseMessage for ListOffsetsResponse {
    const KEY: ApiKey = ApiKey::ListOffsets;
    const VERSIONS: RangeInclusive<i16> = 1..=11;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        <Self as Decodable>::decode(body, version.min(LIST_OFFSETS_CRATE_MAX))
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        <Self as Encodable>::encode(self, out, version.min(LIST_OFFSETS_CRATE_MAX))
    }
}

impl RequestMessage for OffsetCommitRequest {
    const KEY: ApiKey = ApiKey::OffsetCommit;
    const VERSIONS: RangeInclusive<i16> = 2..=10;
    type Response = OffsetCommitResponse;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        if version == offset_commit::VERSION {
            return Ok(offset_commit::read(body)?);
        }
        <Self as Decodable>::decode(body, version)
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        if version == offset_commit::VERSION {
            offset_commit::write(self, out);
            return Ok(());
        }
        <Self as Encodable>::encode(self, out, version)
    }
}

impl ResponseMessage for OffsetCommitResponse {
    const KEY: ApiKey = ApiKey::OffsetCommit;
    const VERSIONS: RangeInclusive<i16> = 2..=10;
    codec!();
}

impl RequestMessage for OffsetFetchRequest {
    const KEY: ApiKey = ApiKey::OffsetFetch;
    const VERSIONS: RangeInclusive<i16> = 1..=10;
    type Response = OffsetFetchResponse;

    fn read(body: &mut Bytes, version: i16) -> anyhow::Result<Self> {
        if version == offset_fetch::VERSION {
            return Ok(offset_fetch::read(body)?);
        }
        <Self as Decodable>::decode(body, version)
    }

    fn write(&self, out: &mut BytesMut, version: i16) -> anyhow::Result<()> {
        if version == offset_fetch::VERSION {
            offset_fetch::write(self, out);
            return Ok(());
        }
        <Self as Encodable>::encode(self, out, version)
    }
}

impl ResponseMessage for OffsetFetchResponse {
    const KEY: ApiKey = ApiKey::OffsetFetch;
    const VERSIONS: RangeInclusive<i16> = 1..=10;
    codec!();
}

#[cfg(test)]
mod tests;
