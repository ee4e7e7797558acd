//! The APIs on a broker that runs in the test: every version can be answered, and what was created can be seen.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::api::slot::SlotHome;
use crate::api::{Api, Chunk, ConnectionInfo, Context, Handler, RawReply, Reply, Row, row, row_of};
use crate::broker::{Broker, StartOptions};
use crate::config::{Inputs, Roles, load};
use crate::io::clock::SystemClock;
use crate::io::disk::SystemDisk;
use crate::io::mailbox::Mailbox;
use crate::io::threads::wait;
use crate::metadata::Endpoint;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::create_topics_request::CreatableTopic;
use crate::protocol::message::delete_topics_request::DeleteTopicState;
use crate::protocol::message::metadata_request::MetadataRequestTopic;
use crate::protocol::message::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DescribeClusterRequest,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, HeartbeatRequest, HeartbeatResponse,
    ListPartitionReassignmentsRequest, MetadataRequest, MetadataResponse, RequestMessage, ResponseMessage, StrBytes,
    TopicName,
};
use crate::security::{Access, Operation, Principal, ResourceType};

struct Bench {
    _dir: tempfile::TempDir,
    broker: Arc<Broker>,
    connection: ConnectionInfo,
    runtime: tokio::runtime::Runtime,
    slots: Arc<SlotHome>,
}

impl Bench {
    fn start(host: &str) -> Bench {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().to_str().expect("a path of UTF-8").to_owned();
        let flags = vec![("--data".to_owned(), "log.dirs".to_owned(), data)];
        let settings = load(&Inputs { flags, ..Inputs::default() }).expect("settings load").settings;
        let endpoint = Endpoint { listener: "PLAINTEXT".into(), host: host.into(), port: 9092, security_protocol: 0 };
        let broker = wait(Broker::start(StartOptions {
            settings: Arc::new(settings),
            clock: Arc::new(SystemClock::new()),
            disk: Arc::new(SystemDisk),
            endpoints: vec![endpoint],
            controller_endpoint: Endpoint {
                listener: "CONTROLLER".into(),
                host: "localhost".into(),
                port: 0,
                security_protocol: 0,
            },
        }));
        Bench {
            _dir: dir,
            broker: broker.expect("a broker starts"),
            connection: ConnectionInfo {
                id: 1,
                listener: "PLAINTEXT".into(),
                roles: Roles::CLIENT,
                peer: ([127, 0, 0, 1], 4000).into(),
                local: ([127, 0, 0, 7], 9092).into(),
                principal: Principal::anonymous(),
                asked: None,
            },
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
            slots: SlotHome::new(Arc::new(Mailbox::new())),
        }
    }

    fn ask<R: RequestMessage>(&self, version: i16, request: &R) -> R::Response {
        self.ask_row(row_of(R::KEY).expect("a row"), version, request)
    }

    fn ask_row<R: RequestMessage>(&self, row: &Row, version: i16, request: &R) -> R::Response {
        let mut body = BytesMut::new();
        request.write(&mut body, version).expect("a request of this version");
        let cx = Context {
            broker: &self.broker,
            connection: &self.connection,
            version,
            correlation_id: 7,
            client_id: None,
            now: self.broker.now(),
            slots: &self.slots,
        };
        let Handler::Decoded(handle) = row.handler else { panic!("a decoded API") };
        let answer = match handle(&cx, body.freeze()) {
            RawReply::Now(answer) => answer,
            RawReply::Later(answer) => self.runtime.block_on(answer),
            _ => panic!("{} v{version} is not answered", R::KEY),
        };
        assert!(!answer.is_empty(), "the answer to {} v{version} cannot be written", R::KEY);
        let chunks = answer.chunks.iter().map(|chunk| match chunk {
            Chunk::Bytes(bytes) => bytes.to_vec(),
            Chunk::File { .. } => panic!("no file here"),
        });
        let frame = Bytes::from(chunks.collect::<Vec<_>>().concat());
        let header_bytes = if R::KEY.is_flexible(version) { 9 } else { 8 };
        let mut body = frame.slice(header_bytes..);
        R::Response::read(&mut body, version).expect("an answer of this version")
    }

    fn create(&self, name: &str, partitions: i32) -> CreateTopicsResponse {
        self.ask(
            7,
            &CreateTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![creatable(name, partitions)]),
        )
    }
}

