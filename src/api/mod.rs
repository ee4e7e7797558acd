//! One file per Kafka API: translate, authorise, delegate, answer.
//!
//! An API is a type that implements [`Api`] in `api/<family>/<name>.rs`, and a line in that family's `ROWS`. Everything that
//! must agree about an API is read from its [`Row`]: what ApiVersions offers, what the README shows, what the fuzz test feeds.
//! Produce and Fetch implement [`BurstApi`] and [`RawApi`]: they read their bodies themselves, without the codec crate.
//!
//! Invariant: handlers decide nothing themselves; they ask the broker, and it or its machines decide.

pub mod answer;
pub mod cluster;
pub mod configs;
pub mod context;
pub mod controller;
pub mod directories;
pub mod groups;
pub mod local;
pub mod producers;
pub mod quorum;
pub mod records;
pub mod row;
pub mod slot;
pub mod topics;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::purgatory::Watch;
use crate::config::Roles;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::{RequestMessage, ResponseMessage};
use crate::security::Access;

pub use answer::{Answer, Chunk};
pub use context::{BurstContext, ConnectionInfo, Context};
pub use row::{Handler, Row, burst_row, raw_row, row};
pub use slot::{SlotId, SlotToken};

/// One Kafka API, with messages that the codec reads and writes.
pub trait Api {
    type Request: RequestMessage<Response = Self::Response>;
    type Response: ResponseMessage + Send + 'static;

    const KEY: ApiKey;
    /// The versions that are served, and advertised unless [`Api::ADVERTISED`] says otherwise.
    const VERSIONS: RangeInclusive<i16>;
    /// What ApiVersions says. Wider than what is served only where Kafka's own is.
    const ADVERTISED: RangeInclusive<i16> = Self::VERSIONS;
    /// What is asked of the authorizer.
    const ACCESS: Access<Self::Request>;
    /// The listeners that it is served on: `listeners` in Kafka's message schemas.
    const LISTENERS: Roles = Roles::CLIENT;
    /// Whether only the active controller can carry it out. Another node that serves clients hands it there (KIP-590).
    const FORWARDED: bool = false;
    /// Whether what follows on the connection waits for the answer.
    const ORDER: Order = Order::Barrier;

    /// How long the client waits for the active controller, in ms; `None` when the request does not say.
    fn timeout_ms(_request: &Self::Request) -> Option<i32> {
        None
    }

    /// Carries the request out, on the thread that read it; must not block. A panic in here is answered by [`Api::refuse`]
    /// with UNKNOWN_SERVER_ERROR.
    fn handle(cx: &Context<'_>, request: Self::Request) -> Reply<Self::Response>;

    /// The answer that fails the whole request with one code.
    fn refuse(request: &Self::Request, code: ErrorCode) -> Self::Response;

    /// Carries out what the broker that was asked does itself, whoever the active controller is. Only called where
    /// [`Api::FORWARDED`] is true.
    fn split(_cx: &Context<'_>, request: Self::Request) -> Split<Self::Request, Self::Response> {
        Split::Whole(request)
    }

    /// What a controller that is not the active one answers to whoever asks it directly. `words` are Kafka's, and name the one
    /// that is.
    fn not_controller(_cx: &Context<'_>, request: Self::Request, _words: String) -> Reply<Self::Response> {
        Reply::Now(Self::refuse(&request, ErrorCode::NotController))
    }
}

/// What is left of a request for the controller.
pub enum Split<Q, R> {
    /// All of it.
    Whole(Q),
    /// Something, and how its answer becomes that of the whole request.
    Part(Q, Joined<R>),
    /// Nothing: this is the answer.
    Done(R),
}

/// Makes the answer to a part that of the whole.
pub type Joined<R> = Box<dyn FnOnce(R) -> R + Send>;

/// What a handler answers.
pub enum Reply<R> {
    Now(R),
    /// Completed by a machine later. Kept alive until done even if the client has gone.
    Later(Pin<Box<dyn Future<Output = R> + Send>>),
    /// No answer is sent: Produce with acks=0.
    None,
}

impl<R> Reply<R> {
    /// `Reply::Later` without the pinning and boxing at the call.
    pub fn later(future: impl Future<Output = R> + Send + 'static) -> Reply<R> {
        Reply::Later(Box::pin(future))
    }
}

/// An API that reads its own body and writes its own answer: Fetch.
pub trait RawApi {
    const KEY: ApiKey;
    const VERSIONS: RangeInclusive<i16>;
    const ADVERTISED: RangeInclusive<i16> = Self::VERSIONS;
    const ACCESS: Access<Bytes>;
    /// As [`Api::LISTENERS`].
    const LISTENERS: Roles = Roles::CLIENT;
    const ORDER: Order = Order::Barrier;