fn creatable(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default().with_name(topic_name(name)).with_num_partitions(partitions).with_replication_factor(1)
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn named(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

/// Topic, error and leaders of each partition.
fn seen(response: &MetadataResponse) -> Vec<(String, ErrorCode, Vec<i32>)> {
    let line = |topic: &crate::protocol::message::metadata_response::MetadataResponseTopic| {
        let name = topic.name.as_ref().map_or("", |name| name).to_owned();
        let leaders = topic.partitions.iter().map(|partition| partition.leader_id.0).collect();
        (name, ErrorCode::from(topic.error_code), leaders)
    };
    response.topics.iter().map(line).collect()
}

#[test]
fn every_version_is_answered_with_topics_and_without() {
    let bench = Bench::start("localhost");
    for version in 0..=13 {
        let response: MetadataResponse = bench.ask(version, &named(&format!("auto{version}")));
        assert_eq!(seen(&response), [(format!("auto{version}"), ErrorCode::None, vec![1])]);
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let response: MetadataResponse = bench.ask(version, &MetadataRequest::default().with_topics(all));
        assert_eq!(response.topics.len(), usize::try_from(version).expect("small") + 1);
        let response: MetadataResponse = bench.ask(version, &named("a/b"));
        assert_eq!(seen(&response), [("a/b".into(), ErrorCode::InvalidTopicException, vec![])]);
    }
    for version in 0..=2 {
        let response = bench.ask(version, &DescribeClusterRequest::default());
        assert_eq!((response.brokers.len(), response.controller_id.0), (1, 1));
    }
    bench.ask(0, &ListPartitionReassignmentsRequest::default());
    for version in 2..=7 {
        let request = CreateTopicsRequest::default().with_timeout_ms(10_000);
        let topics = vec![creatable(&format!("c{version}"), 1), creatable("auto0", 1)];
        let response: CreateTopicsResponse = bench.ask(version, &request.with_topics(topics));
        let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, ErrorCode::TopicAlreadyExists.code()]);
    }
    for version in 1..=6 {
        let names = [format!("auto{version}"), "nix".to_owned()];
        let request = DeleteTopicsRequest::default().with_timeout_ms(10_000);
        let request = match version {
            6 => request.with_topics(
                names.iter().map(|name| DeleteTopicState::default().with_name(Some(topic_name(name)))).collect(),
            ),
            _ => request.with_topic_names(names.iter().map(|name| topic_name(name)).collect()),
        };
        let response: DeleteTopicsResponse = bench.ask(version, &request);
        let codes: Vec<i16> = response.responses.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, ErrorCode::UnknownTopicOrPartition.code()]);
    }
    wait(bench.broker.close());
}

#[test]
fn a_wildcard_is_never_advertised() {
    let bench = Bench::start("0.0.0.0");
    let response: MetadataResponse = bench.ask(12, &MetadataRequest::default());
    assert_eq!(response.brokers[0].host.as_str(), "127.0.0.7");
    wait(bench.broker.close());
}

#[test]
fn a_listener_that_no_broker_has_shows_no_broker_and_no_leader() {
    let mut bench = Bench::start("localhost");
    bench.create("t", 1);
    bench.connection.listener = "OTHER".into();
    let codes = [(5, ErrorCode::LeaderNotAvailable), (6, ErrorCode::ListenerNotFound)];
    for (version, code) in codes {
        let response: MetadataResponse = bench.ask(version, &named("t"));
        assert!(response.brokers.is_empty());
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id.0), (code.code(), -1));
        assert_eq!(partition.offline_replicas.len(), 1);
    }
    wait(bench.broker.close());
}

#[test]
fn a_topic_is_found_by_its_id_and_no_longer_by_that_of_its_predecessor() {
    let bench = Bench::start("localhost");
    let old = bench.create("t", 1).topics[0].topic_id;
    let by_id = |id| {
        let topic = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        seen(&bench.ask(12, &MetadataRequest::default().with_topics(Some(vec![topic]))))
    };
    assert_eq!(by_id(old), [("t".into(), ErrorCode::None, vec![1])]);
    let request = DeleteTopicsRequest::default().with_timeout_ms(10_000);
    bench.ask(6, &request.with_topics(vec![DeleteTopicState::default().with_name(None).with_topic_id(old)]));
    let new = bench.create("t", 1).topics[0].topic_id;
    assert_eq!(by_id(old), [("".into(), ErrorCode::UnknownTopicId, vec![])]);
    assert_eq!(by_id(new), [("t".into(), ErrorCode::None, vec![1])]);
    wait(bench.broker.close());
}

#[test]
fn nothing_is_created_by_those_who_do_not_want_it_or_have_no_time() {
    let bench = Bench::start("localhost");
    let response: MetadataResponse = bench.ask(9, &named("t").with_allow_auto_topic_creation(false));
    assert_eq!(seen(&response), [("t".into(), ErrorCode::UnknownTopicOrPartition, vec![])]);
    let request = CreateTopicsRequest::default().with_topics(vec![creatable("t", 1)]);
    let response = bench.ask(7, &request.clone().with_timeout_ms(0));
    assert_eq!(response.topics[0].error_code, ErrorCode::RequestTimedOut.code());
    let response = bench.ask(7, &request.with_timeout_ms(10_000).with_validate_only(true));
    assert_eq!((response.topics[0].error_code, response.topics[0].num_partitions), (0, 1));
    assert_eq!(bench.broker.image().topic_count(), 0);
    wait(bench.broker.close());
}

/// Reads all pages and gives `topic:partitions` of each.
fn pages(bench: &Bench, limit: i32) -> Vec<String> {
    let mut request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(limit);
    let mut pages = Vec::new();
    loop {
        let response: DescribeTopicPartitionsResponse = bench.ask(0, &request);
        let topics = response.topics.iter().map(|topic| {
            let partitions: Vec<_> = topic.partitions.iter().map(|it| it.partition_index.to_string()).collect();
            format!("{}:{}", topic.name.as_ref().map_or("", |name| name), partitions.join(","))
        });
        pages.push(topics.collect::<Vec<_>>().join(" "));
        let Some(next) = response.next_cursor else { return pages };
        let cursor = crate::protocol::message::describe_topic_partitions_request::Cursor::default();
        request.cursor = Some(cursor.with_topic_name(next.topic_name).with_partition_index(next.partition_index));
    }
}

#[test]
fn topics_are_described_page_by_page() {
    let bench = Bench::start("localhost");
    for (name, partitions) in [("b", 3), ("a", 2)] {
        assert_eq!(bench.create(name, partitions).topics[0].error_code, 0);
    }
    assert_eq!(pages(&bench, 2000), ["a:0,1 b:0,1,2"]);
    assert_eq!(pages(&bench, 5), ["a:0,1 b:0,1,2"]);
    assert_eq!(pages(&bench, 4), ["a:0,1 b:0,1", "b:2"]);
    assert_eq!(pages(&bench, 2), ["a:0,1", "b:0,1", "b:2"]);
    assert_eq!(pages(&bench, 0), ["a:0", "a:1", "b:0", "b:1", "b:2"]);
    wait(bench.broker.close());
}

#[test]
fn keys_of_this_family_have_rows() {
    for key in [ApiKey::Metadata, ApiKey::DescribeCluster, ApiKey::DescribeTopicPartitions] {
        assert!(row_of(key).is_some(), "{key}");
    }
}

/// An API whose handler panics, at once or while its answer is waited for.
struct Panics<const LATER: bool>;

impl<const LATER: bool> Api for Panics<LATER> {
    type Request = HeartbeatRequest;
    type Response = HeartbeatResponse;
    const KEY: ApiKey = ApiKey::Heartbeat;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const ACCESS: Access<HeartbeatRequest> =
        Access::on(Operation::Read, ResourceType::Group, |request| &request.group_id);

    fn handle(_cx: &Context<'_>, _request: HeartbeatRequest) -> Reply<HeartbeatResponse> {
        if LATER {
            return Reply::Later(Box::pin(async { panic!("a test of what follows a panic") }));
        }
        panic!("a test of what follows a panic")
    }

    fn refuse(_request: &HeartbeatRequest, code: ErrorCode) -> HeartbeatResponse {
        HeartbeatResponse::default().with_error_code(code.code())
    }
}

#[test]
fn a_handler_that_panics_is_an_unknown_server_error_and_the_next_request_is_served() {
    let bench = Bench::start("localhost");
    let request = HeartbeatRequest::default();
    for version in 0..=4 {
        for row in [row::<Panics<false>>(), row::<Panics<true>>()] {
            let answer = bench.ask_row(&row, version, &request);
            assert_eq!(answer.error_code, ErrorCode::UnknownServerError.code(), "v{version}");
        }
        let answer = bench.ask(version, &request);
        assert_ne!(answer.error_code, ErrorCode::UnknownServerError.code(), "v{version}");
    }
}