    /// Carries the request out. The body comes as it was sent: no guard has walked it.
    fn handle(cx: &Context<'_>, body: Bytes) -> RawReply;
}

/// An API that takes all its consecutive requests of one readable event together, so that it can join their work: Produce.
pub trait BurstApi {
    const KEY: ApiKey;
    const VERSIONS: RangeInclusive<i16>;
    const ADVERTISED: RangeInclusive<i16> = Self::VERSIONS;
    const ACCESS: Access<Bytes>;
    /// As [`Api::LISTENERS`].
    const LISTENERS: Roles = Roles::CLIENT;
    const ORDER: Order = Order::Pipelined;

    /// Carries the requests out in order. Takes all of `requests` and pushes one reply for each, in the same order; what is in
    /// the vectors' capacity is used again for the next burst.
    fn handle_burst(cx: &BurstContext<'_>, requests: &mut Vec<RawRequest>, replies: &mut Vec<RawReply>);
}

/// A request whose body has not been read. Its version is one that the row serves.
pub struct RawRequest {
    pub header: RequestHeader,
    pub body: Bytes,
}

/// What a raw handler answers. Answers are whole frames: see [`Answer`].
pub enum RawReply {
    Now(Answer),
    /// Kept alive until done even if the client has gone.
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// As `Later`, but its client would rather have an answer than wait on when it has more to ask: then the watch is woken.
    Impatient(Pin<Box<dyn Future<Output = Answer> + Send>>, Arc<Watch>),
    /// Completed by the token that came with this id, from any thread; answers stay in request order.
    Slot(SlotId),
    /// No answer is sent.
    None,
    /// The connection is closed and the reason logged: what Kafka does with a body it cannot read.
    Close(CloseReason),
}

/// Why a connection is closed, as one line for the log.
pub type CloseReason = std::borrow::Cow<'static, str>;

/// What may happen to later requests of a connection before a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// They wait: Kafka handles one request of a connection at a time, and clients rely on it.
    Barrier,
    /// Those of the same kind are carried out; answers still leave in order.
    Pipelined,
}

/// Every family's rows.
const FAMILIES: &[&[Row]] = &[
    records::ROWS,
    topics::ROWS,
    groups::ROWS,
    cluster::ROWS,
    producers::ROWS,
    configs::ROWS,
    directories::ROWS,
    controller::ROWS,
    quorum::ROWS,
];

/// Rows by API number, so that finding one is an index.
static BY_KEY: [Option<&'static Row>; PLACES] = by_key();

/// One past the highest API number of Kafka 4.3.1.
const KEYS: usize = 93;

/// Kafka's numbers, and behind them our own API.
pub const PLACES: usize = KEYS + 1;

/// An API's place among all, below [`PLACES`]: for what is kept of each.
pub const fn place(key: ApiKey) -> usize {
    match key {
        ApiKey::Quorum => KEYS,
        key => key.key() as usize,
    }
}

const fn by_key() -> [Option<&'static Row>; PLACES] {
    let mut table: [Option<&'static Row>; PLACES] = [None; PLACES];
    let mut family = 0;
    while family < FAMILIES.len() {
        let mut index = 0;
        while index < FAMILIES[family].len() {
            let row: &'static Row = &FAMILIES[family][index];
            let key = place(row.key);
            assert!(table[key].is_none(), "one API, one row");
            table[key] = Some(row);
            index += 1;
        }
        family += 1;
    }
    table
}

/// How many versions of the API at each place are served, from 0 on: for what is counted of each.
pub fn version_counts() -> impl Iterator<Item = usize> {
    BY_KEY.iter().map(|row| row.map_or(0, Row::version_count))
}

/// Every API that is served anywhere, by number.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    BY_KEY.iter().filter_map(|row| *row)
}

/// What ApiVersions names on a listener with these roles. A listener of clients keeps what only controllers need to itself,
/// also where it serves them: clients are shown no more than by Kafka.
pub fn offered(roles: Roles) -> impl Iterator<Item = &'static Row> {
    let shown = if roles.meet(Roles::CLIENT) { Roles::CLIENT } else { roles };
    rows().filter(move |row| row.listeners.meet(shown) && row.key != ApiKey::Quorum)
}

/// The row of an API; `None` when it is not offered.
pub fn row_of(key: ApiKey) -> Option<&'static Row> {
    BY_KEY[place(key)]
}

/// The row that serves an API at a version on a listener.
pub fn find(key: ApiKey, version: i16, roles: Roles) -> Option<&'static Row> {
    row_of(key).filter(|row| row.versions.contains(&version) && row.listeners.meet(roles))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_by_number_and_are_found_by_it() {
        let keys: Vec<i16> = rows().map(|row| row.key.key()).collect();
        assert!(keys.is_sorted());
        for row in rows() {
            let found = find(row.key, *row.versions.end(), row.listeners).expect("its last version is served");
            assert_eq!(found.key, row.key);
            assert!(find(row.key, row.versions.end() + 1, row.listeners).is_none());
            assert!(find(row.key, row.versions.start() - 1, row.listeners).is_none());
            assert!(find(row.key, *row.versions.end(), Roles::default()).is_none());
        }
    }

    /// `listeners` in the message schemas of Apache Kafka 4.3.1, for those APIs that controllers serve.
    #[test]
    fn controllers_serve_what_kafkas_do() {
        use ApiKey::{
            AddRaftVoter, AllocateProducerIds, AlterClientQuotas, AlterConfigs, AlterPartition,
            AlterPartitionReassignments, AlterUserScramCredentials, ApiVersions, AssignReplicasToDirs,
            BeginQuorumEpoch, BrokerHeartbeat, BrokerRegistration, ControllerRegistration, CreateAcls,
            CreateDelegationToken, CreatePartitions, CreateTopics, DeleteAcls, DeleteTopics, DescribeAcls,
            DescribeCluster, DescribeConfigs, DescribeDelegationToken, DescribeQuorum, DescribeUserScramCredentials,
            ElectLeaders, EndQuorumEpoch, Envelope, ExpireDelegationToken, FetchSnapshot, IncrementalAlterConfigs,
            ListPartitionReassignments, RemoveRaftVoter, RenewDelegationToken, SaslAuthenticate, SaslHandshake,
            UnregisterBroker, UpdateFeatures, UpdateRaftVoter, Vote,
        };
        let controllers_alone = [
            Vote,
            BeginQuorumEpoch,
            EndQuorumEpoch,
            AlterPartition,
            Envelope,
            FetchSnapshot,
            BrokerRegistration,
            BrokerHeartbeat,
            AllocateProducerIds,
            ApiKey::Quorum,
            ControllerRegistration,
            AssignReplicasToDirs,
            UpdateRaftVoter,
        ];
        let both = [
            SaslHandshake,
            ApiVersions,
            CreateTopics,
            DeleteTopics,
            DescribeAcls,
            CreateAcls,
            DeleteAcls,
            DescribeConfigs,
            AlterConfigs,
            SaslAuthenticate,
            CreatePartitions,
            CreateDelegationToken,
            RenewDelegationToken,
            ExpireDelegationToken,
            DescribeDelegationToken,
            ElectLeaders,
            IncrementalAlterConfigs,
            AlterPartitionReassignments,
            ListPartitionReassignments,
            AlterClientQuotas,
            DescribeUserScramCredentials,
            AlterUserScramCredentials,
            DescribeQuorum,
            UpdateFeatures,
            DescribeCluster,
            UnregisterBroker,
            AddRaftVoter,
            RemoveRaftVoter,
        ];
        for row in rows() {
            let expected = match row.key {
                key if controllers_alone.contains(&key) => Roles::CONTROLLER,
                key if both.contains(&key) => Roles::CLIENT.and(Roles::CONTROLLER),
                // Fetch too: Kafka's controllers serve their log by it, ours have a protocol of their own.
                _ => Roles::CLIENT,
            };
            assert_eq!(row.listeners, expected, "{}", row.key);
        }
    }

    #[test]
    fn a_row_serves_nothing_that_kafka_does_not() {
        for row in rows() {
            let kafka = row.key.versions();
            assert!(kafka.start() <= row.versions.start(), "{}", row.key);
            assert!(row.versions.end() <= kafka.end(), "{}", row.key);
            assert!(row.advertised.start() <= row.versions.start(), "{}", row.key);
            assert_eq!(row.versions.end(), row.advertised.end(), "{}", row.key);
        }
    }
}
